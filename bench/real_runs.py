"""One run in real processes: producers, their mesh, their collector, simulated models over HTTP.

The bench stands where the supervisor does, and decides when a run is over: when the simulator's
books hold so many distinct entries. Producers that nobody tells anything are runs of their own,
each with a collector. Times in results are the models'; `time_scale` of their seconds pass in one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.processes import processor_s
from bench.real_child import producer_start, simulator_start
from bench.real_processes import Child, Forked, forked
from bench.virtual_mesh import Telling, settings_of
from bench.virtual_modes import MODES
from bench.virtual_record import Standing
from bench.virtual_runs import Scenario, producer_settings
from mesh.cli.offline import with_address
from mesh.config import CollectorSettings, ModelSpec, ProducerSettings, SimulatorSettings
from mesh.nodes.channel import Message, pack, unpack
from mesh.storage.run_directory import RUN_ID_BYTES

START_MAX_S = 60.0
"""From the fork until all producers have joined: long, for a busy machine."""
LEAVE_MAX_S = 60.0
"""Producers hand over for 10 s at most."""
MODEL_TIME_MAX_S = 900.0
"""In which a run that does not get there ends."""


@dataclass(frozen=True, slots=True)
class RealResult:
    """What came of one run."""

    scenario: Scenario
    ended_by: str
    """target | producers left | time."""
    standings: dict[int, Standing]
    """At those of the scenario's counts that were reached."""
    busy_share: float
    """Of this machine's processors, what the run's processes used while it explored: near 1,
    the machine and not the models decides how fast it goes."""


class NotInTime(Exception):
    """The processes of a run did not get there; the message says where. Ends the bench."""


@dataclass(frozen=True, slots=True)
class Load:
    """What processes had used by a moment."""

    at_s: float
    used_s: Mapping[int, float]
    """Of those that ran then, by process id."""

    @classmethod
    def of(cls, processes: Iterable[Forked]) -> Load:
        used_s = {}
        for process_id in (each.process_id for each in processes):
            with contextlib.suppress(OSError):  # It has left already.
                used_s[process_id] = processor_s(process_id)
        return cls(time.monotonic(), used_s)

    def share_since(self, before: Load) -> float:
        """Of all processors of this machine."""
        used_s = sum(used_s - before.used_s[each] for each, used_s in self.used_s.items())
        return used_s / max(1e-9, self.at_s - before.at_s) / len(os.sched_getaffinity(0))


def run_real(scenario: Scenario, time_scale: float, directory: Path) -> RealResult:
    """Run it from its beginning to its end, in the empty `directory`.

    Raises:
        ChildLost: a process failed.
        NotInTime: the processes did not start, or did not leave.
    """
    alone = MODES[scenario.mode].telling is Telling.NEVER
    collector_count = scenario.producer_count if alone else 1
    labels = [f"collector-{number}" for number in range(1, collector_count + 1)]
    labels += [f"producer-{number}" for number in range(1, scenario.producer_count + 1)]
    with forked(["simulator", *labels]) as processes:
        run = RealRun(scenario, time_scale, directory, collector_count)
        try:
            return asyncio.run(run.explore(processes))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group


