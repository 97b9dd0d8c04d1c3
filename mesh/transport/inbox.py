"""The feeds that a node listens to: one SUB socket for all of them.

ZeroMQ dials a feed that is away for ever, but gives up on one whose port is held by something that
speaks another protocol, or none; such a feed is dialled again here. A second SUB socket opens only
where two nodes name one address with different keys, as when a new node has taken the port of one
that is gone: a SUB dials an address once.

Each SUB also subscribes to a topic that is its own node's id: the XPUB on the other side learns
from it who listens, and sends by it what is for that node alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from mesh.core.items import NODE_ID_BYTES, NodeId
from mesh.core.membership import Endpoint
from mesh.transport.addresses import Place, host_and_port
from mesh.transport.curve import CurveKeys, NoSuchKey, prove_keys
from mesh.transport.sockets import (
    FailedHandshake,
    HandshakeWatch,
    Socket,
    SocketReader,
    new_socket,
    receive_parts,
)
from mesh.wire.codec import MAGIC

logger = logging.getLogger(__name__)

PRESENCE = b"\x00"
"""First byte of presence topics; frames begin with MAGIC."""
PRESENCE_BYTES = len(PRESENCE) + NODE_ID_BYTES
"""A presence topic also stands before a frame for that node alone."""
REDIAL_S = 0.5
"""After a failed handshake. ZeroMQ would dial a port in strange hands ten times a second."""
KEYS_PER_ADDRESS_MAX = 4
"""Beyond, the one dialled longest ago is given up: it is the least likely to live there still."""


@dataclass(slots=True, eq=False)
class _Ear:
    """One SUB socket."""

    socket: Socket
    reader: SocketReader[list[bytes]]
    watch: HandshakeWatch
    feeds: dict[str, Endpoint] = field(default_factory=dict)
    """By address."""
    redials: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    """Addresses that are not connected, and when they will be."""


class Inbox:
    """Hears every feed that it was told to."""

    def __init__(
        self,
        own_id: NodeId,
        context: zmq.Context[Socket],
        loop: asyncio.AbstractEventLoop,
        keys: CurveKeys | None,
        deliver: Callable[[bytes], None],
    ) -> None:
        self._own_id = own_id
        self._context = context
        self._loop = loop
        self._keys = keys
        self._deliver = deliver
        self._ears: list[_Ear] = []
        self._ear_of: dict[Endpoint, _Ear] = {}
        """In the order in which they were dialled."""
        self._lookups: set[asyncio.Task[None]] = set()

    def listen_to(self, feed: Endpoint) -> None:
        if feed in self._ear_of:
            return
        ear = self._ear_for(feed.address)
        ear.feeds[feed.address] = feed
        self._ear_of[feed] = ear
        self._connect(ear, feed)

    def stop_listening_to(self, feed: Endpoint) -> None:
        ear = self._ear_of.pop(feed, None)
        if ear is None:
            return
        del ear.feeds[feed.address]
        redial = ear.redials.pop(feed.address, None)
        if redial:
            redial.cancel()
        self._disconnect(ear, feed.address)

    def stop(self) -> None:
        for lookup in self._lookups:
            lookup.cancel()
        for ear in self._ears:
            for redial in ear.redials.values():
                redial.cancel()
            ear.watch.stop()
            ear.reader.stop()

    def _ear_for(self, address: str) -> _Ear:
        for ear in self._ears:
            if address not in ear.feeds:
                return ear
        if len(self._ears) < KEYS_PER_ADDRESS_MAX:
            return self._new_ear()
        oldest = next(feed for feed in self._ear_of if feed.address == address)
        ear = self._ear_of[oldest]
        self.stop_listening_to(oldest)
        return ear

    def _new_ear(self) -> _Ear:
        socket = new_socket(self._context, zmq.SUB)
        socket.subscribe(MAGIC)
        socket.subscribe(PRESENCE + self._own_id)
        reader = SocketReader(socket, receive_parts, self._on_frame, self._loop)
        watch = HandshakeWatch(
            self._context, socket, self._loop, lambda failed: self._on_failed(ear, failed)
        )
        ear = _Ear(socket, reader, watch)
        self._ears.append(ear)
        reader.start()
        watch.start()
        return ear

    def _connect(self, ear: _Ear, feed: Endpoint) -> None:
        try:
            prove_keys(ear.socket, self._keys, feed.curve_key)
            ear.socket.connect(feed.address)
        except (zmq.ZMQError, NoSuchKey) as error:
            logger.warning("event=not_connected address=%r error=%s", feed.address, error)
        ear.reader.look()

    def _disconnect(self, ear: _Ear, address: str) -> None:
        with contextlib.suppress(zmq.ZMQError):
            ear.socket.disconnect(address)
        ear.reader.look()

    def _on_frame(self, parts: list[bytes]) -> None:
        frame = parts[0]
        self._deliver(frame[PRESENCE_BYTES:] if frame.startswith(PRESENCE) else frame)

    def _on_failed(self, ear: _Ear, failed: FailedHandshake) -> None:
        """Dial again in a while, unless ZeroMQ does or the feed said that it is of no use."""
        timed_out = failed.detail == errno.EAGAIN
        refused = failed.event == zmq.EVENT_HANDSHAKE_FAILED_AUTH
        if timed_out or refused:
            return
        if failed.address in ear.feeds:
            self._redial_later(ear, failed.address)
            return
        # From its second try on ZeroMQ names not the address but where its host was found.
        parts = host_and_port(failed.address)
        place = Place.of(*parts) if parts else None
        if place is not None:
            self._redial_at(ear, place)

    def _redial_at(self, ear: _Ear, place: Place) -> None:
        for address in list(ear.feeds):
            parts = host_and_port(address)
            if parts is None or parts[1] != place.port:
                continue
            known = Place.of(*parts)
            if known == place:
                self._redial_later(ear, address)
            elif known is None:
                lookup = self._loop.create_task(self._redial_if_at(ear, address, parts[0], place))
                self._lookups.add(lookup)
                lookup.add_done_callback(self._lookups.discard)

    async def _redial_if_at(self, ear: _Ear, address: str, host: str, place: Place) -> None:
        try:
            found = await self._loop.getaddrinfo(host, place.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # Names come from peers; some are none.
            return
        if place in {Place.of(str(sockaddr[0]), place.port) for *_, sockaddr in found}:
            self._redial_later(ear, address)

    def _redial_later(self, ear: _Ear, address: str) -> None:
        if address in ear.feeds and address not in ear.redials:
            self._disconnect(ear, address)
            ear.redials[address] = self._loop.call_later(REDIAL_S, self._redial, ear, address)

    def _redial(self, ear: _Ear, address: str) -> None:
        del ear.redials[address]
        self._connect(ear, ear.feeds[address])
