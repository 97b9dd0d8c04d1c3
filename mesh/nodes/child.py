"""A child process from its first line to its exit: collector, producer or simulator.

It ignores the terminal's interrupt, since the supervisor hears that for all and says what is to
be done; it obeys its channel, whose end means that the supervisor is gone. What it has to tell a
person goes over the channel; its log and any traceback go to a file in its own directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from mesh.config import CollectorSettings, ProducerSettings, SimulatorSettings
from mesh.nodes.channel import Channel, ChildFailed, unpack
from mesh.nodes.supervising.limits import raise_descriptor_limit
from mesh.storage.node_directory import make_private

logger = logging.getLogger(__name__)

LOG_FILE = "messages.log"
LOG_BYTES_MAX = 8 * 1024 * 1024
MESSAGE_CHARACTERS_MAX = 300

RunKind = Callable[[str, Any, Channel], Coroutine[Any, Any, int]]
"""Runs a child of the named kind with its packed settings; its exit status."""


def main(descriptor: int, run: RunKind | None = None) -> int:
    """Run the child whose channel is open file `descriptor`; return its exit status.

    Args:
        run: what the kinds of children are; None: `run_kind`. Benches add their own.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Too low a limit has been said by the supervisor; how many nodes join is seen by this one.
    raise_descriptor_limit(1)
    return asyncio.run(_run(socket.socket(fileno=descriptor), run or run_kind))


async def _run(end: socket.socket, run: RunKind) -> int:
    channel = await Channel.over(end)
    start = await channel.receive()
    if start is None:
        return 1
    try:
        status = await _unless_a_callback_fails(run(start["kind"], start["settings"], channel))
    except Exception as error:  # the outermost loop: say it, log it, exit
        status = _tell_failure(_first_cause(error), channel)
    await channel.finish()
    return status


async def _unless_a_callback_fails(running: Coroutine[Any, Any, int]) -> int:
    """Run to its end, or raise what a callback of the loop raised meanwhile.

    Frames and replies are taken in by callbacks. The loop by itself only logs what one raises,
    and the node would live on without the entries it had just counted as applied.
    """
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[int] = loop.create_future()

    def heard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if "handle" in context and isinstance(error, Exception) and not failed.done():
            failed.set_exception(error)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(heard)
    task = asyncio.create_task(running)
    await asyncio.wait({task, failed}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
        return failed.result()
    return task.result()


def _first_cause(error: Exception) -> Exception:
    """What went wrong first, out of any task groups around it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _tell_failure(error: Exception, channel: Channel) -> int:
    """Say it to the supervisor and to the log; return the exit status."""
    if isinstance(error, ChildFailed):
        logger.error("event=failed %s", error)
        channel.send({"event": "failed", "message": str(error), "status": error.status})
        return error.status
    logger.error("event=crashed", exc_info=error)
    message = f"{type(error).__name__}: {error}"
    no_room = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    crash = {"message": message[:MESSAGE_CHARACTERS_MAX], "no_room": no_room}
    channel.send({"event": "crashed", **crash})
    return 1


async def run_kind(kind: str, settings: Any, channel: Channel) -> int:
    """Run a producer, a collector or a simulator."""
    if kind == "producer":
        from mesh.nodes.producing.producer_opening import run_producer

        producer = unpack(settings, ProducerSettings)
        log_to(producer.directory, producer.verbosity)
        return await run_producer(producer, channel)
    if kind == "collector":
        from mesh.nodes.collecting.collector_opening import run_collector

        collector = unpack(settings, CollectorSettings)
        log_to(collector.directory, collector.verbosity)
        return await run_collector(collector, channel)
    assert kind == "simulator", kind
    simulator = unpack(settings["simulator"], SimulatorSettings)
    log_to(Path(settings["directory"]), 0)
    return await _run_simulator(simulator, channel)


async def _run_simulator(settings: SimulatorSettings, channel: Channel) -> int:
    """Serve simulated models until the supervisor says stop or is gone."""
    from mesh.simulation.server import serve

    def listening(url: str) -> None:
        channel.send({"event": "ready", "url": url})

    serving = asyncio.create_task(serve(settings, listening))
    stopped = asyncio.create_task(channel.receive())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    channel.send({"event": "left"})
    return 0


def log_to(directory: Path, verbosity: int) -> None:
    """Send the log, and whatever is written to standard error, to the child's own file."""
    make_private(directory)
    path = directory / LOG_FILE
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".old"))
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    logging.basicConfig(
        level=level,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
        force=True,
    )
    # The SDKs log requests with their content at DEBUG.
    for name in ("openai", "anthropic", "httpx", "httpcore", "httpx_aiohttp"):
        logging.getLogger(name).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
