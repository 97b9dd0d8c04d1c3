"""Real producers for benches: opened as `nodes.producer` opens them, but never calling an LLM."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.made_up import MODEL, RUN_ID
from mesh.config import MeshSettings, ModelSpec, ProducerSettings
from mesh.core.items import LogId
from mesh.core.membership import Member, Role
from mesh.nodes.channel import Channel
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.nodes.producing.producer import Producer
from mesh.nodes.producing.producer_opening import open_producer

TOPIC = "made-up entries"
NO_MODEL = ModelSpec(spec=MODEL, api="openai", name="atlas", simulated=True)


@asynccontextmanager
async def opened_producer(
    directory: Path, label: str, *, encrypted: bool = False
) -> AsyncIterator[Producer]:
    """A producer with its directory, log, sockets and known items; what it says is the bench's."""
    settings = ProducerSettings(
        label=label,
        directory=directory,
        run_id=RUN_ID,
        topic=TOPIC,
        models=(NO_MODEL,),
        model=NO_MODEL.spec,
        started_ms=0,
        keys={},
        mesh=MeshSettings(encrypted=encrypted),
    )
    supervisor_end, own_end = socket.socketpair()
    channel = await Channel.over(own_end)
    try:
        with open_producer(settings, channel) as producer:
            yield producer
            producer.node.close()
    finally:
        channel.close()
        supervisor_end.close()


def name_collector(node: MeshNode, log: LogId) -> None:
    """Have `node` take `log` for the collector's: verdicts are believed of nobody else."""
    nowhere = "tcp://127.0.0.1:1"
    collector = Member(log.origin, "collector", Role.COLLECTOR, log.epoch, nowhere, nowhere, "")
    node.dial_members([collector])


@asynccontextmanager
async def syncing(producer: Producer) -> AsyncIterator[None]:
    """What a producer does beside its calls: its log reaches the disk."""
    task = asyncio.create_task(producer._sync())  # noqa: SLF001 as its `run` does
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
