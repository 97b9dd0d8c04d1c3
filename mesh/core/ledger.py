"""Which found entries are new: the collector's whole decision, with no I/O.

Entries come in as they arrive, in any order; an entry offered twice has been sifted out before
(replication.py), so every one gets exactly one verdict. The exact set of accepted keys is the
unique index of run.sqlite, not memory: the Bloom filter says which few keys must be looked up
there, the caller looks them up and hands the answers in. Storing verdicts is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mesh.core.bloom import BloomFilter
from mesh.core.entries import Accepted, Duplicate, Excluded
from mesh.core.items import EntryId
from mesh.core.known import DIGEST_MODULUS, key_digest

EXCLUDED_ORDINAL = 0
"""What the look-up answers for a key of the exclude list."""

Verdict = Accepted | Duplicate | Excluded


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """A Found as the ledger sees it."""

    id: EntryId
    key: bytes
    text: str
    facet: int = 0


@dataclass(slots=True)
class Ledger:
    """How many are accepted, and a filter over every key that is known."""

    accepted_count: int = 0
    accepted_digest: int = 0
    """Sum of the accepted keys' digests."""
    known_digest: int = 0
    """The same over accepted and excluded keys: equals every other node's when converged."""
    known_count: int = 0
    bloom: BloomFilter = field(default_factory=BloomFilter)

    def restore(self, accepted_keys: Iterable[bytes], excluded_keys: Iterable[bytes]) -> None:
        """Take up where the database left off."""
        for key in accepted_keys:
            self.accepted_count += 1
            self.accepted_digest = (self.accepted_digest + key_digest(key)) % DIGEST_MODULUS
            self._learn(key)
        for key in excluded_keys:
            self._learn(key)

    def exclude(self, key: bytes) -> None:
        """Learn a key of the exclude list; the caller offers each new one once."""
        self._learn(key)

    def to_look_up(self, keys: Iterable[bytes]) -> list[bytes]:
        """Keys that may be in the database: the rest is certainly new."""
        return [key for key in keys if key in self.bloom]

    def decide(self, batch: Sequence[FoundEntry], stored: Mapping[bytes, int]) -> list[Verdict]:
        """Return one verdict for each entry, in the same order.

        Args:
            stored: ordinal of each looked-up key that is in the database, EXCLUDED_ORDINAL for
                excluded ones.
        """
        in_batch: dict[bytes, int] = {}
        verdicts: list[Verdict] = []
        for found in batch:
            entry = found.id
            ordinal = stored.get(found.key, in_batch.get(found.key))
            if ordinal is None:
                self.accepted_count += 1
                in_batch[found.key] = self.accepted_count
                digest = self._learn(found.key)
                self.accepted_digest = (self.accepted_digest + digest) % DIGEST_MODULUS
                place = entry.origin, entry.epoch, entry.seq
                verdicts.append(Accepted(self.accepted_count, *place, found.text, found.facet))
            elif ordinal == EXCLUDED_ORDINAL:
                verdicts.append(Excluded(entry.origin, entry.epoch, entry.seq))
            else:
                verdicts.append(Duplicate(entry.origin, entry.epoch, entry.seq, ordinal))
        return verdicts

    def _learn(self, key: bytes) -> int:
        self.bloom.add(key)
        digest = key_digest(key)
        self.known_count += 1
        self.known_digest = (self.known_digest + digest) % DIGEST_MODULUS
        return digest
