"""A name in another script may be the same, and says so; within a script sounds prove nothing."""

from __future__ import annotations

import pytest

from mesh.core.names.comparing import Verdict, compare
from mesh.core.names.scripts import in_latin, in_one_script
from mesh.core.names.words import parsed
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
