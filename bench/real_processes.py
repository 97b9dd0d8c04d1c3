"""Processes of a run under bench: forked, spoken to, and gone in the end, whatever happens.

They are forked from the bench's own process, which has imported what they need, before it has an
event loop. Each lives as long as its channel to the bench is open, as those of a run do with their
supervisor: one whose bench was killed leaves by itself. What is said to them is real_runs.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess

from bench.real_child import run_kind
from mesh.nodes import child
from mesh.nodes.channel import Channel, Message
from mesh.nodes.supervising.children import SDK_MODULES

END_S = 3.0
"""From the end of their channels to the end of all processes; what is left then is killed."""


class ChildLost(Exception):
    """A process of the run failed or ended too early: there are no figures. Ends the bench."""


@dataclass(frozen=True, slots=True)
class Forked:
    """One process, which waits for its first message."""

    label: str
    process: BaseProcess
    end: socket.socket
    """The bench's end of its channel."""

    @property
    def process_id(self) -> int:
        assert self.process.pid is not None
        return self.process.pid


@dataclass(slots=True)
class Child:
    """One process as its bench hears it, on an event loop."""

    label: str
    channel: Channel
    hear: Callable[[Message], None] = lambda _: None
    """Called with every message."""
    _said: dict[str, asyncio.Future[Message]] = field(default_factory=dict)

    @classmethod
    async def over(cls, forked: Forked) -> Child:
        return cls(forked.label, await Channel.over(forked.end))

    def tell(self, message: Message) -> None:
        self.channel.send(message)

    async def said(self, event: str) -> Message:
        """Its first message of this name, as soon as there is one."""
        return await asyncio.shield(self._first(event))

    def has_said(self, event: str) -> bool:
        return self._first(event).done()

    async def listen(self) -> None:
        """Hear it until it ends.

        Raises:
            ChildLost: it failed, or ended without leaving.
        """
        while (message := await self.channel.receive()) is not None:
            if message["event"] in ("failed", "crashed"):
                raise ChildLost(f"{self.label}: {message['message']}")
            if not (first := self._first(message["event"])).done():
                first.set_result(message)
            self.hear(message)
        if not self.has_said("left"):
            raise ChildLost(f"{self.label} ended without a word")

    def _first(self, event: str) -> asyncio.Future[Message]:
        if event not in self._said:
            self._said[event] = asyncio.get_running_loop().create_future()
        return self._said[event]


@contextmanager
def forked(labels: Sequence[str]) -> Iterator[list[Forked]]:
    """A process for each label; none does anything before it is told what it is."""
    for module in {name for names in SDK_MODULES.values() for name in names}:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    started: list[Forked] = []
    try:
        for label in labels:
            started.append(_forked(label, [each.end for each in started]))
        yield started
    finally:
        _end_all(started)
        gc.unfreeze()


def _forked(label: str, inherited: Sequence[socket.socket]) -> Forked:
    ours, theirs = socket.socketpair()
    context = multiprocessing.get_context("fork")
    process = context.Process(
        target=_be_child, args=(theirs, [ours, *inherited]), name=label, daemon=True
    )
    try:
        with theirs:
            process.start()
    except BaseException:
        ours.close()  # What was forked ends by it, and is waited for at the exit.
        raise
    return Forked(label, process, ours)


def _be_child(end: socket.socket, inherited: Sequence[socket.socket]) -> None:
    for each in inherited:  # Held open here, they would never be seen to end.
        each.close()
    child.main(end.detach(), run_kind)


def _end_all(started: Sequence[Forked]) -> None:
    """Each sees its channel end; one that does not leave by that is killed."""
    for each in started:
        with contextlib.suppress(OSError):  # The loop that took it over has closed it.
            each.end.shutdown(socket.SHUT_RDWR)
        each.end.close()
    deadline_s = time.monotonic() + END_S
    try:
        for each in started:
            each.process.join(max(0.0, deadline_s - time.monotonic()))
    finally:
        for each in started:
            each.process.kill()
            each.process.join()
