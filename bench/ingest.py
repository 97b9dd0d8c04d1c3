"""How fast nodes take entries in, what a million known items weigh, what the Bloom filter is for.

Four parts, each printing its own figures:
- a producer's intake: frames as they come off the wire until their items are known, for entries
  that are new, known already, and for the mix of a real run, where the collector's verdict, with
  the same text, follows each new entry;
- the collector's: frames until run.sqlite and output.txt hold them durably;
- memory: a producer's process that has imported both SDKs and knows a million items;
- the Bloom filter against a Python set in memory and against run.sqlite's index on disk.

Every repetition starts from fresh nodes; sides that are compared take turns within one call.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.collector_intake import LooksUpEveryKey, fill, open_intake, take_in
from bench.filters import measure_bloom, measure_index, measure_set
from bench.made_up import accepted_frames, found_frames, made_up_log, made_up_texts
from bench.memory import measure_memory
from bench.peers import name_collector, opened_producer
from bench.reporting import Report, parse_options
from mesh.core.bloom import BloomFilter
from mesh.wire.codec import FRAME_ENTRIES_MAX

FINDER, REPEATER, COLLECTOR = made_up_log(1), made_up_log(2), made_up_log(9)


async def measure_producer(report: Report, entry_count: int, seed: int) -> None:
    """One repetition: the same entries as new, as known, and with their verdicts between them."""
    new = list(found_frames(made_up_texts(entry_count, seed), FINDER))
    known = list(found_frames(made_up_texts(entry_count, seed), REPEATER))
    verdicts = list(accepted_frames(made_up_texts(entry_count, seed), COLLECTOR, FINDER))
    mixed = [frame for pair in zip(new, verdicts, strict=True) for frame in pair]
    report.add(
        "producer_new_entries_per_s",
        entry_count / await _producer_takes_s([], new, entry_count),
        target="target >= 50,000",
    )
    report.add(
        "producer_known_entries_per_s",
        entry_count / await _producer_takes_s(new, known, entry_count),
        target="target >= 100,000",
    )
    report.add(
        "producer_with_verdicts_entries_per_s",
        2 * entry_count / await _producer_takes_s([], mixed, entry_count),
    )


async def _producer_takes_s(
    before: Sequence[bytes], timed: Sequence[bytes], known_count: int
) -> float:
    """Seconds that a fresh producer needs for the `timed` frames after those `before`."""
    with tempfile.TemporaryDirectory() as directory:
        async with opened_producer(Path(directory), "measured") as producer:
            name_collector(producer.node, COLLECTOR)
            for frame in before:
                producer.node.feed_received(frame)
            start_s = time.perf_counter()
            for frame in timed:
                producer.node.feed_received(frame)
            taken_s = time.perf_counter() - start_s
            assert len(producer.outlook.known) == known_count, (
                len(producer.outlook.known),
                known_count,
            )
            assert not producer.node.dropped, producer.node.dropped
            return taken_s


async def measure_collector(report: Report, held_count: int, entry_count: int, seed: int) -> None:
    """One repetition, on a database that holds `held_count` items: every entry new; a fifth of
    them known, with the filter and with every key looked up."""
    held = list(made_up_texts(held_count, seed))
    new = list(made_up_texts(entry_count, seed, first=held_count))
    # Every fifth entry stands in the database already.
    mixed = [held[n % held_count] if n % 5 == 0 else text for n, text in enumerate(new)]
    for name, texts, bloom in (
        ("collector_durable_new_entries_per_s", new, BloomFilter()),
        ("collector_durable_mixed_entries_per_s", mixed, BloomFilter()),
        ("collector_without_filter_new_entries_per_s", new, LooksUpEveryKey()),
        ("collector_without_filter_mixed_entries_per_s", mixed, LooksUpEveryKey()),
    ):
        with tempfile.TemporaryDirectory() as directory:
            async with open_intake(Path(directory), bloom) as collector:
                await fill(collector, held)
                taken_s = await take_in(collector, texts)
        filtered = "without" not in name
        report.add(name, entry_count / taken_s, target="target >= 20,000" if filtered else "")


def main() -> None:
    options = parse_options(__doc__ or "")
    quick, seed = options.quick, options.seed
    repetitions = 2 if quick else 7
    entry_count = 6_400 if quick else 102_400
    held_count = 10_000 if quick else 200_000
    filter_items = 20_000 if quick else 1_000_000
    known_items = 50_000 if quick else 1_000_000
    report = Report(
        "ingest",
        {
            "repetitions": repetitions,
            "entries": entry_count,
            "frame_entries": FRAME_ENTRIES_MAX,
            "collector_held": held_count,
            "filter_items": filter_items,
            "memory_items": known_items,
            "seed": seed,
        },
    )
    for _ in range(repetitions):
        asyncio.run(measure_producer(report, entry_count, seed))
    for _ in range(2 if quick else 3):
        asyncio.run(measure_collector(report, held_count, entry_count, seed))
    measure_memory(report, known_items, seed)
    for _ in range(1 if quick else 3):
        measure_bloom(report, filter_items, seed)
        measure_set(report, filter_items, seed)
    measure_index(report, filter_items, seed)
    report.print(as_json=options.as_json)


if __name__ == "__main__":
    main()
