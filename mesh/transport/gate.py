"""Who may connect to this node's sockets, by CURVE key: ZeroMQ's authentication protocol, ZAP.

The service lets in any key but revoked ones: the node decides what it answers to whom. The feed
lets in registered keys. A key that is not registered is often about to be, since a newcomer dials
everybody at once: its answer is held back for a while, so that it gets in the moment it is
registered, not at its next attempt. Counting the refused is not done here: each of them is a
failed handshake of its socket, whose watch tells exactly one event a connection.

Source: https://rfc.zeromq.org/spec/27/ (ZAP 1.0). After 300 a client tries again once its
handshake has timed out, after 400 never.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

import zmq
from zmq.utils import z85

from mesh.core.membership import MEMBERS_MAX
from mesh.transport.sockets import HANDSHAKE_S_MAX, Socket, SocketReader, receive_parts

logger = logging.getLogger(__name__)

FEED, SERVICE = b"feed", b"service"
"""The domains of ZAP, one for each of a node's bound sockets."""
KEYS_MAX = 2 * MEMBERS_MAX
"""Registered, and as many revoked. No more is admitted; revoking then shuts out unknown keys."""
HOLD_S = 0.8 * HANDSHAKE_S_MAX
"""How long an unknown key waits for its answer; the connection would not outlive much more."""
HELD_MAX = 1024
"""Connections that wait so; at the limit the one that has waited longest is refused."""
_ADDRESS = "inproc://zeromq.zap.01"
LET_IN, UNKNOWN, REVOKED = 200, 300, 400
"""ZAP's answers."""
_REQUEST_PARTS = 9
"""Route, delimiter, version, request id, domain, address, routing id, mechanism, key."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A connection to the feed that waits for its key to be registered."""

    route: bytes
    request_id: bytes
    key: bytes
    timer: asyncio.TimerHandle


class Gate:
    """Answers for all sockets of one context. Must exist before any of them is dialled."""

    def __init__(
        self,
        context: zmq.Context[Socket],
        loop: asyncio.AbstractEventLoop,
        *,
        held_max: int = HELD_MAX,
    ) -> None:
        self._loop = loop
        self._held_max = held_max
        self._admitted: set[bytes] = set()
        self._revoked: set[bytes] = set()
        self._held: dict[bytes, _Held] = {}
        """By route: one for each connection."""
        self._socket = context.socket(zmq.ROUTER)
        self._socket.bind(_ADDRESS)
        self._reader = SocketReader(self._socket, receive_parts, self._decide, loop)

    def start(self) -> None:
        self._reader.start()

    def stop(self) -> None:
        for held in self._held.values():
            held.timer.cancel()
        self._held.clear()
        self._reader.stop()

    def admit(self, key: bytes) -> None:
        """Register `key`, unless it was revoked; whoever waits with it gets in now."""
        if key in self._admitted or key in self._revoked:
            return
        if len(self._admitted) >= KEYS_MAX:
            logger.warning("event=key_not_admitted reason=too_many max=%d", KEYS_MAX)
            return
        self._admitted.add(key)
        self._answer_held(key)

    def revoke(self, key: bytes) -> bool:
        """Shut `key` out for good; True if it was registered, so that it may be connected."""
        was_admitted = key in self._admitted
        self._admitted.discard(key)
        if len(self._revoked) < KEYS_MAX:
            self._revoked.add(key)
        self._answer_held(key)
        return was_admitted

    def is_revoked(self, key: bytes) -> bool:
        return key in self._revoked

    def _decide(self, parts: list[bytes]) -> None:
        if len(parts) != _REQUEST_PARTS:
            return  # Not CURVE: no socket of this context speaks anything else, nobody gets in.
        route, _, _, request_id, domain, _, _, _, raw_key = parts
        key = z85.encode(raw_key)
        status = self._status(domain, key)
        if status == UNKNOWN:
            self._hold(route, request_id, key)
        else:
            self._answer(route, request_id, key, status)

    def _status(self, domain: bytes, key: bytes) -> int:
        if key in self._revoked:
            return REVOKED
        if key in self._admitted or (domain == SERVICE and len(self._revoked) < KEYS_MAX):
            return LET_IN
        return UNKNOWN

    def _hold(self, route: bytes, request_id: bytes, key: bytes) -> None:
        if len(self._held) >= self._held_max:
            self._refuse_held(next(iter(self._held)))
        timer = self._loop.call_later(HOLD_S, self._refuse_held, route)
        self._held[route] = _Held(route, request_id, key, timer)

    def _refuse_held(self, route: bytes) -> None:
        held = self._held.pop(route)
        held.timer.cancel()
        self._answer(route, held.request_id, held.key, UNKNOWN)

    def _answer_held(self, key: bytes) -> None:
        status = self._status(FEED, key)
        for held in [held for held in self._held.values() if held.key == key]:
            del self._held[held.route]
            held.timer.cancel()
            self._answer(held.route, held.request_id, key, status)

    def _answer(self, route: bytes, request_id: bytes, key: bytes, status: int) -> None:
        user_id = key if status == LET_IN else b""
        reply = [route, b"", b"1.0", request_id, b"%d" % status, b"", user_id, b""]
        # The connection may have gone meanwhile: nobody is left to be told.
        with contextlib.suppress(zmq.ZMQError):
            self._socket.send_multipart(reply, zmq.NOBLOCK)
        self._reader.look()
