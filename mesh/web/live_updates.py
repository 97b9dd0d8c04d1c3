"""What open pages are told over their WebSockets: once a second the metrics and what is new.

A page that connects fetches past entries and the history by GET; here it hears the rest, and what
nodes, facets and names are like at once and whenever that has changed. Each frame is built once
for all pages. A frame that a page missed, or entries skipped because they come faster than anyone
reads, it sees as a hole in the ordinals and fetches by ordinal. A client that reads too slowly is
dropped and may come back: it never holds up the others, nor the run.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from mesh.core.item_query import ItemQuery
from mesh.web.interface import JsonObject, RunView

UPDATE_S = 1.0
ITEMS_PER_FRAME_MAX = 500
ITEM_FRAMES_PER_UPDATE_MAX = 4
"""2,000 entries a second; of more the oldest are left for pages to fetch."""
CLIENTS_MAX = 100
"""Further pages are refused with 503, and poll."""
PEERS, FACETS, NAMES = "peers", "facets", "names"
UPDATES_BETWEEN: Final = {PEERS: 1, FACETS: 2, NAMES: 3}
"""After how many updates each is looked at again, as far as anyone listens."""
NAMES_SHOWN_MAX = 100
"""Merges and doubts in a frame, of each the latest."""
CLIENT_FRAMES_MAX = 64
"""Frames waiting for one client, 8 s of the most there can be; past it the client is dropped. All
clients wait for the same frames: they are in memory once."""
CLIENT_MESSAGE_BYTES_MAX = 1024
HEARTBEAT_S = 20.0
LAST_FRAMES_S = 1.0
"""Time for clients to take the last frames before their connections are cut."""


class LiveUpdates:
    """All open WebSockets and what they have been told."""

    def __init__(self, view: RunView, *, update_s: float = UPDATE_S) -> None:
        self._view = view
        self._update_s = update_s
        self._clients: set[_Client] = set()
        self._told_ordinal = 0
        self._told_state: JsonObject = {}
        self._latest: dict[str, bytes] = {}
        """The latest frames about nodes, facets and names; empty while nobody listens."""
        self._building = asyncio.Lock()
        self._update_count = 0
        self._over = False

    @property
    def client_count(self) -> int:
        return len(self._clients)

    async def run(self) -> None:
        """Update the clients every `update_s` until cancelled."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            await self._update(self._view.metrics(with_history=False))
            # A late update does not make the next one hurry.
            due_s = max(due_s + self._update_s, loop.time())
            await asyncio.sleep(due_s - loop.time())

    async def serve(self, request: web.Request, *, compress: bool = True) -> web.StreamResponse:
        """Keep one page up to date until it leaves, is dropped, or the run's server ends.

        Args:
            compress: whether its frames may be; each client's are, anew. Five times the work.
        """
        self._refuse_if_full()
        # Someone has to be first, and the others wait for what it asks for.
        async with self._building:
            for kind in UPDATES_BETWEEN.keys() - self._latest.keys():
                self._latest[kind] = await self._built(kind)
        self._refuse_if_full()
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S,
            max_msg_size=CLIENT_MESSAGE_BYTES_MAX,
            timeout=LAST_FRAMES_S,
            compress=compress,
        )
        await socket.prepare(request)
        client = _Client(socket, request.transport)
        metrics = self._view.metrics(with_history=False)
        client.offer([_frame("metrics", metrics), _frame("state", _state(metrics))])
        client.offer(self._latest[kind] for kind in UPDATES_BETWEEN if kind in self._latest)
        self._clients.add(client)
        try:
            await client.serve()
        finally:
            self._clients.discard(client)
            client.left.set()
        return socket

    def _refuse_if_full(self) -> None:
        if self._over or len(self._clients) >= CLIENTS_MAX:
            raise web.HTTPServiceUnavailable(text="no more live connections: poll /api/metrics")

    async def finish(self, metrics: JsonObject) -> None:
        """Tell everyone the rest and how the run ended, then close."""
        self._over = True
        await self._update(metrics, is_last=True)
        clients = list(self._clients)
        for client in clients:
            client.offer([_frame("state", {**_state(metrics), "final": True})])
            client.end()
        waits = [asyncio.ensure_future(client.left.wait()) for client in clients]
        if waits:
            _, late = await asyncio.wait(waits, timeout=LAST_FRAMES_S)
            for wait in late:
                wait.cancel()
        self.close()

    def close(self) -> None:
        """Cut every connection and take no more; pages that are still there poll."""
        self._over = True
        for client in self._clients:
            client.drop()

    async def _update(self, metrics: JsonObject, *, is_last: bool = False) -> None:
        unique_total = int(metrics.get("unique_total", 0))
        self._update_count += 1
        if not self._clients:
            self._told_ordinal, self._told_state = unique_total, _state(metrics)
            if not self._building.locked():  # Else one is just opening a page.
                self._latest.clear()
            return
        # Noted as told once it is: the end of the run cuts an update, and tells the rest.
        state, told_ordinal = _state(metrics), self._told_ordinal
        frames = [_frame("metrics", metrics)]
        async for page in self._new_items(unique_total):
            told_ordinal = page["items"][-1]["ordinal"]
            frames.append(_frame("items", page))
        if state != self._told_state:
            frames.append(_frame("state", state))
        changed = await self._changed_frames(is_last=is_last)
        frames += changed.values()
        for client in self._clients:
            client.offer(frames)
        self._told_ordinal, self._told_state = told_ordinal, state
        self._latest |= changed

    async def _changed_frames(self, *, is_last: bool) -> dict[str, bytes]:
        """What has changed of nodes, facets and names, by kind."""
        async with self._building:
            frames = {
                kind: await self._built(kind)
                for kind, updates_between in UPDATES_BETWEEN.items()
                if self._update_count % updates_between == 0 or is_last
            }
        return {kind: frame for kind, frame in frames.items() if frame != self._latest.get(kind)}

    async def _built(self, kind: str) -> bytes:
        if kind == PEERS:
            return _frame(kind, self._view.peers())
        if kind == FACETS:
            return _frame(kind, self._view.facets())
        return _frame(kind, await self._view.names(limit=NAMES_SHOWN_MAX))

    async def _new_items(self, unique_total: int) -> AsyncIterator[JsonObject]:
        """Entries that pages have not been told of, as many as one update tells."""
        items_max = ITEMS_PER_FRAME_MAX * ITEM_FRAMES_PER_UPDATE_MAX
        after = max(self._told_ordinal, unique_total - items_max)
        for _ in range(ITEM_FRAMES_PER_UPDATE_MAX):
            page = await self._view.items(ItemQuery(after=after, limit=ITEMS_PER_FRAME_MAX))
            if not page["items"]:
                return
            yield page
            if page["next"] is None:
                return
            after = page["next"]


