"""A call whose producer was killed ends nowhere in a log; nobody may wait for its end."""

from __future__ import annotations

from mesh.core.budget import Purse
from mesh.core.entries import BudgetAsked, CallStarted, LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.outlook import Outlook
from mesh.core.rate_limits import Allowances

OWN, OTHER = NodeId(b"a" * 16), NodeId(b"b" * 16)
MODEL = "llama@http://127.0.0.1:1/v1"
NOW_MS = 1_000_000
STARTED = CallStarted(MODEL, 40, None, NOW_MS, prompt_tokens=100)


def outlook_after(*said: tuple[LogId, LogEntry]) -> Outlook:
    """Of a producer in its second start, while nothing is known of what its provider allows."""
    own = LogId(OWN, 2)
    outlook = Outlook(own, Purse(own, is_bounded=True, since_ms=0), Allowances(OWN))
    for seq, (log_id, entry) in enumerate(said, 1):
        outlook.apply(log_id, seq, entry, now_s=10.0, now_ms=NOW_MS)
    return outlook


def wait_s(outlook: Outlook, after_s: float = 0.0) -> float:
    return outlook.allowances.wait_s(MODEL, 100, 10.0 + after_s)


LONG_S = 60.0
"""The first call is not waited for for ever, a place is."""


def taken(outlook: Outlook) -> bool:
    """Whether calls of which no end is heard take all places: many were made."""
    return wait_s(outlook, LONG_S) > 0


def calls(epoch: int) -> list[tuple[LogId, LogEntry]]:
    return [(LogId(OTHER, epoch), STARTED)] * 200


def test_anothers_calls_are_waited_for() -> None:
    assert wait_s(outlook_after((LogId(OTHER, 1), STARTED))) > 0
    assert taken(outlook_after(*calls(1)))


def test_a_call_of_ones_own_earlier_start_is_not_waited_for() -> None:
    assert wait_s(outlook_after((LogId(OWN, 1), STARTED))) == 0


def test_who_asks_for_budget_after_a_restart_has_no_calls_from_before() -> None:
    asked = BudgetAsked(0.0, 0.0, 0.01)
    assert taken(outlook_after(*calls(1), (LogId(OTHER, 1), asked)))
    assert not taken(outlook_after(*calls(1), (LogId(OTHER, 2), asked)))


def test_calls_of_a_producer_that_seems_dead_take_no_place() -> None:
    outlook = outlook_after(*calls(1))
    outlook.allowances.node_gone(OTHER)
    assert not taken(outlook)
