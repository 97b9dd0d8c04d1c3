"""What goes wrong with a model's server is sorted, and tells no secret."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback

import pytest

from mesh.config import Api, ApiKey, ModelSpec
from mesh.llm.clients import open_client
from mesh.llm.interface import Completed, ErrorKind, ProviderError
from mesh.llm.sdk_http import CallTimeouts
from tests.integration.llm_clients import (
    APIS,
    KEY,
    ask,
    client_at,
    error_body,
    error_of,
    good_events,
    model_at,
)
from tests.integration.scripted_llm_server import (
    Answer,
    held_answer,
    json_answer,
    openai_events,
    redirect_answer,
    scripted_server,
    stream_answer,
    text_answer,
)

pytestmark = pytest.mark.steady


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
