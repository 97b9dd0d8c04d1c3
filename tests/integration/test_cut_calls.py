"""What a call that we end ourselves is charged, against the simulator's books over HTTP."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from mesh.config import Api, ModelSpec, SimulatorSettings
from mesh.llm.adaptive_client import AdaptiveClient
from mesh.llm.clients import open_client
from mesh.llm.interface import CallProgress, Prompt, ProviderError, TextDelta, Usage
from mesh.llm.pricing import charge_usd, cost_usd
from mesh.llm.prompts import KnownForPrompt, build_prompt
from mesh.llm.usage import cut_usage
from tests.integration.conftest import RunningSimulator, running_simulator
from tests.integration.eventually import eventually
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.steady

CUTS = 50
CAP = 1_500
PIECES_MAX = 6
CHUNKS = tuple("\n".join(f"Musée imaginaire {chunk}.{n}" for n in range(250)) for chunk in range(3))


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator(SimulatorSettings(time_scale=20.0, seed=11)) as running:
        yield running


def model_at(simulator: RunningSimulator, api: Api, name: str, price_of: str) -> ModelSpec:
    url = f"{simulator.url}/v1" if api == "openai" else simulator.url
    return ModelSpec(f"simulated:{name}", api, name, url, simulated=True, price_of=price_of)


def prompt_of(source: random.Random) -> Prompt:
    sealed = CHUNKS[: source.randrange(4)]
    return build_prompt("Paris attractions", KnownForPrompt(sealed), ask_count=60)


async def ended_calls(simulator: RunningSimulator, count: int) -> list[dict[str, Any]]:
    """The books' calls, once there are `count`: a closed connection is noticed a moment later."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            calls: list[dict[str, Any]] = (await simulator.get_json("/books/calls"))["calls"]
            if len(calls) >= count:
                return calls
            await asyncio.sleep(0.005)


def billed(call: dict[str, Any]) -> Usage:
    return Usage(
        call["input_tokens"],
        call["cached_input_tokens"],
        call["output_tokens"],
        call["cache_write_tokens"],
    )


async def cut_call(
    client: AdaptiveClient, prompt: Prompt, pieces_max: int, *, structured: bool
) -> Usage:
    """End the answer after so many pieces, 0: before the first; what it is charged by."""
    progress = CallProgress()
    stream = client.stream(prompt, output_tokens_max=CAP, structured=structured, progress=progress)
    pieces = 0
    try:
        async with aclosing(stream):
            async for event in stream:
                if not isinstance(event, TextDelta):
                    return event.usage
                pieces += 1
                if pieces >= pieces_max:
                    break
    except ProviderError as error:
        return error.usage or Usage(0, 0, 0)
    return cut_usage(prompt, progress)


@pytest.mark.parametrize(
    ("api", "name", "price_of"),
    [
        ("openai", "swift", "gpt-4o-mini"),
        ("openai", "breakpointed", "gpt-5.6-luna"),
        ("anthropic", "haiku", "claude-haiku-4-5"),
    ],
)
async def test_a_call_that_we_cut_is_never_charged_below_the_bill_nor_above_its_reservation(
    simulator: RunningSimulator, api: Api, name: str, price_of: str
) -> None:
    model = model_at(simulator, api, name, price_of)
    client = open_client(model, None)
    source = random.Random(f"cuts of {name}")
    excess_usd, cut_count = 0.0, 0
    for number in range(1, CUTS + 1):
        prompt, structured = prompt_of(source), source.random() < 0.3
        reserved = client.largest_usage(prompt, CAP, structured=structured)
        reserved_usd = cost_usd(model, reserved)
        usage = await cut_call(
            client, prompt, source.randrange(1, PIECES_MAX), structured=structured
        )
        call = (await ended_calls(simulator, number))[number - 1]
        bill = billed(call)
        charged_usd, bill_usd = charge_usd(model, usage, None), cost_usd(model, bill)
        assert charged_usd is not None
        assert bill_usd is not None
        assert reserved_usd is not None
        assert usage.input_tokens >= bill.input_tokens, number
        assert usage.output_tokens >= bill.output_tokens, number
        assert charged_usd >= bill_usd
        assert usage.output_tokens <= reserved.output_tokens
        excess_usd += charged_usd - bill_usd
        cut_count += usage.estimated
    await client.close()
    assert cut_count > CUTS / 2
    assert excess_usd >= 0.0


@pytest.mark.parametrize(("api", "name"), [("openai", "atlas"), ("anthropic", "sonata")])
async def test_a_call_cancelled_before_its_first_text_is_charged_its_prompt(
    api: Api, name: str
) -> None:
    prompt, progress = prompt_of(random.Random(3)), CallProgress()
    async with running_simulator(SimulatorSettings(time_scale=1.0)) as slow:
        client = open_client(model_at(slow, api, name, "gpt-4o"), None)
        stream = client.stream(prompt, output_tokens_max=CAP, progress=progress)
        asked = asyncio.ensure_future(anext(stream))
        await eventually(lambda: progress.begun)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        (call,) = await ended_calls(slow, 1)
        await client.close()
    assert call["outcome"] == "cancelled"
    usage = cut_usage(prompt, progress)
    assert usage.input_tokens >= call["input_tokens"] > 0
    assert usage.output_tokens >= call["output_tokens"]


async def test_an_answer_cut_after_unseen_reasoning_is_charged_as_its_whole_cap(
    simulator: RunningSimulator,
) -> None:
    client = open_client(model_at(simulator, "openai", "reasoner", "gpt-4o-mini"), None)
    for number in (1, 2, 3):
        prompt, progress = prompt_of(random.Random(number)), CallProgress()
        stream = client.stream(prompt, output_tokens_max=4_000, progress=progress)
        async with aclosing(stream):
            await anext(stream)
            if number == 2:
                async for _ in stream:
                    pass
        call = (await ended_calls(simulator, number))[number - 1]
        usage = cut_usage(prompt, progress)
        assert usage.output_tokens >= call["output_tokens"] > 1_000
    await client.close()
    assert usage.output_tokens == 4_000
