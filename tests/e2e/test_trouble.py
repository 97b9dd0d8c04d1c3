"""What goes wrong around a run: no network, no room on the disk, a death at a bad moment."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mesh.config import SimulatorSettings
from mesh.core.entries import CallFinished, CallStarted, Found, Rejected, Repeat
from mesh.simulation.server import serve
from tests.e2e.running import (
    ROOT,
    Run,
    assert_nothing_lost_or_doubled,
    clean_environment,
    eventually,
    node_logs,
    node_process,
    said_entries,
    start_run,
)
from tests.patience import PATIENCE_S

PARIS = "Paris attractions"


def test_a_network_that_is_down_is_waited_for_and_said(tmp_path: Path, held_port: int) -> None:
    model = f"atlas@http://127.0.0.1:{held_port}/v1"
    run = start_run(tmp_path, PARIS, "--model", model, "--peers", "2", page_port="0")
    (notice,) = eventually(lambda: run.get("api/metrics")["notices"], "the notice on the page")
    assert model in notice
    assert "waiting" in notice
    assert run.get("api/metrics")["state"] == "running"
    run.await_said(f"note: {re.escape(model)}: .*; waiting")
    with _simulator_at(held_port):
        eventually(run.lines, "entries once the network is back")
        eventually(lambda: run.get("api/metrics")["notices"] == [], "the notice to go")
        run.signal_group()
        assert run.wait() == 0
    assert "given up" not in run.said
    assert_nothing_lost_or_doubled(run)


def test_a_notice_goes_when_nobody_calls_its_model_any_more(
    tmp_path: Path, simulator_url: str, held_port: int
) -> None:
    absent, present = f"atlas@http://127.0.0.1:{held_port}/v1", f"atlas@{simulator_url}/v1"
    run = start_run(tmp_path, PARIS, "--model", absent, "--model", present, page_port="0")
    eventually(lambda: run.get("api/metrics")["notices"], "the notice")
    for number in (1, 3, 5):
        wish = {"action": "set_model", "node": f"producer-{number}", "model": present}
        eventually(lambda: run.control(**wish)[0] == 200, "a producer that has joined")  # noqa: B023
    eventually(lambda: run.get("api/metrics")["notices"] == [], "the notice to go")
    run.signal_group()
    assert run.wait() == 0


def test_a_collector_killed_while_producers_hand_over_is_waited_for(tmp_path: Path) -> None:
    run = start_run(tmp_path, PARIS, "--peers", "3", time_scale=5)
    eventually(lambda: len(run.lines()) > 30, "entries")
    collector = node_process(run, "collector")
    collector.suspend()
    stored = len(run.lines())
    eventually(lambda: len(said_entries(run)) > stored + 10, "entries it has not got")
    run.signal_group()
    eventually(lambda: _calls_under_way(run) == 0, "all calls to be cut")
    collector.kill()
    assert run.wait() == 0
    assert "collector died" in run.said
    assert "hand over" not in run.said
    assert_nothing_lost_or_doubled(run)
    assert run.children() == []


def test_numbers_of_a_run_with_deaths_are_those_of_its_logs(tmp_path: Path) -> None:
    """Counted twice or not at all shows here: the page, the database and the logs agree."""
    began_s = time.monotonic()
    run = start_run(tmp_path, PARIS, "--peers", "3", time_scale=5)
    for enough in (30, 80):
        _await_entries(run, enough)
        node_process(run, "collector").kill()
    _await_entries(run, 120)
    node_process(run, "producer-2").kill()
    run.signal_group()
    assert run.wait() == 0
    took_s = time.monotonic() - began_s
    assert_nothing_lost_or_doubled(run)
    first_s = _elapsed_s(run)
    assert 0 < first_s < took_s, "the deaths of the collector counted time twice"

    again = start_run(tmp_path, PARIS, "--peers", "1", "--target", str(len(run.lines()) + 10))
    assert again.wait() == 0
    assert first_s < _elapsed_s(again) < time.monotonic() - began_s
    with _viewed(again) as page:
        shown = page.get("api/metrics")
        assert (shown["state"], shown["unique_total"]) == ("stopped", len(again.lines()))
        assert "target" in shown["stop_reason"]
        assert 0 < len(shown["history"]) <= 600
        assert _totals(shown["models"]) == _totals_in_logs(again)
        assert shown["cost_usd"] == pytest.approx(_cost_in_logs(again), abs=2e-6)
        assert page.control(action="pause")[0] == 409
        listed = page.get("api/items?limit=5")["items"]
        assert [item["text"] for item in listed] == again.lines()[:5]


def test_a_full_disk_is_waited_for_and_nothing_is_lost(small_disk: Path) -> None:
    run = start_run(small_disk, PARIS, "--peers", "2", time_scale=5, page_port="0")
    eventually(lambda: _said_by(run, "producer-1") and _said_by(run, "producer-2"), "entries")
    with _filled(small_disk):
        notices = eventually(lambda: run.get("api/metrics")["notices"], "the notice on the page")
        assert any("cannot store" in notice for notice in notices)
        producers = "producer-1", "producer-2"
        for label in producers:
            _await_state(run, label, "cannot write")
        assert run.process.poll() is None
        written = len(run.lines())
    eventually(lambda: run.get("api/metrics")["notices"] == [], "the notice to go")
    eventually(lambda: len(run.lines()) > written, "entries once there is room")
    run.signal_group()
    assert run.wait() == 0
    assert run.said.count("cannot write its log") == len(producers), "said once, not every second"
    assert "can write its log again" in run.said
    assert_nothing_lost_or_doubled(run)


def test_a_run_on_a_disk_that_stays_full_ends_when_told_and_says_so(small_disk: Path) -> None:
    run = start_run(small_disk, PARIS, "--peers", "2", time_scale=5, page_port="0")
    eventually(lambda: len(run.lines()) > 20, "entries")
    with _filled(small_disk):
        eventually(lambda: run.get("api/metrics")["notices"], "the notice")
        run.signal_group()
        assert run.wait() == 1
        assert "same command" in run.said
        assert run.children() == []
    again = start_run(small_disk, PARIS, "--peers", "1", "--target", "60")
    assert again.wait() == 0
    assert_nothing_lost_or_doubled(again)


def test_with_the_disk_full_and_the_supervisor_killed_no_process_stays(small_disk: Path) -> None:
    run = start_run(small_disk, PARIS, "--peers", "2", time_scale=5, page_port="0")
    eventually(lambda: _said_by(run, "producer-1") and _said_by(run, "producer-2"), "entries")
    with _filled(small_disk):
        for label in ("producer-1", "producer-2"):
            _await_state(run, label, "cannot write")
        run.process.kill()
        run.wait()
        eventually(lambda: run.children() == [], "no process left")


def test_a_node_that_cannot_start_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    start_run(tmp_path, PARIS, "--peers", "1", "--target", "10").wait()
    identity = tmp_path / "run" / "nodes" / "producer-1" / "node.json"
    identity.unlink()
    identity.mkdir()
    run = start_run(tmp_path, PARIS, "--peers", "2", time_scale=1)
    assert run.wait() == 1
    assert "producer-1 does not start: IsADirectoryError" in run.said
    assert run.children() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system of its own, small enough to be filled."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(tmp_path)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@contextlib.contextmanager
def _filled(disk: Path) -> Iterator[None]:
    """No room is left on `disk`."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def _simulator_at(port: int) -> Iterator[None]:
    """Simulated models on this port, in a thread of their own."""
    listening = threading.Event()
    loop = asyncio.new_event_loop()
    settings = SimulatorSettings(port=port, topic=PARIS, time_scale=20)
    serving = loop.create_task(serve(settings, lambda _: listening.set()))

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert listening.wait(timeout=PATIENCE_S)
        yield
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(timeout=PATIENCE_S)


