"""How simulated models split a topic, and what other models make of the names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.simulation.catalog import Catalog, CatalogEntry
from mesh.simulation.facets import entries_of_facet, proposed_facets
from mesh.simulation.models import SimulatedModel, load_models

NAMES = ("Museums", "Parks and gardens", "Bridges", "Churches", "Guinea", "Papua New Guinea")
CATALOG = Catalog(
    "Things",
    (),
    tuple(CatalogEntry(f"Thing {n}", NAMES[n % len(NAMES)]) for n in range(1200)),
)
FACETLESS = Catalog("Elements", (), tuple(CatalogEntry(f"{c}nium") for c in "ABCDEFGHIJKLMN"))
ATLAS, SWIFT = (load_models()[name] for name in ("atlas", "swift"))


def of(*facets: str) -> set[int]:
    wanted = {NAMES.index(facet) for facet in facets}
    return {n for n in range(1200) if n % len(NAMES) in wanted}


def test_models_name_facets_differently_and_each_the_same_every_time() -> None:
    atlas = proposed_facets(ATLAS, CATALOG, 4, seed=1)
    assert atlas == proposed_facets(ATLAS, CATALOG, 4, seed=1)
    assert set(atlas) != set(proposed_facets(SWIFT, CATALOG, 4, seed=1))
    assert len(atlas) == 4


@pytest.mark.parametrize("count", [1, 3, 6, 9, 12])
@pytest.mark.parametrize("model", [ATLAS, SWIFT], ids=lambda model: model.name)
def test_facets_cover_most_of_the_topic_and_miss_some(model: SimulatedModel, count: int) -> None:
    facets = proposed_facets(replace(model, facet_overlap=0.0), CATALOG, count, seed=1)
    covered = set().union(*(entries_of_facet(f, CATALOG, 0.15, seed=1) for f in facets[:6]))
    assert 0.78 < len(covered) / 1200 < 0.92


def test_some_facets_overlap_when_the_model_is_so() -> None:
    def covered_sum(overlap: float) -> int:
        model = replace(ATLAS, facet_overlap=overlap)
        facets = proposed_facets(model, CATALOG, 3, seed=1)
        return sum(len(entries_of_facet(facet, CATALOG, 0.0, seed=1)) for facet in facets)

    assert covered_sum(0.0) == 1200
    assert covered_sum(1.0) > 1200


def test_a_facet_in_the_catalogs_own_words_holds_all_its_entries() -> None:
    assert entries_of_facet("parks & gardens", CATALOG, 0.15, seed=1) < of("Parks and gardens")
    assert entries_of_facet("Parks and Gardens", CATALOG, 0.15, seed=1) == of("Parks and gardens")


def test_a_name_inside_another_name_does_not_count() -> None:
    assert entries_of_facet("Papua New Guinea", CATALOG, 0.0, seed=1) == of("Papua New Guinea")
    both = entries_of_facet("Famous Guinea, Papua New Guinea", CATALOG, 0.0, seed=1)
    assert both == of("Guinea", "Papua New Guinea")


def test_a_facet_made_up_by_a_person_means_those_that_share_a_word() -> None:
    assert entries_of_facet("The best museum to visit", CATALOG, 0.0, seed=1) == of("Museums")
    unknown = entries_of_facet("Romantic corners", CATALOG, 0.0, seed=1)
    assert 90 < len(unknown) < 210
    assert unknown == entries_of_facet("romantic corners", CATALOG, 0.0, seed=1)


def test_a_catalog_without_facets_is_split_by_letters() -> None:
    facets = proposed_facets(ATLAS, FACETLESS, 3, seed=1)
    parts = [entries_of_facet(facet, FACETLESS, 0.0, seed=1) for facet in facets]
    assert len(parts) == 3
    assert sorted(index for part in parts for index in part) == list(range(14))


def test_where_more_facets_are_asked_for_than_there_are_some_are_split_by_letters() -> None:
    facets = proposed_facets(replace(ATLAS, facet_overlap=0.0), CATALOG, 9, seed=1)
    assert len(facets) == 9
    assert sum("from A to L" in facet for facet in facets) == 3


@pytest.mark.parametrize("model", [ATLAS, SWIFT], ids=lambda model: model.name)
def test_a_facet_of_several_is_split_into_them(model: SimulatedModel) -> None:
    exact = replace(model, facet_overlap=0.0)
    whole = "Museums, Bridges and Churches worth knowing"
    parts = proposed_facets(exact, CATALOG, 3, seed=1, within=whole)
    held = [entries_of_facet(part, CATALOG, 0.0, seed=1) for part in parts]
    assert sorted(map(sorted, held)) == sorted(
        map(sorted, (of("Museums"), of("Bridges"), of("Churches")))
    )
    assert parts == proposed_facets(exact, CATALOG, 3, seed=1, within=whole)


def test_models_split_a_facet_differently() -> None:
    whole = "Museums, Bridges, Churches and Guinea"
    assert set(proposed_facets(ATLAS, CATALOG, 2, seed=1, within=whole)) != set(
        proposed_facets(SWIFT, CATALOG, 2, seed=1, within=whole)
    )


CITIES = Catalog(
    "Cities",
    (),
    tuple(
        CatalogEntry(f"{letter}{number}", ("France", "Spain")[number % 2])
        for letter in "ABCDEFGHI"
        for number in range(12)
    ),
)


@pytest.mark.parametrize("facet", ["France", "All France", "Cities by the sea"])
def test_a_facet_of_one_kind_is_split_by_letters_and_so_are_its_parts(facet: str) -> None:
    exact = replace(ATLAS, facet_overlap=0.0)
    whole = entries_of_facet(facet, CITIES, 0.0, seed=1)
    parts = proposed_facets(exact, CITIES, 4, seed=1, within=facet)
    held = [entries_of_facet(part, CITIES, 0.0, seed=1) for part in parts]
    assert len(parts) == 4
    assert sorted(index for part in held for index in part) == sorted(whole)
    below = proposed_facets(exact, CITIES, 2, seed=1, within=parts[0])
    held_below = [entries_of_facet(part, CITIES, 0.0, seed=1) for part in below]
    assert len(below) == 2
    assert sorted(index for part in held_below for index in part) == sorted(held[0])


def test_some_parts_by_letters_overlap_when_the_model_is_so() -> None:
    def part_sum(overlap: float) -> int:
        model = replace(ATLAS, facet_overlap=overlap)
        parts = proposed_facets(model, CITIES, 4, seed=1, within="France")
        return sum(len(entries_of_facet(part, CITIES, 0.0, seed=1)) for part in parts)

    assert part_sum(0.0) < part_sum(1.0)


def test_what_cannot_be_split_further_is_not() -> None:
    assert proposed_facets(ATLAS, CITIES, 4, seed=1, within="France from B to B") == ()


def test_a_part_of_a_facet_misses_entries_as_any_facet_does() -> None:
    parts = proposed_facets(ATLAS, CATALOG, 3, seed=1, within="Museums and Bridges")
    held = set().union(*(entries_of_facet(part, CATALOG, 0.15, seed=1) for part in parts))
    assert 0.75 < len(held) / len(of("Museums", "Bridges")) < 0.95


def test_further_facets_name_what_no_known_facet_names() -> None:
    known = ["Famous Museums and Bridges", "Churches worth knowing"]
    further = proposed_facets(replace(SWIFT, facet_overlap=0.0), CATALOG, 9, seed=1, beside=known)
    held = set().union(*(entries_of_facet(name, CATALOG, 0.0, seed=1) for name in further))
    assert held == of("Parks and gardens", "Guinea", "Papua New Guinea")


def test_where_known_facets_name_everything_there_are_no_further_ones() -> None:
    assert proposed_facets(ATLAS, CATALOG, 5, seed=1, beside=NAMES) == ()
