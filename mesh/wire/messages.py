"""Every message that is not a log entry: who sends it to whom, and the units of its fields.

On feeds (one to all): Heartbeat, Members, Durable, Goodbye. They are repeated state, the latest
wins, and none of them is in a log. On services (one to one, each request answered):

    Join     -> Welcome, then Swapped parts | Refused      take me in
    Fetch    -> Fetched, then log frames as parts          entries of one log
    Swap     -> Swapped parts                              who knows which logs and members
    AskTerms -> Terms | Refused                            what a newcomer's machine must know

A table that outgrows one frame goes in several: every Swapped part stands for itself.
"""

from __future__ import annotations

import functools
from typing import Annotated, TypeVar

import msgspec

from mesh.core.items import NodeId
from mesh.core.membership import Member, Role
from mesh.wire.codec import BadFrame, FrameHeader, frame_body

MEMBERS_MAX = 1024
LOGS_MAX = 65_536
DROP_REASONS_MAX = 64
POSITIONS_IN_A_FRAME_MAX = 4_000
MEMBERS_IN_A_FRAME_MAX = 100
EARLIER_LOGS_IN_A_RECORD_MAX = 64
"""The newest; older ones are in the vectors of whoever has heard of them."""
FETCH_REPLY_BYTES_MAX = 1024 * 1024
PASSING_REFUSALS = frozenset({"not_in", "join_rate"})
"""Reasons that say something of the node asked, nothing of who asks."""

Origin = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Short = Annotated[str, msgspec.Meta(max_length=300)]
Shown = Annotated[
    str,
    msgspec.Meta(
        max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
    ),
]
"""Text of a stranger that people see: no control characters, nothing that turns the line."""
Address = Annotated[
    str,
    msgspec.Meta(
        max_length=300, pattern=r"^tcp://(\[[0-9A-Za-z:.%]+\]|[0-9A-Za-z._-]+):[0-9]{1,5}$"
    ),
]
"""A stranger must not have this node open anything but a TCP connection."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Milliseconds = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
"""The bounds keep out NaN and infinity, which JSON cannot carry on to the page."""
LogPosition = tuple[Origin, Count, Count]
"""(origin, epoch, seq)."""


class Message(msgspec.Struct, frozen=True, array_like=True):
    """Base of all messages."""


class MemberRecord(Message, frozen=True):
    """core.membership.Member on the wire."""

    origin: Origin
    label: Shown
    role: Role
    epoch: Count
    feed_address: Address
    service_address: Address
    host: Shown
    earlier_logs: Annotated[
        list[tuple[Count, Count]], msgspec.Meta(max_length=EARLIER_LOGS_IN_A_RECORD_MAX)
    ]
    public_key: Annotated[bytes, msgspec.Meta(max_length=32)] = b""
    curve_key: Annotated[bytes, msgspec.Meta(max_length=40)] = b""
    signature: Annotated[bytes, msgspec.Meta(max_length=64)] = b""

    @classmethod
    def of(cls, member: Member) -> MemberRecord:
        return cls(
            member.origin,
            member.label,
            member.role,
            member.epoch,
            member.feed_address,
            member.service_address,
            member.host,
            list(member.earlier_logs[-EARLIER_LOGS_IN_A_RECORD_MAX:]),
            member.public_key,
            member.curve_key,
            member.signature,
        )

    def member(self) -> Member:
        return Member(
            NodeId(self.origin),
            self.label,
            self.role,
            self.epoch,
            self.feed_address,
            self.service_address,
            self.host,
            tuple(self.earlier_logs),
            self.public_key,
            self.curve_key,
            self.signature,
        )


class Heartbeat(Message, frozen=True):
    """Feed, every second and whenever a subscription appears."""

    last_seq: Count
    applied_count: Count
    """Entries applied, and those that were declared lost."""
    known_count: Count
    known_digest: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    member_digest: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    loop_lag_ms: Milliseconds
    state: Shown
    """What it is doing, for display: "generating", "waiting for ..."."""
    model: Shown
    propagation_ms: Annotated[list[Milliseconds], msgspec.Meta(max_length=2)]
    """p50 and p99 of publish -> applied as it saw them lately on its own host; [] unknown."""
    dropped: Annotated[dict[Shown, Count], msgspec.Meta(max_length=DROP_REASONS_MAX)]
    """Frames dropped so far, by reason."""
    member_count: Count = 0
    """Members in its table, itself among them: whoever has fewer asks."""


class Members(Message, frozen=True):
    """Feed: members that the sender has just admitted."""

    members: Annotated[list[MemberRecord], msgspec.Meta(max_length=MEMBERS_MAX)]


class Durable(Message, frozen=True):
    """Feed, collector only: up to where it holds each log on disk."""

    watermarks: Annotated[list[LogPosition], msgspec.Meta(max_length=LOGS_MAX)]


class Goodbye(Message, frozen=True):
    """Feed: the sender says nothing more; its log ends at last_seq."""

    last_seq: Count


class Join(Message, frozen=True):
    """Service request: take me in, tell me of the others. Idempotent."""

    member: MemberRecord
    ticket_id: Annotated[bytes, msgspec.Meta(max_length=8)] = b""
    """Of the ticket that lets it in; empty where it is a member already, or none is needed."""
    ticket_proof: Annotated[bytes, msgspec.Meta(max_length=64)] = b""
    """The ticket key's signature over `join_claim`."""


