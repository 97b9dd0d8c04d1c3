"""With -v the terminal says what happens and why, in lines that stay."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest

from mesh.nodes.guest_lines import GUEST_LINES
from mesh.nodes.run_lines import RUN_LINES, explained_plain_line
from mesh.nodes.run_remarks import activity_remark, run_remarks
from mesh.nodes.terminal import SAID_ONCE_MAX, TerminalView
from tests.unit.shown_run import metrics, model_row

CONVERGED = {"converged": True, "missing_entries": 0, "peers_alive": 5, "lost_entries": 0}


def texts(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [remark.text for remark in run_remarks(before, now)]


def said(statuses: Sequence[dict[str, Any]], *, explaining: bool = True) -> list[str]:
    """The lines of a pipe that were said of these statuses, without those at a rhythm."""
    stream = io.StringIO()
    view = TerminalView(RUN_LINES, stream, explaining=explaining, clock=lambda: 0.0)
    for status in statuses:
        view.update(status)
    return [line for line in stream.getvalue().splitlines() if " found, " not in line]


def of_model(**changes: Any) -> dict[str, Any]:
    return metrics(models=[model_row(**changes)])


def test_a_state_is_explained_when_it_begins() -> None:
    assert texts({}, metrics(state="starting")) == ["starting: no producer has said anything yet"]
    assert texts(metrics(), metrics()) == []
    assert texts(metrics(), metrics(state="paused")) == [
        "paused: calls under way are finished, no new ones are made"
    ]
    assert texts(metrics(state="paused"), metrics()) == ["running again: calls are made"]
    assert texts(metrics(), metrics(state="of a later version")) == ["of a later version"]


def test_what_a_continued_run_had_before_is_no_news() -> None:
    assert texts({}, metrics(models=[model_row(calls_failed=9)])) == [
        "running: entries are coming in"
    ]


def test_a_models_first_new_entries_are_said() -> None:
    assert texts(metrics(models=[]), of_model(calls_failed=0)) == ["openai:a: first new entries"]
    assert texts(of_model(unique_total=3), of_model(unique_total=4)) == []


def test_a_failed_call_is_said_once_for_each_model_and_reason() -> None:
    failures = [
        (1, "429 rate limit, request req_8f2a"),
        (2, "429 rate limit, request req_11c0"),
        (3, "401 the key is not valid"),
        (4, "429 rate limit, request req_77aa"),
    ]
    statuses = [of_model(calls_failed=0)]
    statuses += [of_model(calls_failed=n, last_error=error) for n, error in failures]
    assert said(statuses)[1:] == [
        "openai:a: a call failed: 429 rate limit, request req_8f2a (1 of 14 calls failed so far)",
        "openai:a: a call failed: 401 the key is not valid (3 of 14 calls failed so far)",
    ]


def test_a_failed_call_without_a_known_reason_is_said_once_for_each_model() -> None:
    statuses = [of_model(calls_failed=count) for count in (0, 1, 2)]
    statuses.append(of_model(calls_failed=3, last_error=None))
    assert said(statuses)[1:] == ["openai:a: 1 of 14 calls failed"]


def test_an_answer_that_was_ended_early_is_explained_once() -> None:
    statuses = [of_model(calls_cut=count) for count in (0, 1, 2)]
    assert said(statuses)[1:] == ["openai:a: an answer that brought mostly repeats was ended early"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peers_alive": 4}, ["mesh: 4 peers heard, 1 fewer than before"]),
        ({"peers_alive": 7}, ["mesh: 7 peers heard, 2 more than before"]),
        (
            {"converged": False, "missing_entries": 7},
            ["mesh: 7 log entries missing somewhere; who misses them asks for them"],
        ),
        ({"lost_entries": 2}, ["mesh: 2 log entries are lost: no node holds them any more"]),
        ({"refused": {"no_ticket": 1}}, ["mesh: somebody was kept out: no ticket"]),
    ],
)
def test_what_happens_in_the_mesh_is_said(changes: dict[str, Any], words: list[str]) -> None:
    assert texts(metrics(mesh=CONVERGED), metrics(mesh=CONVERGED | changes)) == words


def test_producers_that_leave_at_the_end_are_no_news() -> None:
    left = metrics(state="draining", mesh=CONVERGED | {"peers_alive": 0})
    assert texts(metrics(state="draining", mesh=CONVERGED), left) == []


def test_that_a_newcomer_lacks_entries_is_no_news() -> None:
    joined = CONVERGED | {"peers_alive": 6, "converged": False, "missing_entries": 90}
    assert texts(metrics(mesh=CONVERGED), metrics(mesh=joined)) == [
        "mesh: 6 peers heard, 1 more than before"
    ]


def test_a_mesh_that_converges_again_says_so() -> None:
    apart = CONVERGED | {"converged": False}
    assert texts(metrics(mesh=apart), metrics(mesh=CONVERGED)) == [
        "mesh: converged, all know the same entries"
    ]


def test_bounds_that_were_moved_are_said() -> None:
    moved = metrics(target=500, budget_usd=2.5)
    assert texts(metrics(), moved) == ["the target is now 500", "the budget is now $2.50"]
    unbound = metrics(target=None, budget_usd=None)
    assert texts(moved, unbound) == ["the target is now none", "the budget is now none"]


def test_that_new_entries_get_rarer_is_said_once() -> None:
    slowing, steady = {"slowing": True}, {"slowing": False}
    statuses = [metrics(forecast=each) for each in (None, steady, slowing, steady, slowing)]
    assert said(statuses)[1:] == ["new entries are getting rarer"]


def test_a_notice_is_said_when_it_appears_and_when_it_is_over() -> None:
    notices: list[list[str]] = [[], ["the disk is full"], ["the disk is full"], []]
    statuses = [metrics(notices=each) for each in notices]
    assert said(statuses)[1:] == ["note: the disk is full", "no longer: the disk is full"]
    assert said(statuses, explaining=False) == ["note: the disk is full"]


def test_without_being_asked_nothing_is_explained() -> None:
    statuses = [metrics(state="starting"), of_model(calls_failed=2), metrics(state="paused")]
    assert said(statuses, explaining=False) == []
    stream = io.StringIO()
    TerminalView(RUN_LINES, stream).explain("producer-1 is ready")
    assert stream.getvalue() == ""


def test_remarks_come_from_outside_and_cannot_steer_the_terminal() -> None:
    statuses = [of_model(calls_failed=0), of_model(calls_failed=1, last_error="\x1b[2J\n\u202e")]
    assert "".join(said(statuses)).isprintable()


def test_reasons_without_end_do_not_fill_memory_or_terminal() -> None:
    stream = io.StringIO()
    view = TerminalView(RUN_LINES, stream, explaining=True)
    for number in range(2 * SAID_ONCE_MAX):
        view.explain("x", once_as=str(number))
    assert len(stream.getvalue().splitlines()) == SAID_ONCE_MAX


def test_the_plain_line_has_more_figures() -> None:
    mesh = CONVERGED | {"propagation_ms_p50": 2.4, "propagation_ms_p99": 14.0}
    forecast = {"target_s": 170.0, "budget_s": None, "reach": None, "slowing": False}
    line = explained_plain_line(metrics(target=1_000, mesh=mesh, forecast=forecast))
    assert line == (
        "running, 12 s: 812 of 1,000 found, 640 in the last minute, 9.4 % duplicates, $0.0123 of "
        "$1.00; 28 calls (2 failed); target in about 3 min; mesh: 5 peers, converged, propagation "
        "2 ms (p99 14 ms) [openai:a 500, openai:b 312]"
    )
    assert explained_plain_line(metrics(mesh={}, models=[])) == (
        "running, 12 s: 812 found, 640 in the last minute, 9.4 % duplicates, $0.0123 of $1.00; "
        "0 calls"
    )


def test_what_keeps_a_producer_from_calling_is_told_from_what_it_is_there_for() -> None:
    assert activity_remark("producer-1", "asking") is None
    first = activity_remark("producer-1", "waiting for the rate limit of openai:a, 12 s")
    second = activity_remark("producer-1", "waiting for the rate limit of openai:a, 7 s")
    assert first is not None
    assert second is not None
    assert first.text == "producer-1: waiting for the rate limit of openai:a, 12 s"
    assert first.once_as == second.once_as


def test_producers_of_another_run_say_what_keeps_them_from_calling() -> None:
    stream = io.StringIO()
    view = TerminalView(GUEST_LINES, stream, explaining=True, clock=lambda: 0.0)
    row = {"label": "producer-1", "known_count": 1, "said_count": 1}
    for state in ("asking", "waiting for budget", "waiting for budget", "asking"):
        producers = [row | {"state": state}]
        view.update({"topic": "Birds", "simulated": False, "elapsed_s": 1, "producers": producers})
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if "items known" not in line] == [
        "producer-1: waiting for budget"
    ]
