"""What a running process takes, as Linux's /proc states it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One process at one moment."""

    proportional_mb: float
    """Its own memory and its share of what it shares with others (PSS)."""
    descriptors_count: int


def figures_of(process_id: int) -> ProcessFigures:
    """Takes the kernel some milliseconds: it looks at every page."""
    process = Path("/proc") / str(process_id)
    rollup = (process / "smaps_rollup").read_text("ascii").splitlines()
    proportional = next(line for line in rollup if line.startswith("Pss:"))
    return ProcessFigures(
        int(proportional.split()[1]) * 1024 / 1e6, len(list((process / "fd").iterdir()))
    )


def processor_s(process_id: int) -> float:
    """User and system time since it began."""
    stat = (Path("/proc") / str(process_id) / "stat").read_text("ascii")
    # The name in brackets may hold spaces; what follows is numbers. man 5 proc.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS_PER_S
