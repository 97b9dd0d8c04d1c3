"""What a seed stands for: nodes, their work, and the faults that befall them."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass

COLLECTOR = "collector"
LATECOMER = "latecomer"
LEAVER = "leaver"
FAULTS_MIN = 10
ENTRIES_MIN = 100
COLLECTOR_STARTS_S = 0.02
"""At the latest: producers are started when it is there, as in a run."""
JOINED_S = 0.6
"""By then all are in the mesh, where nothing goes wrong before."""
JOINING_SHARE = 0.15
"""Of the seeds, those in which things go wrong before."""


class FaultKind(enum.StrEnum):
    """What can go wrong."""

    LOSS = "loss"
    REORDERING = "reordering"
    REPETITION = "repetition"
    DELAY = "delay"
    PARTITION = "partition"
    PAUSE = "pause"
    CRASH = "crash"
    CRASH_UNTOLD = "crash_untold"
    """Between written and published; the collector between any two of its steps."""
    POWER_CUT = "power_cut"
    """What was not synced is lost in part."""
    LOST_LOG = "lost_log"
    """A power cut after which the newest log is missing whole."""
    OLD_COPY = "old_copy"
    """The node's directory is replaced by a copy made some time ago."""
    FULL_DISK = "full_disk"
    JOIN = "join"
    """A node comes late, by the word of one other."""
    LEAVE = "leave"
    """A node hands over and goes."""


NETWORK_KINDS = (FaultKind.LOSS, FaultKind.REORDERING, FaultKind.REPETITION, FaultKind.DELAY)
_WEIGHTS = {
    FaultKind.LOSS: 3,
    FaultKind.REORDERING: 1,
    FaultKind.REPETITION: 1,
    FaultKind.DELAY: 1,
    FaultKind.PARTITION: 3,
    FaultKind.PAUSE: 3,
    FaultKind.CRASH: 3,
    FaultKind.CRASH_UNTOLD: 2,
    FaultKind.POWER_CUT: 2,
    FaultKind.LOST_LOG: 1,
    FaultKind.OLD_COPY: 2,
    FaultKind.FULL_DISK: 2,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and for how long.

    `node` is empty where the network or several nodes are concerned; a node that is down when
    its fault is due is spared, and another takes its place.
    """

    at_s: float
    kind: FaultKind
    duration_s: float
    node: str = ""
    amount: float = 0.0
    """Share of messages concerned; seconds of delay; how old a copy is in seconds."""
    other_side: frozenset[str] = frozenset()
    """Who is cut off from the rest."""
    choice: int = 0
    """Which variant, where there are several."""

    def __str__(self) -> str:
        parts = [f"{self.kind} for {self.duration_s:.2f} s"]
        parts += [self.node] if self.node else []
        parts += [f"amount {self.amount:.2f}"] if self.amount else []
        parts += [f"cut off: {' '.join(sorted(self.other_side))}"] if self.other_side else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Work:
    """What one producer is to say."""

    label: str
    entries: int
    pace_s: float
    starts_s: float
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run of the mesh, from its seed alone."""

    seed: int
    names: tuple[str, ...]
    excluded: tuple[str, ...]
    producers: tuple[Work, ...]
    faults: tuple[Fault, ...]
    heal_s: float
    """From then on nothing goes wrong any more."""
    high_water_mark_messages: int

    @property
    def labels(self) -> list[str]:
        return [COLLECTOR, *(work.label for work in self.producers)]


def draw_scenario(seed: int) -> Scenario:
    """The scenario of `seed`: at least 5 nodes, ENTRIES_MIN entries, FAULTS_MIN faults."""
    dice = random.Random(f"scenario/{seed}")
    heal_s = dice.uniform(5.0, 8.0)
    names = tuple(f"Name {number}" for number in range(dice.randint(50, 150)))
    producers = _draw_producers(dice, heal_s)
    settled = [COLLECTOR, *(work.label for work in producers if work.label != LATECOMER)]
    first_s = 0.0 if dice.random() < JOINING_SHARE else JOINED_S
    faults = [_draw_fault(dice, settled, first_s, heal_s) for _ in range(dice.randint(14, 17))]
    for work in producers:
        if work.label == LATECOMER:
            faults.append(Fault(work.starts_s, FaultKind.JOIN, 0.0, work.label))
    if dice.random() < 0.04:
        faults.append(_long_absence(dice, settled))
        heal_s = faults[-1].at_s + faults[-1].duration_s
    return Scenario(
        seed=seed,
        names=names,
        excluded=tuple(dice.sample(names, 3)) if dice.random() < 0.3 else (),
        producers=tuple(producers),
        faults=tuple(sorted(faults, key=lambda fault: fault.at_s)),
        heal_s=heal_s,
        high_water_mark_messages=dice.choice((8, 30, 10_000)),
    )


def _draw_producers(dice: random.Random, heal_s: float) -> list[Work]:
    count = dice.choice((4, 4, 4, 5, 5, 6))
    entries = -(-(ENTRIES_MIN + 30) // count)
    pace_s = heal_s * 0.6 / entries
    producers = [
        Work(
            f"producer-{number}",
            entries + dice.randint(0, 8),
            pace_s * dice.uniform(0.7, 2.0),
            dice.uniform(0.05, 0.35),
        )
        for number in range(1, count + 1)
    ]
    if dice.random() < 0.4:
        starts_s = dice.uniform(1.5, heal_s - 0.5)
        producers.append(Work(LATECOMER, dice.randint(0, 12), pace_s, starts_s))
    if dice.random() < 0.4:
        producers.append(Work(LEAVER, dice.randint(2, 12), pace_s, 0.1, leaves=True))
    return producers


def _draw_fault(dice: random.Random, labels: list[str], first_s: float, heal_s: float) -> Fault:
    kind = dice.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    at_s = dice.uniform(first_s, heal_s - 0.3)
    duration_s = dice.uniform(0.2, 3.2)
    if kind is FaultKind.PARTITION:
        cut_off = frozenset(dice.sample(labels, dice.randint(1, len(labels) - 1)))
        return Fault(at_s, kind, duration_s, other_side=cut_off)
    if kind in NETWORK_KINDS:
        return Fault(at_s, kind, duration_s, amount=_AMOUNTS[kind](dice))
    # The collector is concerned about as often as all producers together.
    node = COLLECTOR if dice.random() < 0.4 else dice.choice(labels[1:])
    amount = dice.uniform(0.2, 4.0) if kind is FaultKind.OLD_COPY else 0.0
    return Fault(at_s, kind, min(duration_s, 2.5), node, amount, choice=dice.randrange(12))


_AMOUNTS: dict[FaultKind, Callable[[random.Random], float]] = {
    FaultKind.LOSS: lambda dice: dice.uniform(0.05, 0.9),
    FaultKind.REORDERING: lambda dice: dice.uniform(0.05, 0.5),
    FaultKind.REPETITION: lambda dice: dice.uniform(0.05, 0.5),
    FaultKind.DELAY: lambda dice: dice.uniform(0.05, 1.5),
}


def _long_absence(dice: random.Random, labels: list[str]) -> Fault:
    """Long enough that the others take the node for dead."""
    kind = dice.choice((FaultKind.CRASH, FaultKind.PAUSE, FaultKind.PARTITION))
    node, at_s, duration_s = dice.choice(labels), dice.uniform(2.0, 6.0), dice.uniform(31.0, 36.0)
    if kind is FaultKind.PARTITION:
        return Fault(at_s, kind, duration_s, other_side=frozenset({node}))
    return Fault(at_s, kind, duration_s, node)
