"""The collector's verdicts: every entry gets exactly one, the same whatever the batching."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.entries import Accepted, Duplicate, Excluded
from mesh.core.items import EntryId, NodeId
from mesh.core.known import KnownItems
from mesh.core.ledger import EXCLUDED_ORDINAL, FoundEntry, Ledger, Verdict

A = NodeId(b"A" * 16)
B = NodeId(b"B" * 16)


def found(name: str, seq: int = 1, origin: NodeId = A, epoch: int = 1) -> FoundEntry:
    return FoundEntry(EntryId(origin, epoch, seq), name.casefold().encode(), name)


class Store:
    """The unique index of the database, in memory."""

    def __init__(self) -> None:
        self.ordinals: dict[bytes, int] = {}

    def decide(self, ledger: Ledger, batch: list[FoundEntry]) -> list[Verdict]:
        asked = ledger.to_look_up(each.key for each in batch)
        verdicts = ledger.decide(batch, {k: self.ordinals[k] for k in asked if k in self.ordinals})
        for each, verdict in zip(batch, verdicts, strict=True):
            if isinstance(verdict, Accepted):
                self.ordinals[each.key] = verdict.ordinal
        return verdicts


def _but_for_forms(verdicts: list[Verdict]) -> list[object]:
    """Of what comes in one batch the best form is written: there the cut matters."""
    return [
        (type(verdict), verdict.ordinal, verdict.seq, verdict.text.casefold())
        if isinstance(verdict, Accepted)
        else verdict
        for verdict in verdicts
    ]


def test_new_entries_are_numbered_from_one() -> None:
    assert Ledger().decide([found("Louvre", 1), found("Orsay", 2)], {}) == [
        Accepted(1, A, 1, 1, "Louvre"),
        Accepted(2, A, 1, 2, "Orsay"),
    ]


def test_credit_goes_to_the_first_and_the_second_learns_the_ordinal() -> None:
    verdicts = Ledger().decide([found("Louvre", 1, A), found("LOUVRE", 9, B, epoch=7)], {})
    assert verdicts == [Accepted(1, A, 1, 1, "Louvre"), Duplicate(B, 7, 9, ordinal=1)]


def test_an_entry_stored_by_an_earlier_batch_is_a_duplicate_of_it() -> None:
    ledger = Ledger()
    ledger.decide([found("Louvre")], {})
    again = found("louvre", 2)
    assert ledger.to_look_up([again.key]) == [again.key]
    assert ledger.decide([again], {again.key: 1}) == [Duplicate(A, 1, 2, ordinal=1)]
    assert ledger.accepted_count == 1


def test_a_key_that_the_filter_takes_for_known_wrongly_is_still_accepted() -> None:
    """The database, not the filter, has the last word."""
    ledger = Ledger()
    ledger.bloom.add(b"orsay")
    assert ledger.to_look_up([b"orsay"]) == [b"orsay"]
    assert ledger.decide([found("Orsay")], {}) == [Accepted(1, A, 1, 1, "Orsay")]


def test_an_excluded_key_is_known_and_never_counted_as_accepted() -> None:
    ledger = Ledger()
    ledger.exclude(b"louvre")
    assert ledger.decide([found("Louvre")], {b"louvre": EXCLUDED_ORDINAL}) == [Excluded(A, 1, 1)]
    assert (ledger.accepted_count, ledger.known_count) == (0, 1)


def test_its_digest_equals_that_of_a_producer_who_knows_the_same() -> None:
    ledger, producer = Ledger(), KnownItems()
    ledger.exclude(b"eiffel")
    ledger.decide([found("Louvre", 1), found("Orsay", 2), found("LOUVRE", 3)], {})
    for key in (b"orsay", b"eiffel", b"louvre"):
        producer.add(key, key.decode())
    assert (ledger.known_digest, ledger.known_count) == (producer.digest, len(producer))
    assert ledger.accepted_digest != ledger.known_digest


NAMES = st.lists(st.sampled_from(["Louvre", "LOUVRE", "Orsay", "Eiffel", "eiffel", "Dôme"]))


@given(NAMES, st.lists(st.integers(0, 12)))
def test_verdicts_do_not_depend_on_how_entries_are_cut_into_batches(
    names: list[str], cuts: list[int]
) -> None:
    entries = [found(name, seq) for seq, name in enumerate(names, 1)]
    whole = Store().decide(Ledger(), entries)
    ledger, store = Ledger(), Store()
    edges = sorted({0, len(entries), *(cut for cut in cuts if cut < len(entries))})
    parts = [
        verdict
        for start, end in itertools.pairwise(edges)
        for verdict in store.decide(ledger, entries[start:end])
    ]
    assert _but_for_forms(parts) == _but_for_forms(whole)
    accepted = [verdict.ordinal for verdict in whole if isinstance(verdict, Accepted)]
    assert accepted == list(range(1, len({name.casefold() for name in names}) + 1))


@given(NAMES, NAMES)
def test_a_restored_ledger_decides_as_the_one_before_it(
    before: list[str], after: list[str]
) -> None:
    ledger, store = Ledger(), Store()
    ledger.exclude(b"eiffel")
    store.ordinals[b"eiffel"] = EXCLUDED_ORDINAL
    store.decide(ledger, [found(name, seq) for seq, name in enumerate(before, 1)])
    restored = Ledger()
    restored.restore(
        accepted_keys=[key for key, ordinal in store.ordinals.items() if ordinal],
        beside_keys=[b"eiffel"],
    )
    assert restored.accepted_digest == ledger.accepted_digest
    assert (restored.known_digest, restored.known_count) == (
        ledger.known_digest,
        ledger.known_count,
    )
    later = [found(name, seq) for seq, name in enumerate(after, 1000)]
    other_store = Store()
    other_store.ordinals = dict(store.ordinals)
    assert store.decide(ledger, later) == other_store.decide(restored, later)
