"""Which parts of which logs a node has, and what to ask of whom for the rest.

State: for each log a SeqSet of applied entries and the highest seq that anyone announced. Events:
a frame arrived, a last seq was announced, a fetch was answered. Effects: the ranges that are new
(apply them at once, in any order), and the fetches that are due. The caller sends, waits, and
reports back; nothing here knows a socket or a clock.

A hole waits a jittered moment before it is asked for, since most close by themselves, and is
then asked of the origin, next of the collector, next of any other member that is alive.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.core.items import LogId, NodeId
from mesh.core.seqset import SeqSet

FETCH_DELAY_S = (0.1, 0.2)
"""Jitter between seeing a hole and asking for it."""
FETCH_TIMEOUT_S = 2.0
FETCH_BACKOFF_MAX_S = 5.0
FETCHES_IN_FLIGHT_MAX = 8
"""Over all logs; more wait their turn."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask `source` for entries first..last of `log`."""

    source: NodeId
    log: LogId
    first_seq: int
    last_seq: int


@dataclass(slots=True)
class _Progress:
    """One log, as far as this node has it."""

    applied: SeqSet = field(default_factory=SeqSet)
    announced_seq: int = 0
    due_s: float | None = None
    """When to ask for the hole; None: no hole is known."""
    asked: Fetch | None = None
    attempts: int = 0

    @property
    def has_hole(self) -> bool:
        return self.applied.upto < self.announced_seq


@dataclass(slots=True)
class Replica:
    """The union of logs that one node has read."""

    random: random.Random
    applied_count: int = 0
    """Entries applied over all logs: comparable between nodes."""
    _logs: dict[LogId, _Progress] = field(default_factory=dict)
    _holes: set[LogId] = field(default_factory=set)

    def offer(self, log: LogId, first_seq: int, count: int, now_s: float) -> list[tuple[int, int]]:
        """Take entries first_seq .. first_seq + count - 1; return the ranges to apply now."""
        progress = self._logs.setdefault(log, _Progress())
        last_seq = first_seq + count - 1
        new = progress.applied.add_range(first_seq, last_seq)
        self.applied_count += sum(last - first + 1 for first, last in new)
        self._announce(log, progress, last_seq, now_s)
        return new

    def announce(self, log: LogId, last_seq: int, now_s: float) -> None:
        """Learn that `log` has entries up to `last_seq` (heartbeat, join, vector)."""
        if last_seq:
            self._announce(log, self._logs.setdefault(log, _Progress()), last_seq, now_s)

    def due_fetches(
        self, now_s: float, alive: frozenset[NodeId], collector: NodeId | None
    ) -> list[Fetch]:
        """Fetches to send now; each is in flight until `answered` or its time-out."""
        fetches: list[Fetch] = []
        in_flight = sum(self._logs[log].asked is not None for log in self._holes)
        for log in sorted(self._holes):
            progress = self._logs[log]
            if progress.due_s is None or progress.due_s > now_s:
                continue
            in_flight -= progress.asked is not None
            progress.asked = None
            sources = _sources(log.origin, alive, collector)
            if not sources or in_flight >= FETCHES_IN_FLIGHT_MAX:
                continue
            source = sources[progress.attempts % len(sources)]
            first_seq, last_seq = progress.applied.missing_upto(progress.announced_seq)[0]
            progress.asked = Fetch(source, log, first_seq, last_seq)
            progress.attempts += 1
            progress.due_s = now_s + FETCH_TIMEOUT_S
            in_flight += 1
            fetches.append(progress.asked)
        return fetches

    def answered(self, fetch: Fetch, *, now_s: float) -> None:
        """The reply to `fetch` was applied; one that did not bring the first entry asked for,
        because it was empty or its frames were refused, makes another source the next."""
        progress = self._logs[fetch.log]
        if progress.asked != fetch:
            return
        progress.asked = None
        if fetch.first_seq in progress.applied:
            progress.attempts = 0
            progress.due_s = now_s if progress.has_hole else None
        else:
            wait_s = min(FETCH_BACKOFF_MAX_S, FETCH_DELAY_S[1] * 2 ** min(progress.attempts, 10))
            progress.due_s = now_s + self.random.uniform(wait_s / 2, wait_s)
        if not progress.has_hole:
            self._holes.discard(fetch.log)

    def restore(self, log: LogId, applied: SeqSet) -> None:
        """Take up where a stored vector left off."""
        self.applied_count += len(applied)
        progress = self._logs[log] = _Progress(applied, applied.highest)
        if progress.has_hole:
            self._holes.add(log)
            progress.due_s = -math.inf

    def vector(self) -> list[tuple[LogId, int]]:
        """For each log the highest seq known to exist."""
        return [(log, progress.announced_seq) for log, progress in sorted(self._logs.items())]

    def watermark(self, log: LogId) -> int:
        progress = self._logs.get(log)
        return progress.applied.upto if progress else 0

    def highest_epoch(self, origin: NodeId) -> int:
        return max((log.epoch for log in self._logs if log.origin == origin), default=0)

    @property
    def missing_count(self) -> int:
        """Entries known to exist and not applied yet."""
        return sum(
            self._logs[log].announced_seq - len(self._logs[log].applied) for log in self._holes
        )

    def _announce(self, log: LogId, progress: _Progress, last_seq: int, now_s: float) -> None:
        progress.announced_seq = max(progress.announced_seq, last_seq)
        if not progress.has_hole:
            self._holes.discard(log)
            progress.due_s = None
            progress.attempts = 0
        elif log not in self._holes:
            self._holes.add(log)
            progress.due_s = now_s + self.random.uniform(*FETCH_DELAY_S)


def _sources(
    origin: NodeId, alive: frozenset[NodeId], collector: NodeId | None
) -> Sequence[NodeId]:
    """Whom to ask for a log of `origin`, in order."""
    first = [node for node in (origin, collector) if node is not None and node in alive]
    others = sorted(alive - {origin, collector})
    return list(dict.fromkeys([*first, *others]))
