"""The clients against the simulator: every model it offers, the odd ones among them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from mesh.config import Api, ApiKey, ModelSpec, SimulatorSettings
from mesh.llm.adaptive_client import AdaptiveClient
from mesh.llm.checking import check_models
from mesh.llm.clients import open_client
from mesh.llm.interface import (
    Completed,
    ErrorKind,
    FinishReason,
    Prompt,
    ProviderError,
    StreamEvent,
    TextDelta,
)
from mesh.llm.prompts import KnownForPrompt, build_prompt
from mesh.simulation.server import build_app

pytestmark = pytest.mark.steady

TOPIC = "Paris attractions"
PROMPT = build_prompt(TOPIC, KnownForPrompt(), ask_count=5)
KNOWN = build_prompt(
    TOPIC,
    KnownForPrompt(sealed=("\n".join(f"Musée imaginaire {n}" for n in range(600)),)),
    ask_count=5,
)


@pytest.fixture
async def simulator_url() -> AsyncIterator[str]:
    """A simulator in this process, a hundred times as fast as life."""
    runner = web.AppRunner(build_app(SimulatorSettings(time_scale=100.0, seed=3)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def model_at(url: str, api: Api, name: str) -> ModelSpec:
    base_url = f"{url}/v1" if api == "openai" else url
    return ModelSpec(f"simulated:{name}", api, name, base_url, simulated=True, price_of="gpt-4o")


def client_at(url: str, api: Api, name: str) -> AdaptiveClient:
    return open_client(model_at(url, api, name), None)


async def ask(
    client: AdaptiveClient, prompt: Prompt = PROMPT, *, output_tokens_max: int = 400
) -> tuple[str, Completed]:
    """The text and the end of one answer; a fault drawn by chance is retried."""
    for _ in range(5):
        try:
            stream = client.stream(prompt, output_tokens_max=output_tokens_max)
            events: list[StreamEvent] = [event async for event in stream]
        except ProviderError as error:
            if error.kind is not ErrorKind.RETRY:
                raise
            continue
        last = events.pop()
        assert isinstance(last, Completed)
        return "".join(event.text for event in events if isinstance(event, TextDelta)), last
    raise AssertionError("five faults in a row")


async def error_of(client: AdaptiveClient) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(client)
    await client.close()
    return caught.value


@pytest.mark.parametrize(
    ("api", "name"),
    [
        ("openai", "atlas"),
        ("openai", "swift"),
        ("openai", "wild"),
        ("openai", "dim"),
        ("anthropic", "sonata"),
        ("anthropic", "haiku"),
        ("anthropic", "opus"),
    ],
)
async def test_every_usual_model_answers_with_its_usage(
    simulator_url: str, api: Api, name: str
) -> None:
    client = client_at(simulator_url, api, name)
    text, completed = await ask(client)
    await client.close()
    assert text.strip()
    assert completed.usage.input_tokens > 0
    assert completed.usage.output_tokens > 0
    assert not completed.usage.estimated


@pytest.mark.parametrize(("api", "name"), [("openai", "atlas"), ("anthropic", "sonata")])
async def test_the_known_entries_are_read_from_the_cache_by_the_second_call(
    simulator_url: str, api: Api, name: str
) -> None:
    client = client_at(simulator_url, api, name)
    first = (await ask(client, KNOWN))[1].usage
    second = (await ask(client, KNOWN))[1].usage
    await client.close()
    assert second.input_tokens == pytest.approx(first.input_tokens, abs=2)
    assert second.cached_input_tokens > 0.7 * second.input_tokens


@pytest.mark.parametrize(
    ("api", "name", "lacking"),
    [
        ("openai", "reasoner", {"max_tokens"}),
        ("openai", "legacy", {"max_completion_tokens", "stream_options"}),
        ("openai", "unverified", {"stream", "stream_options"}),
        ("openai", "systemless", set()),
        ("openai", "terse", set()),
        ("anthropic", "brief", set()),
        ("anthropic", "uncached", set()),
    ],
)
async def test_every_odd_model_is_adapted_to_and_answers(
    simulator_url: str, api: Api, name: str, lacking: set[str]
) -> None:
    client = client_at(simulator_url, api, name)
    text, _ = await ask(client, output_tokens_max=4_000)
    learned = client.parameters
    again, _ = await ask(client, output_tokens_max=4_000)
    await client.close()
    assert text.strip()
    assert again.strip()
    assert not lacking & set(client.sent_parameters())
    assert client.parameters == learned


async def test_hidden_reasoning_is_given_more_room_by_the_next_call(simulator_url: str) -> None:
    client = client_at(simulator_url, "openai", "reasoner")
    text, completed = await ask(client, output_tokens_max=500)
    assert text == ""
    assert completed.finish_reason is FinishReason.LENGTH
    assert completed.usage.reasoning_tokens > 0
    text, completed = await ask(client, output_tokens_max=500)
    await client.close()
    assert text.strip()
    assert completed.usage.reasoning_tokens > 0


@pytest.mark.parametrize(("api", "name"), [("openai", "filtered"), ("anthropic", "declining")])
async def test_a_refusal_of_the_provider_is_told(simulator_url: str, api: Api, name: str) -> None:
    client = client_at(simulator_url, api, name)
    _, completed = await ask(client)
    await client.close()
    assert completed.finish_reason is FinishReason.REFUSED


@pytest.mark.parametrize(("api", "name"), [("openai", "penniless"), ("anthropic", "insolvent")])
async def test_no_credit_is_given_up(simulator_url: str, api: Api, name: str) -> None:
    error = await error_of(client_at(simulator_url, api, name))
    assert error.kind is ErrorKind.GIVE_UP
    assert "no credit" in str(error)


@pytest.mark.parametrize(("api", "name"), [("openai", "breaker"), ("anthropic", "faltering")])
async def test_an_error_inside_a_stream_is_retried(simulator_url: str, api: Api, name: str) -> None:
    client = client_at(simulator_url, api, name)
    with pytest.raises(ProviderError) as caught:
        async for _ in client.stream(PROMPT, output_tokens_max=400):
            pass
    await client.close()
    assert caught.value.kind is ErrorKind.RETRY
    assert caught.value.usage is not None


@pytest.mark.parametrize(("api", "name"), [("openai", "atlas"), ("anthropic", "sonata")])
async def test_a_wrong_key_is_given_up_and_not_shown(
    simulator_url: str, api: Api, name: str
) -> None:
    key = "bad-key-Zx81kQpLm20Vt7"
    error = await error_of(open_client(model_at(simulator_url, api, name), ApiKey(key)))
    assert error.kind is ErrorKind.GIVE_UP
    assert error.status == 401
    assert "Zx81" not in str(error)


@pytest.mark.parametrize(
    ("api", "name", "meant"), [("openai", "atlsa", "atlas"), ("anthropic", "sonota", "sonata")]
)
async def test_an_unknown_name_is_answered_from_the_simulators_list(
    simulator_url: str, api: Api, name: str, meant: str
) -> None:
    error = await error_of(client_at(simulator_url, api, name))
    assert f"did you mean {meant}" in str(error)


async def test_an_unknown_topic_is_told_in_the_simulators_words(simulator_url: str) -> None:
    prompt = build_prompt("Knots of the seven seas", KnownForPrompt(), ask_count=5)
    client = client_at(simulator_url, "openai", "atlas")
    with pytest.raises(ProviderError, match=TOPIC) as caught:
        await ask(client, prompt)
    await client.close()
    assert caught.value.kind is ErrorKind.GIVE_UP


async def test_a_check_of_simulated_models_finds_them_good(simulator_url: str) -> None:
    models = [
        model_at(simulator_url, "openai", "atlas"),
        model_at(simulator_url, "anthropic", "haiku"),
    ]
    checks = await check_models(models, {})
    assert [check.model for check in checks] == ["simulated:atlas", "simulated:haiku"]
    assert all(check.ok and check.streaming for check in checks)
