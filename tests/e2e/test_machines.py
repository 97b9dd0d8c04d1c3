"""Producers that join a run from elsewhere, as users start them: each in a directory of its own.

All of them are on this machine: on loopback in plaintext, and under its address on the network,
where everything is encrypted.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mesh.nodes.supervising.own_address import is_loopback, outward_address
from mesh.transport.curve import CurveKeys
from mesh.wire.tickets import PREFIX, JoinTicket
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
from tests.patience import PATIENCE_S

CITIES = "Cities of the world"


@pytest.fixture
def network_address() -> Iterator[str]:
    """An address of this machine that is not loopback; one is made where there is none."""
    found = outward_address()
    if found is not None and not is_loopback(found):
        yield found
        return
    name, address = f"tm{os.getpid() % 100_000}", "10.213.77.1"
    _ip("link", "add", name, "type", "veth", "peer", "name", f"{name}p")
    try:
        _ip("address", "add", f"{address}/24", "dev", name)
        _ip("link", "set", name, "up")
        _ip("link", "set", f"{name}p", "up")
        yield address
    finally:
        _ip("link", "delete", name)


def _ip(*words: str) -> None:
    try:
        subprocess.run(["ip", *words], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"this machine has no network, and none can be made: {error}")


def start_collector(directory: Path, *words: str) -> Run:
    """A collector that no bound ends while a test is still busy with it."""
    directory.mkdir(exist_ok=True)
    unbounded = ("--budget-usd", "none", "--no-names")
    return start_run(directory, "collector", CITIES, *unbounded, *words, time_scale=8)


def ticket_of(collector: Run) -> str:
    """The ticket in the collector's directory, once it is there."""
    path = collector.run_dir / "join-ticket"
    eventually(path.exists, "a join ticket")
    return path.read_text()


def refusal(directory: Path, *words: str) -> tuple[int, str]:
    """Exit status and words of producers that cannot join."""
    guest = start_producers(directory, *words)
    status = guest.wait()
    assert not (directory / "run").exists()
    return status, guest.said


def end_after_entries_of(collector: Run, *guests: Run, peers: int = 1) -> None:
    """Wait until the collector has heard all producers of the guests; end as a user does."""
    for guest in guests:
        for number in range(1, peers + 1):
            label = f"producer-{number}"
            await_entries(guest, label)
            eventually(partial(is_heard, collector, guest, label), f"{label} to be heard")
    count = len(collector.lines())
    eventually(lambda: len(collector.lines()) > count + 50, "more entries")
    collector.signal_group(signal.SIGINT)
    assert collector.wait() == 0
    for guest in guests:
        assert guest.wait() == 0, guest.said


def is_heard(collector: Run, guest: Run, label: str) -> bool:
    """Whether the collector has a call of the latest start of `label`: an end would reach it."""
    latest = max(int(path.stem.partition("-")[2]) for path in node_logs(guest, label))
    return (latest,) in collector.query("SELECT DISTINCT epoch FROM calls")


def await_entries(guest: Run, label: str, count: int = 1) -> None:
    what = f"{count} entries said by {label} in {guest.directory}"
    eventually(lambda: len(said_entries(guest, label)) >= count, what)


def test_producers_join_by_a_ticket_and_all_they_find_is_in_the_output(tmp_path: Path) -> None:
    collector = start_collector(tmp_path / "collector")
    ticket = ticket_of(collector)
    first = start_producers(
        tmp_path / "first", "--join", "@../collector/run/join-ticket", "--peers", "2"
    )
    environment = {"TOPICMESH_TICKET": ticket}
    second = start_producers(tmp_path / "second", "--peers", "2", environment=environment)
    end_after_entries_of(collector, first, second, peers=2)
    assert_nothing_lost_or_doubled(collector, first, second)
    assert ticket.strip() in collector.said
    mode = stat.S_IMODE((collector.run_dir / "join-ticket").stat().st_mode)
    assert mode == 0o600, "no other user can read it"
    assert "python run_mesh.py producer --join @join-ticket" in collector.said
    assert "complete: the collector holds everything that was said" in collector.said
    assert "the run has ended" in first.said
    assert "every user of this machine can see it" not in first.said + second.said
    assert collector.children() == first.children() == second.children() == []


