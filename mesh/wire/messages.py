"""Every message that is not a log entry: who sends it to whom, and the units of its fields.

On feeds (one to all): Heartbeat, Members, Durable, Goodbye. They are repeated state, the latest
wins, and none of them is in a log. On services (one to one, each request answered): Join ->
Welcome | Refused; Fetch -> Fetched, with the log frames as further message parts.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from mesh.core.items import NodeId
from mesh.core.membership import Member, Role
from mesh.wire.codec import BadFrame, FrameHeader, frame_body

MEMBERS_MAX = 1024
LOGS_MAX = 65_536
FETCH_REPLY_BYTES_MAX = 1024 * 1024

Origin = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Short = Annotated[str, msgspec.Meta(max_length=300)]
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
    label: Short
    role: Role
    epoch: Count
    feed_address: Short
    service_address: Short
    host: Short
    earlier_logs: Annotated[list[tuple[Count, Count]], msgspec.Meta(max_length=10_000)]
    public_key: Annotated[bytes, msgspec.Meta(max_length=64)] = b""

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
            list(member.earlier_logs),
            member.public_key,
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
        )


class Heartbeat(Message, frozen=True):
    """Feed, every second and whenever a subscription appears."""

    last_seq: Count
    applied_count: Count
    known_count: Count
    known_digest: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    member_digest: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    loop_lag_ms: Milliseconds
    state: Short
    """What it is doing, for display: "generating", "waiting for ..."."""
    model: Short
    propagation_ms: Annotated[list[Milliseconds], msgspec.Meta(max_length=2)]
    """p50 and p99 of publish -> applied as it saw them lately on its own host; [] unknown."""
    dropped: dict[Short, Count]
    """Frames dropped so far, by reason."""


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

    request: Count
    member: MemberRecord


class Welcome(Message, frozen=True):
    """Reply to Join."""

    request: Count
    members: Annotated[list[MemberRecord], msgspec.Meta(max_length=MEMBERS_MAX)]
    """All that the sender knows, itself first."""
    vector: Annotated[list[LogPosition], msgspec.Meta(max_length=LOGS_MAX)]
    """For each log the highest seq known to exist."""
    topic: Annotated[str, msgspec.Meta(max_length=1000)]


class Refused(Message, frozen=True):
    """Reply to any request that is not granted."""

    request: Count
    reason: Short


class Fetch(Message, frozen=True):
    """Service request: entries first_seq..last_seq of one log."""

    request: Count
    origin: Origin
    epoch: Count
    first_seq: Count
    last_seq: Count


class Fetched(Message, frozen=True):
    """Reply to Fetch: the next message parts are log frames, at most FETCH_REPLY_BYTES_MAX in
    all, from the one that holds first_seq on; none when the log is not held here."""

    request: Count
    frame_count: Count


def encode_body(message: Message) -> bytes:
    return msgspec.msgpack.encode(message)


M = TypeVar("M", bound=Message)


def decode_body(frame: bytes, header: FrameHeader, kind: type[M]) -> M:
    """Read a frame's body as `kind`; BadFrame `body` when it is none."""
    try:
        return msgspec.msgpack.decode(frame_body(frame, header), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame("body", str(error)[:200]) from None
