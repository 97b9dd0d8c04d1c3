"""What calls for each facet have brought, and which are under way: the books of the plan.

Derived from the entries of all logs in whatever order they come, each once: an entry may come
before the start of its own call, and the end before the beginning. For each facet and model the
latest calls are kept one by one and the rest as sums, so memory does not grow with a run. A
lease is a call under way, nothing more. What follows from the figures is decided elsewhere
(facet_choice.py).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mesh.core.entries import CallFinished, CallStarted, Found, Repeat
from mesh.core.items import LogId, NodeId

RECENT_CALLS_MAX = 12
"""Calls of one model for one facet that are kept one by one; older ones are part of sums only."""

LATEST_CALLS_MAX = 60
"""Calls of the whole run that are kept one by one, the latest."""

RATE_CALLS_MIN = 5
"""Calls of a model among these that tell how often it is called."""

OPEN_CALLS_MAX = 10_000
"""Calls whose end has not been heard of, those that crashes cut included; beyond it the ones
heard of first are forgotten."""

ARMS_MAX = 20_000
"""Pairs of facet and model; calls for further ones are not counted."""

CALLS_THAT_LOOKED = frozenset({"ok", "length", "dry", "empty", "cut"})
"""Outcomes of calls that really looked; a failed one says nothing about the topic."""

ENTRIES, PLANNING, JUDGING = "entries", "facets", "judgements"
"""Purposes of calls: what a model is asked for."""

Place = tuple[LogId, int]
"""A call: the log that it stands in, and the seq of its start there."""


class StartKey(NamedTuple):
    """When a call started, the same at all nodes; ties are broken by who made it."""

    started_ms: int
    origin: NodeId
    epoch: int
    seq: int


def start_key(place: Place, started_ms: int) -> StartKey:
    (origin, epoch), seq = place
    return StartKey(started_ms, origin, epoch, seq)


@dataclass(slots=True)
class CallBooks:
    """One call, as far as its entries have been heard."""

    facet: int = 0
    model: str = ""
    started: StartKey | None = None
    """None: its start has not been heard of."""
    found_count: int = 0
    written_count: int = 0
    """Found and repeated."""
    outcome: str | None = None
    """None: it is under way, as far as is known."""
    latency_s: float = 0.0


@dataclass(slots=True)
class Arm:
    """One model's calls for one facet."""

    found_count: int = 0
    written_count: int = 0
    calls_count: int = 0
    """Finished ones that looked."""
    recent: list[CallBooks] = field(default_factory=list)
    """The latest RECENT_CALLS_MAX of them, by start."""


