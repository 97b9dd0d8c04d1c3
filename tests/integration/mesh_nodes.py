"""Real mesh nodes for tests: directories, logs and ZeroMQ sockets, with a small owner on top."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mesh.config import MeshSettings
from mesh.core.entries import Found, LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.known import KnownItems, digest_bytes
from mesh.core.membership import Endpoint, Role
from mesh.core.normalize import item_key
from mesh.nodes.peer.identity import node_keys, open_transport, own_member
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.nodes.peer.shelf import CollectorShelf, KeptFrames, LogShelf, ProducerShelf
from mesh.storage.database import RunDatabase
from mesh.storage.node_directory import NodeDirectory
from mesh.storage.node_log import NodeLog
from mesh.transport.interface import Reply
from mesh.transport.zmq_transport import ZmqTransport
from mesh.wire.tickets import JoinTicket

RUN = b"the run of tests"
HOST = "127.0.0.1"


@dataclass
class LossyTransport:
    """A transport that keeps what `loses` picks from ever leaving, and notes the requests."""

    inner: ZmqTransport
    loses: Callable[[bytes], bool] = lambda _: False
    asked: list[bytes] = field(default_factory=list)
    hung_up: list[Endpoint] = field(default_factory=list)
    feed_address: str = ""
    service_address: str = ""

    def __post_init__(self) -> None:
        self.feed_address = self.inner.feed_address
        self.service_address = self.inner.service_address

    def publish(self, frame: bytes, to: NodeId | None = None) -> None:
        if not self.loses(frame):
            self.inner.publish(frame, to)

    def admit_key(self, curve_key: bytes) -> None:
        self.inner.admit_key(curve_key)

    def revoke_key(self, curve_key: bytes) -> None:
        self.inner.revoke_key(curve_key)

    def listen_to(self, feed: Endpoint) -> None:
        self.inner.listen_to(feed)

    def stop_listening_to(self, feed: Endpoint) -> None:
        self.inner.stop_listening_to(feed)

    def request(self, service: Endpoint, frame: bytes, *, timeout_s: float, reply: Reply) -> None:
        self.asked.append(frame)
        self.inner.request(service, frame, timeout_s=timeout_s, reply=reply)

    def hang_up(self, service: Endpoint) -> None:
        self.hung_up.append(service)
        self.inner.hang_up(service)

    def close(self, linger_s: float) -> None:
        self.inner.close(linger_s)


@dataclass
class Listener:
    """An owner that knows what it hears, and notes in which order and how often."""

    known: KnownItems = field(default_factory=KnownItems)
    order: dict[LogId, list[int]] = field(default_factory=dict)
    times_applied: Counter[tuple[LogId, int]] = field(default_factory=Counter)
    marks: dict[LogId, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    overtaken_by: list[int] = field(default_factory=list)

    def apply(self, log: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        for seq, entry in enumerate(entries, first_seq):
            self.order.setdefault(log, []).append(seq)
            self.times_applied[log, seq] += 1
            if isinstance(entry, Found):
                self.learn(entry.text)

    def learn(self, text: str) -> None:
        self.known.add(item_key(text), text)

    def durable(self, log: LogId, last_seq: int) -> None:
        self.marks[log] = last_seq

    def members_changed(self) -> None:
        pass

    def known_summary(self) -> tuple[int, bytes]:
        return len(self.known), digest_bytes(self.known.digest)

    def activity_and_model(self) -> tuple[str, str]:
        return "generating", "atlas"

    def join_refused(self, reason: str) -> None:
        self.refused.append(reason)

    def overtaken(self, epoch: int) -> None:
        self.overtaken_by.append(epoch)


@dataclass
class Peer:
    """One running node."""

    node: MeshNode
    owner: Listener
    transport: LossyTransport
    log: NodeLog
    directory: NodeDirectory
    started_s: float
    _closing: contextlib.ExitStack

    @property
    def origin(self) -> NodeId:
        return self.node.own.origin

    @property
    def seed(self) -> Endpoint:
        """Where others join through this node."""
        return self.node.own.service

    @property
    def texts(self) -> set[str]:
        return set(self.owner.known.fresh())

    def say(self, *texts: str) -> None:
        """Find entries: one frame each, on disk, then to all."""
        for text in texts:
            self.owner.learn(text)
            frames = self.node.place([Found(text, 1, "atlas")])
            for said in frames:
                self.log.append(said.frame, said.first_seq, said.count)
            self.node.tell(frames)

    def hears(self, other: Peer) -> bool:
        """Whether a heartbeat of this start of `other` came over its feed."""
        status = self.node.peers.get(other.origin)
        return status is not None and status.heard_s >= other.started_s

    async def stop(self) -> None:
        """End without a word, as a killed process does."""
        self.directory.collector = self.node.membership.collector_origin
        self.directory.save()
        self.node.close()
        self._closing.close()


class Mesh:
    """Starts nodes below one directory, by name; a name started again is the same node."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: list[Peer] = []

    async def start(
        self,
        name: str,
        *seeds: Peer,
        role: Role = Role.PRODUCER,
        run_id: bytes = RUN,
        ports: tuple[int, int] | None = None,
        addresses: Sequence[str] = (),
        encrypted: bool = False,
        ticket: JoinTicket | None = None,
    ) -> Peer:
        """Start `name`, to join through `seeds` and whoever serves at `addresses`."""
        directory = NodeDirectory.open(self.directory / "nodes" / name)
        settings = MeshSettings(host=HOST, encrypted=encrypted)
        directory.ports = ports or directory.ports
        epoch = directory.open_epoch(time.time_ns() // 1_000_000)
        keys = node_keys(directory, settings)
        log = directory.create_log()
        transport = LossyTransport(open_transport(directory, settings, keys))
        own = own_member(
            directory,
            transport.inner,
            run_id=run_id,
            keys=keys,
            label=name,
            role=role,
            epoch=epoch,
            earlier_logs=[(each, reader.refresh()) for each, reader in directory.earlier.items()],
        )
        closing = contextlib.ExitStack()
        closing.callback(directory.close)
        closing.callback(log.close)
        kept = KeptFrames.open(directory.path)
        closing.callback(kept.close)
        shelf: LogShelf = ProducerShelf(own.log, log, directory.earlier, kept=kept)
        if role is Role.COLLECTOR:
            shelf = self._collector_shelf(directory.origin, kept, closing)
        closing.callback(transport.close, 0.0)
        owner = Listener()
        node = MeshNode(
            own,
            run_id,
            owner,
            shelf,
            random.Random(name),
            asyncio.get_running_loop(),
            signing=keys.signing if keys else None,
        )
        node.attach(transport)
        if directory.collector is not None:
            node.name_collector(directory.collector)
        if ticket is not None:
            node.joiner.take_ticket(ticket)
        transport.inner.start(node)
        for reader in directory.earlier.values():
            node.load(stored.frame for stored in reader.new_frames())
        started_s = asyncio.get_running_loop().time()
        join_at = [*(Endpoint(each) for each in addresses), *(seed.seed for seed in seeds)]
        node.start(lambda: join_at)
        peer = Peer(node, owner, transport, log, directory, started_s, closing)
        self._running.append(peer)
        return peer

    def _collector_shelf(
        self, origin: NodeId, kept: KeptFrames, closing: contextlib.ExitStack
    ) -> LogShelf:
        path = self.directory / "run.sqlite"
        RunDatabase.open(path).close()
        committed = RunDatabase.open_read_only(path)
        closing.callback(committed.close)
        return CollectorShelf(origin, committed, self.directory / "nodes", kept=kept)

    async def stop(self) -> None:
        for peer in self._running:
            await peer.stop()


@asynccontextmanager
async def running_mesh(directory: Path) -> AsyncIterator[Mesh]:
    """A mesh whose nodes all end with the block."""
    mesh = Mesh(directory)
    try:
        yield mesh
    finally:
        await mesh.stop()
