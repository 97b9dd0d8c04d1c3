"""Rounds of faults: one to three at once, then the wait until all is well, and how long it took.

A round's clock starts when its last fault has ended: a link is up, a process goes on, a killed
node is ready. What had been said by then, anywhere, must come to be held everywhere, and be
stored by the collector. The run goes on at full speed meanwhile.

A producer is ready once it works again: its first words, since it says nothing before. Until then
it reads what it had heard, joins, and catches up; so the time since it opened its new log, the
first that it does, is taken as well.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.fault_disk import Positions, Said
from bench.fault_kinds import ALL, KILLS, Fault, collector_away
from bench.fault_machines import Node
from bench.fault_runs import POLL_S, FaultRun, await_that

FAULTS_AT_ONCE_MAX = 3
STAGGER_S = 2.0
"""The faults of a round begin within this time."""
CONVERGE_WAIT_S = 60.0
"""A round that takes longer has not converged; the target is 5 s."""
OUTPUT_WAIT_S = 60.0
WARM_ENTRIES = 20
"""Of each producer, before its pace counts."""


@dataclass(frozen=True, slots=True)
class Mending:
    """How long it took until all knew what all had said."""

    since_opened_s: float
    """Since each killed node had opened its new log."""
    since_ready_s: float
    """Since each killed node was ready."""
    lacking: str = ""
    """It did not come to that in time: who lacked how much."""


@dataclass(slots=True)
class Tally:
    """What came of all rounds so far."""

    injected: Counter[str] = field(default_factory=Counter)
    converged_s: list[float] = field(default_factory=list)
    """Of each round, since all was ready."""
    converged_by_kind_s: dict[str, list[float]] = field(default_factory=dict)
    since_opened_s: list[float] = field(default_factory=list)
    """Of each round with kills, since all had opened their new logs."""
    not_converged: list[str] = field(default_factory=list)
    """Rounds that did not converge in time, with what was lacking where."""

    @property
    def kill_count(self) -> int:
        return sum(self.injected[kind] for kind in (*KILLS, "collector_away"))

    def add(self, faults: Sequence[Fault], mending: Mending) -> None:
        self.converged_s.append(mending.since_ready_s)
        if any(fault.killed for fault in faults):
            self.since_opened_s.append(mending.since_opened_s)
        for fault in faults:
            self.injected[fault.kind] += 1
            times_s = self.converged_by_kind_s.setdefault(fault.kind, [])
            times_s.append(mending.since_ready_s)
        if mending.lacking:
            what = ", ".join(f"{fault.kind} {fault.target}" for fault in faults)
            self.not_converged.append(f"{what}: lacking {mending.lacking}")


@dataclass(frozen=True, slots=True)
class Absence:
    """What producers did while the collector was away."""

    before_per_s: float
    """Unique entries a second among them, for as long before."""
    away_per_s: float
    after_per_s: float
    in_output_s: float
    """From the collector's being ready to output.txt's holding all that was said by then."""


class Deck:
    """Draws kinds so that all come up equally often, in seeded order."""

    def __init__(self, kinds: Sequence[str], random: random.Random) -> None:
        self._kinds = list(kinds)
        self._random = random
        self._left: list[str] = []

    def draw(self) -> str:
        if not self._left:
            self._left = list(self._kinds)
            self._random.shuffle(self._left)
        return self._left.pop()


def draw_round(run: FaultRun, deck: Deck, random: random.Random) -> list[Fault]:
    """One to three faults that hit different targets."""
    faults: list[Fault] = []
    for _ in range(random.choice(range(1, FAULTS_AT_ONCE_MAX + 1))):
        fault = ALL[deck.draw()](run, random)
        if all(_apart(fault, other) for other in faults):
            faults.append(fault)
    return faults


def run_round(run: FaultRun, faults: Sequence[Fault], random: random.Random, tally: Tally) -> None:
    """Let the faults happen, wait until all is well, note how long it took."""
    _let_happen(faults, random)
    killed: dict[Node, int] = {}
    for fault in faults:
        for node, epoch in fault.killed.items():
            killed[node] = max(epoch, killed.get(node, 0))
    tally.add(faults, await_mended(run, killed))


def await_mended(run: FaultRun, killed: Mapping[Node, int]) -> Mending:
    """Wait until all is well after the last fault's end.

    Args:
        killed: nodes that were, and the epoch that each was in.
    """
    opened = _Mark(run.await_whole(killed), run.said_positions())
    ready: _Mark | None = None
    while time.monotonic() < opened.since_s + CONVERGE_WAIT_S:
        now_s = time.monotonic()
        run.look()
        if ready is None and all(run.has_spoken(node) for node in killed):
            ready = _Mark(now_s, run.said_positions())
        for mark in (opened, ready):
            if mark is not None and mark.reached_s is None and not run.lacking(mark.said):
                mark.reached_s = now_s
        if ready and ready.reached_s is not None and opened.reached_s is not None:
            return Mending(opened.reached_s - opened.since_s, ready.reached_s - ready.since_s)
        time.sleep(POLL_S)
    lacking = {str(node): count for node, count in run.lacking((ready or opened).said).items()}
    return Mending(CONVERGE_WAIT_S, CONVERGE_WAIT_S, str(lacking or "nodes that never spoke"))


@dataclass(slots=True)
class _Mark:
    """A moment, what had been said by then, and when everyone knew it."""

    since_s: float
    said: Positions
    reached_s: float | None = None


def take_collector_away(run: FaultRun, away_s: float, tally: Tally) -> Absence:
    """Stop the collector's machine for a while; compare what producers do before and meanwhile."""
    # A run that has just begun is slower than it will be.
    await_that(lambda: _all_have_said(run, WARM_ENTRIES), "entries of each", OUTPUT_WAIT_S)
    time.sleep(away_s)
    left_s = time.time()
    fault = collector_away(run, away_s)
    fault.begin()
    time.sleep(away_s)
    back_s = time.time()
    fault.end()
    ready_s = run.await_whole(fault.killed)
    said = run.said_positions()
    stored_s = await_that(lambda: _is_in_output(run, said), "all in output.txt", OUTPUT_WAIT_S)
    tally.add([fault], await_mended(run, fault.killed))
    time.sleep(max(0.0, back_s + away_s - time.time()))
    run.look()
    entries = [each for disk in run.producer_disks() for each in disk.said]
    return Absence(
        before_per_s=new_per_s(entries, left_s - away_s, left_s),
        away_per_s=new_per_s(entries, left_s, back_s),
        after_per_s=new_per_s(entries, back_s, back_s + away_s),
        in_output_s=stored_s - ready_s,
    )


