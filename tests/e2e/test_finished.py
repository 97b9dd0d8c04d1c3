"""A run that is over, opened again: the same numbers as at its end, to the last digit."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.nodes.collecting.finished_view import FinishedRunView
from mesh.storage.database import RunDatabase
from tests.e2e.running import Run, eventually, node_process, start_run

PARIS = "Paris attractions"
SAID_OTHERWISE = {"page", "run_dir", "reopen_command", "history", "actions"}
"""What the page adds itself, where the run is, and what of the course is kept in less detail."""


def reopened(run: Run) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Metrics, peers and facets as `view` shows them."""
    database = RunDatabase.open_read_only(run.run_dir / "run.sqlite")
    reader = DatabaseReader(run.run_dir / "run.sqlite")
    view = FinishedRunView(run.run_dir, "python run_mesh.py", database, reader)
    shown = view.metrics(with_history=True), view.peers(), view.facets()
    reader.close()
    database.close()
    return shown


def is_stored(run: Run) -> bool:
    """Whether its last moment is: until then the page shows what goes on."""
    shown, last = reopened(run)[0], run.get("api/metrics")
    return all(shown[key] == last[key] for key in ("elapsed_s", "mesh"))


def test_a_finished_run_shows_the_numbers_that_it_ended_with(tmp_path: Path) -> None:
    options = ("--peers", "3", "--target", "400", "--budget-usd", "5", "--keep-page")
    run = start_run(tmp_path, PARIS, *options, page_port="0", time_scale=10)
    eventually(lambda: run.get("api/metrics")["state"] == "stopped", "the run to end")
    eventually(lambda: is_stored(run), "the end to be stored")
    last, peers, facets = (run.get(f"api/{path}") for path in ("metrics", "peers", "facets"))
    again, peers_again, facets_again = reopened(run)
    assert {key: last[key] for key in last.keys() - SAID_OTHERWISE} == {
        key: again[key] for key in last.keys() - SAID_OTHERWISE
    }
    assert last["target"] == 400
    assert last["unique_last_minute"] > 0
    assert all(row["latency_s_p95"] for row in last["models"])
    assert again["history"][-1] == last["history"][-1]
    assert again["actions"] == []
    assert facets_again == facets
    assert len(peers["peers"]) == 4
    for before, after in zip(peers["peers"], peers_again["peers"], strict=True):
        assert after["state"] == "left"
        for key in ("node", "role", "known_count", "last_seq", "restarts", "propagation_ms_p99"):
            assert after[key] == before[key]
    run.signal_group(signal.SIGINT)
    assert run.wait() == 0
    assert reopened(run) == (again, peers_again, facets_again)


def test_a_run_that_was_cut_off_shows_its_nodes_as_they_last_were(tmp_path: Path) -> None:
    options = ("--peers", "2", "--target", "5000")
    run = start_run(tmp_path, PARIS, *options, page_port="0", time_scale=2)
    eventually(run.accepted, "the first entries")
    kept = "SELECT value FROM meta WHERE name = 'peers' AND value LIKE '%producer-2%'"
    eventually(lambda: run.query(kept), "the nodes to be kept")
    forecast = run.get("api/metrics")["forecast"]
    assert forecast.keys() == {"target_s", "budget_s", "reach", "slowing"}
    eventually(
        lambda: any(value for value in run.get("api/metrics")["forecast"].values()),
        "something to be foreseen",
    )
    collector = node_process(run, "collector")
    run.process.kill()
    collector.kill()
    eventually(lambda: not run.children(), "all of it to be gone")
    metrics, peers, _ = reopened(run)
    assert (metrics["state"], metrics["mesh"]["peers_alive"]) == ("stopped", 0)
    assert metrics["stop_reason"] == "the run was cut off"
    assert metrics["available_models"] == ["simulated:atlas", "simulated:swift"]
    assert {peer["node"]: peer["role"] for peer in peers["peers"]} == {
        "collector": "collector",
        "producer-1": "producer",
        "producer-2": "producer",
    }