class RealRun:
    """One run's course, on an event loop."""

    def __init__(
        self, scenario: Scenario, time_scale: float, directory: Path, collector_count: int
    ) -> None:
        self._scenario = scenario
        self._time_scale = time_scale
        self._directory = directory
        self._collector_count = collector_count
        self._started_ms = time.time_ns() // 1_000_000
        self._enough = asyncio.Event()
        self._simulator: Child
        self._collectors: list[Child]
        self._producers: list[Child]

    async def explore(self, processes: Sequence[Forked]) -> RealResult:
        """Start, explore, leave; how it stood is asked when nobody calls any more."""
        self._simulator, *nodes = [await Child.over(each) for each in processes]
        self._collectors = nodes[: self._collector_count]
        self._producers = nodes[self._collector_count :]
        self._simulator.hear = self._written
        async with asyncio.TaskGroup() as group:
            # One that is lost ends them all, and what awaits it.
            listeners = [group.create_task(each.listen()) for each in (self._simulator, *nodes)]
            async with self._all_in_time(START_MAX_S, "ready"):
                await self._start()
            before = Load.of(processes)
            ended_by = await self._end_reached()
            busy_share = Load.of(processes).share_since(before)
            async with self._all_in_time(LEAVE_MAX_S, "left"):
                standings = await self._leave()
                await asyncio.wait(listeners)
        return RealResult(self._scenario, ended_by, standings, busy_share)

    # Starting

    async def _start(self) -> None:
        """The simulator, then collectors, then all producers at once."""
        scenario = self._scenario
        simulated = SimulatorSettings(
            topic=scenario.topic, time_scale=self._time_scale, seed=scenario.seed
        )
        self._simulator.tell(simulator_start(simulated, self._directory / "simulator"))
        url = (await self._simulator.said("ready"))["url"]
        first = producer_settings(scenario)
        models = tuple(with_address(model, url) for model in first.models)
        for number, collector in enumerate(self._collectors):
            settings = pack(self._collector(number, models))
            collector.tell({"kind": "collector", "settings": settings})
        places = [await collector.said("ready") for collector in self._collectors]
        for number, producer in enumerate(self._producers):
            place = places[number % len(places)]
            producer.tell(producer_start(scenario.mode, self._producer(number, models)))
            told = {name: place[name] for name in ("address", "curve_key", "ticket")}
            producer.tell({"command": "collector", **told})
        for producer in self._producers:
            await producer.said("ready")

    def _producer(self, number: int, models: tuple[ModelSpec, ...]) -> ProducerSettings:
        """Of producer `number`, from 0: as in virtual time, but for where it runs."""
        settings = settings_of(producer_settings(self._scenario), number)
        return replace(
            settings,
            directory=self._run_dir(number) / "nodes" / settings.label,
            run_id=self._run_id(number),
            models=models,
            started_ms=self._started_ms,
        )

    def _collector(self, number: int, models: tuple[ModelSpec, ...]) -> CollectorSettings:
        run_dir = self._run_dir(number)
        run_dir.mkdir()
        return CollectorSettings(
            directory=run_dir / "nodes" / "collector",
            run_dir=run_dir,
            run_id=self._run_id(number),
            topic=self._scenario.topic,
            models=models,
            output=run_dir / "output.txt",
            started_ms=self._started_ms,
            headless=True,
            seed=self._scenario.seed,
        )

    def _run_dir(self, number: int) -> Path:
        return self._directory / f"run-{self._run_number(number)}"

    def _run_id(self, number: int) -> bytes:
        return self._run_number(number).to_bytes(RUN_ID_BYTES, "big")

    def _run_number(self, number: int) -> int:
        """Which run the collector or producer `number` belongs to."""
        return number % self._collector_count + 1

    # Exploring

    def _written(self, message: Message) -> None:
        count = max(self._scenario.counts)
        if message["event"] == "written" and message["distinct_count"] >= count:
            self._enough.set()

    async def _end_reached(self) -> str:
        enough = asyncio.create_task(self._enough.wait())
        all_left = asyncio.create_task(_all_left(self._producers))
        try:
            await asyncio.wait(
                {enough, all_left},
                timeout=MODEL_TIME_MAX_S / self._time_scale,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            enough.cancel()
            all_left.cancel()
        if self._enough.is_set():
            return "target"
        return "producers left" if all_left.done() else "time"

    # Leaving

    async def _leave(self) -> dict[int, Standing]:
        """In the order in which a run ends; how it stood at each count that was reached."""
        await _leave(self._producers, "stop")
        self._simulator.tell({"command": "standings", "counts": self._scenario.counts})
        told = (await self._simulator.said("standings"))["standings"]
        await _leave(self._collectors, "leave")
        await _leave([self._simulator], "stop")
        return {int(count): unpack(packed, Standing) for count, packed in told.items()}

    @contextlib.asynccontextmanager
    async def _all_in_time(self, limit_s: float, event: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError:
            children = (self._simulator, *self._collectors, *self._producers)
            late = [each.label for each in children if not each.has_said(event)]
            missed = ", ".join(late) or "a process that ends"
            raise NotInTime(f"waited {limit_s:g} s for '{event}' of {missed}") from None


async def _leave(children: Sequence[Child], command: str) -> None:
    for each in children:
        each.tell({"command": command})
    await _all_left(children)


async def _all_left(children: Sequence[Child]) -> None:
    for each in children:
        await each.said("left")
