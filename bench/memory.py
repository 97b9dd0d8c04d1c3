"""What a producer's process weighs that has imported both SDKs and knows many items.

Measured in a process of its own, started afresh, so that nothing of the bench counts. Others'
logs stay on disk, as in a run: frames are made, taken in, kept in the spool, and forgotten.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

from bench.made_up import accepted_frames, found_frames, made_up_log, made_up_texts
from bench.peers import name_collector, opened_producer
from bench.reporting import Report

SDKS = ("openai", "anthropic")
VERDICTS_BEHIND_FRAMES = 8
STATUS = Path("/proc/self/status")


def measure_memory(report: Report, item_count: int, seed: int) -> None:
    """With the collector's verdicts following close behind, and with no collector at all."""
    for name, with_verdicts in (("with_verdicts", True), ("without_collector", False)):
        before_mb, after_mb, peak_mb = _in_own_process(item_count, seed, with_verdicts)
        report.add(f"producer_imports_{name}_mb", before_mb)
        report.add(f"producer_resident_{name}_mb", after_mb, target="target <= 350")
        report.add(f"producer_resident_peak_{name}_mb", peak_mb, target="target <= 350")


def _in_own_process(item_count: int, seed: int, with_verdicts: bool) -> tuple[float, float, float]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_know, args=(item_count, seed, with_verdicts, theirs))
    process.start()
    theirs.close()
    try:
        before_mb, after_mb, peak_mb = ours.recv()
    finally:
        process.join()
    return before_mb, after_mb, peak_mb


def _know(item_count: int, seed: int, with_verdicts: bool, line: Connection) -> None:
    """Process: a producer hears of `item_count` items; sends its memory before and after."""
    for sdk in SDKS:
        importlib.import_module(sdk)
    line.send(asyncio.run(_hear(item_count, seed, with_verdicts)))


async def _hear(item_count: int, seed: int, with_verdicts: bool) -> tuple[float, float, float]:
    finder, collector = made_up_log(1), made_up_log(9)
    found = found_frames(made_up_texts(item_count, seed), finder)
    accepted = accepted_frames(made_up_texts(item_count, seed), collector, finder)
    with tempfile.TemporaryDirectory() as directory:
        async with opened_producer(Path(directory), "measured") as producer:
            name_collector(producer.node, collector)
            before_mb = _status_mb("VmRSS")
            for number, frame in enumerate(found):
                producer.node.feed_received(frame)
                if with_verdicts and number >= VERDICTS_BEHIND_FRAMES:
                    producer.node.feed_received(next(accepted))
            for frame in accepted if with_verdicts else ():
                producer.node.feed_received(frame)
            assert len(producer.outlook.known) == item_count, len(producer.outlook.known)
            accepted_count = item_count if with_verdicts else 0
            assert len(producer.outlook.known.accepted) == accepted_count, len(
                producer.outlook.known.accepted
            )
            return before_mb, _status_mb("VmRSS"), _status_mb("VmHWM")


def _status_mb(name: str) -> float:
    """A line of Linux's /proc/self/status, which counts in KiB."""
    lines = STATUS.read_text("ascii").splitlines()
    value = next(line for line in lines if line.startswith(f"{name}:"))
    return int(value.split()[1]) * 1024 / 1e6
