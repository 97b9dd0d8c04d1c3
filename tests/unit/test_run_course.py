"""What may be changed of a run while it goes on, and what its next collector knows of it."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mesh.config import CollectorSettings, ModelSpec
from mesh.core.entries import BudgetSet, CallFinished, LogEntry, ModelAssigned, ProducerDismissed
from mesh.core.facets import FacetPlan
from mesh.core.items import NodeId
from mesh.core.stopping import RunProgress
from mesh.nodes.collecting.run_course import CourseChange, RunCourse, quoted
from mesh.nodes.collecting.steering import BUDGET_USD_MAX, no_budget, no_target
from tests.unit.planned_run import PlannedRun

A, B = NodeId(b"a" * 16), NodeId(b"b" * 16)
ATLAS, SWIFT = "simulated:atlas", "simulated:swift"
WHILE_RUNNING = [
    *("pause", "stop", "add_producer", "remove_producer"),
    *("set_model", "set_target", "set_budget"),
]


@dataclass
class Carried:
    """What follows from a course's decisions."""

    entries: list[LogEntry] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)

    def out(self, change: CourseChange) -> None:
        self.entries += change.entries
        self.meta |= change.meta


def course(
    carried: Carried | None = None, *, target: int | None = 300, budget_usd: float | None = 1.0
) -> RunCourse:
    settings = CollectorSettings(
        directory=Path("nodes/collector"),
        run_dir=Path("run"),
        run_id=b"r" * 16,
        topic="Birds",
        models=tuple(ModelSpec(spec, "openai", spec, simulated=True) for spec in (ATLAS, SWIFT)),
        output=Path("output.txt"),
        target=target,
        budget_usd=budget_usd,
    )
    return RunCourse(settings, (carried or Carried()).out)


def running(carried: Carried | None = None, *, budget_usd: float | None = 1.0) -> RunCourse:
    begun = course(carried, budget_usd=budget_usd)
    begun.start()
    begun.first_entry()
    return begun


def check(
    run: RunCourse,
    unique_total: int = 0,
    cost_usd: float = 0.0,
    *,
    plan: FacetPlan | None = None,
    left: Collection[NodeId] = (),
) -> None:
    progress = RunProgress(unique_total, cost_usd, 1.0)
    heard = {A: ATLAS, B: SWIFT}
    run.check(progress, plan=plan or FacetPlan(), models_heard=heard, left=left)


def dry_for_atlas() -> FacetPlan:
    """A plan in which one of two models has said twice running that it has no more."""
    said = PlannedRun()
    for _ in range(2):
        said.end(A, said.begin(A, model=ATLAS), "dry", model=ATLAS)
    plan = said.plan()
    assert plan.is_exhausted([ATLAS])
    return plan


def test_what_may_be_asked_follows_from_the_state() -> None:
    run = course()
    run.start()
    assert run.actions() == WHILE_RUNNING
    run.pause()
    assert run.actions() == ["resume", *WHILE_RUNNING[1:]]
    run.resume()
    run.stop("enough")
    assert run.actions() == []
    run.end()
    assert run.actions() == []


def test_a_run_goes_on_to_its_new_target_and_stops_there() -> None:
    run = running()
    assert run.set_target(500, accepted_count=299) is None
    check(run, unique_total=300)
    assert run.state == "running"
    check(run, unique_total=500)
    assert run.stop_reason == "target of 500 entries reached"


def test_a_target_is_taken_away() -> None:
    run = running()
    assert run.set_target(None, accepted_count=299) is None
    check(run, unique_total=10**6)
    assert run.state == "running"


@pytest.mark.parametrize("target", [1, 299, 300])
def test_a_target_that_is_met_already_is_refused(target: int) -> None:
    run = running()
    reason = run.set_target(target, accepted_count=300)
    assert reason is not None
    assert "300 entries are accepted already" in reason
    assert "Stop ends the run" in reason
    assert run.target == 300


def test_a_run_goes_on_to_its_new_budget_and_says_it_to_all() -> None:
    carried = Carried()
    run = running(carried)
    assert run.set_budget(2.5, held_usd=0.9) is None
    assert carried.entries[-1] == BudgetSet(2.5)
    assert carried.meta["budget_usd"] == "2.5"
    check(run, cost_usd=1.2)
    assert run.state == "running"
    check(run, cost_usd=2.5)
    assert run.stop_reason == "budget of $2.50 spent"


def test_a_budget_below_what_producers_hold_is_refused_with_one_that_is_not() -> None:
    run = running()
    reason = run.set_budget(0.5, held_usd=0.73211)
    assert reason is not None
    assert "$0.7322 are spent or held by producers" in reason
    assert run.budget_usd == 1.0
    assert run.set_budget(0.7322, held_usd=0.73211) is None


