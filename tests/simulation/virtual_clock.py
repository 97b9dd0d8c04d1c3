"""Time that passes only from one due call to the next.

What is due first is called first, what is due at the same moment in the order in which it was
asked for: a run depends on nothing but its seed. Each process has timers of its own, so that it
can stand still (its calls wait) or be killed (they never come) while the world goes on.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable


class VirtualTimer:
    """One call that is due later."""

    __slots__ = ("args", "callback", "process")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[object, ...],
        process: ProcessTimers | None,
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.process = process

    def cancel(self) -> None:
        self.callback = None
        self.args = ()


class VirtualClock:
    """The world's own time, in seconds since its beginning."""

    def __init__(self) -> None:
        self.called_count = 0
        """Calls made so far."""
        self._now_s = 0.0
        self._asked_count = 0
        self._due: list[tuple[float, int, VirtualTimer]] = []

    def time(self) -> float:
        return self._now_s

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: object
    ) -> VirtualTimer:
        return self.put(delay, VirtualTimer(callback, args, None))

    def put(self, delay: float, timer: VirtualTimer) -> VirtualTimer:
        self._asked_count += 1
        due_s = self._now_s + delay if delay > 0.0 else self._now_s
        heapq.heappush(self._due, (due_s, self._asked_count, timer))
        return timer

    def run_until(self, end_s: float) -> None:
        """Make every call that is due up to `end_s`, also those that these calls ask for."""
        due = self._due
        while due and due[0][0] <= end_s:
            self._now_s, _, timer = heapq.heappop(due)
            callback = timer.callback
            if callback is None:
                continue
            process = timer.process
            if process is not None and process.is_held:
                process.hold(timer)
                continue
            self.called_count += 1
            callback(*timer.args)
        self._now_s = max(self._now_s, end_s)


class ProcessTimers:
    """The timers of one process."""

    __slots__ = ("_clock", "_ended", "_held", "is_held")

    def __init__(self, clock: VirtualClock) -> None:
        self.is_held = False
        """Calls do not happen now: the process stands still, or is gone."""
        self._clock = clock
        self._ended = False
        self._held: list[VirtualTimer] = []

    def time(self) -> float:
        return self._clock._now_s

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: object
    ) -> VirtualTimer:
        return self._clock.put(delay, VirtualTimer(callback, args, self))

    def hold(self, timer: VirtualTimer) -> None:
        """A call was due while it could not happen."""
        if not self._ended:
            self._held.append(timer)

    def pause(self) -> None:
        self.is_held = True

    def resume(self) -> None:
        """Make up for the calls that were due, in order, and go on."""
        if self._ended:
            return
        self.is_held = False
        held, self._held = self._held, []
        for timer in held:
            self._clock.put(0.0, timer)

    def end(self) -> None:
        """Never call anything again."""
        self.is_held = self._ended = True
        self._held = []
