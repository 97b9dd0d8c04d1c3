"""What a planning call's answer puts into the log, as it streams in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from mesh.config import ModelSpec
from mesh.core.entries import FacetProposed, LogEntry
from mesh.core.facets import PlanTopic, SplitFacet
from mesh.llm.facet_names import NAMES_MAX
from mesh.llm.interface import Completed, FinishReason, Prompt, StreamEvent, TextDelta, Usage
from mesh.nodes.producing.answers import PlanningAnswer
from mesh.nodes.producing.composing import ComposedCall

WHOLE_TOPIC = PlanTopic(5)
MODEL = ModelSpec("openai:m", "openai", "m")


def proposals(
    pieces: Sequence[str],
    *,
    finish: FinishReason = FinishReason.STOP,
    work: PlanTopic | SplitFacet = WHOLE_TOPIC,
) -> list[FacetProposed]:
    said: list[LogEntry] = []

    async def say(entries: Sequence[LogEntry]) -> int:
        said.extend(entries)
        return 1

    async def begun() -> None:
        return None

    async def events() -> AsyncIterator[StreamEvent]:
        for piece in pieces:
            yield TextDelta(piece)
        yield Completed(finish, Usage(1, 0, 1))

    composed = ComposedCall(MODEL, work, Prompt("", (), "", ""), 1, 5, 100)
    answer = PlanningAnswer(composed, 7, "Paris attractions", say)
    asyncio.run(answer.read(events(), begun))
    found = [entry for entry in said if isinstance(entry, FacetProposed)]
    assert len(found) == len(said) == answer.brought_count
    return found


def test_names_are_proposed_however_the_text_is_cut_into_pieces() -> None:
    names = [each.name for each in proposals(["1. Muse", "ums\n2. Par", "ks\n3. Museums\n"])]
    assert names == ["Museums", "Parks"]


def test_a_document_over_several_lines_is_read_as_one() -> None:
    names = proposals(['{"entries": [\n', '  "Museums",\n', '  "Parks and gardens"\n', "]}"])
    assert [each.name for each in names] == ["Museums", "Parks and gardens"]


def test_an_answer_proposes_no_more_than_a_plan_takes_of_one() -> None:
    assert len(proposals([f"Facet {number}\n" for number in range(500)])) == NAMES_MAX


def test_a_name_that_the_end_cut_off_is_left_out() -> None:
    names = proposals(["Museums\nGard"], finish=FinishReason.LENGTH)
    assert [each.name for each in names] == ["Museums"]


def test_parts_name_the_facet_that_they_are_parts_of() -> None:
    (part,) = proposals(["Small museums\n"], work=SplitFacet(9, "Museums", 4))
    assert (part.parent, part.call, part.model) == (9, 7, "openai:m")
