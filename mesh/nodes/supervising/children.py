"""How a supervisor starts child processes and knows whether they live.

A child lives as long as its channel is open; no process table is asked and no exit status
believed. Producers are forked from a server that has imported their SDK (fork_server.py), the
others are started fresh.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mesh
from mesh.config import Api
from mesh.nodes.channel import Channel

_OF_EVERY_PRODUCER = ("mesh.nodes.producing.producer_opening", "nacl.signing")
SDK_MODULES: dict[Api, tuple[str, ...]] = {
    "openai": ("openai", "mesh.llm.openai_chat", *_OF_EVERY_PRODUCER),
    "anthropic": ("anthropic", "mesh.llm.anthropic_messages", *_OF_EVERY_PRODUCER),
}
"""What a fork server imports once, for all that it forks."""

EXIT_S = 1.0
"""From the end of its channel to the end of its process; then it is killed."""


class ForkServerGone(Exception):
    """The fork server ended before it answered; the next fork starts another."""


@dataclass(slots=True)
class Child:
    """One running child."""

    label: str
    process_id: int
    channel: Channel
    process: subprocess.Popen[bytes] | None = None
    """Set where this process is its parent, and must reap it."""
    gone: bool = False

    def kill(self) -> None:
        """End it at once. Its channel is open, so its process id is still its own."""
        if not self.gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process_id, signal.SIGKILL)

    def reap(self) -> None:
        self.gone = True
        self.channel.close()
        if self.process is not None:
            _end(self.process)


async def start_fresh(label: str, kind: str, settings: Any) -> Child:
    """Start a child in an interpreter of its own."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = _start_module("mesh.nodes.child", theirs.fileno())
    channel = await Channel.over(ours)
    channel.send({"kind": kind, "settings": settings})
    return Child(label, process.pid, channel, process)


@dataclass(slots=True)
class ForkServer:
    """Forks children that have one provider's SDK imported."""

    api: Api
    _process: subprocess.Popen[bytes] | None = None
    _line: socket.socket | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def start(self) -> None:
        """Begin importing; forks asked for meanwhile wait."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _start_module(
                "mesh.nodes.supervising.fork_server", theirs.fileno(), *SDK_MODULES[self.api]
            )
        ours.setblocking(False)
        self._line = ours

    async def fork(self, label: str, kind: str, settings: Any) -> Child:
        """Fork a child; a fork server that has died is started again.

        Raises:
            ForkServerGone: it died on this request.
        """
        async with self._turn:
            if self._process is None or self._process.poll() is not None:
                self.stop()
                self.start()
            assert self._line is not None
            ours, theirs = socket.socketpair()
            try:
                with theirs:
                    process_id = await self._request(self._line, theirs)
            except BaseException:
                # A child that was forked all the same sees its channel end, and leaves.
                ours.close()
                raise
        channel = await Channel.over(ours)
        channel.send({"kind": kind, "settings": settings})
        return Child(label, process_id, channel)

    async def _request(self, line: socket.socket, end: socket.socket) -> int:
        loop = asyncio.get_running_loop()
        try:
            socket.send_fds(line, [b"f"], [end.fileno()])
            answer = await loop.sock_recv(line, 4)
        except OSError as error:
            raise ForkServerGone(self.api) from error
        if len(answer) < 4:
            raise ForkServerGone(self.api)
        return int.from_bytes(answer, "big")

    def stop(self) -> None:
        """Close the line, at which the server ends."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            _end(self._process)
        self._process = self._line = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Reap a child that is about to exit; one that hangs in its exit is killed."""
    try:
        process.wait(timeout=EXIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start_module(module: str, descriptor: int, *arguments: str) -> subprocess.Popen[bytes]:
    # The package may stand in a checkout that is not installed.
    package_root = str(Path(mesh.__file__).resolve().parent.parent)
    search_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(  # noqa: S603 our own modules
        [sys.executable, "-P", "-m", module, str(descriptor), *arguments],
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": search_path},
    )
