"""What a scripted node stands in: time, network, dice, and those who watch it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Endpoint, Member, Role
from mesh.core.protections import Protections
from mesh.core.seqset import SeqSet
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.nodes.peer.shelf import LogShelf
from mesh.transport.in_memory import InMemoryTransport, Network
from tests.simulation.disks import NodeDisk
from tests.simulation.virtual_clock import ProcessTimers, VirtualClock

RUN = b"a simulated run."
BEGINNING_US = 1_760_000_000_000_000
"""The wall clock at the world's beginning."""


class Violation(AssertionError):
    """An invariant does not hold. `invariant` is its name, `detail` says where."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
        self.detail = detail


@dataclass(slots=True)
class Trace:
    """What happened, line by line; kept only where somebody wants to read it."""

    clock: VirtualClock
    is_kept: bool = False
    lines: list[str] = field(default_factory=list)

    def note(self, label: str, *words: object) -> None:
        if self.is_kept:
            said = " ".join(str(word) for word in words)
            self.lines.append(f"{self.clock.time():9.4f} {label:12} {said}")


@dataclass(slots=True)
class Surroundings:
    """The world, as far as one node's processes see it."""

    label: str
    clock: VirtualClock
    network: Network
    dice: random.Random
    """The script's own, which no process takes with it when it dies."""
    protections: Protections
    trace: Trace
    seeds: Callable[[], list[Endpoint]]
    ended: Callable[[str], None]
    """The process ends by itself: "left", "died", "overtaken"."""
    wall_skew_us: int = 0

    def wall_us(self) -> int:
        return BEGINNING_US + self.wall_skew_us + int(self.clock.time() * 1e6)


class ScriptedProcess:
    """One process of one node: the real MeshNode, from one start to its end.

    What producers and collector do with it is their own.
    """

    role: Role

    def __init__(self, around: Surroundings, disk: NodeDisk) -> None:
        self.around = around
        self.disk = disk
        self.timers = ProcessTimers(around.clock)
        self.applied: dict[LogId, SeqSet] = {}
        """What this process was handed, each entry once."""
        self.node: MeshNode
        self.transport: InMemoryTransport
        self._members_saved = True

    def open_node(
        self, shelf: LogShelf, earlier_logs: list[tuple[int, int]], host: str, owner: object
    ) -> None:
        """Make transport and node; nothing is heard before this returns."""
        around, disk = self.around, self.disk
        self.transport = InMemoryTransport(around.network, disk.origin, self.timers, host=host)
        own = Member(
            origin=disk.origin,
            label=around.label,
            role=self.role,
            epoch=disk.epoch,
            feed_address=self.transport.feed_address,
            service_address=self.transport.service_address,
            host=around.label,
            earlier_logs=tuple(sorted(earlier_logs)),
        )
        self.node = MeshNode(
            own=own,
            run_id=RUN,
            owner=owner,  # type: ignore[arg-type]
            shelf=shelf,
            random=random.Random(around.dice.getrandbits(64)),
            clock=self.timers,
            wall_us=around.wall_us,
            protections=around.protections,
        )
        self.node.attach(self.transport)
        self.transport.start(self.node)

    # What the node asks of every owner

    def note_applied(self, log: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        last_seq = first_seq + len(entries) - 1
        new = self.applied.setdefault(log, SeqSet()).add_range(first_seq, last_seq)
        if self.around.trace.is_kept:
            self.around.trace.note(self.around.label, "applies", log, first_seq, last_seq)
        if new != [(first_seq, last_seq)]:
            raise Violation(
                "applied_once",
                f"{self.around.label} was handed {log} {first_seq}..{last_seq} again",
            )

    def members_changed(self) -> None:
        self._members_saved = False

    def join_refused(self, reason: str) -> None:
        raise Violation("joins", f"{self.around.label} may not join: {reason}")

    def overtaken(self, epoch: int) -> None:
        self.disk.last_epoch = max(self.disk.last_epoch, epoch)
        self.around.trace.note(self.around.label, "was heard in epoch", epoch)
        self.timers.call_later(0.0, self.around.ended, "overtaken")

    def save_members(self) -> None:
        if not self._members_saved and not self.disk.is_full:
            self._members_saved = True
            self.disk.members = self.node.membership.others()
            self.disk.collector = self.node.membership.collector_origin

    def end(self) -> None:
        """The process is gone, whatever it was doing."""
        self.timers.end()
        self.transport.close()

    @property
    def origin(self) -> NodeId:
        return self.disk.origin
