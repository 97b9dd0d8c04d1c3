"""Which producer calls which model."""

from __future__ import annotations

from mesh.core.items import NodeId
from mesh.core.routing import model_in_turn, replacement_models

P1, P2, P3, P4 = (NodeId(bytes([n]) * 16) for n in range(1, 5))


def test_producers_take_the_models_in_turn() -> None:
    assert [model_in_turn(["a", "b", "c"], number) for number in range(1, 6)] == list("abcab")


def test_nobody_changes_while_every_model_works() -> None:
    assert replacement_models({P1: "a", P2: "b"}, ["a", "b"], given_up=[]) == {}


def test_producers_of_a_model_given_up_spread_over_the_ones_fewest_call() -> None:
    assigned = {P1: "a", P2: "a", P3: "b", P4: "a"}
    changes = replacement_models(assigned, ["a", "b", "c"], given_up=["a"])
    assert changes == {P1: "c", P2: "b", P4: "c"}


def test_with_no_working_model_nobody_is_given_one() -> None:
    assert replacement_models({P1: "a", P2: "b"}, ["a", "b"], given_up=["a", "b"]) == {}


def test_a_second_model_given_up_moves_only_those_who_call_it() -> None:
    assigned = {P1: "b", P2: "b", P3: "c"}
    changes = replacement_models(assigned, ["a", "b", "c"], given_up={"a", "b"})
    assert changes == {P1: "c", P2: "c"}


def test_the_choice_does_not_depend_on_the_order_in_which_producers_are_named() -> None:
    assigned = {P1: "a", P2: "a", P3: "b"}
    backwards = dict(reversed(assigned.items()))
    models = ["a", "b", "c"]
    assert replacement_models(assigned, models, ["a"]) == replacement_models(
        backwards, models, ["a"]
    )
