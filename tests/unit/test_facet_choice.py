"""What a producer does next by the plan, and when nothing is left to do."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mesh.core.facet_choice import PLANLESS_ASK_MAX
from mesh.core.facet_planning import (
    CALLS_FOR_EACH_PLANNING,
    PLANNING_REST_CALLS,
    SPLIT_FOUND_MIN,
    TOPIC_FACETS_MAX,
    TOPIC_FACETS_MIN,
)
from mesh.core.facets import (
    FacetPlan,
    LookIn,
    MoreFacets,
    PlanTopic,
    SplitFacet,
    Work,
    facet_id,
)
from tests.unit.planned_run import A, B, C, PlannedRun

DRAWS = 200


def works(plan: FacetPlan, model: str = "m", *, concurrent_count: int = 1) -> list[Work]:
    """What many producers with other luck would do, each as the only one to choose."""
    return [
        plan.next_work(
            model, random=random.Random(seed), concurrent_count=concurrent_count, known_count=500
        )
        for seed in range(DRAWS)
    ]


def looks(plan: FacetPlan, model: str = "m", *, concurrent_count: int = 1) -> Counter[str | None]:
    """Where they look, by the facet's name."""
    chosen = works(plan, model, concurrent_count=concurrent_count)
    return Counter(work.name for work in chosen if isinstance(work, LookIn))


def planned(*names: str) -> PlannedRun:
    run = PlannedRun()
    run.planning(A, names)
    return run


def dry_everywhere(run: PlannedRun, names: tuple[str | None, ...], *models: str) -> None:
    """Each model says that it has no more; of the topic as a whole it says so twice."""
    for name in names:
        for model in models:
            for _ in range(1 if name else 2):
                run.look(B, name, outcome="dry", model=model, at_ms=5_000)


def test_the_first_call_of_a_run_asks_for_a_plan() -> None:
    plan = FacetPlan()
    assert plan.next_work(
        "m", random=random.Random(1), concurrent_count=5, known_count=0
    ) == PlanTopic(TOPIC_FACETS_MIN)


@pytest.mark.parametrize(("concurrent_count", "known_count"), [(100, 0), (1, 10**6)])
def test_a_large_run_asks_for_more_facets_within_bounds(
    concurrent_count: int, known_count: int
) -> None:
    work = FacetPlan().next_work(
        "m",
        random=random.Random(1),
        concurrent_count=concurrent_count,
        known_count=known_count,
    )
    assert work == PlanTopic(TOPIC_FACETS_MAX)


def test_while_a_plan_is_made_the_others_take_short_looks_at_the_whole_topic() -> None:
    run = PlannedRun()
    run.begin(A, purpose="facets", at_ms=0)
    assert set(works(run.plan())) == {LookIn(0, None, PLANLESS_ASK_MAX)}


def test_a_facet_is_taken_as_soon_as_it_is_named_and_by_one_alone() -> None:
    run = PlannedRun()
    call = run.begin(A, purpose="facets", at_ms=0)
    assert run.plan().is_first_being_made
    run.propose(A, call, ["Museums"])
    assert looks(run.plan(), concurrent_count=9)["Museums"] > 0.9 * DRAWS
    looking = run.begin(B, facet="Museums")
    assert set(works(run.plan(), concurrent_count=9)) == {LookIn(0, None, PLANLESS_ASK_MAX)}
    run.end(B, looking)
    run.end(A, call)
    assert not run.plan().is_first_being_made


def test_who_is_planning_already_is_told_where_to_look() -> None:
    plan = FacetPlan()
    work = plan.next_work(
        "m", random=random.Random(1), concurrent_count=5, known_count=0, may_plan=False
    )
    assert work == LookIn(0, None)


def test_those_who_wait_for_the_first_plan_take_its_facets_in_turn() -> None:
    run = PlannedRun()
    call = run.begin(A, purpose="facets", at_ms=0)

    def places(concurrency: int = 1) -> list[str | None]:
        plan, producers = run.plan(), [C, A, B]
        in_turn = [plan.place_in_turn(each, producers, concurrency) for each in (A, B, C)]
        return [None if place is None else place.name for place in in_turn]

    assert places() == [None, None, None]
    run.propose(A, call, ["Museums", "Parks"])
    assert places() == ["Museums", "Parks", None]
    assert places(concurrency=2) == ["Museums", None, None]
    run.begin(A, facet="Museums")
    assert places() == ["Parks", "Parks", None]  # A is not waiting any more.
    run.propose(A, call, ["Bridges"])
    assert places()[1:] == ["Parks", "Bridges"]


def test_nothing_is_split_while_the_topic_is_still_being_named() -> None:
    run = PlannedRun()
    call = run.begin(A, purpose="facets", at_ms=0)
    run.propose(A, call, ["Museums"])
    for _ in range(CALLS_FOR_EACH_PLANNING):
        run.look(B, "Museums", found=30)
    assert looks(run.plan(), concurrent_count=20).total() == DRAWS
    run.end(A, call)
    assert isinstance(works(run.plan(), concurrent_count=20)[0], SplitFacet)


