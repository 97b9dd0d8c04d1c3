"""The simulator as real SDK clients see it: streamed, whole, usage, lists, each class of error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import openai
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletionChunk

from mesh.config import SimulatorSettings
from mesh.llm.sdk_http import http_error_class
from mesh.simulation.catalog import CatalogUnusable
from mesh.simulation.server import PortInUse, serve
from tests.integration.conftest import TIME_SCALE, RunningSimulator, running_simulator
from tests.patience import PATIENCE_S

PROMPT = "Topic: Paris attractions\n\nWrite up to 30 further entries, one a line."
LONG_PROMPT = "Rules.\n" * 1000 + PROMPT

CUT = (
    http_error_class(openai.DefaultAsyncHttpxClient),
    http_error_class(anthropic.DefaultAsyncHttpxClient),
    openai.APIConnectionError,
    anthropic.APIConnectionError,
)

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


@pytest.fixture
async def openai_client(simulator: RunningSimulator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_at(simulator) as client:
        yield client


@pytest.fixture
async def anthropic_client(simulator: RunningSimulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic_at(simulator) as client:
        yield client


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


# Answers


async def test_openai_streams_in_pieces_and_reports_usage_last(
    openai_client: openai.AsyncOpenAI, simulator: RunningSimulator
) -> None:
    chunks = await openai_chunks(openai_client, stream_options={"include_usage": True})
    text = openai_text(chunks)
    assert len([chunk for chunk in chunks if openai_text([chunk])]) > 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.prompt_tokens == -(-len(PROMPT) // 4)
    assert usage.completion_tokens == -(-len(text.encode()) // 4)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].id.startswith("chatcmpl-")
    (call,) = await books_calls(simulator)
    assert (call["id"], call["output_tokens"]) == (chunks[0].id, usage.completion_tokens)


async def test_openai_reports_no_usage_unless_asked(openai_client: openai.AsyncOpenAI) -> None:
    chunks = await openai_chunks(openai_client)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_openai_answers_whole(openai_client: openai.AsyncOpenAI) -> None:
    answer = await ask_openai(openai_client)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.role == "assistant"
    assert len(answer.choices[0].message.content.strip().splitlines()) >= 30
    assert answer.usage.completion_tokens > 30
    assert answer._request_id.startswith("req_")


async def test_anthropic_streams_in_pieces_with_usage_at_both_ends(
    anthropic_client: anthropic.AsyncAnthropic, simulator: RunningSimulator
) -> None:
    events = await anthropic_events(anthropic_client)
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert kinds.count("content_block_delta") > 1
    start, delta = events[0], events[-2]
    assert start.type == "message_start"
    assert delta.type == "message_delta"
    assert start.message.usage.input_tokens == -(-len(PROMPT) // 4)
    assert delta.delta.stop_reason == "end_turn"
    assert delta.usage.output_tokens == -(-len(anthropic_text(events).encode()) // 4)
    (call,) = await books_calls(simulator)
    assert call["id"] == start.message.id
    assert start.message.id.startswith("msg_")


async def test_anthropics_own_stream_helper_reads_it(
    anthropic_client: anthropic.AsyncAnthropic,
) -> None:
    messages: Any = [{"role": "user", "content": PROMPT}]
    async with anthropic_client.messages.stream(
        model="haiku", messages=messages, max_tokens=1000
    ) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert isinstance(final, Message)
    assert final.content[0].type == "text"
    assert final.content[0].text == text


async def test_anthropic_answers_whole(anthropic_client: anthropic.AsyncAnthropic) -> None:
    answer = await ask_anthropic(anthropic_client, system="Be brief.")
    assert answer.stop_reason == "end_turn"
    assert len(answer.content[0].text.strip().splitlines()) >= 30
    assert answer.usage.input_tokens == -(-len("Be brief." + PROMPT) // 4)
    assert answer._request_id.startswith("req_")


async def test_streamed_and_whole_say_the_same(tmp_path: Path) -> None:
    texts = []
    for streamed in (True, False):
        async with with_models(tmp_path) as simulator, openai_at(simulator) as client:
            if streamed:
                texts.append(openai_text(await openai_chunks(client, model="one")))
            else:
                whole = await ask_openai(client, model="one")
                texts.append(whole.choices[0].message.content)
    assert texts[0] == texts[1]


async def test_a_cap_cuts_the_answer(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    older = await ask_openai(openai_client, max_tokens=12)
    newer = await ask_openai(openai_client, max_completion_tokens=12)
    for cut in (older, newer):
        assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 12)
    message = await ask_anthropic(anthropic_client, max_tokens=12)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 12)


async def test_an_answer_takes_the_time_that_its_model_takes(tmp_path: Path) -> None:
    """500 ms to the first token, 100 tokens a second, both ten times as fast."""
    loop = asyncio.get_running_loop()
    async with with_models(tmp_path, time_scale=10) as simulator, openai_at(simulator) as client:
        await client.models.list()  # The connection is made.
        started_s = loop.time()
        stream = await ask_openai(client, model="one", stream=True)
        times_s = [
            loop.time() - started_s async for chunk in stream if chunk.choices[0].delta.content
        ]
        (call,) = await books_calls(simulator)
    writing_s = call["output_tokens"] / 100 / 10
    assert times_s[0] >= 0.5 * 0.75 / 10
    assert times_s[-1] >= 0.5 * 0.75 / 10 + writing_s * 0.8
    assert times_s[-1] < 0.5 + 10 * writing_s
    assert len(times_s) > 1


# Usage with cached tokens, by each provider's rule


async def test_openai_counts_cached_tokens_inside_the_prompts(
    openai_client: openai.AsyncOpenAI,
) -> None:
    messages = [{"role": "user", "content": LONG_PROMPT}]
    first = (await ask_openai(openai_client, messages=messages, max_tokens=5)).usage
    again = (await ask_openai(openai_client, messages=messages, max_tokens=5)).usage
    assert first.prompt_tokens == again.prompt_tokens == -(-len(LONG_PROMPT) // 4)
    assert first.prompt_tokens_details.cached_tokens == 0
    cached = again.prompt_tokens_details.cached_tokens
    assert cached % 128 == 0
    assert again.prompt_tokens - 128 < cached <= again.prompt_tokens


async def test_anthropic_counts_cached_tokens_beside_the_inputs(
    anthropic_client: anthropic.AsyncAnthropic,
) -> None:
    block = {"type": "text", "text": LONG_PROMPT, "cache_control": {"type": "ephemeral"}}
    task = {"type": "text", "text": "Write up to 5 entries."}
    messages = [{"role": "user", "content": [block, task]}]
    first = (await ask_anthropic(anthropic_client, messages=messages, max_tokens=5)).usage
    again = (await ask_anthropic(anthropic_client, messages=messages, max_tokens=5)).usage
    total = -(-len(LONG_PROMPT + task["text"]) // 4)
    marked = -(-len(LONG_PROMPT) // 4)
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens) == (marked, 0)
    assert (again.cache_creation_input_tokens, again.cache_read_input_tokens) == (0, marked)
    assert first.input_tokens == again.input_tokens == total - marked
    assert first.cache_creation.ephemeral_5m_input_tokens == marked


async def test_newer_openai_models_cache_at_breakpoints_and_say_what_they_wrote(
    openai_client: openai.AsyncOpenAI,
) -> None:
    part = {"type": "text", "text": LONG_PROMPT, "prompt_cache_breakpoint": {"mode": "explicit"}}
    task = {"type": "text", "text": "Write up to 5 entries."}
    messages = [{"role": "user", "content": [part, task]}]
    asked = {"messages": messages, "prompt_cache_options": {"mode": "explicit"}}
    first = (await ask_openai(openai_client, "breakpointed", **asked)).usage
    again = (await ask_openai(openai_client, "breakpointed", **asked)).usage
    marked = -(-len(LONG_PROMPT) // 4)
    assert first.prompt_tokens_details.cache_write_tokens == marked
    assert again.prompt_tokens_details.cached_tokens == marked
    assert again.prompt_tokens == -(-len(LONG_PROMPT + task["text"]) // 4)
    with pytest.raises(openai.BadRequestError, match="prompt_cache_breakpoint"):
        await ask_openai(openai_client, messages=messages)


async def test_newer_openai_models_keep_the_whole_prompt_unless_told_otherwise(
    openai_client: openai.AsyncOpenAI,
) -> None:
    messages = [{"role": "user", "content": LONG_PROMPT}]
    first = (await ask_openai(openai_client, "breakpointed", messages=messages)).usage
    longer = [{"role": "user", "content": f"{LONG_PROMPT} Write up to 5 entries."}]
    second = (await ask_openai(openai_client, "breakpointed", messages=longer)).usage
    assert first.prompt_tokens_details.cache_write_tokens == first.prompt_tokens
    assert second.prompt_tokens_details.cached_tokens == 0


SCHEMA = {
    "type": "object",
    "properties": {"names": {"type": "array", "items": {"type": "string"}}},
    "required": ["names"],
    "additionalProperties": False,
}


def response_format(schema: object, *, strict: bool = True) -> dict[str, Any]:
    json_schema = {"name": "answer", "strict": strict, "schema": schema}
    return {"type": "json_schema", "json_schema": json_schema}


async def test_both_apis_answer_in_exactly_the_schema(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    one = await ask_openai(openai_client, response_format=response_format(SCHEMA))
    config = {"format": {"type": "json_schema", "schema": SCHEMA}}
    other = await ask_anthropic(anthropic_client, output_config=config)
    for text in (one.choices[0].message.content, other.content[0].text):
        answer = json.loads(text)
        assert list(answer) == ["names"]
        assert answer["names"]
        assert all(isinstance(name, str) for name in answer["names"])


async def test_schemas_that_strict_modes_refuse_are_refused(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    loose = {**SCHEMA, "additionalProperties": True}
    for wanted in (response_format(loose), response_format(SCHEMA, strict=False)):
        with pytest.raises(openai.BadRequestError, match="Invalid schema for response_format"):
            await ask_openai(openai_client, response_format=wanted)
    config = {"format": {"type": "json_schema", "schema": loose}}
    with pytest.raises(anthropic.BadRequestError, match=r"output_config\.format\.schema"):
        await ask_anthropic(anthropic_client, output_config=config)
    wanted = response_format(SCHEMA)
    with pytest.raises(openai.BadRequestError, match="'response_format' of type 'json_schema'"):
        await ask_openai(openai_client, "schemaless", response_format=wanted)


# Lists of models


async def test_each_api_lists_its_own_models(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    openai_names = [model.id async for model in openai_client.models.list()]
    anthropic_names = [model.id async for model in anthropic_client.models.list(limit=3)]
    assert openai_names[:4] == ["atlas", "swift", "wild", "dim"]
    assert anthropic_names[:2] == ["sonata", "haiku"]
    assert len(anthropic_names) > 3
    assert not set(openai_names) & set(anthropic_names)
    assert (await openai_client.models.retrieve("atlas")).id == "atlas"
    assert (await anthropic_client.models.retrieve("sonata")).display_name == "Sonata (simulated)"


async def test_a_model_that_is_not_listed_is_not_found(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    with pytest.raises(openai.NotFoundError):
        await openai_client.models.retrieve("sonata")
    with pytest.raises(anthropic.NotFoundError):
        await anthropic_client.models.retrieve("atlas")


# Errors


@pytest.mark.parametrize("key", ["wrong", "bad-key", "wrong-one"])
async def test_a_refused_key_is_an_authentication_error(
    simulator: RunningSimulator, key: str
) -> None:
    async with openai_at(simulator, key) as client:
        with pytest.raises(openai.AuthenticationError) as openai_error:
            await ask_openai(client)
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    async with anthropic_at(simulator, key) as other:
        with pytest.raises(anthropic.AuthenticationError) as anthropic_error:
            await ask_anthropic(other)
        with pytest.raises(anthropic.AuthenticationError):
            await other.models.list()
    assert openai_error.value.code == "invalid_api_key"
    assert anthropic_error.value.type == "authentication_error"


async def test_an_unknown_model_is_not_found(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    with pytest.raises(openai.NotFoundError) as openai_error:
        await ask_openai(openai_client, "atlass")
    with pytest.raises(anthropic.NotFoundError) as anthropic_error:
        await ask_anthropic(anthropic_client, "atlas")
    assert openai_error.value.code == "model_not_found"
    assert "model: atlas" in str(anthropic_error.value)


async def test_a_rate_limit_says_when_to_come_back(tmp_path: Path) -> None:
    async with with_models(tmp_path, "requests_per_minute = 1", time_scale=6) as simulator:
        async with openai_at(simulator) as client:
            raw = await client.chat.completions.with_raw_response.create(
                model="one", messages=[{"role": "user", "content": PROMPT}], max_tokens=1
            )
            assert raw.headers["x-ratelimit-limit-requests"] == "1"
            assert raw.headers["x-ratelimit-remaining-requests"] == "0"
            with pytest.raises(openai.RateLimitError) as openai_error:
                await ask_openai(client, "one")
        async with anthropic_at(simulator) as other:
            await ask_anthropic(other, "two", max_tokens=1)
            with pytest.raises(anthropic.RateLimitError) as anthropic_error:
                await ask_anthropic(other, "two")
        outcomes = [call["outcome"] for call in await books_calls(simulator)]
    for error in (openai_error.value, anthropic_error.value):
        # A simulated minute is ten seconds here, some of which have passed.
        assert 1 <= int(error.response.headers["retry-after"]) <= 10
    assert openai_error.value.code == "rate_limit_exceeded"
    assert outcomes == ["length", "rate_limited", "length", "rate_limited"]


async def test_the_wait_after_a_429_is_in_simulated_time(tmp_path: Path) -> None:
    async with with_models(tmp_path, "error_429_rate = 1.0") as simulator:
        client = openai_at(simulator)
        with pytest.raises(openai.RateLimitError) as caught:
            await ask_openai(client, "one")
        await client.close()
    headers = caught.value.response.headers
    assert 0 < float(headers["retry-after"]) <= 4 / TIME_SCALE + 0.01
    assert float(headers["retry-after-ms"]) <= 4000 / TIME_SCALE + 1


async def test_no_credit_is_no_rate_limit(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    with pytest.raises(openai.RateLimitError) as openai_error:
        await ask_openai(openai_client, "penniless")
    with pytest.raises(anthropic.APIStatusError) as anthropic_error:
        await ask_anthropic(anthropic_client, "insolvent")
    assert openai_error.value.code == openai_error.value.type == "insufficient_quota"
    assert "retry-after" not in openai_error.value.response.headers
    assert anthropic_error.value.status_code == 402
    assert anthropic_error.value.type == "billing_error"


async def test_server_faults_are_of_both_kinds(tmp_path: Path) -> None:
    statuses: set[int] = set()
    async with (
        with_models(tmp_path, "error_5xx_rate = 1.0") as simulator,
        openai_at(simulator) as client,
        anthropic_at(simulator) as other,
    ):
        for _ in range(20):
            with pytest.raises(openai.InternalServerError) as openai_error:
                await ask_openai(client, "one")
            with pytest.raises(anthropic.InternalServerError) as anthropic_error:
                await ask_anthropic(other, "two")
            statuses |= {openai_error.value.status_code, anthropic_error.value.status_code}
            is_overloaded = anthropic_error.value.status_code == 529
            assert (anthropic_error.value.type == "overloaded_error") is is_overloaded
    assert statuses == {500, 503, 529}


async def test_a_cut_stream_breaks_off_before_its_end(tmp_path: Path) -> None:
    async with with_models(tmp_path, "cut_stream_rate = 1.0") as simulator:
        async with openai_at(simulator) as client, anthropic_at(simulator) as other:
            chunks = await pieces_before_cut(await ask_openai(client, "one", stream=True))
            events = await pieces_before_cut(await ask_anthropic(other, "two", stream=True))
        calls = await books_calls(simulator)
    assert [call["outcome"] for call in calls] == ["cut", "cut"]
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks)
    assert openai_text(chunks).count("\n") == calls[0]["entry_count"] < 30
    assert "message_delta" not in {event.type for event in events}


async def pieces_before_cut(stream: Any) -> list[Any]:
    """What came before the stream broke; both SDKs let the HTTP library's own error through."""
    pieces = []

    async def read() -> None:
        async for piece in stream:
            pieces.append(piece)

    with pytest.raises(CUT):
        await read()
    return pieces


