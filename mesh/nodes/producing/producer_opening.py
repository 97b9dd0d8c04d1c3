"""How a producer process begins and ends: directory, log, spool and sockets, in order.

What it does in between is producer.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mesh.config import ProducerSettings
from mesh.core.membership import Role
from mesh.nodes.channel import Channel, ChildFailed, pack
from mesh.nodes.peer.identity import NodeKeys, node_keys, open_transport, own_member
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.nodes.peer.shelf import KeptFrames, ProducerShelf
from mesh.nodes.producing.producer import Producer
from mesh.storage.node_directory import DamagedIdentity, NodeDirectory
from mesh.storage.node_log import NodeLog
from mesh.transport.zmq_transport import AddressInUse, ZmqTransport

MakeProducer = Callable[[ProducerSettings, NodeDirectory, NodeLog, Channel], Producer]


async def run_producer(
    settings: ProducerSettings, channel: Channel, make: MakeProducer = Producer
) -> int:
    """Open the producer, run it, close it; return the exit status.

    Args:
        make: what kind of producer; benches have their own.

    Raises:
        ChildFailed: something only the user can mend.
        AlreadyLocked: this node runs already, perhaps still ending; the supervisor tries again.
    """
    with open_producer(settings, channel, make) as producer:
        return await producer.run()


@contextmanager
def open_producer(
    settings: ProducerSettings, channel: Channel, make: MakeProducer = Producer
) -> Iterator[Producer]:
    """A producer with directory, log and sockets, listening but not running; closed in order.

    Enter it on the event loop. Raises as `run_producer` does.
    """
    try:
        directory = NodeDirectory.open(settings.directory)
        keys = node_keys(directory, settings.mesh)
    except (DamagedIdentity, PermissionError) as error:
        raise ChildFailed(str(error)) from error
    epoch = directory.open_epoch(time.time_ns() // 1_000_000)
    with contextlib.ExitStack() as closing:
        closing.callback(directory.close)
        own_log = directory.create_log()
        closing.callback(own_log.close)
        kept = KeptFrames.open(directory.path)
        closing.callback(kept.close)
        try:
            transport = open_transport(directory, settings.mesh, keys)
        except AddressInUse as error:
            raise ChildFailed(str(error)) from error
        closing.callback(transport.close, 1.0)
        producer = make(settings, directory, own_log, channel)
        _open_node(producer, directory, own_log, kept, transport, keys, epoch)
        if directory.collector is not None:
            producer.node.name_collector(directory.collector)
        producer.take_ticket(settings.ticket)
        yield producer


def _open_node(
    producer: Producer,
    directory: NodeDirectory,
    own_log: NodeLog,
    kept: KeptFrames,
    transport: ZmqTransport,
    keys: NodeKeys | None,
    epoch: int,
) -> None:
    settings = producer.settings
    earlier_logs, problems = directory.earlier_logs()
    for problem in problems:
        producer.notice(problem)
    own = own_member(
        directory,
        transport,
        run_id=settings.run_id,
        keys=keys,
        label=settings.label,
        role=Role.PRODUCER,
        epoch=epoch,
        earlier_logs=earlier_logs,
    )
    node = MeshNode(
        own=own,
        run_id=settings.run_id,
        owner=producer,
        shelf=ProducerShelf(
            own.log,
            own_log,
            directory.earlier,
            kept=kept,
            nodes_directory=directory.path.parent,
        ),
        random=random.Random(f"{settings.seed}/{settings.label}/{epoch}"),
        clock=asyncio.get_running_loop(),
        signing=keys.signing if keys else None,
        terms=json.dumps(pack(settings.terms)).encode() if settings.terms else b"",
    )
    node.attach(transport)
    producer.take_node(node)
    transport.start(node)
