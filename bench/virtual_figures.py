"""From how a run stood to the figures that are quoted: shares, rates, tokens and dollars.

Tokens and dollars are for each 100 distinct entries. Dollars are charged by named tables, so that
sides compare at cheap and dear input alike; a table prices every model as one, `own` each model
as itself, those without a price left out. Prices are the program's own source, `llm.pricing`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from bench.virtual_record import CallUse, Standing, Waste
from mesh.config import ModelSpec
from mesh.llm.interface import Usage
from mesh.llm.pricing import cost_usd
from mesh.simulation.models import load_models

PRICE_TABLES: Mapping[str, str | None] = {
    "gpt_4o_mini": "gpt-4o-mini",
    "claude_haiku_4_5": "claude-haiku-4-5",
    "gpt_4o": "gpt-4o",
    "own": None,
}
"""Name -> the model as which all are charged; None: each as what it is priced like."""
_SAMPLE_TOKENS = 1_000
"""Below every price tier for long prompts, which no run here reaches."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars a token."""

    input: float
    cached: float
    cache_write: float
    output: float

    def input_usd(self, use: CallUse) -> float:
        plain = use.input_tokens - use.cached_tokens - use.cache_write_tokens
        cached, written = use.cached_tokens, use.cache_write_tokens
        return plain * self.input + cached * self.cached + written * self.cache_write


@dataclass(frozen=True, slots=True)
class Money:
    """What one run paid by one table, for each 100 distinct entries."""

    usd: float
    output_usd: float
    """Of these, for output."""
    floor_usd: float
    """What the output of the distinct entries alone costs: nothing read, nothing written twice."""
    weighted_input_tokens: float
    """Input weighted by its price against that of uncached input."""


def money(standing: Standing, table: str) -> Money:
    """What the run had paid by then."""
    usd = output_usd = weighted = 0.0
    for use in standing.calls:
        prices = _prices_of(use.model, table)
        if prices is None:
            continue
        input_usd = prices.input_usd(use)
        weighted += input_usd / prices.input
        output_usd += use.output_tokens * prices.output
        usd += input_usd + use.output_tokens * prices.output
    floor_share = standing.unique_output_tokens / max(1, _output_tokens(standing.calls))
    scale = 100.0 / standing.distinct_count
    return Money(
        usd=usd * scale,
        output_usd=output_usd * scale,
        floor_usd=output_usd * floor_share * scale,
        weighted_input_tokens=weighted * scale,
    )


def figures(standing: Standing) -> dict[str, float]:
    """Every figure of one run at one count, by name; units are in the names.

    Without `cached_share_ratio` where no prompt was long enough for any cache, and without
    `cached_share_of_told_before_ratio` where none began like an earlier one.
    """
    scale = 100.0 / standing.distinct_count
    generated = max(1, standing.generated_count)
    calls = standing.calls
    found = {
        "duplicate_ratio": standing.duplicate_share,
        "limit_ratio": standing.limit_share,
        "unique_a_minute_count": standing.distinct_count / max(1e-9, standing.at_s) * 60.0,
        "calls_count": float(len(calls)),
        "calls_per_100_count": len(calls) * scale,
        "input_tokens_per_100_count": sum(use.input_tokens for use in calls) * scale,
        "cached_tokens_per_100_count": sum(use.cached_tokens for use in calls) * scale,
        "output_tokens_per_100_count": _output_tokens(calls) * scale,
    }
    if standing.cacheable_tokens:
        found["cached_share_ratio"] = standing.cached_tokens / standing.cacheable_tokens
    if standing.told_before_tokens:
        found["cached_share_of_told_before_ratio"] = (
            standing.cached_told_before_tokens / standing.told_before_tokens
        )
    for waste in Waste:
        found[f"{waste.value}_ratio"] = standing.wasted.get(waste.value, 0) / generated
    for table in PRICE_TABLES:
        paid = money(standing, table)
        found[f"{table}_per_100_usd"] = paid.usd
        found[f"{table}_weighted_input_per_100_count"] = paid.weighted_input_tokens
        found[f"{table}_to_output_ratio"] = paid.usd / max(1e-12, paid.output_usd)
        found[f"{table}_to_floor_ratio"] = paid.usd / max(1e-12, paid.floor_usd)
    return found


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over the seeds."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


def spreads(of_runs: Iterable[Mapping[str, float]]) -> dict[str, Spread]:
    """Each figure over those of several runs that have it."""
    samples: dict[str, list[float]] = {}
    for run in of_runs:
        for name, value in run.items():
            samples.setdefault(name, []).append(value)
    return {name: Spread(tuple(each)) for name, each in samples.items()}


def _output_tokens(calls: Iterable[CallUse]) -> int:
    return sum(use.output_tokens for use in calls)


@cache
def _prices_of(model: str, table: str) -> Prices | None:
    charged_as = PRICE_TABLES[table]
    price_of = load_models()[model].price_of if charged_as is None else charged_as
    spec = ModelSpec("", "openai", model, simulated=True, price_of=price_of)
    per_token = [
        cost_usd(spec, usage)
        for usage in (
            Usage(_SAMPLE_TOKENS, 0, 0),
            Usage(_SAMPLE_TOKENS, _SAMPLE_TOKENS, 0),
            Usage(_SAMPLE_TOKENS, 0, 0, _SAMPLE_TOKENS),
            Usage(0, 0, _SAMPLE_TOKENS),
        )
    ]
    known = [usd / _SAMPLE_TOKENS for usd in per_token if usd is not None]
    return Prices(*known) if len(known) == len(per_token) else None
