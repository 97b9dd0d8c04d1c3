"""`simulate`: the offline LLM server alone, for other programs and for tests."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from mesh.cli.commands import SimulateCommand, UsageError
from mesh.cli.offline import simulated_models, topics
from mesh.config import SimulatorSettings


def simulate(command: SimulateCommand) -> int:
    """Serve until Ctrl-C; return the exit status.

    Raises:
        UsageError: a file cannot be used, or the port is taken.
    """
    # What cannot be read is better said now than to the first who asks.
    simulated_models(command.models_file)
    topics(command.catalogs)
    settings = SimulatorSettings(
        host=command.host,
        port=command.port,
        catalog_files=command.catalogs,
        models_file=command.models_file,
        time_scale=command.time_scale,
        seed=command.seed,
    )
    # Imported here: with it comes the web server.
    from mesh.simulation.server import PortInUse, serve

    try:
        asyncio.run(_until_interrupted(serve(settings, _say_address)))
    except PortInUse as error:
        raise UsageError(str(error), exit_status=1) from error
    except OSError as error:
        raise UsageError(
            f"cannot serve on {command.host} port {command.port}: {error.strerror or error}; "
            "choose another with --host and --port",
            exit_status=1,
        ) from error
    return 0


async def _until_interrupted(service: Coroutine[Any, Any, None]) -> None:
    serving = asyncio.create_task(service)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _say_address(url: str) -> None:
    sys.stdout.write(
        f"simulated models at {url}\n"
        f"  for OpenAI clients: OPENAI_BASE_URL={url}/v1, any key\n"
        f"  for Anthropic clients: ANTHROPIC_BASE_URL={url}, any key\n"
        f"  what was asked and answered so far: {url}/books\n"
        "Ctrl-C stops\n"
    )
    sys.stdout.flush()
