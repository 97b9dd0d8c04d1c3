"""The collector's verdicts where names decide beside keys: other forms, doubts, judgements."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mesh.core.doubtful import Settled
from mesh.core.entries import Accepted, Duplicate, Excluded, Merged
from mesh.core.items import EntryId, FoundEntry, NodeId
from mesh.core.known import DIGEST_MODULUS, key_digest
from mesh.core.ledger import WAITS, Ledger, Verdict
from mesh.core.listed_names import Likeness, ListedNames, NewName
from mesh.core.normalize import item_key

A = NodeId(b"A" * 16)


@dataclass
class Book:
    """A ledger with names, and what its database would hold."""

    judged: bool = False
    ledger: Ledger = field(default_factory=lambda: Ledger(names=ListedNames()))
    stored: dict[bytes, int] = field(default_factory=dict)
    seq: int = 0

    @property
    def names(self) -> ListedNames:
        assert self.ledger.names is not None
        return self.ledger.names

    def exclude(self, text: str) -> None:
        self.ledger.exclude(item_key(text))
        self.stored[item_key(text)] = 0
        self.names.exclude(text)

    def find(self, *texts: str) -> list[Verdict]:
        """The verdicts on a batch."""
        batch, named = [], dict[bytes, NewName]()
        for text in texts:
            self.seq += 1
            key = item_key(text)
            batch.append(FoundEntry(EntryId(A, 1, self.seq), key, text))
            waits = self.ledger.doubtful.of_key(key) is not None
            if key not in self.stored and key not in named and not waits:
                named[key] = self.names.take(text)
        looked_up = {key: self.stored[key] for key in map(item_key, texts) if key in self.stored}
        judged_from_s = 0.0 if self.judged else None
        verdicts = self.ledger.decide(batch, looked_up, named, judged_from_s=judged_from_s)
        self._store(verdicts)
        return verdicts

    def settle(self, text: str, same_as: str | None) -> list[Verdict]:
        """Judge an entry that waits."""
        held = self.ledger.doubtful.of_key(item_key(text))
        assert held is not None
        likely = next(
            (each for each in held.name.doubts if self.names.text(each.number) == same_as), None
        )
        assert (likely is None) == (same_as is None)
        self.ledger.doubtful._settle(held, likely, "m")
        verdicts = [verdict for _, verdict in self.ledger.settle(Settled(held, likely, "m"))]
        self._store(verdicts)
        return verdicts

    def _store(self, verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            if isinstance(verdict, (Accepted, Merged)):
                self.stored[item_key(verdict.text)] = verdict.ordinal


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def judged() -> Book:
    return Book(judged=True)


def accepted(ordinal: int, seq: int, text: str) -> Accepted:
    return Accepted(ordinal, A, 1, seq, text)


def test_another_form_of_an_entry_is_merged_with_it_and_says_why(book: Book) -> None:
    assert book.find("St. Louis") == [accepted(1, 1, "St. Louis")]
    assert book.find("Saint Louis") == [Merged(A, 1, 2, 1, "Saint Louis", "abbreviation")]
    assert book.find("SAINT LOUIS") == [Duplicate(A, 1, 3, 1)]
    assert book.ledger.accepted_count == 1


def test_another_form_of_an_excluded_entry_is_to_be_left_out_too(book: Book) -> None:
    book.exclude("St. Louis")
    assert book.find("Saint Louis") == [Merged(A, 1, 1, 0, "Saint Louis", "abbreviation")]
    assert book.find("saint louis") == [Excluded(A, 1, 2)]
    assert book.ledger.accepted_count == 0


def test_forms_in_one_batch_are_one_entry(book: Book) -> None:
    first, second, third = book.find("St. Louis", "Saint Louis", "saint louis")
    assert first == accepted(1, 1, "St. Louis")
    assert second == Merged(A, 1, 2, 1, "Saint Louis", "abbreviation")
    assert third == Duplicate(A, 1, 3, 1)


def test_numbers_stay_apart(book: Book) -> None:
    verdicts = book.find("Apollo 11", "Apollo 12", "Apollo XI")
    assert [type(verdict) for verdict in verdicts] == [Accepted, Accepted, Merged]


def test_of_forms_that_come_together_the_one_that_reads_best_is_written(book: Book) -> None:
    assert book.find("ST. LOUIS", "Saint Louis") == [
        accepted(1, 1, "Saint Louis"),
        Merged(A, 1, 2, 1, "ST. LOUIS", "abbreviation"),
    ]
    digest = key_digest(item_key("Saint Louis")) % DIGEST_MODULUS
    assert book.ledger.accepted_digest == digest


def test_what_is_written_stays_whatever_reads_better_later(book: Book) -> None:
    book.find("MUSEE RODIN")
    assert book.find("Musée Rodin") == [Duplicate(A, 1, 2, 1)]


def test_the_known_digest_is_of_all_forms(book: Book) -> None:
    texts = "St. Louis", "Saint Louis", "Kyoto"
    book.exclude("Osaka")
    book.find(*texts)
    total = sum(key_digest(item_key(text)) for text in (*texts, "Osaka"))
    assert book.ledger.known_digest == total % DIGEST_MODULUS
    assert book.ledger.known_count == 4


def test_without_a_judge_what_is_in_doubt_is_new(book: Book) -> None:
    verdicts = book.find("Raipur", "Raypur")
    assert verdicts == [accepted(1, 1, "Raipur"), accepted(2, 2, "Raypur")]


def test_with_a_judge_what_is_in_doubt_waits(judged: Book) -> None:
    assert judged.find("Raipur", "Raypur") == [accepted(1, 1, "Raipur"), WAITS]
    assert judged.find("RAYPUR") == [WAITS]
    assert judged.ledger.accepted_count == 1


def test_all_know_what_waits(judged: Book) -> None:
    judged.find("Raipur", "Raypur", "raypur")
    assert judged.ledger.known_count == 2


def test_who_is_judged_new_is_accepted_with_the_best_form_that_came_meanwhile(
    judged: Book,
) -> None:
    judged.find("Raipur", "raypur", "Raypur")
    assert judged.settle("Raypur", None) == [accepted(2, 2, "Raypur"), Duplicate(A, 1, 3, 2)]
    assert judged.find("RAYPUR") == [Duplicate(A, 1, 4, 2)]


def test_who_is_judged_the_same_is_another_form(judged: Book) -> None:
    judged.find("Raipur", "Raypur", "RAYPUR")
    merged, duplicate = judged.settle("Raypur", "Raipur")
    assert isinstance(merged, Merged)
    assert (merged.ordinal, merged.text) == (1, "Raypur")
    assert merged.rule.endswith("judged by m")
    assert duplicate == Duplicate(A, 1, 3, 1)
    assert judged.find("raypur") == [Duplicate(A, 1, 4, 1)]
    assert judged.ledger.accepted_count == 1


def test_a_form_of_one_that_waits_waits_with_it(judged: Book) -> None:
    judged.find("Raipur")
    assert judged.find("Raypur", "Raypur (city)") == [WAITS, WAITS]
    first, second = judged.settle("Raypur", "Raipur")
    assert isinstance(first, Merged)
    assert isinstance(second, Merged)
    assert (second.ordinal, second.text, second.rule) == (1, "Raypur (city)", "gloss")


def test_a_name_that_was_settled_while_it_was_looked_at_is_one_entry(judged: Book) -> None:
    """Its key was neither stored nor waiting when names were looked at, and is accepted now."""
    judged.find("Raipur", "Raypur")
    judged.settle("Raypur", None)
    key = item_key("Raypur")
    late = FoundEntry(EntryId(A, 1, 9), key, "Raypur")
    name = judged.names.take("Raypur")
    assert judged.ledger.decide([late], {key: 2}, {key: name}) == [Duplicate(A, 1, 9, 2)]
    assert judged.names.ordinal(name.number) == 2


def test_a_restored_ledger_decides_as_the_one_before(book: Book) -> None:
    book.find("St. Louis", "Saint Louis", "Kyoto")
    names = ListedNames()
    names.restore(["St. Louis", "Kyoto"], ["Osaka"], [("Saint Louis", 1), ("Ōsaka-shi", 0)])
    assert [names.ordinal(number) for number in range(len(names))] == [1, 2, 0, 1, 0]
    taken = names.take("Saint-Louis")
    assert taken.same_as is not None
    assert names.ordinal(taken.same_as) == 1


def test_doubts_name_who_it_may_be_and_why(book: Book) -> None:
    number = book.names.take("Raipur").number
    doubts = book.names.take("Raypur").doubts
    assert doubts == (Likeness(number, "spelling alike"),)
