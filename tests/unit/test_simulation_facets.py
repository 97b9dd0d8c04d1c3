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
