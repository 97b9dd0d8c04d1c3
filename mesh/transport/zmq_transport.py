"""One node's place in the mesh on ZeroMQ: XPUB feed, SUB inbox, ROUTER service, DEALERs to ask.

With keys every one of these speaks CURVE, and the gate decides who may connect; without, all is
plaintext and anyone may. Frames, entries and members are the node's matter: what is known here is
addresses, keys and bytes.

What a peer can make this node hold is bounded for each connection: frames by the high-water marks,
requests and replies by SERVICE_WAITING_MAX, a subscription by its size (for what is not bounded see
sockets.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import zmq

from mesh.core.items import NODE_ID_BYTES, NodeId
from mesh.core.membership import Endpoint
from mesh.transport import gate
from mesh.transport.addresses import tcp_address
from mesh.transport.binding import AddressInUse, bind_pair
from mesh.transport.curve import CurveKeys, demand_keys
from mesh.transport.inbox import PRESENCE, Inbox
from mesh.transport.interface import Reply, TransportEvents
from mesh.transport.requests import WINDOW, Requests
from mesh.transport.sockets import (
    FailedHandshake,
    HandshakeWatch,
    Socket,
    SocketReader,
    new_socket,
    receive_parts,
)

__all__ = ["AddressInUse", "ZmqTransport"]

logger = logging.getLogger(__name__)

SERVICE_WAITING_MAX = 2 * WINDOW
"""Requests of one asker, which then wait on its side, and replies to it, which then are dropped and
asked for again. A reply is at most a MiB, so an asker that reads none costs 64 MiB."""
SUBSCRIPTION_BYTES_MAX = 1024
"""Topics are 17 bytes; handshakes need most of this."""
REOPEN_S = 0.05
"""Between attempts to bind the feed again."""


class ZmqTransport:
    """One node's sockets. Must be used from its event loop only."""

    def __init__(
        self,
        own_id: NodeId,
        *,
        host: str,
        ports: tuple[int, int] | None = None,
        port_range: tuple[int, int] | None = None,
        advertise_host: str | None = None,
        curve: CurveKeys | None = None,
    ) -> None:
        """Bind the feed and the service; nothing is read, and nobody let in, before `start`.

        Args:
            own_id: told to the feeds that this node listens to.
            host: address to bind; 0.0.0.0 and :: are all of this machine's, and need an
                `advertise_host`.
            ports: (feed, service) of an earlier start, taken again where they are free and in the
                range, so that others find this node where it was.
            port_range: first and last port that may be used; None: any free ones.
            advertise_host: what others are told to dial; None: `host`.
            curve: this node's keys; None: plaintext on every socket.

        Raises:
            AddressInUse: `host` is no address of this machine, or has no free port.
        """
        self._events: TransportEvents
        self._loop = asyncio.get_running_loop()
        self._context = zmq.Context(io_threads=1)
        self._closed = False
        self._gate = gate.Gate(self._context, self._loop) if curve else None
        self._feed = self._server(zmq.XPUB, curve, gate.FEED)
        self._service = self._server(zmq.ROUTER, curve, gate.SERVICE)
        try:
            self.ports = bind_pair(
                self._feed, self._service, host, earlier=ports, port_range=port_range
            )
        except AddressInUse:
            self._context.destroy(linger=0)
            raise
        feed_port, service_port = self.ports
        self._feed_bound_at = self._feed.getsockopt_string(zmq.LAST_ENDPOINT)
        self.feed_address = tcp_address(advertise_host or host, feed_port)
        self.service_address = tcp_address(advertise_host or host, service_port)
        self._inbox = Inbox(own_id, self._context, self._loop, curve, self._on_frame)
        self._requests = Requests(self._context, self._loop, curve)
        self._feed_reader = SocketReader(
            self._feed, receive_parts, self._on_subscription, self._loop
        )
        self._service_reader = SocketReader(
            self._service, _receive_request, self._on_request, self._loop
        )
        self._watches = [
            HandshakeWatch(self._context, socket, self._loop, self._on_failed_handshake)
            for socket in (self._feed, self._service)
        ]

    def start(self, events: TransportEvents) -> None:
        """Begin to read; `events` hears what comes."""
        self._events = events
        if self._gate:
            self._gate.start()
        for watch in self._watches:
            watch.start()
        self._feed_reader.start()
        self._service_reader.start()

    def admit_key(self, curve_key: bytes) -> None:
        if self._gate:
            self._gate.admit(curve_key)

    def revoke_key(self, curve_key: bytes) -> None:
        if self._gate and self._gate.revoke(curve_key):
            # It may listen now, and ZeroMQ cuts off no single listener: all have to come again,
            # and what they miss meanwhile they ask for.
            self._feed.unbind(self._feed_bound_at)
            self._reopen_feed()

    def publish(self, frame: bytes, to: NodeId | None = None) -> None:
        with contextlib.suppress(zmq.Again):
            self._feed.send(frame if to is None else PRESENCE + to + frame, zmq.NOBLOCK)
        self._feed_reader.look()

    def listen_to(self, feed: Endpoint) -> None:
        self._inbox.listen_to(feed)

    def stop_listening_to(self, feed: Endpoint) -> None:
        self._inbox.stop_listening_to(feed)

    def request(self, service: Endpoint, frame: bytes, *, timeout_s: float, reply: Reply) -> None:
        self._requests.ask(service, frame, timeout_s, reply)

    def hang_up(self, service: Endpoint) -> None:
        self._requests.hang_up(service)

    def close(self, linger_s: float) -> None:
        if self._closed:
            return
        self._closed = True
        self._requests.stop()
        self._inbox.stop()
        for watch in self._watches:
            watch.stop()
        # What is still to be asked or heard is worth no wait, what was said and answered is.
        self._feed_reader.stop(linger_s)
        self._service_reader.stop(linger_s)
        if self._gate:
            self._gate.stop()
        self._context.term()

    def _server(self, kind: int, keys: CurveKeys | None, domain: bytes) -> Socket:
        if kind == zmq.XPUB:
            socket = new_socket(self._context, kind, part_bytes_max=SUBSCRIPTION_BYTES_MAX)
            socket.setsockopt(zmq.XPUB_VERBOSER, 1)
        else:
            socket = new_socket(self._context, kind, messages_max=SERVICE_WAITING_MAX)
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        if keys:
            demand_keys(socket, keys, domain)
        return socket

    def _reopen_feed(self) -> None:
        """Bind the feed where it was; ZeroMQ takes a moment to let go of the port."""
        if self._closed:
            return
        try:
            self._feed.bind(self._feed_bound_at)
        except zmq.ZMQError as error:
            logger.info("event=feed_not_open address=%s error=%s", self._feed_bound_at, error)
            self._loop.call_later(REOPEN_S, self._reopen_feed)
        self._feed_reader.look()

    def _on_frame(self, frame: bytes) -> None:
        self._events.feed_received(frame)

    def _on_subscription(self, parts: list[bytes]) -> None:
        topic = parts[0]
        if len(topic) == 2 + NODE_ID_BYTES and topic[1:2] == PRESENCE:
            self._events.feed_subscribed(NodeId(topic[2:]), topic[0] == 1)

    def _on_request(self, parts: list[zmq.Frame]) -> None:
        if len(parts) != 3:
            return
        peer, number, frame = (part.bytes for part in parts)
        answer = self._answer(frame, _asker_key(parts[2]) if self._gate else b"")
        if answer:
            self._reply([peer, number, *answer])
        self._service_reader.look()

    def _reply(self, parts: list[bytes]) -> None:
        """Send, unless the asker is gone or reads more slowly than it asks: it asks again."""
        try:
            self._service.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:
            self._events.turned_away("slow_asker")
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def _answer(self, frame: bytes, asker_key: bytes) -> list[bytes]:
        if self._gate and self._gate.is_revoked(asker_key):
            # It had connected before it was shut out.
            self._events.turned_away("revoked_key")
            return []
        return self._events.request_received(frame, asker_key)

    def _on_failed_handshake(self, failed: FailedHandshake) -> None:
        reason = "handshake"
        if failed.event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            reason = "revoked_key" if failed.detail == gate.REVOKED else "unknown_key"
        self._events.turned_away(reason)


def _receive_request(socket: Socket) -> list[zmq.Frame]:
    """Frames, not bytes: they know who sent them."""
    return socket.recv_multipart(zmq.NOBLOCK, copy=False)


def _asker_key(part: zmq.Frame) -> bytes:
    return str(part.get("User-Id")).encode("ascii")
