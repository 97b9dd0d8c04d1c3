"""Two strangers meet: what simulated models write, read by the parser that reads real ones.

Neither knows the other's rules; the simulator's catalog tells which entries were truly written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from mesh.llm.parsing import AnswerParser, Entry, RemarkKind
from mesh.simulation.answering import Call, PlannedAnswer, Simulator
from mesh.simulation.catalog import CatalogShelf
from mesh.simulation.models import AnswerFormat, SimulatedModel, load_models
from mesh.simulation.prompt_cache import PromptBlock

MODELS = load_models()
CALM = replace(
    MODELS["haiku"],
    off_topic_rate=0.0,
    refusal_rate=0.0,
    empty_rate=0.0,
    cut_stream_rate=0.0,
    error_5xx_rate=0.0,
)
FORMATS: tuple[AnswerFormat, ...] = get_args(AnswerFormat)
DELTA_CHARACTERS = 7


def answered(model: SimulatedModel, prompt: str, simulator: Simulator) -> PlannedAnswer:
    plan = simulator.answer(Call(model, (PromptBlock(prompt),)), now_s=0.0)
    assert isinstance(plan, PlannedAnswer)
    return plan


def parsed(text: str) -> list[object]:
    parser, found = AnswerParser(), list[object]()
    for start in range(0, len(text), DELTA_CHARACTERS):
        found += parser.feed(text[start : start + DELTA_CHARACTERS])
    return [*found, *parser.finish(cut=False)]


@pytest.mark.parametrize("topic", ["Paris attractions", "Cities of the world", "Chemical elements"])
@pytest.mark.parametrize("layout", FORMATS)
def test_entries_come_out_as_they_were_written_whatever_the_layout(
    topic: str, layout: AnswerFormat
) -> None:
    simulator = Simulator(MODELS, CatalogShelf())
    catalog = simulator.shelf.find(topic)
    assert catalog is not None
    written_count = wrong_count = 0
    for _ in range(8):
        plan = answered(replace(CALM, format=layout), f"Topic: {topic}\nWrite up to 40", simulator)
        texts = [found.text for found in parsed(plan.text) if isinstance(found, Entry)]
        read = {catalog.index_of(text) for text in texts}
        written = {entry.index for entry in plan.entries}
        written_count += len(written)
        wrong_count += len(written ^ read)
    assert wrong_count <= 0.01 * written_count


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_a_model_that_has_run_dry_is_understood(model: SimulatedModel) -> None:
    simulator = Simulator(MODELS, CatalogShelf())
    catalog = simulator.shelf.find("Chemical elements")
    assert catalog is not None
    listed = "\n".join(entry.name for entry in catalog.entries)
    calm = replace(CALM, name=model.name, format=model.format)
    plan = answered(calm, f"Topic: Chemical elements\n{listed}\nWrite up to 9", simulator)
    kinds = [getattr(found, "kind", None) for found in parsed(plan.text)]
    assert kinds == [RemarkKind.EXHAUSTED]
