"""What a producer has gathered from all logs: what is known, planned, allowed and affordable.

Everything that its next call depends on is here, and follows from entries alone, each applied
once, in any order. What the entries mean is decided by each part; control (pause, which model)
is the producer's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mesh.core import entries as log
from mesh.core.budget import Purse
from mesh.core.entries import LogEntry
from mesh.core.facets import OPEN_FACET, FacetPlan
from mesh.core.items import LogId, NodeId
from mesh.core.known import KnownItems
from mesh.core.normalize import item_key
from mesh.core.rate_limits import Allowances, CallEntry

IMPORTED_KEPT_MAX = 100


@dataclass(slots=True)
class Arrivals:
    """What a node has learned from others while a call was under way."""

    keys: set[bytes] = field(default_factory=set)
    """New ones: no prompt that was built before could list them."""
    found_count: dict[int, int] = field(default_factory=dict)
    """By facet."""


@dataclass(slots=True)
class Outlook:
    """One producer's. Times: `now_s` on any one clock, `now_ms` on that of CallStarted."""

    own: LogId
    purse: Purse
    allowances: Allowances
    plan: FacetPlan = field(default_factory=FacetPlan)
    known: KnownItems = field(default_factory=KnownItems)
    imported: dict[str, None] = field(default_factory=dict)
    """The first of the entries to leave out, for lists that do not carry all that is known."""
    _watching: list[Arrivals] = field(default_factory=list)

    def apply(self, log_id: LogId, seq: int, entry: LogEntry, *, now_s: float, now_ms: int) -> None:
        """Take in an entry of another node, or of an earlier start of this one."""
        key: bytes | None = None
        match entry:
            case log.Found(text=text, facet=facet):
                key = item_key(text)
                self._learn(key, text, facet)
            case log.Imported(text=text):
                self._learn(item_key(text), text, OPEN_FACET)
                if len(self.imported) < IMPORTED_KEPT_MAX:
                    self.imported[text] = None
            case log.Accepted(ordinal=ordinal, text=text):
                key = item_key(text)
                self._learn(key, text, OPEN_FACET)
                self.known.accept(ordinal, key, text, log_id.epoch)
            case log.Merged(text=text):
                key = item_key(text)
                self._learn(key, text, OPEN_FACET)
                self.known.merged(key)
            case log.EpochOpened(accepted_count=accepted_count):
                # Before the texts are taken back: the plan keeps those that are void.
                self.plan.open_epoch(log_id.epoch, accepted_count, self.known.accepted)
                self.known.open_epoch(log_id.epoch, accepted_count)
                return
        self._note(log_id, seq, entry, key, now_s=now_s, now_ms=now_ms)

    def said(self, seq: int, entry: LogEntry, *, now_s: float, now_ms: int) -> None:
        """Take in an entry of the own log, as it is written; what it found is known already."""
        self._note(self.own, seq, entry, None, now_s=now_s, now_ms=now_ms)

    def node_gone(self, origin: NodeId) -> None:
        """A producer is taken for dead: what it leases and its calls hold back nobody."""
        self.plan.node_gone(origin)
        self.allowances.node_gone(origin)

    def node_back(self, origin: NodeId) -> None:
        """It is heard again."""
        self.plan.node_back(origin)
        self.allowances.node_back(origin)

    @contextmanager
    def watching(self) -> Iterator[Arrivals]:
        """Collect what this node learns from others meanwhile."""
        arrivals = Arrivals()
        self._watching.append(arrivals)
        try:
            yield arrivals
        finally:
            self._watching = [each for each in self._watching if each is not arrivals]

    def _note(
        self,
        log_id: LogId,
        seq: int,
        entry: LogEntry,
        key: bytes | None,
        *,
        now_s: float,
        now_ms: int,
    ) -> None:
        self.plan.apply(log_id, seq, entry, key)
        if isinstance(entry, _MONEY):
            self.purse.apply(log_id, seq, entry)
        # Calls of an earlier start of this producer are over, whether or not their end was said.
        is_past = log_id.origin == self.own.origin and log_id != self.own
        if isinstance(entry, _CALLS) and not is_past:
            self.allowances.apply(log_id, seq, entry, now_s=now_s, now_ms=now_ms)

    def _learn(self, key: bytes, text: str, facet: int) -> None:
        is_new = self.known.add(key, text)
        for arrivals in self._watching:
            if is_new:
                arrivals.keys.add(key)
                arrivals.found_count[facet] = arrivals.found_count.get(facet, 0) + 1


_MONEY = (
    log.CallStarted,
    log.CallFinished,
    log.BudgetAsked,
    log.BudgetGranted,
    log.BudgetSet,
)
_CALLS = CallEntry | log.BudgetAsked
