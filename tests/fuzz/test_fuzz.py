"""Whatever arrives, a node refuses it by reason, or takes it; it never falls over.

Bounded for the test command; bench/fuzz.py runs the same attacks a million times.
"""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.wire.codec import FRAME_BYTES_MAX, HEADER_BYTES, FrameKind
from mesh.wire.signing import SigningKey
from mesh.wire.tickets import PREFIX
from tests.fuzz.attacked_node import AttackedNode
from tests.fuzz.attacks import Attacks, read_ticket, read_whole
from tests.fuzz.cast import Cast
from tests.fuzz.mutations import BODY_SIZE, KIND, from_origin, signed_again, with_body

ATTACKS = [
    pytest.param(encrypted, name, id=f"{'encrypted' if encrypted else 'plaintext'}-{name}")
    for encrypted in (False, True)
    for name in Attacks(encrypted).all()
]
INPUTS = 2_000
"""Of each attack, by seed; 12 s in all."""
FRAME_MEMORY_BYTES_MAX = 16 * FRAME_BYTES_MAX

quickly = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize(("encrypted", "name"), ATTACKS)
def test_seeded_mutations_of_real_frames_never_break_it(encrypted: bool, name: str) -> None:
    attack = Attacks(encrypted).all()[name]
    choose = random.Random(f"{encrypted}/{name}")
    outcomes = {attack(choose) for _ in range(INPUTS)}
    # Both gates were tried: some inputs were refused, and some went all the way.
    assert "" in outcomes
    assert len(outcomes) > 1 or name == "replies"


@pytest.mark.parametrize(("encrypted", "name"), ATTACKS)
@given(data=st.data())
@quickly
def test_mutations_that_hypothesis_picks_never_break_it(
    encrypted: bool, name: str, data: st.DataObject
) -> None:
    attack = Attacks(encrypted).all()[name]
    choose = data.draw(st.randoms(use_true_random=False))
    for _ in range(3):
        attack(choose)


@given(st.binary(max_size=400))
@quickly
def test_any_bytes_are_a_frame_or_refused(content: bytes) -> None:
    read_whole(content)
    for kind in FrameKind:
        frame = Cast(False).feed_frames()[0]
        read_whole(with_body(KIND.put(frame, kind), content))


@given(st.text())
@quickly
def test_any_text_is_a_ticket_or_refused(text: str) -> None:
    assert read_ticket(text) == "ticket"
    assert read_ticket(PREFIX + text) == "ticket"


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_frames_that_the_attacks_begin_with_are_all_taken(encrypted: bool) -> None:
    cast = Cast(encrypted)
    assert [read_whole(frame) for frame in cast.every_frame()] == [""] * len(cast.every_frame())
    node = AttackedNode(cast, random.Random(0))
    assert [node.hear(frame) for frame in cast.feed_frames()] == [""] * len(cast.feed_frames())
    node = AttackedNode(cast, random.Random(0))
    keys = [*[cast.newcomer.member.curve_key] * 2, *[cast.other.member.curve_key] * 2]
    asked = zip(cast.requests(), keys, strict=True)
    assert [node.ask(frame, key) for frame, key in asked] == [""] * 4


def test_a_frame_with_any_bit_changed_is_refused_in_an_encrypted_run() -> None:
    cast = Cast(encrypted=True)
    node = AttackedNode(cast, random.Random(0))
    for frame in cast.feed_frames():
        for bit in range(0, 8 * len(frame), 5):  # Every byte, by turns another bit.
            altered = bytearray(frame)
            altered[bit // 8] ^= 1 << bit % 8
            assert node.hear(bytes(altered))


def test_a_member_cannot_speak_in_another_ones_name() -> None:
    """Signed soundly, by a member, and naming somebody else."""
    cast = Cast(encrypted=True)
    assert cast.other.key is not None
    node = AttackedNode(cast, random.Random(0))
    for frame in cast.feed_frames():
        forged = from_origin(frame, cast.collector.log.origin)
        signed = signed_again(forged, cast.other.key.sign)
        assert node.hear(signed, signer=cast.other.log.origin) == "signature"


def test_a_frame_signed_by_a_key_of_nobody_is_refused() -> None:
    cast = Cast(encrypted=True)
    node = AttackedNode(cast, random.Random(0))
    for frame in cast.feed_frames():
        assert node.hear(signed_again(frame, SigningKey(b"x" * 32).sign)) == "signature"


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a", b"\x81\x91"])
def test_nesting_as_deep_as_a_frame_is_long_is_refused(opening: bytes) -> None:
    depth = (FRAME_BYTES_MAX - HEADER_BYTES - 1) // len(opening)
    for kind in FrameKind:
        frame = KIND.put(Cast(False).feed_frames()[0], kind)
        assert read_whole(with_body(frame, opening * depth + b"\xc0"))


@pytest.mark.parametrize("opening", [b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"])
def test_a_length_that_is_a_lie_reserves_no_memory(opening: bytes) -> None:
    frame = Cast(False).feed_frames()[0]
    bodies = [opening + b"\xff\xff\xff\xff" + b"x" * size for size in (0, 1, 1000)]
    tracemalloc.start()
    try:
        for body in bodies:
            for kind in FrameKind:
                assert read_whole(with_body(KIND.put(frame, kind), body))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < FRAME_MEMORY_BYTES_MAX


def test_the_largest_frame_of_the_smallest_values_takes_bounded_memory() -> None:
    """A frame of 256 KiB may hold a quarter of a million values; each kind has its bound."""
    frame = Cast(False).feed_frames()[0]
    count = FRAME_BYTES_MAX - HEADER_BYTES - 16
    bodies = [
        b"\xdd" + count.to_bytes(4, "big") + b"\x01" * count,
        b"\x91\xdd" + (count // 4).to_bytes(4, "big") + b"\x93\x01\x01\x01" * (count // 4),
        b"\xdf" + (count // 2).to_bytes(4, "big") + b"\xa0\x01" * (count // 2),
    ]
    tracemalloc.start()
    try:
        for body in bodies:
            for kind in FrameKind:
                read_whole(with_body(KIND.put(frame, kind), body))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < FRAME_MEMORY_BYTES_MAX


def test_a_body_longer_than_the_header_says_is_refused() -> None:
    frame = Cast(False).feed_frames()[0]
    for size in (0, 1, len(frame), 2**32 - 1):
        assert read_whole(BODY_SIZE.put(frame, size)) == "size"
