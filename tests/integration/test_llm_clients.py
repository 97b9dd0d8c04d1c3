"""Both clients with their real SDKs over HTTP, against a server that does as each test says."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import traceback
from contextlib import aclosing
from typing import Any

import pytest

from mesh.config import Api, ApiKey, ModelSpec
from mesh.llm.adaptive_client import AdaptiveClient
from mesh.llm.checking import check_lines, check_models
from mesh.llm.clients import open_client
from mesh.llm.interface import (
    CallProgress,
    Completed,
    ErrorKind,
    FinishReason,
    Prompt,
    ProviderError,
    StreamEvent,
    TextDelta,
    Usage,
)
from mesh.llm.sdk_http import CallTimeouts
from mesh.llm.usage import REQUEST_TOKENS, UNDER_WAY_TOKENS, cut_usage, largest_usage
from tests.integration.scripted_llm_server import (
    OPENAI_USAGE,
    Answer,
    ScriptedServer,
    anthropic_events,
    broken_answer,
    held_answer,
    json_answer,
    openai_events,
    redirect_answer,
    scripted_server,
    silent_answer,
    stream_answer,
    text_answer,
)
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.steady

KEY = "sk-proj-Zx81kQpLm20Vt7"
PROMPT = Prompt("Topic: Paris attractions", ("Louvre\nOrsay",), "Panthéon", "Write up to 3.")
APIS: tuple[Api, ...] = ("openai", "anthropic")
TEXTS = ("Eiffel Tower\n", "Sacré-", "Cœur\n")


def model_at(server: ScriptedServer | str, api: Api, name: str = "m") -> ModelSpec:
    """A model of `api` at `server`, as OPENAI_BASE_URL or ANTHROPIC_BASE_URL would name it."""
    url = server if isinstance(server, str) else server.url
    base_url = f"{url}/v1" if api == "openai" else url
    return ModelSpec(f"{api}:{name}", api, name, base_url, f"{api.upper()}_API_KEY")


def client_at(server: ScriptedServer | str, api: Api, name: str = "m") -> AdaptiveClient:
    return open_client(model_at(server, api, name), ApiKey(KEY))


async def ask(client: AdaptiveClient, output_tokens_max: int = 100) -> list[StreamEvent]:
    return [event async for event in client.stream(PROMPT, output_tokens_max=output_tokens_max)]


async def collect(client: AdaptiveClient, events: list[StreamEvent]) -> None:
    """Add the answer's events to `events` as they come."""
    async for event in client.stream(PROMPT, output_tokens_max=100):
        events.append(event)


async def error_of(client: AdaptiveClient) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(client)
    await client.close()
    return caught.value


def good_events(api: Api, *texts: str) -> list[str]:
    return openai_events(*texts) if api == "openai" else anthropic_events(*texts)


def cut_events(api: Api, *texts: str) -> list[str]:
    """A stream without its end."""
    if api == "openai":
        return openai_events(*texts, finish=None, usage=None)[:-1]
    return anthropic_events(*texts, finish=None)


def error_body(api: Api, kind: str, message: str, **more: object) -> dict[str, object]:
    if api == "openai":
        return {"error": {"message": message, "type": kind, "param": None, "code": None, **more}}
    return {"type": "error", "error": {"type": kind, "message": message, **more}}


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


REJECTED_CAP = json_answer(
    400,
    error_body(
        "openai",
        "invalid_request_error",
        "Unsupported parameter: 'max_completion_tokens' is not supported with this model.",
        param="max_completion_tokens",
    ),
)


async def test_a_rejected_parameter_is_renamed_once_and_remembered() -> None:
    good = stream_answer(openai_events(*TEXTS))
    async with scripted_server(REJECTED_CAP, good) as server:
        model = ModelSpec("simulated:m", "openai", "m", f"{server.url}/v1", simulated=True)
        client = open_client(model, None)
        await ask(client)
        await ask(client)
        await client.close()
    sent = [{"max_completion_tokens", "max_tokens"} & set(call.body) for call in server.calls]
    assert sent == [{"max_completion_tokens"}, {"max_tokens"}, {"max_tokens"}]


async def test_a_parameter_that_stays_rejected_is_reported_and_not_repeated_for_ever() -> None:
    stubborn = json_answer(400, error_body("openai", "invalid_request_error", "max_tokens: no"))
    async with scripted_server(stubborn) as server:
        error = await error_of(client_at(server, "openai"))
    assert error.kind is ErrorKind.GIVE_UP
    assert "rejects the call to m (400)" in str(error)
    assert len(server.calls) <= 3