def undisturbed_per_s(run: FaultRun, away_s: float) -> float:
    """What a run like that one finds where nobody is away, in the same part of its course: fewer
    in every minute, since a topic's first entries come to mind first."""
    await_that(lambda: _all_have_said(run, WARM_ENTRIES), "entries of each", OUTPUT_WAIT_S)
    begun_s = time.time()
    time.sleep(2 * away_s)
    run.look()
    entries = [each for disk in run.producer_disks() for each in disk.said]
    return new_per_s(entries, begun_s + away_s, begun_s + 2 * away_s)


def new_per_s(entries: Sequence[Said], from_s: float, to_s: float) -> float:
    """Entries a second that any producer was the first to find in this time."""
    first_s: dict[bytes, float] = {}
    for entry in entries:
        first_s[entry.key] = min(entry.time_s, first_s.get(entry.key, entry.time_s))
    return sum(from_s <= each < to_s for each in first_s.values()) / (to_s - from_s)


def _let_happen(faults: Sequence[Fault], random: random.Random) -> None:
    """Begin and end each at its time; whatever happens, each that has begun ends."""
    starts_s = [random.uniform(0.0, STAGGER_S) if len(faults) > 1 else 0.0 for _ in faults]
    events = [(start_s, fault.begin) for start_s, fault in zip(starts_s, faults, strict=True)]
    ends = [
        (start_s + fault.hold_s, fault.end) for start_s, fault in zip(starts_s, faults, strict=True)
    ]
    begun_s = time.monotonic()
    try:
        for at_s, act in sorted([*events, *ends], key=lambda event: event[0]):
            time.sleep(max(0.0, begun_s + at_s - time.monotonic()))
            act()
    except BaseException:
        for fault in faults:
            fault.end()
        raise


def _all_have_said(run: FaultRun, count: int) -> bool:
    run.look()
    return all(len(disk.said) >= count for disk in run.producer_disks())


def _apart(one: Fault, other: Fault) -> bool:
    """Whether both can happen at once and still be told apart."""
    if one.machine is None or other.machine is None:
        return one.kind != other.kind
    return one.machine is not other.machine


def _is_in_output(run: FaultRun, said: Positions) -> bool:
    if run.collector in run.lacking(said):
        return False
    accepted_count = run.collector_disk.accepted_count()
    return run.collector_disk.output_count() >= accepted_count
