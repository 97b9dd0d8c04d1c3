"""Nodes that are nothing but a transport, and note what it tells them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import Any

from mesh.core.items import NodeId
from mesh.core.membership import Endpoint
from mesh.transport.curve import CurveKeys
from mesh.transport.interface import TransportEvents
from mesh.transport.zmq_transport import ZmqTransport
from mesh.wire.codec import MAGIC
from tests.patience import PATIENCE_S

HOST = "127.0.0.1"


@dataclass
class Heard(TransportEvents):
    """Notes what a transport reports; answers a request with its echo."""

    frames: list[bytes] = field(default_factory=list)
    listeners: list[tuple[NodeId, bool]] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    asker_keys: list[bytes] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    answers: bool = True
    padding_bytes: int = 0
    """Of each answer, beside the echo."""

    def feed_received(self, frame: bytes) -> None:
        self.frames.append(frame)

    def feed_subscribed(self, node: NodeId, listening: bool) -> None:
        self.listeners.append((node, listening))

    def request_received(self, frame: bytes, asker_key: bytes) -> list[bytes]:
        self.requests.append(frame)
        self.asker_keys.append(asker_key)
        padding = [b"." * self.padding_bytes] if self.padding_bytes else []
        return [b"echo", frame, *padding] if self.answers else []

    def turned_away(self, reason: str) -> None:
        self.refusals.append(reason)


@dataclass
class Node:
    id: NodeId
    transport: ZmqTransport
    heard: Heard
    keys: CurveKeys | None = None

    @property
    def curve_key(self) -> bytes:
        return self.keys.public if self.keys else b""

    @property
    def feed(self) -> Endpoint:
        return Endpoint(self.transport.feed_address, self.curve_key)

    @property
    def service(self) -> Endpoint:
        return Endpoint(self.transport.service_address, self.curve_key)

    def listens(self, other: Node) -> None:
        self.transport.listen_to(other.feed)

    def is_heard_by(self, *others: Node) -> bool:
        """Whether each of them has begun to listen, and not ceased since."""
        now = dict(self.heard.listeners)
        return all(now.get(other.id) for other in others)

    def ask(
        self, service: Endpoint, frame: bytes, timeout_s: float = PATIENCE_S
    ) -> list[list[bytes] | None]:
        """Ask; the list returned gets the reply."""
        replies: list[list[bytes] | None] = []
        self.transport.request(service, frame, timeout_s=timeout_s, reply=replies.append)
        return replies


class Nodes:
    """Starts nodes and closes them at the end."""

    def __init__(self, closing: contextlib.ExitStack) -> None:
        self._closing = closing

    def start(self, name: str, *, keys: CurveKeys | None = None, **settings: Any) -> Node:
        """A node whose id is made of `name`; `settings` as ZmqTransport's."""
        own_id = NodeId(name.encode() * 16)
        transport = ZmqTransport(own_id, **{"host": HOST, "curve": keys, **settings})
        self._closing.callback(transport.close, 0.0)
        node = Node(own_id, transport, Heard(), keys)
        transport.start(node.heard)
        return node


def kept_ports() -> tuple[int, int]:
    """Two ports that stay free while nobody listens: below those that connections are given."""
    first = 21_000 + 2 * (os.getpid() % 5_000)
    return first, first + 1


def frame(number: int, size: int = 0) -> bytes:
    return MAGIC + b"%d" % number + b"." * size
