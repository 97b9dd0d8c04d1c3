"""What marks of words tell of two names, against what a comparison says of them."""

from __future__ import annotations

import itertools

import pytest

from bench.made_up_names import made_up_names
from mesh.core.names.comparing import Verdict, compare
from mesh.core.names.rarity import COUNT_MIN, Rarity
from mesh.core.names.word_marks import MarkColumn, Relation, marked, word_marks
from mesh.core.names.words import parsed

NONE_COMMON: frozenset[int] = frozenset()


def _relation(new: str, earlier: str, common: frozenset[int] = NONE_COMMON) -> Relation:
    column = MarkColumn()
    column.append(word_marks(parsed(earlier)))
    return column.relation(word_marks(parsed(new)), 0, common)


@pytest.mark.parametrize(
    ("new", "earlier", "relation"),
    [
        ("Firetail", "Klubauck", Relation.STRANGERS),
        ("Firetail Klubauck", "Firetail Sorrel", Relation.SHARING),
        ("Oxford University", "University of Oxford", Relation.ARRANGED),
        ("Louvre", "Louvre Museum", Relation.ARRANGED),
        ("Newton", "Isaac Newton", Relation.ARRANGED),
        ("Newton", "Newton Abbot", Relation.DIFFERENT),
        ("Newton", "Newton of Abbot", Relation.ARRANGED),
        ("Newton", "Sir Newton", Relation.ARRANGED),
        ("Newton", "Newton (Texas)", Relation.ARRANGED),
        ("Newton", "Old Newton Abbot Road", Relation.DIFFERENT),
        ("Newton", "Professor John Isaac Newton", Relation.ARRANGED),
        ("Newton", "Ada Bob Cid Dan Newton", Relation.DIFFERENT),
        ("Newton", "Newton Satellite", Relation.ARRANGED),
        ("Newton", "Newton: A Life", Relation.ARRANGED),
        ("Italian Museum", "Italy Museum", Relation.ARRANGED),
        ("Picasso Museum", "Rodin Museum", Relation.SHARING),
        ("Newton Castle", "Newton Palace", Relation.ARRANGED),
        ("Newton Castle", "Newton Museum", Relation.SHARING),
        ("Pillar Museum", "Pilot Museum", Relation.SHARING),
        ("5th Tower Museum", "5 Tower Museum", Relation.ARRANGED),
    ],
)
def test_marks_tell_how_two_names_may_be_one(new: str, earlier: str, relation: Relation) -> None:
    assert _relation(new, earlier) is relation
    assert _relation(earlier, new) is relation


def test_a_name_inside_another_may_be_the_same_where_what_is_more_is_common() -> None:
    common = frozenset((marked("abbot"),))
    assert _relation("Newton", "Newton Abbot", common) is Relation.ARRANGED


def test_names_that_marks_call_different_are_so_when_they_are_compared() -> None:
    by_word: dict[str, list[str]] = {}
    for text in made_up_names(3_000, seed=7):
        for word in text.split():
            by_word.setdefault(word, []).append(text)
    told = 0
    for texts in by_word.values():
        for one, other in itertools.combinations(texts[:12], 2):
            if _relation(one, other) is Relation.DIFFERENT:
                told += 1
                assert compare(parsed(one), parsed(other)).verdict is Verdict.DIFFERENT
    assert told > 50


def test_words_that_were_common_once_are_remembered() -> None:
    rarity = Rarity()
    for _ in range(COUNT_MIN):
        rarity.add(["museum"])
    for number in range(1_000):
        rarity.add([f"w{number}"])
    assert rarity.once_common == {"museum"}
    assert not rarity.is_common("museum")
