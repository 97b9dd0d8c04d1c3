"""The page's server over real HTTP: contract, bounds, who may steer, where it listens."""

from __future__ import annotations

import csv
import io
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError
from prometheus_client.parser import text_string_to_metric_families

from mesh.web.routes import CONTROL_BYTES_MAX, ITEMS_MAX
from mesh.web.server import PageServer, PageUnavailable
from tests.integration.page_clients import NOBODY_REFUSED, served
from tests.scripted_run import MODELS, ScriptedRun

UI = Path(__file__).resolve().parents[2] / "ui"
JSON_TYPE = {"Content-Type": "application/json"}
PAUSE = json.dumps({"action": "pause"})


@pytest.fixture
def run() -> ScriptedRun:
    run = ScriptedRun()
    run.find(["Louvre", "Eiffel Tower", "Musée d'Orsay"])
    return run


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
