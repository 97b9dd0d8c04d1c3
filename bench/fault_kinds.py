"""The faults: what each does to a run, and how it ends.

A fault begins, holds for a while, and ends; those that end by themselves, as a kill does once
somebody starts the process again, have no end of their own. Which nodes must be started anew
before all is well again is noted at the moment of the kill. When and to whom faults happen is
fault_rounds.py's.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.fault_machines import Machine, Node
from bench.fault_networks import NamespaceNetwork, RelayNetwork
from bench.fault_processes import send
from bench.fault_runs import FaultRun
from bench.relay import Address
from tests.e2e.namespaces import Network as Namespaces

HOLD_S = (0.5, 8.0)
"""Below and above the 3 s after which connections are given up."""
CUT_HOLD_S = (1.0, 20.0)


@dataclass(slots=True)
class Fault:
    """One fault, drawn and not yet begun."""

    kind: str
    target: str
    """Whom it hits, for people."""
    machine: Machine | None
    """Whose processes it hits; None: the network's."""
    hold_s: float
    begin: Callable[[], None]
    end: Callable[[], None]
    killed: dict[Node, int] = field(default_factory=dict)
    """Once begun: nodes that it killed, each with the epoch that it was in."""


Draw = Callable[[FaultRun, random.Random], Fault]


def _nothing() -> None:
    """Some faults need no end: somebody else mends them."""


def _kill_node(run: FaultRun, node: Node, kind: str) -> Fault:
    def begin() -> None:
        epoch = run.epochs()[node]
        process_id = node.process_id()
        if process_id is not None and send(process_id, signal.SIGKILL):
            fault.killed[node] = epoch

    fault = Fault(kind, str(node), node.machine, 0.0, begin, _nothing)
    return fault


def kill_producer(run: FaultRun, random: random.Random) -> Fault:
    """Kill -9 a producer; its machine starts it again."""
    return _kill_node(run, random.choice(run.producers), "kill_producer")


def kill_collector(run: FaultRun, _: random.Random) -> Fault:
    """Kill -9 the collector; its machine starts it again."""
    return _kill_node(run, run.collector, "kill_collector")


def kill_fork_server(run: FaultRun, random: random.Random) -> Fault:
    """Kill -9 what a machine's producers are forked from, and one of them, so that it is missed."""
    machine = random.choice([each for each in run.machines if not each.is_collectors])
    victim = _kill_node(run, random.choice(machine.nodes), "kill_fork_server")

    def begin() -> None:
        for process_id in machine.fork_servers():
            send(process_id, signal.SIGKILL)
        begin_victim()

    begin_victim = victim.begin
    victim.begin = begin
    victim.target = f"{machine.name} with {victim.target}"
    return victim


def kill_supervisor(run: FaultRun, random: random.Random) -> Fault:
    """Kill -9 the command itself; its processes see it and end; it is typed again meanwhile."""
    machine = random.choice(run.machines)
    return _ended(run, machine, "kill_supervisor", machine.kill_command, random.uniform(0.0, 3.0))


def power_off(run: FaultRun, random: random.Random) -> Fault:
    """Kill -9 all processes of a machine at once; later its command is typed again."""
    machine = random.choice(run.machines)
    return _ended(run, machine, "power_off", machine.power_off, random.uniform(0.0, 5.0))


def collector_away(run: FaultRun, hold_s: float) -> Fault:
    """Kill -9 all of the collector's machine; it is started again after `hold_s`."""
    machine = run.machines[0]
    return _ended(run, machine, "collector_away", machine.power_off, hold_s)


def _ended(
    run: FaultRun, machine: Machine, kind: str, kill: Callable[[], None], hold_s: float
) -> Fault:
    def begin() -> None:
        epochs = run.epochs()
        kill()
        fault.killed.update({node: epochs[node] for node in machine.nodes})

    def end() -> None:
        if not machine.is_running():
            machine.start()

    fault = Fault(kind, machine.name, machine, hold_s, begin, end)
    return fault


def pause(run: FaultRun, random: random.Random) -> Fault:
    """SIGSTOP a node, SIGCONT it later: all its connections stay, and nobody answers."""
    node = random.choice(run.nodes)
    stopped: list[int] = []

    def begin() -> None:
        process_id = node.process_id()
        if process_id is not None and send(process_id, signal.SIGSTOP):
            stopped.append(process_id)

    def end() -> None:
        for process_id in stopped:
            send(process_id, signal.SIGCONT)

    return Fault("pause", str(node), node.machine, random.uniform(*HOLD_S), begin, end)


def reset(run: FaultRun, random: random.Random) -> Fault:
    """Reset every connection that others have to a node."""
    network, node = _relay(run), random.choice(run.nodes)
    machine = run.machines.index(node.machine)

    def begin() -> None:
        network.reset(machine, node)

    return Fault("reset", str(node), None, 0.0, begin, _nothing)


def stall(run: FaultRun, random: random.Random) -> Fault:
    """Let nothing pass on the connections that others have to a node, old and new ones."""
    network, node = _relay(run), random.choice(run.nodes)
    machine = run.machines.index(node.machine)
    held: list[Address] = []

    def begin() -> None:
        held.extend(network.hold(machine, node))

    def end() -> None:
        network.release(held)

    return Fault("stall", str(node), None, random.uniform(*HOLD_S), begin, end)


def cut(run: FaultRun, random: random.Random) -> Fault:
    """Pull a machine's cable, and plug it in again."""
    namespaces = _namespaces(run)
    machine = random.choice(run.machines)
    host = run.machines.index(machine)
    return Fault(
        "cut",
        machine.name,
        None,
        random.uniform(*CUT_HOLD_S),
        lambda: namespaces.cut(host),
        lambda: namespaces.join(host),
    )


def part(run: FaultRun, random: random.Random) -> Fault:
    """Part the network into two halves that do not reach each other."""
    namespaces = _namespaces(run)
    hosts = list(range(len(run.machines)))
    random.shuffle(hosts)
    size = random.randint(1, len(hosts) - 1)
    halves = sorted(hosts[:size]), sorted(hosts[size:])
    return Fault(
        "part",
        f"{halves[0]} from {halves[1]}",
        None,
        random.uniform(*CUT_HOLD_S),
        lambda: namespaces.part(*halves),
        namespaces.heal,
    )


KILLS: Mapping[str, Draw] = {
    "kill_producer": kill_producer,
    "kill_collector": kill_collector,
    "kill_fork_server": kill_fork_server,
    "kill_supervisor": kill_supervisor,
    "power_off": power_off,
}
"""Each is a kill -9."""
OF_RELAYS: Mapping[str, Draw] = {"reset": reset, "stall": stall}
OF_NAMESPACES: Mapping[str, Draw] = {"cut": cut, "part": part}
ALL: Mapping[str, Draw] = {**KILLS, "pause": pause, **OF_RELAYS, **OF_NAMESPACES}


def possible_kinds(run: FaultRun, wanted: Sequence[str]) -> list[str]:
    """Those of `wanted` that the run's network knows."""
    other = OF_NAMESPACES if isinstance(run.network, RelayNetwork) else OF_RELAYS
    return [kind for kind in wanted if kind not in other]


def _relay(run: FaultRun) -> RelayNetwork:
    assert isinstance(run.network, RelayNetwork)
    return run.network


def _namespaces(run: FaultRun) -> Namespaces:
    assert isinstance(run.network, NamespaceNetwork)
    return run.network.namespaces
