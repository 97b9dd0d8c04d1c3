"""What a node knows: the union of every entry that any log it has read names.

Known items only grow, and union minds neither order nor repetition. Two nodes know the same
when counts and digests agree: the digest is the sum of all keys' 128-bit hashes, so it needs no
order. The exact set answers first (in memory it is the fastest); the Bloom filter is kept beside
it as the compact form of the same keys.

For prompts the known items stand in the collector's order of acceptance; what it has not
accepted yet follows in order of arrival. A collector that was restored from an old copy gives
ordinals anew from what it held then: each of its epochs opens with that count, and acceptances of
earlier epochs above it are void. Their items stay known.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import mmh3

from mesh.core.bloom import BloomFilter
from mesh.core.normalize import item_key
from mesh.core.text_column import TextColumn

DIGEST_MODULUS = 1 << 128


def key_digest(key: bytes) -> int:
    """One key's share of a digest, 0..2^128-1."""
    return mmh3.hash128(key, 0x5EED, signed=False)


def digest_bytes(digest: int) -> bytes:
    return digest.to_bytes(16, "big")


@dataclass(frozen=True, slots=True)
class _Acceptance:
    epoch: int
    key: bytes
    text: str


@dataclass(slots=True)
class KnownItems:
    """Known keys with their digest, and the texts in prompt order."""

    bloom: BloomFilter = field(default_factory=BloomFilter)
    digest: int = 0
    accepted: TextColumn = field(default_factory=TextColumn)
    """Texts by ordinal - 1, as far as they are known without a hole."""
    void_ordinals: bool = True
    """core.protections: take void acceptances back."""
    _keys: set[bytes] = field(default_factory=set)
    _fresh: dict[bytes, str] = field(default_factory=dict)
    _ahead: dict[int, _Acceptance] = field(default_factory=dict)
    """Accepted beyond a hole, by ordinal."""
    _first_of_epoch: dict[int, int] = field(default_factory=dict)
    """For each epoch of the collector whose opening was heard the first ordinal it gave out."""
    _column_epochs: list[tuple[int, int]] = field(default_factory=list)
    """(ordinal, epoch): from there on the column holds what that epoch accepted; ascending."""

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

    def accept(self, ordinal: int, key: bytes, text: str, epoch: int = 0) -> None:
        """Learn that `text` is the collector's item number `ordinal` (from 1), in any order.

        Args:
            epoch: the collector's, when it said so.
        """
        self.add(key, text)
        if self._is_void(ordinal, epoch):
            return
        is_given = ordinal <= len(self.accepted)
        if is_given and self.void_ordinals and epoch > self._epoch_at(ordinal):
            self._take_back(ordinal, epoch)
        if ordinal == len(self.accepted) + 1:
            self._append(epoch, key, text)
            self._append_what_waited()
        elif ordinal > len(self.accepted):
            ahead = self._ahead.get(ordinal)
            if ahead is None or ahead.epoch <= epoch:
                self._ahead[ordinal] = _Acceptance(epoch, key, text)

    def merged(self, key: bytes) -> None:
        """Learn that a known item is another form of one that stands in the list: prompts need
        not name it."""
        self._fresh.pop(key, None)

    def open_epoch(self, epoch: int, accepted_count: int) -> None:
        """Learn how many the collector held when it opened `epoch`: what it accepted before
        beyond that is void. Said again with a lower count, that one holds."""
        if not self.void_ordinals:
            return
        said = self._first_of_epoch.get(epoch, accepted_count + 1)
        self._first_of_epoch[epoch] = min(said, accepted_count + 1)
        for ordinal, ahead in list(self._ahead.items()):
            if self._is_void(ordinal, ahead.epoch):
                del self._ahead[ordinal]
        first_void = accepted_count + 1
        if first_void <= len(self.accepted) and self._epoch_at(first_void) < epoch:
            self._take_back(first_void, epoch)

    def fresh(self) -> Iterable[str]:
        """Known, but not accepted yet or accepted beyond a hole: in order of arrival."""
        return self._fresh.values()

    def _append_what_waited(self) -> None:
        while self._ahead:
            ordinal = len(self.accepted) + 1
            waited = self._ahead.pop(ordinal, None)
            if waited is None or self._is_void(ordinal, waited.epoch):
                return
            self._append(waited.epoch, waited.key, waited.text)

    def _append(self, epoch: int, key: bytes, text: str) -> None:
        self._fresh.pop(key, None)
        self.accepted.append(text)
        if not self._column_epochs or self._column_epochs[-1][1] != epoch:
            self._column_epochs.append((len(self.accepted), epoch))

    def _is_void(self, ordinal: int, epoch: int) -> bool:
        """Whether a later epoch began below `ordinal`: it says so, or it gave out one below."""
        if not self.void_ordinals:
            return False
        beyond = ordinal > len(self.accepted)
        if beyond and self._column_epochs and self._column_epochs[-1][1] > epoch:
            return True
        for later, first in self._first_of_epoch.items():
            if later > epoch and ordinal >= first:
                return True
        return False

    def _epoch_at(self, ordinal: int) -> int:
        """The epoch that accepted the column's item `ordinal`."""
        index = bisect_right(self._column_epochs, ordinal, key=lambda each: each[0]) - 1
        return self._column_epochs[index][1]

    def _take_back(self, first_ordinal: int, epoch: int) -> None:
        """Empty the column from `first_ordinal` on; what `epoch` or a later one put there waits
        for the hole to close, the rest is fresh again."""
        cut_epochs = [self._epoch_at(n) for n in range(first_ordinal, len(self.accepted) + 1)]
        texts = self.accepted.cut(first_ordinal - 1)
        for ordinal, (text, its_epoch) in enumerate(
            zip(texts, cut_epochs, strict=True), first_ordinal
        ):
            key = item_key(text)
            self._fresh[key] = text
            if its_epoch >= epoch:
                self._ahead[ordinal] = _Acceptance(its_epoch, key, text)
        while self._column_epochs and self._column_epochs[-1][0] >= first_ordinal:
            self._column_epochs.pop()
