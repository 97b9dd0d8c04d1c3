"""The simulator's own time, which runs faster than the machine's by a factor."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


def _loop_s() -> float:
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class SimulatedClock:
    """Begins at 0 when it is made, so that a server's minutes do not depend on when it started."""

    time_scale: float
    """Simulated seconds in a real one."""
    began_s: float = field(default_factory=_loop_s)
    """By the running event loop's clock."""

    def now_s(self) -> float:
        """Simulated seconds."""
        return (_loop_s() - self.began_s) * self.time_scale