def whole_answer(api: Api, text: str) -> dict[str, Any]:
    if api == "openai":
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
        return {**head, "choices": [choice], "usage": OPENAI_USAGE}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 30, "cache_read_input_tokens": 20, "output_tokens": 7},
    }


@pytest.mark.parametrize("api", APIS)
async def test_a_model_that_may_not_stream_is_asked_for_whole_answers_from_then_on(
    api: Api,
) -> None:
    message = "Your organization must be verified to stream this model."
    refused = json_answer(400, error_body(api, "invalid_request_error", message))
    whole = json_answer(200, whole_answer(api, "Louvre\nOrsay"))
    async with scripted_server(refused, whole) as server:
        client = client_at(server, api)
        first, second = await ask(client), await ask(client)
        await client.close()
    expected = [TextDelta("Louvre\nOrsay"), Completed(FinishReason.STOP, Usage(50, 20, 7))]
    assert first == second == expected
    assert ["stream" in call.body for call in server.calls] == [True, False, False]


async def test_a_cap_is_never_raised_within_a_call_for_which_money_was_reserved() -> None:
    message = "Could not finish the message because max_tokens or model output limit was reached."
    refused = json_answer(400, error_body("openai", "invalid_request_error", message))
    async with scripted_server(refused, stream_answer(openai_events("Louvre"))) as server:
        client = client_at(server, "openai")
        before = client.largest_usage(PROMPT, 100).output_tokens
        with pytest.raises(ProviderError) as caught:
            await ask(client)
        after = client.largest_usage(PROMPT, 100).output_tokens
        await ask(client)
        await client.close()
    assert caught.value.kind is ErrorKind.RETRY
    assert [call.body["max_tokens"] for call in server.calls] == [before, after] == [100, 400]


async def test_a_cap_that_another_call_has_raised_stays_within_what_was_reserved() -> None:
    empty = stream_answer(openai_events(finish="length"))
    async with scripted_server(empty, stream_answer(openai_events("Louvre"))) as server:
        client = client_at(server, "openai")
        reserved = client.largest_usage(PROMPT, 100).output_tokens
        await ask(client)
        progress = CallProgress(output_tokens_cap=reserved)
        async for _ in client.stream(PROMPT, output_tokens_max=100, progress=progress):
            pass
        await client.close()
    assert [call.body["max_tokens"] for call in server.calls] == [100, 100]
    assert client.largest_usage(PROMPT, 100).output_tokens == 400


async def test_an_empty_answer_cut_by_the_cap_counts_as_reasoning_and_raises_the_cap() -> None:
    empty = stream_answer(openai_events(finish="length"))
    async with scripted_server(empty, stream_answer(openai_events("Louvre"))) as server:
        client = client_at(server, "openai")
        first = await ask(client)
        await ask(client)
        await client.close()
    (completed,) = first
    assert isinstance(completed, Completed)
    assert completed.finish_reason is FinishReason.LENGTH
    assert completed.usage.reasoning_tokens == completed.usage.output_tokens == 7
    caps = [call.body.get("max_tokens") for call in server.calls]
    assert caps == [100, 400]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("status", "kind", "message", "expected", "words"),
    [
        (401, "authentication_error", f"bad key: {KEY}", ErrorKind.GIVE_UP, "_API_KEY to a valid"),
        (402, "billing_error", "pay", ErrorKind.GIVE_UP, "no credit"),
        (403, "permission_error", f"not with {KEY}", ErrorKind.GIVE_UP, "denies access to m"),
        (413, "request_too_large", "too large", ErrorKind.SHORTEN_PROMPT, "longer than m"),
        (429, "rate_limit_error", "slow down", ErrorKind.RETRY, "rate limit"),
        (429, "insufficient_quota", "exceeded your quota", ErrorKind.GIVE_UP, "no credit"),
        (500, "api_error", f"crash, {KEY}", ErrorKind.RETRY, "(500)"),
        (529, "overloaded_error", "Overloaded", ErrorKind.RETRY, "overloaded"),
    ],
)
async def test_errors_are_sorted_with_a_message_and_without_the_key(
    api: Api, status: int, kind: str, message: str, expected: ErrorKind, words: str
) -> None:
    answer = json_answer(status, error_body(api, kind, message), {"retry-after": "7"})
    async with scripted_server(answer) as server:
        error = await error_of(client_at(server, api))
    assert (error.kind, error.status, error.retry_after_s) == (expected, status, 7.0)
    assert words in str(error)
    assert error.usage is None
    assert len(server.calls) == 1
    shown = "".join(traceback.format_exception(error)) + repr(error)
    assert KEY not in shown


