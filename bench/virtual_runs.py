"""Scenarios of the benches in virtual time: one run each, in a pool of processes.

A scenario is a value and its result is one: the same scenario gives the same result, whichever
process runs it. Which scenarios are compared is each bench's matter.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bench.virtual_loop import run
from bench.virtual_mesh import MeshSetup, VirtualMesh
from bench.virtual_models import VirtualModels
from bench.virtual_modes import MODES, wrapped
from bench.virtual_record import Standing, standing, timeline
from mesh.config import ModelSpec, ProducerSettings
from mesh.llm.selection import DEFAULT_SIMULATED
from mesh.simulation.answering import Simulator
from mesh.simulation.catalog import CatalogShelf
from mesh.simulation.drawing import knowledge_of
from mesh.simulation.models import SimulatedModel, load_models

PARIS = "Paris attractions"
CITIES = "Cities of the world"
PACKAGED_MODELS = ("atlas", "swift", "sonata", "haiku", "wild", "dim")
"""Of the packaged file, in its order; odd ones left out. A run asks DEFAULT_SIMULATED of them."""
TIME_MAX_S = 4 * 3600.0
TIMELINE_POINTS = 200


@dataclass(frozen=True, slots=True)
class Variation:
    """Assumptions about the models that differ from the packaged file's; None: as there."""

    name: str = "as_packaged"
    onset_count: int | None = None
    """Listed entries from which on models begin to repeat them."""
    obey: float | None = None
    shared_knowledge: float | None = None
    self_repeats: float | None = None
    """Of a long answer's lines, those that say again what it has said."""

    def of(self, model: SimulatedModel) -> SimulatedModel:
        if self.onset_count is not None:
            model = replace(model, suppress_onset=self.onset_count)
        if self.obey is not None:
            model = replace(model, obey=self.obey)
        if self.shared_knowledge is not None:
            model = replace(model, shared_knowledge=self.shared_knowledge)
        if self.self_repeats is not None:
            model = replace(model, self_repeats=self.self_repeats)
        return model


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run."""

    mode: str
    topic: str = CITIES
    producer_count: int = 5
    seed: int = 0
    models: tuple[str, ...] = DEFAULT_SIMULATED
    counts: tuple[int, ...] = (500, 1_000, 2_500)
    """Counts of distinct entries at which figures are taken; the run ends at the last; (): when
    it counts as exhausted."""
    variation: Variation = Variation()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    scenario: Scenario
    ended_by: str
    """target | exhausted | time."""
    standings: dict[int, Standing]
    timeline: list[tuple[float, int, float]]
    known_together_count: int
    """Catalog entries that at least one of the models knows."""
    distinct_count: int
    refused_count: int
    processor_s: float


def run_scenario(scenario: Scenario) -> Result:
    """Run it from its beginning to its end."""
    started_s = time.process_time()
    models, ended_by = explored(scenario)
    record = models.record
    counts = scenario.counts or (record.distinct_count,)
    standings = {count: standing(record, count) for count in counts}
    return Result(
        scenario=scenario,
        ended_by=ended_by,
        standings={count: each for count, each in standings.items() if each is not None},
        timeline=timeline(record, TIMELINE_POINTS),
        known_together_count=_known_together(models.simulator, scenario),
        distinct_count=record.distinct_count,
        refused_count=record.refused_count,
        processor_s=time.process_time() - started_s,
    )


def explored(scenario: Scenario) -> tuple[VirtualModels, str]:
    """The models with the record of the whole run, and what ended it."""
    models = VirtualModels(_simulator(scenario))
    mode = MODES[scenario.mode]
    setup = MeshSetup(
        settings=producer_settings(scenario),
        producer_count=scenario.producer_count,
        telling=mode.telling,
        time_max_s=TIME_MAX_S,
    )

    def is_reached() -> bool:
        return models.record.distinct_count >= max(scenario.counts)

    async def explore() -> str:
        opener = wrapped(mode, scenario.topic, models.opener)
        is_enough = is_reached if scenario.counts else None
        return await VirtualMesh(setup, open_client=opener, is_enough=is_enough).run()

    return models, run(explore())


def run_all(scenarios: Sequence[Scenario], processes: int) -> Iterator[Result]:
    """Results as they come, in the order of the scenarios."""
    if processes <= 1:
        yield from map(run_scenario, scenarios)
        return
    context = multiprocessing.get_context("fork")  # The SDKs have been imported once, here.
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(run_scenario, scenarios)


def default_processes() -> int:
    return max(1, min(8, (os.cpu_count() or 2)))


def _simulator(scenario: Scenario) -> Simulator:
    packaged = load_models()
    models = {name: scenario.variation.of(packaged[name]) for name in scenario.models}
    return Simulator(models=models, shelf=CatalogShelf(), seed=scenario.seed, topic=scenario.topic)


def producer_settings(scenario: Scenario) -> ProducerSettings:
    """Of the first producer; virtual_mesh.settings_of has the others'."""
    packaged = load_models()
    specs = tuple(_spec(packaged[name]) for name in scenario.models)
    return ProducerSettings(
        label="producer-1",
        directory=Path(),
        run_id=b"",
        topic=scenario.topic,
        models=specs,
        model=specs[0].spec,
        started_ms=0,
        keys={},
        seed=scenario.seed,
        tactics=MODES[scenario.mode].tactics,
    )


def _spec(model: SimulatedModel) -> ModelSpec:
    return ModelSpec(
        f"simulated:{model.name}", model.api, model.name, simulated=True, price_of=model.price_of
    )


def _known_together(simulator: Simulator, scenario: Scenario) -> int:
    catalog = simulator.shelf.find(scenario.topic)
    assert catalog is not None
    used = scenario.models[: scenario.producer_count]
    known: Iterable[frozenset[int]] = (
        frozenset(knowledge_of(simulator.models[name], catalog, scenario.seed).indices)
        for name in used
    )
    return len(frozenset().union(*known))
