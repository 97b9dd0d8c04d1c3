"""What pages are told over their WebSockets, over real HTTP: what is new, and the end."""

from __future__ import annotations

import asyncio
import gc

import pytest
from aiohttp import WSServerHandshakeError

from mesh.core.item_query import ItemQuery
from mesh.web import live_updates
from mesh.web import server as web_server
from mesh.web.interface import JsonObject
from mesh.web.live_updates import CLIENTS_MAX, ITEMS_PER_FRAME_MAX, NAMES_SHOWN_MAX
from mesh.web.routes import ITEMS_MAX
from tests.integration.eventually import eventually
from tests.integration.page_clients import NOBODY_REFUSED, frames_to_the_end, next_frame, served
from tests.patience import PATIENCE_S
from tests.scripted_run import ScriptedRun


@pytest.fixture
def run() -> ScriptedRun:
    run = ScriptedRun()
    run.find(["Louvre", "Eiffel Tower", "Musée d'Orsay"])
    return run


@pytest.fixture
def patient_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that read have all the time they need to take the last frames."""
    monkeypatch.setattr(live_updates, "LAST_FRAMES_S", PATIENCE_S)


async def test_a_new_client_is_told_numbers_and_state_at_once(run: ScriptedRun) -> None:
    async with served(run) as (_, client), client.ws_connect("/ws") as socket:
        metrics = await socket.receive_json()
        assert metrics == {
            "type": "metrics",
            **run.metrics(with_history=False),
            **NOBODY_REFUSED,
        }
        state = await socket.receive_json()
        assert (state["type"], state["state"]) == ("state", "running")


async def test_a_new_client_is_told_of_nodes_facets_and_names_at_once(run: ScriptedRun) -> None:
    async with served(run) as (_, client), client.ws_connect("/ws") as socket:
        assert await next_frame(socket, "peers") == {"type": "peers", **run.peers()}
        assert await next_frame(socket, "facets") == {"type": "facets", **run.facets()}
        names = await run.names(limit=NAMES_SHOWN_MAX)
        assert await next_frame(socket, "names") == {"type": "names", **names}


async def test_nodes_facets_and_names_are_told_when_they_change_and_only_then(
    run: ScriptedRun,
) -> None:
    async with served(run) as (_, client), client.ws_connect("/ws") as socket:
        await next_frame(socket, "names")
        run.node_state = "suspect"
        frame = await next_frame(socket, "peers")
        assert {peer["state"] for peer in frame["peers"]} == {"suspect"}
        run.add_facet("Bridges")
        frame = await next_frame(socket, "facets")
        assert frame["facets"][-1]["name"] == "Bridges"
        run.merged_count = 7
        assert (await next_frame(socket, "names"))["merged_total"] == 7
        kinds = [(await socket.receive_json())["type"] for _ in range(20)]
        assert set(kinds) == {"metrics"}


async def test_each_frame_is_made_once_however_many_listen() -> None:
    class Counting(ScriptedRun):
        metrics_asked = names_asked = peers_asked = 0

        def metrics(self, *, with_history: bool) -> JsonObject:
            self.metrics_asked += 1
            return super().metrics(with_history=with_history)

        async def names(self, *, limit: int) -> JsonObject:
            self.names_asked += 1
            return await super().names(limit=limit)

        def peers(self) -> JsonObject:
            self.peers_asked += 1
            return super().peers()

    run = Counting()
    async with served(run) as (_, client):
        sockets = [await client.ws_connect("/ws") for _ in range(20)]
        for socket in sockets:
            await next_frame(socket, "names")
        asked = run.metrics_asked
        await eventually(lambda: run.metrics_asked > asked + 12)
        # Each update asks for the metrics once, and so does each newcomer.
        assert run.peers_asked <= run.metrics_asked + 1
        assert run.names_asked <= run.metrics_asked
        await asyncio.gather(*(socket.close() for socket in sockets))


async def test_what_stays_on_this_machine_is_not_compressed(run: ScriptedRun) -> None:
    async with served(run) as (_, client), client.ws_connect("/ws", compress=15) as socket:
        assert socket.compress == 0
    async with (
        served(run, public_url="https://mesh.example/") as (_, client),
        client.ws_connect("/ws", compress=15) as socket,
    ):
        assert socket.compress == 15
        assert (await next_frame(socket, "peers"))["peers"]


async def test_new_entries_are_sent_once_in_order_and_old_ones_not(run: ScriptedRun) -> None:
    async with served(run) as (_, client), client.ws_connect("/ws") as socket:
        await next_frame(socket, "state")
        run.find(["Panthéon", "Sacré-Cœur"])
        frame = await next_frame(socket, "items")
        assert [item["ordinal"] for item in frame["items"]] == [4, 5]
        run.find(["Pont Neuf"])
        frame = await next_frame(socket, "items")
        assert [item["text"] for item in frame["items"]] == ["Pont Neuf"]


async def test_many_entries_come_in_bounded_frames_without_a_hole(run: ScriptedRun) -> None:
    async with served(run) as (_, client), client.ws_connect("/ws") as socket:
        await next_frame(socket, "state")
        run.find([f"Attraction {number}" for number in range(1200)])
        ordinals: list[int] = []
        while len(ordinals) < 1200:
            frame = await next_frame(socket, "items")
            assert len(frame["items"]) <= ITEMS_PER_FRAME_MAX
            ordinals += [item["ordinal"] for item in frame["items"]]
        assert ordinals == list(range(4, 1204))


async def test_entries_beyond_what_frames_hold_are_left_to_be_fetched(run: ScriptedRun) -> None:
    """A page must see the newest, not fall ever further behind."""
    async with served(run) as (_, client), client.ws_connect("/ws") as socket:
        await next_frame(socket, "state")
        run.find([f"Attraction {number}" for number in range(20_000)])
        frame = await next_frame(socket, "items")
        first = frame["items"][0]["ordinal"]
        assert first > 18_000
        missed = await (await client.get(f"/api/items?after=3&limit={ITEMS_MAX}")).json()
        assert missed["items"][0]["ordinal"] == 4
        assert missed["next"] == 3 + ITEMS_MAX


async def test_a_change_of_state_is_told(run: ScriptedRun) -> None:
    async with served(run) as (_, client), client.ws_connect("/ws") as socket:
        await next_frame(socket, "state")
        run.state, run.stop_reason = "draining", "target reached"
        frame = await next_frame(socket, "state")
        assert (frame["state"], frame["stop_reason"]) == ("draining", "target reached")
        assert "final" not in frame


async def test_the_last_frame_says_how_the_run_finished_and_how_to_reopen_it(
    run: ScriptedRun, patient_end: None
) -> None:
    async with served(run) as (server, client), client.ws_connect("/ws") as socket:
        await next_frame(socket, "state")
        run.find(["Panthéon"])
        run.end("target reached: 4 entries")
        closing = asyncio.create_task(server.close(run.metrics(with_history=False)))
        frames = await frames_to_the_end(socket)
        await closing
        assert frames[-1] == {
            "type": "state",
            "state": "stopped",
            "stop_reason": "target reached: 4 entries",
            "run_id": "runs/paris",
            "run_dir": "runs/paris",
            "reopen_command": "python run_mesh.py view runs/paris",
            "final": True,
        }
        items = [item for frame in frames if frame["type"] == "items" for item in frame["items"]]
        assert [item["text"] for item in items] == ["Panthéon"]
        metrics = [frame for frame in frames if frame["type"] == "metrics"]
        assert metrics[-1]["state"] == "stopped"
        assert socket.close_code == 1001


async def test_an_update_that_the_end_cuts_is_told_with_the_last(
    patient_end: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(live_updates.UPDATES_BETWEEN, live_updates.NAMES, 1)

    class Slow(ScriptedRun):
        cut = False

        async def names(self, *, limit: int) -> JsonObject:
            """Of all that an update reads the last."""
            if self.accepted and not self.cut:
                self.cut = True
                await asyncio.Event().wait()
            return await super().names(limit=limit)

    run = Slow()
    async with served(run) as (server, client), client.ws_connect("/ws") as socket:
        await next_frame(socket, "metrics")
        run.find(["Panthéon"])
        run.node_state = "left"
        await eventually(lambda: run.cut)
        closing = asyncio.create_task(server.close(run.metrics(with_history=False)))
        frames = await frames_to_the_end(socket)
        await closing
    items = [item for frame in frames if frame["type"] == "items" for item in frame["items"]]
    assert [item["text"] for item in items] == ["Panthéon"]
    peers = [frame["peers"] for frame in frames if frame["type"] == "peers"]
    assert "left" in [peer["state"] for peer in peers[-1]]


async def test_a_page_that_polls_gets_to_see_the_end(
    run: ScriptedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "LAST_POLL_S", PATIENCE_S)
    async with served(run) as (server, client):
        await client.get("/api/metrics")
        run.end("target reached")
        closing = asyncio.create_task(server.close(run.metrics(with_history=False)))
        answer = await client.get("/api/metrics?history=0")
        assert (await answer.json())["state"] == "stopped"
        await closing


async def test_a_client_that_does_not_read_is_dropped_and_holds_up_no_other(
    run: ScriptedRun,
) -> None:
    run.changes = {"notices": ["x" * 200_000]}
    async with served(run) as (server, client), client.ws_connect("/ws") as quick:
        port = server.port
        # A small window makes the sender notice soon that nothing is read.
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        while server.client_count > 1:
            await next_frame(quick, "metrics")
        run.find(["Panthéon"])
        frame = await next_frame(quick, "items")
        assert frame["items"][0]["text"] == "Panthéon"
        writer.close()


async def test_one_client_more_than_can_be_served_is_told_to_poll(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        sockets = [await client.ws_connect("/ws") for _ in range(CLIENTS_MAX)]
        with pytest.raises(WSServerHandshakeError, match="503"):
            await client.ws_connect("/ws")
        await sockets[0].close()
        await asyncio.gather(*(socket.close() for socket in sockets))


async def test_pages_that_leave_while_a_frame_is_compressed_for_them_leave_nothing_behind(
    run: ScriptedRun,
) -> None:
    """Long frames are compressed in a thread; what went wrong there was told on the terminal."""
    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(str(context)))
    async with served(run, public_url="http://mesh.example/") as (server, client):
        for number in range(10):
            sockets = [await client.ws_connect("/ws", compress=15) for _ in range(10)]
            run.find([f"A long name of an attraction {number} {each}" for each in range(400)])
            await next_frame(sockets[0], "items")
            for socket in sockets:
                connection = socket._response.connection
                assert connection is not None
                assert connection.transport is not None
                connection.transport.abort()
            await eventually(lambda: server.client_count == 0)
            for socket in sockets:
                await socket.close()
        gc.collect()
        await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert told == []


async def test_a_plain_get_of_the_websocket_is_refused(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        assert (await client.get("/ws")).status == 426


async def test_when_live_updates_fail_pages_are_sent_to_polling(
    run: ScriptedRun, caplog: pytest.LogCaptureFixture
) -> None:
    class Unreadable(ScriptedRun):
        async def items(self, query: ItemQuery) -> JsonObject:
            raise OSError("disk gone")

    async with served(Unreadable()) as (server, client), client.ws_connect("/ws") as socket:
        assert await frames_to_the_end(socket) is not None
        with pytest.raises(WSServerHandshakeError, match="503"):
            await client.ws_connect("/ws")
        assert (await client.get("/api/metrics")).status == 200
        assert server.client_count == 0
    assert "page updates ended" in caplog.text
