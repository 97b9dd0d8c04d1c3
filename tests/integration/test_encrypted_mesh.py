"""Who gets into an encrypted mesh, and what its members can and cannot say."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.core.admission import TicketRefused
from mesh.core.entries import (
    Found,
    Imported,
    MemberRevoked,
    StateChanged,
    TicketIssued,
    TicketRevoked,
)
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Role
from mesh.nodes.peer.joining import JOIN_TIMEOUT_S, REFUSED_FOR_S
from mesh.storage.database import Batch, OwnFrame, RunDatabase
from mesh.wire import codec, messages
from mesh.wire.codec import FrameKind
from mesh.wire.signing import SigningKey
from mesh.wire.tickets import JoinTicket
from tests.integration.eventually import eventually
from tests.integration.mesh_nodes import RUN, Mesh, Peer, running_mesh
from tests.patience import PATIENCE_S

FAR_FUTURE_MS = 4_000_000_000_000


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    async with running_mesh(tmp_path) as mesh:
        yield mesh


@dataclasses.dataclass
class Run:
    """A collector that has issued a ticket."""

    mesh: Mesh
    collector: Peer
    ticket: JoinTicket

    @classmethod
    async def open(cls, mesh: Mesh, expires_ms: int = FAR_FUTURE_MS) -> Run:
        collector = await mesh.start("collector", role=Role.COLLECTOR, encrypted=True)
        key = SigningKey.new()
        ticket = JoinTicket(RUN, collector.origin, b"ticket-1", key, expires_ms, (collector.seed,))
        run = cls(mesh, collector, ticket)
        run.control(TicketIssued(b"ticket-1", key.public_key, expires_ms))
        return run

    def control(self, entry: TicketIssued | TicketRevoked | MemberRevoked) -> None:
        """Have the collector say `entry`, stored first as a collector does."""
        node = self.collector.node
        node.tickets.apply(entry)
        frames = node.place([entry])
        rows = [OwnFrame(node.own.epoch, f.first_seq, f.count, f.frame) for f in frames]
        with contextlib.closing(RunDatabase.open(self.mesh.directory / "run.sqlite")) as database:
            database.commit(Batch(own_frames=rows))
        node.tell(frames)

    async def join(self, name: str, ticket: JoinTicket | None = None) -> Peer:
        return await self.mesh.start(name, encrypted=True, ticket=ticket or self.ticket)


async def connected(*peers: Peer) -> None:
    await eventually(
        lambda: all(each is other or each.hears(other) for each in peers for other in peers)
    )


def claim_to_collect(liar: Peer) -> None:
    """From now on a member says that it is the collector, to whoever it welcomes."""
    signing = liar.node.signing
    assert signing is not None
    own = dataclasses.replace(liar.node.own, role=Role.COLLECTOR, signature=b"")
    claim = messages.record_claim(messages.MemberRecord.of(own), RUN)
    liar.node.own = dataclasses.replace(own, signature=signing.sign(claim))
    liar.node.membership.collector_origin = liar.origin


def knows_ticket(peer: Peer, ticket: JoinTicket) -> bool:
    """Whether this node would let in who holds it."""
    try:
        return bool(peer.node.tickets.public_key(ticket.ticket_id, 0))
    except TicketRefused:
        return False


async def ask(asker: Peer, server: Peer, frame: bytes) -> list[bytes]:
    replies: list[list[bytes] | None] = []
    asker.transport.inner.request(server.seed, frame, timeout_s=PATIENCE_S, reply=replies.append)
    await eventually(lambda: replies)
    (reply,) = replies
    assert reply is not None
    return reply


async def test_holders_of_a_ticket_get_in_and_tell_each_other_everything(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first, second = await run.join("producer-1"), await run.join("producer-2")
    await connected(run.collector, first, second)
    first.say("Louvre")
    second.say("Orsay")
    await eventually(lambda: first.texts == second.texts == {"Louvre", "Orsay"})
    header = codec.decode_header(first.node.place([Found("x", 1, "m")])[0].frame, RUN)
    assert header.signature_bytes == codec.SIGNATURE_BYTES


async def test_a_newcomer_that_dials_a_node_before_its_key_is_known_there_gets_in(
    mesh: Mesh,
) -> None:
    """The second learns of the third by the first's announcement alone, which may come after the
    third has tried."""
    run = await Run.open(mesh)
    first = await run.join("producer-1")
    await connected(run.collector, first)
    run.collector.transport.loses = lambda frame: (
        codec.decode_header(frame, RUN).kind is FrameKind.MEMBERS
    )
    late = await run.join("producer-2")
    await connected(run.collector, first, late)
    late.say("Louvre")
    await eventually(lambda: first.texts == {"Louvre"})


@pytest.mark.parametrize(
    "reason", ["no_ticket", "unknown_ticket", "expired_ticket", "ticket_proof"]
)
async def test_without_a_ticket_that_holds_nobody_gets_in(mesh: Mesh, reason: str) -> None:
    run = await Run.open(mesh, expires_ms=1 if reason == "expired_ticket" else FAR_FUTURE_MS)
    ticket = run.ticket
    if reason == "unknown_ticket":
        ticket = dataclasses.replace(ticket, ticket_id=b"ticket-9")
    elif reason == "ticket_proof":
        ticket = dataclasses.replace(ticket, key=SigningKey.new())
    stranger = await mesh.start(
        "stranger",
        run.collector,
        encrypted=True,
        ticket=None if reason == "no_ticket" else ticket,
    )
    await eventually(lambda: run.collector.node.dropped[reason])
    await eventually(lambda: stranger.owner.refused)
    assert stranger.owner.refused[0].startswith(f"{reason}: ")
    assert run.collector.node.membership.others() == []
    assert stranger.node.membership.others() == []


async def test_who_asks_a_node_that_is_not_in_itself_is_not_turned_away(mesh: Mesh) -> None:
    """A collector may ask a newcomer that has not read the collector's welcome yet."""
    asked_count = 2 + math.ceil(REFUSED_FOR_S / JOIN_TIMEOUT_S)  # Later, a refusal is believed.
    outsider = await mesh.start("outsider", encrypted=True)
    asker = await mesh.start("asker", outsider, encrypted=True)
    await eventually(lambda: outsider.node.dropped["not_in"] >= asked_count)
    assert asker.owner.refused == []


