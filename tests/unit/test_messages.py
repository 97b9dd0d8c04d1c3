"""Messages other than entries: the way there and back, and their bounds."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.items import LogId, NodeId
from mesh.core.membership import Member, Role
from mesh.wire import codec, messages
from mesh.wire.codec import BadFrame, FrameKind
from mesh.wire.messages import MEMBERS_MAX, MemberRecord, Message

RUN = b"r" * 16
LOG = LogId(NodeId(b"o" * 16), 5)
MEMBER = Member(
    NodeId(b"a" * 16),
    "producer 1",
    Role.PRODUCER,
    7,
    "tcp://127.0.0.1:5000",
    "tcp://127.0.0.1:5001",
    "host/boot",
    ((3, 10), (5, 0)),
    b"k" * 32,
)
RECORD = MemberRecord.of(MEMBER)
HEARTBEAT = messages.Heartbeat(
    4, 900, 300, b"d" * 16, b"m" * 16, 1.5, "generating", "atlas", [0.4, 2.0], {"run": 2}
)
EVERY_MESSAGE: list[tuple[FrameKind, Message]] = [
    (FrameKind.HEARTBEAT, HEARTBEAT),
    (FrameKind.MEMBERS, messages.Members([RECORD, RECORD])),
    (FrameKind.DURABLE, messages.Durable([(b"a" * 16, 7, 12)])),
    (FrameKind.GOODBYE, messages.Goodbye(12)),
    (FrameKind.JOIN, messages.Join(RECORD, b"t" * 8, b"p" * 64)),
    (FrameKind.WELCOME, messages.Welcome(RECORD, b"c" * 16)),
    (FrameKind.REFUSED, messages.Refused("run: another run")),
    (FrameKind.FETCH, messages.Fetch(b"a" * 16, 7, 3, 9)),
    (FrameKind.FETCHED, messages.Fetched(2)),
    (FrameKind.SWAP, messages.Swap([(b"a" * 16, 7, 12)], [RECORD])),
    (FrameKind.SWAPPED, messages.Swapped([(b"a" * 16, 7, 12)], [RECORD])),
    (FrameKind.ASK_TERMS, messages.AskTerms(b"t" * 8, b"c" * 40, b"p" * 64)),
    (FrameKind.TERMS, messages.Terms(b"{}")),
]


def framed(kind: FrameKind, body: bytes) -> bytes:
    return codec.encode_frame(kind, body, run_id=RUN, log=LOG, time_us=1)


def read(frame: bytes, message: type[Message]) -> Message:
    return messages.decode_body(frame, codec.decode_header(frame, RUN), message)


@pytest.mark.parametrize(("kind", "message"), EVERY_MESSAGE, ids=lambda each: type(each).__name__)
def test_every_message_survives_the_way(kind: FrameKind, message: Message) -> None:
    frame = framed(kind, messages.encode_body(message))
    assert codec.decode_header(frame, RUN).kind is kind
    assert read(frame, type(message)) == message


def test_every_kind_of_frame_but_entries_has_its_message_above() -> None:
    assert {kind for kind, _ in EVERY_MESSAGE} == set(FrameKind) - {FrameKind.ENTRIES}


def test_a_member_survives_the_way() -> None:
    assert RECORD.member() == MEMBER


def changed(message: Message, place: int, value: Any) -> bytes:
    fields = msgspec.msgpack.decode(messages.encode_body(message))
    fields[place] = value
    return msgspec.msgpack.encode(fields)


@pytest.mark.parametrize(
    ("message", "place", "value"),
    [
        (HEARTBEAT, 0, -1),
        (HEARTBEAT, 0, 2**63),
        (HEARTBEAT, 3, b"short"),
        (HEARTBEAT, 5, float("nan")),
        (HEARTBEAT, 6, "x" * 301),
        (HEARTBEAT, 8, [1.0, float("inf")]),
        (HEARTBEAT, 8, [1.0, 2.0, 3.0]),
        (HEARTBEAT, 9, {"run": -1}),
        (RECORD, 0, b"a" * 17),
        (RECORD, 2, "president"),
        (RECORD, 7, [[1]]),
        (RECORD, 7, [[1, 1]] * 65),
        (RECORD, 8, b"k" * 33),
        (RECORD, 9, b"k" * 41),
        (RECORD, 10, b"k" * 65),
        (messages.Members([RECORD]), 0, [msgspec.to_builtins(RECORD)] * (MEMBERS_MAX + 1)),
        (messages.Welcome(RECORD, b""), 1, b"c" * 17),
        (messages.Swap([], []), 0, [[b"a" * 16, 7, 12]] * 4_001),
        (messages.Fetch(b"a" * 16, 7, 3, 9), 0, "text"),
    ],
)
def test_a_field_out_of_bounds_refuses_the_message(
    message: Message, place: int, value: Any
) -> None:
    with pytest.raises(BadFrame) as refused:
        read(framed(FrameKind.HEARTBEAT, changed(message, place, value)), type(message))
    assert refused.value.reason == "body"


@given(st.binary(max_size=300), st.sampled_from([type(each) for _, each in EVERY_MESSAGE]))
def test_random_bytes_raise_nothing_but_bad_frame(garbage: bytes, kind: type[Message]) -> None:
    with contextlib.suppress(BadFrame):
        assert isinstance(read(framed(FrameKind.HEARTBEAT, garbage), kind), kind)


@given(
    st.sampled_from([each for _, each in EVERY_MESSAGE]),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_message_raises_nothing_but_bad_frame(
    message: Message, damage: list[tuple[int, int]]
) -> None:
    body = bytearray(messages.encode_body(message))
    for place, value in damage:
        body[place % len(body)] = value
    with contextlib.suppress(BadFrame):
        damaged = read(framed(FrameKind.HEARTBEAT, bytes(body)), type(message))
        assert isinstance(damaged, type(message))
