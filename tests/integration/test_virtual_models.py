"""The virtual models answer as the simulator's server does through the real SDKs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from bench.virtual_loop import run
from bench.virtual_models import VirtualModels
from mesh.config import Api, ModelSpec, SimulatorSettings
from mesh.llm.clients import open_client
from mesh.llm.interface import (
    Completed,
    ErrorKind,
    LLMClient,
    Prompt,
    ProviderError,
    RateLimits,
    TextDelta,
    Usage,
)
from mesh.llm.prompts import KnownForPrompt, build_prompt
from mesh.simulation.answering import Simulator
from mesh.simulation.server import build_app

pytestmark = pytest.mark.steady

TOPIC = "Paris attractions"
SETTINGS = SimulatorSettings(topic=TOPIC, time_scale=200.0, seed=5)
SEALED = tuple(
    "\n".join(f"Musée imaginaire numéro {n}" for n in range(first, first + 250))
    for first in (0, 250)
)
PROMPTS = (
    build_prompt(TOPIC, KnownForPrompt(), ask_count=8),
    build_prompt(TOPIC, KnownForPrompt(sealed=SEALED, fresh=("Louvre",)), ask_count=8),
    build_prompt(TOPIC, KnownForPrompt(sealed=SEALED, fresh=("Louvre", "Orsay")), ask_count=8),
)
Told = tuple[str, Usage | None, str]
"""Text, usage, and how it ended."""


async def answers(client: LLMClient, prompts: tuple[Prompt, ...] = PROMPTS) -> list[Told]:
    told: list[Told] = []
    for prompt in prompts:
        text = ""
        try:
            async for event in client.stream(prompt, output_tokens_max=400):
                if isinstance(event, TextDelta):
                    text += event.text
                else:
                    assert isinstance(event, Completed)
                    told.append((text, event.usage, event.finish_reason.value))
        except ProviderError as error:
            told.append((text, error.usage, error.kind.value))
    await client.close()
    return told


def spec_of(api: Api, name: str, url: str = "") -> ModelSpec:
    base_url = f"{url}/v1" if api == "openai" else url
    return ModelSpec(f"simulated:{name}", api, name, base_url or None, simulated=True)


@pytest.mark.parametrize(
    ("api", "name"), [("openai", "atlas"), ("openai", "dim"), ("anthropic", "sonata")]
)
async def test_text_usage_and_caches_are_those_of_the_server(api: Api, name: str) -> None:
    runner = web.AppRunner(build_app(SETTINGS))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    by_server = await answers(open_client(spec_of(api, name, url), None))
    await runner.cleanup()
    simulator = Simulator.from_settings(SETTINGS)
    # In a thread, as this one has a loop of its own.
    assert by_server == await asyncio.to_thread(virtual_answers, simulator, api, name)
    cached = [usage.cached_input_tokens for _, usage, _ in by_server if usage is not None]
    assert cached[0] == 0 < cached[2]


def virtual_answers(simulator: Simulator, api: Api, name: str) -> list[Told]:
    models = VirtualModels(simulator)
    return run(answers(models.client(spec_of(api, name), 1)))


def simulator_with(name: str, **figures: float | bool) -> Simulator:
    simulator = Simulator.from_settings(SETTINGS)
    changed = replace(simulator.models[name], **figures)  # type: ignore[arg-type]
    return replace(simulator, models={**simulator.models, name: changed})


@pytest.mark.parametrize(("api", "name"), [("openai", "atlas"), ("anthropic", "sonata")])
def test_failures_are_sorted_as_a_providers_are(api: Api, name: str) -> None:
    broken = simulator_with(name, error_5xx_rate=1.0)
    assert {kind for _, _, kind in virtual_answers(broken, api, name)} == {ErrorKind.RETRY.value}
    limited = simulator_with(name, error_429_rate=1.0)
    assert {kind for _, _, kind in virtual_answers(limited, api, name)} == {ErrorKind.RETRY.value}
    poor = simulator_with(name, credit=False)
    assert {kind for _, _, kind in virtual_answers(poor, api, name)} == {ErrorKind.GIVE_UP.value}
    narrow = simulator_with(name, context_tokens=1_500)
    kinds = [kind for _, _, kind in virtual_answers(narrow, api, name)]
    assert kinds == ["stop", ErrorKind.SHORTEN_PROMPT.value, ErrorKind.SHORTEN_PROMPT.value]


@pytest.mark.parametrize(("api", "name"), [("openai", "atlas"), ("anthropic", "sonata")])
def test_a_cut_stream_is_retried_and_charged_by_an_estimate(api: Api, name: str) -> None:
    cut = simulator_with(name, cut_stream_rate=1.0, refusal_rate=0.0, empty_rate=0.0)
    told = virtual_answers(cut, api, name)
    assert {kind for _, _, kind in told} == {ErrorKind.RETRY.value}
    for _, usage, _ in told:
        assert usage is not None
        assert usage.estimated
        assert usage.input_tokens > 0


def test_what_the_record_holds_is_what_the_books_hold() -> None:
    simulator = Simulator.from_settings(SETTINGS)
    models = VirtualModels(simulator)
    run(answers(models.client(spec_of("openai", "atlas"), 1)))
    totals = simulator.books.summary()["totals"]
    calls = models.record.calls
    assert totals["distinct"] == models.record.distinct_count > 0
    assert totals["entries_written"] == len(models.record.written)
    assert totals["input_tokens"] == sum(call.input_tokens for call in calls)
    assert totals["cached_input_tokens"] == sum(call.cached_tokens for call in calls)
    assert totals["output_tokens"] == sum(call.output_tokens for call in calls)


def test_a_cache_can_hold_what_its_model_was_told_before() -> None:
    models = VirtualModels(Simulator.from_settings(SETTINGS))
    assert models.told_before("atlas", ("rules", "one", "two")) == ()
    assert models.told_before("swift", ("rules", "one")) == (), "caches are each model's own"
    assert models.told_before("atlas", ("rules", "one", "other")) == ("rules", "one")
    assert models.told_before("atlas", ("rules", "one", "two", "three")) == ("rules", "one", "two")
    assert models.told_before("atlas", ("other rules", "one")) == ()


@pytest.mark.parametrize(("api", "name"), [("openai", "atlas"), ("anthropic", "sonata")])
def test_answers_tell_what_the_provider_allows(api: Api, name: str) -> None:
    simulator = simulator_with(name, requests_per_minute=2, error_5xx_rate=0.0)
    client = VirtualModels(simulator).client(spec_of(api, name), 1)

    async def ends() -> list[RateLimits | None]:
        limits = []
        for _ in range(3):
            try:
                async for event in client.stream(PROMPTS[0], output_tokens_max=400):
                    if isinstance(event, Completed):
                        limits.append(event.limits)
            except ProviderError as error:
                limits.append(error.limits)
        return limits

    told = run(ends())
    assert [each and each.requests_per_minute for each in told] == [2, 2, 2]
    assert [each and each.requests_left for each in told] == [1, 0, 0]
