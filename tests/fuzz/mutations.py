"""How a real frame becomes a hostile one: bytes, header fields, and the msgpack inside.

Every choice is drawn from the Random that is passed in: hypothesis hands in one that it can
shrink, bench/fuzz.py a seeded one. Whether what comes out is still a frame is not looked at here;
some of it must be, or nothing behind the first check would ever be reached.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mesh.wire.codec import FRAME_BYTES_MAX, HEADER_BYTES, SIGNATURE_BYTES, FrameKind

CHANGES_MAX = 3
"""In one frame; more of them seldom pass the first check."""
NESTING_MAX = 60_000
MUTATION_BYTES_MAX = 2 * FRAME_BYTES_MAX
"""What a change adds at most: the memory to be measured is the reader's, not the fuzzer's."""
INTERESTING_LENGTHS = (3, 300, 301, 400, 401, 512, 513, 70_000)

INTERESTING_INTEGERS = (
    *(0, 1, 2, 7, 16, 64, 127, 128, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025),
    *(4000, 4001, 65_535, 65_536, 65_537, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**40 + 1),
    *(2**53, 2**62 - 1, 2**62, 2**63 - 2, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1),
    *(-1, -2, -128, -129, -(2**31), -(2**63)),
)
INTERESTING_FLOATS = (0.0, -0.0, 0.5, -1.0, 1e12, 1e15, 1e300, math.nan, math.inf, -math.inf)
INTERESTING_TEXTS = (
    *("", " ", "  ", "\n", "\r\n", "\x00", "\x07bell", "a\tb", "two  spaces", " before", "after "),
    *("\u202egnirts", "\u2066isolate", "\u200bzero width", "ab\u200dcd", "\ufeff", "\u0301mark"),
    *("e\u0301", "\u2028", "\x85", "\u3164", "\U000e0041", "\U0010ffff", "\ufffe", "Z͑ͫ̓ͪa͆l̙g̑o"),
    *("tcp://", "tcp://*:*", "tcp://[::1]:99999", "ipc:///etc/passwd", "inproc://x", "collector"),
    *("x" * 300, "x" * 301, "x" * 512, "x" * 513, "é" * 256, "é" * 257, "漢" * 512, "producer"),
)
INVALID_TEXTS = (
    b"\xed\xa0\x80",  # A surrogate, which UTF-8 must not carry.
    b"\xed\xbf\xbf",
    b"\xff\xfe",
    b"\xc0\x80",  # NUL in two bytes.
    b"\xf4\x90\x80\x80",  # Above the last character.
    b"cut \xe2\x82",
)


@dataclass(frozen=True, slots=True)
class _Field:
    offset: int
    layout: str

    def put(self, frame: bytes, value: int) -> bytes:
        size = struct.calcsize(self.layout)
        packed = (value % (1 << 8 * size)).to_bytes(size, "big")
        return frame[: self.offset] + packed + frame[self.offset + size :]


VERSION, KIND, SIGNATURE_SIZE = _Field(4, ">B"), _Field(5, ">B"), _Field(6, ">H")
EPOCH, FIRST_SEQ, COUNT = _Field(40, ">Q"), _Field(48, ">Q"), _Field(56, ">I")
BODY_SIZE, TIME = _Field(60, ">I"), _Field(64, ">Q")
FIELDS = (VERSION, KIND, SIGNATURE_SIZE, EPOCH, FIRST_SEQ, COUNT, BODY_SIZE, TIME)
RUN_OFFSET, ORIGIN_OFFSET, ID_BYTES = 8, 24, 16

Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutated(choose: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One of `corpus`, changed 0..CHANGES_MAX times."""
    frame = choose.choice(corpus)
    for _ in range(choose.randint(0, CHANGES_MAX)):
        frame = choose.choice(CHANGES)(choose, frame, corpus)
    return frame[:MUTATION_BYTES_MAX]


def with_body(frame: bytes, body: bytes, *, count: int | None = None) -> bytes:
    """`frame` with another body, whose size its header states; a signature stays, now wrong."""
    if len(frame) < HEADER_BYTES:
        return frame
    tail = frame[-SIGNATURE_BYTES:] if _states_a_signature(frame) else b""
    changed = BODY_SIZE.put(frame[:HEADER_BYTES], len(body))
    return (changed if count is None else COUNT.put(changed, count)) + body + tail


