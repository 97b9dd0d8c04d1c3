"""Seeds to outcomes: one in this process, or many over several processes."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from mesh.core.protections import ALL_ON, Protections
from tests.simulation.judging import judge, why_not_converged
from tests.simulation.scenarios import (
    ENTRIES_MIN,
    FAULTS_MIN,
    FaultKind,
    Scenario,
    draw_scenario,
)
from tests.simulation.surroundings import Violation
from tests.simulation.world import LOOK_S, World

CONVERGE_S_MAX = 45.0
"""Virtual seconds from the last fault, start or word until all nodes know the same."""
SPEAK_S_MAX = 60.0
"""Virtual seconds from the healing until every producer has said what it has to say."""
NODES_MIN = 5
SMALL_SHARE_MAX = 1e-4
"""Of a hundred thousand seeds one had nine faults: the nodes they were for were down."""
IDLE_SHARE_MAX = 0.1
"""Of the seeds, those in which fewer than ENTRIES_MIN entries are said amid the faults: who is
down, stopped or without room says nothing."""
SEEDS_IN_A_PART = 20
GC_THRESHOLD = 100_000
"""Objects allocated between two looks for garbage in cycles."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one seed."""

    seed: int
    invariant: str | None
    """The one that was violated; None: none was."""
    detail: str
    nodes: int
    entries: int
    """Found and repeated, written to a log."""
    entries_amid_faults: int
    """Of them, those said before the last fault was over."""
    faults: int
    lost_places: int
    """Log entries that a fault destroyed and that were declared lost."""
    converge_s: float
    """Virtual, after the last fault, start or word."""
    virtual_s: float
    steps: int
    fingerprint: str
    """Of all that happened: equal for equal runs."""
    recounted: bool = False
    """Its metrics were compared with a count of all logs."""
    trace: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    """The faults that took place."""

    def __str__(self) -> str:
        verdict = "converged" if self.invariant is None else f"VIOLATED {self.invariant}"
        return (
            f"seed {self.seed}: {verdict}; {self.nodes} nodes, {self.entries} entries, "
            f"{self.faults} faults, {self.converge_s:.2f} s to converge, {self.steps} steps"
            + (f": {self.detail}" if self.invariant else "")
        )


def run_seed(seed: int, protections: Protections = ALL_ON, *, trace: bool = False) -> Outcome:
    """Run the scenario of `seed` to its end or to the first violation."""
    return run_scenario(draw_scenario(seed), protections, trace=trace)


def run_scenario(
    scenario: Scenario, protections: Protections = ALL_ON, *, trace: bool = False
) -> Outcome:
    """The same of a scenario that no seed has drawn."""
    with unwarned():
        return _ran(World(scenario, protections, keeps_trace=trace), trace=trace)


@contextlib.contextmanager
def unwarned() -> Iterator[None]:
    """What nodes warn of is what this is made of: thousands of dropped frames."""
    logger = logging.getLogger("mesh")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _ran(world: World, *, trace: bool) -> Outcome:
    invariant, detail, converge_s, recounted = None, "", 0.0, False
    amid_faults = 0
    try:
        world.run_until(world.scenario.heal_s)
        amid_faults = _said_count(world)
        world.heal()
        converge_s = _converge(world)
        recounted = judge(world)
    except Violation as violation:
        invariant, detail = violation.invariant, violation.detail
    except Exception as error:
        # Whatever breaks a node is a finding of this seed; the others go on.
        invariant, detail = "no_crash", f"{type(error).__name__}: {error}"
        if trace:
            raise
    outcome = _outcome(world, invariant, detail, converge_s)
    return dataclasses.replace(outcome, recounted=recounted, entries_amid_faults=amid_faults)


def _said_count(world: World) -> int:
    return sum(slot.script.said_count for slot in world.slots.values() if slot.script)


def _converge(world: World) -> float:
    """Let time pass until nothing differs any more; return how long it took.

    The time counts from the last disturbance: a fault's end, a start, the last word said.
    """
    spoken_by_s = world.clock.time() + SPEAK_S_MAX
    while True:
        now_s = world.clock.time()
        reason = why_not_converged(world)
        if reason is None:
            return now_s - world.disturbed_s
        if any(not producer.is_through for producer in world.producers()):
            world.disturbed_s = now_s
            if now_s > spoken_by_s:
                raise Violation("speaks", f"after {SPEAK_S_MAX:g} s {reason}")
        if now_s - world.disturbed_s > CONVERGE_S_MAX:
            raise Violation("converges", f"after {CONVERGE_S_MAX:g} s {reason}")
        world.run_until(now_s + LOOK_S)


