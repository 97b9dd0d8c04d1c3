"""Where a node's timers come from: an event loop in a run, a virtual clock in the simulation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """One call that is due later."""

    def cancel(self) -> None:
        """Call it no more; harmless when it has been called."""
        ...


class Clock(Protocol):
    """What a node measures waiting times by. asyncio's loops are clocks."""

    def time(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> Timer:
        """Call `callback(*args)` in `delay` seconds, after everything that is due before."""
        ...


def wall_time_us() -> int:
    """µs since 1970 on this machine's clock."""
    return time.time_ns() // 1000
