"""A call whose producer was killed ends nowhere in a log: its successor does not wait for it."""

from __future__ import annotations

from mesh.core.budget import Purse
from mesh.core.entries import CallStarted, LogEntry
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


def wait_s(outlook: Outlook) -> float:
    return outlook.allowances.wait_s(MODEL, 100, 10.0)


def test_the_first_call_of_another_producer_is_waited_for() -> None:
    """It shows whether the provider answers at all."""
    assert wait_s(outlook_after((LogId(OTHER, 1), STARTED))) > 0


def test_a_call_of_ones_own_earlier_start_is_not_waited_for() -> None:
    assert wait_s(outlook_after((LogId(OWN, 1), STARTED))) == 0
