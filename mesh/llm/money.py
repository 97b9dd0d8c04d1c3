"""When a run stops for its cost: the cap that is in force, or why there must be a word first.

Pure: prices are looked up by pricing.py, the running sum is the collector's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mesh.config import DEFAULT_BUDGET_USD, ModelSpec
from mesh.llm.endpoints import base_url_of, is_private_host, server_name

BudgetOption = float | Literal["none"] | None
"""`--budget-usd`: dollars, `none`, or None where it is not given."""


@dataclass(frozen=True, slots=True)
class BudgetCap:
    """The run may start."""

    cap_usd: float | None
    """It stops at this cost; None: no cap."""
    by_default: bool
    """The user did not ask for this cap: say so before the first call."""


@dataclass(frozen=True, slots=True)
class BudgetRefusal:
    """The run may not start before the user has said something about money."""

    message: str


def budget_cap(
    models: Sequence[ModelSpec],
    option: BudgetOption,
    *,
    is_priced: Callable[[ModelSpec], bool],
    max_cost_per_item_usd: float | None = None,
) -> BudgetCap | BudgetRefusal:
    """The cap of a run of `models`.

    Args:
        models: of the run; simulated ones cost what the real model would, in play money.
        option: what the user asked for.
        is_priced: pricing's, or a table in tests.
        max_cost_per_item_usd: the user's bound on the price of an entry, if there is one.
    """
    unknown = [model for model in models if not is_priced(model) and not _is_free(model)]
    if unknown and option != "none":
        return BudgetRefusal(
            f"{_unknown(unknown)}, so no budget can be kept: {_price_line(unknown[0])}, "
            "or say --budget-usd none to run without a cap"
        )
    if unknown and max_cost_per_item_usd is not None:
        return BudgetRefusal(
            f"{_unknown(unknown)}, so --max-cost-per-item cannot be kept: {_price_line(unknown[0])}"
        )
    if option == "none":
        return BudgetCap(None, by_default=False)
    if option is not None:
        return BudgetCap(option, by_default=False)
    if any(is_priced(model) for model in models):
        return BudgetCap(DEFAULT_BUDGET_USD, by_default=True)
    return BudgetCap(None, by_default=True)


def _unknown(models: Sequence[ModelSpec]) -> str:
    names = ", ".join(f"{model.name} at {server_name(model)}" for model in models)
    return f"no price is known for {names}"


def _price_line(model: ModelSpec) -> str:
    """What to write where: one line of TOML, dollars for each million tokens."""
    spec = json.dumps(model.spec, ensure_ascii=False)
    return (
        "write into a --config FILE what a million tokens cost, such as "
        f"prices.{spec} = {{ input = 0.15, output = 0.60 }}"
    )


def _is_free(model: ModelSpec) -> bool:
    """Whether nobody bills for it: simulated, or on a machine of the user's own."""
    return model.simulated or is_private_host(base_url_of(model))
