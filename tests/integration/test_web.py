"""The page's server over real HTTP: contract, bounds, who may steer, live updates, the end."""

from __future__ import annotations

import asyncio
import csv
import gc
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from aiohttp import (
    ClientSession,
    ClientWebSocketResponse,
    TCPConnector,
    WSMsgType,
    WSServerHandshakeError,
)
from prometheus_client.parser import text_string_to_metric_families

from mesh.core.item_query import ItemQuery
from mesh.web import live_updates
from mesh.web.interface import JsonObject
from mesh.web.live_updates import CLIENTS_MAX, ITEMS_PER_FRAME_MAX, NAMES_SHOWN_MAX
from mesh.web.routes import CONTROL_BYTES_MAX, ITEMS_MAX
from mesh.web.server import PageServer, PageUnavailable
from tests.integration.eventually import eventually
from tests.patience import PATIENCE_S
from tests.scripted_run import MODELS, ScriptedRun

UI = Path(__file__).resolve().parents[2] / "ui"
UPDATE_S = 0.02
JSON_TYPE = {"Content-Type": "application/json"}
PAUSE = json.dumps({"action": "pause"})
NOBODY_REFUSED: JsonObject = {"page": {"refused": {}}}


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


@pytest.fixture
def run() -> ScriptedRun:
    run = ScriptedRun()
    run.find(["Louvre", "Eiffel Tower", "Musée d'Orsay"])
    return run


@pytest.fixture
def patient_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that read have all the time they need to take the last frames."""
    monkeypatch.setattr(live_updates, "LAST_FRAMES_S", PATIENCE_S)


async def next_frame(socket: ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next frame of that type; frames of other types are passed over."""
    while True:
        frame: dict[str, Any] = await socket.receive_json()
        if frame["type"] == kind:
            return frame


async def frames_to_the_end(socket: ClientWebSocketResponse) -> list[dict[str, Any]]:
    return [json.loads(message.data) async for message in socket if message.type == WSMsgType.TEXT]


# Page and files


async def test_the_page_and_every_file_it_names_are_served_below_relative_addresses(
    run: ScriptedRun,
) -> None:
    async with served(run) as (_, client):
        html = await (await client.get("/")).text()
        names = re.findall(r'(?:src|href|data-chart-library)="([^"#]+)"', html)
        links = [name for name in names if not name.startswith("data:")]
        assert len(links) >= 5
        for link in links:
            assert not link.startswith(("/", "http:", "https:"))
            assert (await client.get(f"/{link}")).status == 200


def test_every_script_imports_files_that_are_there() -> None:
    scripts = [UI / "page.js", *sorted((UI / "js").glob("*.js"))]
    for script in scripts:
        for name in re.findall(r'from "([^"]+)"', script.read_text("utf-8")):
            assert (script.parent / name).is_file(), f"{script.name} imports {name}"


async def test_answers_forbid_foreign_scripts_sniffing_and_referrers(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        for path in ("/", "/api/metrics", "/output.txt", "/ui/page.js", "/nothing-here"):
            headers = (await client.get(path)).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy
            assert "style-src-attr 'none'" in policy
            assert "require-trusted-types-for 'script'" in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"


async def test_nothing_outside_the_page_s_own_files_is_served(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        for path in ("/ui/", "/ui/../pyproject.toml", "/ui/%2e%2e/pyproject.toml"):
            assert (await client.get(path)).status in (403, 404)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing-here", 404),
        ("GET", "/api/control", 405),
        ("POST", "/api/items", 405),
        ("DELETE", "/ui/page.js", 405),
        ("HEAD", "/api/items", 200),
        ("PATCH", "/", 405),
    ],
)
async def test_paths_and_methods_that_are_not_offered_are_told_apart(
    run: ScriptedRun, method: str, path: str, status: int
) -> None:
    async with served(run) as (_, client):
        assert (await client.request(method, path)).status == status


@pytest.mark.parametrize(("expected", "status"), [("100-continue", 200), ("a-cake", 417)])
async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(
    run: ScriptedRun, expected: str, status: int
) -> None:
    async with served(run) as (_, client):
        headers = {**JSON_TYPE, "Expect": expected}
        answer = await client.post("/api/control", data=PAUSE, headers=headers)
        assert answer.status == status


async def test_the_page_names_all_its_modules_so_that_none_is_asked_for_late(
    run: ScriptedRun,
) -> None:
    async with served(run) as (_, client):
        html = await (await client.get("/")).text()
        named = re.findall(r'<link rel="modulepreload" href="([^"]+)">', html)
        assert named == sorted(f"ui/js/{file.name}" for file in (UI / "js").glob("*.js"))
        for path in named:
            assert (await client.get(f"/{path}")).status == 200