def test_when_who_was_planning_has_died_another_plans() -> None:
    run = PlannedRun()
    run.begin(A, purpose="facets", at_ms=0)
    plan = run.plan()
    plan.node_gone(A)
    assert isinstance(works(plan)[0], PlanTopic)


def test_a_failed_planning_call_is_made_again_but_fruitless_ones_not_for_ever() -> None:
    run = PlannedRun()
    run.planning(A, [], outcome="retry")
    assert isinstance(works(run.plan())[0], PlanTopic)
    for number in (1, 2):
        run.planning(A, [], at_ms=number * 10_000, outcome="dry")
        for _ in range(CALLS_FOR_EACH_PLANNING):
            run.look(A, found=1)
    assert looks(run.plan())[None] == DRAWS
    for _ in range(PLANNING_REST_CALLS):
        run.look(A, found=1)
    assert isinstance(works(run.plan())[0], PlanTopic)


def test_producers_spread_over_facets_that_nobody_has_looked_into() -> None:
    run = planned("Museums", "Parks", "Bridges", "Churches")
    seen = looks(run.plan())
    assert all(seen[name] > DRAWS / 10 for name in ("Museums", "Parks", "Bridges", "Churches"))


def test_a_facet_in_which_others_look_is_left_to_them_while_another_is_as_good() -> None:
    run = planned("Museums", "Parks")
    run.begin(B, facet="Museums")
    run.begin(C, facet="Museums")
    assert looks(run.plan())["Parks"] > 0.95 * DRAWS


def test_a_facet_in_which_others_look_is_chosen_when_the_others_are_dry() -> None:
    run = planned("Museums", "Parks")
    dry_everywhere(run, ("Parks", None), "m")
    run.begin(C, facet="Museums")
    assert looks(run.plan())["Museums"] == DRAWS


def test_rich_facets_are_chosen_before_thin_ones() -> None:
    run = planned("Museums", "Parks")
    run.look(B, "Museums", found=38, repeated=2)
    run.look(B, "Parks", found=8, repeated=32)
    assert looks(run.plan())["Museums"] > 0.9 * DRAWS


def test_of_equally_rich_facets_the_one_that_has_brought_less_is_chosen_more_often() -> None:
    run = planned("Museums", "Parks")
    for _ in range(4):
        run.look(B, "Museums", found=38, repeated=2)
    run.look(B, "Parks", found=38, repeated=2)
    seen = looks(run.plan())
    assert seen["Parks"] > 0.7 * DRAWS


def test_a_model_that_has_no_more_for_a_facet_is_not_sent_there_again_but_others_are() -> None:
    run = planned("Museums", "Parks")
    run.look(B, "Museums", found=2, outcome="dry", model="m")
    assert looks(run.plan(), "m")["Museums"] == 0
    dry_everywhere(run, ("Parks", None), "n")
    assert looks(run.plan(), "n")["Museums"] == DRAWS


def test_a_model_that_says_so_after_many_finds_is_asked_once_more() -> None:
    run = planned("Museums")
    run.look(B, "Museums", found=20, outcome="dry")
    dry_everywhere(run, (None,), "m")
    assert looks(run.plan())["Museums"] == DRAWS


def test_a_facet_that_brings_entries_by_luck_alone_is_dry() -> None:
    run = planned("Museums", "Parks")
    dry_everywhere(run, ("Parks", None), "m")
    run.look(B, "Museums", found=1, repeated=39)
    assert looks(run.plan())["Museums"] == DRAWS
    run.look(B, "Museums", found=1, repeated=39)
    assert looks(run.plan())["Museums"] == 0


def test_the_whole_topic_is_looked_at_again_when_the_facets_have_run_thin() -> None:
    run = planned("Museums", "Parks")
    assert looks(run.plan())[None] < 0.1 * DRAWS
    for name in ("Museums", "Parks"):
        run.look(B, name, found=4, repeated=36)
    assert looks(run.plan())[None] > 0.5 * DRAWS


def test_a_model_that_is_dry_everywhere_is_still_given_something_to_do() -> None:
    run = planned("Museums")
    dry_everywhere(run, ("Museums", None), "m")
    assert sum(looks(run.plan()).values()) == DRAWS


def test_a_rich_facet_is_split_when_places_are_short() -> None:
    run = planned("Museums", "Parks")
    for _ in range(2):
        run.look(B, "Museums", found=40)
        run.look(B, "Parks", found=10, repeated=30)
    assert looks(run.plan(), concurrent_count=1).total() == DRAWS
    found_count = 80
    assert found_count >= SPLIT_FOUND_MIN
    split = works(run.plan(), concurrent_count=5)[0]
    assert split == SplitFacet(facet_id("Museums"), "Museums", 4)


def test_one_split_is_asked_for_at_a_time() -> None:
    run = planned("Museums", "Parks")
    for _ in range(2):
        run.look(B, "Museums", found=40)
    run.begin(C, facet="Museums", purpose="facets", at_ms=2_000)
    assert looks(run.plan(), concurrent_count=5).total() == DRAWS


