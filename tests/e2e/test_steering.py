"""Runs that are changed while they go on: producers come and go, target and budget are moved."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from tests.e2e.running import (
    Run,
    assert_nothing_lost_or_doubled,
    eventually,
    node_logs,
    node_process,
    said_entries,
    start_producers,
    start_run,
)

CITIES = "Cities of the world"
FIRST_TARGET, FIRST_BUDGET_USD = 300, 50.0
EXACT_USD = 1e-9
DONE = (200, {"ok": True, "reason": None})


def test_a_run_is_steered_from_its_page_and_remembers_it_when_its_collector_dies(
    tmp_path: Path, held_port: int
) -> None:
    bounds = ("--target", str(FIRST_TARGET), "--budget-usd", str(FIRST_BUDGET_USD))
    run = start_run(
        tmp_path, CITIES, "--peers", "2", *bounds, time_scale=4, page_port=str(held_port)
    )
    run.page_url()
    assert run.control(action="set_target", target=90_000) == DONE
    metrics = run.get("api/metrics")
    assert (metrics["target"], metrics["budget_usd"]) == (90_000, FIRST_BUDGET_USD)
    assert metrics["actions"][:3] == ["pause", "stop", "add_producer"]
    _await_entries(run, "producer-1", "producer-2")
    eventually(run.lines, "accepted entries")
    _assert_refused(run)

    assert run.control(action="add_producer", model="simulated:swift") == DONE
    _await_entries(run, "producer-3")
    model = "simulated:swift"
    eventually(lambda: _peer(run, "producer-3").get("model") == model, "the model in its heartbeat")
    assert run.control(action="remove_producer", node="producer-2") == DONE
    eventually(lambda: _peer(run, "producer-2")["state"] == "left", "producer-2 to leave")
    assert "left already" in _refusal(run, action="remove_producer", node="producer-2")
    assert run.control(action="set_budget", budget_usd=60) == DONE
    assert run.get("api/metrics")["budget_usd"] == 60.0
    eventually(lambda: len(run.lines()) > FIRST_TARGET + 20, "entries beyond the first target")

    _kill_before_it_leaves(run, "producer-1")
    for label in ("producer-1", "producer-2"):
        eventually(lambda: _held_beside_calls_usd(run, label) < EXACT_USD, "what is left of it")  # noqa: B023
    _kill_collector(run)
    metrics = run.get("api/metrics")
    assert (metrics["state"], metrics["target"]) == ("running", 90_000)
    assert metrics["budget_usd"] == 60.0
    assert "told to leave already" in _refusal(run, action="set_model", node="producer-2", model="")
    eventually(lambda: _alive(run) == {"producer-3"}, "producer-3 alone")
    said_before = said_entries(run, "producer-2")

    assert run.control(action="remove_producer", node="producer-3") == DONE
    eventually(lambda: _alive(run) == set(), "all producers to leave")
    assert run.get("api/metrics")["state"] == "running"
    assert run.control(action="add_producer") == DONE
    _await_entries(run, "producer-4")
    assert run.control(action="set_target", target=len(run.lines()) + 200) == DONE
    assert run.wait() == 0, run.said
    assert "entries reached" in run.said
    assert "$60.00" in run.said
    assert "complete: the collector holds everything that was said" in run.said
    assert "producer-2 died" not in run.said
    assert "producer-2 was removed from the run and has left" in run.said
    assert said_entries(run, "producer-2") == said_before
    assert len(node_logs(run, "producer-2")) == 1, "it was not started again"
    assert_nothing_lost_or_doubled(run)


def test_producers_of_another_machine_are_removed_and_the_collectors_own_machine_adds_one(
    tmp_path: Path,
) -> None:
    words = ("collector", CITIES, "--budget-usd", "none", "--no-names")
    (tmp_path / "collector").mkdir()
    collector = start_run(tmp_path / "collector", *words, time_scale=8, page_port="0")
    eventually((collector.run_dir / "join-ticket").exists, "a join ticket")
    ticket = "@../collector/run/join-ticket"
    guest = start_producers(tmp_path / "guest", "--join", ticket, "--peers", "2")
    _await_entries(guest, "producer-1", "producer-2")
    eventually(lambda: len(_alive(collector)) == 2, "both to be heard")
    labels = sorted(_alive(collector))
    assert collector.control(action="remove_producer", node=labels[0]) == DONE
    eventually(lambda: _alive(collector) == {labels[1]}, "one of the guest's two")
    count = len(said_entries(guest, "producer-2"))
    eventually(lambda: len(said_entries(guest, "producer-2")) > count, "the other to go on")
    assert collector.control(action="remove_producer", node=labels[1]) == DONE
    assert guest.wait() == 0, guest.said
    assert "the run has removed the producers of this machine" in guest.said

    assert collector.control(action="add_producer") == DONE
    _await_entries(collector, "producer-1")
    assert collector.control(action="stop") == DONE
    assert collector.wait() == 0, collector.said
    assert collector.children() == []
    assert_nothing_lost_or_doubled(collector, guest)


def _assert_refused(run: Run) -> None:
    """What cannot be done is answered with 409 and why."""
    wishes: list[tuple[dict[str, Any], str]] = [
        ({"action": "set_target", "target": 1}, "accepted already"),
        ({"action": "set_target", "target": "many"}, "whole number"),
        ({"action": "set_target"}, "whole number"),
        ({"action": "set_budget", "budget_usd": 0.000001}, "spent or held by producers"),
        ({"action": "set_budget", "budget_usd": None}, "--budget-usd none"),
        ({"action": "set_budget", "budget_usd": True}, "dollars above 0"),
        ({"action": "add_producer", "model": "openai:gpt"}, "no such model in this run"),
        ({"action": "add_producer", "model": 5}, "must be the name"),
        ({"action": "remove_producer", "node": "producer-9"}, "no such producer: producer-9"),
        ({"action": "remove_producer", "node": "collector"}, "until the run ends"),
        ({"action": "x" * 500}, "unknown action: xxx"),
    ]
    for wish, why in wishes:
        reason = _refusal(run, **wish)
        assert why in reason
        assert len(reason) < 200


def _refusal(run: Run, **wish: Any) -> str:
    status, answer = run.control(**wish)
    assert (status, answer["ok"]) == (409, False), (wish, answer)
    return str(answer["reason"])


def _kill_before_it_leaves(run: Run, label: str) -> None:
    """Dismiss a producer that dies before it hears of it: its successor does, and leaves."""
    victim = node_process(run, label)
    victim.send_signal(signal.SIGSTOP)
    assert run.control(action="remove_producer", node=label) == DONE
    victim.kill()
    eventually(lambda: _peer(run, label)["restarts"] == 1, "its successor")
    eventually(lambda: _peer(run, label)["state"] == "left", "its successor to leave")


def _held_beside_calls_usd(run: Run, label: str) -> float:
    """What a producer holds of the budget, besides what its calls cost or may have cost."""
    granted = "SELECT granted_usd - returned_usd FROM accounts JOIN nodes USING (origin)"
    called = "SELECT total(coalesce(cost_usd, reserved_usd)) FROM calls JOIN nodes USING (origin)"
    (rest_usd,) = run.query(f"{granted} WHERE label = '{label}'")[0]
    (spent_usd,) = run.query(f"{called} WHERE label = '{label}'")[0]
    return float(rest_usd - spent_usd)


def _kill_collector(run: Run) -> None:
    """Kill it once all that was asked is stored; return when its successor answers."""

    def course() -> Any:
        rows = run.query("SELECT value FROM meta WHERE name = 'course'")
        return json.loads(rows[0][0]) if rows else {}

    eventually(lambda: course().get("budget_usd") == 60 and len(course()["dismissed"]) == 2, "it")
    node_process(run, "collector").kill()

    def is_back() -> bool:
        try:
            return len(run.query("SELECT DISTINCT epoch FROM own_log")) == 2 and bool(_alive(run))
        except OSError:
            return False

    eventually(is_back, "another collector")


def _await_entries(run: Run, *labels: str) -> None:
    for label in labels:
        eventually(lambda: said_entries(run, label), f"entries of {label}")  # noqa: B023


def _alive(run: Run) -> set[str]:
    gone = ("left", "unheard", "suspect", "dead", "handing over")
    peers = run.get("api/peers")["peers"]
    return {
        peer["node"] for peer in peers if peer["state"] not in gone and peer["node"] != "collector"
    }


def _peer(run: Run, label: str) -> dict[str, Any]:
    peers = run.get("api/peers")["peers"]
    found: dict[str, Any] = next((peer for peer in peers if peer["node"] == label), {"state": ""})
    return found
