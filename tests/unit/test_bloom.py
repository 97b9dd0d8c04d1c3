"""The Bloom filter: no member is ever lost, and wrong answers stay within the stated rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.bloom import BloomFilter, BloomShape, bloom_shape


def keys(first: int, last: int) -> list[bytes]:
    return [f"attraction {number}".encode() for number in range(first, last)]


def share_wrongly_present(bloom: BloomFilter, absent: list[bytes]) -> float:
    return sum(key in bloom for key in absent) / len(absent)


def test_the_shape_is_the_one_that_the_formula_gives() -> None:
    assert bloom_shape(1_000_000, 0.01) == BloomShape(bit_count=9_585_064, hash_count=7)


def test_even_the_smallest_shape_has_a_byte_and_a_hash() -> None:
    assert bloom_shape(1, 0.9) == BloomShape(bit_count=8, hash_count=1)


@pytest.mark.parametrize("item_count_max", [0, -1])
def test_a_shape_for_no_items_is_refused_with_the_value(item_count_max: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, got {item_count_max}"):
        bloom_shape(item_count_max, 0.01)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_rate_outside_0_to_1_is_refused_with_the_value(rate: float) -> None:
    with pytest.raises(ValueError, match=rf"in \(0, 1\), got {rate}"):
        bloom_shape(100, rate)


def test_a_filter_that_cannot_hold_anything_is_refused_when_made() -> None:
    with pytest.raises(ValueError, match="item_count_max"):
        BloomFilter(item_count_first=0)
    with pytest.raises(ValueError, match="false_positive_rate"):
        BloomFilter(false_positive_rate=2.5)


@given(st.lists(st.binary(max_size=20), max_size=300), st.integers(1, 5))
def test_no_member_is_lost_however_often_the_filter_grows(
    members: list[bytes], item_count_first: int
) -> None:
    bloom = BloomFilter(item_count_first=item_count_first)
    bloom.update(members)
    assert all(key in bloom for key in members)


def test_an_empty_filter_holds_nothing() -> None:
    assert share_wrongly_present(BloomFilter(), keys(0, 1000)) == 0.0


@pytest.mark.parametrize("rate", [0.05, 0.01])
@pytest.mark.parametrize("size", [100, 1_000, 5_000, 21_000, 60_000])
def test_the_stated_rate_holds_at_every_size_after_growth(size: int, rate: float) -> None:
    """20,000 absent keys: the bound plus four standard deviations of the count."""
    bloom = BloomFilter(item_count_first=100, false_positive_rate=rate)
    bloom.update(keys(0, size))
    tolerance = 4 * (rate / 20_000) ** 0.5
    assert share_wrongly_present(bloom, keys(1_000_000, 1_020_000)) <= rate + tolerance


def test_growth_costs_memory_in_proportion_to_the_keys() -> None:
    bloom = BloomFilter(item_count_first=1_000)
    assert bloom.byte_count < 1_500
    bloom.update(keys(0, 50_000))
    assert 50_000 < bloom.byte_count < 4 * 2 * 50_000
