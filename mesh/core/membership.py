"""Who takes part, and who seems alive: for display and for handing out work, never for data.

A member is known for ever; nothing it said is dropped because it looks dead. Newer records of a
member (a higher epoch) replace older ones, so admission is idempotent and order-free.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

import mmh3

from mesh.core.items import LogId, NodeId

SUSPECT_AFTER_S = 3.0
DEAD_AFTER_S = 30.0


class Liveness(enum.StrEnum):
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"
    """Said goodbye."""
    UNHEARD = "unheard"
    """Admitted, no heartbeat yet."""


class Role(enum.StrEnum):
    COLLECTOR = "collector"
    PRODUCER = "producer"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a socket of another node is, and the key that proves it is that node's."""

    address: str
    """`tcp://host:port`, IPv6 hosts in brackets."""
    curve_key: bytes = b""
    """CURVE public key, 40 characters of Z85; empty: plaintext."""


@dataclass(frozen=True, slots=True)
class Member:
    """How to reach a node, and which logs it has written."""

    origin: NodeId
    label: str
    """For people: "producer 1"."""
    role: Role
    epoch: int
    feed_address: str
    service_address: str
    host: str
    """Names the machine: times are compared within one host only."""
    earlier_logs: tuple[tuple[int, int], ...] = ()
    """(epoch, last seq) of the logs of its earlier starts."""
    public_key: bytes = b""
    """Verifies what it signs (Ed25519, 32 bytes); empty in plaintext runs."""
    curve_key: bytes = b""
    """Its CURVE public key (40 characters of Z85); empty in plaintext runs."""
    signature: bytes = b""
    """Its own, over the rest of this record: whoever passes the record on cannot change it."""

    @property
    def log(self) -> LogId:
        return LogId(self.origin, self.epoch)

    @property
    def feed(self) -> Endpoint:
        return Endpoint(self.feed_address, self.curve_key)

    @property
    def service(self) -> Endpoint:
        return Endpoint(self.service_address, self.curve_key)


@dataclass(slots=True)
class _Standing:
    heard_s: float | None = None
    left: bool = False
    subscribed: bool = False
    """It listens to my feed."""


@dataclass(slots=True)
class Membership:
    """All members but myself."""

    own: Member
    _members: dict[NodeId, Member] = field(default_factory=dict)
    _standing: dict[NodeId, _Standing] = field(default_factory=dict)

    def admit(self, member: Member) -> bool:
        """Learn of `member`; True when it is new or its record newer than mine."""
        known = self._members.get(member.origin)
        if member.origin == self.own.origin or (known and known.epoch >= member.epoch):
            return False
        self._members[member.origin] = member
        standing = self._standing.setdefault(member.origin, _Standing())
        standing.left = False
        return True

    def heard(self, origin: NodeId, now_s: float) -> None:
        if origin in self._standing:
            self._standing[origin].heard_s = now_s
            self._standing[origin].left = False

    def subscribed(self, origin: NodeId, listening: bool) -> None:
        self._standing.setdefault(origin, _Standing()).subscribed = listening

    def left(self, origin: NodeId) -> None:
        if origin in self._standing:
            self._standing[origin].left = True

    def liveness(self, origin: NodeId, now_s: float, own_lag_s: float = 0.0) -> Liveness:
        """How `origin` seems; the bounds stretch with the observer's own loop lag."""
        standing = self._standing.get(origin)
        if standing is None or standing.heard_s is None:
            return Liveness.UNHEARD
        if standing.left:
            return Liveness.LEFT
        silence_s = now_s - standing.heard_s - own_lag_s
        if silence_s < SUSPECT_AFTER_S:
            return Liveness.ALIVE
        return Liveness.SUSPECT if silence_s < DEAD_AFTER_S else Liveness.DEAD

    def alive(self, now_s: float) -> frozenset[NodeId]:
        return frozenset(
            origin
            for origin in self._members
            if self.liveness(origin, now_s) in (Liveness.ALIVE, Liveness.SUSPECT)
        )

    def connected_both_ways(self, now_s: float) -> bool:
        """Every member that is alive hears me and is heard by me; False before any is."""
        alive = self.alive(now_s)
        return bool(alive) and all(self._standing[origin].subscribed for origin in alive)

    def get(self, origin: NodeId) -> Member | None:
        return self.own if origin == self.own.origin else self._members.get(origin)

    def others(self) -> list[Member]:
        return [self._members[origin] for origin in sorted(self._members)]

    def all(self) -> list[Member]:
        return [self.own, *self.others()]

    def collector(self) -> Member | None:
        """The newest collector that was admitted, myself included."""
        collectors = [member for member in self.all() if member.role is Role.COLLECTOR]
        return max(collectors, key=lambda member: member.epoch, default=None)

    def digest(self) -> bytes:
        """16 bytes, equal where the same members with the same epochs are known."""
        return members_digest(self.all())


def members_digest(members: Iterable[Member]) -> bytes:
    """Order-free digest of a member table."""
    total = sum(
        mmh3.hash128(member.origin + member.epoch.to_bytes(8, "big"), 0, signed=False)
        for member in members
    )
    return (total % (1 << 128)).to_bytes(16, "big")
