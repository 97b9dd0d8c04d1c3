"""What one producer has spent, may be spending, and was granted: exact sums, from logs.

Amounts are counted in whole picodollars, so that all nodes come to the same sums in whatever order
they hear the entries; each entry is applied once. Who is granted how much is budget.py's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mesh.core.entries import BudgetAsked, CallFinished, CallStarted, LogEntry
from mesh.core.items import LogId, NodeId

_PICO = 10**12

Place = tuple[LogId, int]
"""Log and seq of a CallStarted."""


def picodollars(amount_usd: float | None) -> int:
    return round(amount_usd * _PICO) if amount_usd else 0


def dollars_of(amount: int) -> float:
    return amount / _PICO


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call as it was stored, as far as money is concerned."""

    log: LogId
    seq: int
    model: str
    is_started: bool
    """Its start is known; its end may be known before."""
    reserved_usd: float | None
    is_ended: bool
    cost_usd: float | None


@dataclass(slots=True)
class OpenCalls:
    """What calls may cost whose end is not known. Start and end come in any order, each once."""

    total: int = 0
    """Picodollars."""
    _reserved: dict[Place, int] = field(default_factory=dict)
    _ended_before: set[Place] = field(default_factory=set)
    """Their starts have not been heard yet."""

    def __len__(self) -> int:
        return len(self._reserved)

    @property
    def total_usd(self) -> float:
        return dollars_of(self.total)

    def started(self, place: Place, reserved_usd: float | None) -> None:
        if place in self._ended_before:
            self._ended_before.remove(place)
            return
        self._reserved[place] = picodollars(reserved_usd)
        self.total += self._reserved[place]

    def ended(self, place: Place) -> None:
        if place in self._reserved:
            self.total -= self._reserved.pop(place)
        else:
            self._ended_before.add(place)

    def restore(self, call: CallRow) -> None:
        """Take up a call as it was stored."""
        if call.is_started:
            self.started((call.log, call.seq), call.reserved_usd)
        if call.is_ended:
            self.ended((call.log, call.seq))

    def count_of(self, log: LogId) -> int:
        """Open calls of one start of a producer."""
        return sum(each == log for each, _ in self._reserved)


@dataclass(frozen=True, slots=True)
class Ask:
    """The latest word of a producer about what it wants."""

    place: tuple[int, int] = (0, 0)
    """(epoch, seq)."""
    granted: int = 0
    """The largest grant that it had heard of."""
    wanted: int = 0


@dataclass(slots=True)
class Account:
    """One producer's money, in picodollars."""

    granted: int = 0
    returned: int = 0
    spent: int = 0
    """By calls whose end is known."""
    open: OpenCalls = field(default_factory=OpenCalls)
    ask: Ask = Ask()
    present: LogId | None = None
    """The latest of its logs that is known to have called or asked."""
    call_cost: int = 0
    """The most that one of its calls has reserved."""

    def apply(self, log: LogId, seq: int, entry: LogEntry) -> None:
        """Take in an entry of the producer's own log."""
        match entry:
            case CallStarted(reserved_usd=reserved_usd):
                self.call_started((log, seq), reserved_usd)
            case CallFinished(call=call, cost_usd=cost_usd):
                self.call_ended((log, call), cost_usd)
            case BudgetAsked():
                self._note(log)
                self.granted = max(self.granted, picodollars(entry.granted_usd))
                self.returned = max(self.returned, picodollars(entry.returned_usd))
                if (log.epoch, seq) > self.ask.place:
                    granted, wanted = picodollars(entry.granted_usd), picodollars(entry.wanted_usd)
                    self.ask = Ask((log.epoch, seq), granted, wanted)

    def call_started(self, place: Place, reserved_usd: float | None) -> None:
        self._note(place[0])
        self.call_cost = max(self.call_cost, picodollars(reserved_usd))
        self.open.started(place, reserved_usd)

    def call_ended(self, place: Place, cost_usd: float | None) -> None:
        self.open.ended(place)
        self.spent += picodollars(cost_usd)

    def _note(self, log: LogId) -> None:
        if self.present is None or log.epoch > self.present.epoch:
            self.present = log

    def grant(self, total_usd: float) -> None:
        self.granted = max(self.granted, picodollars(total_usd))

    @property
    def committed(self) -> int:
        """Spent, or bound to calls whose end is not known."""
        return self.spent + self.open.total

    @property
    def held(self) -> int:
        """What the run must count as gone for this producer."""
        return max(self.granted - self.returned, self.committed)

    @property
    def rest(self) -> int:
        """What more it may spend; below 0 where it has spent without grants."""
        return self.granted - self.returned - self.committed

    @property
    def calls_under_way(self) -> int:
        """Of its latest start; older ones have ended, whether or not anyone knows how."""
        return self.open.count_of(self.present) if self.present else 0

    @property
    def unanswered(self) -> int:
        """What it asks for, no grant having been said since; 0: nothing."""
        return self.ask.wanted if self.ask.granted >= self.granted else 0


@dataclass(frozen=True, slots=True)
class AccountRow:
    """What of an account the producer's calls do not tell; a row of the table `accounts`."""

    origin: NodeId
    granted_usd: float
    returned_usd: float
    asked_epoch: int
    asked_seq: int
    asked_granted_usd: float
    wanted_usd: float

    @classmethod
    def of(cls, origin: NodeId, account: Account) -> AccountRow:
        return cls(
            origin,
            dollars_of(account.granted),
            dollars_of(account.returned),
            *account.ask.place,
            dollars_of(account.ask.granted),
            dollars_of(account.ask.wanted),
        )
