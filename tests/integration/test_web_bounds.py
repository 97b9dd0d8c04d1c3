"""What a crowd of connections may cost the page's server: counted, cut, and never the run's."""

from __future__ import annotations

import asyncio
import logging
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import ClientSession, web

from mesh.core.downloads import DownloadFormat
from mesh.web.connections import CONNECTIONS_MAX, BoundedSite, Doorway
from mesh.web.routes import LARGE_ANSWERS_MAX
from mesh.web.server import PageServer
from tests.integration.eventually import eventually
from tests.scripted_run import ScriptedRun

REQUEST = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def serving(run: ScriptedRun) -> AsyncIterator[PageServer]:
    server = await PageServer.start(run, host="127.0.0.1", port=0, update_s=0.05)
    try:
        yield server
    finally:
        await server.close(run.metrics(with_history=False))


@asynccontextmanager
async def connected(
    port: int, *, limit: int = 65536
) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_a_connection_too_many_is_closed_unread_and_counted() -> None:
    async with serving(ScriptedRun()) as server, AsyncExitStack() as stack:
        held = []
        for _ in range(CONNECTIONS_MAX):
            reader, writer = await stack.enter_async_context(connected(server.port))
            writer.write(REQUEST % b"/api/peers")
            assert (await reader.readline()).split()[1] == b"200"
            held.append((reader, writer))
        async with connected(server.port) as (reader, writer):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        reader, writer = held[0]
        writer.write(REQUEST % b"/api/metrics?history=0")
        assert b'"too_many_connections":1' in await reader.readuntil(b'"too_many_connections":1')


@pytest.mark.steady
async def test_a_connection_that_asks_nothing_is_cut_and_one_that_has_asked_is_kept() -> None:
    doorway = Doorway(first_request_s=2.0)
    app = web.Application(middlewares=[doorway.middleware])

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="here")

    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await BoundedSite(runner, doorway, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with connected(port) as (asking, asker), connected(port) as (silent, half_asker):
            asker.write(REQUEST % b"/")
            await asking.readuntil(b"here")
            half_asker.write(b"GET / HTTP/1.1\r\nHost: loc")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await silent.readexactly(1)
            asker.write(REQUEST % b"/")
            await asking.readuntil(b"here")
    finally:
        await runner.cleanup()


async def test_readers_that_do_not_read_hold_a_bounded_number_of_large_answers() -> None:
    class Counting(ScriptedRun):
        asked_count = 0

        async def output(self, form: DownloadFormat) -> AsyncIterator[bytes]:
            self.asked_count += 1
            for _ in range(200):
                yield b"x" * 100_000

    run = Counting()
    async with serving(run) as server, AsyncExitStack() as stack:
        for _ in range(LARGE_ANSWERS_MAX + 5):
            _, writer = await stack.enter_async_context(connected(server.port, limit=1024))
            writer.write(REQUEST % b"/output.txt")
        await eventually(lambda: run.asked_count == LARGE_ANSWERS_MAX)
        async with ClientSession(f"http://127.0.0.1:{server.port}") as client:
            # Others are answered meanwhile, and no further large answer is made.
            assert (await client.get("/api/peers")).status == 200
            assert run.asked_count == LARGE_ANSWERS_MAX
            await stack.aclose()
            answer = await client.get("/output.txt")
            assert len(await answer.read()) == 20_000_000


async def test_a_request_that_is_no_http_is_not_written_into_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It might hold a token, and come as often as anyone likes."""
    with caplog.at_level(logging.DEBUG):
        async with serving(ScriptedRun()) as server, connected(server.port) as (reader, writer):
            writer.write(b"GET /?token=a-secret&x=\xff HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readline()).split()[1] == b"400"
    assert "a-secret" not in caplog.text


async def test_a_fault_of_the_run_itself_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ScriptedRun):
        def peers(self) -> dict[str, object]:
            raise LookupError("no peers")

    async with (
        serving(Broken()) as server,
        ClientSession(f"http://127.0.0.1:{server.port}") as client,
    ):
        assert (await client.get("/api/peers")).status == 500
    assert "no peers" in caplog.text
