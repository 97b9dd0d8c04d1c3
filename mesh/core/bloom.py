"""A Bloom filter that grows without losing members (mmh3 + bitarray).

It answers "certainly absent" or "perhaps present" at about 1.5 bytes an item, for keys whose
exact set is dear: on disk, or many derived keys for each entry. In memory a Python set answers
faster; which to ask first is the caller's choice (known.py, ledger.py).

It grows as a chain of filters, each four times the capacity and half the error of the one
before, so that the whole stays below the stated rate whatever its size and needs no key twice.
Source: Almeida, Baquero, Preguica, Hutchison, "Scalable Bloom Filters", IPL 101(6), 2007;
indices by double hashing, Kirsch & Mitzenmacher, "Less Hashing, Same Performance", 2006.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import mmh3
from bitarray import bitarray

GROWTH_FACTOR = 4
TIGHTENING = 0.5


@dataclass(frozen=True, slots=True)
class BloomShape:
    """Size of one filter."""

    bit_count: int
    """A multiple of 8."""
    hash_count: int
    """Bits set for each item."""


def bloom_shape(item_count_max: int, false_positive_rate: float) -> BloomShape:
    """Smallest filter that keeps its false-positive rate at `item_count_max` items.

    Args:
        item_count_max: distinct items the filter must hold, >= 1.
        false_positive_rate: chance in (0, 1) that an absent item reads as present.

    Returns:
        Example: 1_000_000 items at 0.01 need 9_585_064 bits (1.2 MB) and 7 hashes.

    Raises:
        ValueError: an argument is outside its range; the message gives the value.

    Source: bits = -n ln p / (ln 2)^2, hashes = bits/n * ln 2. Broder & Mitzenmacher,
    "Network Applications of Bloom Filters: A Survey", Internet Mathematics 1(4), 2004.
    """
    if item_count_max < 1:
        raise ValueError(f"item_count_max must be at least 1, got {item_count_max}")
    if not 0.0 < false_positive_rate < 1.0:
        raise ValueError(f"false_positive_rate must be in (0, 1), got {false_positive_rate}")
    bits = -item_count_max * math.log(false_positive_rate) / math.log(2) ** 2
    bit_count = math.ceil(bits / 8) * 8
    hash_count = max(1, round(bits / item_count_max * math.log(2)))
    return BloomShape(bit_count, hash_count)


@dataclass(slots=True)
class _Slice:
    """One filter of the chain."""

    item_count_max: int
    shape: BloomShape
    bits: bitarray
    item_count: int = 0

    @classmethod
    def of(cls, item_count_max: int, false_positive_rate: float) -> _Slice:
        shape = bloom_shape(item_count_max, false_positive_rate)
        bits = bitarray(shape.bit_count)
        bits.setall(0)
        return cls(item_count_max, shape, bits)

    def add(self, low: int, high: int) -> None:
        size, bits = self.shape.bit_count, self.bits
        for _ in range(self.shape.hash_count):
            bits[low % size] = 1
            low += high
        self.item_count += 1

    def holds(self, low: int, high: int) -> bool:
        size, bits = self.shape.bit_count, self.bits
        for _ in range(self.shape.hash_count):
            if not bits[low % size]:
                return False
            low += high
        return True


@dataclass(slots=True)
class BloomFilter:
    """Keys seen so far, perhaps a few more, never fewer.

    Args:
        item_count_first: capacity of the first filter; the chain grows beyond it by itself.
        false_positive_rate: bound on the chance that an absent key reads as present, whatever
            the number of keys; halving it costs about 1.5 bits a key and one more hash.
    """

    item_count_first: int = 65_536
    false_positive_rate: float = 0.01
    _slices: list[_Slice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._grow()

    def add(self, key: bytes) -> None:
        """Add `key`; adding one that is present costs capacity and changes nothing else."""
        low, high = mmh3.hash64(key, signed=False)
        last = self._slices[-1]
        if last.item_count >= last.item_count_max:
            self._grow()
            last = self._slices[-1]
        last.add(low, high)

    def update(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self.add(key)

    def __contains__(self, key: bytes) -> bool:
        low, high = mmh3.hash64(key, signed=False)
        return any(part.holds(low, high) for part in self._slices)

    @property
    def byte_count(self) -> int:
        """Memory of the bits."""
        return sum(part.shape.bit_count // 8 for part in self._slices)

    def _grow(self) -> None:
        index = len(self._slices)
        capacity = self.item_count_first * GROWTH_FACTOR**index
        # The rates of all filters add up to at most the stated one: p/2 + p/4 + ...
        rate = self.false_positive_rate * TIGHTENING ** (index + 1)
        self._slices.append(_Slice.of(capacity, rate))
