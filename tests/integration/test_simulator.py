"""The simulator's models, books, start and stop, as real SDK clients see them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from mesh.config import SimulatorSettings
from mesh.simulation.catalog import CatalogUnusable
from mesh.simulation.server import PortInUse, serve
from tests.integration.conftest import RunningSimulator, running_simulator
from tests.integration.simulator_clients import (
    ask_anthropic,
    ask_openai,
    books_calls,
    openai_at,
    openai_chunks,
    openai_text,
    with_models,
)
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.steady

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
