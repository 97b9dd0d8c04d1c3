"""Structured answers through the real SDKs: asked for, read as they stream, done without."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from mesh.config import Api, ModelSpec, SimulatorSettings
from mesh.llm.adaptive_client import AdaptiveClient
from mesh.llm.clients import open_client
from mesh.llm.interface import CallProgress, Completed, ErrorKind, ProviderError, TextDelta
from mesh.llm.parsing import AnswerParser, Entry
from mesh.llm.prompts import KnownForPrompt, build_prompt
from tests.integration.conftest import RunningSimulator, running_simulator

pytestmark = pytest.mark.steady

PROMPT = build_prompt("Paris attractions", KnownForPrompt(), ask_count=40)
MODELS: tuple[tuple[Api, str], ...] = (("openai", "atlas"), ("anthropic", "sonata"))
ATTEMPTS_MAX = 5


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator(SimulatorSettings(time_scale=40.0, seed=5)) as running:
        yield running


@dataclass(slots=True)
class Read:
    """One answer as a producer reads it."""

    text: str = ""
    entries: list[str] = field(default_factory=list)
    before_the_end: int = 0
    """Entries that were known before the last piece of text had come."""
    completed: Completed | None = None


def client_at(simulator: RunningSimulator, api: Api, name: str) -> AdaptiveClient:
    base_url = f"{simulator.url}/v1" if api == "openai" else simulator.url
    model = ModelSpec(f"simulated:{name}", api, name, base_url, simulated=True, price_of="gpt-4o")
    return open_client(model, None)


async def read_answer(client: AdaptiveClient, progress: CallProgress | None = None) -> Read:
    """Ask for JSON; a fault drawn by chance is retried."""
    for _ in range(ATTEMPTS_MAX):
        try:
            return await _read_once(client, progress)
        except ProviderError as error:
            if error.kind is not ErrorKind.RETRY:
                raise
    raise AssertionError("only faults")


async def _read_once(client: AdaptiveClient, progress: CallProgress | None) -> Read:
    read, parser = Read(), AnswerParser()
    stream = client.stream(PROMPT, output_tokens_max=2_000, structured=True, progress=progress)
    async for event in stream:
        if isinstance(event, TextDelta):
            read.before_the_end = len(read.entries)
            read.text += event.text
            parsed = parser.feed(event.text)
            read.entries += [part.text for part in parsed if isinstance(part, Entry)]
        else:
            read.completed = event
    rest = parser.finish(cut=False)
    read.entries += [part.text for part in rest if isinstance(part, Entry)]
    return read


@pytest.mark.parametrize(("api", "name"), MODELS)
async def test_a_structured_answer_is_the_schema_and_its_entries_come_as_it_streams(
    api: Api, name: str
) -> None:
    progress = CallProgress()
    # Slow: what comes while this process is held up comes as one piece.
    async with running_simulator(SimulatorSettings(time_scale=2.0, seed=5)) as simulator:
        client = client_at(simulator, api, name)
        read = await read_answer(client, progress)
        await client.close()
    assert json.loads(read.text) == {"entries": read.entries}
    assert len(read.entries) > 20
    assert read.before_the_end > 10
    assert progress.structured
    assert client.structured_possible


@pytest.mark.parametrize(
    ("api", "name"), [("openai", "schemaless"), ("openai", "legacy"), ("anthropic", "uncached")]
)
async def test_a_model_that_takes_no_schema_answers_in_lines_and_that_is_remembered(
    simulator: RunningSimulator, api: Api, name: str
) -> None:
    client = client_at(simulator, api, name)
    assert client.structured_possible
    progress = CallProgress()
    read = await read_answer(client, progress)
    assert not client.structured_possible
    assert not progress.structured
    again = await read_answer(client)
    await client.close()
    for answer in (read, again):
        assert not answer.text.startswith("{")
        assert len(answer.entries) > 20


async def test_a_structured_answer_cut_by_its_cap_keeps_the_entries_that_were_whole(
    simulator: RunningSimulator,
) -> None:
    client = client_at(simulator, "openai", "atlas")
    parser, entries, text = AnswerParser(), [], ""
    async for event in client.stream(PROMPT, output_tokens_max=60, structured=True):
        if isinstance(event, TextDelta):
            text += event.text
            entries += parser.feed(event.text)
    assert parser.finish(cut=True) == []
    await client.close()
    closed = re.findall(r'"(?:[^"\\]|\\.)*"(?=,|\]|$)', text)
    names = [part.text for part in entries if isinstance(part, Entry)]
    assert names == [json.loads(string) for string in closed]
    assert 5 < len(names) < 40
