"""What a call costs, may cost and is charged, and how a model's price is shown.

Prices are the user's own where the config gives them, else those of the list inside the installed
package `genai-prices`: no network, ever. An unknown price is None and never 0. What an unknown or
a known price means for a run's budget is money.py's, who may spend core.budget's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mesh.config import ModelSpec, TokenPrices
from mesh.llm.endpoints import is_official, is_private_host
from mesh.llm.interface import Usage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

PRICE_UNKNOWN = "price unknown"
PROMPT_TOKENS_MARGIN = 1.25
"""A prompt may hold more tokens than are estimated, which is rather too many already."""
PROMPT_TOKENS_BESIDE = 200
"""What an API adds to a prompt: its frame, an answer's schema."""

_SAMPLE_TOKENS = 1_000
"""Prices of long prompts may be higher: shown is what a short one costs."""
_TOKENS_A_PRICE = 1_000_000


class Cost(NamedTuple):
    """Dollars of one call."""

    input_usd: float
    output_usd: float
    total_usd: float


def cost_usd(model: ModelSpec, usage: Usage) -> float | None:
    """Dollars that one call of `model` costs; None when its price is unknown."""
    cost = _cost(model, usage)
    return None if cost is None else cost.total_usd


def output_usd(model: ModelSpec) -> float:
    """Dollars for a million tokens of output; inf where the price is unknown."""
    cost = cost_usd(model, Usage(0, 0, 1_000_000))
    return math.inf if cost is None else cost


def dearest_usd(model: ModelSpec, usage: Usage) -> float | None:
    """Dollars that these tokens cost at most: all of the input that was not read from a cache may
    have been written to one, at a surcharge. None when the price is unknown."""
    uncached = usage.input_tokens - usage.cached_input_tokens
    plain, written = cost_usd(model, usage), cost_usd(model, _written(usage, uncached))
    return None if plain is None or written is None else max(plain, written)


def reservation_usd(model: ModelSpec, prompt_tokens: int, output_tokens_max: int) -> float | None:
    """The most that one call may cost; None when the price is unknown.

    Args:
        prompt_tokens: prompts.prompt_tokens_estimate; a margin is added here.
        output_tokens_max: the cap that is sent, which hidden reasoning counts against.
    """
    input_tokens = int(prompt_tokens * PROMPT_TOKENS_MARGIN) + PROMPT_TOKENS_BESIDE
    return dearest_usd(model, Usage(input_tokens, 0, output_tokens_max))


def charge_usd(model: ModelSpec, usage: Usage, reserved_usd: float | None) -> float | None:
    """What a call that has ended is charged: what it cost; where the tokens are an estimate the
    most that they may have cost, but never more than was reserved. None: price unknown."""
    if not usage.estimated:
        return cost_usd(model, usage)
    dearest = dearest_usd(model, usage)
    return dearest if dearest is None or reserved_usd is None else min(dearest, reserved_usd)


def is_priced(model: ModelSpec) -> bool:
    """Whether the price of `model` is known."""
    return _cost(model, Usage(1, 0, 1)) is not None


def price_line(model: ModelSpec) -> str:
    """The price for people: `$0.15 in / $0.60 out per million tokens`, or `price unknown`."""
    cost = _cost(model, Usage(_SAMPLE_TOKENS, 0, _SAMPLE_TOKENS))
    if cost is None:
        return PRICE_UNKNOWN
    scale = _TOKENS_A_PRICE / _SAMPLE_TOKENS
    read, written = _dollars(cost.input_usd * scale), _dollars(cost.output_usd * scale)
    return f"{read} in / {written} out per million tokens"


def with_prices(
    models: Iterable[ModelSpec], prices: Mapping[str, TokenPrices]
) -> tuple[ModelSpec, ...]:
    """The same models, with the user's own prices, by spec."""
    return tuple(replace(model, prices=prices.get(model.spec, model.prices)) for model in models)


def _written(usage: Usage, tokens: int) -> Usage:
    return replace(usage, cache_write_tokens=tokens)


def _cost(model: ModelSpec, usage: Usage) -> Cost | None:
    if model.prices is not None:
        return _own_cost(model.prices, usage)
    price = _listed_price(model, usage)
    if price is None:
        return None
    return Cost(float(price.input_price), float(price.output_price), float(price.total_price))


def _own_cost(prices: TokenPrices, usage: Usage) -> Cost:
    read = prices.input if prices.cached_input is None else prices.cached_input
    write = prices.input if prices.cache_write is None else prices.cache_write
    plain_tokens = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    input_usd = (
        plain_tokens * prices.input
        + usage.cached_input_tokens * read
        + usage.cache_write_tokens * write
    ) / _TOKENS_A_PRICE
    output_usd = usage.output_tokens * prices.output / _TOKENS_A_PRICE
    return Cost(input_usd, output_usd, input_usd + output_usd)


def _listed_price(model: ModelSpec, usage: Usage) -> PriceCalculation | None:
    # Imported here: 0.2 s that a process without costs need not spend.
    import genai_prices

    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
    )
    try:
        if model.simulated:
            # The name of the real model says whose it is.
            return genai_prices.calc_price(counts, model.price_of) if model.price_of else None
        if is_official(model.api, model.base_url):
            return genai_prices.calc_price(counts, model.name, provider_id=model.api)
        if model.base_url is None or is_private_host(model.base_url):
            return None
        return genai_prices.calc_price(counts, model.name, provider_api_url=model.base_url)
    except LookupError:
        return None


def _dollars(amount: float) -> str:
    """At least two decimals, more where a price needs them: $0.15, $0.025."""
    digits = f"{amount:.4f}".rstrip("0")
    return f"${amount:.2f}" if len(digits.partition(".")[2]) < 2 else f"${digits}"
