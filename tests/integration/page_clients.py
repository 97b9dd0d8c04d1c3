"""A page's server and its clients, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

from mesh.web.interface import JsonObject
from mesh.web.server import PageServer
from tests.scripted_run import ScriptedRun

UPDATE_S = 0.02
NOBODY_REFUSED: JsonObject = {"page": {"refused": {}}}
"""What metrics say of the page's own connections, beside the run's numbers."""


@asynccontextmanager
async def served(
    run: ScriptedRun, *, public_url: str | None = None
) -> AsyncIterator[tuple[PageServer, ClientSession]]:
    """A server of `run`, and a client whose paths are relative to it."""
    server = await PageServer.start(
        run, host="127.0.0.1", port=0, public_url=public_url, update_s=UPDATE_S
    )
    try:
        base_url, connector = f"http://127.0.0.1:{server.port}", TCPConnector(limit=0)
        async with ClientSession(base_url, connector=connector) as client:
            yield server, client
    finally:
        await server.close(run.metrics(with_history=False))


async def next_frame(socket: ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next frame of that type; frames of other types are passed over."""
    while True:
        frame: dict[str, Any] = await socket.receive_json()
        if frame["type"] == kind:
            return frame


async def frames_to_the_end(socket: ClientWebSocketResponse) -> list[dict[str, Any]]:
    return [json.loads(message.data) async for message in socket if message.type == WSMsgType.TEXT]
