"""The plan that follows from logs: which facets there are, what is in them, who looks where."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.core import entries as log
from mesh.core.facet_calls import RATE_CALLS_MIN
from mesh.core.facet_members import BESIDE_MAX
from mesh.core.facet_tree import FACETS_MAX, PROPOSALS_MAX
from mesh.core.facets import FacetPlan, FacetView, facet_id
from mesh.core.items import LogId
from mesh.core.normalize import item_key
from tests.unit.planned_run import COLLECTOR, A, B, C, PlannedRun, names_of


def view(plan: FacetPlan, name: str) -> FacetView:
    return next(each for each in plan.facets() if each.name == name)


def test_spellings_of_one_name_are_one_facet_and_no_facet_is_the_open_one() -> None:
    assert facet_id("Parks and Gardens") == facet_id("the parks & gardens")
    assert facet_id("Parks") != facet_id("Gardens")
    assert all(0 < facet_id(name) < 2**32 for name in ("", "  ", "!", "a" * 500))


def test_the_plan_names_what_a_planning_call_proposed_in_its_order() -> None:
    run = PlannedRun()
    run.planning(A, ["Museums", "Parks", "museums"])
    plan = run.plan()
    assert names_of(plan) == ["Museums", "Parks"]
    assert plan.facets()[0] == FacetView(0, "", 0, "open", 0, 0, (), None)


def test_of_planning_calls_made_at_once_the_earliest_makes_the_plan() -> None:
    run = PlannedRun()
    late = run.begin(B, at_ms=20, purpose="facets")
    early = run.begin(A, at_ms=10, purpose="facets")
    run.propose(B, late, ["Bridges"])
    run.end(B, late)
    assert names_of(run.plan()) == []  # The earlier call may still bring its own.
    run.propose(A, early, ["Museums"])
    run.end(A, early)
    assert names_of(run.plan()) == ["Museums"]


def test_calls_started_in_the_same_millisecond_are_told_apart_by_their_origin() -> None:
    run = PlannedRun()
    for origin, name in ((B, "Bridges"), (A, "Museums")):
        run.planning(origin, [name], at_ms=10)
    assert names_of(run.plan()) == ["Museums"]


def test_a_planning_call_that_brought_nothing_leaves_the_plan_to_the_next() -> None:
    run = PlannedRun()
    run.planning(A, [], at_ms=10, outcome="retry", latency_s=5.0)
    run.planning(B, ["Bridges"], at_ms=20)
    assert names_of(run.plan()) == ["Bridges"]


def test_a_call_that_began_after_the_end_of_another_is_a_further_round() -> None:
    run = PlannedRun()
    run.planning(A, ["Museums"], at_ms=1_000, latency_s=2.0)
    run.planning(B, ["Bridges"], at_ms=2_999)
    run.planning(C, ["Parks", "Museums"], at_ms=3_000)
    assert names_of(run.plan()) == ["Museums", "Parks"]


def test_facets_below_a_facet_are_its_parts_however_clocks_go() -> None:
    run = PlannedRun()
    run.planning(A, ["Museums"], at_ms=5_000)
    run.planning(B, ["Art", "Science", "Museums"], at_ms=10, of="Museums")
    run.planning(C, ["Painting", "Museums"], at_ms=20, of="Art")
    plan = run.plan()
    assert names_of(plan) == ["Museums", "Art", "Science", "Painting"]
    assert plan.lineage(facet_id("Painting")) == (facet_id("Museums"), facet_id("Art"))
    assert [view(plan, name).state for name in ("Museums", "Art", "Science")] == [
        "split",
        "split",
        "open",
    ]


def test_parts_of_a_facet_that_is_not_in_the_plan_are_not_either() -> None:
    run = PlannedRun()
    run.planning(A, ["Museums"])
    run.planning(B, ["Stone bridges"], at_ms=9_000, of="Bridges")
    assert names_of(run.plan()) == ["Museums"]


def test_a_plan_has_a_bounded_number_of_facets_and_keeps_the_earliest() -> None:
    run = PlannedRun()
    for number in range(10):
        names = [f"Facet {number} {index}" for index in range(PROPOSALS_MAX + 5)]
        run.planning(A, names, at_ms=number * 10_000)
    names = names_of(run.plan())
    assert len(names) == FACETS_MAX
    assert f"Facet 0 {PROPOSALS_MAX - 1}" in names
    assert f"Facet 0 {PROPOSALS_MAX}" not in names
    assert not any(name.startswith("Facet 9") for name in names)


def _eventful_run() -> PlannedRun:
    """Something of everything that the plan listens to."""
    run = PlannedRun()
    slow = run.begin(B, at_ms=20, purpose="facets")
    run.planning(A, ["Museums", "Parks", "Churches"], at_ms=10, latency_s=2.0)
    run.propose(B, slow, ["Bridges"])
    run.end(B, slow)
    run.look(C, None, found=3, repeated=1, at_ms=100)
    for number in range(20):
        facet = ("Museums", "Parks")[number % 2]
        model = ("m", "n")[number % 3 == 0]
        run.look(A, facet, found=number % 4, repeated=2, model=model, at_ms=3_000 + number)
    run.planning(B, ["Art", "Science"], at_ms=9_000, of="Museums")
    run.look(B, "Art", found=2, outcome="dry", at_ms=11_000)
    before = run.begin(C, facet="Art", at_ms=12_000)
    run.end(C, before, "cut")
    run.begin(C, facet="Science", at_ms=12_500)
    run.begin(C, facet="Parks", at_ms=13_000, epoch=2)
    for ordinal in range(1, 9):
        run.accept(ordinal, f"Entry {ordinal}", ("Museums", "Art")[ordinal % 2])
    run.say(COLLECTOR, log.EpochOpened(6, bytes(16)), epoch=2)
    run.accept(7, "Entry 9", "Museums", epoch=2)
    return run


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_nodes_that_hear_the_same_in_another_order_have_the_same_plan(
    source: random.Random,
) -> None:
    run = _eventful_run()
    plan, other = run.plan(), run.shuffled(source)
    assert other.facets() == plan.facets()
    for name in ("Museums", "Parks", "Art", "Science"):
        facet = facet_id(name)
        assert list(other.members(facet).ordinals) == list(plan.members(facet).ordinals)
        assert list(other.members(facet).related) == list(plan.members(facet).related)
        arms, others = plan.calls.arms(facet), other.calls.arms(facet)
        assert {who: arm.recent for who, arm in others.items()} == {
            who: arm.recent for who, arm in arms.items()
        }
    assert other.is_exhausted(["m", "n"]) == plan.is_exhausted(["m", "n"])


def test_who_looks_in_a_facet_is_known_from_the_start_of_the_call_to_its_end() -> None:
    run = PlannedRun()
    run.planning(A, ["Museums", "Parks"])
    call = run.begin(B, facet="Museums")
    run.begin(C, facet="Museums")
    assert view(run.plan(), "Museums").leased_by == (B, C)
    run.end(B, call)
    assert view(run.plan(), "Museums").leased_by == (C,)
    assert view(run.plan(), "Parks").leased_by == ()


def test_a_dead_node_leases_nothing_until_it_is_back() -> None:
    run = PlannedRun()
    run.planning(A, ["Museums"])
    run.begin(B, facet="Museums")
    plan = run.plan()
    plan.node_gone(B)
    assert view(plan, "Museums").leased_by == ()
    plan.node_back(B)
    assert view(plan, "Museums").leased_by == (B,)


def test_those_who_are_dead_are_told_all_at_once_too() -> None:
    run = PlannedRun()
    run.planning(A, ["Museums"])
    run.begin(B, facet="Museums")
    run.begin(C, facet="Museums")
    plan = run.plan()
    plan.nodes_gone({B})
    assert view(plan, "Museums").leased_by == (C,)
    plan.nodes_gone({C})
    assert view(plan, "Museums").leased_by == (B,)


def test_a_node_that_restarts_leases_nothing_of_before() -> None:
    run = PlannedRun()
    run.planning(A, ["Museums", "Parks"])
    run.begin(B, facet="Museums", epoch=1)
    run.begin(B, facet="Parks", epoch=2)
    plan = run.plan()
    assert view(plan, "Museums").leased_by == ()
    assert view(plan, "Parks").leased_by == (B,)


def test_a_planning_call_of_a_dead_node_does_not_keep_others_from_planning() -> None:
    run = PlannedRun()
    run.begin(A, at_ms=10, purpose="facets")
    run.planning(B, ["Bridges"], at_ms=20)
    plan = run.plan()
    assert names_of(plan) == []
    plan.node_gone(A)
    assert names_of(plan) == ["Bridges"]


def test_what_a_facet_has_brought_is_counted() -> None:
    run = PlannedRun()
    run.planning(A, ["Museums"])
    run.look(A, "Museums", found=30, repeated=2)
    run.look(B, "Museums", found=5, model="n", outcome="retry")
    seen = view(run.plan(), "Museums")
    assert (seen.found_count, seen.calls_count, seen.state) == (35, 1, "rich")
    assert seen.yield_share == pytest.approx(30 / 40)


def test_how_often_a_model_is_called_is_known_once_there_are_enough_calls() -> None:
    run = PlannedRun()
    for number in range(RATE_CALLS_MIN):
        assert run.plan().calls.calls_a_minute("m") == 0.0
        for origin, model in ((A, "m"), (B, "other")):
            call = run.begin(origin, at_ms=number * 2_000, model=model)
            run.end(origin, call, model=model)
    assert run.plan().calls.calls_a_minute("m") == 30.0


def test_members_stand_in_the_order_of_acceptance_as_far_as_there_is_no_hole() -> None:
    run = PlannedRun()
    for ordinal in (5, 1, 3):
        run.accept(ordinal, f"Entry {ordinal}", "Museums")
    run.accept(2, "Entry 2", "Parks")
    run.accept(4, "Entry 4")
    plan, museums = run.plan(), facet_id("Museums")
    assert list(plan.members(museums).ordinals) == [1, 3, 5]
    assert list(plan.members(museums, upto=3).ordinals) == [1, 3]
    assert list(plan.members(0).ordinals) == []


def test_what_calls_for_a_facet_wrote_belongs_to_it_before_it_is_accepted_there() -> None:
    museums = facet_id("Museums")
    run = PlannedRun()
    call = run.begin(A, facet="Museums")
    run.say(A, log.Found("Louvre", call, "m", museums))
    run.say(A, log.Repeat("Pont Neuf", call, "m", museums))
    assert list(run.plan().members(museums).tail) == ["Louvre", "Pont Neuf"]
    run.accept(1, "The Louvre", "Museums")
    run.accept(2, "Pont Neuf", "Bridges")
    members = run.plan().members(museums)
    assert (list(members.ordinals), list(members.tail)) == ([1], ["Pont Neuf"])


def test_a_repeated_member_is_not_listed_twice() -> None:
    museums = facet_id("Museums")
    run = PlannedRun()
    run.accept(1, "Louvre", "Museums")
    run.say(A, log.Repeat("the louvre", 1, "m", museums))
    run.say(B, log.Found("LOUVRE", 1, "m", museums))
    assert list(run.plan().members(museums).tail) == []


def test_the_members_of_a_facet_are_related_to_its_parts() -> None:
    run = PlannedRun()
    run.planning(A, ["Museums"])
    run.planning(A, ["Art"], of="Museums", at_ms=9_000)
    run.accept(1, "Louvre", "Museums")
    run.accept(2, "Orsay", "Art")
    members = run.plan().members(facet_id("Art"))
    assert (list(members.ordinals), list(members.related)) == ([2], [1])


def test_texts_beside_the_members_are_bounded_and_the_newest_are_kept() -> None:
    museums = facet_id("Museums")
    run = PlannedRun()
    for number in range(BESIDE_MAX + 3):
        run.say(A, log.Repeat(f"Entry {number}", 1, "m", museums))
    tail = run.plan().members(museums).tail
    assert len(tail) == BESIDE_MAX
    assert tail[-1] == f"Entry {BESIDE_MAX + 2}"
    assert "Entry 0" not in tail


def test_what_a_restored_collector_does_not_hold_is_fresh_again() -> None:
    museums = facet_id("Museums")
    run = PlannedRun()
    texts = [f"Entry {ordinal}" for ordinal in range(1, 5)]
    for ordinal, text in enumerate(texts, 1):
        run.accept(ordinal, text, "Museums")
    plan = run.plan()
    opened = log.EpochOpened(2, bytes(16))
    plan.apply(LogId(COLLECTOR, 2), 1, opened, accepted=texts)
    assert list(plan.members(museums).ordinals) == [1, 2]
    assert sorted(plan.members(museums).tail) == ["Entry 3", "Entry 4"]
    plan.accepted(3, museums, item_key("Entry 4"), 2)
    assert list(plan.members(museums).ordinals) == [1, 2, 3]
    assert list(plan.members(museums).tail) == ["Entry 3"]


def test_an_acceptance_of_before_that_comes_late_stays_void() -> None:
    museums = facet_id("Museums")
    plan = FacetPlan()
    plan.open_epoch(2, 1)
    plan.accepted(1, museums, b"one", 1)
    plan.accepted(2, museums, b"two", 1)
    assert list(plan.members(museums).ordinals) == [1]