@pytest.mark.parametrize("api", APIS)
async def test_an_unknown_model_is_answered_with_near_matches(api: Api) -> None:
    kind = "invalid_request_error" if api == "openai" else "not_found_error"
    answer = json_answer(404, error_body(api, kind, "The model `atls` does not exist"))
    async with scripted_server(answer) as server:
        server.names = ["whisper", "atlas", "swift"]
        error = await error_of(client_at(server, api, "atls"))
    assert error.kind is ErrorKind.GIVE_UP
    assert "unknown model 'atls'" in str(error)
    assert f"did you mean atlas? (say --model {api}:atlas)" in str(error)


@pytest.mark.parametrize("api", APIS)
async def test_a_server_that_is_not_there_is_unreachable(api: Api) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        error = await error_of(client_at(url, api))
    assert error.kind is ErrorKind.UNREACHABLE
    assert str(error) == f"no answer from {url.removeprefix('http://')}: connection refused"
    assert error.usage is None


@pytest.mark.parametrize("api", APIS)
async def test_a_name_that_does_not_resolve_is_unreachable(api: Api) -> None:
    error = await error_of(client_at("http://no-such-host.invalid", api))
    assert error.kind is ErrorKind.UNREACHABLE
    assert "no answer from no-such-host.invalid: its name cannot be resolved" in str(error)


@pytest.mark.parametrize("api", APIS)
async def test_silence_inside_a_stream_ends_it_and_the_next_wait_is_longer(api: Api) -> None:
    """A model that reasons before it writes is silent after a good beginning."""
    gate, closed = asyncio.Event(), asyncio.Event()
    silent = held_answer(good_events(api), gate, closed, sent_first_count=1)
    slow = held_answer(good_events(api, "Louvre"), gate, closed, sent_first_count=1)
    async with scripted_server(silent, slow) as server:
        timeouts = CallTimeouts(event_s=1.0, patient_s=30.0)
        client = open_client(model_at(server, api), ApiKey(KEY), timeouts)
        assert not client.parameters.patient
        with pytest.raises(ProviderError) as caught:
            await ask(client)
        assert client.parameters.patient
        gate.set()
        (*_, last) = await ask(client)
        await client.close()
    assert caught.value.kind is ErrorKind.RETRY
    assert "no answer in time" in str(caught.value)
    assert caught.value.usage is not None
    assert isinstance(last, Completed)


PORTAL = "<html><body>Please sign in</body></html>"


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "answer",
    [
        text_answer(200, PORTAL),
        text_answer(200, "data: {not json\n\n", "text/event-stream"),
        text_answer(200, "event: message_start\ndata: {not json\n\n", "text/event-stream"),
        json_answer(200, {"hello": "world"}),
        text_answer(502, PORTAL),
    ],
)
async def test_an_answer_that_is_no_answer_is_an_error_and_no_crash(
    api: Api, answer: Answer
) -> None:
    async with scripted_server(answer) as server:
        error = await error_of(client_at(server, api))
    assert error.kind is ErrorKind.RETRY
    assert str(error).isprintable()


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("answer", [text_answer(200, PORTAL), json_answer(200, {"hello": 1})])
async def test_a_whole_answer_that_is_none_is_an_error_and_no_crash(
    api: Api, answer: Answer
) -> None:
    refused = json_answer(400, error_body(api, "x", "Streaming is not supported"))
    async with scripted_server(refused, answer) as server:
        error = await error_of(client_at(server, api))
    assert error.kind is ErrorKind.RETRY


@pytest.mark.parametrize("api", APIS)
async def test_a_redirect_is_not_followed_with_the_key(api: Api) -> None:
    async with scripted_server(stream_answer(good_events(api, "x"))) as elsewhere:
        path = "/v1/chat/completions" if api == "openai" else "/v1/messages"
        async with scripted_server(redirect_answer(elsewhere.url + path)) as server:
            error = await error_of(client_at(server, api))
    assert error.kind is ErrorKind.GIVE_UP
    assert "points to another address (307)" in str(error)
    assert elsewhere.calls == []


async def test_a_server_named_by_address_learns_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The SDK adds keys, organisation and custom headers from its own variables."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Gateway: {KEY}\nAuthorization: Bearer {KEY}")
    async with scripted_server(stream_answer(openai_events("Louvre"))) as server:
        url = f"{server.url}/v1"
        client = open_client(ModelSpec(f"m@{url}", "openai", "m", url), None)
        await ask(client)
        await client.close()
    (call,) = server.calls
    assert "authorization" not in call.headers
    shown = str(call.headers)
    assert KEY not in shown
    assert "secret" not in shown


