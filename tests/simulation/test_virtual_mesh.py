"""Whole runs of the benches in virtual time: who is told what shows in what is wasted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.virtual_record import Waste
from bench.virtual_runs import CITIES, PARIS, Result, Scenario, explored, run_scenario

SMALL = Scenario("star", topic=CITIES, producer_count=3, counts=(200, 800))


def wasted(result: Result, waste: Waste) -> int:
    return result.standings[800].wasted.get(waste.value, 0)


def test_the_same_scenario_ends_the_same_and_another_seed_otherwise() -> None:
    once, again = (replace(run_scenario(SMALL), processor_s=0.0) for _ in range(2))
    assert once == again
    assert once.standings != run_scenario(replace(SMALL, seed=1)).standings


def test_the_less_is_told_the_more_is_written_twice_untold() -> None:
    never, by_call, by_line = (
        run_scenario(replace(SMALL, mode=mode))
        for mode in ("independent", "mesh_by_call", "mesh_by_line")
    )
    assert 0 == wasted(by_line, Waste.UNTOLD) < wasted(by_call, Waste.UNTOLD)
    assert wasted(by_call, Waste.UNTOLD) < wasted(never, Waste.UNTOLD)


def test_a_run_ends_at_its_last_count_and_has_every_one_before() -> None:
    result = run_scenario(SMALL)
    assert result.ended_by == "target"
    assert list(result.standings) == [200, 800]
    assert result.standings[200].at_s < result.standings[800].at_s
    assert result.distinct_count >= 800


@pytest.mark.parametrize("mode", ["star", "mesh_by_line"])
def test_a_run_without_a_count_ends_when_nothing_is_left(mode: str) -> None:
    result = run_scenario(Scenario(mode, topic=PARIS, producer_count=2, counts=()))
    assert result.ended_by == "exhausted"
    (end,) = result.standings
    assert 0.5 * result.known_together_count < end <= result.known_together_count


def test_nobody_waits_for_the_end_of_a_plan_not_even_who_makes_it() -> None:
    models, _ = explored(replace(SMALL, mode="all"))
    calls = models.record.calls
    plan = next(call for call in calls if call.wanted == "facets")
    assert plan.ended_s is not None
    meanwhile = [
        call for call in calls if call.wanted == "entries" and call.started_s < plan.ended_s
    ]
    assert {call.producer for call in meanwhile} == {1, 2, 3}
    assert {call.facet is None for call in meanwhile} == {True, False}


def test_the_cheapest_model_makes_the_plan() -> None:
    planned_by = set()
    for seed in range(5):
        models, _ = explored(replace(SMALL, mode="all", seed=seed, counts=(50,)))
        planned_by.add(next(call.model for call in models.record.calls if call.wanted == "facets"))
    assert planned_by == {"swift"}, "of atlas, swift and sonata"
