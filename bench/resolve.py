"""How fast names are known again in a long list, what that costs in memory, and what it finds.

Lists are of made-up names (made_up_names.py). To a list of so many, new names come, one in five of
them an earlier one written otherwise; each is resolved and taken in. `found` are the variants that
are said to be the same or put before a judge, `refound` those said to be the same.

Where other work runs beside it, `processor` figures are nearer the truth than those by the clock.
`late` figures tell whether page and mesh stay responsive: how late a timer of an event loop is
while names are resolved in a thread beside it, a batch at a time, as the collector's are;
`idle_late` is the same while nothing is resolved, which is what the machine's other work does.
`growing` bytes are those of the arrays that hold the list; `fixed` is what else the process came to
hold: caches and counted words, which have an upper limit, and the room that arrays keep free.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.made_up_names import made_up_names, variant
from bench.reporting import Report
from mesh.core.resolve import Resolution, Resolver
from mesh.nodes.collecting.verdicts import NAMED_BATCH_ENTRIES_MAX

SIZES = (100_000, 1_000_000)
QUICK_SIZES = (20_000,)
NEW_NAMES = 5_000
QUICK_NEW_NAMES = 1_000
TARGETS = {100_000: ">= 3,000", 1_000_000: ">= 1,000"}
VARIANTS_EVERY = 5
BATCHES_BESIDE = 4
"""Batches that are resolved beside an event loop."""
TICK_S = 0.002
IDLE_S = 1.0


@dataclass(slots=True)
class _Tally:
    """What became of the names that came, by how they were changed."""

    elapsed_s: float = 0.0
    processor_s: float = 0.0
    took_us: list[float] = field(default_factory=list)
    """Processor time of each name."""
    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    refound: Counter[str] = field(default_factory=Counter)
    false_count: int = 0
    """New names that were said to be an earlier one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=0, help="of the names")
    parser.add_argument("--size", type=int, action="append", help="of the list")
    given = parser.parse_args()
    sizes = given.size or (QUICK_SIZES if given.quick else SIZES)
    new_count = QUICK_NEW_NAMES if given.quick else NEW_NAMES
    report = Report("resolve", {"seed": given.seed, "sizes": list(sizes), "new": new_count})
    for size in sizes:
        measure(report, size, new_count, given.seed)
    report.print(as_json=given.json)


