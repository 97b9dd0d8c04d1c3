"""The simulator's errors as real SDK clients see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from mesh.llm.sdk_http import http_error_class
from tests.integration.conftest import TIME_SCALE, RunningSimulator
from tests.integration.simulator_clients import (
    LONG_PROMPT,
    PROMPT,
    anthropic_at,
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

CUT = (
    http_error_class(openai.DefaultAsyncHttpxClient),
    http_error_class(anthropic.DefaultAsyncHttpxClient),
    openai.APIConnectionError,
    anthropic.APIConnectionError,
)


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
