"""Which parts of which logs a node has, and what to ask of whom for the rest.

State: for each log a SeqSet of applied entries and the highest seq that anyone announced. Events:
a frame arrived, a last seq was announced, a fetch was answered. Effects: the ranges that are new
(apply them at once, in any order), and the fetches that are due. The caller sends, waits, and
reports back; nothing here knows a socket or a clock.

A hole waits a jittered moment before it is asked for, since most close by themselves, and is
then asked of the origin, next of the collector, next of any other member that is alive, of those
that are silent last. Who answers that it does not hold it is not asked again in that round; a hole
for which whole rounds stay without success may be declared lost by the collector. Who is heard
again after a silence is asked at once, however long the waits had become. What is lost counts as
passed, and is still asked for now and then: should it turn up, it applies.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.core.items import LogId, NodeId
from mesh.core.protections import ALL_ON, Protections
from mesh.core.seqset import SeqSet

FETCH_DELAY_S = (0.1, 0.2)
"""Jitter between seeing a hole and asking for it."""
FETCH_TIMEOUT_S = 2.0
NOBODY_ALIVE_WAIT_S = 0.05
FETCH_BACKOFF_MAX_S = 5.0
FETCHES_IN_FLIGHT_MAX = 8
"""Over all logs; more wait their turn."""
LOST_AFTER_ROUNDS = 2
LOST_RETRY_S = 30.0
SECOND_ASKS_MAX = 1024
"""Ranges of lost entries that wait to be asked of nodes that are back; more are left to chance."""
LOGS_MAX = 65_536
"""Nothing of more logs is taken in."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask `source` for entries first..last of `log`."""

    source: NodeId
    log: LogId
    first_seq: int
    last_seq: int


@dataclass(slots=True)
class _Hole:
    """One hole's search, by its first seq."""

    not_held_by: set[NodeId] = field(default_factory=set)
    rounds: int = 0
    """How often everyone had been asked and had it not."""


@dataclass(slots=True)
class _Progress:
    """One log, as far as this node has it."""

    passed: SeqSet = field(default_factory=SeqSet)
    """Applied or lost."""
    lost: SeqSet = field(default_factory=SeqSet)
    announced_seq: int = 0
    due_s: float | None = None
    """When to ask for the hole; None: no hole is known."""
    lost_due_s: float = math.inf
    """When to ask for what is lost."""
    is_unsearched: bool = False
    """Something was declared lost that this node has never asked everyone for."""
    asked: Fetch | None = None
    attempts: int = 0
    """Fetches in a row that nobody answered."""
    searches: dict[int, _Hole] = field(default_factory=dict)

    @property
    def has_hole(self) -> bool:
        return self.passed.upto < self.announced_seq

    @property
    def has_lost(self) -> bool:
        return bool(self.lost.highest)


