"""Which entries a simulated model writes: the draw that the models file defines."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from mesh.simulation.catalog import Catalog, CatalogEntry
from mesh.simulation.drawing import Draw, draw, knowledge_of
from mesh.simulation.models import SimulatedModel, load_models

MODELS = load_models()
CATALOG = Catalog("Things", (), tuple(CatalogEntry(f"Thing {n}") for n in range(1000)))
EVERYTHING = replace(MODELS["atlas"], knows=1.0)


def drawn(
    model: SimulatedModel,
    *,
    asked: int = 40,
    listed: frozenset[int] = frozenset(),
    inside: frozenset[int] | None = None,
    seed: int = 1,
) -> Draw:
    knowledge = knowledge_of(model, CATALOG, seed=7)
    source = random.Random(seed)
    return draw(model, knowledge, asked_count=asked, listed=listed, inside=inside, source=source)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_no_entry_is_written_twice_in_one_answer(model: SimulatedModel) -> None:
    for seed in range(20):
        indices = drawn(model, asked=150, listed=frozenset(range(200)), seed=seed).indices
        assert len(set(indices)) == len(indices) == 150


def test_the_same_seed_draws_the_same_and_another_seed_something_else() -> None:
    assert drawn(EVERYTHING, seed=3) == drawn(EVERYTHING, seed=3)
    assert drawn(EVERYTHING, seed=3) != drawn(EVERYTHING, seed=4)


def test_models_know_their_own_part_of_a_catalog_the_same_at_every_start() -> None:
    atlas, swift = (knowledge_of(MODELS[name], CATALOG, seed=7) for name in ("atlas", "swift"))
    assert (len(atlas.indices), len(swift.indices)) == (850, 600)
    assert set(swift.indices) - set(atlas.indices)
    assert knowledge_of(MODELS["atlas"], CATALOG, seed=7) == atlas
    assert knowledge_of(MODELS["atlas"], CATALOG, seed=8).indices != atlas.indices


def test_popular_entries_come_first_to_mind() -> None:
    popular = [
        sum(index < 500 for index in drawn(EVERYTHING, seed=seed).indices) for seed in range(50)
    ]
    assert sum(popular) / (50 * 40) > 0.75


@pytest.mark.parametrize("name", ["atlas", "haiku", "dim"])
def test_listed_entries_are_avoided_about_as_often_as_the_figures_say(name: str) -> None:
    """With equal weights and half of all listed, the share of repeats is (1-s) / (1 + 1-s)."""
    model = replace(MODELS[name], knows=1.0, taste=0.0, zipf=0.0, suppress_drop=0.0)
    listed = frozenset(range(0, 1000, 2))
    repeats = [
        len(listed.intersection(drawn(model, asked=20, listed=listed, seed=seed).indices))
        for seed in range(400)
    ]
    expected = (1 - model.suppress) / (2 - model.suppress)
    assert sum(repeats) / (400 * 20) == pytest.approx(expected, rel=0.25)


def test_avoidance_falls_with_the_length_of_the_list() -> None:
    atlas = MODELS["atlas"]
    assert atlas.suppression(10) == atlas.suppression(100) == 0.985
    assert atlas.suppression(200) == pytest.approx(0.955)
    assert atlas.suppression(1600) == pytest.approx(0.865)
    assert atlas.suppression(10**9) == 0.70


def test_a_model_that_always_avoids_never_repeats() -> None:
    model = replace(EVERYTHING, suppress=1.0, suppress_drop=0.0)
    listed = frozenset(range(900))
    assert not listed.intersection(drawn(model, asked=90, listed=listed).indices)


@pytest.mark.parametrize("name", ["atlas", "swift", "dim"])
@pytest.mark.parametrize("facet_size", [50, 500])
def test_a_model_stays_inside_a_facet_as_often_as_it_obeys(name: str, facet_size: int) -> None:
    """However large the facet, and also when most of it is listed."""
    model = replace(MODELS[name], knows=1.0)
    facet = frozenset(range(0, 1000, 1000 // facet_size))
    listed = frozenset(sorted(facet)[: facet_size // 2])
    draws = [
        drawn(model, asked=20, listed=listed, inside=facet, seed=seed).indices for seed in range(60)
    ]
    inside_count = sum(len(facet.intersection(indices)) for indices in draws)
    assert inside_count / sum(map(len, draws)) == pytest.approx(model.obey, abs=0.05)


def test_a_model_that_always_obeys_never_strays() -> None:
    facet = frozenset(range(0, 1000, 50))
    answer = drawn(replace(EVERYTHING, obey=1.0), asked=40, inside=facet)
    assert set(answer.indices) == facet
    assert answer.dry


def test_an_answer_ends_when_the_facet_is_dry_strays_aside() -> None:
    facet = frozenset(range(10))
    answer = drawn(replace(EVERYTHING, obey=0.6), asked=40, inside=facet)
    assert facet < set(answer.indices)
    assert answer.indices[-1] in facet
    assert answer.dry
    assert len(answer.indices) < 40


def test_strays_take_the_place_of_entries_inside() -> None:
    facet = frozenset(range(0, 1000, 2))
    answer = drawn(replace(EVERYTHING, obey=0.6), asked=40, inside=facet)
    assert len(answer.indices) == 40
    assert 5 < len(set(answer.indices) - facet) < 30
    assert not answer.dry


def test_a_model_that_never_obeys_ends_all_the_same() -> None:
    answer = drawn(replace(EVERYTHING, obey=0.0), asked=40, inside=frozenset({1, 2}))
    assert len(answer.indices) == 40
    assert not answer.dry


def test_a_model_that_has_nothing_new_writes_nothing() -> None:
    assert drawn(EVERYTHING, listed=frozenset(range(1000))) == Draw((), dry=True)
    facet = frozenset(range(5))
    assert drawn(EVERYTHING, inside=facet, listed=facet) == Draw((), dry=True)


def test_a_model_is_not_dry_as_long_as_something_is_left() -> None:
    answer = drawn(EVERYTHING, asked=40, listed=frozenset(range(500)))
    assert len(answer.indices) == 40
    assert not answer.dry


def test_models_that_share_their_knowledge_know_little_that_others_do_not() -> None:
    def known(name: str, share: float) -> set[int]:
        model = replace(MODELS[name], shared_knowledge=share)
        return set(knowledge_of(model, CATALOG, seed=7).indices)

    alone, common = (len(known("dim", share) - known("atlas", share)) for share in (0.0, 1.0))
    assert (alone > 20, common) == (True, 0)
    assert len(known("dim", 1.0)) == 250  # It knows as many as before.
    assert len(known("swift", 0.5) & known("atlas", 0.5)) > len(
        known("swift", 0.0) & known("atlas", 0.0)
    )


def test_lists_are_heeded_up_to_the_onset_of_repeats() -> None:
    model = replace(MODELS["atlas"], suppress_onset=1_000)
    assert model.suppression(1_000) == model.suppress
    assert model.suppression(2_000) == pytest.approx(model.suppress - model.suppress_drop)
    assert MODELS["atlas"].suppression(200) == pytest.approx(model.suppression(2_000))
