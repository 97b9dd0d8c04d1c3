"""The producers of this machine, the servers they are forked from, the models they ask.

The same on the collector's machine and on any other that has joined the run. Where producers find
the collector is told by their owner, as soon as it knows.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mesh.config import (
    Api,
    ApiKey,
    MeshSettings,
    ModelSpec,
    ProducerSettings,
    RunTerms,
    SimulatorSettings,
)
from mesh.core.routing import model_in_turn
from mesh.nodes.channel import Message, pack
from mesh.nodes.supervising.children import Child, ForkServer, start_fresh
from mesh.nodes.supervising.keeping import Keeper, KeptChild, Starter

PRODUCERS_LEAVE_S = 12.0
SIMULATOR_LEAVES_S = 1.0
SERVICES_TOLD_MAX = 10
"""Nodes that a starting producer is told of; it needs one that lives."""


@dataclass(frozen=True, slots=True)
class CrewSettings:
    """What the producers of one machine have in common."""

    run_dir: Path
    """Of this machine."""
    terms: RunTerms
    models: tuple[ModelSpec, ...]
    """Those of the run that this machine can ask, at least one."""
    keys: Mapping[str, ApiKey]
    mesh: MeshSettings
    simulator: SimulatorSettings | None
    count: int
    concurrency: int = 1
    """Calls of each producer at once."""
    label_prefix: str = ""
    """Before "producer-1": tells machines apart."""
    turn: int = 0
    """Differs between machines, and with it the models that producers begin with, and chance."""
    ticket: str | None = field(default=None, repr=False)
    verbosity: int = 0


class Crew:
    """Producers and their simulator, kept by `keeper`."""

    def __init__(self, settings: CrewSettings, keeper: Keeper) -> None:
        self.producers: list[KeptChild] = []
        self._settings = settings
        self._keeper = keeper
        self._fork_servers: dict[Api, ForkServer] = {}
        self._simulator: KeptChild | None = None
        self._simulator_url: str | None = None
        self._simulator_ready = asyncio.Event()
        self._collector: Message = {}
        self._services: dict[KeptChild, tuple[str, str]] = {}
        """Where the producers that run are asked: (address, CURVE key)."""

    def start_importing(self) -> None:
        """Begin with what takes longest of a start: the SDKs' imports."""
        for api in dict.fromkeys(model.api for model in self._settings.models):
            if self._settings.count:
                self._fork_servers[api] = ForkServer(api)
                self._fork_servers[api].start()

    def start(self) -> None:
        """Start the simulator, where one is asked, and the producers."""
        settings = self._settings
        if settings.simulator is not None and settings.count:
            starter = self._start_simulator
            self._simulator = KeptChild("simulator", starter, told_to_stop=False)
            self._keeper.keep(self._simulator)
        for number in range(1, settings.count + 1):
            producer = KeptChild(f"producer-{number}", self._starter(number))
            producer.greet = functools.partial(self._greet, producer)
            self.producers.append(producer)
        for producer in self.producers:
            self._keeper.keep(producer)

    def collector_is_at(self, place: Message) -> None:
        """Pass on where the collector is, and how to join: now, and to every later start."""
        self._collector = {"command": "collector", **place}
        for producer in self.producers:
            producer.tell(self._collector)

    def heard(self, kept: KeptChild, message: Message) -> None:
        """Take in what the simulator or a producer has said."""
        if message["event"] != "ready":
            return
        if kept is self._simulator:
            self._simulator_url = message["url"]
            self._simulator_ready.set()
        elif kept in self.producers:
            self._services[kept] = (message["address"], message["curve_key"])

    async def leave(self) -> None:
        """Let the producers hand over and leave; they have been told to stop."""
        for producer in self.producers:
            self._keeper.start_no_more(producer)
        await self._keeper.gone(self.producers, PRODUCERS_LEAVE_S)

    async def close(self) -> None:
        """End the simulator, now that nobody asks it any more."""
        if self._simulator is not None and self._simulator.child:
            self._simulator.tell({"command": "stop"})
            await self._keeper.gone([self._simulator], SIMULATOR_LEAVES_S)

    def end_fork_servers(self) -> None:
        for server in self._fork_servers.values():
            server.kill() if self._keeper.killed else server.stop()

    def losses(self, remedy: str) -> list[str]:
        """Lines about what the producers could not hand over; [] when nothing is left behind.

        Args:
            remedy: what takes the entries in, such as "the same command takes them in".
        """
        lines = []
        for kept in self.producers:
            if kept.not_handed_over:
                where = self._settings.run_dir / "nodes" / kept.label
                lines.append(
                    f"{kept.label} could not hand over {kept.not_handed_over} log entries: they "
                    f"are in {where}; {remedy}"
                )
            if kept.lost:
                lines.append(f"{kept.label} could not write {kept.lost} log entries: lost")
        return lines

    def unfinished(self, remedy: str) -> list[str]:
        """Lines about producers that ended without saying what is left behind."""
        return [
            f"{kept.label} ended before it had handed over: its log entries are in "
            f"{self._settings.run_dir / 'nodes' / kept.label}; {remedy}"
            for kept in self.producers
            if kept.was_ready and not kept.left
        ]

    async def _start_simulator(self) -> Child:
        simulator = self._settings.simulator
        assert simulator is not None
        if self._simulator_url:
            # Producers know its address: it must come back there.
            simulator = replace(simulator, port=int(self._simulator_url.rsplit(":", 1)[1]))
        directory = self._settings.run_dir / "simulator"
        packed = {"simulator": pack(simulator), "directory": str(directory)}
        return await start_fresh("simulator", "simulator", packed)

    def _starter(self, number: int) -> Starter:
        async def start() -> Child:
            if self._settings.simulator is not None:
                await self._simulator_ready.wait()
            producer = self._producer(number)
            self._keeper.terminal.explain(f"{producer.label} starts; it asks {producer.model}")
            api = next(model.api for model in producer.models if model.spec == producer.model)
            return await self._fork_servers[api].fork(producer.label, "producer", pack(producer))

        return start

    def _producer(self, number: int) -> ProducerSettings:
        settings = self._settings
        models = tuple(self._with_address(model) for model in settings.models)
        return ProducerSettings(
            label=f"{settings.label_prefix}producer-{number}",
            directory=settings.run_dir / "nodes" / f"producer-{number}",
            run_id=settings.terms.run_id,
            topic=settings.terms.topic,
            models=models,
            model=model_in_turn([model.spec for model in models], settings.turn + number),
            started_ms=settings.terms.started_ms,
            keys=dict(settings.keys),
            mesh=settings.mesh,
            ticket=settings.ticket,
            terms=settings.terms,
            seed=settings.terms.seed + settings.turn + number,
            concurrency=settings.concurrency,
            verbosity=settings.verbosity,
        )

    def _greet(self, producer: KeptChild, child: Child) -> None:
        """Name a new producer all who can let it in: the collector may be away."""
        if self._collector:
            child.channel.send(self._collector)
        self._services.pop(producer, None)
        self.name_peers(child)

    def name_peers(self, child: Child) -> None:
        """Tell a starting node where the producers that run are."""
        services = [list(each) for each in self._services.values()][:SERVICES_TOLD_MAX]
        if services:
            child.channel.send({"command": "peers", "services": services})

    def _with_address(self, model: ModelSpec) -> ModelSpec:
        if not model.simulated or self._simulator_url is None:
            return model
        suffix = "/v1" if model.api == "openai" else ""
        return replace(model, base_url=self._simulator_url + suffix)
