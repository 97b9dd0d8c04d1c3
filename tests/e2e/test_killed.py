"""Kill -9 of anything in the middle of a run: it goes on, and nothing said is lost or doubled."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import psutil

from mesh.wire.messages import Heartbeat
from tests.e2e.running import (
    Run,
    assert_nothing_lost_or_doubled,
    eventually,
    node_process,
    said_entries,
    start_run,
)
from tests.integration.eventually import eventually as eventually_async
from tests.integration.mesh_nodes import Peer, running_mesh

PARIS = "Paris attractions"


def test_killed_nodes_come_back_and_nothing_is_lost(tmp_path: Path) -> None:
    run = start_endless_run(tmp_path, peers=3)
    labels = "producer-1", "producer-2", "collector"
    for label in labels:
        kill_after_more_entries(run, label)
    end_after_more_entries(run)
    for label in labels:
        assert f"{label} died" in run.said
    assert_nothing_lost_or_doubled(run)


def kill_after_more_entries(run: Run, label: str) -> None:
    """Kill a node in the midst of a run; return when another process has taken its place."""
    victim, before = node_process(run, label), len(run.lines())
    eventually(lambda: len(run.lines()) > before + 30, "entries")
    victim.kill()
    eventually(lambda: node_process(run, label).pid != victim.pid, f"the successor of {label}")


def test_a_killed_fork_server_harms_nobody(tmp_path: Path) -> None:
    run = start_endless_run(tmp_path, peers=3)
    producers = {node_process(run, f"producer-{n}").pid for n in (1, 2, 3)}
    eventually(lambda: len(run.lines()) > 10, "entries")
    servers = [
        p for p in run.children("mesh.nodes.supervising.fork_server") if p.pid not in producers
    ]
    assert servers
    for server in servers:
        server.kill()
    victim = node_process(run, "producer-1")
    victim.kill()  # Its successor needs a new fork server.
    eventually(lambda: node_process(run, "producer-1").pid != victim.pid, "its successor")
    assert node_process(run, "producer-2").pid in producers, "it was not started twice"
    end_after_more_entries(run)
    assert_nothing_lost_or_doubled(run)


def test_a_killed_simulator_comes_back_where_it_was(tmp_path: Path) -> None:
    run = start_endless_run(tmp_path, peers=2)
    eventually(lambda: len(run.lines()) > 10, "entries")
    collector = node_process(run, "collector")
    (simulator,) = [p for p in run.children("mesh.nodes.child") if p.pid != collector.pid]
    simulator.kill()
    end_after_more_entries(run)
    assert "simulator died" in run.said
    assert_nothing_lost_or_doubled(run)


def start_endless_run(directory: Path, *, peers: int) -> Run:
    """A run that no bound ends while a test is still busy with it, however slow the machine."""
    return start_run(
        directory,
        "Cities of the world",
        "--peers",
        str(peers),
        "--budget-usd",
        "none",
        "--no-names",
        time_scale=3,
    )


def end_after_more_entries(run: Run) -> None:
    """Let the run go on for a while, then end it as a user does."""
    before = len(run.lines())
    eventually(lambda: len(run.lines()) > before + 60, "the run to go on")
    run.signal_group()
    assert run.wait() == 0


def test_with_the_supervisor_killed_no_process_stays_and_the_run_continues(tmp_path: Path) -> None:
    first = start_run(tmp_path, PARIS, "--peers", "3", time_scale=3)
    eventually(lambda: len(first.lines()) > 30, "entries")
    first.process.kill()
    first.wait()
    eventually(lambda: first.children() == [], "no process left")
    said = said_entries(first)
    second = start_run(tmp_path, PARIS, "--peers", "1")
    eventually(lambda: len(said_entries(second)) > len(said), "entries of its own")
    second.signal_group()
    assert second.wait() == 0
    assert "continuing" in second.said
    assert_nothing_lost_or_doubled(second)


def test_producers_killed_with_everything_else_hand_over_at_the_next_start(tmp_path: Path) -> None:
    """What was written to a log and never sent is served by whoever runs next."""
    first = start_run(tmp_path, PARIS, "--peers", "4", time_scale=3)
    eventually(lambda: len(first.lines()) > 20, "entries")
    node_process(first, "collector").suspend()
    before = len(first.lines())
    eventually(lambda: len(said_entries(first)) > before + 20, "entries without a collector")
    os.kill(first.process.pid, signal.SIGKILL)
    for child in first.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # Some end by themselves.
            child.kill()
    first.wait()
    said = said_entries(first)
    assert len(said) > before
    second = start_run(tmp_path, PARIS, "--peers", "1")
    eventually(lambda: len(said_entries(second)) > len(said), "entries of its own")
    second.signal_group()
    assert second.wait() == 0
    assert_nothing_lost_or_doubled(second)


async def test_items_reach_every_peer_while_the_collector_is_stopped(tmp_path: Path) -> None:
    """All-to-all: what a producer knows grows by what others find, with nobody in between."""
    run = start_run(tmp_path, PARIS, "--peers", "3", time_scale=2)
    labels = [f"producer-{number}" for number in (1, 2, 3)]
    eventually(lambda: all(said_entries(run, label) for label in labels), "entries of each")
    node_process(run, "collector").suspend()
    known_before = len(said_entries(run))
    said_before = {label: len(said_entries(run, label)) for label in labels}
    async with running_mesh(tmp_path / "listener") as mesh:
        listener = await mesh.start(
            "listener", run_id=run_id(run), addresses=[service_address(run, x) for x in labels]
        )

        def learned_from_others(label: str) -> bool:
            heartbeat = heard_from(listener, label)
            own = len(said_entries(run, label)) - said_before[label]
            return heartbeat is not None and heartbeat.known_count - known_before > own + 10

        await eventually_async(lambda: all(map(learned_from_others, labels)))
        collector = node_process(run, "collector")
        collector.resume()
        run.signal_group()
        assert run.wait() == 0
    assert_nothing_lost_or_doubled(run)


def run_id(run: Run) -> bytes:
    return bytes.fromhex(json.loads((run.run_dir / "run.json").read_text())["run_id"])


def service_address(run: Run, label: str) -> str:
    identity = json.loads((run.run_dir / "nodes" / label / "node.json").read_text())
    return f"tcp://127.0.0.1:{identity['ports'][1]}"


def heard_from(listener: Peer, label: str) -> Heartbeat | None:
    """The last heartbeat of the node `label` that came to `listener`."""
    for member in listener.node.membership.others():
        status = listener.node.peers.get(member.origin)
        if member.label == label and status is not None:
            return status.heartbeat
    return None
