"""The seam between a node and the network: feeds (one to all) and services (one to one).

A transport moves bytes and reports who listens; it knows no entry, no gap and no membership.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mesh.core.items import NodeId
from mesh.core.membership import Endpoint


class TransportEvents(Protocol):
    """What a node hears from its transport. No method may block or raise."""

    def feed_received(self, frame: bytes) -> None:
        """A frame of some other node's feed."""
        ...

    def feed_subscribed(self, node: NodeId, listening: bool) -> None:
        """`node` has begun or ceased to listen to my feed."""
        ...

    def request_received(self, frame: bytes, asker_key: bytes) -> list[bytes]:
        """A request to my service; the message parts returned are the reply, [] for none.

        Args:
            asker_key: the CURVE key that the asker has proved to hold; b"" in plaintext runs.
        """
        ...

    def turned_away(self, reason: str) -> None:
        """A connection to one of my sockets was refused: unknown_key (it may try again) |
        revoked_key | handshake (no key, a wrong server key, another mechanism). Or a reply was
        dropped: slow_asker (it reads too few of those before)."""
        ...


Reply = Callable[[list[bytes] | None], None]
"""Called once with the parts of a reply, or with None when none came in time."""


class Transport(Protocol):
    """One node's place in the mesh."""

    feed_address: str
    """As others are to dial it."""
    service_address: str

    def admit_key(self, curve_key: bytes) -> None:
        """Let the holder of this key listen to my feed from now on. Anyone may ask my service:
        the node decides what it answers to whom."""
        ...

    def revoke_key(self, curve_key: bytes) -> None:
        """Let the holder of this key connect nowhere any more."""
        ...

    def publish(self, frame: bytes, to: NodeId | None = None) -> None:
        """Send to every node that listens, or to `to` alone. A slow listener loses frames, nobody
        waits."""
        ...

    def listen_to(self, feed: Endpoint) -> None:
        """Hear that feed from now on, also when it comes up later. An address that cannot be one
        is logged and stays silent: it came from a peer."""
        ...

    def stop_listening_to(self, feed: Endpoint) -> None: ...

    def request(self, service: Endpoint, frame: bytes, *, timeout_s: float, reply: Reply) -> None:
        """Ask another node's service; `reply` is called in any case."""
        ...

    def hang_up(self, service: Endpoint) -> None:
        """End all requests to that service with None, and dial it anew for the next: it was away,
        and a connection may be dead without knowing, or wait to be tried again."""
        ...

    def close(self, linger_s: float) -> None:
        """Send what is queued for at most `linger_s`, then leave."""
        ...