def signed_again(frame: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """`frame` with its header and body signed by whoever `sign` is."""
    if len(frame) < HEADER_BYTES:
        return frame
    unsigned = frame[:-SIGNATURE_BYTES] if _states_a_signature(frame) else frame
    unsigned = SIGNATURE_SIZE.put(unsigned, SIGNATURE_BYTES)
    return unsigned + sign(unsigned)


def from_origin(frame: bytes, origin: bytes) -> bytes:
    """`frame` with another origin in its header."""
    if len(frame) < HEADER_BYTES:
        return frame
    return frame[:ORIGIN_OFFSET] + origin + frame[ORIGIN_OFFSET + ID_BYTES :]


def _states_a_signature(frame: bytes) -> bool:
    size = int.from_bytes(frame[SIGNATURE_SIZE.offset : SIGNATURE_SIZE.offset + 2], "big")
    return size == SIGNATURE_BYTES and len(frame) >= HEADER_BYTES + SIGNATURE_BYTES


# Bytes


def _flip_bits(choose: random.Random, frame: bytes, corpus: Sequence[bytes]) -> bytes:
    if not frame:
        return frame
    changed = bytearray(frame)
    for _ in range(choose.randint(1, 4)):
        changed[choose.randrange(len(changed))] ^= 1 << choose.randrange(8)
    return bytes(changed)


def _cut(choose: random.Random, frame: bytes, corpus: Sequence[bytes]) -> bytes:
    start, end = _span(choose, frame)
    return choose.choice((frame[:start], frame[start:], frame[:start] + frame[end:]))


def _insert(choose: random.Random, frame: bytes, corpus: Sequence[bytes]) -> bytes:
    start, end = _span(choose, frame)
    inserted = choose.choice((frame[start:end], choose.randbytes(choose.randint(1, 64))))
    return frame[:start] + inserted + frame[start:]


def _splice(choose: random.Random, frame: bytes, corpus: Sequence[bytes]) -> bytes:
    """The beginning of one frame and the end of another, at the same place or at any."""
    other = choose.choice(corpus)
    start, _ = _span(choose, frame)
    at = start if choose.random() < 0.5 else _span(choose, other)[0]
    return frame[:start] + other[at:]


def _span(choose: random.Random, frame: bytes) -> tuple[int, int]:
    start = choose.randint(0, len(frame))
    return start, min(len(frame), start + choose.randint(1, 80))


# Header


def _change_field(choose: random.Random, frame: bytes, corpus: Sequence[bytes]) -> bytes:
    if len(frame) < HEADER_BYTES:
        return frame
    return choose.choice(FIELDS).put(frame, choose.choice(INTERESTING_INTEGERS))


def _change_kind(choose: random.Random, frame: bytes, corpus: Sequence[bytes]) -> bytes:
    """A body under another kind's name."""
    return KIND.put(frame, choose.choice(list(FrameKind))) if len(frame) >= HEADER_BYTES else frame


def _change_identity(choose: random.Random, frame: bytes, corpus: Sequence[bytes]) -> bytes:
    """Another frame's run, origin and epoch, or its place in the log."""
    other = choose.choice(corpus)
    first, last = choose.choice(((RUN_OFFSET, 48), (ORIGIN_OFFSET, 40), (48, 60), (64, 72)))
    return frame[:first] + other[first:last] + frame[last:]


# Body


def _change_value(choose: random.Random, frame: bytes, corpus: Sequence[bytes]) -> bytes:
    """One value somewhere in the body becomes another one."""
    tree = _body_tree(frame)
    if tree is None:
        return frame
    holder, index = _some_place(choose, tree)
    holder[index] = _hostile_value(choose, holder[index])
    return _with_tree(choose, frame, tree)


def _change_list(choose: random.Random, frame: bytes, corpus: Sequence[bytes]) -> bytes:
    """A list somewhere in the body loses, gains or repeats what it holds."""
    tree = _body_tree(frame)
    if tree is None:
        return frame
    holder, index = _some_place(choose, tree)
    target = holder[index] if isinstance(holder[index], list) else holder
    if not isinstance(target, list) or target is tree:
        return frame
    how = choose.randrange(4)
    if how == 0:
        target.insert(choose.randint(0, len(target)), _hostile_value(choose, None))
    elif not target:
        return frame
    elif how == 1:
        del target[choose.randrange(len(target))]
    elif how == 2:
        repeated = choose.choice(target)
        times_max = MUTATION_BYTES_MAX // (1 + _size(repeated))
        target.extend([repeated] * min(times_max, choose.choice((1, 3, 300))))
    else:
        target.reverse()
    return _with_tree(choose, frame, tree)


def _take_body(choose: random.Random, frame: bytes, corpus: Sequence[bytes]) -> bytes:
    """Another frame's body, or raw msgpack, behind this header."""
    if choose.random() < 0.5:
        return with_body(frame, bytes(_raw(choose)))
    other = choose.choice(corpus)
    return with_body(frame, _body_of(other))


def _body_of(frame: bytes) -> bytes:
    end = len(frame) - (SIGNATURE_BYTES if _states_a_signature(frame) else 0)
    return frame[HEADER_BYTES:end]


def _body_tree(frame: bytes) -> list[Any] | None:
    """[the body as lists, dicts and plain values]; None when it is no msgpack."""
    if len(frame) < HEADER_BYTES:
        return None
    try:
        return [msgspec.msgpack.decode(_body_of(frame))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, TypeError):
        return None


def _with_tree(choose: random.Random, frame: bytes, tree: list[Any]) -> bytes:
    try:
        body = msgspec.msgpack.encode(tree[0])
    except (OverflowError, RecursionError, TypeError):
        return frame
    # Mostly the header goes on telling the truth: the body alone is to be judged.
    honest = isinstance(tree[0], list) and choose.random() < 0.8
    is_entries = len(frame) > KIND.offset and frame[KIND.offset] == FrameKind.ENTRIES
    return with_body(frame, body, count=len(tree[0]) if honest and is_entries else None)


def _size(value: Any) -> int:
    """Bytes of msgpack that `value` takes."""
    try:
        return len(msgspec.msgpack.encode(value))
    except (OverflowError, RecursionError, TypeError):
        return MUTATION_BYTES_MAX


def _some_place(choose: random.Random, tree: list[Any]) -> tuple[Any, Any]:
    """(list or dict, index) of some value in the tree."""
    holder: Any = tree
    index: Any = 0
    while isinstance(holder[index], list | dict) and holder[index] and choose.random() < 0.85:
        holder = holder[index]
        index = (
            choose.choice(list(holder))
            if isinstance(holder, dict)
            else choose.randrange(len(holder))
        )
    return holder, index


def _hostile_value(choose: random.Random, value: Any) -> Any:
    makers: tuple[Callable[[], Any], ...] = (
        lambda: choose.choice(INTERESTING_INTEGERS),
        lambda: choose.choice(INTERESTING_FLOATS),
        lambda: choose.choice(INTERESTING_TEXTS),
        lambda: choose.choice(("a", "é", "\x1b[31m")) * choose.choice(INTERESTING_LENGTHS),
        lambda: choose.randbytes(choose.choice((0, 1, 8, 15, 16, 17, 32, 40, 64, 65, 300))),
        lambda: choose.choice((None, True, False, [], {}, [[]], {"a": [1]}, {1: 2})),
        lambda: _raw(choose),
        lambda: [value, value],
        lambda: [value],
    )
    return choose.choice(makers)()


def _raw(choose: random.Random) -> msgspec.Raw:
    """Msgpack that no honest encoder writes."""
    size = choose.choice((0, 1, 255, 65_535, 2**31 - 1, 2**32 - 1))
    text = choose.choice(INVALID_TEXTS)
    return msgspec.Raw(
        choose.choice(
            (
                choose.choice((b"\x91", b"\x81\xa1a", b"\x81\x91"))
                * choose.choice((10, 500, 2_000, NESTING_MAX))
                + b"\xc0",
                bytes([0xA0 + len(text)]) + text,
                b"\xdd" + struct.pack(">I", size),  # A list of so many; nothing follows.
                b"\xdf" + struct.pack(">I", size),
                b"\xdb" + struct.pack(">I", size) + b"short",
                b"\xc6" + struct.pack(">I", size) + b"short",
                b"\xc9" + struct.pack(">I", size) + b"\xff",
                b"\xd6\xff\x00\x00\x00\x01",  # A timestamp.
                b"\xc7\x0c\xff" + b"\xff" * 12,
                b"\xd4\x05\x01",
                b"\xc1",  # Never used.
                b"\xcb" + struct.pack(">d", choose.choice(INTERESTING_FLOATS)),
                b"\xca" + struct.pack(">f", choose.choice((math.nan, math.inf, -math.inf, 1.5))),
                b"\xce\x00\x00\x00\x01",  # 1 in five bytes.
                choose.randbytes(choose.randint(1, 40)),
            )
        )
    )


CHANGES: tuple[Change, ...] = (
    _flip_bits,
    _cut,
    _insert,
    _splice,
    _change_field,
    _change_kind,
    _change_identity,
    _change_value,
    _change_value,
    _change_value,
    _change_list,
    _change_list,
    _take_body,
)
