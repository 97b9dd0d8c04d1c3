"""A round of talk among peers: when each says what, and the clock readings it hands in.

Both sides of bench/propagation.py, the mesh and bare ZeroMQ, keep to this.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

WARM_UP_S = 1.0
ARRIVALS_WAIT_S = 10.0
"""After the last item was said; what is missing then counts as lost."""

Item = tuple[bytes, int]
"""Its publisher's id and its number there."""


@dataclass(frozen=True, slots=True)
class Round:
    """One side's run, as every peer of it is told."""

    directory: Path
    rate_per_s: float
    """Of each peer."""
    duration_s: float
    """Counted part; the warm-up comes before it."""
    frame_bytes: int
    seed: str


@dataclass(slots=True)
class Times:
    """One peer's clock readings, ns since 1970."""

    said: dict[Item, int] = field(default_factory=dict)
    heard: dict[Item, int] = field(default_factory=dict)


def say_times_s(this_round: Round, peer: int) -> list[float]:
    """Random moments from the start of the round, exponentially spaced."""
    choose = random.Random(f"{this_round.seed}/{peer}")
    times: list[float] = []
    now_s = 0.0
    while True:
        now_s += choose.expovariate(this_round.rate_per_s)
        if now_s >= WARM_UP_S + this_round.duration_s:
            return times
        times.append(now_s)
