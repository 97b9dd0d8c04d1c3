"""The producers of this machine, the servers they are forked from, the models they ask.

The same on the collector's machine and on any other that has joined the run. Where producers find
the collector is told by their owner, as soon as it knows.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mesh.config import (
    PEERS_MAX,
    PORTS_A_NODE,
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
    """Those of the run that this machine can ask; none only where `count` is 0."""
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
        self._first_models: dict[int, str] = {}
        """With which model a producer begins, by its number, where somebody has said so."""

    def start_importing(self) -> None:
        """Begin with what takes longest of a start: the SDKs' imports."""
        for api in dict.fromkeys(model.api for model in self._settings.models):
            if self._settings.count:
                self._fork_servers[api] = ForkServer(api)
                self._fork_servers[api].start()

    def start(self) -> None:
        """Start the simulator, where one is asked, and the producers."""
        if self._settings.count:
            self._keep_simulator()
        for number in range(1, self._settings.count + 1):
            self.producers.append(self._kept(number))
        for producer in self.producers:
            self._keeper.keep(producer)

    def add(self, model: str | None, given_up: Collection[str]) -> str | None:
        """Start one more producer; None when it is being started, else why not, for a person.

        Its number is above all that this start of the run has used, so that it is nobody who was
        removed. Where an earlier start with more producers has left a directory of that number,
        it is taken up as --peers would: its identity, its log, what it holds of the budget.

        Args:
            model: to begin with; None: the next in turn.
            given_up: models that nobody is given any more.
        """
        if self._keeper.ending.is_set():
            return "the run is ending"
        askable = [each.spec for each in self._settings.models]
        usable = [spec for spec in askable if spec not in given_up]
        if not usable:
            why = "all that it could ask are given up" if askable else "it has no key for them"
            return f"this machine can ask none of the run's models: {why}"
        if model is not None and model not in usable:
            return f"this machine cannot ask {model}: it can ask {', '.join(usable)}"
        if reason := self._no_room():
            return reason
        number = len(self.producers) + 1
        self._first_models[number] = model or model_in_turn(usable, self._settings.turn + number)
        producer = self._kept(number)
        producer.dispensable = True
        self._keep_simulator()
        self.producers.append(producer)
        self._keeper.keep(producer)
        return None

    def _no_room(self) -> str | None:
        """Why this machine has no room for one more producer; None: it has."""
        count = self.present_count
        if count >= PEERS_MAX:
            return f"{count} producers run on this machine, which is the most that may"
        if (ports := self._settings.mesh.ports) is None:
            return None
        port_count = ports[1] - ports[0] + 1
        node_count = count + 2  # The collector is on this machine, too, and the newcomer will be.
        if port_count < PORTS_A_NODE * node_count:
            return (
                f"--mesh-ports {ports[0]}-{ports[1]} are {port_count} ports, and each node of this "
                f"machine needs {PORTS_A_NODE}: start the run again with more"
            )
        return None

    @property
    def present_count(self) -> int:
        """Producers that have neither left nor been given up."""
        return sum(not producer.gone for producer in self.producers)

    def budget_was_set(self) -> None:
        """Who starts from now on makes no call that it was not granted."""
        terms = replace(self._settings.terms, has_budget=True)
        self._settings = replace(self._settings, terms=terms)

    def collector_is_at(self, place: Message) -> None:
        """Pass on where the collector is, and how to join: now, and to every later start."""
        self._collector = {"command": "collector", **place}
        for producer in self.producers:
            producer.tell(self._collector)

    def heard(self, kept: KeptChild, message: Message) -> None:
        """Take in what the simulator or a producer has said."""
        event = message["event"]
        if kept is self._simulator:
            if event == "ready":
                self._simulator_url = message["url"]
                self._simulator_ready.set()
        elif event == "ready":
            self._services[kept] = (message["address"], message["curve_key"])
        elif event == "left":
            self._services.pop(kept, None)
            if kept.dismissed:
                self._keeper.terminal.say(f"{kept.label} was removed from the run and has left")

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

    def _kept(self, number: int) -> KeptChild:
        producer = KeptChild(f"producer-{number}", self._starter(number))
        producer.greet = functools.partial(self._greet, producer)
        return producer

    def _keep_simulator(self) -> None:
        """Have the simulator run, where one is asked."""
        if self._settings.simulator is not None and self._simulator is None:
            starter = self._start_simulator
            self._simulator = KeptChild("simulator", starter, told_to_stop=False)
            self._keeper.keep(self._simulator)

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
            server = self._fork_servers.setdefault(api, ForkServer(api))
            return await server.fork(producer.label, "producer", pack(producer))

        return start

    def _producer(self, number: int) -> ProducerSettings:
        settings = self._settings
        models = tuple(self._with_address(model) for model in settings.models)
        in_turn = model_in_turn([model.spec for model in models], settings.turn + number)
        return ProducerSettings(
            label=f"{settings.label_prefix}producer-{number}",
            directory=settings.run_dir / "nodes" / f"producer-{number}",
            run_id=settings.terms.run_id,
            topic=settings.terms.topic,
            models=models,
            model=self._first_models.get(number, in_turn),
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
