"""How long a prompt may be: the model's context, and where its price rises, from `genai-prices`.

The list is the one inside the installed package. What it does not know is None: then all there is
is a provider's own word, "too long" (errors.py). Which entries a prompt leaves out is prompts.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mesh.config import ModelSpec
from mesh.llm.endpoints import is_official, is_private_host

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo


@dataclass(frozen=True, slots=True)
class ContextLimits:
    """In tokens; None: not known."""

    context_tokens: int | None = None
    """Prompt and answer together."""
    cheap_tokens: int | None = None
    """The longest prompt at the lowest price: a longer one costs more for each token of it."""


def context_limits(model: ModelSpec) -> ContextLimits:
    """What is known of `model`; a simulated one is taken for the one whose price it has."""
    listed = _listed(model)
    if listed is None:
        return ContextLimits()
    prices = listed.get_prices(datetime.now(tz=UTC))
    # Each kind of token may have tiers of its own; the first boundary of any is where it gets dear.
    tiered = [price.tiers for price in vars(prices).values() if hasattr(price, "tiers")]
    starts = [tier.start for tiers in tiered for tier in tiers]
    return ContextLimits(listed.context_window, min(starts, default=None))


def prompt_tokens_max(
    limits: ContextLimits, output_tokens_max: int, *, told_max: int | None = None
) -> int | None:
    """The longest prompt that fits the context beside its answer, and stays at the lowest price.

    Args:
        output_tokens_max: the cap that is sent.
        told_max: what the provider has said that prompt and answer may hold together.

    Returns:
        At least 0; None when nothing is known.
    """
    wholes = (limits.context_tokens, told_max)
    bounds = [whole - output_tokens_max for whole in wholes if whole is not None]
    if limits.cheap_tokens is not None:
        bounds.append(limits.cheap_tokens)
    return max(0, min(bounds)) if bounds else None


def _listed(model: ModelSpec) -> ModelInfo | None:
    # Imported here: 0.2 s that a process without costs need not spend.
    from genai_prices.data_snapshot import get_snapshot

    by_address = not is_official(model.api, model.base_url)
    name = model.price_of if model.simulated else model.name
    if not name:
        return None
    try:
        if model.simulated:
            return get_snapshot().find_provider_model(name, None, None, None)[1]
        if not by_address:
            return get_snapshot().find_provider_model(name, None, model.api, None)[1]
        if model.base_url is None or is_private_host(model.base_url):
            return None
        return get_snapshot().find_provider_model(name, None, None, model.base_url)[1]
    except LookupError:
        return None
