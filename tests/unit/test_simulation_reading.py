"""What the simulator reads out of a prompt's text, and which names it takes for which entry."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from mesh.llm.interface import Prompt
from mesh.llm.prompts import (
    PromptBuilder,
    facets_prompt,
    more_facets_prompt,
    split_facet_prompt,
)
from mesh.simulation.catalog import Catalog, CatalogEntry, CatalogShelf
from mesh.simulation.folding import folded
from mesh.simulation.models import load_models
from mesh.simulation.prompt_reading import (
    ASKED_DEFAULT,
    Question,
    Wanted,
    catalog_meant,
    read_prompt,
)
from mesh.simulation.writing import lines_of

_ENTRIES = (
    CatalogEntry("Louvre", "Museums", ("Louvre Museum", "Musée du Louvre")),
    CatalogEntry("Musée d'Orsay", "Museums", ("Orsay Museum",)),
    CatalogEntry("Sacré-Cœur", "Churches"),
    CatalogEntry("Pont Neuf", "Bridges"),
)
_FOLDED = {
    folded(name): index
    for index, entry in enumerate(_ENTRIES)
    for name in (entry.name, *entry.aliases)
}
CATALOG = Catalog("Paris attractions", (), _ENTRIES, "", _FOLDED)


@pytest.mark.parametrize(
    ("line", "index"),
    [
        ("Louvre", 0),
        ("The Louvre", 0),
        ("LOUVRE.", 0),
        ("musee du louvre", 0),
        ("Musée d’Orsay", 1),
        ("Orsay museum", 1),
        ("Sacre Coeur", 2),
        ("pont-neuf", 3),
        ("Louvre Pyramid", None),
        ("", None),
        ("!?", None),
    ],
)
def test_a_line_means_the_entry_whose_name_or_alias_it_is(line: str, index: int | None) -> None:
    assert CATALOG.index_of(line) == index


@pytest.mark.parametrize("pair", [("C", "C++"), ("C#", "C"), ("東京", "東"), ("か", "が")])
def test_names_that_differ_by_a_sign_that_matters_stay_apart(pair: tuple[str, str]) -> None:
    assert folded(pair[0]) != folded(pair[1])


def test_the_prompts_that_producers_build_are_understood() -> None:
    builder = PromptBuilder("Paris attractions")
    prompt = builder.build(["The Louvre", "Nothing real"], ["Sacre Coeur"], ask_count=37)
    text = "\n".join([prompt.instructions, *prompt.known_chunks, prompt.known_fresh, prompt.task])
    reading = read_prompt(text, CATALOG)
    assert reading.wanted is Wanted.ENTRIES
    assert reading.asked_count == 37
    assert reading.listed == {0, 2}
    assert reading.facet is None


def test_the_facet_that_a_producer_asks_for_is_read() -> None:
    prompt = PromptBuilder("Paris attractions").build(
        ["Louvre"], [], ask_count=5, facet="Bridges and quays"
    )
    reading = read_prompt(f"{prompt.instructions}\n{prompt.known_fresh}\n{prompt.task}", CATALOG)
    assert (reading.facet, reading.asked_count) == ("Bridges and quays", 5)


def _text_of(prompt: Prompt) -> str:
    parts = (prompt.instructions, *prompt.known_chunks, prompt.known_fresh, prompt.task)
    return "\n\n".join(part for part in parts if part)


def test_a_request_for_facets_is_read() -> None:
    reading = read_prompt(_text_of(facets_prompt("Paris attractions", 9)), CATALOG)
    assert (reading.wanted, reading.asked_count) == (Wanted.FACETS, 9)
    assert (reading.facet, reading.known_facets) == (None, ())


def test_a_request_to_split_a_facet_is_read() -> None:
    prompt = split_facet_prompt("Paris attractions", "Bridges and quays", 5)
    reading = read_prompt(_text_of(prompt), CATALOG)
    assert (reading.wanted, reading.asked_count) == (Wanted.FACETS, 5)
    assert (reading.facet, reading.known_facets) == ("Bridges and quays", ())


@pytest.mark.parametrize("count", [0, 2, 190])
def test_a_request_for_further_facets_is_read(count: int) -> None:
    known = [f"Facet number {number} of a long list" for number in range(count)]
    reading = read_prompt(_text_of(more_facets_prompt("Paris attractions", 7, known)), CATALOG)
    assert (reading.wanted, reading.asked_count) == (Wanted.FACETS, 7)
    assert (reading.facet, list(reading.known_facets)) == (None, known)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Write up to 1,200 entries.", 1200),
        ("List things.\n\nPlease give me 12 of the 30 best.", 12),
        ("There are 99 rules.\n\nGo on.", ASKED_DEFAULT),
        ("Write up to 99999999999999 entries.", 5000),
        ("Write up to 0 entries.", 1),
    ],
)
def test_how_many_are_asked_for_is_read_from_whatever_wording(text: str, asked: int) -> None:
    assert read_prompt(text, CATALOG).asked_count == asked


def test_the_words_of_a_listed_entry_are_no_task() -> None:
    listed = "\n".join(["Known entries:", "Write up to 3 further entries", "Facet: x", *"abcdef"])
    reading = read_prompt(f"{listed}\n\nWrite up to 40 further entries.", CATALOG)
    assert (reading.asked_count, reading.facet) == (40, None)


def test_a_judgement_is_read_with_its_candidates() -> None:
    text = "Which is the same?\nEntry: Louvre\n1. Orsay\n2) Musée du Louvre\nEntry: x\n1. y"
    reading = read_prompt(text, CATALOG)
    assert reading.wanted is Wanted.JUDGEMENT
    assert reading.questions == (
        Question("Louvre", ((1, "Orsay"), (2, "Musée du Louvre"))),
        Question("x", ((1, "y"),)),
    )


@pytest.mark.parametrize("topic", ["Paris attractions", "Cities of the world"])
def test_every_spelling_that_a_model_writes_is_understood_when_it_is_listed(topic: str) -> None:
    catalog = CatalogShelf().find(topic)
    assert catalog is not None
    varied = replace(
        load_models()["atlas"],
        alias_rate=0.5,
        case_rate=0.5,
        accent_rate=0.5,
        article_rate=0.5,
        off_topic_rate=0.0,
    )
    lines = lines_of(
        varied,
        catalog,
        range(len(catalog.entries)),
        asked_count=10_000,
        other=None,
        source=random.Random(1),
    )
    assert [line for line in lines if catalog.index_of(line.text) != line.index] == []


def test_a_prompt_about_an_unknown_topic_means_no_catalog() -> None:
    shelf = CatalogShelf()
    assert catalog_meant("Topic: Moons of Saturn\n\nWrite up to 5", shelf) is None
    assert catalog_meant("Hello", shelf) is None


@pytest.mark.parametrize(
    "text",
    [
        "Topic: Paris attractions",
        "Topic:  the PARIS attractions! ",
        "Topic: Things to see in Paris",
        "Please list some Paris attractions for me.",
    ],
)
def test_a_topic_is_found_in_other_words_too(text: str) -> None:
    catalog = catalog_meant(text, CatalogShelf())
    assert catalog is not None
    assert catalog.topic == "Paris attractions"
