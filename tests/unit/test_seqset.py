"""SeqSet against the plain set it stands for."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.seqset import SeqSet

RANGES = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda r: (r[0], r[0] + r[1])),
    max_size=25,
)


def members(ranges: list[tuple[int, int]]) -> set[int]:
    return {seq for first, last in ranges for seq in range(first, last + 1)}


@given(RANGES)
def test_it_holds_what_a_plain_set_holds_after_every_step(ranges: list[tuple[int, int]]) -> None:
    seqs, plain = SeqSet(), set[int]()
    for first, last in ranges:
        added = set(range(first, last + 1))
        new = seqs.add_range(first, last)
        assert members(new) == added - plain
        assert new == sorted(new)
        plain |= added
        assert len(seqs) == len(plain)
        assert seqs.highest == max(plain)
        assert all((seq in seqs) == (seq in plain) for seq in range(-1, 80))
        assert set(range(1, seqs.upto + 1)) <= plain
        assert seqs.upto + 1 not in plain


@given(RANGES, st.integers(0, 80), st.integers(0, 20))
def test_it_covers_a_range_if_it_holds_each_number_of_it(
    ranges: list[tuple[int, int]], first: int, more: int
) -> None:
    wanted = set(range(first, first + more + 1))
    covers = SeqSet.of_ranges(ranges).covers(first, first + more)
    assert covers == (wanted <= members(ranges))


@given(RANGES, st.integers(0, 90))
def test_what_is_missing_is_what_a_plain_set_lacks(
    ranges: list[tuple[int, int]], last: int
) -> None:
    seqs = SeqSet.of_ranges(ranges)
    missing = seqs.missing_upto(last)
    assert members(missing) == set(range(1, last + 1)) - members(ranges)
    assert missing == sorted(missing)


@given(RANGES)
def test_its_ranges_restore_it(ranges: list[tuple[int, int]]) -> None:
    seqs = SeqSet.of_ranges(ranges)
    assert SeqSet.of_ranges(seqs.ranges()) == seqs
    assert members(seqs.ranges()) == members(ranges)


@given(RANGES)
def test_it_stores_ranges_that_neither_touch_nor_overlap(ranges: list[tuple[int, int]]) -> None:
    stored = SeqSet.of_ranges(ranges).ranges()
    assert all(earlier[1] + 1 < later[0] for earlier, later in itertools.pairwise(stored))


def test_a_number_that_fills_the_only_hole_moves_the_watermark_over_the_island() -> None:
    seqs = SeqSet.of_ranges([(1, 3), (5, 9)])
    assert (seqs.upto, seqs.highest) == (3, 9)
    assert seqs.add_range(4, 4) == [(4, 4)]
    assert (seqs.upto, seqs.ranges()) == (9, [(1, 9)])


@pytest.mark.parametrize(("first", "last"), [(0, 1), (-3, -1), (5, 4)])
def test_a_range_that_is_none_is_our_own_bug(first: int, last: int) -> None:
    with pytest.raises(AssertionError):
        SeqSet().add_range(first, last)
