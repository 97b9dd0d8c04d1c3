"""Who takes part, and who seems alive: for display and for handing out work, never for data.

A member is known for ever; nothing it said is dropped because it looks dead. Newer records of a
member (a higher epoch) replace older ones, so admission is idempotent and order-free. An origin
belongs to the keys it was first admitted with. Whether a newcomer may be admitted at all, by
ticket and signature, is admission.py's decision.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import mmh3

from mesh.core.items import LogId, NodeId

HEARTBEAT_S = 1.0
HEARTBEATS_PER_S_MAX = 40
"""What one node hears from all others; with more of them each beats more seldom."""
SUSPECT_AFTER_S = 3.0
"""Where nodes beat once a second, and in proportion where they beat more seldom; so is the next."""
DEAD_AFTER_S = 30.0
MEMBERS_MAX = 1024
"""More are refused: each costs every node a connection."""


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


class Admission(enum.StrEnum):
    """What became of a member's record; the reasons for a refusal are counted."""

    NEW = "new"
    """It is news: a member unknown before, or a newer start of a known one."""
    KNOWN = "known"
    """The very record that is known."""
    STALE = "stale"
    """Of an earlier start than the one known."""
    OWN = "own"
    """My own origin."""
    ANOTHER_KEY = "another_key"
    """A known member's origin under another key."""
    ANOTHER_COLLECTOR = "another_collector"
    """Not the collector that this run obeys."""
    REVOKED = "revoked"
    TOO_MANY = "too_many_members"


@dataclass(slots=True)
class _Standing:
    heard_s: float | None = None
    left: bool = False


