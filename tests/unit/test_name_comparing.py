"""Two names: the same, perhaps, or different; with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.names.comparing import Verdict, compare
from mesh.core.names.rarity import Rarity
from mesh.core.names.words import parsed
from mesh.core.normalize import clean_text

SAME = [
    ("Prado", "Prado Museum"),
    ("Museo del Prado", "Prado Museum"),
    ("Gardens of Versailles", "Versailles Gardens"),
    ("River Thames", "Thames River"),
    ("University of Bologna", "Bologna University"),
    ("Tower of London", "London Tower"),
    ("Hamlet", "The Tragedy of Hamlet"),
    ("Chrysler", "Chrysler Building"),
    ("Musée d'Art Moderne", "Musée de l’Art Moderne"),
]
UNSURE = [
    ("Thames", "River Thames"),
    ("Oxford", "Oxford University"),
    ("Newton's law", "Newton's rule"),
    ("Republic of Italy", "Italian Republic"),
    ("Centre Pompidou", "Centre Georges Pompidou"),
    ("Notre-Dame", "Notre-Dame de Reims"),
    ("Massachusets Institute of Technology", "Massachusetts Institute of Technology"),
    ("Tchaikovsky", "Tschaikowski"),
    ("Gorbachev", "Gorbatschow"),
    ("La Paz", "Lapaz"),
    ("Venetian blind", "blind Venetian"),
]
DIFFERENT = [
    ("Picasso Museum", "Rodin Museum"),
    ("London Bridge", "London Tower"),
    ("Musée Rodin", "Musée Rodin Meudon"),
    ("Guinea", "Guinea-Bissau"),
    ("Paris", "Parma"),
    ("Merge sort", "Merge join"),
    ("Tate Modern", "Tate Britain"),
    ("Berlin", "Dublin"),
    ("Iran", "Oman"),
    ("a", "b"),
]


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        *((*pair, Verdict.SAME) for pair in SAME),
        *((*pair, Verdict.UNSURE) for pair in UNSURE),
        *((*pair, Verdict.DIFFERENT) for pair in DIFFERENT),
    ],
)
def test_names_are_compared_either_way_round(one: str, other: str, verdict: Verdict) -> None:
    comparison = compare(parsed(one), parsed(other))
    assert (comparison.verdict, bool(comparison.reason)) == (verdict, True), comparison
    assert compare(parsed(other), parsed(one)).verdict is verdict


def test_words_that_are_common_in_the_list_tell_little() -> None:
    rarity = Rarity()
    for number in range(100):
        rarity.add([f"creature{number}", "card"])
    one, other = parsed("Firetail"), parsed("Firetail holo card")
    assert compare(one, parsed("Firetail card"), rarity).verdict is Verdict.UNSURE
    assert compare(one, parsed("Firetail card")).verdict is Verdict.DIFFERENT
    assert compare(one, other, rarity).verdict is Verdict.DIFFERENT


def test_words_of_the_topic_tell_little() -> None:
    rarity = Rarity(topic_words=frozenset({"paris"}))
    assert compare(parsed("Catacombs"), parsed("Paris Catacombs"), rarity).verdict is Verdict.UNSURE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Москва", "МОСКВА"),
        ("Αθήνα", "αθηνα"),
        ("القاهرة", "القاهرة "),
        ("תל־אביב", "תל אביב"),
        ("दिल्ली", "दिल्ली"),
        ("北京", "北京"),
        ("ﾄｳｷｮｳ", "トウキョウ"),
        ("서울", "서울"),
        ("🗼", "🗼"),
        ("e\u0301cole", "école"),
    ],
)
def test_a_name_in_any_script_is_known_again(one: str, other: str) -> None:
    cleaned = clean_text(one), clean_text(other)
    assert cleaned[0]
    assert cleaned[1]
    assert compare(parsed(cleaned[0]), parsed(cleaned[1])).verdict is Verdict.SAME


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Москва", "Минск"),
        ("Αθήνα", "Σπάρτη"),
        ("القاهرة", "الجيزة"),
        ("תל אביב", "חיפה"),
        ("दिल्ली", "मुंबई"),
        ("北京", "南京"),
        ("東京", "京都"),
        ("서울", "부산"),
        ("🗼", "🗽"),
        ("北", "南"),
    ],
)
def test_names_in_any_script_are_told_apart(one: str, other: str) -> None:
    assert compare(parsed(one), parsed(other)).verdict is not Verdict.SAME


@given(st.text(min_size=1, max_size=600), st.text(min_size=1, max_size=600))
def test_any_two_texts_compare_alike_either_way_and_each_with_itself(one: str, other: str) -> None:
    texts = [text for raw in (one, other) if (text := clean_text(raw))]
    names = [parsed(text) for text in texts]
    for first in names:
        assert compare(first, first).verdict is Verdict.SAME
        for second in names:
            assert compare(first, second).verdict is compare(second, first).verdict