def test_a_facet_that_is_split_gives_way_to_its_parts() -> None:
    run = planned("Museums", "Parks")
    run.look(B, "Museums", found=40)
    run.planning(C, ["Art", "Science"], of="Museums", at_ms=9_000)
    seen = looks(run.plan())
    assert seen["Museums"] == 0
    assert seen["Art"] > 0
    assert seen["Science"] > 0


def test_further_facets_are_asked_for_when_none_is_rich_enough_to_split() -> None:
    run = planned("Museums", "Parks")
    run.planning(C, ["Art"], of="Museums", at_ms=9_000)
    for _ in range(8):
        run.look(B, "Parks", found=4, repeated=36)
    more = works(run.plan(), concurrent_count=5)[0]
    assert more == MoreFacets(TOPIC_FACETS_MIN, ("Museums", "Parks"))


def test_planning_calls_come_with_many_calls_for_entries_only() -> None:
    run = planned("Museums")
    for number in range(1, CALLS_FOR_EACH_PLANNING + 1):
        assert looks(run.plan(), concurrent_count=9).total() == DRAWS
        run.look(B, "Museums", found=20, at_ms=1_000 + number)
    assert isinstance(works(run.plan(), concurrent_count=9)[0], SplitFacet)


def test_planning_ceases_when_what_it_named_brought_nothing() -> None:
    run = planned("Museums")
    for number, name in enumerate(("Caves", "Mines"), 1):
        run.planning(C, [name], at_ms=number * 10_000)
        for _ in range(2 * CALLS_FOR_EACH_PLANNING):
            run.look(B, name, repeated=10)
    assert looks(run.plan(), concurrent_count=9).total() == DRAWS
    run.look(B, "Mines", found=1, repeated=9)
    assert isinstance(works(run.plan(), concurrent_count=9)[0], MoreFacets)


def test_no_more_facets_are_asked_for_when_the_whole_topic_is_dry() -> None:
    run = planned("Museums")
    dry_everywhere(run, ("Museums", None, None, None, None, None), "m")
    assert looks(run.plan(), concurrent_count=9).total() == DRAWS


def test_a_run_is_exhausted_when_every_model_is_dry_everywhere() -> None:
    run = planned("Museums", "Parks")
    dry_everywhere(run, ("Museums", "Parks", None), "m")
    assert run.plan().is_exhausted(["m"])
    assert not run.plan().is_exhausted(["m", "n"])
    dry_everywhere(run, ("Museums", "Parks"), "n")
    assert not run.plan().is_exhausted(["m", "n"])
    dry_everywhere(run, (None,), "n")
    assert run.plan().is_exhausted(["m", "n"])


def test_a_run_without_facets_is_exhausted_when_every_model_is_dry() -> None:
    run = PlannedRun()
    run.look(A, outcome="dry")
    assert not run.plan().is_exhausted(["m"])
    run.look(A, outcome="dry")
    assert run.plan().is_exhausted(["m"])
    assert not FacetPlan().is_exhausted(["m"])
    assert not run.plan().is_exhausted([])


def test_a_run_is_not_exhausted_while_facets_are_being_named() -> None:
    run = PlannedRun()
    dry_everywhere(run, (None,), "m")
    call = run.begin(B, purpose="facets", at_ms=6_000)
    assert not run.plan().is_exhausted(["m"])
    run.end(B, call, "dry")
    assert run.plan().is_exhausted(["m"])


@pytest.mark.parametrize("outcome", ["retry", "unreachable", "refused", "cancelled", "give_up"])
def test_calls_that_never_looked_exhaust_nothing(outcome: str) -> None:
    run = PlannedRun()
    for _ in range(100):
        run.look(A, outcome=outcome)
    assert not run.plan().is_exhausted(["m"])


def test_a_run_that_finds_by_luck_alone_ends() -> None:
    """Inventions and new spellings of known entries never quite run out."""
    run = PlannedRun()
    for number in range(6):
        run.look(A, found=1, repeated=39, at_ms=number)
    assert run.plan().is_exhausted(["m"])


def test_one_good_call_keeps_a_run_going() -> None:
    run = PlannedRun()
    for number in range(6):
        run.look(A, found=1, repeated=39, at_ms=number)
    run.look(A, found=12, repeated=28, at_ms=7)
    assert not run.plan().is_exhausted(["m"])


def test_a_long_row_of_fruitless_calls_ends_a_run_of_many_facets() -> None:
    run = planned(*(f"Facet {number}" for number in range(60)))
    for number in range(30):
        run.look(A, f"Facet {number}", outcome="dry", at_ms=number)
    assert not run.plan().is_exhausted(["m", "n"])  # The topic as a whole may hold what they miss.
    dry_everywhere(run, (None,), "m", "n")
    assert run.plan().is_exhausted(["m", "n"])
    run.look(A, "Facet 40", found=20, repeated=10, at_ms=9_000)
    assert not run.plan().is_exhausted(["m", "n"])