def test_on_a_network_all_is_encrypted_and_the_run_is_joined_the_same_way(
    tmp_path: Path, network_address: str
) -> None:
    collector = start_collector(tmp_path / "collector", "--host", network_address)
    ticket = ticket_of(collector)
    assert JoinTicket.from_text(ticket).encrypted
    first = start_producers(tmp_path / "first", "--join", "-", standard_input=ticket)
    second = start_producers(tmp_path / "second", "--join", ticket.strip())
    end_after_entries_of(collector, first, second)
    assert_nothing_lost_or_doubled(collector, first, second)
    assert "every user of this machine can see it" in second.said
    assert "INSECURE" not in collector.said
    secret = JoinTicket.from_text(ticket).key.seed.hex()
    assert secret not in first.said + second.said + collector.said


def test_a_run_with_producers_of_its_own_can_be_joined_too(tmp_path: Path) -> None:
    run = start_run(
        tmp_path, CITIES, "--peers", "1", "--budget-usd", "none", "--host", "127.0.0.1",
        time_scale=8,
    )  # fmt: skip
    guest = start_producers(tmp_path / "guest", "--join", ticket_of(run))
    end_after_entries_of(run, guest)
    assert_nothing_lost_or_doubled(run, guest)


def test_a_guest_that_is_interrupted_hands_over_and_a_killed_producer_of_another_comes_back(
    tmp_path: Path,
) -> None:
    collector = start_collector(tmp_path / "collector")
    guest = start_producers(tmp_path / "guest", "--join", ticket_of(collector))
    stays = start_producers(tmp_path / "stays", "--join", ticket_of(collector), "--peers", "2")
    await_entries(guest, "producer-1", 20)
    guest.signal_group(signal.SIGINT)
    assert guest.wait() == 0, guest.said
    assert "stopped by Ctrl-C" in guest.said
    assert guest.children() == []

    victim = node_process(stays, "producer-2")
    await_entries(stays, "producer-2", 10)
    victim.kill()
    eventually(lambda: node_process(stays, "producer-2").pid != victim.pid, "its successor")
    end_after_entries_of(collector, stays, peers=2)
    assert "producer-2 died; starting it again" in stays.said
    assert_nothing_lost_or_doubled(collector, guest, stays)


def test_what_a_killed_producer_had_said_is_handed_over_by_its_successor(tmp_path: Path) -> None:
    """Though that is told to leave before it has said anything itself."""
    collector = start_collector(tmp_path / "collector")
    guest = start_producers(tmp_path / "guest", "--join", ticket_of(collector))
    await_entries(guest, "producer-1")
    deaf, victim = node_process(collector, "collector"), node_process(guest, "producer-1")
    deaf.send_signal(signal.SIGSTOP)
    await_entries(guest, "producer-1", len(said_entries(guest)) + 20)
    victim.kill()
    deaf.kill()  # What had reached it is gone with it.
    eventually(lambda: node_process(guest, "producer-1").pid != victim.pid, "its successor")
    guest.signal_group(signal.SIGINT)
    assert guest.wait() == 0, guest.said
    collector.signal_group(signal.SIGINT)
    assert collector.wait() == 0
    assert_nothing_lost_or_doubled(collector, guest)


def test_entries_that_could_not_be_handed_over_are_named_and_taken_in_by_joining_again(
    tmp_path: Path,
) -> None:
    collector = start_collector(tmp_path / "collector")
    ticket_of(collector)
    guest = start_producers(tmp_path / "guest", "--join", "@../collector/run/join-ticket")
    await_entries(guest, "producer-1")
    process = node_process(collector, "collector")
    process.send_signal(signal.SIGSTOP)
    try:
        await_entries(guest, "producer-1", len(said_entries(guest)) + 20)
        guest.signal_group(signal.SIGINT)
        assert guest.wait() == 1
    finally:
        process.send_signal(signal.SIGCONT)
    assert "log entries: they are in run/nodes/producer-1" in guest.said
    assert "producer --join @../collector/run/join-ticket --run-dir run" in guest.said
    said = len(said_entries(guest))
    again = start_producers(tmp_path / "guest", "--join", "@../collector/run/join-ticket")
    await_entries(again, "producer-1", said + 1)
    end_after_entries_of(collector, again)
    assert_nothing_lost_or_doubled(collector, again)


