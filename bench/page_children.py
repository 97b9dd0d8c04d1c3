"""Starts and ends the processes of the page's bench: the one that serves, and those that read."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.reporting import CHECKOUT

END_S = 20.0
SETTLE_S = 2.0


class Child:
    """A process that answers each line of JSON with one."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._measured = psutil.Process(self._process.pid)

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a process of the bench ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **wish: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        return self.hear()

    def processor_s(self) -> float:
        """User and system time of all its threads since it began."""
        times = self._measured.cpu_times()
        return float(times.user + times.system)

    def end(self) -> None:
        """Close its input, which tells it to end; what it says last can still be heard."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def ended(self) -> None:
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


@dataclass(frozen=True, slots=True)
class ServedRun:
    """A made-up run and where its page is."""

    child: Child
    url: str

    def go_on(self, entries_per_s: float) -> int:
        """Have so many entries come from now on; return how many are stored."""
        return int(self.child.ask(entries_per_s=entries_per_s)["unique_total"])

    def processor_share(self, measured_s: float) -> float:
        """What its process takes of one core, over the next `measured_s`."""
        started_s, before_s = time.monotonic(), self.child.processor_s()
        time.sleep(measured_s)
        return (self.child.processor_s() - before_s) / (time.monotonic() - started_s)


@contextmanager
def served_run(
    directory: Path,
    *,
    entries_count: int,
    producers_count: int,
    seed: int,
    public_url: str | None = None,
) -> Iterator[ServedRun]:
    """A process that serves a made-up run in `directory`, which is new; nothing comes yet."""
    directory.mkdir()
    sizes = ("--entries", str(entries_count), "--producers", str(producers_count))
    address = ("--public-url", public_url) if public_url else ()
    child = Child("bench.page_collector", str(directory), *sizes, "--seed", str(seed), *address)
    try:
        yield ServedRun(child, child.hear()["url"])
    finally:
        child.end()
        child.ended()


@dataclass(slots=True)
class Reading:
    """What the readers got, known once they have ended."""

    told: dict[str, Any]


@contextmanager
def open_pages(run: ServedRun, pages_count: int) -> Iterator[Reading]:
    """Have `pages_count` pages open that show nothing; settled when this begins."""
    reading = Reading({})
    if not pages_count:
        yield reading
        return
    child = Child("bench.page_readers", run.url, str(pages_count))
    try:
        assert child.hear()["open"] == pages_count
        time.sleep(SETTLE_S)
        yield reading
        child.end()
        reading.told = child.hear()
        assert reading.told["open"] == pages_count, "the server has dropped a page"
    finally:
        child.end()
        child.ended()