def measure(report: Report, size: int, new_count: int, seed: int) -> None:
    """Fill a list to `size` and time what comes then."""
    beside_count = BATCHES_BESIDE * NAMED_BATCH_ENTRIES_MAX
    names = list(made_up_names(size + new_count + beside_count, seed))
    earlier, later, beside = names[:size], names[size:-beside_count], names[-beside_count:]
    coming = _coming(later, earlier[:: max(1, size // new_count)], random.Random(seed))
    place = f"at_{size}"
    resolver = _filled(report, place, earlier)
    _tell_memory(report, place, resolver)
    tally = _Tally()
    for how, text, original in coming:
        _take_in(resolver, how, text, original, tally)
    rate = len(coming) / tally.elapsed_s
    report.add(f"{place}_entries_per_s", rate, target=TARGETS.get(size, ""))
    report.add(f"{place}_entries_per_processor_s", len(coming) / tally.processor_s)
    planted_count = tally.planted.total()
    report.add(f"{place}_found_ratio", tally.found.total() / planted_count, target=">= 0.95")
    report.add(f"{place}_refound_ratio", tally.refound.total() / planted_count)
    report.add(f"{place}_new_taken_for_known_count", tally.false_count)
    for how in sorted(tally.planted):
        report.add(f"{place}_{how}_found_ratio", tally.found[how] / tally.planted[how])
    took_us = sorted(tally.took_us)
    report.add(f"{place}_name_p99_us", _share(took_us, 0.99))
    report.add(f"{place}_name_longest_us", took_us[-1])
    _tell_lateness(report, place, resolver, beside)


def _tell_lateness(report: Report, place: str, resolver: Resolver, texts: Sequence[str]) -> None:
    batches_ms: list[float] = []

    def resolve() -> None:
        for begin in range(0, len(texts), NAMED_BATCH_ENTRIES_MAX):
            started_s = time.perf_counter()
            for text in texts[begin : begin + NAMED_BATCH_ENTRIES_MAX]:
                resolver.add(text, resolver.resolve(text))
            batches_ms.append((time.perf_counter() - started_s) * 1e3)

    idle_ms = asyncio.run(_lateness_ms(lambda: time.sleep(IDLE_S)))
    late_ms = asyncio.run(_lateness_ms(resolve))
    report.add(f"{place}_batch_ms", max(batches_ms))
    for name, figures in (("idle_late", idle_ms), ("late", late_ms)):
        report.add(f"{place}_{name}_p50_ms", _share(figures, 0.5))
        report.add(f"{place}_{name}_p99_ms", _share(figures, 0.99))
        report.add(f"{place}_{name}_longest_ms", figures[-1])


async def _lateness_ms(work: Callable[[], None]) -> list[float]:
    """How late a timer of a loop is while `work` is done in a thread: each time, sorted."""
    loop = asyncio.get_running_loop()
    working = loop.run_in_executor(None, work)
    late_ms: list[float] = []
    while not working.done():
        due_s = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        late_ms.append((loop.time() - due_s) * 1e3)
    await working
    return sorted(late_ms)


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _filled(report: Report, place: str, names: list[str]) -> Resolver:
    """All names added, none resolved, as when a program that knows them starts again."""
    resolver = Resolver()
    held_before_bytes = _held_bytes()
    started_s = time.process_time()
    for name in names:
        resolver.add(name, Resolution())
    add_us = (time.process_time() - started_s) / len(names) * 1e6
    held_bytes = _held_bytes() - held_before_bytes
    report.add(f"{place}_add_us", add_us, target="<= 50")
    report.add(f"{place}_entry_bytes", held_bytes / len(names), target="<= 600")
    report.add(f"{place}_fixed_mb", (held_bytes - resolver.byte_count) / 1e6)
    return resolver


def _tell_memory(report: Report, place: str, resolver: Resolver) -> None:
    report.add(f"{place}_growing_entry_bytes", resolver.byte_count / len(resolver))
    report.add(f"{place}_index_entry_bytes", resolver.index.byte_count / len(resolver))


def _held_bytes() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def _take_in(resolver: Resolver, how: str | None, text: str, original: str, tally: _Tally) -> None:
    """Resolve and add one name; what it was taken for is looked up off the clock."""
    elapsed_s, processor_s = time.perf_counter(), time.process_time()
    resolution = resolver.resolve(text)
    resolver.add(text, resolution)
    took_s = time.process_time() - processor_s
    tally.processor_s += took_s
    tally.took_us.append(took_s * 1e6)
    tally.elapsed_s += time.perf_counter() - elapsed_s
    if how is None:
        tally.false_count += resolution.number is not None
        return
    same = () if resolution.number is None else resolver.members(resolution.number)
    is_refound = original in map(resolver.text, same)
    doubted = (resolver.text(doubt.number) for doubt in resolution.doubts)
    tally.planted[how] += 1
    tally.refound[how] += is_refound
    tally.found[how] += is_refound or original in doubted


def _coming(
    new: list[str], earlier: list[str], source: random.Random
) -> list[tuple[str | None, str, str]]:
    """(how it was changed, text, what it was made of): None for new names."""
    coming: list[tuple[str | None, str, str]] = []
    originals = iter(earlier)
    for number, name in enumerate(new):
        if number % VARIANTS_EVERY:
            coming.append((None, name, ""))
            continue
        for original in originals:
            if changed := variant(original, source):
                coming.append((changed[0], changed[1], original))
                break
    return coming


if __name__ == "__main__":
    main()
