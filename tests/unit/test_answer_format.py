"""Lines or JSON, by what each has brought."""

from __future__ import annotations

import random

import pytest

from mesh.llm.answer_format import FormatChoice

CALLS = 200


def run(
    *,
    lines_yield: float,
    json_yield: float,
    seed: int = 1,
    noise: float = 0.2,
    fading: float = 1.0,
    cold_share: float = 0.0,
) -> list[bool]:
    """Which formats a model is asked for that brings so many unique entries in 1,000 tokens."""
    choice, source, chosen = FormatChoice(), random.Random(seed), []
    for at in range(CALLS):
        structured = choice.choose("m", structured_possible=True, cold_share=cold_share)
        chosen.append(structured)
        mean = (json_yield if structured else lines_yield) * fading**at
        unique = round(mean * source.uniform(1 - noise, 1 + noise))
        choice.finished("m", structured, unique_count=unique, output_tokens=1_000)
    return chosen


def test_lines_come_first_and_json_is_tried_next() -> None:
    choice = FormatChoice()
    assert not choice.choose("m", structured_possible=True)
    choice.finished("m", False, unique_count=40, output_tokens=400)
    assert choice.choose("m", structured_possible=True)


def test_a_model_that_takes_no_schema_is_never_asked_for_json() -> None:
    choice = FormatChoice()
    choice.finished("m", False, unique_count=1, output_tokens=400)
    assert not choice.choose("m", structured_possible=False)


@pytest.mark.parametrize("seed", range(5))
def test_the_format_that_yields_more_is_asked_for_nearly_always(seed: int) -> None:
    assert sum(run(lines_yield=100, json_yield=70, seed=seed)) < 0.15 * CALLS
    assert sum(run(lines_yield=70, json_yield=100, seed=seed)) > 0.85 * CALLS


@pytest.mark.parametrize("seed", range(5))
def test_a_topic_that_runs_dry_does_not_favour_the_format_tried_early(seed: int) -> None:
    """The early yields of both are high; only yields at one time can be compared."""
    fading = 0.985
    assert sum(run(lines_yield=100, json_yield=70, seed=seed, fading=fading)) < 0.25 * CALLS
    assert sum(run(lines_yield=70, json_yield=100, seed=seed, fading=fading)) > 0.75 * CALLS


def test_the_more_a_cold_prompt_costs_the_less_is_explored() -> None:
    free = run(lines_yield=100, json_yield=85, noise=0.05)
    dear = run(lines_yield=100, json_yield=85, noise=0.05, cold_share=3.0)
    assert 1 <= sum(dear) < sum(free)


def test_what_has_become_better_is_found() -> None:
    choice = FormatChoice()
    json_yield, chosen = 50, []
    for at in range(CALLS):
        json_yield = 50 if at < 50 else 200
        structured = choice.choose("m", structured_possible=True)
        chosen.append(structured)
        brought = json_yield if structured else 100
        choice.finished("m", structured, unique_count=brought, output_tokens=1_000)
    assert sum(chosen[:50]) < 10
    assert sum(chosen[-50:]) > 40


def test_models_are_chosen_for_by_themselves() -> None:
    choice = FormatChoice()
    for structured, unique in ((False, 10), (True, 90), (True, 90)):
        choice.finished("a", structured, unique_count=unique, output_tokens=1_000)
        choice.finished("b", structured, unique_count=100 - unique, output_tokens=1_000)
    assert choice.choose("a", structured_possible=True)
    assert not choice.choose("b", structured_possible=True)


def test_a_call_that_was_not_answered_tells_nothing() -> None:
    choice = FormatChoice()
    choice.finished("m", False, unique_count=0, output_tokens=0)
    assert not choice.choose("m", structured_possible=True)


def test_a_format_is_not_stuck_to_because_the_other_had_one_answer_without_entries() -> None:
    choice, chosen = FormatChoice(), []
    for at in range(CALLS):
        structured = choice.choose("m", structured_possible=True)
        chosen.append(structured)
        unique = 0 if structured or at == 0 else 40
        choice.finished("m", structured, unique_count=unique, output_tokens=500)
    assert sum(chosen) < 0.2 * CALLS
