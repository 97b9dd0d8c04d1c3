"""An asyncio event loop whose time is virtual: what would sleep is due at once.

Whenever nothing is ready, the clock jumps to the next timer, so a run of hours takes as long as
its computing does and is the same every time. Nothing here does I/O: a task that waits for
anything but a timer or another task would wait for ever, which is an error, not a wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Deadlock(RuntimeError):
    """Every task waits and no timer is set. A bug of what was run: not caught."""


class _Clock:
    """Stands where a selector stands: to wait for a while is to move the time on."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def select(self, timeout_s: float | None) -> list[object]:
        if timeout_s is None:
            raise Deadlock("every task waits and no timer is set")
        self.now_s += timeout_s
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks and timers in order of their time; has no sockets, pipes or threads."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Clock()

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._selector.now_s

    def _process_events(self, event_list: list[object]) -> None:
        """A selector's events become callbacks; this one has none."""

    def _write_to_self(self) -> None:
        """Wakes a selector that waits; this one never does."""


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run `coroutine` from virtual time 0 to its end; returns what it returns.

    Raises:
        Deadlock: it waits for what can never come.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
