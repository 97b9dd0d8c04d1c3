"""What providers' caches give to prompts as we lay them out, through the real SDKs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mesh.config import Api, ModelSpec, SimulatorSettings
from mesh.core.entries import CallStarted, Found
from mesh.core.items import LogId, NodeId
from mesh.core.rate_limits import Allowances, CallEntry
from mesh.llm.adaptive_client import AdaptiveClient
from mesh.llm.cache_rules import cache_key
from mesh.llm.clients import open_client
from mesh.llm.interface import Completed, ErrorKind, Prompt, ProviderError, TextDelta, Usage
from mesh.llm.prompts import KnownForPrompt, build_prompt
from tests.integration.conftest import RunningSimulator, running_simulator

pytestmark = pytest.mark.steady

CHUNKS = tuple(
    "\n".join(f"Musée imaginaire {chunk}.{n:03d}" for n in range(250)) for chunk in range(8)
)
CHUNK_TOKENS = len(CHUNKS[0].encode()) // 4
ATTEMPTS_MAX = 5
PRODUCER = LogId(NodeId(b"p" * 16), 1)
MODELS: tuple[tuple[Api, str, str], ...] = (
    ("openai", "atlas", "gpt-4o"),
    ("openai", "breakpointed", "gpt-5.6-luna"),
    ("anthropic", "sonata", "claude-sonnet-4-5"),
)


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator(SimulatorSettings(time_scale=20.0, seed=5)) as running:
        yield running


@pytest.fixture
async def slow_simulator() -> AsyncIterator[RunningSimulator]:
    """Its models think long enough for others to ask meanwhile."""
    async with running_simulator(SimulatorSettings(time_scale=2.0, seed=5)) as running:
        yield running


def client_at(simulator: RunningSimulator, api: Api, name: str, price_of: str) -> AdaptiveClient:
    url = f"{simulator.url}/v1" if api == "openai" else simulator.url
    spec = f"simulated:{name}"
    return open_client(ModelSpec(spec, api, name, url, simulated=True, price_of=price_of), None)


def prompt_with(chunk_count: int, *fresh: str) -> Prompt:
    known = KnownForPrompt(CHUNKS[:chunk_count], fresh)
    return build_prompt("Paris attractions", known, ask_count=5)


async def ask(client: AdaptiveClient, prompt: Prompt) -> Usage:
    """The usage of one answer; a fault drawn by chance is retried."""
    for _ in range(ATTEMPTS_MAX):
        try:
            async for event in client.stream(prompt, output_tokens_max=400):
                if isinstance(event, Completed):
                    return event.usage
        except ProviderError as error:
            if error.kind is not ErrorKind.RETRY:
                raise
    raise AssertionError("only faults")


@pytest.mark.parametrize(("api", "name", "price_of"), MODELS)
async def test_a_list_that_has_grown_is_read_up_to_where_it_was(
    simulator: RunningSimulator, api: Api, name: str, price_of: str
) -> None:
    client = client_at(simulator, api, name, price_of)
    await ask(client, prompt_with(3, "Louvre"))
    for chunk_count in (3, 4, 5, 8):
        usage = await ask(client, prompt_with(chunk_count, "Orsay", f"Panthéon {chunk_count}"))
        kept_before = {3: 3, 4: 3, 5: 4, 8: 5}[chunk_count]
        assert usage.cached_input_tokens >= 0.95 * kept_before * CHUNK_TOKENS
        new_tokens = (chunk_count - kept_before) * CHUNK_TOKENS
        assert usage.cache_write_tokens <= 1.05 * new_tokens
    await client.close()


async def test_a_model_that_charges_for_what_it_keeps_is_sent_breakpoints_from_then_on(
    simulator: RunningSimulator,
) -> None:
    """Its name does not tell: without them the end of each prompt is kept, and never read."""
    client = client_at(simulator, "openai", "breakpointed", "gpt-4o")
    first = await ask(client, prompt_with(3, "Louvre"))
    assert first.cache_write_tokens == first.input_tokens
    await ask(client, prompt_with(3, "Orsay"))
    third = await ask(client, prompt_with(3, "Orsay", "Panthéon"))
    await client.close()
    assert third.cache_write_tokens == 0
    assert third.cached_input_tokens >= 0.95 * 3 * CHUNK_TOKENS


async def test_breakpoints_are_dropped_where_a_model_turns_out_to_take_none(
    simulator: RunningSimulator,
) -> None:
    client = client_at(simulator, "openai", "atlas", "gpt-5.6-luna")
    assert client.parameters.cache_breakpoints
    await ask(client, prompt_with(3))
    assert not client.parameters.cache_breakpoints
    assert (await ask(client, prompt_with(3))).cached_input_tokens >= 0.95 * 3 * CHUNK_TOKENS
    await client.close()


@pytest.mark.parametrize(("api", "name", "price_of"), MODELS[1:])
async def test_a_prompt_too_short_to_be_kept_pays_no_surcharge(
    simulator: RunningSimulator, api: Api, name: str, price_of: str
) -> None:
    client = client_at(simulator, api, name, price_of)
    usage = await ask(client, prompt_with(0, "Louvre", "Orsay"))
    await client.close()
    assert usage.cache_write_tokens == usage.cached_input_tokens == 0


async def test_a_producer_behind_by_a_chunk_reads_what_the_others_have_kept(
    simulator: RunningSimulator,
) -> None:
    for api, name, price_of in MODELS:
        client = client_at(simulator, api, name, price_of)
        await ask(client, prompt_with(6))
        usage = await ask(client, prompt_with(5))
        await client.close()
        assert usage.cached_input_tokens >= 0.95 * 5 * CHUNK_TOKENS, name
        assert usage.cache_write_tokens == 0, name


async def test_calls_of_one_key_share_a_cache_and_those_of_another_do_not(
    simulator: RunningSimulator,
) -> None:
    client = client_at(simulator, *MODELS[0])
    keys = [cache_key(b"r" * 16, client.model.spec, "all", shard) for shard in (0, 1)]
    first, second = (replace(prompt_with(3), cache_key=key) for key in keys)
    assert (await ask(client, first)).cached_input_tokens == 0
    assert (await ask(client, first)).cached_input_tokens > 0
    assert (await ask(client, second)).cached_input_tokens == 0
    await client.close()


async def test_a_server_that_knows_no_key_is_asked_without_one(
    simulator: RunningSimulator,
) -> None:
    client = client_at(simulator, "openai", "legacy", "gpt-4o")
    await ask(client, replace(prompt_with(1), cache_key="9f2c"))
    await client.close()
    assert not client.parameters.cache_key


@pytest.mark.parametrize("warmed", [False, True])
@pytest.mark.parametrize(("api", "name", "price_of"), MODELS)
async def test_calls_that_wait_for_the_first_read_what_it_has_filled(
    slow_simulator: RunningSimulator, api: Api, name: str, price_of: str, warmed: bool
) -> None:
    """Three calls at once of a cold prompt: all pay in full, or only one does."""
    client = client_at(slow_simulator, api, name, price_of)
    spec, prompt, changed = client.model.spec, prompt_with(4), asyncio.Event()
    allowances, loop = Allowances(PRODUCER.origin), asyncio.get_running_loop()

    def tell(seq: int, entry: CallEntry) -> None:
        allowances.apply(PRODUCER, seq, entry, now_s=loop.time(), now_ms=0)
        changed.set()

    async def call(seq: int) -> Usage:
        while warmed and (wait_s := allowances.wait_s(spec, 1_000, loop.time())):
            changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), wait_s)
        tell(seq, CallStarted(spec, 40, None, 0))
        async for event in client.stream(prompt, output_tokens_max=400):
            if isinstance(event, TextDelta):
                tell(10 + seq, Found("one", seq, spec))
            else:
                return event.usage
        raise AssertionError("no end")

    usages = await asyncio.gather(*(call(seq) for seq in (1, 2, 3)))
    await client.close()
    cold_count = sum(usage.cached_input_tokens == 0 for usage in usages)
    assert cold_count == (1 if warmed else 3)
