"""What every bench prints: its conditions, its figures with their spread, one line of JSON.

A figure is the median of its samples; smallest and largest stand beside it in the table and in
the JSON as `figures` of their own. How long to run and what to measure is each bench's matter;
whether a figure is good enough is nobody's here: exit status 0 says that the bench ran.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
UNITS = ("_per_s", "_ms", "_us", "_s", "_count", "_ratio", "_usd", "_bytes", "_mb")
"""How a figure's name ends; `_mb` are 10^6 bytes."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a bench was asked to run."""

    quick: bool
    """Fewer and shorter repetitions: done within a minute, figures rougher."""
    as_json: bool
    seed: int
    entry_count: int | None = None
    """How many entries there are to be, where a bench lets one say; None: as many as usual."""


def parse_options(description: str, *, with_entries: bool = False) -> Options:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=0, help="of the data and the schedule")
    if with_entries:
        parser.add_argument("--entries", type=int, help="entries of the run")
    given = parser.parse_args()
    return Options(given.quick, given.json, given.seed, given.entries if with_entries else None)


@dataclass(slots=True)
class Report:
    """The figures of one bench, in the order in which they were taken."""

    bench: str
    settings: dict[str, Any]
    _samples: dict[str, list[float]] = field(default_factory=dict)
    _targets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = {**self.settings, **machine()}

    def add(self, name: str, *samples: float, target: str = "") -> None:
        """Take samples of the figure `name`, more of them on later calls.

        Args:
            name: ends in its unit, e.g. `known_by_all_p50_ms`.
            target: what is aimed at, e.g. "<= 1", for the reader's eye only.
        """
        assert name.endswith(UNITS), f"{name} does not end in a unit"
        self._samples.setdefault(name, []).extend(samples)
        if target:
            self._targets[name] = target

    def figures(self) -> dict[str, float]:
        """Each figure's median; where it was repeated also its smallest and largest sample."""
        figures: dict[str, float] = {}
        for name, samples in self._samples.items():
            figures[name] = _rounded(statistics.median(samples))
            if len(samples) > 1:
                unit = next(unit for unit in UNITS if name.endswith(unit))
                stem = name.removesuffix(unit)
                figures[f"{stem}_smallest{unit}"] = _rounded(min(samples))
                figures[f"{stem}_largest{unit}"] = _rounded(max(samples))
        return figures

    def print(self, *, as_json: bool, also: Mapping[str, Any] | None = None) -> None:
        """Print the table, and below it, when asked for, the JSON object on one line.

        Args:
            also: further figures of the JSON object, under the names that others ask for.
        """
        commit = commit_name()
        print(f"{self.bench}  commit {commit}")
        print("  " + ", ".join(f"{name} {value}" for name, value in self.settings.items()))
        width = max(map(len, self._samples))
        for name, samples in self._samples.items():
            print(f"  {name:<{width}}  {_spread(samples)}  {self._targets.get(name, '')}".rstrip())
        if as_json:
            print(json.dumps(self._contract(commit, also or {})), flush=True)

    def _contract(self, commit: str, also: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "bench": self.bench,
            "commit": commit,
            "settings": self.settings,
            "figures": {**self.figures(), **also},
        }


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile of at least one value, `share` in [0, 1]."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def commit_name() -> str:
    """The checkout's commit, with `-dirty` when files differ from it; "unknown" without git."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=10", "--match="],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def machine() -> dict[str, Any]:
    """What stands beside every figure: another machine, or a busier one, gives others.

    Taken before the bench begins, so that the load average is not its own.
    """
    return {
        "core_count": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _spread(samples: Sequence[float]) -> str:
    median = f"{_rounded(statistics.median(samples)):>12,}"
    if len(samples) == 1:
        return median
    low, high = _rounded(min(samples)), _rounded(max(samples))
    return f"{median}  ({low:,} .. {high:,}, n={len(samples)})"


def _rounded(value: float) -> float:
    """Four significant digits, all digits before the point."""
    return round(value) if abs(value) >= 1000 else float(f"{value:.4g}")