@contextlib.contextmanager
def _viewed(run: Run) -> Iterator[Run]:
    """The page of a finished run, by `view`."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_mesh.py"), "view", "run", "--port", "0"],
        cwd=run.directory,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().split()[0]
    page = Run(run.directory, process, run.run_dir, run.output, [f"page: {url}"])
    try:
        yield page
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 0


def _calls_under_way(run: Run) -> int:
    """Calls of living and dead nodes whose end is not in their logs."""
    entries = [entry for log in node_logs(run).values() for entry in log]
    started = sum(isinstance(entry, CallStarted) for entry in entries)
    return started - sum(isinstance(entry, CallFinished) for entry in entries)


def _await_entries(run: Run, count: int) -> None:
    eventually(lambda: len(run.lines()) > count, f"{count} entries")


def _await_state(run: Run, label: str, state: str) -> None:
    """Return when the page shows `label` with a state that contains `state`."""

    def shown() -> bool:
        peers = run.get("api/peers")["peers"]
        return any(peer["node"] == label and state in peer["state"] for peer in peers)

    eventually(shown, f"{label}: {state}")


def _said_by(run: Run, label: str) -> bool:
    return bool(said_entries(run, label))


def _elapsed_s(run: Run) -> float:
    return float(run.query("SELECT value FROM meta WHERE name = 'elapsed_s'")[0][0])


def _totals(models: list[dict[str, Any]]) -> dict[str, tuple[int, int, int, int]]:
    """(generated, rejected, calls, output tokens) of each model."""
    names = ("generated_total", "rejected_total", "calls_total", "output_tokens")
    totals = {each["model"]: tuple(each[name] for name in names) for each in models}
    # A model whose only call was killed has nothing to count.
    return {model: counts for model, counts in totals.items() if any(counts)}


def _totals_in_logs(run: Run) -> dict[str, tuple[int, int, int, int]]:
    generated: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for entry in (entry for log in node_logs(run).values() for entry in log):
        if isinstance(entry, Found | Repeat | Rejected):
            generated[entry.model] += 1
            rejected[entry.model] += isinstance(entry, Rejected)
        elif isinstance(entry, CallFinished):
            calls[entry.model] += 1
            tokens[entry.model] += entry.output_tokens
    return {
        model: (generated[model], rejected[model], calls[model], tokens[model])
        for model in {*generated, *calls}
    }


def _cost_in_logs(run: Run) -> float:
    entries = [entry for log in node_logs(run).values() for entry in log]
    return sum(entry.cost_usd or 0 for entry in entries if isinstance(entry, CallFinished))
