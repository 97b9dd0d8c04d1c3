"""What a user can tell a run while it goes on, and what it was told at the start."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from mesh.core.entries import CallStarted, Found, Repeat
from mesh.core.normalize import item_key
from tests.e2e.running import (
    Run,
    assert_nothing_lost_or_doubled,
    eventually,
    node_logs,
    node_process,
    start_run,
)
from tests.patience import PATIENCE_S

PARIS = "Paris attractions"
QUIET_S = 1.5
"""Of the run's own time: several calls' worth at the time scales used here."""
ON_ITS_WAY_MS = 50
"""A peer's entry that was accepted this long before a call is in its prompt, also on a loaded
machine."""


def test_a_paused_run_makes_no_call_until_it_is_resumed(tmp_path: Path) -> None:
    run = start_run(tmp_path, PARIS, "--peers", "3", time_scale=10, page_port="0")
    eventually(lambda: len(run.lines()) > 20, "entries")
    assert run.control(action="pause") == (200, {"ok": True, "reason": None})
    _await_quiet(run)
    called = _call_count(run)
    _let_run_time_pass(run, QUIET_S)
    assert _call_count(run) == called
    assert run.get("api/metrics")["state"] == "paused"
    status, answer = run.control(action="pause")
    assert (status, answer["ok"]) == (409, False)
    assert run.control(action="resume")[0] == 200
    eventually(lambda: _call_count(run) > called, "calls after the resumption")
    assert run.control(action="stop")[0] == 200
    assert run.wait() == 0
    assert "stopped from the page" in run.said
    assert_nothing_lost_or_doubled(run)


def test_a_run_stays_paused_when_its_collector_dies(tmp_path: Path) -> None:
    run = start_run(tmp_path, PARIS, "--peers", "2", time_scale=10, page_port="0")
    eventually(lambda: len(run.lines()) > 10, "entries")
    run.control(action="pause")
    _await_quiet(run)
    called = _call_count(run)
    victim = node_process(run, "collector")
    victim.kill()
    successor = node_process_after(run, "collector", victim.pid)
    epochs = "SELECT count(DISTINCT epoch) FROM own_log"
    eventually(lambda: run.query(epochs) == [(2,)], "the successor's first words")
    elapsed = "SELECT value FROM meta WHERE name = 'elapsed_s'"
    since_s = float(run.query(elapsed)[0][0])
    eventually(lambda: float(run.query(elapsed)[0][0]) > since_s + QUIET_S, "time to pass")
    assert successor.is_running()
    assert run.query("SELECT value FROM meta WHERE name = 'state'") == [("paused",)]
    assert _call_count(run) == called
    run.signal_group()
    assert run.wait() == 0


def test_a_producer_given_another_model_calls_it_alone_and_so_do_its_successors(
    tmp_path: Path,
) -> None:
    run = start_run(
        tmp_path, PARIS, "--peers", "2", time_scale=10, page_port="0", usual_models=True
    )
    eventually(run.lines, "entries")
    eventually(lambda: _models_called_since(run, "producer-1", 0), "its first call")
    assert _models_called_since(run, "producer-1", 0) == {"simulated:atlas"}
    assert run.control(action="set_model", node="producer-1", model="simulated:haiku")[0] == 200
    eventually(lambda: _peer(run, "producer-1")["model"] == "simulated:haiku", "the new model")
    told_ms = time.time_ns() // 1_000_000
    eventually(lambda: _models_called_since(run, "producer-1", told_ms), "its next call")
    assert _models_called_since(run, "producer-1", told_ms) == {"simulated:haiku"}
    for node, model in (("producer-9", "simulated:atlas"), ("producer-1", "openai:gpt-4o")):
        status, answer = run.control(action="set_model", node=node, model=model)
        assert status == 409
        assert (node if node == "producer-9" else model) in answer["reason"]

    collector, producer = node_process(run, "collector"), node_process(run, "producer-1")
    collector.kill()
    producer.kill()
    node_process_after(run, "producer-1", producer.pid)
    killed_ms = time.time_ns() // 1_000_000
    eventually(lambda: _models_called_since(run, "producer-1", killed_ms), "calls of its successor")
    assert _models_called_since(run, "producer-1", killed_ms) == {"simulated:haiku"}
    run.signal_group()
    assert run.wait() == 0
    assert_nothing_lost_or_doubled(run)


def test_excluded_entries_are_in_every_prompt_and_never_in_the_output(
    tmp_path: Path, simulator_url: str
) -> None:
    excluded = ["EIFFEL TOWER", "the louvre", "Louvre Museum", "Notre-Dame de Paris", "Sacré-Cœur"]
    (tmp_path / "known.txt").write_text("".join(f"- {name}\n" for name in excluded), "utf-8")
    model = f"atlas@{simulator_url}/v1"
    words = (PARIS, "--model", model, "--peers", "2", "--target", "150", "--exclude", "known.txt")
    run = start_run(tmp_path, *words)
    assert run.wait() == 0
    assert not {"Louvre", "The Louvre", "Eiffel Tower"} & set(run.lines())
    found = {item_key(line) for line in run.lines()}
    assert len(found) >= 150
    assert not found & {item_key(name) for name in excluded}
    calls = [call for call in _books(simulator_url, "calls") if call["entry_count"]]
    assert min(call["listed_count"] for call in calls) >= 4
    again = start_run(tmp_path, *words[:-4], "--target", "180")
    assert again.wait() == 0, "without the option what was excluded once stays so"
    found = {item_key(line) for line in again.lines()}
    assert not found & {item_key(name) for name in excluded}
    assert_nothing_lost_or_doubled(again)


def test_a_prompt_carries_what_every_peer_has_found(tmp_path: Path) -> None:
    """A listed entry is seldom written again; what peers found meanwhile cannot be listed."""
    run = start_run(tmp_path, PARIS, "--peers", "3", "--target", "320", time_scale=10)
    assert run.wait() == 0
    (started_ms,) = run.query("SELECT value FROM meta WHERE name = 'started_ms'")[0]
    rows = run.query("SELECT key, t_s, facet, label FROM items JOIN nodes USING (origin)")
    accepted = {key: (int(started_ms) + t_s * 1000, *found) for key, t_s, *found in rows}
    calls, written, repeated_of_peers = {}, 0, 0
    for path, entries in node_logs(run).items():
        for seq, entry in enumerate(entries, 1):
            if isinstance(entry, CallStarted):
                calls[seq] = entry.started_ms
            elif isinstance(entry, Found | Repeat):
                written += 1
                if (key := item_key(entry.text)) not in accepted:
                    continue  # Another form of an entry, under which prompts list it.
                since_ms, facet, finder = accepted[key]
                # A list of one facet carries what was found for it, the whole list everything.
                known_before = since_ms < calls[entry.call] - ON_ITS_WAY_MS
                known_before = known_before and entry.facet in (0, facet)
                repeated_of_peers += known_before and finder != path.parent.name
    assert written > 200
    assert repeated_of_peers < 0.05 * written, (repeated_of_peers, written)


def _await_quiet(run: Run) -> None:
    """Return when the calls that were under way have ended and every producer says it paused."""

    def quiet() -> bool:
        peers = run.get("api/peers")["peers"]
        producers = [peer for peer in peers if peer["node"] != "collector"]
        return bool(producers) and all(peer["state"] == "paused" for peer in producers)

    eventually(quiet, "all producers to pause")
    eventually(lambda: _call_count(run) == _calls_in_logs(run), "all calls to be stored")


def _let_run_time_pass(run: Run, seconds: float) -> None:
    since_s = run.get("api/metrics")["elapsed_s"]
    eventually(lambda: run.get("api/metrics")["elapsed_s"] > since_s + seconds, "time to pass")


def _call_count(run: Run) -> int:
    count: int = run.query("SELECT count(*) FROM calls")[0][0]
    return count


def _calls_in_logs(run: Run) -> int:
    entries = [entry for log in node_logs(run).values() for entry in log]
    return sum(isinstance(entry, CallStarted) for entry in entries)


def _models_called_since(run: Run, label: str, since_ms: int) -> set[str]:
    calls = run.query("SELECT label, model, started_ms FROM calls JOIN nodes USING (origin)")
    return {model for node, model, ms in calls if node == label and (ms or 0) > since_ms}


def _peer(run: Run, label: str) -> dict[str, Any]:
    peers = run.get("api/peers")["peers"]
    found: dict[str, Any] = next((peer for peer in peers if peer["node"] == label), {"model": None})
    return found


def _books(simulator_url: str, page: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{simulator_url}/books/{page}", timeout=PATIENCE_S) as answer:
        listed: list[dict[str, Any]] = json.load(answer)[page]
    return listed


def node_process_after(run: Run, label: str, process_id: int) -> Any:
    """The process that is `label` after `process_id` was."""
    return eventually(
        lambda: (found := node_process(run, label)).pid != process_id and found, f"{label} again"
    )
