"""Answers through the real SDKs: as they stream, as they are cut, and what they are charged."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from mesh.config import Api
from mesh.llm.interface import (
    CallProgress,
    Completed,
    ErrorKind,
    FinishReason,
    ProviderError,
    StreamEvent,
    TextDelta,
    Usage,
)
from mesh.llm.usage import REQUEST_TOKENS, UNDER_WAY_TOKENS, cut_usage, largest_usage
from tests.integration.llm_clients import (
    APIS,
    PROMPT,
    TEXTS,
    ask,
    client_at,
    collect,
    cut_events,
    error_body,
    error_of,
    good_events,
)
from tests.integration.scripted_llm_server import (
    anthropic_events,
    broken_answer,
    held_answer,
    openai_events,
    scripted_server,
    silent_answer,
    stream_answer,
)
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.steady


@pytest.mark.parametrize("api", APIS)
async def test_an_answer_streams_and_ends_with_usage_by_the_same_rule(api: Api) -> None:
    async with scripted_server(stream_answer(good_events(api, *TEXTS))) as server:
        client = client_at(server, api)
        events = await ask(client)
        await client.close()
    assert [event.text for event in events if isinstance(event, TextDelta)] == list(TEXTS)
    written = 10 if api == "anthropic" else 0
    assert events[-1] == Completed(FinishReason.STOP, Usage(50, 20, 7, cache_write_tokens=written))


@pytest.mark.parametrize("api", APIS)
async def test_text_is_handed_on_before_the_answer_has_ended(api: Api) -> None:
    gate, closed = asyncio.Event(), asyncio.Event()
    held = held_answer(good_events(api, *TEXTS), gate, closed, sent_first_count=4)
    async with scripted_server(held) as server:
        client = client_at(server, api)
        async with aclosing(client.stream(PROMPT, output_tokens_max=100)) as events:
            assert await anext(events) == TextDelta(TEXTS[0])
            gate.set()
            rest = [event async for event in events]
        await client.close()
    assert isinstance(rest[-1], Completed)


@pytest.mark.parametrize("api", APIS)
async def test_closing_the_stream_closes_the_connection_at_once(api: Api) -> None:
    gate, closed = asyncio.Event(), asyncio.Event()
    held = held_answer(good_events(api, *TEXTS), gate, closed, sent_first_count=4)
    async with scripted_server(held) as server:
        client = client_at(server, api)
        events = client.stream(PROMPT, output_tokens_max=100)
        await anext(events)
        await events.aclose()
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()
        await client.close()


@pytest.mark.parametrize("api", APIS)
async def test_cancelling_the_reader_closes_the_connection_at_once(api: Api) -> None:
    gate, closed, begun = asyncio.Event(), asyncio.Event(), asyncio.Event()
    held = held_answer(good_events(api, *TEXTS), gate, closed, sent_first_count=4)
    async with scripted_server(held) as server:
        client = client_at(server, api)

        async def read() -> None:
            async with aclosing(client.stream(PROMPT, output_tokens_max=100)) as events:
                async for _ in events:
                    begun.set()

        task = asyncio.create_task(read())
        async with asyncio.timeout(PATIENCE_S):
            await begun.wait()
            task.cancel()
            await closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()


@pytest.mark.parametrize("api", APIS)
async def test_cancelling_a_call_that_nobody_has_answered_closes_the_connection_at_once(
    api: Api,
) -> None:
    asked, closed = asyncio.Event(), asyncio.Event()
    progress = CallProgress()
    async with scripted_server(silent_answer(asked, closed)) as server:
        client = client_at(server, api)
        stream = client.stream(PROMPT, output_tokens_max=100, progress=progress)
        task = asyncio.ensure_future(anext(stream))
        async with asyncio.timeout(PATIENCE_S):
            await asked.wait()
            task.cancel()
            await closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()
    assert not progress.begun
    assert cut_usage(PROMPT, progress).output_tokens == 100


@pytest.mark.parametrize("abort", [True, False])
@pytest.mark.parametrize("api", APIS)
async def test_a_cut_stream_is_an_error_that_tells_what_it_used(api: Api, abort: bool) -> None:
    answer = stream_answer(cut_events(api, *TEXTS), abort=abort)
    async with scripted_server(answer) as server:
        client = client_at(server, api)
        events: list[StreamEvent] = []
        with pytest.raises(ProviderError) as caught:
            await collect(client, events)
        await client.close()
    assert events == [TextDelta(text) for text in TEXTS]
    assert caught.value.kind is ErrorKind.RETRY
    assert "was cut" in str(caught.value)
    if api == "anthropic":  # it reports the prompt's tokens when the stream begins
        expected = Usage(50, 20, 100, cache_write_tokens=10, estimated=True)
    else:
        expected = largest_usage(PROMPT, 100)
    # Whether it reasons unseen is not known yet: the whole cap may have been written.
    assert caught.value.usage == expected


@pytest.mark.parametrize("api", APIS)
async def test_a_cut_stream_of_a_model_that_shows_all_it_writes_costs_little(api: Api) -> None:
    whole = stream_answer(good_events(api, *TEXTS))
    async with scripted_server(whole, stream_answer(cut_events(api, *TEXTS))) as server:
        client = client_at(server, api)
        await ask(client, 10_000)
        with pytest.raises(ProviderError) as caught:
            await ask(client, 10_000)
        await client.close()
    assert caught.value.usage is not None
    assert 7 + UNDER_WAY_TOKENS < caught.value.usage.output_tokens < 200


async def test_a_model_whose_tokens_are_short_is_charged_more_for_a_cut_stream() -> None:
    text = "Musée de la Chasse et de la Nature\n" * 30
    usage = {"prompt_tokens": 50, "completion_tokens": len(text.encode()) // 2}
    whole = stream_answer(openai_events(text, usage=usage))
    cut = stream_answer(openai_events(text, finish=None, usage=None)[:-1])
    async with scripted_server(whole, cut) as server:
        client = client_at(server, "openai")
        await ask(client, 10_000)
        with pytest.raises(ProviderError) as caught:
            await ask(client, 10_000)
        await client.close()
    assert caught.value.usage is not None
    assert caught.value.usage.output_tokens > usage["completion_tokens"]


@pytest.mark.parametrize("api", APIS)
async def test_a_call_that_the_caller_ends_is_charged_by_what_is_known_of_it(api: Api) -> None:
    gate, closed = asyncio.Event(), asyncio.Event()
    whole = stream_answer(good_events(api, *TEXTS))
    held = held_answer(good_events(api, *TEXTS), gate, closed, sent_first_count=4)
    progress = CallProgress()
    async with scripted_server(whole, held) as server:
        client = client_at(server, api)
        await ask(client)
        stream = client.stream(PROMPT, output_tokens_max=10_000, progress=progress)
        await anext(stream)
        await stream.aclose()
        await client.close()
    assert progress.begun
    assert progress.text_bytes >= len(TEXTS[0].encode())
    usage = cut_usage(PROMPT, progress)
    assert usage.estimated
    assert usage.output_tokens < 200
    assert usage.input_tokens >= (50 if api == "anthropic" else REQUEST_TOKENS)


@pytest.mark.parametrize("api", APIS)
async def test_a_connection_that_breaks_before_the_answer_may_have_cost(api: Api) -> None:
    async with scripted_server(broken_answer()) as server:
        error = await error_of(client_at(server, api))
    assert error.kind is ErrorKind.UNREACHABLE
    assert error.usage is not None
    assert error.usage.input_tokens > 0


async def test_an_answer_that_ended_is_whole_although_its_usage_was_lost() -> None:
    events = openai_events(*TEXTS, usage=None)[:-1]
    async with scripted_server(stream_answer(events, abort=True)) as server:
        client = client_at(server, "openai")
        (*_, last) = await ask(client)
        await client.close()
    assert isinstance(last, Completed)
    assert last.finish_reason is FinishReason.STOP
    assert last.usage == largest_usage(PROMPT, 100)


async def test_a_server_that_reports_no_usage_is_charged_an_estimate() -> None:
    answer = stream_answer(openai_events(*TEXTS, usage=None))
    async with scripted_server(answer) as server:
        client = client_at(server, "openai")
        (*_, last) = await ask(client)
        await client.close()
    assert isinstance(last, Completed)
    assert last.usage.estimated
    assert last.usage.output_tokens > 0


@pytest.mark.parametrize("api", APIS)
async def test_an_error_inside_a_stream_is_sorted(api: Api) -> None:
    body = error_body(api, "overloaded_error", "Overloaded")
    head = good_events(api, *TEXTS)[:3]
    prefix = "event: error\n" if api == "anthropic" else ""
    broken = [*head, f"{prefix}data: {body}\n\n".replace("'", '"').replace("None", "null")]
    async with scripted_server(stream_answer(broken)) as server:
        error = await error_of(client_at(server, api))
    assert error.kind is ErrorKind.RETRY
    assert "overloaded" in str(error)
    assert error.usage is not None


@pytest.mark.parametrize(
    ("api", "finish", "expected"),
    [
        ("openai", "length", FinishReason.LENGTH),
        ("openai", "content_filter", FinishReason.REFUSED),
        ("anthropic", "max_tokens", FinishReason.LENGTH),
        ("anthropic", "refusal", FinishReason.REFUSED),
        ("anthropic", "something_new", FinishReason.STOP),
    ],
)
async def test_why_an_answer_ended_is_told(api: Api, finish: str, expected: FinishReason) -> None:
    events = (openai_events if api == "openai" else anthropic_events)("Louvre", finish=finish)
    async with scripted_server(stream_answer(events)) as server:
        client = client_at(server, api)
        (*_, last) = await ask(client)
        await client.close()
    assert isinstance(last, Completed)
    assert last.finish_reason is expected
