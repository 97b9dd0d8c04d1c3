"""The process of open pages without a browser: `python -m bench.page_readers URL COUNT`.

Each reads what a page reads: the page, its metrics with the history, a page of entries, then every
frame of its WebSocket. Prints a line of JSON when all are open, and one with what came when its
standard input ends, as it does with the parent.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

FIRST_PATHS = ("/", "/api/metrics", "/api/items?limit=100")


async def read_pages(url: str, pages_count: int) -> None:
    counts: Counter[str] = Counter()
    # A page of its own each: no connection serves two.
    sessions = [ClientSession(connector=TCPConnector(limit=6)) for _ in range(pages_count)]
    sockets = [await _open(session, url) for session in sessions]
    reading = [asyncio.create_task(_read(socket, counts)) for socket in sockets]
    print(json.dumps({"open": len(sockets)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(json.dumps({**counts, "open": sum(not task.done() for task in reading)}), flush=True)
    for task in reading:
        task.cancel()
    for session in sessions:
        await session.close()


async def _open(session: ClientSession, url: str) -> ClientWebSocketResponse:
    for path in FIRST_PATHS:
        async with session.get(url + path) as answer:
            answer.raise_for_status()
            await answer.read()
    # Browsers offer compression; whether it is used is the server's to say.
    return await session.ws_connect(url + "/ws", compress=15, max_msg_size=0)


async def _read(socket: ClientWebSocketResponse, counts: Counter[str]) -> None:
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            counts["frames"] += 1
            counts["bytes"] += len(message.data)


if __name__ == "__main__":
    asyncio.run(read_pages(sys.argv[1], int(sys.argv[2])))