async def test_the_chart_library_is_compressed_for_those_who_take_it_and_kept_for_ever(
    run: ScriptedRun,
) -> None:
    library = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    async with served(run) as (_, client):
        html = await (await client.get("/")).text()
        [path] = re.findall(r'data-chart-library="([^"]+)"', html)
        plain = await client.get(f"/{path}", headers={"Accept-Encoding": "identity"})
        assert await plain.read() == library
        packed = await client.get(f"/{path}", headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert int(packed.headers["Content-Length"]) < len(library) / 2
        assert await packed.read() == library
        for answer in (plain, packed):
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.headers["Vary"] == "Accept-Encoding"


# JSON


async def test_metrics_carry_the_history_unless_it_is_declined(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        whole = await (await client.get("/api/metrics")).json()
        assert whole == {**run.metrics(with_history=True), **NOBODY_REFUSED}
        short = await (await client.get("/api/metrics?history=0")).json()
        assert short == {**run.metrics(with_history=False), **NOBODY_REFUSED}


async def test_items_come_by_ordinal_in_pages_and_by_what_they_contain(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        first = await (await client.get("/api/items?limit=2")).json()
        assert [item["text"] for item in first["items"]] == ["Louvre", "Eiffel Tower"]
        rest = await (await client.get(f"/api/items?after={first['next']}")).json()
        assert [item["text"] for item in rest["items"]] == ["Musée d'Orsay"]
        assert rest["next"] is None
        found = await (await client.get("/api/items", params={"q": "tower"})).json()
        assert [item["ordinal"] for item in found["items"]] == [2]


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=x",
        "after=",
        "after=+1",
        "after=1_0",
        "after=٣",
        "after=99999999999999999999",
        "limit=0",
        f"limit={ITEMS_MAX + 1}",
        "limit=1.5",
        "skip=-1",
        "skip=x",
        "skip=99999999999999999999",
        f"q={'x' * 201}",
        f"model={'x' * 601}",
        f"facet={'x' * 601}",
    ],
)
async def test_a_query_out_of_bounds_is_answered_400_with_the_reason(
    run: ScriptedRun, query: str
) -> None:
    async with served(run) as (_, client):
        answer = await client.get(f"/api/items?{query}")
        assert answer.status == 400
        reason = (await answer.json())["reason"]
        assert reason.startswith(query.partition("=")[0])


async def test_items_are_filtered_by_model_facet_and_other_forms_all_at_once() -> None:
    run = ScriptedRun()
    run.find(["Louvre", "Orsay"], facet="museums")
    run.find(["Pompidou", "Pont Neuf"], model=MODELS[1], facet="museums")
    run.find(["Petit Palais"], model=MODELS[1])
    run.merge("Beaubourg museum", 3)
    async with served(run) as (_, client):

        async def texts(**query: str) -> tuple[list[str], int]:
            page = await (await client.get("/api/items", params=query)).json()
            return [item["text"] for item in page["items"]], page["total"]

        assert await texts(model=MODELS[1], limit="2") == (["Pompidou", "Pont Neuf"], 3)
        assert await texts(facet="museums", skip="1", limit="2") == (["Orsay", "Pompidou"], 4)
        assert await texts(facet="museums", model=MODELS[1], q="MUSEUM") == (["Pompidou"], 1)
        assert await texts(q="nothing") == ([], 0)
        assert await texts(skip="5") == ([], 5)
        [item] = (await (await client.get("/api/items?after=2&limit=1")).json())["items"]
        assert item["forms"] == ["Beaubourg museum"]


async def test_entries_are_downloaded_as_a_table_and_as_lines_of_json() -> None:
    run = ScriptedRun(topic="Musées de Paris")
    run.find(["=1+1", 'He said "no"', "Жуковский"], facet="-museums")
    run.merge("a, b", 2)
    run.merge("c", 2)
    async with served(run) as (_, client):
        table = await client.get("/output.csv?download")
        assert table.headers["Content-Disposition"] == (
            'attachment; filename="musees-de-paris.csv"'
        )
        assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
        text = (await table.read()).decode("utf-8")
        assert text.startswith("\ufeffordinal,text,model,node,facet,t_s,other_forms\r\n")
        rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
        assert [row["text"] for row in rows] == ["'=1+1", 'He said "no"', "Жуковский"]
        assert [row["facet"] for row in rows] == ["'-museums"] * 3
        assert rows[1]["other_forms"] == "a, b | c"
        lines = await client.get("/output.jsonl")
        assert lines.headers["Content-Disposition"] == 'inline; filename="output.jsonl"'
        assert [json.loads(line) for line in (await lines.text()).splitlines()] == run.accepted
        plain = await client.get("/output.txt?download")
        assert 'filename="musees-de-paris.txt"' in plain.headers["Content-Disposition"]


async def test_a_download_is_compressed_for_those_who_take_it(run: ScriptedRun) -> None:
    run.find([f"Attraction number {number}" for number in range(1000)])
    async with served(run) as (_, client):
        plain = await client.get("/output.jsonl", headers={"Accept-Encoding": "identity"})
        packed = await client.get("/output.jsonl", headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert await packed.read() == await plain.read()
        head = await client.head("/output.jsonl")
        assert (head.status, await head.read()) == (200, b"")


async def test_peers_and_output_are_the_run_s_own(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        assert await (await client.get("/api/peers")).json() == run.peers()
        assert await (await client.get("/api/facets")).json() == run.facets()
        assert await (await client.get("/api/names")).json() == await run.names(limit=100)
        output = await client.get("/output.txt")
        assert output.content_type == "text/plain"
        assert await output.text() == "Louvre\nEiffel Tower\nMusée d'Orsay\n"


async def test_a_large_answer_is_compressed(run: ScriptedRun) -> None:
    run.find([f"Attraction number {number}" for number in range(1000)])
    async with served(run) as (_, client):
        answer = await client.get("/api/items?limit=1000", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len((await answer.json())["items"]) == 1000


async def test_prometheus_reads_the_numbers_whatever_a_model_is_called() -> None:
    odd = 'odd"name\\with\nbreaks@http://host/v1'
    run = ScriptedRun(models=(odd,))
    run.find(["Louvre", "Panthéon"], model=odd)
    run.changes = {"budget_usd": None}
    async with served(run) as (_, client):
        answer = await client.get("/metrics")
        assert answer.content_type == "text/plain"
        families = text_string_to_metric_families(await answer.text())
        samples = {
            (sample.name, *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }
    assert samples["topicmesh_unique_entries_total", odd] == 2
    assert samples["topicmesh_unique_entries_last_minute", odd] == 2
    assert samples["topicmesh_state", "running"] == 1
    assert samples["topicmesh_state", "paused"] == 0
    assert samples["topicmesh_converged",] == 1
    assert samples["topicmesh_propagation_seconds", "0.99"] == pytest.approx(0.002)
    assert ("topicmesh_budget_usd",) not in samples


# Control


async def test_a_wish_reaches_the_run_and_its_refusal_comes_back_as_409(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        wish = {"action": "set_model", "node": "producer-1", "model": "simulated:haiku"}
        answer = await client.post("/api/control", json=wish)
        assert (answer.status, await answer.json()) == (200, {"ok": True, "reason": None})
        run.refusal = "the run is over"
        answer = await client.post("/api/control", json={"action": "stop"})
        assert answer.status == 409
        assert await answer.json() == {"ok": False, "reason": "the run is over"}
    assert run.wishes == [
        ("set_model", {"node": "producer-1", "model": "simulated:haiku"}),
        ("stop", {}),
    ]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (PAUSE, "text/plain"),
        (PAUSE, "application/x-www-form-urlencoded"),
        ("{", "application/json"),
        ("[" * 3000, "application/json"),
        ("\xff", "application/json"),
        ('"pause"', "application/json"),
        ("{}", "application/json"),
        ('{"action": "pause", "node": {"a": 1}}', "application/json"),
        ('{"action": "pause", "node": [1]}', "application/json"),
        ('{"action": "pause", "target": NaN}', "application/json"),
        ('{"action": "pause", "target": 1e999}', "application/json"),
        ('{"action": 1}', "application/json"),
        (r'{"action": "\ud800"}', "application/json"),
        (r'{"action": "pause", "x": ["\udfff"]}', "application/json"),
        (json.dumps({"action": "pause", "x": "x" * CONTROL_BYTES_MAX}), "application/json"),
    ],
)
async def test_a_malformed_wish_is_answered_400_and_not_passed_on(
    run: ScriptedRun, body: str, content_type: str
) -> None:
    async with served(run) as (_, client):
        answer = await client.post(
            "/api/control", data=body.encode("latin-1"), headers={"Content-Type": content_type}
        )
        assert answer.status == 400
        assert (await answer.json())["ok"] is False
    assert run.wishes == []


@pytest.mark.parametrize(
    ("headers", "public_url"),
    [
        ({"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"}, None),
        ({"Host": "localhost:8080", "Origin": "http://localhost:8080"}, None),
        ({"Host": "[::1]:8080", "Origin": "http://[::1]:8080"}, None),
        ({"Host": "10.0.0.5", "Origin": "http://10.0.0.5"}, None),
        ({"Sec-Fetch-Site": "same-origin"}, None),
        ({"Host": "127.0.0.1:8080", "Origin": "https://mesh.example"}, "https://mesh.example/p/"),
        ({"Host": "mesh.example", "Origin": "https://mesh.example"}, "https://mesh.example:443/"),
    ],
)
async def test_the_run_s_own_page_may_steer_it(
    run: ScriptedRun, headers: dict[str, str], public_url: str | None
) -> None:
    async with served(run, public_url=public_url) as (_, client):
        answer = await client.post("/api/control", data=PAUSE, headers={**JSON_TYPE, **headers})
        assert (answer.status, run.state) == (200, "paused")


@pytest.mark.parametrize(
    ("headers", "public_url"),
    [
        ({"Origin": "https://evil.example"}, None),
        ({"Origin": "null"}, None),
        ({"Origin": "http://[broken"}, None),
        ({"Sec-Fetch-Site": "cross-site"}, None),
        ({"Sec-Fetch-Site": "same-site"}, None),
        ({"Host": "localhost:8080", "Origin": "http://localhost:3000"}, None),
        # A hostile name that its owner's DNS has turned to 127.0.0.1.
        ({"Host": "evil.example:8080", "Origin": "http://evil.example:8080"}, None),
        ({"Origin": "http://mesh.example"}, "https://mesh.example/"),
        ({"Origin": "https://mesh.example.evil.example"}, "https://mesh.example/"),
    ],
)
async def test_no_other_site_may_steer_the_run_or_listen_to_it(
    run: ScriptedRun, headers: dict[str, str], public_url: str | None
) -> None:
    async with served(run, public_url=public_url) as (_, client):
        answer = await client.post("/api/control", data=PAUSE, headers={**JSON_TYPE, **headers})
        assert answer.status == 403
        assert (await answer.json())["reason"].startswith("refused")
        with pytest.raises(WSServerHandshakeError, match="403"):
            await client.ws_connect("/ws", headers=headers)
    assert run.wishes == []


# Live updates


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


async def test_a_page_that_polls_gets_to_see_the_end(run: ScriptedRun) -> None:
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


# Opening


async def test_a_port_in_use_is_told_with_what_to_do(run: ScriptedRun) -> None:
    async with served(run) as (server, _):
        port = server.port
        with pytest.raises(PageUnavailable) as caught:
            await PageServer.start(run, host="127.0.0.1", port=port)
    assert str(caught.value) == (
        f"port {port} on 127.0.0.1 is in use: choose another with --port, or --headless for no page"
    )


async def test_a_host_that_is_not_ours_is_told(run: ScriptedRun) -> None:
    with pytest.raises(PageUnavailable, match=r"192\.0\.2\.1 is no address of this machine"):
        await PageServer.start(run, host="192.0.2.1", port=0, token="t")


async def test_the_same_port_can_be_opened_again_at_once(run: ScriptedRun) -> None:
    """A restarted collector serves the page where it was."""
    async with served(run) as (server, client), client.ws_connect("/ws"):
        port = server.port
        await server.close(run.metrics(with_history=False))
        again = await PageServer.start(run, host="127.0.0.1", port=port)
        assert again.url == f"http://127.0.0.1:{port}"
        await again.close(run.metrics(with_history=False))


async def test_the_page_s_address_is_the_public_one_where_there_is_one(run: ScriptedRun) -> None:
    async with served(run, public_url="https://mesh.example/paris/") as (server, _):
        assert server.url == "https://mesh.example/paris/"


async def test_scripts_and_styles_say_what_they_are_and_are_asked_for_again_each_time(
    run: ScriptedRun,
) -> None:
    """With sniffing forbidden, a browser takes them under their own types only."""
    async with served(run) as (_, client):
        for path, content_type in (("page.js", "javascript"), ("style.css", "text/css")):
            answer = await client.get(f"/ui/{path}")
            assert content_type in answer.content_type
            assert answer.headers["Cache-Control"] == "no-cache"
            known = {"If-None-Match": answer.headers["ETag"]}
            assert (await client.get(f"/ui/{path}", headers=known)).status == 304
