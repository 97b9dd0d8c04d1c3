"""Star against mesh with real models: `python bench/live.py --budget-usd 0.50`.

Asks the models whose keys are in the environment or `.env`, or those that `--model` names, as a
run does. Each side spends half of the budget at most: the star with the plain prompt of all
previous entries, the mesh with everything it has. Both run in this process, one after the other,
with the real clients; what the processes of a run add is left out. Entries are told apart by the
mesh's keys, as nobody knows the truth about a topic.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from aiohttp import web

from bench.live_side import LiveSettings, run_side
from bench.reporting import Report
from mesh.cli.commands import UsageError
from mesh.cli.environment import load_environment
from mesh.cli.models import choose_models, keys_of
from mesh.cli.offline import with_address
from mesh.config import DEFAULT_TOPIC, ModelSpec, SimulatorSettings
from mesh.llm.money import BudgetRefusal, budget_cap
from mesh.llm.pricing import is_priced
from mesh.simulation.server import build_app

SIDES = ("star", "all")
TIME_MAX_S = 900.0
QUICK_TARGET = 100
QUICK_TIME_MAX_S = 15.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line."""

    settings: LiveSettings
    as_json: bool
    time_scale: float


async def main_async(asked: Asked) -> Report:
    settings = asked.settings
    report = Report(
        "live",
        {
            "topic": settings.topic,
            "models": [model.spec for model in settings.models],
            "producers": settings.producer_count,
            "budget_usd_a_side": settings.budget_usd,
            "seed": settings.seed,
        },
    )
    async with _simulator(settings, asked.time_scale) as models:
        for side in SIDES:
            started_s = time.monotonic()
            tally = await run_side(side, replace(settings, models=models))
            for name, value in tally.figures(time.monotonic() - started_s).items():
                report.add(f"{'mesh' if side == 'all' else side}_{name}", value)
    return report


@contextlib.asynccontextmanager
async def _simulator(
    settings: LiveSettings, time_scale: float
) -> AsyncIterator[Sequence[ModelSpec]]:
    """The models with the addresses at which to ask them; simulated ones are served meanwhile."""
    if not any(model.simulated for model in settings.models):
        yield settings.models
        return
    simulated = SimulatorSettings(topic=settings.topic, time_scale=time_scale, seed=settings.seed)
    runner = web.AppRunner(build_app(simulated), handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield [with_address(model, url) for model in settings.models]
    finally:
        await runner.cleanup()


def asked_for(arguments: Sequence[str] | None = None) -> Asked:
    """Read the command line, the environment and `.env`. Raises UsageError."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget-usd", type=float, default=0.50, help="of both sides together")
    parser.add_argument("--model", action="append", default=[], metavar="SPEC")
    parser.add_argument("--topic", default=DEFAULT_TOPIC)
    parser.add_argument("--producers", type=int, default=5)
    parser.add_argument("--target", type=int, help="entries at which a side ends")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-scale", type=float, default=1.0, help="of simulated models")
    parser.add_argument("--quick", action="store_true", help="100 entries a side at most")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args(arguments)
    environment = load_environment(Path.cwd())
    specs = given.model or (["simulated"] if given.quick else [])
    models = choose_models(specs, environment, None).models
    _check_prices(models, given.budget_usd)
    return Asked(
        LiveSettings(
            topic=given.topic,
            models=models,
            keys=keys_of(models, environment),
            producer_count=given.producers,
            budget_usd=given.budget_usd / len(SIDES),
            target=QUICK_TARGET if given.quick else given.target,
            time_max_s=QUICK_TIME_MAX_S if given.quick else TIME_MAX_S,
            seed=given.seed,
        ),
        as_json=given.json,
        time_scale=given.time_scale,
    )


def _check_prices(models: Sequence[ModelSpec], budget_usd: float) -> None:
    cap = budget_cap(models, budget_usd, is_priced=is_priced)
    if isinstance(cap, BudgetRefusal):
        raise UsageError(cap.message)


def main() -> int:
    try:
        asked = asked_for()
    except UsageError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    asyncio.run(main_async(asked)).print(as_json=asked.as_json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