@dataclass(slots=True)
class Replica:
    """The union of logs that one node has read."""

    random: random.Random
    protections: Protections = ALL_ON
    applied_count: int = 0
    """Entries applied over all logs."""
    _logs: dict[LogId, _Progress] = field(default_factory=dict)
    _open: set[LogId] = field(default_factory=set)
    """Logs with a hole or with something lost."""
    _second_asks: deque[Fetch] = field(default_factory=deque)
    """What was lost, to be asked of a node that is back."""

    def has_room_for(self, log: LogId) -> bool:
        """Whether this log can be followed: it is already, or fewer than LOGS_MAX are."""
        return log in self._logs or len(self._logs) < LOGS_MAX

    def offer(self, log: LogId, first_seq: int, count: int, now_s: float) -> list[tuple[int, int]]:
        """Take entries first_seq .. first_seq + count - 1; return the ranges to apply now."""
        progress = self._progress(log)
        if progress is None:
            return []
        last_seq = first_seq + count - 1
        new = progress.passed.add_range(first_seq, last_seq)
        if progress.has_lost:
            new = sorted(new + self._find_again(progress, first_seq, last_seq))
        if not self.protections.idempotent:
            new = [(first_seq, last_seq)]
        for first, last in new:
            self.applied_count += last - first + 1
        self._announce(log, progress, last_seq, now_s)
        return new

    def announce(self, log: LogId, last_seq: int, now_s: float) -> None:
        """Learn that `log` has entries up to `last_seq` (heartbeat, join, vector)."""
        progress = self._progress(log) if last_seq else None
        if progress is not None:
            self._announce(log, progress, last_seq, now_s)

    def declare_lost(self, log: LogId, first_seq: int, last_seq: int, now_s: float) -> None:
        """Pass what nobody holds any more, as far as it is not applied here."""
        progress = self._progress(log)
        if progress is None:
            return
        for first, last in progress.passed.add_range(first_seq, last_seq):
            progress.lost.add_range(first, last)
            search = progress.searches.get(first)
            progress.is_unsearched |= search is None or not search.rounds
        progress.lost_due_s = now_s + self.random.uniform(0.0, FETCH_DELAY_S[1])
        self._announce(log, progress, last_seq, now_s)

    def ask_again(self, node: NodeId, now_s: float) -> None:
        """`node` is back: it may hold what is missing, and what was lost while it was away."""
        for log in sorted(self._open):
            progress = self._logs[log]
            self._ask_for_lost(node, log, progress)
            if progress.has_hole:
                for search in progress.searches.values():
                    search.not_held_by.discard(node)
                progress.attempts = 0
                progress.asked = None
                progress.due_s = now_s + self.random.uniform(0.0, FETCH_DELAY_S[0])

    def due_fetches(
        self,
        now_s: float,
        alive: frozenset[NodeId],
        collector: NodeId | None,
        silent: frozenset[NodeId] = frozenset(),
    ) -> list[Fetch]:
        """Fetches to send now; each is in flight until `answered` or its time-out.

        Args:
            silent: of those alive, who has not been heard lately; asked when nobody else holds it.
        """
        if not self.protections.gap_fetch:
            return []
        fetches: list[Fetch] = []
        in_flight = sum(self._logs[log].asked is not None for log in self._open)
        while self._second_asks and in_flight + len(fetches) < FETCHES_IN_FLIGHT_MAX:
            fetches.append(self._second_asks.popleft())
        in_flight += len(fetches)
        for log in sorted(self._open):
            progress = self._logs[log]
            due_s = min(math.inf if progress.due_s is None else progress.due_s, progress.lost_due_s)
            if due_s > now_s:
                continue
            if progress.asked is not None:  # Nobody reported its end.
                in_flight -= 1
                progress.attempts += 1
                progress.asked = None
            if in_flight >= FETCHES_IN_FLIGHT_MAX:
                continue
            sources = _sources(log.origin, alive, collector, silent)
            fetch = self._next_fetch(log, progress, sources, now_s)
            if fetch is not None:
                progress.asked = fetch
                in_flight += 1
                fetches.append(fetch)
        return fetches

    @property
    def is_open(self) -> bool:
        """Whether anything is missing or lost."""
        return bool(self._open or self._second_asks)

    def next_due_s(self) -> float:
        """When `due_fetches` has something to do next; inf: nothing is open."""
        if self._second_asks:
            return -math.inf
        if not self._open:
            return math.inf
        times = (self._logs[log] for log in self._open)
        return min(
            (min(p.lost_due_s, math.inf if p.due_s is None else p.due_s) for p in times),
            default=math.inf,
        )

    def answered(self, fetch: Fetch, *, replied: bool, now_s: float) -> None:
        """The reply to `fetch` was applied, or none came.

        A reply that did not bring the first entry asked for, because it was empty or its frames
        were refused, takes its source out of this round.
        """
        progress = self._logs[fetch.log]
        if progress.asked != fetch:
            self._go_on_asking(fetch, progress)
            return
        progress.asked = None
        if fetch.first_seq in progress.passed and fetch.first_seq not in progress.lost:
            progress.attempts = 0
            progress.searches.pop(fetch.first_seq, None)
            progress.due_s = now_s if progress.has_hole else None
        elif fetch.first_seq in progress.lost:
            pass  # Asked for again at its own slow pace.
        else:
            wait_s = FETCH_DELAY_S[0]
            if replied:
                search = progress.searches.setdefault(fetch.first_seq, _Hole())
                search.not_held_by.add(fetch.source)
            else:
                progress.attempts += 1
                wait_s = min(FETCH_BACKOFF_MAX_S, wait_s * 2 ** min(progress.attempts, 10))
            progress.due_s = now_s + self.random.uniform(wait_s / 2, wait_s)
        self._close_if_whole(fetch.log, progress)

    def _go_on_asking(self, fetch: Fetch, progress: _Progress) -> None:
        """A node that is back has sent the first of what was lost: it may hold the rest."""
        rest = progress.lost.overlap(fetch.first_seq, fetch.last_seq)
        if rest and rest[0][0] > fetch.first_seq:
            self._ask_second(Fetch(fetch.source, fetch.log, *rest[0]))

    def _ask_for_lost(self, node: NodeId, log: LogId, progress: _Progress) -> None:
        for first, last in progress.lost.ranges():
            self._ask_second(Fetch(node, log, first, last))

    def _ask_second(self, fetch: Fetch) -> None:
        if len(self._second_asks) < SECOND_ASKS_MAX and fetch not in self._second_asks:
            self._second_asks.append(fetch)

    def passed(self, log: LogId, seq: int) -> bool:
        """Whether this entry was applied or declared lost."""
        progress = self._logs.get(log)
        return progress is not None and seq in progress.passed

    def applied(self, log: LogId, first_seq: int, last_seq: int) -> list[tuple[int, int]]:
        """What of this range was applied, as inclusive ranges, ascending."""
        progress = self._logs.get(log)
        if progress is None:
            return []
        passed = SeqSet.of_ranges(progress.passed.overlap(first_seq, last_seq))
        return passed.without(progress.lost).ranges()

    def is_lost(self, log: LogId, seq: int) -> bool:
        """Whether this entry was declared lost and has not turned up since."""
        progress = self._logs.get(log)
        return progress is not None and seq in progress.lost

    def nobody_holds(self) -> list[tuple[LogId, int, int]]:
        """Holes for which everyone alive has answered LOST_AFTER_ROUNDS times that it has them
        not: (log, first seq, last seq)."""
        holes = []
        for log in sorted(self._open):
            progress = self._logs[log]
            for first, last in progress.passed.missing_upto(progress.announced_seq):
                search = progress.searches.get(first)
                if search is not None and search.rounds >= LOST_AFTER_ROUNDS:
                    holes.append((log, first, last))
        return holes

    def restore(self, log: LogId, applied: SeqSet) -> None:
        """Take up where a stored vector left off."""
        self.applied_count += len(applied)
        progress = self._logs[log] = _Progress(applied, announced_seq=applied.highest)
        if progress.has_hole:
            self._open.add(log)
            progress.due_s = -math.inf

    def vector(self) -> list[tuple[LogId, int]]:
        """For each log the highest seq known to exist."""
        return [(log, progress.announced_seq) for log, progress in sorted(self._logs.items())]

    def watermark(self, log: LogId) -> int:
        """Every entry of `log` up to here is applied or lost."""
        progress = self._logs.get(log)
        return progress.passed.upto if progress else 0

    @property
    def missing_count(self) -> int:
        """Entries known to exist and neither applied yet nor lost."""
        return sum(
            self._logs[log].announced_seq - len(self._logs[log].passed) for log in self._open
        )

    def missing_of(self, origin: NodeId) -> int:
        """The same of one node's logs."""
        logs = (self._logs[log] for log in self._open if log.origin == origin)
        return sum(progress.announced_seq - len(progress.passed) for progress in logs)

    @property
    def passed_count(self) -> int:
        """Entries applied or lost: equal in all nodes that have heard the same, though one may
        have applied what nobody can serve to the others any more."""
        return self.applied_count + self.lost_count

    @property
    def lost_count(self) -> int:
        """Entries that nobody holds any more."""
        return sum(len(self._logs[log].lost) for log in self._open)

    def _progress(self, log: LogId) -> _Progress | None:
        progress = self._logs.get(log)
        if progress is None:
            if not self.has_room_for(log):
                return None
            progress = self._logs[log] = _Progress()
        return progress

    def _find_again(
        self, progress: _Progress, first_seq: int, last_seq: int
    ) -> list[tuple[int, int]]:
        """Take what came of the lost entries out of them."""
        found = progress.lost.overlap(first_seq, last_seq)
        if found:
            progress.lost = progress.lost.without(SeqSet.of_ranges(found))
        if not progress.has_lost:
            progress.lost_due_s = math.inf
        return found

    def _announce(self, log: LogId, progress: _Progress, last_seq: int, now_s: float) -> None:
        progress.announced_seq = max(progress.announced_seq, last_seq)
        if not progress.has_hole:
            progress.due_s = None
            progress.attempts = 0
            self._close_if_whole(log, progress)
        elif progress.due_s is None:
            progress.due_s = now_s + self.random.uniform(*FETCH_DELAY_S)
        if progress.has_hole or progress.has_lost:
            self._open.add(log)

    def _close_if_whole(self, log: LogId, progress: _Progress) -> None:
        if not progress.has_hole:
            progress.searches.clear()
            if not progress.has_lost:
                self._open.discard(log)

    def _next_fetch(
        self, log: LogId, progress: _Progress, sources: Sequence[NodeId], now_s: float
    ) -> Fetch | None:
        """What to ask of whom for this log; moves its due time on."""
        if progress.lost_due_s <= now_s:
            progress.lost_due_s = now_s + self.random.uniform(0.5, 1.5) * LOST_RETRY_S
            if sources and progress.is_unsearched:
                # Who reads of the loss later than it was declared: it may have turned up since.
                progress.is_unsearched = False
                for source in sources:
                    self._ask_for_lost(source, log, progress)
            elif sources and progress.due_s is None:
                first, last = self.random.choice(progress.lost.ranges())
                return Fetch(self.random.choice(sources), log, first, last)
        if progress.due_s is None or progress.due_s > now_s:
            return None
        if not sources:
            progress.due_s = now_s + NOBODY_ALIVE_WAIT_S
            return None
        for first, last in progress.passed.missing_upto(progress.announced_seq):
            search = progress.searches.get(first)
            asked = search.not_held_by if search else ()
            candidates = [source for source in sources if source not in asked]
            if candidates:
                progress.due_s = now_s + FETCH_TIMEOUT_S
                return Fetch(candidates[progress.attempts % len(candidates)], log, first, last)
        self._end_round(progress, now_s)
        return None

    def _end_round(self, progress: _Progress, now_s: float) -> None:
        """Everyone alive has answered that it has nothing of what is missing."""
        for search in progress.searches.values():
            search.rounds += 1
            search.not_held_by.clear()
        progress.due_s = now_s + self.random.uniform(0.5, 1.0) * FETCH_BACKOFF_MAX_S


def _sources(
    origin: NodeId,
    alive: frozenset[NodeId],
    collector: NodeId | None,
    silent: frozenset[NodeId],
) -> Sequence[NodeId]:
    """Whom to ask for a log of `origin`, in order."""
    first = [node for node in (origin, collector) if node is not None and node in alive]
    others = sorted(alive - {origin, collector})
    return sorted(dict.fromkeys([*first, *others]), key=silent.__contains__)
