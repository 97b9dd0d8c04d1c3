"""What the real SDKs send is adapted to a model that wants it otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.config import Api, ModelSpec
from mesh.llm.clients import open_client
from mesh.llm.interface import (
    CallProgress,
    Completed,
    ErrorKind,
    FinishReason,
    ProviderError,
    TextDelta,
    Usage,
)
from tests.integration.llm_clients import APIS, PROMPT, TEXTS, ask, client_at, error_body, error_of
from tests.integration.scripted_llm_server import (
    OPENAI_USAGE,
    json_answer,
    openai_events,
    scripted_server,
    stream_answer,
)

pytestmark = pytest.mark.steady


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
