"""What a simulated judge knows: its catalog, and names of alias files beside it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from importlib import resources

import pytest

from mesh.simulation.catalog import Catalog, CatalogShelf
from mesh.simulation.folding import folded
from mesh.simulation.judging import judgements
from mesh.simulation.known_names import known_as_one
from mesh.simulation.models import load_models
from mesh.simulation.prompt_reading import Question


def catalog() -> Catalog:
    found = CatalogShelf().find("Cities of the world")
    assert found is not None
    return found


def answered(name: str, *candidates: str) -> str:
    always_right = replace(load_models()["atlas"], judge_accuracy=1.0)
    question = Question(name, tuple(enumerate(candidates, 1)))
    (answer,) = judgements(always_right, catalog(), [question], random.Random(0))
    return answer


@pytest.mark.parametrize(
    ("name", "candidates", "answer"),
    [
        ("Hambourg", ("Hambantota", "Hamburg"), "2"),
        ("Peking", ("Beijing", "Nanjing"), "1"),
        ("Lewis Carroll", ("Lewis Hamilton", "Charles Dodgson"), "2"),
        ("Charles Dodgson", ("Lewis Carroll",), "1"),
        ("Hamburg", ("Homburg",), "none"),
        ("A name nobody has", ("Another",), "none"),
    ],
)
def test_a_judge_knows_names_that_the_catalog_lacks(
    name: str, candidates: tuple[str, ...], answer: str
) -> None:
    assert answered(name, *candidates) == answer


def test_a_name_of_two_things_is_each_of_them_but_they_are_not_one() -> None:
    assert known_as_one("Great War", "World War I")
    assert not known_as_one("World War I", "World War II")
    assert not known_as_one("nothing known", "nothing known either")


@pytest.mark.parametrize("name", ["general.txt", "world_cities.txt"])
def test_alias_files_say_where_they_are_from_and_no_name_twice_in_a_line(name: str) -> None:
    text = resources.files("mesh.simulation").joinpath("aliases", name).read_text("utf-8")
    head, *lines = text.splitlines()
    assert head.startswith("# ")
    for line in lines:
        names = line.split("|")
        assert len(names) > 1
        assert all(each == each.strip() and each for each in names)
        twice = [each for each, count in Counter(map(folded, names)).items() if count > 1]
        assert not twice, line
