"""Children kept running until they leave or the end begins, and how the end begins.

Shared by whoever supervises: a whole run (supervisor.py) or producers of another machine's run
(guest.py). What children are started with, and in which order they leave, is theirs to decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from mesh.nodes.channel import Message
from mesh.nodes.supervising.children import Child, ForkServerGone
from mesh.nodes.terminal import TerminalView

logger = logging.getLogger(__name__)

RESTART_DELAY_FIRST_S = 0.25
RESTART_DELAY_MAX_S = 8.0
SLOW_RESTART_S = 1.0
"""A longer delay is explained."""
STEADY_S = 30.0
"""A child that lived this long starts again without the delay of its earlier deaths."""
FAILED_STARTS_MAX = 6
"""A child that dies so often in a row before it is ready, 8 s in all, will not mend by itself."""
STATUS_INTERRUPTED_TWICE = 130

Starter = Callable[[], Awaitable[Child]]


def _greet_nobody(child: Child) -> None:
    """Most children are told all they need with their settings."""


@dataclass(slots=True, eq=False)
class KeptChild:
    """What a supervisor knows of one child that it keeps running, over its starts."""

    label: str
    start: Starter
    greet: Callable[[Child], None] = _greet_nobody
    """Tells it, at each start, what its settings could not say yet."""
    told_to_stop: bool = True
    """It hears when the end begins; the simulator outlives those who ask it."""
    needed_at_end: bool = False
    """Worth another start while the end goes on."""
    dispensable: bool = False
    """The run goes on without it if it cannot be started at all."""
    given_up: bool = False
    """It is that, and could not be started."""
    child: Child | None = None
    left: bool = False
    """It said that it was done; not restarted."""
    dismissed: bool = False
    """It left because the run had it leave, which goes on without it."""
    ready: bool = False
    """Its latest start has got as far as its work."""
    was_ready: bool = False
    """Any of its starts has."""
    failed_starts: int = 0
    """In a row, before it was ready."""
    last_words: str = ""
    no_room: bool = False
    """Its latest start died of a full disk."""
    not_handed_over: int = 0
    lost: int = 0

    @property
    def gone(self) -> bool:
        """It will not be started any more, whatever the run does."""
        return self.left or self.given_up

    def tell(self, message: Message) -> None:
        """Send `message`, if it is running."""
        if self.child is not None:
            self.child.channel.send(message)


class Keeper:
    """Keeps children running. Starts, deaths and failures are handled here; what children say
    beyond that goes to `heard`."""

    def __init__(self, terminal: TerminalView, heard: Callable[[KeptChild, Message], None]) -> None:
        self.terminal = terminal
        self.ending = asyncio.Event()
        self.stop_reason: str | None = None
        self.status = 0
        self.failure: str | None = None
        self.killed = False
        self._heard_by_owner = heard
        self._keeping: dict[KeptChild, asyncio.Task[None]] = {}
        self._interrupts = 0

    # Keeping

    def keep(self, kept: KeptChild) -> None:
        """Run `kept` from now on, again after each death."""
        task = asyncio.create_task(self._keep(kept))
        self._keeping[kept] = task
        task.add_done_callback(functools.partial(self._kept_no_more, kept.label))

    async def gone(self, children: Iterable[KeptChild], wait_s: float) -> None:
        """Wait until all of them have ended for good, `wait_s` at most."""
        tasks = [self._keeping[kept] for kept in children if kept in self._keeping]
        pending = [task for task in tasks if not task.done()]
        if pending:
            await asyncio.wait(pending, timeout=wait_s)

    async def gone_or(self, kept: KeptChild, event: asyncio.Event) -> None:
        """Wait until `kept` has ended for good or `event` has happened."""
        happened = asyncio.create_task(event.wait())
        try:
            await asyncio.wait({happened, self._keeping[kept]}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            happened.cancel()

    def start_no_more(self, kept: KeptChild) -> None:
        """Give up a child that is not running."""
        if kept.child is None and kept in self._keeping:
            self._keeping[kept].cancel()

    async def close(self) -> None:
        """Kill what is still running."""
        for task in self._keeping.values():
            task.cancel()
        await asyncio.gather(*self._keeping.values(), return_exceptions=True)

    async def _keep(self, kept: KeptChild) -> None:
        delay_s = RESTART_DELAY_FIRST_S
        while not kept.gone and not self.killed:
            started_s = time.monotonic()
            kept.ready = kept.no_room = False
            with contextlib.suppress(ForkServerGone):
                kept.child = await kept.start()
                await self._attend(kept, kept.child)
            if kept.gone or self.killed or self._is_not_needed(kept):
                return
            if time.monotonic() - started_s > STEADY_S:
                delay_s = RESTART_DELAY_FIRST_S
            # A full disk is waited for: there may be room again.
            kept.failed_starts = 0 if kept.ready or kept.no_room else kept.failed_starts + 1
            if kept.failed_starts >= FAILED_STARTS_MAX:
                why = kept.last_words or "it ends without a word"
                self._failed(kept, f"{kept.label} does not start: {why}", 1)
                return
            self.terminal.say(f"{kept.label} died; starting it again")
            if delay_s >= SLOW_RESTART_S:
                self.terminal.explain(f"{kept.label} starts in {delay_s:g} s: it dies too often")
            await asyncio.sleep(delay_s)
            delay_s = min(RESTART_DELAY_MAX_S, delay_s * 2)

    def _is_not_needed(self, kept: KeptChild) -> bool:
        return self.ending.is_set() and (not kept.needed_at_end or bool(self.failure))

    def _kept_no_more(self, label: str, task: asyncio.Task[None]) -> None:
        """Nobody starts a child again whose keeping has failed: that ends the run."""
        if not task.cancelled() and (error := task.exception()):
            logger.error("event=keeping_failed label=%s", label, exc_info=error)
            self.fail(f"cannot keep {label} running: {type(error).__name__}: {error}", 1)

    async def _attend(self, kept: KeptChild, child: Child) -> None:
        """Listen to a child until it is gone."""
        try:
            if self.ending.is_set():
                self._tell_to_stop(kept)
            kept.greet(child)
            while (message := await child.channel.receive()) is not None:
                self._heard(kept, message)
        except asyncio.CancelledError:
            child.kill()
            raise
        finally:
            child.reap()
            kept.child = None

    def _heard(self, kept: KeptChild, message: Message) -> None:
        event = message["event"]
        if event == "ready":
            again = " again" if kept.was_ready else ""
            self.terminal.explain(f"{kept.label} is ready{again}")
            kept.ready = kept.was_ready = True
        elif event == "notice":
            self.terminal.say(message["text"])
        elif event == "left":
            kept.left = True
            kept.dismissed = message.get("dismissed", False)
            kept.not_handed_over = message.get("not_handed_over", 0)
            kept.lost = message.get("lost", 0)
            self.terminal.explain(f"{kept.label} has left")
        elif event == "failed":
            self._failed(kept, message["message"], message["status"])
        elif event == "crashed":
            kept.last_words, kept.no_room = message["message"], message["no_room"]
            self.terminal.say(f"{kept.label}: {kept.last_words}")
        self._heard_by_owner(kept, message)

    def _failed(self, kept: KeptChild, message: str, status: int) -> None:
        """Nothing that another start would mend."""
        if not kept.dispensable or kept.was_ready:
            self.fail(message, status)
            return
        kept.given_up = True
        text = f"{kept.label} could not be added: {message}"
        self.terminal.say(text)
        self._heard_by_owner(kept, {"event": "given_up", "text": text})

    # The end

    def begin_end(self, reason: str) -> None:
        """Tell everyone to finish; the first reason counts."""
        if self.ending.is_set():
            return
        self.stop_reason = reason
        self.terminal.explain(f"the end begins: {reason}")
        self.ending.set()
        for kept in self._keeping:
            self._tell_to_stop(kept)

    def fail(self, message: str, status: int) -> None:
        """Begin the end for a reason that the user has to mend; the first counts."""
        if self.failure is None:
            self.failure = message
            self.status = status
            self.begin_end(message)

    def watch_signals(self, interrupted: Callable[[int], None]) -> None:
        """Have `interrupted` called with the number of each signal that means an end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, interrupted, number)
        loop.add_signal_handler(signal.SIGWINCH, self.terminal.resized)

    def interrupted(self, number: int) -> None:
        """Begin the end; a person who asks again has it at once."""
        self._interrupts += 1
        if self._interrupts == 1:
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            self.begin_end(f"stopped by {name}")
        elif number == signal.SIGINT:
            # Only a person hurries: `timeout` sends SIGTERM twice at once, to the process and to
            # its group, and a terminal that closes sends SIGHUP from the shell and the kernel.
            self.kill_all()

    def kill_all(self) -> None:
        self.killed = True
        self.status = STATUS_INTERRUPTED_TWICE
        for kept in self._keeping:
            if kept.child:
                kept.child.kill()

    def _tell_to_stop(self, kept: KeptChild) -> None:
        if kept.told_to_stop:
            kept.tell({"command": "stop", "reason": self.stop_reason, "status": self.status})
