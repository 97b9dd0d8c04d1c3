"""A name in another script may be the same, and says so; within a script sounds prove nothing."""

from __future__ import annotations

import pytest

from mesh.core.names.blocking import blocking_keys
from mesh.core.names.comparing import Verdict, compare
from mesh.core.names.scripts import in_latin, in_one_script
from mesh.core.names.words import parsed
from mesh.core.normalize import clean_text
from mesh.core.resolve import Resolver


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Балаково", "Balakovo"),
        ("Нижний Тагил", "Nizhny Tagil"),
        ("Дзержинск", "Dzerzhinsk"),
        ("上海", "Shanghai"),
        ("남양주", "Namyangju"),
        ("Ηράκλειον", "Irakleion"),
    ],
)
def test_a_name_in_another_script_is_found_and_in_doubt(one: str, other: str) -> None:
    assert compare(parsed(one), parsed(other)).verdict is Verdict.UNSURE
    for first, second in ((one, other), (other, one)):
        resolver = Resolver()
        resolver.add(first, resolver.resolve(first))
        assert [doubt.number for doubt in resolver.resolve(second).doubts] == [0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("上海", "商海"),
        ("Москва", "Shanghai"),
        ("Ново 11", "Novo 12"),
        ("東京", "Beijing"),
    ],
)
def test_other_names_stay_apart(one: str, other: str) -> None:
    assert compare(parsed(one), parsed(other)).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("word", ["москва", "上海", "🗼", "ab", "مصراتة", "न", "\u0301"])
def test_every_word_has_letters_to_be_filed_under(word: str) -> None:
    assert in_latin(word)


def test_two_of_one_script_stay_as_they_are() -> None:
    assert in_one_script("上海", "商海") == ("上海", "商海")
    assert in_one_script("ab", "cd") == ("ab", "cd")


@pytest.mark.parametrize(
    ("one", "form", "another"),
    [
        pytest.param("Красная площадь", "КРАСНАЯ ПЛОЩАДЬ", "Красная Пресня", id="Cyrillic"),
        pytest.param("Ακρόπολη", "ΑΚΡΟΠΟΛΗ", "Ακροκόρινθος", id="Greek"),
        pytest.param("المتحف المصري", "«المتحف المصري»", "المتحف القبطي", id="Arabic"),
        pytest.param("הכותל המערבי", "הכותל  המערבי", "הכותל הקטן", id="Hebrew"),
        pytest.param("ताज महल", "ताज-महल", "लाल किला", id="Devanagari"),
        pytest.param("紫禁城", "「紫禁城」", "颐和园", id="Chinese"),
        pytest.param("東京タワー", "東京タワー", "東京駅", id="Japanese"),
        pytest.param("경복궁", "경복궁.", "창덕궁", id="Korean"),
        pytest.param("Tower 🗼", "tower 🏰", "Castle 🗼", id="emoji beside letters"),
        pytest.param("🗼", "🗼", "🏰", id="emoji alone"),
        pytest.param("Café שלום", "café שלום", "Café בוקר", id="mixed direction"),
        pytest.param("Musée", "Muse\u0301e", "Mustér", id="combining marks"),
        pytest.param("X", "x", "Y", id="one character"),
        pytest.param("水", "水", "火", id="one Chinese character"),
        pytest.param("long " * 100 + "end", "LONG " * 100 + "end", "short", id="very long"),
    ],
)
def test_names_in_every_script_have_keys_and_are_known_again(
    one: str, form: str, another: str
) -> None:
    texts = [clean_text(text) for text in (one, form, another)]
    name, same, other = (parsed(text) for text in texts if text is not None)
    assert name.key
    assert blocking_keys(name)
    assert compare(name, same).verdict is Verdict.SAME
    assert compare(name, other).verdict is not Verdict.SAME
    resolver = Resolver()
    for each in (name, other):
        resolver.add(each.text, resolver.resolve(each.text))
    assert resolver.resolve(same.text).number == 0
    assert resolver.group(0) != resolver.group(1)
