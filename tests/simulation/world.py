"""One simulated mesh: its nodes, what goes wrong with them, and the time in between."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass, field

from mesh.core.items import NodeId
from mesh.core.membership import Endpoint
from mesh.core.protections import ALL_ON, Protections
from mesh.transport.in_memory import CALM, Conditions, Network
from tests.simulation.collectors import STEPS, ScriptedCollector
from tests.simulation.disks import CollectorDisk, NodeDisk
from tests.simulation.producers import Script, ScriptedProducer
from tests.simulation.scenarios import (
    COLLECTOR,
    COLLECTOR_STARTS_S,
    LATECOMER,
    NETWORK_KINDS,
    Fault,
    FaultKind,
    Scenario,
)
from tests.simulation.surroundings import ScriptedProcess, Surroundings, Trace
from tests.simulation.virtual_clock import VirtualClock
from tests.simulation.watching import DatabaseWatch, ProcessWatch

LOOK_S = 0.25
"""Between two looks at all nodes."""
HURRIED_PACE_S = 0.03
"""Once all is healed what is left to say is said quickly."""
RESTART_S = (0.05, 0.4)
"""After a process ended by itself."""


@dataclass(slots=True)
class Slot:
    """One node: its directory, and the process that runs on it, if one does."""

    label: str
    disk: NodeDisk
    around: Surroundings
    script: Script | None
    """None: the collector."""
    host: str
    process: ScriptedProcess | None = None
    watch: ProcessWatch | None = None
    starts: int = 0
    is_gone: bool = False
    """It has handed over and left for good."""
    is_away: bool = False
    """A fault keeps it down."""
    paused: bool = False


@dataclass(slots=True)
class World:
    """A scenario under way."""

    scenario: Scenario
    protections: Protections = ALL_ON
    keeps_trace: bool = False
    clock: VirtualClock = field(default_factory=VirtualClock)
    network: Network = field(init=False)
    trace: Trace = field(init=False)
    slots: dict[str, Slot] = field(init=False)
    database: DatabaseWatch = field(init=False)
    injected: list[Fault] = field(default_factory=list)
    """Faults that took place."""
    copies: int = 0
    """Old copies that took the collector's place."""
    disturbed_s: float = 0.0
    """When something last went wrong or started anew."""
    _dice: random.Random = field(init=False)
    _rough: dict[int, Conditions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seed = self.scenario.seed
        self._dice = random.Random(f"world/{seed}")
        self.trace = Trace(self.clock, self.keeps_trace)
        self.network = Network(
            random.Random(f"network/{seed}"),
            self.clock,
            high_water_mark_messages=self.scenario.high_water_mark_messages,
        )
        disk = CollectorDisk(self._origin())
        self.database = DatabaseWatch(disk.connection)
        self.slots = {COLLECTOR: self._slot(COLLECTOR, disk, None)}
        for work in self.scenario.producers:
            script = Script(self.scenario.names, work.entries, work.pace_s, work.leaves)
            self.slots[work.label] = self._slot(work.label, NodeDisk(self._origin()), script)
        self._schedule()

    # The course of a run

    def run_until(self, end_s: float) -> None:
        """Let time pass, looking at every node now and then."""
        while self.clock.time() < end_s:
            self.clock.run_until(min(end_s, self.clock.time() + LOOK_S))
            for slot in self.slots.values():
                if slot.watch is not None:
                    slot.watch.look()

    def heal(self) -> None:
        """From now on everything works."""
        self.trace.note("world", "heals")
        self.network.conditions = CALM
        self._rough.clear()
        self.network.heal()
        for slot in self.slots.values():
            slot.disk.make_room()
            self._resume(slot)
            slot.is_away = False
            if slot.script is not None:
                slot.script.pace_s = HURRIED_PACE_S
            if isinstance(slot.process, ScriptedCollector):
                slot.process.dies_when = None
            elif isinstance(slot.process, ScriptedProducer):
                slot.process.dies_before_telling = False
            self._start(slot)
        self._disturb()

    @property
    def collector(self) -> ScriptedCollector | None:
        process = self.slots[COLLECTOR].process
        return process if isinstance(process, ScriptedCollector) else None

    def producers(self) -> list[ScriptedProducer]:
        """Those that run."""
        processes = (slot.process for slot in self.slots.values())
        return [process for process in processes if isinstance(process, ScriptedProducer)]

    def present(self) -> list[Slot]:
        """Nodes that have not left for good."""
        return [slot for slot in self.slots.values() if not slot.is_gone]

    # Nodes

    def _origin(self) -> NodeId:
        return NodeId(self._dice.randbytes(16))

    def _slot(self, label: str, disk: NodeDisk, script: Script | None) -> Slot:
        around = Surroundings(
            label,
            self.clock,
            self.network,
            random.Random(f"{label}/{self.scenario.seed}"),
            self.protections,
            self.trace,
            lambda: self._seeds(slot),
            lambda how: self._ended(slot, how),
            wall_skew_us=self._dice.randint(-5_000_000, 5_000_000),
        )
        slot = Slot(label, disk, around, script, host=label)
        return slot

    def _schedule(self) -> None:
        starts_s = self._dice.uniform(0.0, COLLECTOR_STARTS_S)
        self.clock.call_later(starts_s, self._start, self.slots[COLLECTOR])
        for work in self.scenario.producers:
            if work.label != LATECOMER:
                self.clock.call_later(work.starts_s, self._start, self.slots[work.label])
        for index, fault in enumerate(self.scenario.faults):
            if fault.kind is FaultKind.OLD_COPY:
                copied_s = max(0.1, fault.at_s - fault.amount)
                self.clock.call_later(copied_s, self._copy_for, fault)
            else:
                self.clock.call_later(fault.at_s, self._inject, index, fault)

    def _start(self, slot: Slot) -> None:
        if slot.process is not None or slot.is_gone or slot.is_away:
            return
        slot.starts += 1
        self.trace.note(slot.label, "starts")
        if isinstance(slot.disk, CollectorDisk):
            slot.process = self.collector_on(slot, slot.disk)
        else:
            assert slot.script is not None
            slot.process = self.producer_on(slot, slot.script)
        slot.watch = ProcessWatch(slot.process)
        self._disturb()

    def collector_on(self, slot: Slot, disk: CollectorDisk) -> ScriptedCollector:
        """A process of the collector."""
        excluded = self.scenario.excluded
        return ScriptedCollector(slot.around, disk, self.database, excluded, host=slot.host)

    def producer_on(self, slot: Slot, script: Script) -> ScriptedProducer:
        """A process of a producer."""
        return ScriptedProducer(slot.around, slot.disk, script, host=slot.host)

    def _end(self, slot: Slot) -> None:
        if slot.process is not None:
            slot.process.end()
            slot.process = slot.watch = None
            slot.paused = False
            self._disturb()

    def _ended(self, slot: Slot, how: str) -> None:
        """A process says that it ends, in the midst of what it does."""
        self.trace.note(slot.label, "ends:", how)
        self._end(slot)
        if how == "left":
            slot.is_gone = True
            self._note(Fault(self.clock.time(), FaultKind.LEAVE, 0.0, slot.label))
        else:
            if how == "died":
                self._note(Fault(self.clock.time(), FaultKind.CRASH_UNTOLD, 0.0, slot.label))
            self.clock.call_later(self._dice.uniform(*RESTART_S), self._start, slot)

    def _seeds(self, slot: Slot) -> list[Endpoint]:
        """Services that a supervisor or a ticket would name: the collector's, and for a latecomer
        some other's."""
        named = self.slots["producer-1"] if slot.label == LATECOMER else self.slots[COLLECTOR]
        return [] if named is slot else [Endpoint(f"tcp://{named.host}:2")]

    def _disturb(self) -> None:
        self.disturbed_s = self.clock.time()

    # Faults

    def _inject(self, index: int, fault: Fault) -> None:
        if self.clock.time() >= self.scenario.heal_s:
            return
        kind = fault.kind
        if kind in NETWORK_KINDS:
            self._roughen(index, fault)
        elif kind is FaultKind.PARTITION:
            self._cut(fault)
        elif kind is FaultKind.JOIN:
            self._start(self.slots[fault.node])
        else:
            slot = self._victim(fault)
            if slot is None:
                return
            fault = dataclasses.replace(fault, node=slot.label)
            self._strike(slot, fault)
            if kind is FaultKind.CRASH_UNTOLD:
                return  # It counts when it has come to pass.
        self._note(fault)

    def _note(self, fault: Fault) -> None:
        self.trace.note("world", fault)
        self.injected.append(fault)
        self._disturb()

    def _victim(self, fault: Fault) -> Slot | None:
        """The node that a fault is for, or another that runs."""
        wanted = self.slots[fault.node]
        running = [slot for slot in self.slots.values() if slot.process and not slot.paused]
        if wanted in running or not running:
            return wanted if running else None
        return running[fault.choice % len(running)]

    def _strike(self, slot: Slot, fault: Fault) -> None:
        match fault.kind:
            case FaultKind.PAUSE:
                assert slot.process is not None
                slot.process.timers.pause()
                slot.paused = True
                self.clock.call_later(fault.duration_s, self._resume, slot)
            case FaultKind.FULL_DISK:
                self._fill(slot, fault)
            case FaultKind.CRASH_UNTOLD:
                self._doom(slot, fault)
            case _:
                self._crash(slot, fault)

    def _crash(self, slot: Slot, fault: Fault) -> None:
        self._end(slot)
        slot.is_away = True
        if fault.kind in (FaultKind.POWER_CUT, FaultKind.LOST_LOG):
            loses_log = fault.kind is FaultKind.LOST_LOG
            slot.disk.lose_power(self._dice, loses_log=loses_log)
            if isinstance(slot.disk, CollectorDisk):
                slot.disk.output.lose_power(self._dice)
        if fault.choice % 6 == 0:
            # Another process has taken the ports meanwhile.
            slot.host = f"{slot.label}-{slot.starts}"
        if fault.choice % 4 == 0:
            slot.around.wall_skew_us -= 3_600_000_000
        self.clock.call_later(fault.duration_s, self._return, slot, slot.starts)

    def _return(self, slot: Slot, starts: int) -> None:
        if slot.starts == starts:
            slot.is_away = False
            self._start(slot)

    def _resume(self, slot: Slot) -> None:
        if slot.paused and slot.process is not None:
            slot.paused = False
            slot.process.timers.resume()
            self._disturb()

    def _doom(self, slot: Slot, fault: Fault) -> None:
        if isinstance(slot.process, ScriptedCollector):
            slot.process.dies_when = STEPS[fault.choice % len(STEPS)]
        elif isinstance(slot.process, ScriptedProducer):
            slot.process.dies_before_telling = True

    def _fill(self, slot: Slot, fault: Fault) -> None:
        slot.disk.fill()
        if isinstance(slot.disk, CollectorDisk):
            slot.disk.fill_files(database=fault.choice % 3 != 0, output=fault.choice % 3 != 1)
        self.clock.call_later(fault.duration_s, self._make_room, slot)

    def _make_room(self, slot: Slot) -> None:
        slot.disk.make_room()  # The one that it has by then.

    def _copy_for(self, fault: Fault) -> None:
        copy = self.slots[fault.node].disk.copy()
        self.clock.call_later(fault.at_s - self.clock.time(), self._restore_copy, fault, copy)

    def _restore_copy(self, fault: Fault, copy: NodeDisk) -> None:
        slot = self.slots[fault.node]
        if slot.is_gone or not slot.starts or self.clock.time() >= self.scenario.heal_s:
            return
        self._end(slot)
        slot.disk = copy
        if isinstance(copy, CollectorDisk):
            self.copies += 1
            self.database.restored(copy.connection)
        self._crash(slot, fault)
        self._note(fault)

    def _cut(self, fault: Fault) -> None:
        sides = {
            slot.disk.origin: int(label in fault.other_side) for label, slot in self.slots.items()
        }
        self.network.cut(sides)
        self.clock.call_later(fault.duration_s, self._heal_cut, fault)

    def _heal_cut(self, fault: Fault) -> None:
        latest = [each for each in self.injected if each.kind is FaultKind.PARTITION][-1]
        if latest is fault:
            self.network.heal()
            self._disturb()

    def _roughen(self, index: int, fault: Fault) -> None:
        low, high = CALM.delay_s
        amount = fault.amount
        self._rough[index] = {
            FaultKind.LOSS: Conditions(loss=amount),
            FaultKind.REORDERING: Conditions(reordering=amount),
            FaultKind.REPETITION: Conditions(repetition=amount),
            FaultKind.DELAY: Conditions(delay_s=(low, high + amount)),
        }[fault.kind]
        self._combine()
        self.clock.call_later(fault.duration_s, self._smooth, index)

    def _smooth(self, index: int) -> None:
        if self._rough.pop(index, None) is not None:
            self._combine()
            self._disturb()

    def _combine(self) -> None:
        """The worst of everything that is the matter now."""
        every = [CALM, *self._rough.values()]
        self.network.conditions = Conditions(
            delay_s=(CALM.delay_s[0], max(each.delay_s[1] for each in every)),
            loss=max(each.loss for each in every),
            repetition=max(each.repetition for each in every),
            reordering=max(each.reordering for each in every),
        )
