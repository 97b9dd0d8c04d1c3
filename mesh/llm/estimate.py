"""What entries will cost, told before the first call: for people, never for a decision.

Nothing is known of the run then, so that the figures are those of a usual call. What a call may
cost at most is pricing.reservation_usd.
"""

from __future__ import annotations

from collections.abc import Sequence

from mesh.config import ModelSpec
from mesh.core.stopping import dollars
from mesh.llm.interface import Usage
from mesh.llm.pricing import cost_usd

_NEW_ENTRIES = 32
"""Of 40 that a usual call writes: the rest are known already."""
_USUAL_CALL = Usage(
    input_tokens=3_000, cached_input_tokens=1_800, output_tokens=450, cache_write_tokens=600
)


def cost_per_100_estimate_usd(models: Sequence[ModelSpec]) -> float | None:
    """Dollars for each 100 new entries, all models asked equally often; None where no price is
    known."""
    costs = [cost for model in models if (cost := cost_usd(model, _USUAL_CALL)) is not None]
    return 100 / _NEW_ENTRIES * sum(costs) / len(models) if costs else None


def estimate_line(models: Sequence[ModelSpec]) -> str | None:
    """One line for people; None where no price is known."""
    estimate_usd = cost_per_100_estimate_usd(models)
    if estimate_usd is None:
        return None
    return (
        f"about {dollars(float(f'{estimate_usd:.1g}'))} for each 100 entries at these prices: "
        "an estimate, and more where a model reasons before it answers"
    )
