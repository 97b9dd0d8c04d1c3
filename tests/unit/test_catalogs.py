"""The catalogs that ship with the simulator keep the format and hold nothing twice.

Read here by the format's own words, not by the simulator's loader, which mends what it can; what
counts as equal here is stricter than its rule and than the mesh's.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import pytest

NAME_CHARACTERS_MAX = 100
HEAD_FIELDS = ("topic", "also", "source")
CATALOGS = {
    "chemical_elements.tsv": "Chemical elements",
    "paris_attractions.tsv": "Paris attractions",
    "world_cities.tsv": "Cities of the world",
}


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    facet: str
    aliases: tuple[str, ...]

    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


def text_of(catalog: str) -> str:
    folder = resources.files("mesh.simulation").joinpath("catalogs")
    return folder.joinpath(catalog).read_bytes().decode("utf-8")


def head_of(catalog: str) -> dict[str, str]:
    lines = (line for line in text_of(catalog).split("\n") if line.startswith("# "))
    return {name: value for name, _, value in (line[2:].partition(": ") for line in lines)}


def entry_lines(catalog: str) -> Iterator[str]:
    lines = text_of(catalog).removesuffix("\n").split("\n")
    return (line for line in lines if not line.startswith("#"))


def entries_of(catalog: str) -> list[Entry]:
    rows = (line.split("\t") for line in entry_lines(catalog))
    return [
        Entry(name, facet, tuple(aliases.split("|")) if aliases else ())
        for name, facet, aliases in rows
    ]


def fold(name: str) -> str:
    """Letters and digits alone, without case, accents and a leading article."""
    without_article = re.sub(r"^(?:the|an?|la|les?)\s+(?=\S)", "", name.casefold())
    spelled_out = without_article.replace("œ", "oe").replace("æ", "ae")
    decomposed = unicodedata.normalize("NFKD", spelled_out)
    return "".join(c for c in decomposed if unicodedata.category(c)[0] in "LN")


def repeated(names: Iterator[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def test_the_package_ships_exactly_the_catalogs_tested_here() -> None:
    folder = resources.files("mesh.simulation").joinpath("catalogs")
    assert {file.name for file in folder.iterdir() if file.name.endswith(".tsv")} == set(CATALOGS)


@pytest.mark.parametrize(("catalog", "topic"), CATALOGS.items())
def test_the_head_names_topic_other_wordings_and_source(catalog: str, topic: str) -> None:
    head_lines = text_of(catalog).split("\n")[: len(HEAD_FIELDS)]
    assert [line.partition(":")[0] for line in head_lines] == [
        f"# {field}" for field in HEAD_FIELDS
    ]
    head = head_of(catalog)
    assert head["topic"] == topic
    assert head["source"]
    wordings = [topic, *(wording.strip() for wording in head["also"].split(";"))]
    assert len(wordings) >= 3
    assert repeated(fold(wording) for wording in wordings) == []


def test_no_wording_names_two_topics() -> None:
    wordings = [
        wording
        for catalog, topic in CATALOGS.items()
        for wording in (topic, *head_of(catalog)["also"].split(";"))
    ]
    assert repeated(fold(wording) for wording in wordings) == []


def test_the_cities_credit_geonames_and_its_licence() -> None:
    source = head_of("world_cities.tsv")["source"]
    assert "GeoNames" in source
    assert "CC BY 4.0" in source


@pytest.mark.parametrize("catalog", CATALOGS)
def test_every_line_has_a_name_a_facet_and_aliases_between_tabs(catalog: str) -> None:
    assert [line for line in entry_lines(catalog) if line.count("\t") != 2] == []


@pytest.mark.parametrize("catalog", CATALOGS)
def test_fields_are_composed_text_without_stray_spaces_or_control_characters(catalog: str) -> None:
    for entry in entries_of(catalog):
        for text in (*entry.names(), entry.facet):
            assert text == unicodedata.normalize("NFC", " ".join(text.split())), entry
            assert all(unicodedata.category(c)[0] != "C" for c in text), entry


@pytest.mark.parametrize("catalog", CATALOGS)
def test_names_and_aliases_are_short_and_hold_a_letter_or_digit(catalog: str) -> None:
    for entry in entries_of(catalog):
        for text in entry.names():
            assert fold(text), entry
            assert len(text) <= NAME_CHARACTERS_MAX, entry


@pytest.mark.parametrize(
    ("catalog", "least", "most"),
    [
        ("paris_attractions.tsv", 450, 2_000),
        ("world_cities.tsv", 5_000, 10_000),
        ("chemical_elements.tsv", 118, 118),
    ],
)
def test_catalogs_are_of_the_size_that_runs_are_planned_for(
    catalog: str, least: int, most: int
) -> None:
    assert least <= len(entries_of(catalog)) <= most


@pytest.mark.parametrize("catalog", CATALOGS)
def test_no_two_entries_share_a_name_or_alias(catalog: str) -> None:
    """Neither entry with entry, nor alias with alias, nor one's alias with another's name."""
    folded = (text for entry in entries_of(catalog) for text in set(map(fold, entry.names())))
    assert repeated(folded) == []


@pytest.mark.parametrize("catalog", CATALOGS)
def test_an_alias_is_no_mere_spelling_of_what_its_entry_lists_already(catalog: str) -> None:
    """Case, accents and punctuation: the simulator varies those by itself."""
    for entry in entries_of(catalog):
        letters = ("".join(filter(str.isalnum, name.casefold())) for name in entry.names())
        plain = (unicodedata.normalize("NFKD", name) for name in letters)
        assert repeated("".join(filter(str.isalnum, name)) for name in plain) == [], entry


@pytest.mark.parametrize(
    ("catalog", "fewest", "most"),
    [("paris_attractions.tsv", 10, 16), ("world_cities.tsv", 100, 250)],
)
def test_every_entry_has_one_of_a_set_number_of_facets(
    catalog: str, fewest: int, most: int
) -> None:
    sizes = Counter(entry.facet for entry in entries_of(catalog))
    assert "" not in sizes
    assert fewest <= len(sizes) <= most
    assert repeated(fold(facet) for facet in sizes) == []


def test_each_facet_of_paris_holds_enough_to_be_worth_asking_for() -> None:
    sizes = Counter(entry.facet for entry in entries_of("paris_attractions.tsv"))
    assert min(sizes.values()) >= 10


def test_elements_have_no_facets() -> None:
    assert {entry.facet for entry in entries_of("chemical_elements.tsv")} == {""}


def test_about_half_of_the_attractions_are_known_by_another_name_too() -> None:
    entries = entries_of("paris_attractions.tsv")
    share = sum(bool(entry.aliases) for entry in entries) / len(entries)
    assert 0.4 <= share <= 0.65


def test_the_best_known_entries_come_first() -> None:
    assert entries_of("paris_attractions.tsv")[0].name == "Eiffel Tower"
    first_cities = [entry.name for entry in entries_of("world_cities.tsv")[:100]]
    assert {"Tokyo", "Istanbul", "São Paulo", "Lagos"} <= set(first_cities)


def test_elements_that_two_spellings_name_have_both_in_one_entry() -> None:
    aliases = {entry.name: entry.aliases for entry in entries_of("chemical_elements.tsv")}
    assert aliases["Aluminium"] == ("Aluminum",)
    assert aliases["Sulfur"] == ("Sulphur",)
    assert aliases["Caesium"] == ("Cesium",)
