"""The real SDKs, for the simulator that a test runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
from anthropic.types import RawMessageStreamEvent
from openai.types.chat import ChatCompletionChunk

from mesh.config import SimulatorSettings
from tests.integration.conftest import TIME_SCALE, RunningSimulator, running_simulator

PROMPT = "Topic: Paris attractions\n\nWrite up to 30 further entries, one a line."
LONG_PROMPT = "Rules.\n" * 1000 + PROMPT

_CALM = """
[defaults]
knows = 0.9
taste = 1.0
suppress = 0.98
obey = 0.9
ttft_s = 0.5
tokens_per_s = 100
format = "plain"
"""


def openai_at(simulator: RunningSimulator | str, key: str = "any") -> openai.AsyncOpenAI:
    url = simulator if isinstance(simulator, str) else simulator.url
    return openai.AsyncOpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0)


def anthropic_at(simulator: RunningSimulator | str, key: str = "any") -> anthropic.AsyncAnthropic:
    url = simulator if isinstance(simulator, str) else simulator.url
    return anthropic.AsyncAnthropic(api_key=key, base_url=url, max_retries=0)


@asynccontextmanager
async def with_models(
    tmp_path: Path, *lines: str, time_scale: float = TIME_SCALE
) -> AsyncIterator[RunningSimulator]:
    """A simulator whose models `one` (OpenAI) and `two` (Anthropic) have `lines` as figures."""
    figures = "\n".join(lines)
    path = tmp_path / "models.toml"
    models = [("one", "openai"), ("two", "anthropic")]
    tables = [f'[models.{name}]\napi = "{api}"\n{figures}\n' for name, api in models]
    path.write_text("\n".join([_CALM, *tables]), encoding="utf-8")
    settings = SimulatorSettings(models_file=path, time_scale=time_scale)
    async with running_simulator(settings) as running:
        yield running


async def ask_openai(client: openai.AsyncOpenAI, model: str = "atlas", **more: Any) -> Any:
    messages = more.pop("messages", [{"role": "user", "content": PROMPT}])
    return await client.chat.completions.create(model=model, messages=messages, **more)


async def ask_anthropic(
    client: anthropic.AsyncAnthropic, model: str = "sonata", **more: Any
) -> Any:
    messages = more.pop("messages", [{"role": "user", "content": PROMPT}])
    cap = more.pop("max_tokens", 1000)
    return await client.messages.create(model=model, messages=messages, max_tokens=cap, **more)


async def openai_chunks(client: openai.AsyncOpenAI, **more: Any) -> list[ChatCompletionChunk]:
    stream = await ask_openai(client, stream=True, **more)
    return [chunk async for chunk in stream]


async def anthropic_events(
    client: anthropic.AsyncAnthropic, **more: Any
) -> list[RawMessageStreamEvent]:
    stream = await ask_anthropic(client, stream=True, **more)
    return [event async for event in stream]


def openai_text(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def anthropic_text(events: list[RawMessageStreamEvent]) -> str:
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    return "".join(delta.text for delta in deltas if delta.type == "text_delta")


async def books_calls(simulator: RunningSimulator) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = (await simulator.get_json("/books/calls"))["calls"]
    return calls
