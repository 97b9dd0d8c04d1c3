"""Logs of a made-up run for tests of the plan: what nodes said, entry by entry."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mesh.core import entries as log
from mesh.core.entries import LogEntry
from mesh.core.facets import FacetPlan, facet_id
from mesh.core.items import LogId, NodeId

A, B, C = (NodeId(bytes([number]) * 16) for number in (1, 2, 3))
COLLECTOR = NodeId(bytes([9]) * 16)

Said = tuple[LogId, int, LogEntry]


@dataclass(slots=True)
class PlannedRun:
    """What was said so far, in an order in which it may have happened."""

    said: list[Said] = field(default_factory=list)
    _last_seqs: dict[LogId, int] = field(default_factory=dict)

    def say(self, origin: NodeId, entry: LogEntry, epoch: int = 1) -> int:
        """Append to the origin's log; return the entry's seq."""
        log_id = LogId(origin, epoch)
        seq = self._last_seqs[log_id] = self._last_seqs.get(log_id, 0) + 1
        self.said.append((log_id, seq, entry))
        return seq

    def begin(
        self,
        origin: NodeId,
        *,
        at_ms: int = 1_000,
        facet: str | None = None,
        model: str = "m",
        purpose: str = "entries",
        epoch: int = 1,
    ) -> int:
        """A call begins; return its seq."""
        return self.say(origin, log.CallStarted(model, 40, facet, at_ms, purpose), epoch)

    def end(
        self,
        origin: NodeId,
        call: int,
        outcome: str = "ok",
        *,
        model: str = "m",
        latency_s: float = 1.0,
        epoch: int = 1,
    ) -> None:
        self.say(
            origin,
            log.CallFinished(call, model, outcome, None, 0, 0, 0, 0, False, None, latency_s, None),
            epoch,
        )

    def planning(
        self,
        origin: NodeId,
        names: Sequence[str],
        *,
        at_ms: int = 0,
        of: str | None = None,
        latency_s: float = 1.0,
        outcome: str = "ok",
    ) -> None:
        """A whole planning call."""
        call = self.begin(origin, at_ms=at_ms, facet=of, purpose="facets")
        self.propose(origin, call, names, of=of)
        self.end(origin, call, outcome, latency_s=latency_s)

    def propose(
        self, origin: NodeId, call: int, names: Iterable[str], *, of: str | None = None
    ) -> None:
        parent = facet_id(of) if of else 0
        for name in names:
            self.say(origin, log.FacetProposed(name, parent, call, "m"))

    def look(
        self,
        origin: NodeId,
        facet: str | None = None,
        *,
        found: int = 0,
        repeated: int = 0,
        outcome: str = "ok",
        model: str = "m",
        at_ms: int = 1_000,
    ) -> None:
        """A whole call for entries."""
        call = self.begin(origin, at_ms=at_ms, facet=facet, model=model)
        identity = facet_id(facet) if facet else 0
        for number in range(found):
            text = f"{facet} {origin.hex()[:2]} {call} {number}"
            self.say(origin, log.Found(text, call, model, identity))
        for number in range(repeated):
            self.say(origin, log.Repeat(f"known {number}", call, model, identity))
        self.end(origin, call, outcome, model=model)

    def accept(self, ordinal: int, text: str, facet: str | None = None, *, epoch: int = 1) -> None:
        identity = facet_id(facet) if facet else 0
        self.say(COLLECTOR, log.Accepted(ordinal, A, 1, ordinal, text, identity), epoch)

    def plan(self) -> FacetPlan:
        return plan_of(self.said)

    def shuffled(self, source: random.Random) -> FacetPlan:
        """The plan of a node that heard everything in another order."""
        return plan_of(source.sample(self.said, len(self.said)))


def plan_of(said: Iterable[Said]) -> FacetPlan:
    plan = FacetPlan()
    for log_id, seq, entry in said:
        plan.apply(log_id, seq, entry)
    return plan


def names_of(plan: FacetPlan) -> list[str]:
    """All facets' names in the plan's order."""
    return [view.name for view in plan.facets()[1:]]