def test_a_run_without_a_cap_is_given_one() -> None:
    run = running(budget_usd=None)
    check(run, cost_usd=5.0)
    assert run.set_budget(6.0, held_usd=5.0) is None
    check(run, cost_usd=6.0)
    assert run.stop_reason == "budget of $6.00 spent"


def test_a_producer_is_dismissed_by_the_log() -> None:
    carried = Carried()
    run = running(carried)
    assert run.dismiss(A) is None
    assert carried.entries[-1] == ProducerDismissed(A)
    assert run.dismissed == {A}


def test_nothing_is_changed_of_a_run_that_ends() -> None:
    carried = Carried()
    run = running(carried)
    run.stop("enough")
    said = list(carried.entries)
    refusals = [
        run.set_target(500, accepted_count=0),
        run.set_budget(5.0, held_usd=0.0),
        run.dismiss(A),
    ]
    assert refusals == ["the run is draining"] * 3
    assert carried.entries == said
    assert (run.target, run.budget_usd, run.dismissed) == (300, 1.0, set())


def test_the_next_collector_of_a_start_goes_on_with_what_was_changed() -> None:
    carried = Carried()
    run = running(carried)
    run.set_target(None, accepted_count=0)
    run.set_budget(2.0, held_usd=0.0)
    run.dismiss(B)
    run.assign_model(A, SWIFT)
    successor = course()
    successor.start(carried.meta["course"])
    assert (successor.target, successor.budget_usd) == (None, 2.0)
    assert successor.dismissed == {B}
    later_start = course()
    later_start.start()
    assert (later_start.target, later_start.budget_usd, later_start.dismissed) == (300, 1.0, set())


def test_a_run_does_not_wait_for_the_model_of_a_producer_that_was_removed() -> None:
    run = running()
    check(run, plan=dry_for_atlas())
    assert run.state == "running", "the other model has not looked yet"
    run.dismiss(B)
    check(run, plan=dry_for_atlas())
    assert run.stop_reason is not None
    assert run.stop_reason.startswith("exhausted")


def test_nor_for_that_of_one_that_has_left_by_itself() -> None:
    run = running()
    check(run, plan=dry_for_atlas(), left={B})
    assert run.stop_reason is not None


def test_a_run_whose_producers_were_all_removed_waits() -> None:
    run = running()
    run.dismiss(A)
    run.dismiss(B)
    check(run, plan=dry_for_atlas())
    assert run.state == "running"


def test_a_removed_producer_gets_no_other_model_for_one_that_is_given_up() -> None:
    carried = Carried()
    run = running(carried)
    run.dismiss(A)
    call = CallFinished(1, ATLAS, "give_up", "no", 0, 0, 0, 0, False, None, 1.0, None)
    run.call_finished(call, 0, {A: ATLAS, B: ATLAS})
    assigned = [entry for entry in carried.entries if isinstance(entry, ModelAssigned)]
    assert assigned == [ModelAssigned(B, SWIFT)]
    assert run.given_up == [ATLAS]
    assert run.unusable(ATLAS) == f"{ATLAS} is given up: no"


@pytest.mark.parametrize("target", [True, False, 0, -5, 1.5, 300.0, "300", "", 10**8 + 1, 10**400])
def test_what_is_no_target_is_told_apart(target: object) -> None:
    reason = no_target(target)
    assert reason is not None
    assert "whole number from 1 to 100,000,000" in reason
    assert len(reason) < 200


@pytest.mark.parametrize("target", [1, 300, 10**8, None])
def test_what_is_a_target_is_taken(target: object) -> None:
    assert no_target(target) is None


@pytest.mark.parametrize(
    "budget", [True, 0, 0.0, -1, "5", math.nan, math.inf, 10**400, 2 * BUDGET_USD_MAX]
)
def test_what_is_no_budget_is_told_apart(budget: object) -> None:
    reason = no_budget(budget)
    assert reason is not None
    assert "dollars above 0" in reason
    assert len(reason) < 200


def test_a_budget_is_not_taken_away_but_by_a_new_start() -> None:
    assert "--budget-usd none" in str(no_budget(None))


@pytest.mark.parametrize("budget", [1, 0.01, 1e-9, BUDGET_USD_MAX])
def test_what_is_a_budget_is_taken(budget: object) -> None:
    assert no_budget(budget) is None


def test_what_a_stranger_sent_is_quoted_in_one_short_line() -> None:
    assert quoted("producer-1") == "producer-1"
    assert quoted("a\nb\u202ec") == "a b c"
    assert len(quoted("x" * 5_000)) == 100
