"""The cap that is in force, or why a run may not start."""

from __future__ import annotations

import tomllib

import pytest

from mesh.config import ModelSpec
from mesh.llm.money import BudgetCap, BudgetOption, BudgetRefusal, budget_cap

PRICED = ModelSpec("openai:gpt-4o-mini", "openai", "gpt-4o-mini")
UNPRICED = ModelSpec("a@https://llm.example.com/v1", "openai", "a", "https://llm.example.com/v1")
LOCAL = ModelSpec("a@http://127.0.0.1:8000/v1", "openai", "a", "http://127.0.0.1:8000/v1")
PRIVATE = ModelSpec("a@http://192.168.1.9:8000/v1", "openai", "a", "http://192.168.1.9:8000/v1")
WILD = ModelSpec("simulated:wild", "openai", "wild", simulated=True, price_of="")


def decide(*models: ModelSpec, option: BudgetOption = None) -> BudgetCap | BudgetRefusal:
    return budget_cap(models, option, is_priced=lambda model: model is PRICED)


def test_priced_models_stop_at_a_dollar_unless_the_user_says_otherwise() -> None:
    assert decide(PRICED) == BudgetCap(1.0, by_default=True)
    assert decide(PRICED, LOCAL) == BudgetCap(1.0, by_default=True)
    assert decide(PRICED, option=5.0) == BudgetCap(5.0, by_default=False)
    assert decide(PRICED, option="none") == BudgetCap(None, by_default=False)


@pytest.mark.parametrize("model", [LOCAL, PRIVATE, WILD])
def test_models_that_nobody_bills_for_have_no_cap(model: ModelSpec) -> None:
    assert decide(model) == BudgetCap(None, by_default=True)


@pytest.mark.parametrize("option", [None, 1.0])
def test_an_unknown_price_on_a_public_host_is_refused(option: float | None) -> None:
    decision = decide(PRICED, UNPRICED, option=option)
    assert isinstance(decision, BudgetRefusal)
    assert "a at llm.example.com" in decision.message
    assert "--budget-usd none" in decision.message


def test_an_unknown_price_is_accepted_by_saying_so() -> None:
    assert decide(UNPRICED, option="none") == BudgetCap(None, by_default=False)


def test_the_refusal_names_the_line_that_would_give_the_price() -> None:
    decision = decide(UNPRICED)
    assert isinstance(decision, BudgetRefusal)
    line = 'prices."a@https://llm.example.com/v1" = { input = 0.15, output = 0.60 }'
    assert line in decision.message
    assert tomllib.loads(line) == {
        "prices": {"a@https://llm.example.com/v1": {"input": 0.15, "output": 0.6}}
    }


def test_the_cost_of_an_entry_cannot_be_bounded_where_a_price_is_unknown() -> None:
    decision = budget_cap(
        (PRICED, UNPRICED),
        "none",
        is_priced=lambda model: model is PRICED,
        max_cost_per_item_usd=0.01,
    )
    assert isinstance(decision, BudgetRefusal)
    assert "--max-cost-per-item" in decision.message
    assert 'prices."a@https' in decision.message
