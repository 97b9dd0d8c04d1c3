"""Frames: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.core import entries as log
from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.wire import codec
from mesh.wire.codec import (
    EPOCH_MAX,
    FRAME_BYTES_MAX,
    FRAME_ENTRIES_MAX,
    HEADER_BYTES,
    SIGNATURE_BYTES,
    BadFrame,
    FrameKind,
)

RUN = b"r" * 16
LOG = LogId(NodeId(b"o" * 16), 1_700_000_000_000)
OTHER = b"p" * 16

EVERY_ENTRY: list[LogEntry] = [
    log.CallStarted("openai:gpt", 40, None, 5),
    log.CallStarted("openai:gpt", 40, "museums", 5, "facets", 0.002, 1_500),
    log.Found("Musée d’Orsay", 1, "openai:gpt"),
    log.Repeat("東京", 1, "openai:gpt"),
    log.Rejected("chatter", "Sure! Here are\nsome", 1, "openai:gpt"),
    log.FacetProposed("museums", 0, 1, "openai:gpt"),
    log.LimitSeen("openai:gpt", 5, 60, 59, None, None, 1.0, False, 0.0),
    log.Judged(5, (1, 0, -1), 1, "openai:gpt"),
    log.BudgetAsked(0.25, 0.01, 0.02),
    log.CallFinished(1, "m", "ok", None, 10, 5, 7, 0, False, 0.001, 1.5, 0.25),
    log.CallFinished(1, "m", "retry", "429", 0, 0, 0, 0, True, None, 1.5, None),
    log.EpochOpened(3, b"d" * 16),
    log.Accepted(1, OTHER, 2, 3, "Louvre"),
    log.Duplicate(OTHER, 2, 3, 1),
    log.Merged(OTHER, 2, 3, 1, "The Louvre", "abbreviation"),
    log.JudgementAsked(5, OTHER, (log.Question("Louvre", ("Louvre Museum", "Luvr")),)),
    log.Excluded(OTHER, 2, 3),
    log.Imported("C++"),
    log.Lost(OTHER, 2, 3, 9),
    log.StateChanged("paused", "by the user"),
    log.ModelAssigned(OTHER, "anthropic:haiku"),
    log.ProducerDismissed(OTHER),
    log.BudgetSet(1.0),
    log.BudgetSet(None),
    log.BudgetGranted(OTHER, 0.25),
    log.TicketIssued(b"t" * 8, b"k" * 32, 5),
    log.TicketRevoked(b"t" * 8),
    log.MemberRevoked(OTHER),
]


def entries_frame(entries: list[LogEntry] = EVERY_ENTRY, first_seq: int = 7) -> bytes:
    return codec.encode_entries(entries, run_id=RUN, log=LOG, first_seq=first_seq, time_us=99)


def raw_frame(body: bytes, *, count: int = 1, first_seq: int = 1) -> bytes:
    return codec.encode_frame(
        FrameKind.ENTRIES,
        body,
        run_id=RUN,
        log=LOG,
        time_us=99,
        first_seq=first_seq,
        count=count,
    )


def with_field(frame: bytes, offset: int, layout: str, value: int | bytes) -> bytes:
    """`frame` with one header field overwritten."""
    packed = struct.pack(layout, value)
    return frame[:offset] + packed + frame[offset + len(packed) :]


VERSION, KIND, SIGNATURE, RUN_ID, EPOCH, FIRST_SEQ, COUNT, BODY = 4, 5, 6, 8, 40, 48, 56, 60


def refusal(frame: bytes) -> str:
    """Why `frame` is refused; fails when it is not."""
    with pytest.raises(BadFrame) as refused:
        codec.decode_entries(frame, codec.decode_header(frame, RUN))
    return refused.value.reason


def test_every_kind_of_entry_survives_the_way() -> None:
    frame = entries_frame()
    header = codec.decode_header(frame, RUN)
    assert (header.kind, header.run_id, header.log) == (FrameKind.ENTRIES, RUN, LOG)
    assert (header.first_seq, header.last_seq) == (7, 6 + len(EVERY_ENTRY))
    assert (header.count, header.time_us) == (len(EVERY_ENTRY), 99)
    assert codec.decode_entries(frame, header) == EVERY_ENTRY


def test_every_class_of_entry_stands_in_the_list_above() -> None:
    assert {type(entry) for entry in EVERY_ENTRY} == set(LogEntry.__args__)


@given(
    st.sampled_from(FrameKind),
    st.binary(min_size=16, max_size=16),
    st.integers(0, EPOCH_MAX),
    st.integers(1, 2**62 - 1),
    st.integers(1, FRAME_ENTRIES_MAX),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=200),
)
def test_a_header_survives_the_way(
    kind: FrameKind,
    origin: bytes,
    epoch: int,
    first_seq: int,
    count: int,
    time_us: int,
    body: bytes,
) -> None:
    sender = LogId(NodeId(origin), epoch)
    frame = codec.encode_frame(
        kind, body, run_id=RUN, log=sender, time_us=time_us, first_seq=first_seq, count=count
    )
    header = codec.decode_header(frame, RUN)
    assert (header.kind, header.log, header.time_us) == (kind, sender, time_us)
    assert (header.first_seq, header.count) == (first_seq, count)
    assert bytes(codec.frame_body(frame, header)) == body


def test_the_size_of_a_body_is_known_before_it_is_framed() -> None:
    assert len(entries_frame()) == HEADER_BYTES + codec.entries_size(EVERY_ENTRY)


def test_a_place_is_kept_for_the_signature_and_the_body_ends_before_it() -> None:
    frame = with_field(entries_frame(), SIGNATURE, ">H", SIGNATURE_BYTES) + b"s" * SIGNATURE_BYTES
    header = codec.decode_header(frame, RUN)
    assert header.signature_bytes == SIGNATURE_BYTES
    assert codec.decode_entries(frame, header) == EVERY_ENTRY


@pytest.mark.parametrize("count", [0, FRAME_ENTRIES_MAX + 1])
def test_a_frame_of_too_few_or_too_many_entries_is_our_own_bug(count: int) -> None:
    with pytest.raises(AssertionError):
        entries_frame([log.Imported("x")] * count)


def test_the_largest_frame_passes_and_one_byte_more_is_refused() -> None:
    body = b"x" * (FRAME_BYTES_MAX - HEADER_BYTES - SIGNATURE_BYTES)
    codec.decode_header(raw_frame(body), RUN)
    with pytest.raises(ValueError, match="exceeds"):
        raw_frame(body + b"x")


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "magic"),
        (b"TMSH", "magic"),
        (entries_frame()[: HEADER_BYTES - 1], "magic"),
        (b"HTTP" + entries_frame()[4:], "magic"),
        (with_field(entries_frame(), VERSION, ">B", 9), "version"),
        (with_field(entries_frame(), RUN_ID, ">16s", b"x" * 16), "run"),
        (with_field(entries_frame(), KIND, ">B", 99), "kind"),
        (with_field(entries_frame(), SIGNATURE, ">H", 3) + b"sss", "size"),
        (with_field(entries_frame(), BODY, ">I", 2**32 - 1), "size"),
        (with_field(entries_frame(), BODY, ">I", 0), "size"),
        (entries_frame() + b"x", "size"),
        (entries_frame()[:-1], "size"),
        (entries_frame() + b"x" * FRAME_BYTES_MAX, "size"),
        (with_field(entries_frame(), COUNT, ">I", 0), "size"),
        (with_field(entries_frame(), COUNT, ">I", FRAME_ENTRIES_MAX + 1), "size"),
        (with_field(entries_frame(), FIRST_SEQ, ">Q", 0), "size"),
        (with_field(entries_frame(), FIRST_SEQ, ">Q", 2**62), "size"),
        (with_field(entries_frame(), EPOCH, ">Q", EPOCH_MAX + 1), "epoch"),
        (with_field(entries_frame(), COUNT, ">I", len(EVERY_ENTRY) - 1), "entries"),
        (with_field(entries_frame(), COUNT, ">I", len(EVERY_ENTRY) + 1), "entries"),
    ],
)
def test_a_frame_with_a_wrong_header_is_refused_by_its_reason(frame: bytes, reason: str) -> None:
    assert refusal(frame) == reason


def test_a_refusal_says_which_versions_meet() -> None:
    with pytest.raises(BadFrame, match=f"version: theirs 9, ours {codec.PROTOCOL_VERSION}"):
        codec.decode_header(with_field(entries_frame(), VERSION, ">B", 9), RUN)


def test_a_signed_frame_shows_what_is_signed_and_by_what() -> None:
    signature = b"s" * SIGNATURE_BYTES
    said: list[bytes] = []

    def sign(message: bytes) -> bytes:
        said.append(message)
        return signature

    frame = codec.encode_frame(
        codec.FrameKind.GOODBYE, b"\x91\x01", run_id=RUN, log=LOG, time_us=1, sign=sign
    )
    header = codec.decode_header(frame, RUN)
    assert codec.signed_part(frame, header) == said[0]
    assert codec.signature_of(frame, header) == signature
    assert bytes(codec.frame_body(frame, header)) == b"\x91\x01"


def test_a_plain_frame_has_no_signature() -> None:
    frame = entries_frame()
    header = codec.decode_header(frame, RUN)
    assert codec.signed_part(frame, header) == frame
    assert codec.signature_of(frame, header) == b""


def test_a_frame_of_any_version_says_which_it_is() -> None:
    assert codec.version_of(with_field(entries_frame(), VERSION, ">B", 9)) == 9
    assert codec.version_of(b"HTTP/1.1 400") is None


def encoded(*entries: list[Any]) -> bytes:
    return msgspec.msgpack.encode(list(entries))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        encoded(["f", "Louvre", 1, "m"])[:-1],
        encoded(["f", "Louvre", 1, "m"]) + b"\x00",
        encoded(["?", "Louvre", 1, "m"]),
        encoded(["f", "Louvre", 1]),
        encoded(["f", 17, 1, "m"]),
        encoded(["f", "Louvre", -1, "m"]),
        encoded(["f", "Louvre", 2**63, "m"]),
        encoded(["E", b"short", 1, 1]),
        encoded(["f", "Louvre", 1, "m" * (log.NOTE_CHARACTERS_MAX + 1)]),
        encoded(["f", "", 1, "m"]),
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 50_000,
        b"\x91\x94\xa1f\xa2\xff\xfe\x01\xa1m",
    ],
)
def test_a_body_that_is_no_list_of_entries_is_refused(body: bytes) -> None:
    assert refusal(raw_frame(body)) == "entries"


@pytest.mark.parametrize(
    "text",
    [
        " Louvre",
        "Louvre ",
        "two  spaces",
        "two\nlines",
        "a\x00b",
        "\u202eervuoL",
        "\u200bLouvre",
        "e\u0301",
        "x" * (log.ENTRY_TEXT_CHARACTERS_MAX + 1),
        "é" * 257,
        "\u3164",
    ],
)
@pytest.mark.parametrize("kind", ["f", "r", "A", "I"])
def test_one_text_that_is_not_clean_refuses_the_whole_frame(kind: str, text: str) -> None:
    bad: dict[str, list[Any]] = {
        "f": ["f", text, 1, "m"],
        "r": ["r", text, 1, "m"],
        "A": ["A", 1, OTHER, 2, 3, text],
        "I": ["I", text],
    }
    body = encoded(["I", "Orsay"], bad[kind])
    assert refusal(raw_frame(body, count=2)) == "entries"


@pytest.mark.parametrize(("first_seq", "last_seq"), [(5, 1), (0, 3), (0, 0)])
def test_a_loss_of_entries_that_cannot_be_is_refused(first_seq: int, last_seq: int) -> None:
    body = encoded(["L", OTHER, 7, first_seq, last_seq])
    assert refusal(raw_frame(body)) == "entries"


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), -1.0])
def test_a_cost_that_would_spoil_every_sum_is_refused(amount: float) -> None:
    body = encoded(["d", 1, "m", "ok", None, 0, 0, 0, 0, False, amount, 1.0, None])
    assert refusal(raw_frame(body)) == "entries"


def test_what_a_call_wrote_in_an_entry_s_place_may_be_anything() -> None:
    rejected: list[LogEntry] = [log.Rejected("chatter", " two\nlines ", 1, "m")]
    frame = entries_frame(rejected)
    assert codec.decode_entries(frame, codec.decode_header(frame, RUN)) == rejected


def decode_whatever(frame: bytes) -> None:
    """Take a frame as a node does; the only fault may be BadFrame."""
    try:
        header = codec.decode_header(frame, RUN)
        entries = codec.decode_entries(frame, header)
    except BadFrame:
        return
    assert len(entries) == header.count


@given(st.binary(max_size=400))
@example(b"\xff" * 400)
def test_random_bytes_raise_nothing_but_bad_frame(garbage: bytes) -> None:
    decode_whatever(garbage)
    decode_whatever(raw_frame(garbage))


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 2000),
)
def test_a_damaged_frame_raises_nothing_but_bad_frame(
    damage: list[tuple[int, int]], length: int
) -> None:
    frame = bytearray(entries_frame())
    for place, value in damage:
        frame[place % len(frame)] = value
    decode_whatever(bytes(frame))
    decode_whatever(bytes(frame[: length % len(frame)]))
    body = bytes(frame[HEADER_BYTES:])
    decode_whatever(raw_frame(body, count=len(EVERY_ENTRY)))


@given(st.text(max_size=40))
def test_any_text_at_all_is_either_taken_as_it_is_or_refused(text: str) -> None:
    frame = raw_frame(encoded(["I", text.encode(errors="replace").decode()]))
    decode_whatever(frame)
