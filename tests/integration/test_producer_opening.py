"""A real producer process's beginning and end in this process: what it keeps for the next start."""

from __future__ import annotations

import socket
from pathlib import Path

from mesh.config import MeshSettings, ModelSpec, ProducerSettings
from mesh.core.items import NodeId
from mesh.core.membership import Endpoint
from mesh.nodes.channel import Channel
from mesh.nodes.producing.producer_opening import open_producer, run_producer
from mesh.storage.node_directory import read_identity
from mesh.wire.signing import SigningKey
from mesh.wire.tickets import JoinTicket

RUN = b"r" * 16
COLLECTOR = NodeId(b"c" * 16)
ATLAS = ModelSpec(spec="simulated:atlas", api="openai", name="atlas", simulated=True)


def settings(directory: Path, ticket: JoinTicket | None = None) -> ProducerSettings:
    return ProducerSettings(
        label="producer-1",
        directory=directory,
        run_id=RUN,
        topic="Birds",
        models=(ATLAS,),
        model=ATLAS.spec,
        started_ms=0,
        keys={},
        mesh=MeshSettings(encrypted=True),
        ticket=ticket.text() if ticket else None,
    )


def ticket(collector: NodeId) -> JoinTicket:
    nobody = Endpoint("tcp://127.0.0.1:1", b"k" * 40)
    return JoinTicket(RUN, collector, b"t" * 8, SigningKey(b"s" * 32), 2**40, (nobody,))


async def run_until_let_go(its: ProducerSettings) -> None:
    """A producer whose supervisor goes at once."""
    supervisor_end, own_end = socket.socketpair()
    channel = await Channel.over(own_end)
    supervisor_end.close()
    try:
        assert await run_producer(its, channel) == 0
    finally:
        channel.close()


async def obeyed(its: ProducerSettings) -> NodeId | None:
    """Whom a producer opened by these settings takes for the collector before it has asked."""
    supervisor_end, own_end = socket.socketpair()
    channel = await Channel.over(own_end)
    try:
        with open_producer(its, channel) as producer:
            producer.node.close()
            return producer.node.membership.collector_origin
    finally:
        channel.close()
        supervisor_end.close()


async def test_a_producer_keeps_the_collector_of_its_ticket_for_starts_without_one(
    tmp_path: Path,
) -> None:
    assert await obeyed(settings(tmp_path)) is None
    await run_until_let_go(settings(tmp_path, ticket(COLLECTOR)))
    stored = read_identity(tmp_path)
    assert stored is not None
    assert stored.collector == COLLECTOR
    assert await obeyed(settings(tmp_path)) == COLLECTOR


async def test_a_ticket_goes_before_what_was_kept(tmp_path: Path) -> None:
    """Who gives the ticket is trusted with naming the collector, now as at first."""
    await run_until_let_go(settings(tmp_path, ticket(COLLECTOR)))
    other = NodeId(b"d" * 16)
    assert await obeyed(settings(tmp_path, ticket(other))) == other
