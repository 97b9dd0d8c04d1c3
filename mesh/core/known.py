"""What a node knows: the union of every entry that any log it has read names.

Known items only grow, and union minds neither order nor repetition. Two nodes know the same
when counts and digests agree: the digest is the sum of all keys' 128-bit hashes, so it needs no
order. The exact set answers first (in memory it is the fastest); the Bloom filter is kept beside
it as the compact form of the same keys.

For prompts the known items stand in the collector's order of acceptance; what it has not
accepted yet follows in order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import mmh3

from mesh.core.bloom import BloomFilter
from mesh.core.text_column import TextColumn

DIGEST_MODULUS = 1 << 128


def key_digest(key: bytes) -> int:
    """One key's share of a digest, 0..2^128-1."""
    return mmh3.hash128(key, 0x5EED, signed=False)


def digest_bytes(digest: int) -> bytes:
    return digest.to_bytes(16, "big")


@dataclass(slots=True)
class KnownItems:
    """Known keys with their digest, and the texts in prompt order."""

    bloom: BloomFilter = field(default_factory=BloomFilter)
    digest: int = 0
    accepted: TextColumn = field(default_factory=TextColumn)
    """Texts by ordinal - 1, as far as they are known without a hole."""
    _keys: set[bytes] = field(default_factory=set)
    _fresh: dict[bytes, str] = field(default_factory=dict)
    _accepted_ahead: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, key: bytes, text: str) -> bool:
        """Learn one item; False when it was known."""
        if key in self._keys:
            return False
        self._keys.add(key)
        self.bloom.add(key)
        self.digest = (self.digest + mmh3.hash128(key, 0x5EED, signed=False)) % DIGEST_MODULUS
        self._fresh[key] = text
        return True

    def accept(self, ordinal: int, key: bytes, text: str) -> None:
        """Learn that `text` is the collector's item number `ordinal` (from 1), in any order."""
        self.add(key, text)
        self._fresh.pop(key, None)
        if ordinal == len(self.accepted) + 1:
            self.accepted.append(text)
            while self._accepted_ahead and len(self.accepted) + 1 in self._accepted_ahead:
                self.accepted.append(self._accepted_ahead.pop(len(self.accepted) + 1))
        elif ordinal > len(self.accepted):
            self._accepted_ahead[ordinal] = text

    def fresh(self) -> Iterable[str]:
        """Known, but not accepted yet or accepted beyond a hole: in order of arrival."""
        return [*self._accepted_ahead.values(), *self._fresh.values()]