@dataclass(slots=True)
class Membership:
    """All members but myself."""

    own: Member
    collector_origin: NodeId | None = None
    """Whom alone to take for the collector; None: nobody has named it yet."""
    revoked: set[NodeId] = field(default_factory=set)
    _members: dict[NodeId, Member] = field(default_factory=dict)
    _standing: dict[NodeId, _Standing] = field(default_factory=dict)
    _listeners: Counter[NodeId] = field(default_factory=Counter)
    """Connections to my feed, by who holds them."""
    _digest: bytes | None = None

    def admit(self, member: Member) -> Admission:
        """Learn of `member`."""
        verdict = self._verdict(member)
        unknown = member.origin not in self._members and len(self._members) < MEMBERS_MAX
        # Of who was removed the record is kept: what it said before is still passed on.
        if verdict is Admission.NEW or (verdict is Admission.REVOKED and unknown):
            self._members[member.origin] = member
            self._standing.setdefault(member.origin, _Standing()).left = False
            self._digest = None
        return verdict

    def _verdict(self, member: Member) -> Admission:
        known = self._members.get(member.origin)
        if member.origin == self.own.origin:
            return Admission.OWN
        if member.origin in self.revoked:
            return Admission.REVOKED
        if known and _keys(known) != _keys(member):
            return Admission.ANOTHER_KEY
        named = self.collector_origin
        if member.role is Role.COLLECTOR and named is not None and named != member.origin:
            return Admission.ANOTHER_COLLECTOR
        if known and known.epoch >= member.epoch:
            return Admission.KNOWN if known == member else Admission.STALE
        if known is None and len(self._members) >= MEMBERS_MAX:
            return Admission.TOO_MANY
        return Admission.NEW

    def heard(self, origin: NodeId, now_s: float) -> None:
        if origin in self._standing:
            self._standing[origin].heard_s = now_s
            self._standing[origin].left = False

    def subscribed(self, origin: NodeId, listening: bool) -> None:
        """A connection to my feed that `origin` says is its own has come or gone. One that broke
        may be reported after the one that replaced it."""
        if listening and (origin in self._listeners or len(self._listeners) < MEMBERS_MAX):
            self._listeners[origin] += 1
        elif not listening and self._listeners[origin] > 1:
            self._listeners[origin] -= 1
        elif not listening:
            del self._listeners[origin]

    def left(self, origin: NodeId) -> None:
        if origin in self._standing:
            self._standing[origin].left = True

    def liveness(self, origin: NodeId, now_s: float, own_lag_s: float = 0.0) -> Liveness:
        """How `origin` seems.

        Args:
            own_lag_s: how late the observer's own loop is: what was heard may still wait there.
        """
        standing = self._standing.get(origin)
        if standing is None or standing.heard_s is None:
            return Liveness.UNHEARD
        if standing.left:
            return Liveness.LEFT
        silence_s = _silence_s(standing.heard_s, now_s, own_lag_s, self.heartbeat_s)
        if silence_s < SUSPECT_AFTER_S:
            return Liveness.ALIVE
        return Liveness.SUSPECT if silence_s < DEAD_AFTER_S else Liveness.DEAD

    @property
    def heartbeat_s(self) -> float:
        """How often to beat among so many."""
        return max(HEARTBEAT_S, len(self._members) / HEARTBEATS_PER_S_MAX)

    def alive(self, now_s: float, own_lag_s: float = 0.0) -> frozenset[NodeId]:
        return frozenset(self._heard_within(DEAD_AFTER_S, now_s, own_lag_s, left=False))

    def reachable(self, now_s: float, own_lag_s: float = 0.0) -> frozenset[NodeId]:
        """Who can be asked: also those who have said goodbye and are still heard, for they stay
        until the collector holds what they said."""
        leaving = self._heard_within(SUSPECT_AFTER_S, now_s, own_lag_s, left=True)
        return self.alive(now_s, own_lag_s).union(leaving)

    def _heard_within(
        self, silence_s_max: float, now_s: float, own_lag_s: float, *, left: bool
    ) -> list[NodeId]:
        """Of those who said goodbye, or of those who did not, who was silent for less than this;
        whoever was removed is no longer heard."""
        heartbeat_s = self.heartbeat_s
        return [
            origin
            for origin, standing in self._standing.items()
            if standing.left is left
            and origin not in self.revoked
            and standing.heard_s is not None
            and _silence_s(standing.heard_s, now_s, own_lag_s, heartbeat_s) < silence_s_max
        ]

    def connected_both_ways(self, now_s: float) -> bool:
        """Every member that is alive hears me and is heard by me; False before any is."""
        alive = self.alive(now_s)
        return bool(alive) and all(origin in self._listeners for origin in alive)

    def get(self, origin: NodeId) -> Member | None:
        return self.own if origin == self.own.origin else self._members.get(origin)

    def by_curve_key(self, curve_key: bytes) -> Member | None:
        """The member who holds this key, unless it is revoked."""
        for member in self._members.values():
            if member.curve_key == curve_key and member.origin not in self.revoked:
                return member
        return None

    def others(self) -> list[Member]:
        return [self._members[origin] for origin in sorted(self._members)]

    def all(self) -> list[Member]:
        return [self.own, *self.others()]

    def collector(self) -> Member | None:
        """The collector that was named, else the newest that was admitted; may be myself."""
        if self.collector_origin is not None:
            return self.get(self.collector_origin)
        collectors = [member for member in self.all() if member.role is Role.COLLECTOR]
        return max(collectors, key=lambda member: member.epoch, default=None)

    def __len__(self) -> int:
        """Members, myself among them."""
        return len(self._members) + 1

    def digest(self) -> bytes:
        """16 bytes, equal where the same members with the same epochs are known."""
        if self._digest is None:
            self._digest = members_digest(self.all())
        return self._digest


def _silence_s(heard_s: float, now_s: float, own_lag_s: float, heartbeat_s: float) -> float:
    """Time since `heard_s`, as it counts where nodes beat once a second and loops are idle."""
    return (now_s - heard_s - own_lag_s) * HEARTBEAT_S / heartbeat_s


def _keys(member: Member) -> tuple[bytes, bytes]:
    return member.public_key, member.curve_key


def members_digest(members: Iterable[Member]) -> bytes:
    """Order-free digest of a member table."""
    total = sum(
        mmh3.hash128(member.origin + member.epoch.to_bytes(8, "big"), 0, signed=False)
        for member in members
    )
    return (total % (1 << 128)).to_bytes(16, "big")
