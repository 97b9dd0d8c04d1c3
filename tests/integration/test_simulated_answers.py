"""The simulator's answers as real SDK clients see them: streamed, whole, and what they cost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message

from tests.integration.conftest import RunningSimulator
from tests.integration.simulator_clients import (
    LONG_PROMPT,
    PROMPT,
    anthropic_events,
    anthropic_text,
    ask_anthropic,
    ask_openai,
    books_calls,
    openai_at,
    openai_chunks,
    openai_text,
    with_models,
)

pytestmark = pytest.mark.steady

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
