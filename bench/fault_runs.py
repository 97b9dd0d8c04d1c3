"""A whole run under faults: a collector's machine, machines of producers, a network between.

Started, watched and ended as users do: the collector first, producers by its ticket, Ctrl-C at
the collector in the end. A run is whole when every node runs and has got as far as its log;
it has converged when every node holds what anyone had said at a given moment.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.fault_disk import CollectorDisk, Positions, ProducerDisk, Said
from bench.fault_machines import COLLECTOR, Machine, Node
from bench.fault_networks import NamespaceNetwork, Network, RelayNetwork
from bench.made_up import made_up_texts
from mesh.core.normalize import item_key
from mesh.nodes.supervising.ticket_file import TICKET_FILE

TOPIC = "Made-up names"
CATALOG_ENTRIES = 100_000
"""More than any run finds: nobody runs out of entries while there are faults."""
MODELS = ("simulated:atlas", "simulated:swift")
"""Of one provider, so that each machine imports one SDK."""
POLL_S = 0.02
START_WAIT_S = 90.0
END_WAIT_S = 60.0

Disk = ProducerDisk | CollectorDisk


class NotInTime(Exception):
    """What was awaited did not happen; the message says what."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a run is spread and how fast it goes."""

    producers: Sequence[int] = (3, 2)
    """On each machine but the collector's."""
    time_scale: float = 20.0
    """How many times as fast as real models the simulated ones answer."""
    catalog_entries: int = CATALOG_ENTRIES
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run that has ended holds, against what its nodes had said."""

    said_count: int
    """Entries that producers found, repetitions by others included."""
    unique_count: int
    lost_count: int
    """Said by a producer, and neither in output.txt nor known to be in it already."""
    doubled_count: int
    """Lines of output.txt that stand there already."""
    differing_count: int
    """Places at which output.txt and run.sqlite differ."""


@dataclass(slots=True)
class FaultRun:
    """One run; made by `started_run`."""

    machines: list[Machine]
    network: RelayNetwork | NamespaceNetwork
    disks: dict[Node, Disk] = field(init=False)
    collector_disk: CollectorDisk = field(init=False)

    def __post_init__(self) -> None:
        machine = self.machines[0]
        output = machine.directory / "output.txt"
        directory = machine.run_dir / "nodes" / COLLECTOR
        self.collector_disk = CollectorDisk(machine.run_dir, output, directory)
        self.disks = {
            node: self.collector_disk if node.is_collector else ProducerDisk(node.directory)
            for each in self.machines
            for node in each.nodes
        }

    @property
    def nodes(self) -> list[Node]:
        return list(self.disks)

    @property
    def producers(self) -> list[Node]:
        return [node for node in self.disks if not node.is_collector]

    @property
    def collector(self) -> Node:
        return next(node for node in self.disks if node.is_collector)

    def producer_disks(self) -> list[ProducerDisk]:
        return [disk for disk in self.disks.values() if isinstance(disk, ProducerDisk)]

    def look(self) -> None:
        """Read what nodes have written since the last look."""
        for disk in self.producer_disks():
            disk.look()

    def epochs(self) -> dict[Node, int]:
        """The latest start of each node that got as far as its log."""
        self.look()
        return {node: disk.newest_epoch for node, disk in self.disks.items()}

    def said_positions(self) -> Positions:
        """Where each log ends now."""
        self.look()
        return {log: seq for disk in self.disks.values() for log, seq in disk.positions.items()}

    def lacking(self, positions: Positions) -> dict[Node, int]:
        """How many entries up to `positions` each node lacks; nodes that lack none are left out.
        The collector must have stored them, its own log aside."""
        self.look()
        own = self.collector_disk.positions
        found: Counter[Node] = Counter()
        for node, disk in self.disks.items():
            held = disk.held
            for log, seq in positions.items():
                if node.is_collector and log in own:
                    continue
                holes = held[log].missing_upto(seq) if log in held else [(1, seq)] if seq else []
                found[node] += sum(last - first + 1 for first, last in holes)
        return +found

    def has_spoken(self, node: Node) -> bool:
        """Whether its latest start has said anything, as of the last look."""
        disk = self.disks[node]
        newest = max(disk.positions, key=lambda log: log.epoch, default=None)
        return newest is not None and disk.positions[newest] > 0

    def only_held_by(self, producer: Node) -> list[Said]:
        """Entries that a producer has said and nobody else has heard."""
        self.look()
        disk = self.disks[producer]
        assert isinstance(disk, ProducerDisk)
        others = [each.held for node, each in self.disks.items() if node != producer]
        return [
            said
            for said in disk.said
            if not any(said.log in held and said.seq in held[said.log] for held in others)
        ]

    def await_whole(self, since: Mapping[Node, int], wait_s: float = START_WAIT_S) -> float:
        """Return the moment (monotonic) at which every node was seen to run, those in `since` in
        a later epoch than there.

        Machines whose command has ended are started again, as their users would.
        """

        def whole() -> bool:
            for machine in self.machines:
                if not machine.is_running():
                    machine.start()
            epochs = self.epochs()
            return all(epochs[node] > epoch for node, epoch in since.items()) and all(
                node.process_id() for node in self.nodes
            )

        return await_that(whole, "every node to run", wait_s)

    def end(self) -> None:
        """Ctrl-C at the collector, at the others if they stay."""
        self.machines[0].interrupt()
        for machine in self.machines:
            machine.wait(END_WAIT_S)

    def power_off(self) -> None:
        """Leave no process behind."""
        for machine in self.machines:
            machine.power_off()
        self.collector_disk.close()

    def verdict(self) -> Verdict:
        """Compare what was said with what the collector holds; when the run has ended."""
        self.look()
        said = [each for disk in self.producer_disks() for each in disk.said]
        held = self.collector_disk.held
        lines = self.collector_disk.output_lines()
        accepted = self.collector_disk.accepted_texts()
        keys = Counter(item_key(line) for line in lines)
        lost = [each for each in said if each.key not in keys or each.seq not in held[each.log]]
        differing = sum(a != b for a, b in zip(lines, accepted, strict=False))
        return Verdict(
            said_count=len(said),
            unique_count=len(keys),
            lost_count=len(lost),
            doubled_count=len(lines) - len(keys),
            differing_count=differing + abs(len(lines) - len(accepted)),
        )


@contextmanager
def started_run(
    directory: Path, layout: Layout, network: RelayNetwork | NamespaceNetwork
) -> Iterator[FaultRun]:
    """A run that is whole; whatever becomes of it, no process of it stays."""
    run = FaultRun(_machines(directory, layout, network), network)
    try:
        collector, *others = run.machines
        collector.start()
        ticket = collector.run_dir / TICKET_FILE
        await_that(lambda: ticket.exists() or not collector.is_running(), "a ticket", START_WAIT_S)
        if not ticket.exists():
            raise NotInTime(f"the collector ended:\n{collector.console()}")
        for machine in others:
            machine.start()
        run.await_whole(dict.fromkeys(run.nodes, 0))
        yield run
    finally:
        run.power_off()


def await_that(condition: Callable[[], object], what: str, wait_s: float) -> float:
    """Return the moment (monotonic) at which `condition` was seen to hold.

    Raises:
        NotInTime: it did not within `wait_s`.
    """
    deadline_s = time.monotonic() + wait_s
    while True:
        seen_s = time.monotonic()
        if condition():
            return seen_s
        if seen_s > deadline_s:
            raise NotInTime(f"not within {wait_s:g} s: {what}")
        time.sleep(POLL_S)


def _machines(directory: Path, layout: Layout, network: Network) -> list[Machine]:
    catalog = directory / "catalog.txt"
    with catalog.open("w", encoding="utf-8") as file:
        file.write(f"# topic: {TOPIC}\n")
        entries = made_up_texts(layout.catalog_entries, layout.seed)
        file.writelines(f"{entry}\n" for entry in entries)
    common = ("--run-dir", "run", "--catalog", str(catalog))
    models = [word for model in MODELS for word in ("--model", model)]
    pace = ("--time-scale", f"{layout.time_scale:g}", "--seed", str(layout.seed))
    # Its entries are no names, and come as fast as no model writes.
    free = ("--budget-usd", "none", "--port", "0", "--no-names")
    words = ["collector", TOPIC, *common, *models, *pace, *free, *network.options(0)]
    machines = [
        Machine("machine-0", words, directory / "machine-0", [COLLECTOR], network.prefix(0))
    ]
    ticket = machines[0].run_dir / TICKET_FILE
    for index, count in enumerate(layout.producers, 1):
        peers = ("--join", f"@{ticket}", "--peers", str(count))
        words = ["producer", *peers, *common, *network.options(index)]
        names = [f"producer-{number}" for number in range(1, count + 1)]
        name = f"machine-{index}"
        machines.append(Machine(name, words, directory / name, names, network.prefix(index)))
    return machines
