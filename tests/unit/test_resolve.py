"""A growing list knows its names again, in whatever order they come."""

from __future__ import annotations

import random

import pytest

from mesh.core.resolve import Resolver

NAMES = [
    "Louvre", "The Louvre", "Louvre Museum", "Musée du Louvre", "Orsay Museum", "Musée d'Orsay",
    "Eiffel Tower", "Eiffel Tower (Tour Eiffel)", "eiffel towers", "Apollo 11", "Apollo 12",
    "Ludwig van Beethoven", "Beethoven, Ludwig van", "Beethoven", "Oxford", "Oxford University",
    "University of Oxford", "Rocky", "Rocky II", "Rocky 2", "Saint Paul", "St. Paul", "Saint Peter",
    "Zürich", "Zuerich", "Zurich", "North Korea", "South Korea", "Korea", "Paris Catacombs",
    "Catacombs of Paris", "Mercury (planet)", "Mercury (element)", "1. Tower Bridge",
    "Tower Bridge", "Musée Rodin", "Musée Rodin Meudon",
]  # fmt: skip


def resolved(names: list[str]) -> Resolver:
    resolver = Resolver()
    for text in names:
        resolver.add(text, resolver.resolve(text))
    return resolver


def groups(resolver: Resolver) -> set[frozenset[str]]:
    return {
        frozenset(resolver.text(member) for member in resolver.members(number))
        for number in range(len(resolver))
    }


def test_names_of_one_entry_are_one_group() -> None:
    found = groups(resolved(NAMES))
    for group in (
        {"Louvre", "The Louvre", "Louvre Museum", "Musée du Louvre"},
        {"Eiffel Tower", "Eiffel Tower (Tour Eiffel)", "eiffel towers"},
        {"Ludwig van Beethoven", "Beethoven, Ludwig van"},
        {"Oxford University", "University of Oxford"},
        {"Rocky II", "Rocky 2"},
        {"Zürich", "Zuerich", "Zurich"},
        {"Apollo 11"},
        {"Rocky"},
        {"Oxford"},
    ):
        assert frozenset(group) in found


def test_the_order_of_arrival_does_not_matter() -> None:
    expected = groups(resolved(NAMES))
    dice = random.Random(7)
    for _ in range(100):
        names = dice.sample(NAMES, len(NAMES))
        assert groups(resolved(names)) == expected


def test_where_two_differ_a_third_that_is_like_both_goes_with_the_first() -> None:
    """The one case in which order matters."""
    planet, element, plain = "Mercury (planet)", "Mercury (element)", "Mercury"
    assert frozenset({planet, plain}) in groups(resolved([planet, element, plain]))
    assert frozenset({element, plain}) in groups(resolved([element, planet, plain]))
    resolver = resolved([planet, element])
    resolution = resolver.resolve(plain)
    assert resolution.number == 0
    assert [doubt.number for doubt in resolution.doubts] == [1]
    assert "differs" in resolution.doubts[0].reason


def test_a_chain_does_not_draw_in_what_differs_from_its_beginning() -> None:
    resolver = resolved(["Mercury (planet)", "Mercury"])
    assert len(resolver.members(0)) == 2
    resolution = resolver.resolve("Mercury (element)")
    assert resolution.number is None
    assert "differs" in resolution.doubts[0].reason


def test_a_name_that_is_the_same_as_members_of_two_groups_makes_them_one() -> None:
    resolver = resolved(["Zurich", "Zuerich"])
    assert len(groups(resolver)) == 2, "without the umlaut nothing says that these are one"
    resolution = resolver.resolve("Zürich")
    assert (resolution.number, resolution.bridges) == (0, (1,))
    resolver.add("Zürich", resolution)
    assert list(resolver.members(1)) == [0, 1, 2]
    assert {resolver.group(number) for number in range(3)} == {0}


@pytest.mark.parametrize(
    ("earlier", "new"),
    [("Mercury (planet)", "Mercury planet"), ("Rocky V", "rocky v"), ("L'Oréal", "LOreal")],
)
def test_what_has_the_same_key_is_the_same(earlier: str, new: str) -> None:
    assert resolved([earlier]).resolve(new).number == 0


def test_the_same_list_again_is_all_known() -> None:
    resolver = resolved(NAMES)
    before = groups(resolver)
    for text in NAMES:
        resolution = resolver.resolve(text)
        assert resolution.number is not None
        assert text in {resolver.text(member) for member in resolver.members(resolution.number)}
    assert groups(resolver) == before


@pytest.mark.parametrize(
    ("earlier", "new"),
    [("Thames", "River Thames"), ("Tchaikovsky", "Tschaikowski"), ("Oxford", "Oxford College")],
)
def test_what_is_doubtful_is_new_and_told(earlier: str, new: str) -> None:
    resolution = resolved([earlier, "Something else"]).resolve(new)
    assert resolution.number is None
    assert [doubt.number for doubt in resolution.doubts] == [0]
    assert resolution.doubts[0].reason
