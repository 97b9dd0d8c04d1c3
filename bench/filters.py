"""The Bloom filter beside what it stands in for: a set in memory, an index on disk."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from bench.made_up import MODEL, made_up_texts
from bench.reporting import Report
from mesh.core.bloom import BloomFilter
from mesh.core.normalize import item_key
from mesh.storage.database import Batch, ItemRow, RunDatabase

LOOK_UPS = 20_000
"""Keys asked of the index, each way; it is slow."""


def measure_bloom(report: Report, item_count: int, seed: int) -> None:
    """Bytes and time of the filter as nodes use it, grown from its first size."""
    present, absent = _keys(item_count, seed)
    bloom = BloomFilter()
    report.add("bloom_add_us", _us_each(lambda: bloom.update(present), item_count))
    report.add("bloom_per_item_bytes", bloom.byte_count / item_count)
    _measure_look_ups(report, "bloom", bloom, present, absent)
    false_positives = sum(key in bloom for key in absent)
    report.add("bloom_false_positives_ratio", false_positives / item_count, target="stated 0.01")


def measure_set(report: Report, item_count: int, seed: int) -> None:
    """The same of the exact set."""
    present, absent = _keys(item_count, seed)
    exact: set[bytes] = set()

    def add_all() -> None:
        for key in present:
            exact.add(key)

    report.add("set_add_us", _us_each(add_all, item_count))
    size = sys.getsizeof(exact) + sum(map(sys.getsizeof, present))
    report.add("set_per_item_bytes", size / item_count)
    _measure_look_ups(report, "set", exact, present, absent)


def measure_index(report: Report, item_count: int, seed: int) -> None:
    """Look-ups in run.sqlite's index of accepted keys, as the collector makes them."""
    present, absent = _keys(item_count, seed)
    with tempfile.TemporaryDirectory() as directory:
        database = RunDatabase.open(Path(directory) / "run.sqlite")
        try:
            rows = [
                ItemRow(number, key, key.decode(), b"", 1, number, 1, MODEL, 0.0)
                for number, key in enumerate(present, start=1)
            ]
            database.commit(Batch(items=rows))
            for name, keys in (("negative", absent), ("positive", present)):
                look_up = partial(database.ordinals_of, keys[:LOOK_UPS])
                taken_us = _us_each(look_up, min(LOOK_UPS, item_count))
                report.add(f"index_{name}_look_up_us", taken_us)
        finally:
            database.close()


def _measure_look_ups(
    report: Report,
    name: str,
    container: Collection[bytes] | BloomFilter,
    present: Sequence[bytes],
    absent: Sequence[bytes],
) -> None:
    for kind, keys in (("negative", absent), ("positive", present)):

        def look_up(keys: Sequence[bytes] = keys) -> None:
            for key in keys:
                key in container  # noqa: B015 only its time matters

        report.add(f"{name}_{kind}_look_up_us", _us_each(look_up, len(keys)))


def _us_each(work: Callable[[], object], count: int) -> float:
    start_s = time.perf_counter()
    work()
    return (time.perf_counter() - start_s) / count * 1e6


def _keys(item_count: int, seed: int) -> tuple[list[bytes], list[bytes]]:
    """Keys to put in and as many others, both in random order: no look-up follows its add."""
    keys = [item_key(text) for text in made_up_texts(2 * item_count, seed)]
    present, absent = keys[:item_count], keys[item_count:]
    shuffle = random.Random(seed).shuffle
    shuffle(present)
    shuffle(absent)
    return present, absent
