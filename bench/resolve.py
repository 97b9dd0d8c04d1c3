"""How fast names are known again in a long list, what that costs in memory, and what it finds.

Lists are of made-up names (made_up_names.py). To a list of so many, new names come, one in five of
them an earlier one written otherwise; each is resolved and taken in. `found` are the variants that
are said to be the same or put before a judge, `refound` those said to be the same.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.made_up_names import made_up_names, variant
from bench.reporting import Report
from mesh.core.resolve import Resolution, Resolver

SIZES = (100_000, 1_000_000)
QUICK_SIZES = (20_000,)
NEW_NAMES = 5_000
QUICK_NEW_NAMES = 1_000
TARGETS = {100_000: ">= 3,000", 1_000_000: ">= 1,000"}
VARIANTS_EVERY = 5


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
    process = psutil.Process()
    source = random.Random(seed)
    names = list(made_up_names(size + new_count, seed))
    earlier, later = names[:size], names[size:]
    gc.collect()
    before_bytes = process.memory_info().rss
    resolver = Resolver()
    for name in earlier:
        resolver.add(name, Resolution())
    gc.collect()
    held_bytes = process.memory_info().rss - before_bytes
    coming = _coming(later, earlier[:: max(1, size // new_count)], source)
    seconds, found, refound, planted, false_count = (
        0.0,
        Counter[str](),
        Counter[str](),
        Counter[str](),
        0,
    )
    for how, text, original in coming:
        started = time.perf_counter()
        resolution = resolver.resolve(text)
        resolver.add(text, resolution)
        seconds += time.perf_counter() - started
        if how is None:
            false_count += resolution.number is not None
            continue
        planted[how] += 1
        same = (
            {}
            if resolution.number is None
            else {resolver.text(number) for number in resolver.members(resolution.number)}
        )
        refound[how] += original in same
        found[how] += original in same or any(
            resolver.text(doubt.number) == original for doubt in resolution.doubts
        )
    place = f"at_{size}"
    report.add(f"{place}_entries_per_s", len(coming) / seconds, target=TARGETS.get(size, ""))
    report.add(f"{place}_entry_bytes", held_bytes / size, target="<= 600")
    report.add(f"{place}_index_entry_bytes", resolver.index.byte_count / len(resolver))
    report.add(f"{place}_found_ratio", found.total() / planted.total(), target=">= 0.95")
    report.add(f"{place}_refound_ratio", refound.total() / planted.total())
    report.add(f"{place}_new_taken_for_known_count", false_count)
    for how in sorted(planted):
        report.add(f"{place}_{how}_found_ratio", found[how] / planted[how])


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
