"""The mesh on ZeroMQ: XPUB feed, one SUB for all other feeds, ROUTER service, DEALERs to ask.

Sockets are read when their descriptor turns readable, then drained with NOBLOCK: nothing is ever
cancelled while it holds a message (pyzmq#1925). The descriptor is edge-triggered, and a send may
swallow the edge, so each send looks for waiting messages itself.

Each SUB also subscribes to a topic that is its own node's id; no frame matches it, but the XPUB
on the other side learns from it who listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from mesh.core.items import NODE_ID_BYTES, NodeId
from mesh.transport.interface import Reply, TransportEvents
from mesh.wire.codec import FRAME_BYTES_MAX, MAGIC

logger = logging.getLogger(__name__)

HIGH_WATER_MARK_MESSAGES = 10_000
BURST_MESSAGES_MAX = 256
BURST_S_MAX = 0.005
"""A reader's turn: after it heartbeats, timers and other sockets come first."""
ASKED_PEERS_MAX = 1024
PRESENCE = b"\x00"
"""First byte of presence topics; frames begin with MAGIC."""


class AddressInUse(Exception):
    """A socket could not be bound; the message names the address."""


@dataclass(slots=True, eq=False)
class _Reader:
    """Drains one socket whenever something waits on it."""

    socket: zmq.Socket[bytes]
    deliver: Callable[[list[bytes]], None]
    loop: asyncio.AbstractEventLoop
    _scheduled: bool = False

    def start(self) -> None:
        self.loop.add_reader(int(self.socket.getsockopt(zmq.FD)), self.drain)
        self.look()

    def stop(self) -> None:
        self.loop.remove_reader(int(self.socket.getsockopt(zmq.FD)))

    def look(self) -> None:
        """Schedule a read if messages wait; needed after each send and connect."""
        if self._scheduled or self.socket.closed:
            return
        if int(self.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._scheduled = True
            self.loop.call_soon(self.drain)

    def drain(self) -> None:
        self._scheduled = False
        turn_ends_s = self.loop.time() + BURST_S_MAX
        for _ in range(BURST_MESSAGES_MAX):
            if self.socket.closed:
                return
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.deliver(parts)
            if self.loop.time() > turn_ends_s:
                break
        # Other tasks get a turn; what is left is read right after.
        self._scheduled = True
        self.loop.call_soon(self.drain)


@dataclass(slots=True)
class _Asked:
    """The DEALER to one peer, and the replies awaited on it."""

    socket: zmq.Socket[bytes]
    reader: _Reader
    waiting: dict[bytes, tuple[Reply, asyncio.TimerHandle]] = field(default_factory=dict)


class ZmqTransport:
    """One node's four kinds of sockets. Must be used from its event loop only."""

    def __init__(
        self,
        own_id: NodeId,
        *,
        host: str,
        ports: tuple[int, int] | None = None,
    ) -> None:
        """Bind the feed and the service; nothing is read before `start`.

        Args:
            own_id: told to the feeds that this node listens to.
            host: address to bind, also the one that others are told.
            ports: (feed, service) of an earlier start, taken again where they are free, so that
                others find this node where it was; None: any free ones.

        Raises:
            AddressInUse: `host` is no address of this machine, or has no free port.
        """
        self._events: TransportEvents
        self._loop = asyncio.get_running_loop()
        self._context = zmq.Context(io_threads=1)
        self._asked: dict[str, _Asked] = {}
        self._request_numbers = itertools.count(1)
        self._closed = False
        self._feed = self._socket(zmq.XPUB)
        self._feed.setsockopt(zmq.XPUB_VERBOSER, 1)
        self._service = self._socket(zmq.ROUTER)
        self._service.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._inbox = self._socket(zmq.SUB)
        self._inbox.subscribe(MAGIC)
        self._inbox.subscribe(PRESENCE + own_id)
        feed_port, service_port = ports or (0, 0)
        self.feed_address = _bind(self._feed, host, feed_port)
        self.service_address = _bind(self._service, host, service_port)
        self._feed_reader = _Reader(self._feed, self._on_subscription, self._loop)
        self._service_reader = _Reader(self._service, self._on_request, self._loop)
        self._inbox_reader = _Reader(self._inbox, self._on_frame, self._loop)

    def start(self, events: TransportEvents) -> None:
        """Begin to read; `events` hears what comes."""
        self._events = events
        for reader in (self._feed_reader, self._service_reader, self._inbox_reader):
            reader.start()

    @property
    def ports(self) -> tuple[int, int]:
        """(feed, service), to be asked for again at the next start."""
        return _port(self.feed_address), _port(self.service_address)

    def publish(self, frame: bytes) -> None:
        with contextlib.suppress(zmq.Again):
            self._feed.send(frame, zmq.NOBLOCK)
        self._feed_reader.look()

    def listen_to(self, feed_address: str) -> None:
        try:
            self._inbox.connect(feed_address)
        except zmq.ZMQError as error:
            logger.warning("event=not_connected address=%r error=%s", feed_address, error)
        self._inbox_reader.look()

    def stop_listening_to(self, feed_address: str) -> None:
        with contextlib.suppress(zmq.ZMQError):
            self._inbox.disconnect(feed_address)

    def request(
        self, service_address: str, frame: bytes, *, timeout_s: float, reply: Reply
    ) -> None:
        try:
            asked = self._asked.get(service_address) or self._ask(service_address)
        except zmq.ZMQError as error:
            logger.warning("event=not_connected address=%r error=%s", service_address, error)
            self._loop.call_later(timeout_s, reply, None)
            return
        number = next(self._request_numbers).to_bytes(8, "big")
        timer = self._loop.call_later(timeout_s, self._give_up, service_address, number)
        asked.waiting[number] = (reply, timer)
        with contextlib.suppress(zmq.Again):
            asked.socket.send_multipart([number, frame], zmq.NOBLOCK)
        asked.reader.look()

    def close(self, linger_s: float) -> None:
        if self._closed:
            return
        self._closed = True
        for asked in self._asked.values():
            for reply, timer in asked.waiting.values():
                timer.cancel()
                reply(None)
        # What is still to be asked or heard is worth no wait, what was said and answered is.
        waits_s = {self._feed_reader: linger_s, self._service_reader: linger_s}
        for reader in (*waits_s, self._inbox_reader, *(a.reader for a in self._asked.values())):
            reader.stop()
            reader.socket.close(linger=int(waits_s.get(reader, 0.0) * 1000))
        self._context.term()

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        options = {
            zmq.SNDHWM: HIGH_WATER_MARK_MESSAGES,
            zmq.RCVHWM: HIGH_WATER_MARK_MESSAGES,
            zmq.MAXMSGSIZE: FRAME_BYTES_MAX,
            zmq.LINGER: 0,
            zmq.IPV6: 1,
            zmq.HEARTBEAT_IVL: 1000,
            zmq.HEARTBEAT_TIMEOUT: 3000,
            zmq.HANDSHAKE_IVL: 3000,
            zmq.CONNECT_TIMEOUT: 2000,
            zmq.RECONNECT_IVL: 100,
            zmq.RECONNECT_IVL_MAX: 1000,
        }
        for option, value in options.items():
            socket.setsockopt(option, value)
        return socket

    def _ask(self, service_address: str) -> _Asked:
        if len(self._asked) >= ASKED_PEERS_MAX:
            self._forget_idle_peer()
        socket = self._socket(zmq.DEALER)
        try:
            socket.connect(service_address)
        except zmq.ZMQError:
            socket.close(linger=0)
            raise
        asked = _Asked(
            socket, _Reader(socket, lambda parts: self._on_reply(asked, parts), self._loop)
        )
        asked.reader.start()
        self._asked[service_address] = asked
        return asked

    def _forget_idle_peer(self) -> None:
        for address, asked in self._asked.items():
            if not asked.waiting:
                self._forget(address)
                return

    def _forget(self, service_address: str) -> None:
        asked = self._asked.pop(service_address)
        asked.reader.stop()
        asked.socket.close(linger=0)

    def _give_up(self, service_address: str, number: bytes) -> None:
        asked = self._asked.get(service_address)
        waiting = asked.waiting.pop(number, None) if asked else None
        if asked and not asked.waiting:
            # With the socket goes what it holds for an absent peer, which would get all at once.
            self._forget(service_address)
        if waiting:
            waiting[0](None)

    def _on_frame(self, parts: list[bytes]) -> None:
        self._events.feed_received(parts[0])

    def _on_subscription(self, parts: list[bytes]) -> None:
        topic = parts[0]
        if len(topic) == 2 + NODE_ID_BYTES and topic[1:2] == PRESENCE:
            self._events.feed_subscribed(NodeId(topic[2:]), topic[0] == 1)

    def _on_request(self, parts: list[bytes]) -> None:
        if len(parts) != 3:
            return
        peer, number, frame = parts
        answer = self._events.request_received(frame)
        if answer:
            # The peer may be gone, or slower than its queue is long: it asks again.
            with contextlib.suppress(zmq.ZMQError):
                self._service.send_multipart([peer, number, *answer], zmq.NOBLOCK)
        self._service_reader.look()

    def _on_reply(self, asked: _Asked, parts: list[bytes]) -> None:
        waiting = asked.waiting.pop(parts[0], None)
        if waiting:
            reply, timer = waiting
            timer.cancel()
            reply(parts[1:])


def _bind(socket: zmq.Socket[bytes], host: str, port: int) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    if port:
        with contextlib.suppress(zmq.ZMQError):
            socket.bind(f"tcp://{bracketed}:{port}")
            return f"tcp://{bracketed}:{port}"
    try:
        socket.bind(f"tcp://{bracketed}:*")
    except zmq.ZMQError as error:
        raise AddressInUse(
            f"cannot open a port on {host}: {error}; choose another --host"
        ) from error
    return f"tcp://{bracketed}:{_port(socket.getsockopt_string(zmq.LAST_ENDPOINT))}"


def _port(address: str) -> int:
    return int(address.rsplit(":", 1)[1])
