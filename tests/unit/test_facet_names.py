"""Which facets a planning answer names."""

from __future__ import annotations

import pytest

from mesh.llm.facet_names import NAME_CHARACTERS_MAX, NAMES_MAX, FacetNames, facet_names
from mesh.simulation.catalog import CatalogShelf
from mesh.simulation.facets import proposed_facets
from mesh.simulation.models import load_models
from mesh.simulation.writing import write_names

TOPIC = "Paris attractions"


def names_of(text: str, *, cut: bool = False) -> list[str]:
    return facet_names([text], topic=TOPIC, cut=cut)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1. Museums\n2. Parks and gardens\n", ["Museums", "Parks and gardens"]),
        ("- **Museums**: art and history\n- **Parks** – green places\n", ["Museums", "Parks"]),
        ("Sure! Here are 2 facets:\n\nMuseums\nParks\n", ["Museums", "Parks"]),
        ('["Museums", "Parks, gardens"]', ["Museums", "Parks, gardens"]),
        ('```json\n[\n  "Museums",\n  "Parks, gardens"\n]\n```', ["Museums", "Parks, gardens"]),
        ("Museums: Louvre, Orsay, Picasso, Rodin, Cluny\nParks\n", ["Museums", "Parks"]),
        ("No more facets.\n", []),
        ("", []),
    ],
    ids=["numbers", "descriptions", "chatter", "json", "fenced", "examples", "none", "nothing"],
)
def test_names_are_bare_whatever_the_form(text: str, names: list[str]) -> None:
    assert names_of(text) == names


def test_a_name_that_is_a_list_by_itself_is_one_facet() -> None:
    name = "Squares, streets, bridges, quays and islands"
    assert names_of(f"1. {name}\n2. France, Spain, Italy, Chad, Mali, Peru\n") == [
        name,
        "France, Spain, Italy, Chad, Mali, Peru",
    ]


def test_the_topic_itself_and_names_said_before_are_left_out() -> None:
    assert names_of("Museums\nThe Paris Attractions\nmuseums\nParks\n") == ["Museums", "Parks"]


def test_a_name_as_long_as_a_description_is_left_out() -> None:
    fits = "M" + "u" * (NAME_CHARACTERS_MAX - 1)
    assert names_of(f"{fits}\nT{fits}\n") == [fits]


def test_no_answer_brings_more_names_than_the_bound() -> None:
    text = "".join(f"{number}. Facet number {number}\n" for number in range(1, 200))
    assert len(names_of(text)) == NAMES_MAX


def test_the_unfinished_last_name_of_a_cut_answer_is_dropped() -> None:
    assert names_of("Museums\nChur", cut=True) == ["Museums"]
    assert names_of("Museums\nChurches") == ["Museums", "Churches"]


def test_a_name_is_there_as_soon_as_its_line_is_complete() -> None:
    reader = FacetNames(topic=TOPIC)
    assert reader.feed("1. Muse") == []
    assert reader.feed("ums\n2. Parks") == ["Museums"]
    assert reader.feed("\n") == ["Parks"]
    assert reader.finish(cut=False) == []


def test_one_endless_line_is_neither_kept_nor_a_name() -> None:
    reader = FacetNames(topic=TOPIC)
    named = [name for _ in range(200) for name in reader.feed("word, " * 100)]
    assert [*named, *reader.finish(cut=False)] == []


@pytest.mark.parametrize("model", ["atlas", "swift", "sonata", "haiku", "wild", "dim"])
@pytest.mark.parametrize("topic", ["Paris attractions", "Cities of the world"])
def test_what_simulated_models_propose_is_read_as_they_mean_it(topic: str, model: str) -> None:
    catalog = CatalogShelf().find(topic)
    assert catalog is not None
    writer = load_models()[model]
    for count in (5, 24):
        proposed = proposed_facets(writer, catalog, count, seed=3)
        text = write_names(writer, proposed).text
        short = [name for name in proposed if len(name) <= NAME_CHARACTERS_MAX]
        assert names_of(text) == short
        assert len(short) > count / 2
