"""When a run stops for its cost: the cap that is in force, or why there must be a word first.

Pure: prices are looked up by pricing.py, the running sum is the collector's.
"""

from __future__ import annotations

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
    models: Sequence[ModelSpec], option: BudgetOption, *, is_priced: Callable[[ModelSpec], bool]
) -> BudgetCap | BudgetRefusal:
    """The cap of a run of `models`.

    Args:
        models: of the run; simulated ones cost what the real model would, in play money.
        option: what the user asked for.
        is_priced: pricing's, or a table in tests.
    """
    if option == "none":
        return BudgetCap(None, by_default=False)
    unknown = [model for model in models if not is_priced(model) and not _is_free(model)]
    if unknown:
        names = ", ".join(f"{model.name} at {server_name(model)}" for model in unknown)
        return BudgetRefusal(
            f"no price is known for {names}, so no budget can be kept: "
            "say --budget-usd none to run without a cap"
        )
    if option is not None:
        return BudgetCap(option, by_default=False)
    if any(is_priced(model) for model in models):
        return BudgetCap(DEFAULT_BUDGET_USD, by_default=True)
    return BudgetCap(None, by_default=True)


def _is_free(model: ModelSpec) -> bool:
    """Whether nobody bills for it: simulated, or on a machine of the user's own."""
    return model.simulated or is_private_host(base_url_of(model))
