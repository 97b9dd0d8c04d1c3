"""Limits over HTTP: what the simulator tells, the real SDKs hear, and producers keep to."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from bench.rate_limits import over_http
from mesh.config import Api
from mesh.llm.rate_headers import rate_limits
from mesh.simulation.models import LimitKind
from tests.integration.simulator_clients import (
    PROMPT,
    anthropic_at,
    ask_anthropic,
    ask_openai,
    openai_at,
    with_models,
)

pytestmark = pytest.mark.steady

LIMITS = ("requests_per_minute = 3", "tokens_per_minute = 10000")


async def openais_headers(client: openai.AsyncOpenAI) -> dict[str, str]:
    raw = await client.chat.completions.with_raw_response.create(
        model="one", messages=[{"role": "user", "content": PROMPT}], max_tokens=1
    )
    return dict(raw.headers)


async def anthropics_headers(client: anthropic.AsyncAnthropic) -> dict[str, str]:
    raw = await client.messages.with_raw_response.create(
        model="two", messages=[{"role": "user", "content": PROMPT}], max_tokens=1
    )
    return dict(raw.headers)


@pytest.mark.parametrize("kind", ["sliding", "bucket", "window"])
async def test_both_apis_tell_what_is_left_with_every_answer(tmp_path: Path, kind: str) -> None:
    async with with_models(tmp_path, *LIMITS, f'limit_kind = "{kind}"', time_scale=2) as simulator:
        async with openai_at(simulator) as client:
            openai_limits = rate_limits(await openais_headers(client), "openai", time.time())
        async with anthropic_at(simulator) as other:
            headers = await anthropics_headers(other)
            anthropic_limits = rate_limits(headers, "anthropic", time.time())
    for limits in (openai_limits, anthropic_limits):
        assert limits is not None
        assert (limits.requests_per_minute, limits.tokens_per_minute) == (3, 10_000)
        assert limits.requests_left == 2
        assert limits.tokens_left is not None
        assert 9_900 < limits.tokens_left <= 10_000
        assert limits.reset_s is not None
        # A simulated minute takes half one here.
        assert 0 < limits.reset_s <= 30.1


async def test_a_refusal_tells_the_limit_that_it_is_for(tmp_path: Path) -> None:
    figures = ("tokens_per_minute = 30", 'limit_kind = "window"')
    async with with_models(tmp_path, *figures, time_scale=2) as one:
        async with openai_at(one) as client:
            await ask_openai(client, "one")
            with pytest.raises(openai.RateLimitError) as openai_error:
                await ask_openai(client, "one")
        async with anthropic_at(one) as other:
            await ask_anthropic(other, "two", max_tokens=100)
            with pytest.raises(anthropic.RateLimitError) as anthropic_error:
                await ask_anthropic(other, "two", max_tokens=100)
    errors: list[tuple[Any, Api]] = [
        (openai_error.value, "openai"),
        (anthropic_error.value, "anthropic"),
    ]
    for error, api in errors:
        limits = rate_limits(error.response.headers, api, time.time())
        assert limits is not None
        assert (limits.tokens_per_minute, limits.tokens_left) == (30, 0)
        assert float(error.response.headers["retry-after"]) > 0
        assert "tokens per min" in str(error)


async def test_a_server_of_ones_own_takes_longer_for_many_calls_at_once(tmp_path: Path) -> None:
    figures = ("slows_down_at = 2", "ttft_s = 0.4", "tokens_per_s = 40")
    async with (
        with_models(tmp_path, *figures, time_scale=4) as simulator,
        openai_at(simulator) as client,
    ):
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await asyncio.gather(*(ask_openai(client, "one", max_tokens=40) for _ in range(8)))
        together_s = loop.time() - began_s
    alone_s = (0.4 + 40 / 40) / 4
    # Eight share what two get in full.
    assert together_s > 2.5 * alone_s


@pytest.mark.parametrize(("kind", "api"), [("bucket", "openai"), ("window", "anthropic")])
async def test_five_producers_are_hardly_ever_refused_over_http(kind: LimitKind, api: Api) -> None:
    """How much of the limit they use depends on the machine here; the bench measures it."""
    used, refused = await over_http(kind, api, "test", time_scale=20.0, minutes=1)
    assert used > 0.0
    assert refused < 0.2