class _Client:
    """One open page and the frames it has yet to take."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.left = asyncio.Event()
        self._socket = socket
        self._transport = transport
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()

    def offer(self, frames: Iterable[bytes]) -> None:
        """Queue `frames`; a client with more than CLIENT_FRAMES_MAX waiting is dropped."""
        for frame in frames:
            self._waiting.put_nowait(frame)
        if self._waiting.qsize() > CLIENT_FRAMES_MAX:
            self.drop()

    def end(self) -> None:
        """Close once everything queued is sent."""
        self._waiting.put_nowait(None)

    def drop(self) -> None:
        """Cut the connection; what is queued is lost."""
        if self._transport is not None:
            self._transport.abort()

    async def serve(self) -> None:
        """Send what is offered until the client leaves, is dropped or has taken the end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send())
            # A page says nothing; reading answers its pings and notices when it leaves.
            async for _ in self._socket:
                pass
            self._forget_waiting()
            # Not cancelled: a frame that is being compressed goes on without whoever waits for it,
            # and what it then says of the closed connection would reach nobody but the terminal.
            self.end()

    def _forget_waiting(self) -> None:
        while not self._waiting.empty():
            self._waiting.get_nowait()

    async def _send(self) -> None:
        try:
            while (frame := await self._waiting.get()) is not None:
                await self._socket.send_frame(frame, WSMsgType.TEXT)
            await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"the run has ended")
        except ConnectionError:
            # Left or dropped: the reading side ends too.
            return


def _state(metrics: JsonObject) -> JsonObject:
    keys = ("state", "stop_reason", "run_id", "run_dir", "reopen_command")
    return {key: metrics.get(key) for key in keys}


def _frame(kind: str, content: JsonObject) -> bytes:
    text = json.dumps({"type": kind, **content}, ensure_ascii=False, separators=(",", ":"))
    return text.encode()