def test_a_revoked_and_an_expired_ticket_are_refused_by_the_run(
    tmp_path: Path, network_address: str
) -> None:
    words = ("--host", network_address)
    collector = start_collector(tmp_path / "collector", *words)
    revoked = ticket_of(collector)
    collector.await_said("join ticket")
    collector.signal_group(signal.SIGINT)
    assert collector.wait() == 0
    # 1.8 s: over before the second producer asks.
    again = start_collector(
        tmp_path / "collector", *words, "--new-ticket", "--ticket-expires", "0.0005"
    )
    again.await_said("join ticket")
    expiring = JoinTicket.from_text(ticket_of(again))
    assert expiring.ticket_id != JoinTicket.from_text(revoked).ticket_id
    status, said = refusal(tmp_path / "guest", "--join", revoked)
    assert status == 1
    assert "the join ticket was revoked: ask for a new one" in said
    eventually(lambda: time.time() * 1000 > expiring.expires_ms, "the ticket to expire")
    assert "the join ticket expired on" in refusal(tmp_path / "guest", "--join", expiring.text())[1]
    # A clock that is behind does not help: the run's own counts.
    forged = dataclasses.replace(expiring, expires_ms=expiring.expires_ms + 10**9)
    status, said = refusal(tmp_path / "guest", "--join", forged.text())
    assert status == 1
    assert "the join ticket has expired: ask for a new one" in said


def test_a_ticket_of_another_key_or_of_no_running_node_is_refused(
    tmp_path: Path, network_address: str
) -> None:
    collector = start_collector(tmp_path / "collector", "--host", network_address)
    ticket = JoinTicket.from_text(ticket_of(collector))
    stranger = dataclasses.replace(ticket, run_id=bytes(16))
    status, said = refusal(tmp_path / "guest", "--join", stranger.text())
    assert status == 1
    assert "is a node of another run" in said
    (service,) = ticket.services
    other_key = dataclasses.replace(service, curve_key=CurveKeys.new().public)
    other = dataclasses.replace(ticket, services=(other_key,))
    status, said = refusal(tmp_path / "guest", "--join", other.text())
    assert status == 1
    assert f"whoever listens at {service.address}" in said
    collector.signal_group(signal.SIGINT)
    assert collector.wait() == 0
    status, said = refusal(tmp_path / "guest", "--join", ticket.text())
    assert status == 1
    assert f"nobody answers at {service.address}" in said
    assert service.address.rpartition(":")[2] in said.partition("port ")[2]


def test_a_page_on_all_addresses_says_where_other_machines_find_it(tmp_path: Path) -> None:
    collector = start_run(
        tmp_path, "collector", CITIES, "--host", "0.0.0.0", "--advertise-host", "127.0.0.2",
        "--page-host", "0.0.0.0", page_port="0",
    )  # fmt: skip
    here = collector.page_url()
    elsewhere = collector.await_said(r"page from other machines: (http://\S+)")[1]
    assert elsewhere == here.replace("127.0.0.1", "127.0.0.2")
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(elsewhere, timeout=PATIENCE_S) as page:
        assert page.status == 200
    collector.signal_group(signal.SIGINT)
    assert collector.wait() == 0


def test_what_is_no_ticket_is_wrong_use_and_is_not_repeated(tmp_path: Path) -> None:
    status, said = refusal(tmp_path, "--join", f"{PREFIX}secretsecret")
    assert status == 2
    assert "the join ticket is damaged" in said
    assert "secretsecret" not in said


def test_keys_stay_with_the_producers(tmp_path: Path, simulator_url: str) -> None:
    """The collector names the models; whoever asks them does so with a key of its own."""
    directory = tmp_path / "collector"
    directory.mkdir()
    collector = start_run(
        directory, "collector", "Paris attractions", "--model", "openai:atlas",
        "--budget-usd", "none",
    )  # fmt: skip
    ticket = ticket_of(collector)
    status, said = refusal(tmp_path / "poor", "--join", ticket)
    assert status == 2
    assert "set OPENAI_API_KEY" in said
    environment = {"OPENAI_API_KEY": "sk-of-the-guest", "OPENAI_BASE_URL": f"{simulator_url}/v1"}
    guest = start_producers(tmp_path / "guest", "--join", ticket, environment=environment)
    eventually(lambda: len(collector.lines()) > 20, "entries of the guest")
    collector.signal_group(signal.SIGINT)
    assert collector.wait() == 0
    assert guest.wait() == 0
    assert_nothing_lost_or_doubled(collector, guest)
    for path in directory.rglob("*"):
        assert not path.is_file() or b"sk-of-the-guest" not in path.read_bytes()