class Welcome(Message, frozen=True):
    """Reply to Join. Swapped parts follow: all members and logs that the sender knows."""

    member: MemberRecord
    """The sender."""
    collector: Annotated[bytes, msgspec.Meta(max_length=16)]
    """Origin of the run's collector, whom alone to obey; empty: the sender knows of none yet."""


class Refused(Message, frozen=True):
    """Reply to any request that is not granted."""

    reason: Shown
    """One or two words for counting, a colon, and what it means for a person."""

    @property
    def is_passing(self) -> bool:
        """Whether the same request may be granted a moment later, by the same node."""
        return self.reason.partition(":")[0] in PASSING_REFUSALS


class Fetch(Message, frozen=True):
    """Service request: entries first_seq..last_seq of one log."""

    origin: Origin
    epoch: Count
    first_seq: Count
    last_seq: Count


class Fetched(Message, frozen=True):
    """Reply to Fetch: the next message parts are log frames, at most FETCH_REPLY_BYTES_MAX in
    all, from the first that holds any of the range on; none when nothing of it is held here."""

    frame_count: Count


class Swap(Message, frozen=True):
    """Service request: this is what I know of; what do you know?"""

    vector: Annotated[list[LogPosition], msgspec.Meta(max_length=POSITIONS_IN_A_FRAME_MAX)]
    members: Annotated[list[MemberRecord], msgspec.Meta(max_length=MEMBERS_IN_A_FRAME_MAX)]
    """Some where there are too many for a frame: chance picks, the next swap brings others."""


class Swapped(Message, frozen=True):
    """Reply to Swap, and what follows a Welcome: one of several parts that hold all together."""

    vector: Annotated[list[LogPosition], msgspec.Meta(max_length=POSITIONS_IN_A_FRAME_MAX)]
    """For each log the highest seq known to exist."""
    members: Annotated[list[MemberRecord], msgspec.Meta(max_length=MEMBERS_IN_A_FRAME_MAX)]


class AskTerms(Message, frozen=True):
    """Service request of a newcomer's machine, before it has started a node."""

    ticket_id: Annotated[bytes, msgspec.Meta(max_length=8)]
    curve_key: Annotated[bytes, msgspec.Meta(max_length=40)]
    """The key that it asks with."""
    ticket_proof: Annotated[bytes, msgspec.Meta(max_length=64)]
    """The ticket key's signature over `terms_claim`."""


class Terms(Message, frozen=True):
    """Reply to AskTerms: config.RunTerms as JSON."""

    terms: Annotated[bytes, msgspec.Meta(max_length=128 * 1024)]


_encoder = msgspec.msgpack.Encoder()


def encode_body(message: Message) -> bytes:
    return _encoder.encode(message)


def record_claim(record: MemberRecord, run_id: bytes) -> bytes:
    """What a member signs of its own record."""
    return b"member" + run_id + encode_body(msgspec.structs.replace(record, signature=b""))


def join_claim(record: MemberRecord, run_id: bytes) -> bytes:
    """What the holder of a ticket signs at a join: this member, by these keys and addresses, in
    this epoch. Whoever overhears it can join as nobody else."""
    return b"join" + run_id + encode_body(record)


def terms_claim(curve_key: bytes, run_id: bytes) -> bytes:
    """What the holder of a ticket signs to learn the run's terms."""
    return b"terms" + run_id + curve_key


M = TypeVar("M", bound=Message)
E = TypeVar("E")


@functools.cache
def _decoder(kind: type[M]) -> msgspec.msgpack.Decoder[M]:
    """Made once for each of the few kinds: to make one costs more than a decoding."""
    return msgspec.msgpack.Decoder(kind)


def decode_body(frame: bytes, header: FrameHeader, kind: type[M]) -> M:
    """Read a frame's body as `kind`; BadFrame `body` when it is none."""
    try:
        body: M = _decoder(kind).decode(frame_body(frame, header))
        return body
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame("body", str(error)[:200]) from None
