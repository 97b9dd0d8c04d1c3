"""What integration tests share: a simulated LLM server in this process, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from mesh.config import SimulatorSettings
from mesh.simulation.server import serve

if TYPE_CHECKING:
    import anthropic
    import openai

TIME_SCALE = 20.0
"""Fast enough for tests, slow enough that an answer streams in more than one piece."""


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """One simulator that listens."""

    url: str
    """Its base URL: what Anthropic's SDK takes; OpenAI's takes it with `/v1`."""
    settings: SimulatorSettings

    async def get_json(self, path: str) -> Any:
        """What it answers to GET, such as its books."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            response.raise_for_status()
            return await response.json()


@asynccontextmanager
async def running_simulator(settings: SimulatorSettings) -> AsyncIterator[RunningSimulator]:
    """Serve by `settings` in this process, on a free port unless they name one."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings, listening.set_result))
    try:
        first: set[asyncio.Future[Any]] = {serving, listening}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield RunningSimulator(listening.result(), settings)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    """The simulator with its own models and catalogs."""
    async with running_simulator(SimulatorSettings(time_scale=TIME_SCALE)) as running:
        yield running


@pytest.fixture
async def openai_client(simulator: RunningSimulator) -> AsyncIterator[openai.AsyncOpenAI]:
    from tests.integration.simulator_clients import openai_at  # The SDKs are slow to import.

    async with openai_at(simulator) as client:
        yield client


@pytest.fixture
async def anthropic_client(simulator: RunningSimulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    from tests.integration.simulator_clients import anthropic_at

    async with anthropic_at(simulator) as client:
        yield client
