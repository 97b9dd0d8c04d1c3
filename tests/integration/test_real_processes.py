"""The processes of a run under bench leave when the bench ends, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.eventually import eventually
from tests.patience import PATIENCE_S

CHECKOUT = Path(__file__).resolve().parents[2]
PRODUCERS = 2
PROCESSES = 2 + PRODUCERS
"""The simulator and a collector beside them."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_no_process_outlives_a_bench_that_is_ended(
    tmp_path: Path, number: signal.Signals
) -> None:
    # Whoever was started in the background ignores it, and would have the bench ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    words = ("--modes", "all", "--time-scale", "1", "--producers", str(PRODUCERS))
    bench = subprocess.Popen(  # noqa: ASYNC220 started, not awaited
        [sys.executable, "bench/real_modes.py", *words],
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        started = psutil.Process(bench.pid)
        await eventually(lambda: len(started.children()) == PROCESSES)
        children = started.children()
        bench.send_signal(number)
        await asyncio.to_thread(bench.wait, PATIENCE_S)
        await eventually(lambda: not any(_runs(child) for child in children))
    finally:
        bench.kill()
        bench.wait()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