async def test_a_named_key_is_sent_to_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with scripted_server(stream_answer(openai_events("Louvre"))) as server:
        url = f"{server.url}/v1"
        model = ModelSpec(f"m@{url}", "openai", "m", url, key_variable="GROQ_API_KEY")
        client = open_client(model, ApiKey("gsk_own"))
        await ask(client)
        await client.close()
    assert server.calls[0].headers["authorization"] == "Bearer gsk_own"


@pytest.mark.parametrize("api", APIS)
async def test_a_simulated_model_is_sent_no_real_key(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{api.upper()}_API_KEY", KEY)
    async with scripted_server(stream_answer(good_events(api, "Louvre"))) as server:
        base_url = f"{server.url}/v1" if api == "openai" else server.url
        model = ModelSpec("simulated:m", api, "m", base_url, simulated=True)
        client = open_client(model, None)
        await ask(client)
        await client.close()
    assert KEY not in str(server.calls[0].headers)


@pytest.mark.parametrize("api", APIS)
async def test_no_proxy_comes_between_us_and_this_machine(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    async with scripted_server(stream_answer(good_events(api, "Louvre"))) as server:
        client = client_at(server, api)
        assert await ask(client)
        await client.close()


@pytest.mark.parametrize("api", APIS)
async def test_neither_key_nor_prompt_is_logged_even_at_debug(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with scripted_server(json_answer(401, {}), stream_answer(good_events(api))) as server:
        client = client_at(server, api)
        with pytest.raises(ProviderError):
            await ask(client)
        await ask(client)
        await client.close()
    logged = "\n".join(str(record.__dict__) for record in caplog.records)
    assert KEY not in logged
    assert "Orsay" not in logged


@pytest.mark.parametrize("api", APIS)
async def test_the_providers_names_are_listed(api: Api) -> None:
    async with scripted_server() as server:
        server.names = ["atlas", "swift"]
        client = client_at(server, api)
        assert await client.model_names() == ["atlas", "swift"]
        await client.close()


@pytest.mark.parametrize("api", APIS)
async def test_a_check_reports_what_one_call_showed(api: Api) -> None:
    async with scripted_server(stream_answer(good_events(api, "Louvre"))) as server:
        model = model_at(server, api)
        (check,) = await check_models([model], {f"{api.upper()}_API_KEY": ApiKey(KEY)})
    assert (check.ok, check.key_ok, check.name_ok, check.streaming) == (True, True, True, True)
    assert "max_tokens" in check.sent_parameters
    assert check.cost_usd is None
    assert check.first_text_s is not None
    lines = check_lines(check)
    assert lines[0] == f"{api}:m: ok: it answers: Louvre"
    assert "  price: price unknown" in lines


async def test_a_check_goes_on_with_the_larger_cap_that_a_model_wants() -> None:
    message = "Could not finish the message because max_tokens or model output limit was reached."
    refused = json_answer(400, error_body("openai", "invalid_request_error", message))
    async with scripted_server(refused, stream_answer(openai_events("Louvre"))) as server:
        (check,) = await check_models([model_at(server, "openai")], {"OPENAI_API_KEY": ApiKey(KEY)})
    assert check.ok
    assert [call.body["max_tokens"] for call in server.calls] == [64, 256]


async def test_a_check_reports_rate_limits_and_refusals_without_the_key() -> None:
    limits = {"x-ratelimit-limit-requests": "500", "x-ratelimit-limit-tokens": "200000"}
    answer = json_answer(401, error_body("openai", "x", f"Incorrect key: {KEY}"), limits)
    async with scripted_server(answer) as server:
        model = model_at(server, "openai")
        (check,) = await check_models([model], {"OPENAI_API_KEY": ApiKey(KEY)})
    assert (check.ok, check.key_ok, check.name_ok) == (False, False, None)
    assert check.limits == "500 requests, 200000 tokens a minute"
    assert "OPENAI_API_KEY" in check.message
    assert KEY not in repr(check)
    assert KEY not in "\n".join(check_lines(check))


async def test_a_check_of_an_unknown_name_says_that_the_key_is_good() -> None:
    answer = json_answer(404, error_body("openai", "x", "no", code="model_not_found"))
    async with scripted_server(answer) as server:
        (check,) = await check_models([model_at(server, "openai")], {"OPENAI_API_KEY": ApiKey(KEY)})
    assert (check.ok, check.key_ok, check.name_ok) == (False, True, False)


def test_importing_the_package_imports_neither_sdk() -> None:
    modules = ["interface", "clients", "selection", "defaults", "checking", "retrying", "pricing"]
    imports = "; ".join(f"import mesh.llm.{name}" for name in modules)
    slow = {"openai", "anthropic", "genai_prices"}
    code = f"import sys; {imports}; print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
