"""Several real nodes over real ZeroMQ: everyone learns everything, without a hub."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mesh.core.entries import Found, Imported
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Liveness, Member, Role
from mesh.core.replication import LOGS_MAX
from mesh.nodes.peer.shelf import WAITING_BYTES_MAX
from mesh.storage.spool import SPOOL_FILE
from mesh.wire import codec, messages
from mesh.wire.codec import FrameKind
from tests.integration.eventually import eventually
from tests.integration.mesh_nodes import HOST, RUN, Mesh, Peer, running_mesh
from tests.integration.transport_nodes import kept_ports
from tests.patience import PATIENCE_S


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    async with running_mesh(tmp_path) as mesh:
        yield mesh


async def producers(mesh: Mesh, count: int) -> list[Peer]:
    """That many, all joined through the first, feeds open between all of them."""
    first = await mesh.start("producer-1")
    peers = [first]
    for number in range(2, count + 1):
        peers.append(await mesh.start(f"producer-{number}", first))
    await connected(peers)
    return peers


async def connected(peers: list[Peer]) -> None:
    """Wait until each hears each of the others."""
    await eventually(
        lambda: all(each is other or each.hears(other) for each in peers for other in peers)
    )


def fetches(peer: Peer) -> list[bytes]:
    """The requests for missing entries that a node has sent."""
    kinds = [(codec.decode_header(frame, RUN).kind, frame) for frame in peer.transport.asked]
    return [frame for kind, frame in kinds if kind is FrameKind.FETCH]


def all_know(peers: list[Peer], texts: set[str]) -> bool:
    return all(peer.texts == texts for peer in peers)


def nothing_applied_twice(peers: list[Peer]) -> bool:
    return all(set(peer.owner.times_applied.values()) <= {1} for peer in peers)


async def test_items_reach_every_peer_with_no_collector_anywhere(mesh: Mesh) -> None:
    peers = await producers(mesh, 5)
    for n in range(20):
        for peer in peers:
            peer.say(f"{peer.node.own.label} item {n}")
    said = {f"producer-{number} item {n}" for number in range(1, 6) for n in range(20)}
    await eventually(lambda: all_know(peers, said))
    assert all(peer.node.membership.collector() is None for peer in peers)
    assert nothing_applied_twice(peers)
    # Each came by its finder's own feed: nobody had to ask anybody.
    assert [fetches(peer) for peer in peers] == [[]] * 5


async def test_the_mesh_outlives_the_node_that_all_joined_through(mesh: Mesh) -> None:
    first, *others = await producers(mesh, 4)
    await first.stop()
    for peer in others:
        peer.say(f"after {peer.node.own.label}")
    await eventually(lambda: all_know(others, {f"after producer-{n}" for n in (2, 3, 4)}))


async def test_with_a_collector_that_is_stopped_producers_go_on_telling_each_other(
    mesh: Mesh,
) -> None:
    collector = await mesh.start("collector", role=Role.COLLECTOR)
    peers = [await mesh.start(f"producer-{n}", collector) for n in (1, 2, 3)]
    await connected([collector, *peers])
    peers[0].say("Louvre")
    await eventually(lambda: all_know([collector, *peers], {"Louvre"}))
    await collector.stop()
    peers[1].say("Orsay")
    await eventually(lambda: all_know(peers, {"Louvre", "Orsay"}))
    again = await mesh.start("collector", peers[0], role=Role.COLLECTOR)
    await eventually(lambda: again.texts == {"Louvre", "Orsay"})


async def test_nodes_that_know_the_same_show_the_same_digest_and_nothing_missing(
    mesh: Mesh,
) -> None:
    peers = await producers(mesh, 3)
    for peer in peers:
        peer.say("Louvre", f"only {peer.node.own.label}")

    def converged() -> bool:
        heard = [status.heartbeat for peer in peers for status in peer.node.peers.values()]
        return (
            len({beat.known_digest for beat in heard}) == 1
            and {(beat.known_count, beat.applied_count) for beat in heard} == {(4, 6)}
            and len({beat.member_digest for beat in heard}) == 1
        )

    await eventually(converged)
    assert [peer.node.replica.missing_count for peer in peers] == [0, 0, 0]


async def test_a_late_joiner_learns_everything_said_before(mesh: Mesh) -> None:
    peers = await producers(mesh, 2)
    for peer in peers:
        peer.say(*(f"{peer.node.own.label} item {n}" for n in range(600)))
    late = await mesh.start("producer-3", peers[0])
    await eventually(lambda: len(late.texts) == 1200)
    assert nothing_applied_twice([late])
    late.say("news from the newcomer")
    await eventually(lambda: all("news from the newcomer" in peer.texts for peer in peers))


async def test_what_takes_more_than_one_reply_to_fetch_arrives_whole(mesh: Mesh) -> None:
    first = await mesh.start("producer-1")
    texts = [f"{n:05d} ".ljust(400, "x") for n in range(4_000)]
    first.say(*texts)
    late = await mesh.start("producer-2", first)
    await eventually(lambda: len(late.texts) == len(texts))
    assert late.owner.order[first.node.own.log] == list(range(1, len(texts) + 1))
    assert len(fetches(late)) >= 2


async def test_a_restarted_node_is_heard_in_its_new_epoch_and_knows_what_it_said(
    mesh: Mesh,
) -> None:
    first, second = await producers(mesh, 2)
    second.say("Louvre")
    await eventually(lambda: first.texts == {"Louvre"})
    await second.stop()
    again = await mesh.start("producer-2", first)
    assert again.texts == {"Louvre"}
    assert again.origin == second.origin
    assert again.node.own.epoch > second.node.own.epoch
    again.say("Orsay")
    await eventually(lambda: first.texts == {"Louvre", "Orsay"})
    first.say("Eiffel Tower")
    await eventually(lambda: again.texts == first.texts)
    assert first.owner.order == {
        second.node.own.log: [1],
        again.node.own.log: [1],
    }


async def test_what_a_node_said_to_nobody_is_heard_after_its_restart(mesh: Mesh) -> None:
    alone = await mesh.start("producer-1")
    alone.say("Louvre")
    await alone.stop()
    other = await mesh.start("producer-2")
    await mesh.start("producer-1", other)
    await eventually(lambda: other.texts == {"Louvre"})


def loses_nth_entries(places: set[int]) -> Callable[[bytes], bool]:
    """Picks the frames of log entries to lose, counted from 1."""
    count = 0

    def loses(frame: bytes) -> bool:
        nonlocal count
        if codec.decode_header(frame, RUN).kind is not FrameKind.ENTRIES:
            return False
        count += 1
        return count in places

    return loses


async def test_a_lost_frame_is_fetched_and_does_not_hold_up_what_follows(mesh: Mesh) -> None:
    speaker, *listeners = await producers(mesh, 3)
    speaker.transport.loses = loses_nth_entries({2})
    speaker.say("first", "second", "third")
    await eventually(lambda: all_know(listeners, {"first", "second", "third"}))
    assert [each.owner.order[speaker.node.own.log] for each in listeners] == [[1, 3, 2]] * 2
    assert nothing_applied_twice(listeners)
    assert all(fetches(each) for each in listeners)


async def test_what_a_node_has_heard_live_or_fetched_is_on_its_disk(mesh: Mesh) -> None:
    """It may be killed at any moment: nothing waits to be written between two turns."""
    speaker, listener = await producers(mesh, 2)
    spool = listener.directory.path / SPOOL_FILE
    speaker.transport.loses = loses_nth_entries({2})
    speaker.say("Louvre", "Orsay")
    await eventually(lambda: "Louvre" in listener.texts)
    assert b"Louvre" in spool.read_bytes()
    await eventually(lambda: "Orsay" in listener.texts)
    assert b"Orsay" in spool.read_bytes()
    assert fetches(listener)


async def test_a_loss_at_the_tail_is_noticed_by_the_heartbeat(mesh: Mesh) -> None:
    speaker, listener = await producers(mesh, 2)
    speaker.transport.loses = loses_nth_entries({2, 3})
    speaker.say("first", "second", "third")
    await eventually(lambda: listener.texts == {"first", "second", "third"})
    assert listener.owner.order[speaker.node.own.log] == [1, 2, 3]


async def test_a_loss_at_the_tail_is_noticed_by_the_goodbye(mesh: Mesh) -> None:
    speaker, listener = await producers(mesh, 2)
    speaker.transport.loses = lambda frame: (
        codec.decode_header(frame, RUN).kind is not FrameKind.GOODBYE
    )
    speaker.say("last words")
    speaker.node.say_goodbye()
    await eventually(
        lambda: (
            listener.node.liveness(speaker.origin) is Liveness.LEFT
            and listener.node.replica.missing_count == 1
        )
    )
    speaker.transport.loses = lambda _: False
    await eventually(lambda: listener.texts == {"last words"})


async def test_what_a_dead_node_said_last_is_fetched_from_the_collector(mesh: Mesh) -> None:
    collector = await mesh.start("collector", role=Role.COLLECTOR)
    speaker, listener = [await mesh.start(f"producer-{n}", collector) for n in (1, 2)]
    await connected([collector, speaker, listener])
    speaker.transport.loses = loses_nth_entries({1})
    speaker.say("first", "second")
    await eventually(lambda: listener.texts == {"second"})
    await speaker.stop()
    await eventually(lambda: listener.texts == {"first", "second"})


async def test_what_is_not_told_yet_is_not_announced(mesh: Mesh) -> None:
    """The collector places entries before they are on disk; should it die there, they are
    nowhere, and a hole that everyone was told of could never be filled."""
    speaker, listener = await producers(mesh, 2)
    frames = speaker.node.place([Found("not on disk yet", 1, "atlas")])
    before_s = listener.node.peers[speaker.origin].heard_s
    speaker.node.beat()
    await eventually(lambda: listener.node.peers[speaker.origin].heard_s > before_s)
    assert listener.node.replica.missing_count == 0
    speaker.node.tell(frames)
    await eventually(lambda: listener.texts == {"not on disk yet"})


async def test_members_are_learned_through_third_nodes(mesh: Mesh) -> None:
    first = await mesh.start("producer-1")
    second = await mesh.start("producer-2", first)
    third = await mesh.start("producer-3", second)
    fourth = await mesh.start("producer-4", third)
    peers = [first, second, third, fourth]
    await connected(peers)
    origins = {peer.origin for peer in peers}
    assert all({m.origin for m in peer.node.membership.all()} == origins for peer in peers)
    fourth.say("Louvre")
    first.say("Orsay")
    await eventually(lambda: all_know(peers, {"Louvre", "Orsay"}))


async def test_a_member_that_one_node_missed_is_learned_by_the_heartbeat_s_digest(
    mesh: Mesh,
) -> None:
    """Nobody announces the missing one, and it tells nobody of itself."""
    first, second = await producers(mesh, 2)
    silent = Member(
        origin=NodeId(b"z" * 16),
        label="silent",
        role=Role.PRODUCER,
        epoch=1,
        feed_address=f"tcp://{HOST}:1",
        service_address=f"tcp://{HOST}:1",
        host=first.node.own.host,
    )
    first.node.dial_members([silent])
    await eventually(lambda: second.node.membership.get(silent.origin) == silent)


async def test_a_node_that_took_a_dead_one_s_port_stays_heard_when_that_one_is_back(
    mesh: Mesh,
) -> None:
    first = await mesh.start("producer-1")
    ports = kept_ports()
    second = await mesh.start("producer-2", first, ports=ports)
    await connected([first, second])
    await second.stop()
    third = await mesh.start("producer-3", first, ports=ports)
    assert third.node.own.feed_address == second.node.own.feed_address
    await connected([first, third])
    again = await mesh.start("producer-2", first)
    assert again.node.own.feed_address != third.node.own.feed_address
    await connected([first, again])
    third.say("Louvre")
    again.say("Orsay")
    await eventually(lambda: {"Louvre", "Orsay"} <= first.texts)
    assert fetches(first) == []


async def test_being_connected_ends_the_wait_before_the_first_call(mesh: Mesh) -> None:
    first = await mesh.start("producer-1")
    second = await mesh.start("producer-2", first)
    ready = [asyncio.Event(), asyncio.Event()]
    first.node.when_ready(ready[0].set)
    second.node.when_ready(ready[1].set)
    await asyncio.gather(*(each.wait() for each in ready))
    first.say("Louvre")
    await eventually(lambda: second.texts == {"Louvre"})
    assert fetches(second) == []


async def test_who_says_goodbye_has_left(mesh: Mesh) -> None:
    first, second = await producers(mesh, 2)
    second.node.say_goodbye()
    await second.stop()
    await eventually(lambda: first.node.liveness(second.origin) is Liveness.LEFT)


async def test_durable_marks_count_only_from_the_collector(mesh: Mesh) -> None:
    collector = await mesh.start("collector", role=Role.COLLECTOR)
    first, second = [await mesh.start(f"producer-{n}", collector) for n in (1, 2)]
    await connected([collector, first, second])
    log = first.node.own.log
    second.node.publish_durable({LogId(log.origin, log.epoch + 1): 99})
    second.say("after the false mark")
    await eventually(lambda: first.texts == {"after the false mark"})
    collector.node.publish_durable({log: 7})
    await eventually(lambda: first.owner.marks == {log: 7})


async def still_works(speaker: Peer, *listeners: Peer) -> None:
    """A text said now arrives live everywhere."""
    text = f"still works {speaker.node.last_seq}"
    speaker.say(text)
    await eventually(lambda: all(text in each.texts for each in listeners))


async def test_without_a_ticket_the_first_welcome_names_the_collector_for_good(mesh: Mesh) -> None:
    collector = await mesh.start("collector", role=Role.COLLECTOR)
    misled = await mesh.start("misled", collector)
    first = await mesh.start("producer-1", collector)
    await connected([collector, misled, first])
    assert first.node.membership.collector_origin == collector.origin
    misled.node.membership.collector_origin = misled.origin
    await first.stop()
    again = await mesh.start("producer-1", misled, collector)
    await eventually(lambda: again.node.dropped["another_collector"])
    await connected([again, collector])
    assert again.node.membership.collector() == collector.node.own


async def test_a_welcome_that_names_what_is_no_node_is_not_believed(mesh: Mesh) -> None:
    misled = await mesh.start("misled")
    nobody = dataclasses.replace(misled.node.own, origin=NodeId(b"short"), role=Role.COLLECTOR)
    misled.node.membership.admit(nobody)
    newcomer = await mesh.start("producer-1", misled)
    await eventually(lambda: newcomer.node.dropped["join_refused"])
    assert newcomer.node.membership.collector_origin is None
    assert not newcomer.node.joiner.welcomed


async def test_garbage_on_a_feed_is_counted_by_reason_and_harmless(mesh: Mesh) -> None:
    rogue, victim, other = await producers(mesh, 3)
    honest = codec.encode_entries(
        [Imported("x")], run_id=RUN, log=rogue.node.own.log, first_seq=1, time_us=0
    )
    hostile = [
        codec.MAGIC,
        codec.MAGIC + b"\xff" * 500,
        honest[:-1],
        honest[: codec.HEADER_BYTES] + b"\xff" * (len(honest) - codec.HEADER_BYTES),
        honest.replace(b"\xa1x", b"\xa1 "),
        rogue.node.frame(FrameKind.JOIN, messages.Goodbye(1)),
        rogue.node.frame(FrameKind.HEARTBEAT, messages.Goodbye(1)),
    ]
    for frame in hostile:
        rogue.transport.publish(frame)
    expected = {"magic": 1, "version": 1, "size": 1, "entries": 2, "kind": 1, "body": 1}
    await eventually(lambda: dict(victim.node.dropped) == expected)
    assert victim.owner.order == {}
    await still_works(other, victim)
    await eventually(lambda: other.node.peers[victim.origin].heartbeat.dropped == expected)


async def ask(asker: Peer, server: Peer, frame: bytes) -> list[bytes]:
    """The reply to one request."""
    replies: list[list[bytes] | None] = []
    asker.transport.inner.request(server.seed, frame, timeout_s=PATIENCE_S, reply=replies.append)
    await eventually(lambda: replies)
    (reply,) = replies
    assert reply is not None
    return reply


async def test_what_finds_no_place_is_shown_with_the_node_that_could_not_keep_it(
    mesh: Mesh,
) -> None:
    (mesh.directory / "nodes" / "full" / SPOOL_FILE).mkdir(parents=True)
    full = await mesh.start("full")
    assert full.node.shelf.keep(LogId(NodeId(bytes(16)), 1), 1, 1, bytes(WAITING_BYTES_MAX))
    speaker = await mesh.start("speaker", full)
    await connected([full, speaker])
    speaker.say("Louvre")
    await eventually(lambda: full.texts == {"Louvre"})
    await eventually(lambda: dropped_as_told(speaker, full).get("not_kept") == 2)


async def test_logs_beyond_the_bound_are_shown_with_the_node_that_does_not_follow_them(
    mesh: Mesh,
) -> None:
    hearer = await mesh.start("hearer")
    speaker = await mesh.start("speaker", hearer)
    await connected([hearer, speaker])
    for epoch in range(LOGS_MAX):
        hearer.node.replica.offer(LogId(speaker.origin, epoch), 1, 1, now_s=0.0)
    hearer.node.announce(LogId(speaker.origin, LOGS_MAX), 1)
    assert hearer.node.dropped["too_many_logs"] == 1
    speaker.say("Louvre")
    await eventually(lambda: dropped_as_told(speaker, hearer).get("too_many_logs", 0) > 1)
    assert hearer.texts == set()


def dropped_as_told(listener: Peer, teller: Peer) -> dict[str, int]:
    """What `teller` has dropped, by its last heartbeat."""
    return listener.node.peers[teller.origin].heartbeat.dropped


async def test_garbage_on_a_service_is_refused_with_its_reason_and_harmless(mesh: Mesh) -> None:
    asker, server = await producers(mesh, 2)
    for garbage in (b"", b"GET / HTTP/1.1", codec.MAGIC + b"\x00" * 100):
        (reply,) = await ask(asker, server, garbage)
        header = codec.decode_header(reply, RUN)
        refused = messages.decode_body(reply, header, messages.Refused)
        assert header.kind is FrameKind.REFUSED
        assert refused.reason.split(":")[0] in ("magic", "version")
    await ask(asker, server, asker.node.frame(FrameKind.FETCH, messages.Goodbye(1)))
    await ask(asker, server, asker.node.frame(FrameKind.HEARTBEAT, messages.Goodbye(1)))
    assert dict(server.node.dropped) == {"magic": 2, "version": 1, "body": 1, "kind": 1}
    await still_works(server, asker)
    await still_works(asker, server)


async def test_raw_bytes_on_the_ports_are_harmless(mesh: Mesh) -> None:
    first, second = await producers(mesh, 2)
    for port in first.transport.inner.ports:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"\xff\x00" * 5000)
        writer.close()
    await still_works(first, second)
    await still_works(second, first)


async def test_a_request_for_what_nobody_ever_said_is_answered_with_nothing(mesh: Mesh) -> None:
    asker, server = await producers(mesh, 2)
    stranger = LogId(NodeId(b"s" * 16), 5)
    for log, first, last in (
        (stranger, 1, 9),
        (server.node.own.log, 1, 9),
        (server.node.own.log, 9, 1),
        (server.node.own.log, 0, 2**63 - 1),
    ):
        body = messages.Fetch(log.origin, log.epoch, first, last)
        (reply,) = await ask(asker, server, asker.node.frame(FrameKind.FETCH, body))
        fetched = messages.decode_body(reply, codec.decode_header(reply, RUN), messages.Fetched)
        assert fetched == messages.Fetched(0)


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("tcp://127.0.0.1:99999", False),
        ("nonsense", True),
        ("ipc:///etc/passwd", True),
        ("tcp://127.0.0.1:1;tcp://127.0.0.1:2", True),
    ],
)
async def test_a_member_with_an_address_that_is_none_is_harmless(
    mesh: Mesh, address: str, refused: bool
) -> None:
    asker, server = await producers(mesh, 2)
    record = messages.MemberRecord(
        b"z" * 16, "odd", Role.PRODUCER, 1, address, address, asker.node.own.host, []
    )
    await ask(asker, server, asker.node.frame(FrameKind.JOIN, messages.Join(record)))
    assert bool(server.node.dropped["body"]) == refused
    await still_works(server, asker)
    await still_works(asker, server)


async def test_joining_again_changes_nothing(mesh: Mesh) -> None:
    asker, server = await producers(mesh, 2)
    join = messages.Join(messages.MemberRecord.of(asker.node.own))
    for _ in range(3):
        welcome, swapped = (await ask(asker, server, asker.node.frame(FrameKind.JOIN, join)))[:2]
        read = server.node.read(welcome, FrameKind.WELCOME, messages.Welcome)
        assert read.member == messages.MemberRecord.of(server.node.own)
        members = server.node.read(swapped, FrameKind.SWAPPED, messages.Swapped).members
        assert {member.origin for member in members} == {asker.origin, server.origin}
    assert len(server.node.membership.others()) == 1


async def test_a_join_of_an_earlier_start_is_refused_as_old(mesh: Mesh) -> None:
    asker, server = await producers(mesh, 2)
    old = dataclasses.replace(asker.node.own, epoch=asker.node.own.epoch - 1)
    join = messages.Join(messages.MemberRecord.of(old))
    reply, newer = await ask(asker, server, asker.node.frame(FrameKind.JOIN, join))
    refused = server.node.read(reply, FrameKind.REFUSED, messages.Refused)
    assert refused.reason.startswith("stale: ")
    (record,) = server.node.read(newer, FrameKind.SWAPPED, messages.Swapped).members
    assert record.member() == asker.node.own
    assert server.node.dropped["stale"]
    assert server.node.membership.get(asker.origin) == asker.node.own


async def test_a_node_of_another_run_is_neither_taken_in_nor_believed(mesh: Mesh) -> None:
    first, second = await producers(mesh, 2)
    stranger = await mesh.start("stranger", first, run_id=b"r" * 16)
    await eventually(lambda: first.node.dropped["run"])
    assert first.node.membership.get(stranger.origin) is None
    assert stranger.node.membership.others() == []
    # A feed on a port that a node of this run had before.
    first.transport.listen_to(stranger.node.own.feed)
    before = first.node.dropped["run"]
    stranger.say("not ours")
    await eventually(lambda: first.node.dropped["run"] > before)
    await still_works(second, first)
    assert "not ours" not in first.texts


async def test_a_damaged_frame_of_a_peer_s_log_does_not_stop_what_follows(mesh: Mesh) -> None:
    """Whole on disk, but not an entry that this version takes: it stays a hole, asked for
    less and less often, and everything else arrives."""
    first = await mesh.start("producer-1")
    bad = bytearray(first.node.place([Imported("bad one")])[0].frame)
    bad[-1] = ord(" ")
    first.log.append(bytes(bad), 1, 1)
    first.say("good one")
    second = await mesh.start("producer-2", first)
    await eventually(lambda: second.texts == {"good one"})
    await eventually(lambda: second.node.dropped["entries"] >= 2)
    since_s = second.node.peers[first.origin].heard_s
    await eventually(lambda: second.node.peers[first.origin].heard_s > since_s + 1.5)
    assert len(fetches(second)) < 10
    assert second.node.replica.missing_count == 1
    await still_works(first, second)


async def test_a_fetched_frame_is_byte_for_byte_the_one_first_published(mesh: Mesh) -> None:
    first, second = await producers(mesh, 2)
    published: list[bytes] = []

    def note(frame: bytes) -> bool:
        published.append(frame)
        return False

    first.transport.loses = note
    first.say("Louvre")
    body = messages.Fetch(first.origin, first.node.own.epoch, 1, 1)
    _, fetched = await ask(second, first, second.node.frame(FrameKind.FETCH, body))
    assert fetched == published[0]


async def test_an_origin_serves_in_few_frames_what_it_said_line_by_line(mesh: Mesh) -> None:
    first, second = await producers(mesh, 2)
    texts = [f"Name {number}" for number in range(300)]
    for text in texts:
        first.say(text)
    body = messages.Fetch(first.origin, first.node.own.epoch, 1, len(texts))
    _, *fetched = await ask(second, first, second.node.frame(FrameKind.FETCH, body))
    headers = [codec.decode_header(frame, RUN) for frame in fetched]
    assert [(header.first_seq, header.count) for header in headers] == [(1, 256), (257, 44)]


async def test_who_is_heard_again_after_a_silence_is_dialled_anew(mesh: Mesh) -> None:
    first, second = await producers(mesh, 2)
    assert second.transport.hung_up == []
    first.transport.loses = lambda _: True
    await eventually(lambda: second.node.liveness(first.origin) is Liveness.SUSPECT)
    first.transport.loses = lambda _: False
    await eventually(lambda: second.transport.hung_up == [first.seed])
    assert second.node.liveness(first.origin) is Liveness.ALIVE
