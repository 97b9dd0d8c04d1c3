"""Which found entries are new: the collector's whole decision, with no I/O.

Entries come in as they arrive, in any order; an entry offered twice has been sifted out before
(replication.py), so every one gets exactly one verdict. The exact set of keys is the unique indexes
of run.sqlite, not memory: the Bloom filter says which few keys must be looked up there, the caller
looks them up and hands the answers in. An entry whose key is new may be another form of one that is
known: what its name is, resolve.py has said before; who may be one waits for a judge (doubtful.py)
where there is one. Storing verdicts is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from mesh.core.bloom import BloomFilter
from mesh.core.doubtful import Doubtful, Settled
from mesh.core.entries import NOTE_CHARACTERS_MAX, Accepted, Duplicate, Excluded, Merged
from mesh.core.items import FoundEntry, NodeId
from mesh.core.known import DIGEST_MODULUS, key_digest
from mesh.core.listed_names import EXCLUDED_ORDINAL, UNDECIDED, ListedNames, NewName
from mesh.core.names.reading import best_to_read

__all__ = ["EXCLUDED_ORDINAL", "FoundEntry", "Ledger", "Verdict", "Waits"]


@dataclass(frozen=True, slots=True)
class Waits:
    """No verdict yet: somebody is to judge first."""


Verdict = Accepted | Duplicate | Merged | Excluded | Waits
WAITS = Waits()


@dataclass(slots=True)
class Ledger:
    """How many are accepted, and a filter over every key that is known."""

    accepted_count: int = 0
    accepted_digest: int = 0
    """Sum of the accepted keys' digests."""
    known_digest: int = 0
    """The same over all keys that are known, in the list or beside it: equals every other node's
    when converged."""
    known_count: int = 0
    bloom: BloomFilter = field(default_factory=BloomFilter)
    names: ListedNames | None = None
    """None: keys alone decide."""
    doubtful: Doubtful = field(default_factory=Doubtful)

    def restore(self, accepted_keys: Iterable[bytes], beside_keys: Iterable[bytes]) -> None:
        """Take up where the database left off.

        Args:
            beside_keys: of excluded entries, and of other forms of accepted ones.
        """
        for key in accepted_keys:
            self.accepted_count += 1
            self.accepted_digest = (self.accepted_digest + key_digest(key)) % DIGEST_MODULUS
            self._learn(key)
        for key in beside_keys:
            self._learn(key)

    def exclude(self, key: bytes) -> None:
        """Learn a key of the exclude list; the caller offers each new one once."""
        self._learn(key)

    def to_look_up(self, keys: Iterable[bytes]) -> list[bytes]:
        """Keys that may be in the database: the rest is certainly new."""
        return [key for key in keys if key in self.bloom]

    def decide(
        self,
        batch: Sequence[FoundEntry],
        stored: Mapping[bytes, int],
        named: Mapping[bytes, NewName] | None = None,
        *,
        judged_from_s: float | None = None,
    ) -> list[Verdict]:
        """Return one verdict for each entry, in the same order.

        Args:
            stored: ordinal of each looked-up key that is in the database, EXCLUDED_ORDINAL for
                excluded ones.
            named: what the names of those keys are that are not.
            judged_from_s: now, where somebody judges what is doubtful; None: nobody does.
        """
        in_batch: dict[bytes, int] = {}
        verdicts: list[Verdict] = []
        forms: dict[int, list[int]] = {}
        for place, found in enumerate(batch):
            ordinal = stored.get(found.key, in_batch.get(found.key))
            name = named.get(found.key) if named else None
            if ordinal is None:
                verdict = self._on_new_key(found, name, judged_from_s)
            else:
                verdict = _on_known_key(found, ordinal)
                if name is not None and self.names is not None:  # It was settled meanwhile.
                    self.names.decided(name.number, ordinal)
            if isinstance(verdict, (Accepted, Merged)):
                in_batch[found.key] = verdict.ordinal
            if isinstance(verdict, Accepted):
                forms[verdict.ordinal] = [place]
            elif isinstance(verdict, (Duplicate, Merged)) and verdict.ordinal in forms:
                forms[verdict.ordinal].append(place)
            verdicts.append(verdict)
        for places in forms.values():
            if len(places) > 1:
                self._have_best_stand(batch, verdicts, places)
        return verdicts

    def settle(self, settled: Settled) -> list[tuple[FoundEntry, Verdict]]:
        """The verdicts on an entry that has waited and on those that share its lot."""
        held, names = settled.held, self.names
        assert names is not None
        batch = [held.found, *(found for found, _ in held.followers)]
        same_as = settled.same_as
        if same_as is None:
            first: Verdict = self._accept(held.found)
            ordinal = self.accepted_count
        else:
            names.unite(held.name.number, same_as.number)
            ordinal = names.ordinal(same_as.number)
            first = _merged(held.found, ordinal, f"{same_as.reason}, judged by {settled.judge}")
        names.decided(held.name.number, ordinal)
        verdicts = [first]
        for found, name in held.followers:
            if name is not None:
                names.decided(name.number, ordinal)
            known = _on_known_key(found, ordinal)
            verdicts.append(known if name is None else _merged(found, ordinal, name.rule))
        if same_as is None:
            self._have_best_stand(batch, verdicts, range(len(batch)))
        return list(zip(batch, verdicts, strict=True))

    def _on_new_key(
        self, found: FoundEntry, name: NewName | None, judged_from_s: float | None
    ) -> Verdict:
        waiting = self.doubtful.of_key(found.key)
        if waiting is not None:
            self.doubtful.follow(waiting, found, None)
            return WAITS
        self._learn(found.key)
        if name is None or self.names is None:
            return self._accept(found)
        if name.same_as is not None:
            ordinal = self.names.ordinal(name.same_as)
            if ordinal != UNDECIDED:
                self.names.decided(name.number, ordinal)
                return _merged(found, ordinal, name.rule)
            waiting = self.doubtful.of_number(name.same_as)
            assert waiting is not None, "who is undecided waits"
            self.doubtful.follow(waiting, found, name)
            return WAITS
        if name.doubts and judged_from_s is not None and self.doubtful.has_room:
            self.doubtful.hold(found, name, judged_from_s)
            return WAITS
        accepted = self._accept(found)
        self.names.decided(name.number, accepted.ordinal)
        return accepted

    def _have_best_stand(
        self, batch: Sequence[FoundEntry], verdicts: list[Verdict], places: Sequence[int]
    ) -> None:
        """Of the forms of one entry that nobody has seen yet, the best is written; the form that
        was accepted takes the place of that one."""
        first, accepted = places[0], verdicts[places[0]]
        assert isinstance(accepted, Accepted)
        best = best_to_read([batch[place].text for place in places])
        if best == accepted.text:
            return
        chosen = next(place for place in places if batch[place].text == best)
        verdicts[first] = msgspec.structs.replace(accepted, text=best)
        self._count_accepted(batch[first].key, -1)
        self._count_accepted(batch[chosen].key, 1)
        for place in places:
            verdict = verdicts[place]
            if isinstance(verdict, Merged) and batch[place].key == batch[chosen].key:
                verdicts[place] = msgspec.structs.replace(verdict, text=batch[first].text)

    def _accept(self, found: FoundEntry) -> Accepted:
        self.accepted_count += 1
        self._count_accepted(found.key, 1)
        return Accepted(self.accepted_count, *_place(found), found.text, found.facet)

    def _count_accepted(self, key: bytes, times: int) -> None:
        self.accepted_digest = (self.accepted_digest + times * key_digest(key)) % DIGEST_MODULUS

    def _learn(self, key: bytes) -> None:
        self.bloom.add(key)
        self.known_count += 1
        self.known_digest = (self.known_digest + key_digest(key)) % DIGEST_MODULUS


def _on_known_key(found: FoundEntry, ordinal: int) -> Verdict:
    if ordinal == EXCLUDED_ORDINAL:
        return Excluded(*_place(found))
    return Duplicate(*_place(found), ordinal)


def _merged(found: FoundEntry, ordinal: int, rule: str) -> Merged:
    return Merged(*_place(found), ordinal, found.text, rule[:NOTE_CHARACTERS_MAX])


def _place(found: FoundEntry) -> tuple[NodeId, int, int]:
    return found.id.origin, found.id.epoch, found.id.seq
