"""How long a prompt may be, by the price list and by what providers say."""

from __future__ import annotations

import pytest

from mesh.config import ModelSpec
from mesh.llm.context_limits import ContextLimits, context_limits, prompt_tokens_max


@pytest.mark.parametrize(
    ("model", "limits"),
    [
        (ModelSpec("openai:gpt-4o-mini", "openai", "gpt-4o-mini"), ContextLimits(128_000, None)),
        (
            ModelSpec("anthropic:claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
            ContextLimits(200_000, 200_000),
        ),
        (
            ModelSpec("anthropic:claude-haiku-5-5", "anthropic", "claude-haiku-5-5"),
            ContextLimits(1_000_000, 100_000),
        ),
        (
            ModelSpec("simulated:a", "openai", "a", simulated=True, price_of="gpt-4o"),
            ContextLimits(128_000, None),
        ),
    ],
)
def test_context_and_price_boundary_are_those_of_the_list(
    model: ModelSpec, limits: ContextLimits
) -> None:
    assert context_limits(model) == limits


@pytest.mark.parametrize(
    "model",
    [
        ModelSpec("openai:no-such", "openai", "no-such"),
        ModelSpec("simulated:a", "openai", "a", simulated=True, price_of=""),
        ModelSpec("gpt-4o@http://127.0.0.1:1/v1", "openai", "gpt-4o", "http://127.0.0.1:1/v1"),
    ],
)
def test_what_is_not_listed_is_not_known(model: ModelSpec) -> None:
    assert context_limits(model) == ContextLimits(None, None)


@pytest.mark.parametrize(
    ("limits", "told_max", "expected"),
    [
        (ContextLimits(), None, None),
        (ContextLimits(128_000), None, 124_000),
        (ContextLimits(1_000_000, 100_000), None, 100_000),
        (ContextLimits(200_000, 200_000), None, 196_000),
        (ContextLimits(128_000), 32_000, 28_000),
        (ContextLimits(), 2_000, 0),
    ],
)
def test_the_prompt_leaves_room_for_its_answer_and_stays_at_the_lowest_price(
    limits: ContextLimits, told_max: int | None, expected: int | None
) -> None:
    assert prompt_tokens_max(limits, 4_000, told_max=told_max) == expected
