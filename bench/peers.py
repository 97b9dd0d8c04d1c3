"""Real producers for benches: opened as `nodes.producer` opens them, but never calling an LLM."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.made_up import MODEL, RUN_ID
from mesh.config import ModelSpec, ProducerSettings
from mesh.nodes.channel import Channel
from mesh.nodes.producer import Producer, open_producer

TOPIC = "made-up entries"


@asynccontextmanager
async def opened_producer(directory: Path, label: str) -> AsyncIterator[Producer]:
    """A producer with its directory, log, sockets and known items; what it says is the bench's."""
    model = ModelSpec(spec=MODEL, api="openai", name="atlas", simulated=True)
    settings = ProducerSettings(
        label=label,
        directory=directory,
        run_id=RUN_ID,
        topic=TOPIC,
        models=(model,),
        model=model.spec,
        started_ms=0,
        keys={},
    )
    supervisor_end, own_end = socket.socketpair()
    channel = await Channel.over(own_end)
    try:
        with open_producer(settings, channel) as producer:
            yield producer
    finally:
        channel.close()
        supervisor_end.close()
