"""Asking other nodes' services: a DEALER to each, requests by number, every one ends.

At most WINDOW requests are under way at one peer, the rest waits here: so a server may bound what
it keeps for an asker that does not read, and a peer that is away is owed no more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from dataclasses import dataclass, field

import zmq

from mesh.core.membership import Endpoint
from mesh.transport.curve import CurveKeys, NoSuchKey, prove_keys
from mesh.transport.interface import Reply
from mesh.transport.sockets import Socket, SocketReader, new_socket, receive_parts

logger = logging.getLogger(__name__)

WINDOW = 32
"""Requests under way at one peer; more would let it work ahead of the replies' way back."""
WAITING_MAX = 1024
"""Unanswered requests of one peer; more end with None at once."""
IDLE_S = 5.0
"""A DEALER that has waited for nothing for so long is closed: each is kept alive by pings."""
ASKED_PEERS_MAX = 1024
"""Open DEALERs; beyond, one that waits for nothing is closed, or the request ends with None."""


@dataclass(slots=True)
class _Request:
    frame: bytes
    reply: Reply
    timer: asyncio.TimerHandle
    is_sent: bool = False


@dataclass(slots=True, eq=False)
class _Asked:
    """The DEALER to one peer, and the replies awaited on it."""

    peer: Endpoint
    socket: Socket
    reader: SocketReader[list[bytes]]
    waiting: dict[bytes, _Request] = field(default_factory=dict)
    """By number, oldest first: those under way, then those that wait their turn."""
    under_way: int = 0
    idle: asyncio.TimerHandle | None = None
    """Set while nothing waits: closes it."""


class Requests:
    """What this node has asked and not heard the reply to."""

    def __init__(
        self,
        context: zmq.Context[Socket],
        loop: asyncio.AbstractEventLoop,
        keys: CurveKeys | None,
    ) -> None:
        self._context = context
        self._loop = loop
        self._keys = keys
        self._asked: dict[Endpoint, _Asked] = {}
        self._numbers = itertools.count(1)
        self._stopped = False

    def ask(self, peer: Endpoint, frame: bytes, timeout_s: float, reply: Reply) -> None:
        if self._stopped:
            self._loop.call_soon(reply, None)
            return
        asked = self._asked.get(peer) or self._open(peer)
        if asked is None or len(asked.waiting) >= WAITING_MAX:
            self._loop.call_later(timeout_s if asked is None else 0.0, reply, None)
            return
        if asked.idle is not None:
            asked.idle.cancel()
            asked.idle = None
        number = next(self._numbers).to_bytes(8, "big")
        timer = self._loop.call_later(timeout_s, self._give_up, asked, number)
        asked.waiting[number] = _Request(frame, reply, timer)
        self._send_next(asked)

    def stop(self) -> None:
        """End every request with None, later ones too."""
        self._stopped = True
        for peer in list(self._asked):
            self.hang_up(peer)

    def hang_up(self, peer: Endpoint) -> None:
        """End all requests to `peer` with None; the next one opens a connection of its own."""
        asked = self._asked.get(peer)
        if asked is None:
            return
        self._close(asked)
        ended, asked.waiting = asked.waiting, {}
        for request in ended.values():
            request.timer.cancel()
            request.reply(None)

    def _open(self, peer: Endpoint) -> _Asked | None:
        if len(self._asked) >= ASKED_PEERS_MAX and not self._close_idle():
            return None
        # ZeroMQ learns only of half a queue at a time that it was sent.
        socket = new_socket(self._context, zmq.DEALER, messages_max=2 * WINDOW)
        try:
            prove_keys(socket, self._keys, peer.curve_key)
            socket.connect(peer.address)
        except (zmq.ZMQError, NoSuchKey) as error:
            logger.warning("event=not_connected address=%r error=%s", peer.address, error)
            socket.close(linger=0)
            return None
        reader = SocketReader(
            socket, receive_parts, lambda parts: self._on_reply(asked, parts), self._loop
        )
        asked = _Asked(peer, socket, reader)
        reader.start()
        self._asked[peer] = asked
        return asked

    def _close_idle(self) -> bool:
        for asked in self._asked.values():
            if not asked.waiting:
                self._close(asked)
                return True
        return False

    def _close(self, asked: _Asked) -> None:
        del self._asked[asked.peer]
        if asked.idle is not None:
            asked.idle.cancel()
        asked.reader.stop()

    def _send_next(self, asked: _Asked) -> None:
        """Send what the window has room for."""
        if asked.under_way < WINDOW:
            unsent = (item for item in asked.waiting.items() if not item[1].is_sent)
            for number, request in itertools.islice(unsent, WINDOW - asked.under_way):
                request.is_sent = True
                asked.under_way += 1
                with contextlib.suppress(zmq.Again):
                    asked.socket.send_multipart([number, request.frame], zmq.NOBLOCK)
        asked.reader.look()

    def _give_up(self, asked: _Asked, number: bytes) -> None:
        request = self._take(asked, number)
        if not asked.waiting and self._asked.get(asked.peer) is asked:
            # With the socket goes what it holds for an absent peer, which would get all at once.
            self._close(asked)
        if request:
            request.reply(None)

    def _on_reply(self, asked: _Asked, parts: list[bytes]) -> None:
        request = self._take(asked, parts[0])
        if not asked.waiting and asked.idle is None:
            asked.idle = self._loop.call_later(IDLE_S, self._close, asked)
        if request:
            request.timer.cancel()
            request.reply(parts[1:])

    def _take(self, asked: _Asked, number: bytes) -> _Request | None:
        request = asked.waiting.pop(number, None)
        if request:
            asked.under_way -= request.is_sent
            self._send_next(asked)
        return request
