"""An event loop whose clock leaves out what a busy machine takes from it.

Servers, clients and their timers of one test run in one process. When that is held up, by other
processes or by a long turn, all timers would find themselves late at once, and an answer that
takes half a second would have ended before anyone read of it. Here such time has not passed.
"""

from __future__ import annotations

import asyncio
import selectors
import time

TURN_S_MAX = 0.02
"""What passes at most while a turn of the loop is worked off."""

_Ready = list[tuple[selectors.SelectorKey, int]]


class _SteadySelector(selectors.DefaultSelector):
    """Counts what was waited, up to what was to be waited, and turns up to TURN_S_MAX."""

    def __init__(self) -> None:
        super().__init__()
        self._turn_began_s = time.monotonic()
        self._passed_s = self._turn_began_s

    def now_s(self) -> float:
        return self._passed_s + min(time.monotonic() - self._turn_began_s, TURN_S_MAX)

    def select(self, timeout: float | None = None) -> _Ready:
        began_s = self.now_s()
        wait_began_s = time.monotonic()
        ready = super().select(timeout)
        self._turn_began_s = time.monotonic()
        waited_s = self._turn_began_s - wait_began_s
        self._passed_s = began_s + (waited_s if timeout is None else min(waited_s, max(0, timeout)))
        return ready


class SteadyEventLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._steady = _SteadySelector()
        super().__init__(self._steady)

    def time(self) -> float:
        return self._steady.now_s()
