"""Who may spend how much, so that no crash and no partition makes a run cost more than its budget.

The collector grants each producer an amount (`BudgetGranted`), and a producer makes no call whose
worst case its grant does not pay for. What was granted and not given back counts as gone, whether
or not it is ever spent: the grants of all producers together stay within the budget, so it does
not matter who hears what when. A call's worst case counts until its end is known, for ever if it
never is. All amounts follow from logs, each entry applied once, in any order.

What a call may cost is llm.pricing's, when a run stops stopping.py's. No grant is taken away: of
a producer that has gone without giving back, the rest stays bound to it.
"""

from __future__ import annotations

from collections.abc import Collection

from mesh.core.accounts import Account, AccountRow, Ask, CallRow, dollars_of, picodollars
from mesh.core.entries import (
    BudgetAsked,
    BudgetGranted,
    BudgetSet,
    CallFinished,
    CallStarted,
    LogEntry,
)
from mesh.core.items import LogId, NodeId

CALLS_AHEAD = 2
"""A producer that holds less than so many calls cost is granted more before it asks."""
SHARES_MIN = 5
"""Half of what is free is shared by so many at least: the first to ask must not take it all."""


class Treasury:
    """The collector's side: decides grants from what all producers have said."""

    def __init__(self, budget_usd: float | None) -> None:
        self.budget_usd = budget_usd
        """None: no cap; nobody is granted anything."""
        self._accounts: dict[NodeId, Account] = {}
        self._changed: set[NodeId] = set()

    def apply(self, log: LogId, seq: int, entry: LogEntry) -> None:
        """Take in one entry of any producer."""
        if isinstance(entry, CallStarted | CallFinished | BudgetAsked):
            self.account(log.origin).apply(log, seq, entry)
            if isinstance(entry, BudgetAsked):
                self._changed.add(log.origin)

    def hear_own_past(self, granted: BudgetGranted) -> None:
        """Take in what this collector has granted and does not remember: it was restored from an
        old copy, and others know better."""
        self.account(NodeId(granted.origin)).grant(granted.total_usd)
        self._changed.add(NodeId(granted.origin))

    def restore(self, row: AccountRow) -> None:
        """Take up an account as it was stored; its calls are taken up by `restore_call`."""
        account = self.account(row.origin)
        account.grant(row.granted_usd)
        account.returned = picodollars(row.returned_usd)
        place = row.asked_epoch, row.asked_seq
        account.ask = Ask(place, picodollars(row.asked_granted_usd), picodollars(row.wanted_usd))

    def restore_call(self, call: CallRow) -> None:
        account = self.account(call.log.origin)
        if call.is_started:
            account.call_started((call.log, call.seq), call.reserved_usd)
        if call.is_ended:
            account.call_ended((call.log, call.seq), call.cost_usd)

    def changed_rows(self) -> list[AccountRow]:
        """Accounts that have changed since this was last asked, to be stored."""
        changed, self._changed = sorted(self._changed), set()
        return [AccountRow.of(origin, self._accounts[origin]) for origin in changed]

    @property
    def committed_usd(self) -> float:
        """Spent, or bound to calls whose end is not known."""
        return dollars_of(sum(account.committed for account in self._accounts.values()))

    @property
    def held_usd(self) -> float:
        """All that counts as gone: spent, or granted and not given back."""
        return dollars_of(sum(account.held for account in self._accounts.values()))

    def grants(self, alive: Collection[NodeId]) -> list[BudgetGranted]:
        """Grants to say now. Who is not alive gets nothing: it could not give back.

        As long as there is plenty, each gets an equal share of half of what is free, so that it
        can go on alone for long; near the end exactly what its next call needs.
        """
        if self.budget_usd is None:
            return []
        share_count = max(len(alive), SHARES_MIN)
        accounts = [(origin, self.account(origin)) for origin in sorted(alive)]
        # Who asks comes first, who asks for least before the others: most calls are paid so.
        accounts.sort(key=lambda each: each[1].unanswered or picodollars(self.budget_usd))
        said = []
        for origin, account in accounts:
            if amount := self._amount_for(account, share_count):
                said.append(
                    BudgetGranted(origin, dollars_of(account.held + account.returned + amount))
                )
                account.grant(said[-1].total_usd)
                self._changed.add(origin)
        return said

    def unpaid_call_usd(self, alive: Collection[NodeId]) -> float | None:
        """What the cheapest next call may cost where no producer can make one more; None: one can.

        All that are alive ask for more than is free, and none has a call under way whose end may
        leave something over. For a moment this may seem so while a producer takes in that a call
        of its own has ended.
        """
        if self.budget_usd is None or not alive:
            return None
        accounts = [self.account(origin) for origin in alive]
        wanted = min(account.unanswered for account in accounts)
        is_paid = wanted <= self._free() or any(each.calls_under_way for each in accounts)
        return None if is_paid or not wanted else dollars_of(wanted)

    def _amount_for(self, account: Account, share_count: int) -> int:
        """What to grant more; 0: nothing now."""
        free = self._free()
        share = free // (2 * share_count)
        wanted = account.unanswered
        if wanted:
            ahead = CALLS_AHEAD * wanted
            amount = max(share, ahead) if ahead * share_count <= free else wanted
            return amount if amount <= free else 0
        low = CALLS_AHEAD * account.call_cost * max(1, account.calls_under_way)
        return share - max(0, account.rest) if account.rest < low <= share // 2 else 0

    def _free(self) -> int:
        held = sum(account.held for account in self._accounts.values())
        return picodollars(self.budget_usd) - held

    def account(self, origin: NodeId) -> Account:
        """One producer's, an empty one where nothing is known of it."""
        return self._accounts.setdefault(origin, Account())


