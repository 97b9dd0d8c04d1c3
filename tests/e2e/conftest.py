"""What end-to-end tests share: a simulated LLM server apart from any run, a browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from mesh.config import SimulatorSettings
from mesh.simulation.server import serve
from tests.e2e.chromium import launched
from tests.e2e.running import end_all_runs
from tests.patience import PATIENCE_S


@pytest.fixture(autouse=True)
def _no_run_outlives_its_test() -> Iterator[None]:
    yield
    end_all_runs()


@pytest.fixture
def simulator_url() -> Iterator[str]:
    """Base URL of a simulator that serves Paris attractions, in a thread of its own."""
    listening = threading.Event()
    urls: list[str] = []
    loop = asyncio.new_event_loop()

    def heard(url: str) -> None:
        urls.append(url)
        listening.set()

    serving = loop.create_task(
        serve(SimulatorSettings(topic="Paris attractions", time_scale=20), heard)
    )

    def run() -> None:
        try:
            loop.run_until_complete(serving)
        except asyncio.CancelledError:
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert listening.wait(timeout=PATIENCE_S)
    yield urls[0]
    loop.call_soon_threadsafe(serving.cancel)
    thread.join(timeout=PATIENCE_S)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def browser(chromium: Browser) -> AsyncIterator[Browser]:
    """Chromium; the pages that a test opened are closed with it."""
    yield chromium
    for context in chromium.contexts:
        await context.close()
