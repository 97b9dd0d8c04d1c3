"""Prices of known models, and None, never 0, for the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.config import ModelSpec, TokenPrices
from mesh.llm.estimate import cost_per_100_estimate_usd, estimate_line
from mesh.llm.interface import Usage
from mesh.llm.pricing import (
    PRICE_UNKNOWN,
    charge_usd,
    cost_usd,
    dearest_usd,
    is_priced,
    price_line,
    reservation_usd,
    with_prices,
)

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


OWN = TokenPrices(input=2.0, output=8.0, cached_input=0.5, cache_write=2.5)


def test_the_users_own_price_goes_before_the_lists() -> None:
    usage = Usage(1_000_000, 400_000, 100_000, cache_write_tokens=200_000)
    own = replace(MINI, prices=OWN)
    assert cost_usd(own, usage) == pytest.approx(0.4 * 2 + 0.4 * 0.5 + 0.2 * 2.5 + 0.1 * 8)
    assert price_line(own) == "$2.00 in / $8.00 out per million tokens"
    assert is_priced(replace(LOCAL, prices=OWN))


def test_an_own_price_without_cache_charges_all_input_alike() -> None:
    own = replace(LOCAL, prices=TokenPrices(input=2.0, output=8.0))
    assert cost_usd(own, Usage(1_000_000, 400_000, 0, 200_000)) == pytest.approx(2.0)


def test_an_own_price_of_nothing_is_known_and_nothing() -> None:
    own = replace(LOCAL, prices=TokenPrices(input=0.0, output=0.0))
    assert cost_usd(own, Usage(1_000, 0, 1_000)) == 0.0


def test_own_prices_are_given_to_the_models_that_they_name() -> None:
    mini, haiku = with_prices((MINI, HAIKU), {MINI.spec: OWN, "openai:other": OWN})
    assert mini.prices == OWN
    assert haiku == HAIKU


MODELS = [
    *(MINI, HAIKU, replace(MINI, prices=OWN)),
    *(ModelSpec(f"openai:{name}", "openai", name) for name in ("gpt-4o", "gpt-5.4", "gpt-5-mini")),
    ModelSpec("anthropic:claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
]


@given(
    st.sampled_from(MODELS),
    st.integers(0, 300_000),
    st.integers(0, 20_000),
    st.tuples(*[st.floats(0, 1)] * 4),
)
def test_no_call_costs_more_than_what_is_reserved_for_it(
    model: ModelSpec, prompt_tokens: int, cap: int, shares: tuple[float, float, float, float]
) -> None:
    """However much of it came from a cache or went there, and whatever tier it is billed at."""
    reserved = reservation_usd(model, prompt_tokens, cap)
    tokens = int(prompt_tokens * (0.5 + 0.75 * shares[0]))
    cached = int(tokens * shares[1])
    written = int((tokens - cached) * shares[2])
    billed = cost_usd(model, Usage(tokens, cached, int(cap * shares[3]), written))
    assert reserved is not None
    assert billed is not None
    assert billed <= reserved + 1e-12


def test_where_the_price_is_unknown_so_is_what_to_reserve_and_to_charge() -> None:
    assert reservation_usd(LOCAL, 1_000, 1_000) is None
    assert charge_usd(LOCAL, Usage(10, 0, 10, estimated=True), None) is None
    assert dearest_usd(LOCAL, Usage(10, 0, 10)) is None


def test_a_completed_call_is_charged_what_it_cost() -> None:
    usage = Usage(10_000, 6_000, 300, cache_write_tokens=2_000)
    assert charge_usd(HAIKU, usage, 0.000001) == cost_usd(HAIKU, usage)


def test_an_estimate_is_charged_as_dear_as_it_can_be_and_within_what_was_reserved() -> None:
    usage = Usage(10_000, 0, 300, estimated=True)
    dearest = 0.01 * 1.25 + 0.0003 * 5
    assert charge_usd(HAIKU, usage, 1.0) == pytest.approx(dearest)
    assert charge_usd(HAIKU, usage, 0.002) == 0.002


def test_the_estimate_before_a_start_is_for_all_models_in_turn() -> None:
    mini, haiku = cost_per_100_estimate_usd([MINI]), cost_per_100_estimate_usd([HAIKU])
    assert mini is not None
    assert haiku is not None
    assert 0.001 < mini < haiku < 0.05
    assert cost_per_100_estimate_usd([MINI, HAIKU]) == pytest.approx((mini + haiku) / 2)
    assert cost_per_100_estimate_usd([LOCAL]) is None
    assert estimate_line([LOCAL]) is None
    line = estimate_line([HAIKU])
    assert line is not None
    assert line.startswith("about $0.01 for each 100 entries at these prices: an estimate")
