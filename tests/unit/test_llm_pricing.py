"""Prices of known models, and None, never 0, for the others."""

from __future__ import annotations

import pytest

from mesh.config import ModelSpec
from mesh.llm.interface import Usage
from mesh.llm.pricing import PRICE_UNKNOWN, cost_usd, is_priced, price_line

MINI = ModelSpec("openai:gpt-4o-mini", "openai", "gpt-4o-mini")
HAIKU = ModelSpec("anthropic:claude-haiku-4-5", "anthropic", "claude-haiku-4-5")
LOCAL = ModelSpec(
    "gpt-4o-mini@http://127.0.0.1:8000/v1", "openai", "gpt-4o-mini", "http://127.0.0.1:8000/v1"
)


def test_a_call_costs_its_input_and_output() -> None:
    assert cost_usd(MINI, Usage(1_000_000, 0, 0)) == pytest.approx(0.15)
    assert cost_usd(MINI, Usage(0, 0, 1_000_000)) == pytest.approx(0.60)


def test_cached_input_is_cheaper_and_cache_writes_are_dearer() -> None:
    plain = cost_usd(HAIKU, Usage(1_000, 0, 0))
    read = cost_usd(HAIKU, Usage(1_000, 1_000, 0))
    written = cost_usd(HAIKU, Usage(1_000, 0, 0, cache_write_tokens=1_000))
    assert plain == pytest.approx(0.001)
    assert read == pytest.approx(0.0001)
    assert written == pytest.approx(0.00125)


def test_a_price_is_shown_per_million_tokens() -> None:
    assert price_line(MINI) == "$0.15 in / $0.60 out per million tokens"
    assert price_line(HAIKU) == "$1.00 in / $5.00 out per million tokens"


@pytest.mark.parametrize(
    "model",
    [
        ModelSpec("openai:no-such-model", "openai", "no-such-model"),
        LOCAL,
        ModelSpec("a@https://llm.example.com/v1", "openai", "a", "https://llm.example.com/v1"),
        ModelSpec("simulated:wild", "openai", "wild", simulated=True, price_of=""),
    ],
)
def test_an_unknown_price_is_unknown_and_not_nothing(model: ModelSpec) -> None:
    assert cost_usd(model, Usage(1_000, 0, 1_000)) is None
    assert price_line(model) == PRICE_UNKNOWN
    assert not is_priced(model)


def test_a_known_name_on_a_machine_of_ones_own_costs_nothing_known() -> None:
    """The name says nothing about who bills."""
    assert cost_usd(LOCAL, Usage(1_000, 0, 1_000)) is None


@pytest.mark.parametrize(
    ("api", "name"), [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5")]
)
def test_a_simulated_model_is_charged_as_the_real_one(api: str, name: str) -> None:
    usage = Usage(10_000, 2_000, 500)
    simulated = ModelSpec("simulated:x", "openai", "x", simulated=True, price_of=name)
    real = ModelSpec(f"{api}:{name}", "openai" if api == "openai" else "anthropic", name)
    assert cost_usd(simulated, usage) == cost_usd(real, usage)
    assert is_priced(simulated)


def test_compatible_servers_in_the_price_list_are_priced() -> None:
    url = "https://api.mistral.ai/v1"
    model = ModelSpec(f"mistral-small-latest@{url}", "openai", "mistral-small-latest", url)
    assert is_priced(model)
