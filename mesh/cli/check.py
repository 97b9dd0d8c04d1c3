"""`check`: one tiny call to each model, and what it shows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mesh.cli.commands import CheckCommand
from mesh.cli.environment import load_environment
from mesh.cli.models import choose_models, keys_of
from mesh.cli.offline import with_address
from mesh.config import ApiKey, ModelSpec, SimulatorSettings
from mesh.llm.checking import ModelCheck, check_lines, check_models


def check(command: CheckCommand) -> int:
    """Report on each model; return 0 when all can be used, else 1.

    Raises:
        UsageError: a wrong SPEC, a missing or refused key.
    """
    environment = load_environment(Path())
    selection = choose_models(command.model_specs, environment, command.models_file)
    if not command.model_specs and all(model.simulated for model in selection.models):
        _say("no key found: set OPENAI_API_KEY or ANTHROPIC_API_KEY; checking simulated models")
    for notice in selection.notices:
        _say(notice)
    keys = keys_of(selection.models, environment)
    try:
        checks = asyncio.run(_checked(selection.models, keys, command.models_file))
    except KeyboardInterrupt:
        _say("stopped before all had answered")
        return 1
    for line in report_lines(checks):
        _say(line)
    return 0 if all(each.ok for each in checks) else 1


def report_lines(checks: Sequence[ModelCheck]) -> list[str]:
    """The report on all models, what the calls have cost last."""
    lines = [line for each in checks for line in check_lines(each)]
    known = [each.cost_usd for each in checks if each.cost_usd is not None]
    if known:
        lines.append(f"these calls cost ${sum(known):.6f} as far as prices are known")
    return lines


async def _checked(
    models: Sequence[ModelSpec], keys: Mapping[str, ApiKey], models_file: Path | None
) -> tuple[ModelCheck, ...]:
    if not any(model.simulated for model in models):
        return await check_models(models, keys)
    async with _simulator(SimulatorSettings(models_file=models_file)) as url:
        return await check_models([with_address(model, url) for model in models], keys)


@asynccontextmanager
async def _simulator(settings: SimulatorSettings) -> AsyncIterator[str]:
    """A simulator in this process; yields its address."""
    from mesh.simulation.server import serve

    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings, listening.set_result))
    first: set[asyncio.Future[Any]] = {serving, listening}
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            serving.result()  # raises why it could not start
        yield listening.result()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
