"""Two names: the same, perhaps, or different; with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.names.canonical import canonical_words
from mesh.core.names.comparing import (
    Verdict,
    compare,
    compare_proposed,
    compare_rest,
    compare_without_keys,
)
from mesh.core.names.rarity import Rarity
from mesh.core.names.words import parsed
from mesh.core.normalize import clean_text

SAME = [
    ("Prado", "Prado Museum"),
    ("Museo del Prado", "Prado Museum"),
    ("Gardens of Versailles", "Versailles Gardens"),
    ("University of Bologna", "Bologna University"),
    ("Tower of London", "London Tower"),
    ("Hamlet", "The Tragedy of Hamlet"),
    ("Flatiron North", "Flatiron North Building"),
    ("Musée d'Art Moderne", "Musée de l’Art Moderne"),
    ("Musée Picasso", "Picasso Museum"),
    ("Parc Monceau", "Monceau Park"),
    ("Palais Garnier", "Garnier Palace"),
    ("emperor penguin", "Emperor Penguins"),
    ("Pont Neuf", "Pont Neuf Bridge"),
    ("Louvre", "Musée du Louvre"),
    ("Orangerie", "Musée de la Orangerie"),
    ("jalapeño pepper", "Jalapeño Peppers"),
]
UNSURE = [
    ("Thames", "River Thames"),
    ("Mountain lion", "Lion"),
    ("Museum of London", "London"),
    ("History of Philosophy", "Philosophy of History"),
    ("War Horse", "Horse War"),
    ("El Salvador", "Salvador"),
    ("Man on the Moon", "Man in the Moon"),
    ("Fifth Street and Second Avenue", "Fifth Avenue and Second Street"),
    ("Alien", "Aliens"),
    ("Texas Ranger", "Texas Rangers"),
    ("Elizabeth II", "Elizabeth the Second"),
    ("Martin Luther King Jr.", "Martin Luther King"),
    ("River Thames", "Thames River"),
    ("Everest", "Mount Everest"),
    ("Chrysler", "Chrysler Building"),
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
    ("Emperor Penguin", "Emperor Penguins"),
    ("Jalapeños", "Jalapeno"),
    ("Beethoven", "Ludwig van Beethoven"),
    ("Tchaikovsky", "Pyotr Ilyich Tchaikovsky"),
    ("Hamlet", "Hamlet, Prince of Denmark"),
    ("Alien", "Alien: Covenant"),
    ("Paris", "Paris, Texas"),
    ("Parmesan", "Parmesan cheese"),
    ("Serengeti", "Serengeti National Park"),
    ("Haskell", "Haskell programming language"),
    ("Parkinson's", "Parkinson's disease"),
    ("Battle of Hastings", "Battle of Hastings, 1066"),
    ("Pythagoras' theorem", "Pythagorean theorem"),
    ("Republic of Poland", "Polish Republic"),
    ("Lake Victoria", "Victoria Lake"),
    ("Grand Hotel", "Hotel Grand"),
    ("Montmartre", "Musée de Montmartre"),
    ("Ludwig", "Museum Ludwig"),
    ("Uffizi", "Uffizi Gallery"),
    ("Parque Central", "Central Park"),
    ("Palais Royal", "Royal Palace"),
    ("Bahía Honda", "Honda Bay"),
    ("Microsoft", "Microsoft Corporation"),
    ("Die Zauberflöte", "Zauberflöte"),
    ("Antioquia", "Museo de Antioquia"),
    ("Château de Chambord", "Chambord Castle"),
    ("Palace of Versailles", "Château de Versailles"),
]
DIFFERENT = [
    ("Picasso Museum", "Rodin Museum"),
    ("London Bridge", "London Tower"),
    ("National Gallery of Denmark", "National Museum of Denmark"),
    ("Greek tragedy", "Greek comedy"),
    ("Global City", "Global Village"),
    ("D minor", "E minor"),
    ("Exports to Japan", "Exports from Japan"),
    ("Pixel 4a", "Pixel 4e"),
    ("SN 1987A", "SN 1987E"),
    ("Musée Rodin", "Musée Rodin Meudon"),
    ("Guinea", "Guinea-Bissau"),
    ("Paris", "Parma"),
    ("Merge sort", "Merge join"),
    ("Tate Modern", "Tate Britain"),
    ("Berlin", "Dublin"),
    ("Iran", "Oman"),
    ("Newton", "Newton Abbot"),
    ("Trick", "Trick or Treat"),
    ("Bridge Street", "Bridge Street Bridge"),
    ("Palais Garnier", "Garnier Museum"),
    ("Makati City", "Marikina City"),
    ("Museum of Magic", "Museum of Mankind"),
    ("Battle of Hastings, 1066", "Battle of Hastings, 1067"),
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
        rarity.add(canonical_words(parsed(f"Creature{number} holo cards")))
    one, other = parsed("Firetail"), parsed("Firetail holo cards")
    assert compare(one, other, rarity).verdict is Verdict.UNSURE
    assert compare(one, other).verdict is Verdict.DIFFERENT
    assert compare(one, parsed("Firetail rare metal"), rarity).verdict is Verdict.DIFFERENT


def test_a_word_of_a_short_list_is_not_common() -> None:
    rarity = Rarity()
    for text in ("Prado Cafe", "Prado Street", *("other",) * 9):
        rarity.add(canonical_words(parsed(text)))
    assert not rarity.is_common("prado")


def test_counts_of_words_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.core.names.rarity.WORDS_MAX", 50)
    rarity = Rarity()
    for number in range(400):
        rarity.add([f"a{number}", f"b{number // 2}", "usual"])
        assert len(rarity._counts) <= 53
    assert rarity.count("usual") == 400


def test_words_of_the_topic_tell_little() -> None:
    rarity = Rarity(topic_words=frozenset({"paris"}))
    assert compare(parsed("Catacombs"), parsed("Paris Catacombs"), rarity).verdict is Verdict.UNSURE


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("Panthéon", "Panthéon, Paris", Verdict.SAME),
        ("Eiffel Tower", "Eiffel Tower in Paris", Verdict.SAME),
        ("Disneyland", "Disneyland Paris", Verdict.UNSURE),
        ("Panthéon", "Panthéon, Rome", Verdict.UNSURE),
        ("Panthéon, Paris", "Panthéon, Rome", Verdict.DIFFERENT),
        ("Panthéon 1", "Panthéon 2, Paris", Verdict.DIFFERENT),
    ],
)
def test_the_topic_behind_a_name_says_nothing(one: str, other: str, verdict: Verdict) -> None:
    rarity = Rarity(topic_words=frozenset({"paris"}))
    assert compare(parsed(one), parsed(other), rarity).verdict is verdict
    assert compare(parsed(other), parsed(one), rarity).verdict is verdict


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


def test_the_shorter_ways_of_comparing_come_to_the_same_verdicts() -> None:
    """Every name of the pairs above against every one."""
    names = [parsed(text) for pair in (*SAME, *UNSURE, *DIFFERENT) for text in pair]
    for one in names:
        for other in names:
            expected = compare_without_keys(one, other).verdict
            assert compare_proposed(one, other).verdict is expected, (one.text, other.text)
            if expected is not Verdict.DIFFERENT:
                continue
            assert compare_rest(one, other).verdict is expected, (one.text, other.text)
