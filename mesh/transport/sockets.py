"""How every socket of the mesh is set up, and how it is read.

Sockets are read when their descriptor turns readable, then drained with NOBLOCK: nothing is ever
cancelled while it holds a message (pyzmq#1925). The descriptor is edge-triggered, and a send may
swallow the edge, so each send looks for waiting messages itself.

What ZeroMQ cannot bound: a message of endlessly many parts, and the topics that one listener
subscribes to. Its high-water marks count whole messages, MAXMSGSIZE counts within one part. A peer
that is let in, and speaks the protocol with code of its own, can take memory that way.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import zmq

from mesh.wire.codec import FRAME_BYTES_MAX

HIGH_WATER_MARK_MESSAGES = 10_000
"""Frames that wait for one slow peer; those beyond are dropped, the peer asks for them."""
CONNECTIONS_WAITING_MAX = 1024
"""Of nodes that dial at one moment; beyond, the system makes them try again a second later."""
PART_BYTES_MAX = FRAME_BYTES_MAX + 64
"""A frame, and what may stand around it on the wire: a presence topic and CURVE's envelope."""
BURST_MESSAGES_MAX = 256
BURST_S_MAX = 0.005
"""A reader's turn: after it heartbeats, timers and other sockets come first."""
HANDSHAKE_S_MAX = 3.0
"""A connection that has not proved itself by then is closed, and tried again by who dialled it."""
HANDSHAKE_FAILURES_MAX = 100_000
"""Failed handshakes that wait to be counted. Beyond, ZeroMQ's own thread stands still until they
are: new connections are not the worst thing to be late with then."""
_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_MONITOR_EVENT = struct.Struct("=HI")
"""Event, value: ZMQ's socket monitors, version 1."""
_monitor_numbers = itertools.count(1)

Socket = zmq.Socket[bytes]
Message = TypeVar("Message")


def new_socket(
    context: zmq.Context[Socket],
    kind: int,
    *,
    messages_max: int = HIGH_WATER_MARK_MESSAGES,
    part_bytes_max: int = PART_BYTES_MAX,
) -> Socket:
    """A socket with the mesh's limits and intervals.

    Args:
        messages_max: for each peer and direction; beyond, messages out are dropped and messages in
            wait with who sends them.
        part_bytes_max: of what comes in; a peer that sends more is cut off.
    """
    socket = context.socket(kind)
    options = {
        zmq.SNDHWM: messages_max,
        zmq.RCVHWM: messages_max,
        zmq.MAXMSGSIZE: part_bytes_max,
        zmq.LINGER: 0,
        zmq.BACKLOG: CONNECTIONS_WAITING_MAX,
        zmq.IPV6: 1,
        zmq.HANDSHAKE_IVL: int(HANDSHAKE_S_MAX * 1000),
        zmq.CONNECT_TIMEOUT: 2000,
        zmq.RECONNECT_IVL: 100,
        zmq.RECONNECT_IVL_MAX: 500,
    }
    if kind in (zmq.SUB, zmq.DEALER):
        # Who dials asks whether the other side lives, and tells it how soon to ask again; with
        # both sides asking, half of an idle mesh's processor time went there.
        options |= {zmq.HEARTBEAT_IVL: 2000, zmq.HEARTBEAT_TIMEOUT: 2000, zmq.HEARTBEAT_TTL: 4000}
    for option, value in options.items():
        socket.setsockopt(option, value)
    return socket


@dataclass(slots=True, eq=False)
class SocketReader(Generic[Message]):
    """Drains one socket whenever something waits on it."""

    socket: Socket
    receive: Callable[[Socket], Message]
    """Takes one message off the socket; raises zmq.Again at once when there is none."""
    deliver: Callable[[Message], None]
    loop: asyncio.AbstractEventLoop
    _scheduled: bool = False

    def start(self) -> None:
        self.loop.add_reader(int(self.socket.getsockopt(zmq.FD)), self.drain)
        self.look()

    def stop(self, linger_s: float = 0.0) -> None:
        """Read no more and close the socket; what is queued is sent for at most `linger_s`."""
        if not self.socket.closed:
            self.loop.remove_reader(int(self.socket.getsockopt(zmq.FD)))
            self.socket.close(linger=int(linger_s * 1000))

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
            # Asked first: an exception for every empty socket costs more than the message.
            if not int(self.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                return
            try:
                message = self.receive(self.socket)
            except zmq.Again:
                return
            self.deliver(message)
            if self.loop.time() > turn_ends_s:
                break
        # Other tasks get a turn; what is left is read right after.
        self._scheduled = True
        self.loop.call_soon(self.drain)


def receive_parts(socket: Socket) -> list[bytes]:
    return socket.recv_multipart(zmq.NOBLOCK)


@dataclass(frozen=True, slots=True)
class FailedHandshake:
    """A connection that ended before it was one: exactly one of these each."""

    address: str
    """As dialled, or as bound: not the peer's."""
    event: int
    """One of zmq.EVENT_HANDSHAKE_FAILED_*."""
    detail: int
    """The gate's answer, 300 or 400, for AUTH; else an errno or protocol error."""


class HandshakeWatch:
    """Hears of failed handshakes on one socket; they are ZeroMQ's own business otherwise."""

    def __init__(
        self,
        context: zmq.Context[Socket],
        watched: Socket,
        loop: asyncio.AbstractEventLoop,
        failed: Callable[[FailedHandshake], None],
    ) -> None:
        self._watched = watched
        self._failed = failed
        address = f"inproc://handshakes-{next(_monitor_numbers)}"
        watched.monitor(address, _FAILED)
        socket = context.socket(zmq.PAIR)
        socket.setsockopt(zmq.RCVHWM, HANDSHAKE_FAILURES_MAX)
        socket.connect(address)
        self._reader = SocketReader(socket, receive_parts, self._deliver, loop)

    def start(self) -> None:
        self._reader.start()

    def stop(self) -> None:
        """Hear no more; must come before the watched socket is closed."""
        if not self._watched.closed:
            self._watched.disable_monitor()
        self._reader.stop()

    def _deliver(self, parts: list[bytes]) -> None:
        event, detail = _MONITOR_EVENT.unpack(parts[0])
        if event & _FAILED:
            self._failed(FailedHandshake(parts[1].decode("utf-8", "replace"), event, detail))
