"""When a producer may make its next call, so that all together stay within what is allowed.

Each producer keeps the same accounts, one for each model, from the entries of all logs: a call
takes a request and the tokens of its prompt from the moment its start is heard, and what a provider
says to one of them it has said to all. Nothing has to be agreed on, nobody hands allowances out.

How a limit comes back is rate_meter.py's, who of several goes first rate_account.py's, how one
producer retries a failed call its own matter (llm.retrying): its backoff stops nobody else.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from mesh.core.concurrency import ConcurrencyLimit
from mesh.core.entries import (
    BudgetAsked,
    CallFinished,
    CallStarted,
    FacetProposed,
    Found,
    LimitSeen,
    LogEntry,
    Repeat,
)
from mesh.core.items import LogId, NodeId
from mesh.core.rate_account import Account, CallId

MODELS_MAX = 256
"""Accounts; calls of further models are never held back."""
HISTORY_S = 10.0
"""What was said longer ago is history (a log read from disk, or fetched after a partition) and
takes nothing from what is allowed. Machines whose clocks differ by more do not share limits."""
TELL_S = 1.0
"""Between two entries on what is left of one model's limits, whoever writes them."""

CallEntry = CallStarted | CallFinished | LimitSeen | Found | Repeat | FacetProposed


class Allowances:
    """What the calls of all producers leave one another, as one of them knows it.

    `now_s` is always seconds on one clock of the caller's choice.
    """

    def __init__(self, own: NodeId, own_servers: Collection[str] = ()) -> None:
        """For the producer `own`; `own_servers` are models whose server is the user's own: it
        refuses nobody, so that the number of calls at once follows how fast they are served."""
        self._own = own
        self._own_servers = frozenset(own_servers)
        self._accounts: dict[str, Account] = {}
        self._told_s: dict[str, float] = {}
        """When an entry on a model's limits was last heard or written."""
        self._latest_logs: dict[NodeId, LogId] = {}
        """Of each producer, in which it was heard to begin a call or to ask for budget."""
        self._gone: set[NodeId] = set()

    def apply(self, log_id: LogId, seq: int, entry: LogEntry, *, now_s: float, now_ms: int) -> None:
        """Take in an entry of any log, own ones as they are written.

        Args:
            seq: the entry's own.
            now_ms: ms since 1970 on the clock that this node writes into entries.
        """
        if isinstance(entry, BudgetAsked):
            # Where it waits for budget it may never call again, nor end the calls it made.
            self._forget_earlier_calls(log_id)
        elif isinstance(entry, CallEntry):
            account = self._account(entry.model)
            if account is not None:
                self._enter(account, (log_id, seq), entry, now_s, now_ms)

    def _enter(
        self, account: Account, place: CallId, entry: CallEntry, now_s: float, now_ms: int
    ) -> None:
        log_id = place[0]
        match entry:
            case CallStarted():
                if not _is_history(entry.started_ms, now_ms):
                    account.start(place, entry.prompt_tokens, now_s)
                    self._forget_earlier_calls(log_id)
                    if log_id.origin in self._gone:
                        account.forget_calls_of(log_id.origin)
            case CallFinished():
                account.finish((log_id, entry.call), entry, now_s)
            case LimitSeen():
                # What was said to this producer itself it has learnt in `seen`.
                if log_id.origin != self._own and not _is_history(entry.seen_ms, now_ms):
                    account.limit_seen((log_id, entry.call), entry, now_s)
                    self._told_s[entry.model] = now_s
            case Found() | Repeat() | FacetProposed():
                account.answering((log_id, entry.call))

    def _forget_earlier_calls(self, log_id: LogId) -> None:
        """Also where an earlier start of the producer is heard of after a later one."""
        latest = max(log_id, self._latest_logs.get(log_id.origin, log_id))
        self._latest_logs[log_id.origin] = latest
        for account in self._accounts.values():
            account.forget_earlier_calls(latest)

    def node_gone(self, origin: NodeId) -> None:
        """A producer seems dead: nothing more will be heard of its calls, or only from others that
        tell what it once began."""
        self._gone.add(origin)
        for account in self._accounts.values():
            account.forget_calls_of(origin)

    def node_back(self, origin: NodeId) -> None:
        """It is heard again."""
        self._gone.discard(origin)

    def wait_s(self, model: str, prompt_tokens: int, now_s: float) -> float:
        """How long to wait before a call; 0.0: make it now.

        Whoever is told 0.0 writes CallStarted before anything else happens in its process. Any
        other answer holds only until somebody calls: ask again after it, and at least once a
        second.
        """
        account = self._account(model)
        return account.wait_s(self._own, prompt_tokens, now_s) if account else 0.0

    def seen(self, own_log: LogId, entry: LimitSeen, now_s: float) -> bool:
        """Learn what an own call was told; return whether the others should hear of it.

        They should of every refusal, of a limit that is new or has changed, of the answer that ends
        a pause, and of one that leaves less than was expected when little is left. Beside that
        about once a second is enough.
        """
        account = self._account(entry.model)
        if account is None:
            return False
        is_new = entry.refused or account.is_probing or not account.allows_as(entry)
        expected_left = account.scarce_left(now_s)
        account.limit_seen((own_log, entry.call), entry, now_s)
        is_new = is_new or account.scarce_left(now_s) <= expected_left - 1.0
        if not is_new and now_s - self._told_s.get(entry.model, -math.inf) < TELL_S:
            return False
        self._told_s[entry.model] = now_s
        return True

    def _account(self, model: str) -> Account | None:
        account = self._accounts.get(model)
        if account is None and len(self._accounts) < MODELS_MAX:
            concurrency = ConcurrencyLimit() if model in self._own_servers else None
            account = self._accounts[model] = Account(concurrency=concurrency)
        return account


def _is_history(said_ms: int, now_ms: int) -> bool:
    return now_ms - said_ms > HISTORY_S * 1000.0
