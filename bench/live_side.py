"""One side of the bench with real models: its run, and what its own log says about it.

Nobody knows the truth about a real topic, so entries are told apart by the mesh's own keys, for
both sides alike: an alias counts as another entry, and what is off topic is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.virtual_mesh import MeshSetup, Said, VirtualMesh, VirtualProducer
from bench.virtual_modes import MODES, wrapped
from mesh.config import ApiKey, ModelSpec, ProducerSettings
from mesh.core import entries as log
from mesh.core.normalize import item_key
from mesh.llm.clients import open_client
from mesh.llm.interface import LLMClient

DRAIN_MAX_S = 120.0

OpenClient = Callable[[ModelSpec, ApiKey | None], LLMClient]


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What both sides have in common."""

    topic: str
    models: Sequence[ModelSpec]
    keys: Mapping[str, ApiKey] = field(repr=False)
    producer_count: int
    budget_usd: float
    """Of one side."""
    target: int | None
    time_max_s: float
    seed: int


@dataclass(slots=True)
class Tally:
    """What producers have said, added up."""

    found_keys: set[bytes] = field(default_factory=set)
    generated_count: int = 0
    rejected_count: int = 0
    calls_count: int = 0
    cost_usd: float = 0.0
    """As charged: what was cut counts as an estimate, rather too much."""
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0

    def hear(self, said: Said) -> None:
        for entry in said.entries:
            match entry:
                case log.Found(text=text) | log.Repeat(text=text):
                    self.generated_count += 1
                    self.found_keys.add(item_key(text))
                case log.Rejected():
                    self.generated_count += 1
                    self.rejected_count += 1
                case log.CallFinished():
                    self.calls_count += 1
                    self.cost_usd += entry.cost_usd or 0.0
                    self.input_tokens += entry.input_tokens
                    self.cached_input_tokens += entry.cached_input_tokens
                    self.output_tokens += entry.output_tokens

    def figures(self, elapsed_s: float) -> dict[str, float]:
        unique_count = len(self.found_keys)
        hundreds = max(1, unique_count) / 100
        return {
            "unique_count": float(unique_count),
            "duplicate_ratio": 1.0 - unique_count / max(1, self.generated_count),
            "unique_a_minute_count": unique_count / max(1e-9, elapsed_s) * 60.0,
            "calls_count": float(self.calls_count),
            "spent_usd": self.cost_usd,
            "per_100_usd": self.cost_usd / hundreds,
            "input_tokens_per_100_count": self.input_tokens / hundreds,
            "cached_tokens_per_100_count": self.cached_input_tokens / hundreds,
            "output_tokens_per_100_count": self.output_tokens / hundreds,
            "elapsed_s": elapsed_s,
        }


async def run_side(mode: str, settings: LiveSettings) -> Tally:
    """Explore until the side's half of the budget is spent, or its target or time is reached.

    No more than the budget is spent, whatever happens: each producer reserves the most that a
    call may cost before it makes it.
    """
    side, tally = MODES[mode], Tally()
    setup = MeshSetup(
        settings=_producer_settings(settings, mode),
        producer_count=settings.producer_count,
        telling=side.telling,
        time_max_s=settings.time_max_s,
        budget_usd=settings.budget_usd,
        drain_max_s=DRAIN_MAX_S,
    )

    def is_enough() -> bool:
        return settings.target is not None and len(tally.found_keys) >= settings.target

    opener = wrapped(side, settings.topic, _open)
    mesh = VirtualMesh(setup, open_client=opener, is_enough=is_enough, listen=tally.hear)
    await mesh.run()
    return tally


def _open(_: VirtualProducer) -> OpenClient:
    return open_client


def _producer_settings(settings: LiveSettings, mode: str) -> ProducerSettings:
    return ProducerSettings(
        label="producer-1",
        directory=Path(),
        run_id=mode.encode(),
        topic=settings.topic,
        models=tuple(settings.models),
        model=settings.models[0].spec,
        started_ms=0,
        keys=dict(settings.keys),
        seed=settings.seed,
        tactics=MODES[mode].tactics,
    )
