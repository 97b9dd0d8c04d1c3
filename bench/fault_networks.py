"""Networks that can fail, between the machines of a run: a relay on loopback, or namespaces.

Both name the words that put a machine's nodes on the network; the faults that each knows are its
own. The relay breaks and stalls connections, which no cable does; namespaces lose packets, which
no relay does, and since their addresses are no loopback ones, everything in them is encrypted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from bench.fault_machines import Node
from bench.relay import Address, Relay
from tests.e2e.namespaces import Network as Namespaces

PORTS_FIRST = 7100
PORTS_OF_MACHINE = 12
"""Room for five nodes; two ports for each, and one pair to spare."""


class Network(Protocol):
    """What every network tells of its machines, which are counted from 0."""

    def options(self, machine: int) -> Sequence[str]:
        """Options that put the machine's nodes on this network."""
        ...

    def prefix(self, machine: int) -> Sequence[str]:
        """Words before a command that is to run on the machine."""
        ...


class RelayNetwork:
    """Loopback, with a relay before every node."""

    def __init__(self, machine_count: int) -> None:
        # Runs beside each other have addresses of their own.
        self._net = os.getpid() % 250 + 1
        ports = range(PORTS_FIRST, PORTS_FIRST + PORTS_OF_MACHINE)
        self._relay = Relay(
            {
                (self._front(machine), port): (self._back(machine), port)
                for machine in range(machine_count)
                for port in ports
            }
        )

    def __enter__(self) -> Self:
        self._relay.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._relay.__exit__(kind, error, traceback)

    def options(self, machine: int) -> Sequence[str]:
        ports = f"{PORTS_FIRST}-{PORTS_FIRST + PORTS_OF_MACHINE - 1}"
        front = ("--advertise-host", self._front(machine))
        return ("--host", self._back(machine), *front, "--mesh-ports", ports)

    def prefix(self, machine: int) -> Sequence[str]:
        return ()

    def reset(self, machine: int, node: Node) -> int:
        """Reset the connections that others have to a node; return how many there were."""
        return self._relay.reset(self._fronts(machine, node))

    def hold(self, machine: int, node: Node) -> Sequence[Address]:
        """Stall the connections that others have to a node; what is returned releases them."""
        fronts = self._fronts(machine, node)
        self._relay.hold(fronts)
        return fronts

    def release(self, fronts: Sequence[Address]) -> None:
        self._relay.release(fronts)

    def drop(self, fronts: Sequence[Address]) -> None:
        """Let nothing that is held arrive."""
        self._relay.reset(fronts)

    def _fronts(self, machine: int, node: Node) -> Sequence[Address]:
        return [(self._front(machine), port) for port in node.ports()]

    def _front(self, machine: int) -> str:
        return f"127.{self._net}.2.{machine + 1}"

    def _back(self, machine: int) -> str:
        return f"127.{self._net}.1.{machine + 1}"


class NamespaceNetwork:
    """A namespace for each machine, a switch between."""

    def __init__(self, machine_count: int) -> None:
        self.namespaces = Namespaces(machine_count)

    def __enter__(self) -> Self:
        self.namespaces.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.namespaces.__exit__(kind, error, traceback)

    def options(self, machine: int) -> Sequence[str]:
        return ("--host", self.namespaces.address(machine))

    def prefix(self, machine: int) -> Sequence[str]:
        return self.namespaces.prefix(machine)