def _outcome(world: World, invariant: str | None, detail: str, converge_s: float) -> Outcome:
    collector = world.collector
    counts = world.network.counts
    told = f"{counts} {world.clock.called_count} {world.database.accepted} {detail}"
    return Outcome(
        seed=world.scenario.seed,
        invariant=invariant,
        detail=detail,
        nodes=sum(slot.starts > 0 for slot in world.slots.values()),
        entries=_said_count(world),
        entries_amid_faults=0,
        faults=len(world.injected),
        lost_places=collector.node.replica.lost_count if collector else 0,
        converge_s=converge_s,
        virtual_s=world.clock.time(),
        steps=world.clock.called_count,
        fingerprint=hashlib.sha256(told.encode()).hexdigest()[:16],
        trace=tuple(world.trace.lines),
        kinds=tuple(fault.kind.value for fault in world.injected),
    )


@dataclass(slots=True)
class Tally:
    """What became of many seeds."""

    seeds: int = 0
    violations: list[Outcome] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    lost_places: int = 0
    recounted: int = 0
    steps: int = 0
    small: int = 0
    """Whole seeds in which less was there or took place than a scenario is to have."""
    idle: int = 0
    """Whole seeds in which little was said amid the faults."""
    least_nodes: int = 1_000_000
    least_entries: int = 1_000_000
    least_faults: int = 1_000_000
    converge_s: list[float] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.kinds.update(outcome.kinds)
        self.steps += outcome.steps
        self.lost_places += outcome.lost_places
        if outcome.invariant is not None:
            self.violations.append(outcome)
            return
        self.entries += outcome.entries
        self.recounted += outcome.recounted
        self.least_nodes = min(self.least_nodes, outcome.nodes)
        self.least_entries = min(self.least_entries, outcome.entries)
        self.least_faults = min(self.least_faults, outcome.faults)
        self.converge_s.append(outcome.converge_s)
        self.idle += outcome.entries_amid_faults < ENTRIES_MIN
        self.small += (
            outcome.nodes < NODES_MIN
            or outcome.entries < ENTRIES_MIN
            or outcome.faults < FAULTS_MIN
        )

    def untested(self) -> list[str]:
        """What so many whole seeds should have put to the test and have not; [] for all of it."""
        whole = self.seeds - len(self.violations)
        facts = {
            f"{self.small} seeds with few nodes, entries or faults": self.small
            <= self.seeds * SMALL_SHARE_MAX,
            f"{self.idle} seeds said little amid the faults": self.idle
            <= self.seeds * IDLE_SHARE_MAX,
            f"metrics recounted in {self.recounted} seeds": self.recounted > 0.8 * whole,
            "no fault destroyed anything": self.lost_places > 0,
        }
        facts |= {
            f"{kind} in {self.kinds[kind]} places": self.kinds[kind] >= self.seeds / 20
            for kind in FaultKind
        }
        return [fact for fact, is_enough in facts.items() if not is_enough]


def run_seeds(
    seeds: Iterable[int], protections: Protections = ALL_ON, *, processes: int = 2
) -> Iterator[Outcome]:
    """Outcomes in order of the seeds, made by `processes` at once."""
    parts = _parts(list(seeds))
    if processes == 1:
        for part in parts:
            yield from _run_part(part, protections)
        return
    # Spawned: a copy of a process that has threads may inherit a lock that nobody lets go of.
    with ProcessPoolExecutor(processes, get_context("spawn"), _collect_rarely) as pool:
        for outcomes in pool.map(_run_part, parts, [protections] * len(parts)):
            yield from outcomes


def _collect_rarely() -> None:
    """A seed's objects live as long as the seed: looking for garbage within it finds little, and
    none among what was imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _parts(seeds: list[int]) -> list[list[int]]:
    return [
        seeds[start : start + SEEDS_IN_A_PART] for start in range(0, len(seeds), SEEDS_IN_A_PART)
    ]


def _run_part(seeds: list[int], protections: Protections) -> list[Outcome]:
    return [run_seed(seed, protections) for seed in seeds]
