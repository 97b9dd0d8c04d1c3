"""What a run's processes take over time, and with what it grows.

Nothing may grow but with what there is to know: each process's memory is fitted, by least
squares, to a base, the entries that are known, the starts that its run has seen (each begins a
log in every node), and its own age. What is left for age is a leak.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.fault_machines import Machine
from bench.fault_processes import Footprint, command_of, footprint
from bench.fault_runs import FaultRun
from bench.reporting import Report

ROLES = ("producer", "collector", "supervisor", "fork_server", "simulator")
SAMPLES_MIN = 100
"""Fewer say nothing of a slope."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment."""

    role: str
    age_s: float
    """Since it was first seen."""
    entry_count: int
    """Accepted in its run."""
    start_count: int
    """Of nodes in its run, first starts included."""
    taken: Footprint


@dataclass(slots=True)
class Footprints:
    """All samples of one run."""

    samples: list[Sample] = field(default_factory=list)
    _first_seen_s: dict[int, float] = field(default_factory=dict)

    def take(self, run: FaultRun) -> None:
        """Sample every process once."""
        entries = run.collector_disk.accepted_count()
        starts = len(run.said_positions())
        for machine in run.machines:
            for process_id, role in _roles(machine).items():
                taken = footprint(process_id)
                if taken is not None:
                    now_s = time.monotonic()
                    age_s = now_s - self._first_seen_s.setdefault(process_id, now_s)
                    self.samples.append(Sample(role, age_s, entries, starts, taken))

    def add_to(self, report: Report, *, with_slopes: bool) -> None:
        """Put sizes into a report, and slopes where there are samples enough."""
        for role in ROLES:
            of_role = [sample for sample in self.samples if sample.role == role]
            if not of_role:
                continue
            megabytes = [sample.taken.own_bytes / 1e6 for sample in of_role]
            report.add(f"{role}_own_mb", *megabytes)
            report.add(
                f"{role}_resident_mb", *(each.taken.resident_bytes / 1e6 for each in of_role)
            )
            report.add(f"{role}_descriptors_count", *(each.taken.descriptors for each in of_role))
            if with_slopes and len(of_role) >= SAMPLES_MIN:
                _add_slopes(report, role, of_role)


def least_squares(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """Coefficients with which the columns of `rows` come closest to `values`.

    A column that the others explain, or that never changes, gets 0. Solves the normal equations
    by elimination; columns should be of like size.
    """
    size = len(rows[0])
    matrix = [
        [sum(row[i] * row[j] for row in rows) for j in range(size)]
        + [sum(row[i] * value for row, value in zip(rows, values, strict=True))]
        for i in range(size)
    ]
    largest = max(abs(matrix[i][i]) for i in range(size))
    for i in range(size):
        if abs(matrix[i][i]) < 1e-9 * largest:
            matrix[i] = [0.0] * i + [1.0] + [0.0] * (size - i)
        pivot = matrix[i][i]
        matrix[i] = [cell / pivot for cell in matrix[i]]
        for k in range(size):
            if k != i:
                factor = matrix[k][i]
                matrix[k] = [
                    cell - factor * above for cell, above in zip(matrix[k], matrix[i], strict=True)
                ]
    return [row[-1] for row in matrix]


def _add_slopes(report: Report, role: str, samples: Sequence[Sample]) -> None:
    rows = [
        (1.0, sample.entry_count / 1e4, sample.start_count / 1e2, sample.age_s / 3600)
        for sample in samples
    ]
    # Resident, not own: what a process has of shared pages changes as others come and go.
    _, entries, starts, hours = least_squares(rows, [each.taken.resident_bytes for each in samples])
    report.add(f"{role}_growth_per_entry_bytes", entries / 1e4)
    report.add(f"{role}_growth_per_start_bytes", starts / 1e2)
    report.add(f"{role}_growth_per_hour_mb", hours / 1e6, target="0 but for chance")
    _, entries, starts, hours = least_squares(rows, [each.taken.descriptors for each in samples])
    report.add(f"{role}_descriptors_per_start_count", starts / 1e2)
    report.add(f"{role}_descriptors_per_hour_count", hours, target="0 but for chance")


def _roles(machine: Machine) -> dict[int, str]:
    """What each process of a machine is."""
    nodes = {node.process_id(): node for node in machine.nodes}
    roles = {}
    for process_id in machine.processes():
        command = command_of(process_id)
        if process_id in nodes:
            roles[process_id] = "collector" if nodes[process_id].is_collector else "producer"
        elif "mesh.nodes.supervising.fork_server" in command:
            roles[process_id] = "fork_server"
        elif "mesh.nodes.child" in command:
            roles[process_id] = "simulator"
        else:
            roles[process_id] = "supervisor"
    return roles
