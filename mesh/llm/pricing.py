"""What a call costs, and how a model's price is shown, from the price list of `genai-prices`.

The list is the one inside the installed package: no network, ever. An unknown price is None and
never 0. What an unknown or a known price means for a run's budget is money.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.config import ModelSpec
from mesh.llm.endpoints import is_official, is_private_host
from mesh.llm.interface import Usage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

PRICE_UNKNOWN = "price unknown"

_SAMPLE_TOKENS = 1_000
"""Prices of long prompts may be higher: shown is what a short one costs."""
_TOKENS_A_PRICE = 1_000_000


def cost_usd(model: ModelSpec, usage: Usage) -> float | None:
    """Dollars that one call of `model` costs; None when its price is unknown."""
    price = _price(model, usage)
    return None if price is None else float(price.total_price)


def is_priced(model: ModelSpec) -> bool:
    """Whether the price of `model` is known."""
    return _price(model, Usage(1, 0, 1)) is not None


def price_line(model: ModelSpec) -> str:
    """The price for people: `$0.15 in / $0.60 out per million tokens`, or `price unknown`."""
    price = _price(model, Usage(_SAMPLE_TOKENS, 0, _SAMPLE_TOKENS))
    if price is None:
        return PRICE_UNKNOWN
    scale = _TOKENS_A_PRICE / _SAMPLE_TOKENS
    read, written = float(price.input_price) * scale, float(price.output_price) * scale
    return f"{_dollars(read)} in / {_dollars(written)} out per million tokens"


def _price(model: ModelSpec, usage: Usage) -> PriceCalculation | None:
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