async def test_a_whole_answer_that_is_cut_is_a_connection_error(tmp_path: Path) -> None:
    async with with_models(tmp_path, "cut_stream_rate = 1.0") as simulator:
        async with openai_at(simulator) as client, anthropic_at(simulator) as other:
            with pytest.raises(openai.APIConnectionError):
                await ask_openai(client, "one")
            with pytest.raises(anthropic.APIConnectionError):
                await ask_anthropic(other, "two")
        assert [call["outcome"] for call in await books_calls(simulator)] == ["cut", "cut"]


async def test_an_error_event_in_a_stream_is_an_api_error(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    with pytest.raises(openai.APIError, match="server had an error"):
        await openai_chunks(openai_client, model="breaker")
    with pytest.raises(anthropic.APIStatusError, match="Overloaded") as caught:
        await anthropic_events(anthropic_client, model="faltering")
    assert caught.value.type == "overloaded_error"


async def test_nobody_listening_is_a_connection_error(held_port: int) -> None:
    url = f"http://127.0.0.1:{held_port}"
    async with openai_at(url) as client:
        with pytest.raises(openai.APIConnectionError):
            await ask_openai(client)
    async with anthropic_at(url) as other:
        with pytest.raises(anthropic.APIConnectionError):
            await ask_anthropic(other)


async def test_an_empty_answer_is_an_answer(tmp_path: Path) -> None:
    async with (
        with_models(tmp_path, "empty_rate = 1.0") as simulator,
        openai_at(simulator) as client,
        anthropic_at(simulator) as other,
    ):
        assert openai_text(await openai_chunks(client, model="one")) == ""
        assert anthropic_text(await anthropic_events(other, model="two")) == ""
        assert (await ask_openai(client, "one")).choices[0].message.content == ""
        assert (await ask_anthropic(other, "two")).content == []


async def test_a_refusal_is_an_answer(tmp_path: Path) -> None:
    async with (
        with_models(tmp_path, "refusal_rate = 1.0") as simulator,
        openai_at(simulator) as client,
    ):
        text = (await ask_openai(client, "one")).choices[0].message.content
    assert text.startswith(("I'm sorry", "I cannot"))


async def test_filters_have_their_own_reasons_to_finish(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    filtered = await ask_openai(openai_client, "filtered")
    assert filtered.choices[0].finish_reason == "content_filter"
    assert (await ask_anthropic(anthropic_client, "declining")).stop_reason == "refusal"


async def test_a_prompt_that_is_too_long_is_told_so(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": LONG_PROMPT}]
    async with with_models(tmp_path, "context_tokens = 1000") as simulator:
        async with openai_at(simulator) as client:
            with pytest.raises(openai.BadRequestError) as openai_error:
                await ask_openai(client, "one", messages=messages)
        async with anthropic_at(simulator) as other:
            with pytest.raises(anthropic.BadRequestError, match="prompt is too long: "):
                await ask_anthropic(other, "two", messages=messages)
    assert openai_error.value.code == "context_length_exceeded"
    assert "maximum context length is 1000 tokens" in str(openai_error.value)


async def test_an_unknown_topic_is_told_with_those_that_are_known(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    messages = [{"role": "user", "content": "Topic: Moons of Saturn\nWrite up to 3."}]
    with pytest.raises(openai.BadRequestError, match=r"Moons of Saturn.*Paris attractions"):
        await ask_openai(openai_client, messages=messages)
    with pytest.raises(anthropic.BadRequestError, match=r"Moons of Saturn.*Paris attractions"):
        await ask_anthropic(anthropic_client, messages=messages)


# Models that differ

SYSTEM = {"role": "system", "content": "x"}
CACHED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}


async def test_a_reasoning_model_wants_other_parameters(openai_client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="'max_completion_tokens' instead") as caught:
        await ask_openai(openai_client, "reasoner", max_tokens=50)
    assert (caught.value.param, caught.value.code) == ("max_tokens", "unsupported_parameter")
    with pytest.raises(openai.BadRequestError) as caught:
        await ask_openai(openai_client, "reasoner", temperature=0.2)
    assert (caught.value.param, caught.value.code) == ("temperature", "unsupported_value")
    await ask_openai(openai_client, "reasoner", temperature=1, max_completion_tokens=5)


async def test_hidden_reasoning_eats_the_cap_and_is_billed(
    openai_client: openai.AsyncOpenAI,
) -> None:
    answer = await ask_openai(openai_client, "reasoner", max_completion_tokens=200)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("", "length")
    assert answer.usage.completion_tokens == 200
    assert answer.usage.completion_tokens_details.reasoning_tokens == 200


@pytest.mark.parametrize(
    ("model", "parameters", "said"),
    [
        ("legacy", {"max_completion_tokens": 5}, "supplied: max_completion_tokens"),
        ("legacy", {"stream": True, "stream_options": {}}, "supplied: stream_options"),
        ("unverified", {"stream": True}, "must be verified to stream this model"),
        ("terse", {"max_tokens": 1000}, "supports at most 512 completion tokens"),
        (
            "systemless",
            {"messages": [{"role": "system", "content": "x"}]},
            "does not support 'system'",
        ),
        ("atlas", {"messages": []}, "empty array"),
        ("atlas", {"max_tokens": 0}, "below minimum"),
        ("atlas", {"stream_options": {"include_usage": True}}, "only allowed when 'stream'"),
        ("atlas", {"extra_body": {"top_k": 3}}, "supplied: top_k"),
    ],
)
async def test_what_an_openai_model_does_not_take_is_a_bad_request(
    openai_client: openai.AsyncOpenAI, model: str, parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        await ask_openai(openai_client, model, **parameters)


async def test_a_refused_stream_names_the_parameter_and_a_whole_answer_is_given(
    openai_client: openai.AsyncOpenAI,
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ask_openai(openai_client, "unverified", stream=True)
    assert caught.value.param == "stream"
    assert (await ask_openai(openai_client, "unverified")).choices[0].message.content


async def test_an_older_server_answers_what_it_understands(
    openai_client: openai.AsyncOpenAI,
) -> None:
    assert openai_text(await openai_chunks(openai_client, model="legacy", max_tokens=50))


@pytest.mark.parametrize(
    ("model", "parameters", "said"),
    [
        ("opus", {"extra_body": {"temperature": 0.5}}, "`temperature` is deprecated"),
        ("brief", {"max_tokens": 1000}, "1000 > 512, which is the maximum"),
        (
            "uncached",
            {"system": [{"type": "text", "text": "x", "cache_control": {}}]},
            "cache_control",
        ),
        ("sonata", {"system": [{"type": "text", "text": ""}]}, "must be non-empty"),
        ("sonata", {"extra_body": {"nonsense": 1}}, "nonsense: Extra inputs"),
        ("sonata", {"messages": [SYSTEM]}, "Input should be 'user'"),
        ("sonata", {"max_tokens": 0}, "greater than or equal to 1"),
    ],
)
async def test_what_an_anthropic_model_does_not_take_is_a_bad_request(
    anthropic_client: anthropic.AsyncAnthropic, model: str, parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(anthropic.BadRequestError, match=said) as caught:
        await ask_anthropic(anthropic_client, model, **parameters)
    assert caught.value.type == "invalid_request_error"


async def test_more_than_four_breakpoints_are_refused(
    anthropic_client: anthropic.AsyncAnthropic,
) -> None:
    with pytest.raises(anthropic.BadRequestError, match="maximum of 4 blocks"):
        await ask_anthropic(anthropic_client, messages=[{"role": "user", "content": [CACHED] * 5}])


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize(
    "body", ["", "{", "[]", "[" * 100_000, '"x"', "{}", '{"model": 3}', "\ud83d"]
)
async def test_a_body_that_is_no_request_is_a_bad_request(
    simulator: RunningSimulator, path: str, body: str
) -> None:
    headers = {"anthropic-version": "2023-06-01"}
    raw = body.encode("utf-8", "surrogatepass")
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(simulator.url + path, data=raw) as response,
    ):
        assert response.status == 400
        assert (await response.json())["error"]["type"] == "invalid_request_error"


# Books, start and stop


async def test_the_books_tell_what_was_truly_written(
    openai_client: openai.AsyncOpenAI, simulator: RunningSimulator
) -> None:
    for _ in range(3):
        await openai_chunks(openai_client)
    books = await simulator.get_json("/books")
    atlas = books["models"]["atlas"]
    assert atlas["calls"] == 3
    assert atlas["entries_written"] >= atlas["distinct"] + atlas["off_topic"] > 30
    written = await simulator.get_json("/books/entries?topic=paris+attractions&model=atlas")
    assert len(written["entries"]) == atlas["distinct"] == books["topics"]["Paris attractions"]
    calls = await books_calls(simulator)
    assert [call["number"] for call in calls] == [1, 2, 3]
    assert sum(call["output_tokens"] for call in calls) == atlas["output_tokens"]


async def test_the_books_resolve_names_to_true_entries(simulator: RunningSimulator) -> None:
    question = {"topic": "Paris attractions", "texts": ["the LOUVRE museum", "Nowhere at all"]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{simulator.url}/books/resolve", json=question) as response,
    ):
        louvre, nowhere = (await response.json())["entries"]
    assert "Louvre" in louvre
    assert nowhere is None


@pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=1000000", "after=" + "9" * 30])
async def test_a_wrong_question_to_the_books_is_a_bad_request(
    simulator: RunningSimulator, query: str
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{simulator.url}/books/calls?{query}") as response,
    ):
        assert response.status == 400


async def test_a_client_that_hangs_up_ends_its_answer_and_is_billed_for_what_was_sent(
    tmp_path: Path,
) -> None:
    async with with_models(tmp_path, time_scale=2) as simulator, openai_at(simulator) as client:
        stream = await ask_openai(client, "one", stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()
        async with asyncio.timeout(PATIENCE_S):
            while not (calls := await books_calls(simulator)):
                pass
    assert calls[0]["outcome"] == "cancelled"
    assert 0 < calls[0]["output_tokens"] < 50


async def test_the_port_is_told_and_free_again_after_the_end() -> None:
    async with running_simulator(SimulatorSettings()) as first:
        port = int(first.url.rsplit(":", 1)[1])
        assert first.url == f"http://127.0.0.1:{port}"
        with pytest.raises(PortInUse, match=f"port {port} on 127.0.0.1 is in use"):
            await serve(SimulatorSettings(port=port), lambda _: None)
    async with running_simulator(SimulatorSettings(port=port)) as again:
        assert again.url == first.url


async def test_an_unusable_catalog_ends_the_server_with_its_name(tmp_path: Path) -> None:
    missing = tmp_path / "missing.txt"
    with pytest.raises(CatalogUnusable, match=r"missing\.txt"):
        await serve(SimulatorSettings(catalog_files=(missing,)), lambda _: None)