@dataclass(slots=True)
class FacetCalls:
    """All calls for entries, by facet and model."""

    entry_calls_count: int = 0
    """Started ones."""
    latest: list[CallBooks] = field(default_factory=list)
    """The latest LATEST_CALLS_MAX that have looked, whatever their facet, by start."""
    gone: set[NodeId] = field(default_factory=set)
    """Nodes that are taken for dead."""
    _arms: dict[int, dict[str, Arm]] = field(default_factory=dict)
    _arms_count: int = 0
    _open: dict[Place, CallBooks] = field(default_factory=dict)
    _recent: dict[Place, CallBooks] = field(default_factory=dict)
    _epochs: dict[NodeId, int] = field(default_factory=dict)

    def started(self, place: Place, entry: CallStarted, facet: int) -> None:
        self.entry_calls_count += 1
        self.epoch_opened(*place[0])
        call = self._call(place)
        call.facet, call.model = facet, entry.model
        call.started = start_key(place, entry.started_ms)
        if call.outcome is not None:
            self._end(place, call)

    def finished(self, log_id: LogId, entry: CallFinished) -> None:
        place = (log_id, entry.call)
        call = self._call(place)
        call.outcome, call.latency_s = entry.outcome, entry.latency_s
        if call.started is not None:
            self._end(place, call)

    def withdraw(self, place: Place) -> CallBooks | None:
        """Forget a call that turned out not to be for entries; return what was heard of it."""
        return self._open.pop(place, None)

    def wrote(self, log_id: LogId, entry: Found | Repeat) -> None:
        """Count an entry for its call, its model and its facet."""
        found = isinstance(entry, Found)
        call = self._call((log_id, entry.call))
        call.written_count += 1
        call.found_count += found
        arm = self._arm(entry.facet, entry.model)
        arm.written_count += 1
        arm.found_count += found

    def restore(self, place: Place, facet: int, end: CallFinished) -> None:
        """Count what a stored call wrote, before its end is taken in."""
        written_count = end.found_count + end.repeat_count
        call, arm = self._call(place), self._arm(facet, end.model)
        call.written_count += written_count
        call.found_count += end.found_count
        arm.written_count += written_count
        arm.found_count += end.found_count

    def epoch_opened(self, origin: NodeId, epoch: int) -> None:
        """Learn that an origin has restarted: its calls of earlier epochs are over."""
        self._epochs[origin] = max(epoch, self._epochs.get(origin, epoch))

    def node_gone(self, origin: NodeId) -> None:
        """Learn that a node is taken for dead: what it leases is free."""
        self.gone.add(origin)

    def node_back(self, origin: NodeId) -> None:
        self.gone.discard(origin)

    def is_over(self, log_id: LogId) -> bool:
        """Whether calls of this log can no longer be under way."""
        return log_id.origin in self.gone or self._epochs.get(log_id.origin, 0) > log_id.epoch

    def leases(self) -> dict[int, list[NodeId]]:
        """Who is looking in each facet, once for each call under way."""
        leases: dict[int, list[NodeId]] = {}
        for (log_id, _), call in self._open.items():
            if call.started is not None and not self.is_over(log_id):
                leases.setdefault(call.facet, []).append(log_id.origin)
        return leases

    def arms(self, facet: int) -> dict[str, Arm]:
        """By model; of models that have looked there or are looking."""
        return self._arms.get(facet, _NO_ARMS)

    def recent(self, facet: int) -> list[CallBooks]:
        """The latest calls of all models for a facet, by start."""
        calls = [call for arm in self.arms(facet).values() for call in arm.recent]
        return sorted(calls, key=_start_of)

    def found_count(self, facet: int) -> int:
        return sum(arm.found_count for arm in self.arms(facet).values())

    def calls_count(self, facet: int) -> int:
        return sum(arm.calls_count for arm in self.arms(facet).values())

    def calls_a_minute(self, model: str) -> float:
        """How often all producers together have called `model` lately; 0 before there are enough
        calls to tell."""
        starts_ms = [_start_of(call).started_ms for call in self.latest if call.model == model]
        if len(starts_ms) < RATE_CALLS_MIN:
            return 0.0
        return (len(starts_ms) - 1) * 60_000 / max(1, starts_ms[-1] - starts_ms[0])

    def models(self) -> Iterator[str]:
        """All that have been heard of, each once."""
        return iter(dict.fromkeys(model for arms in self._arms.values() for model in arms))

    def _call(self, place: Place) -> CallBooks:
        call = self._open.get(place) or self._recent.get(place)
        if call is None:
            if len(self._open) >= OPEN_CALLS_MAX:
                del self._open[next(iter(self._open))]
            call = self._open[place] = CallBooks()
        return call

    def _arm(self, facet: int, model: str) -> Arm:
        arms = self._arms.get(facet)
        arm = arms.get(model) if arms is not None else None
        if arm is None:
            arm = Arm()
            if self._arms_count < ARMS_MAX:
                self._arms_count += 1
                self._arms.setdefault(facet, {})[model] = arm
        return arm

    def _end(self, place: Place, call: CallBooks) -> None:
        self._open.pop(place, None)
        if call.outcome not in CALLS_THAT_LOOKED:
            return
        arm = self._arm(call.facet, call.model)
        arm.calls_count += 1
        self._recent[place] = call
        _keep_latest(self.latest, call, LATEST_CALLS_MAX)
        dropped = _keep_latest(arm.recent, call, RECENT_CALLS_MAX)
        if dropped is not None:
            _, origin, epoch, seq = _start_of(dropped)
            self._recent.pop((LogId(origin, epoch), seq), None)


_NO_ARMS: dict[str, Arm] = {}


def _start_of(call: CallBooks) -> StartKey:
    assert call.started is not None
    return call.started


def _keep_latest(calls: list[CallBooks], call: CallBooks, count_max: int) -> CallBooks | None:
    """Put `call` in its place by start; return the one that is dropped for it, if any."""
    insort(calls, call, key=_start_of)
    return calls.pop(0) if len(calls) > count_max else None