async def test_a_revoked_ticket_lets_nobody_in_and_who_came_by_it_stays(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first = await run.join("producer-1")
    await connected(run.collector, first)
    run.control(TicketRevoked(run.ticket.ticket_id))
    stranger = await run.join("stranger")
    await eventually(lambda: stranger.owner.refused)
    assert run.collector.node.dropped["revoked_ticket"]
    await first.stop()
    again = await mesh.start("producer-1", run.collector, encrypted=True)
    await connected(run.collector, again)


async def test_a_ticket_works_through_any_member_that_lives(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first = await run.join("producer-1")
    await connected(run.collector, first)
    await eventually(lambda: knows_ticket(first, run.ticket))
    services = (run.collector.seed, first.seed)
    await run.collector.stop()
    late = await run.join("producer-2", dataclasses.replace(run.ticket, services=services))
    await connected(first, late)


async def test_a_plaintext_node_hears_nothing_and_is_counted(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first = await run.join("producer-1")
    await connected(run.collector, first)
    plain = await mesh.start("plain", addresses=[run.collector.seed.address])
    await eventually(lambda: run.collector.node.dropped["handshake"])
    assert plain.node.membership.others() == []


async def test_only_members_are_answered_and_only_in_their_own_name(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first, second = await run.join("producer-1"), await run.join("producer-2")
    await connected(run.collector, first, second)
    stranger = await mesh.start("stranger", encrypted=True)
    server = run.collector
    fetch = messages.Fetch(first.origin, first.node.own.epoch, 1, 9)
    (reply,) = await ask(stranger, server, stranger.node.frame(FrameKind.FETCH, fetch))
    assert server.node.read(reply, FrameKind.REFUSED, messages.Refused).reason.startswith(
        "unknown_key"
    )
    (reply,) = await ask(second, server, first.node.frame(FrameKind.FETCH, fetch))
    assert server.node.read(reply, FrameKind.REFUSED, messages.Refused).reason.startswith("origin")
    assert server.node.dropped["unknown_key"]
    assert server.node.dropped["origin"]


async def test_a_join_that_was_overheard_lets_nobody_else_in(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first = await run.join("producer-1")
    await connected(run.collector, first)
    record = messages.MemberRecord.of(first.node.own)
    proof = run.ticket.key.sign(messages.join_claim(record, RUN))
    join = messages.Join(record, run.ticket.ticket_id, proof)
    stranger = await mesh.start("stranger", encrypted=True)
    await ask(stranger, run.collector, first.node.frame(FrameKind.JOIN, join))
    assert run.collector.node.dropped["join_key"]
    assert run.collector.node.membership.get(first.origin) == first.node.own


async def test_a_member_cannot_take_another_s_origin(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first, rogue = await run.join("producer-1"), await run.join("rogue")
    await connected(run.collector, first, rogue)
    signing = rogue.node.signing
    assert signing is not None
    stolen = dataclasses.replace(
        rogue.node.own, origin=first.origin, epoch=first.node.own.epoch + 1, signature=b""
    )
    claim = messages.record_claim(messages.MemberRecord.of(stolen), RUN)
    stolen = dataclasses.replace(stolen, signature=signing.sign(claim))
    rogue.node.publish(FrameKind.MEMBERS, messages.Members([messages.MemberRecord.of(stolen)]))
    await eventually(lambda: run.collector.node.dropped["another_key"])
    assert run.collector.node.membership.get(first.origin) == first.node.own


async def test_a_record_passed_on_with_a_changed_address_is_not_believed(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first, rogue = await run.join("producer-1"), await run.join("rogue")
    await connected(run.collector, first, rogue)
    moved = dataclasses.replace(
        first.node.own, epoch=first.node.own.epoch + 1, feed_address="tcp://10.9.9.9:1"
    )
    rogue.node.publish(FrameKind.MEMBERS, messages.Members([messages.MemberRecord.of(moved)]))
    await eventually(lambda: run.collector.node.dropped["record_signature"])
    assert run.collector.node.membership.get(first.origin) == first.node.own


async def test_frames_that_are_forged_altered_or_replayed_change_nothing(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first, rogue = await run.join("producer-1"), await run.join("rogue")
    victim = run.collector
    await connected(victim, first, rogue)
    sent: list[bytes] = []

    def note(frame: bytes) -> bool:
        sent.append(frame)
        return False

    first.transport.loses = note
    first.say("Louvre")
    first.node.beat()
    await eventually(lambda: victim.texts == {"Louvre"})
    kinds = {codec.decode_header(frame, RUN).kind: frame for frame in sent}
    entries, heartbeat = kinds[FrameKind.ENTRIES], kinds[FrameKind.HEARTBEAT]
    signing = rogue.node.signing
    assert signing is not None
    forged = codec.encode_entries(
        [Found("forged", 1, "m")],
        run_id=RUN,
        log=first.node.own.log,
        first_seq=2,
        time_us=1,
        sign=signing.sign,
    )
    unsigned = codec.encode_entries(
        [Found("unsigned", 1, "m")], run_id=RUN, log=first.node.own.log, first_seq=2, time_us=1
    )
    altered = entries.replace(b"Louvre", b"Levure")
    stranger = codec.encode_entries(
        [Found("stranger", 1, "m")],
        run_id=RUN,
        log=LogId(NodeId(b"s" * 16), 1),
        first_seq=1,
        time_us=1,
        sign=signing.sign,
    )
    for frame in (forged, unsigned, altered, stranger, entries, heartbeat):
        rogue.transport.publish(frame)
    dropped = victim.node.dropped
    await eventually(lambda: dropped["signature"] == 3 and dropped["origin"] == 1)
    await eventually(lambda: dropped["repeated"] == 1 and dropped["replayed"] == 1)
    assert victim.texts == {"Louvre"}
    assert set(victim.owner.times_applied.values()) == {1}


async def test_a_producer_cannot_speak_for_the_collector(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first, rogue = await run.join("producer-1"), await run.join("rogue")
    await connected(run.collector, first, rogue)
    for entry in (StateChanged("stopped", None), Imported("x")):
        rogue.node.tell(rogue.node.place([entry]))
    await eventually(lambda: first.node.dropped["role"])
    assert LogId(rogue.origin, rogue.node.own.epoch) not in first.owner.order


async def test_a_second_collector_is_refused_by_all(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first = await run.join("producer-1")
    await connected(run.collector, first)
    second = await mesh.start(
        "second-collector", run.collector, role=Role.COLLECTOR, encrypted=True, ticket=run.ticket
    )
    await eventually(lambda: second.owner.refused)
    assert second.owner.refused[0].startswith("another_collector: ")
    collector = first.node.membership.collector()
    assert collector is not None
    assert collector.origin == run.collector.origin


async def test_who_joins_by_a_ticket_obeys_its_collector_whoever_else_says_to_be_it(
    mesh: Mesh,
) -> None:
    run = await Run.open(mesh)
    liar = await run.join("liar")
    await connected(run.collector, liar)
    await eventually(lambda: knows_ticket(liar, run.ticket))
    claim_to_collect(liar)
    services = (liar.seed, run.collector.seed)
    newcomer = await run.join("newcomer", dataclasses.replace(run.ticket, services=services))
    await eventually(lambda: newcomer.node.dropped["another_collector"])
    await connected(run.collector, newcomer)
    await eventually(lambda: newcomer.hears(liar))
    liar.node.tell(liar.node.place([StateChanged("stopped", None)]))
    await eventually(lambda: newcomer.node.dropped["role"])
    assert newcomer.node.membership.collector() == run.collector.node.own
    assert liar.node.own.log not in newcomer.owner.order


async def test_a_restarted_node_obeys_the_collector_that_it_knew_whoever_welcomes_it(
    mesh: Mesh,
) -> None:
    """A supervisor starts it again before it can give it a ticket."""
    run = await Run.open(mesh)
    liar, first = await run.join("liar"), await run.join("producer-1")
    await connected(run.collector, liar, first)
    await first.stop()
    await run.collector.stop()
    claim_to_collect(liar)
    again = await mesh.start("producer-1", liar, encrypted=True)
    await eventually(lambda: again.node.dropped["another_collector"])
    assert not again.node.joiner.welcomed
    assert again.node.membership.collector_origin == run.collector.origin
    assert again.owner.refused == []


async def test_a_removed_member_is_heard_no_more_and_what_it_said_stays(mesh: Mesh) -> None:
    run = await Run.open(mesh)
    first, rogue = await run.join("producer-1"), await run.join("rogue")
    await connected(run.collector, first, rogue)
    rogue.say("before")
    await eventually(lambda: first.texts == run.collector.texts == {"before"})
    run.collector.node.revoke(rogue.origin)
    run.control(MemberRevoked(rogue.origin))
    await eventually(lambda: rogue.origin in first.node.membership.revoked)
    rogue.say("after")
    run.collector.node.joiner.look()  # Nobody has welcomed it, so it asks whom it knows.
    first.say("news")
    await eventually(lambda: run.collector.texts == {"before", "news"})
    again = await mesh.start("rogue-again", run.collector, encrypted=True, ticket=run.ticket)
    await connected(run.collector, first, again)  # A ticket that still holds lets it in anew.
    assert first.texts == {"before", "news"}
    # Who comes later learns what it had said, from others.
    await eventually(lambda: again.texts == {"before", "news"})
    await eventually(lambda: again.node.replica.missing_count == 0)
    await rogue.stop()
    same = await mesh.start("rogue", run.collector, encrypted=True, ticket=run.ticket)
    await eventually(lambda: same.owner.refused or run.collector.node.dropped["revoked_key"])


async def test_anyone_serves_a_dead_node_s_log_and_it_is_believed_by_its_signature(
    mesh: Mesh,
) -> None:
    run = await Run.open(mesh)
    first, second = await run.join("producer-1"), await run.join("producer-2")
    await connected(run.collector, first, second)
    first.say("Louvre", "Orsay")
    await eventually(lambda: second.texts == {"Louvre", "Orsay"})
    await first.stop()
    (mesh.directory / "nodes" / "producer-1" / f"epoch-{first.node.own.epoch}.log").unlink()
    late = await run.join("producer-3")
    await eventually(lambda: late.texts == {"Louvre", "Orsay"})