class Purse:
    """A producer's side: what it may still spend.

    Fed with all of its own log, earlier starts' included, and with the collector's.
    """

    def __init__(self, own: LogId, *, is_bounded: bool, since_ms: int) -> None:
        """
        Args:
            own: the log of this start.
            is_bounded: whether the run has a budget, as far as this producer was told at its
                start; the collector's log may say otherwise.
            since_ms: when this start of the run began: what the collector said of the run's
                budget before is history. Grants are not: they hold over all starts.
        """
        self._own = own
        self._is_bounded = is_bounded
        self._since_ms = since_ms
        self._budget_said = (0, 0)
        self._account = Account()
        self._present = Account()
        """Of this start alone."""
        self._pending: list[int] = []
        """Reserved for calls whose start is not in the log yet."""
        self._past_at_least = 0
        self._asked: BudgetAsked | None = None

    def apply(self, log: LogId, seq: int, entry: LogEntry) -> None:
        """Take in an entry of any log; others' money is none of its business."""
        if isinstance(entry, BudgetGranted):
            if entry.origin == self._own.origin:
                self._account.grant(entry.total_usd)
        elif isinstance(entry, BudgetSet):
            if log.epoch >= self._since_ms and (log.epoch, seq) > self._budget_said:
                self._budget_said = log.epoch, seq
                self._is_bounded = entry.total_usd is not None
        elif log.origin == self._own.origin:
            self._account.apply(log, seq, entry)
            if log == self._own:
                self._present.apply(log, seq, entry)
                if isinstance(entry, CallStarted):
                    self._settle(picodollars(entry.reserved_usd))

    def may_spend(self, amount_usd: float | None) -> bool:
        """Whether a call may be made that costs at most `amount_usd`; None: nobody bills for it."""
        return not self._is_bounded or picodollars(amount_usd) <= max(0, self._rest())

    def reserve(self, amount_usd: float | None) -> bool:
        """Set the amount aside, until the call's CallStarted is in the log; False: it is not
        there. To be said then: `ask`."""
        if not self.may_spend(amount_usd):
            return False
        self._pending.append(picodollars(amount_usd))
        return True

    def release(self, amount_usd: float | None) -> None:
        """No call is made of what was reserved."""
        self._settle(picodollars(amount_usd))

    def ask(self, amount_usd: float | None) -> BudgetAsked | None:
        """What to say where `amount_usd` cannot be reserved; None: it has been said."""
        return self._say(picodollars(amount_usd))

    def give_back(self) -> BudgetAsked | None:
        """What to say on leaving, when no call is under way; None: there is nothing left."""
        return self._say(0) if self._rest() > 0 else None

    def forfeit(self) -> None:
        """Part of its own past is lost: all that it was granted so far may have been spent."""
        granted = self._account.granted - self._account.returned
        self._past_at_least = max(self._past_at_least, granted - self._present.committed)

    @property
    def spent_usd(self) -> float:
        return dollars_of(self._account.spent)

    @property
    def left_usd(self) -> float | None:
        """What it may still spend; None: there is no cap."""
        return dollars_of(max(0, self._rest())) if self._is_bounded else None

    def _rest(self) -> int:
        past = self._account.committed - self._present.committed
        committed = max(past, self._past_at_least) + self._present.committed
        return self._account.granted - self._account.returned - committed - sum(self._pending)

    def _settle(self, amount: int) -> None:
        if amount in self._pending:
            self._pending.remove(amount)

    def _say(self, wanted: int) -> BudgetAsked | None:
        if not self._is_bounded:
            return None
        account = self._account
        asked = BudgetAsked(
            granted_usd=dollars_of(account.granted),
            returned_usd=dollars_of(account.returned + max(0, self._rest())),
            wanted_usd=dollars_of(wanted),
        )
        if asked == self._asked:
            return None
        self._asked = asked
        account.returned = picodollars(asked.returned_usd)
        return asked
