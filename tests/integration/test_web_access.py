"""Who gets an answer from the page: tokens, cookies, names, and what is told of those refused."""

from __future__ import annotations

import asyncio
import logging
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar, DummyCookieJar, WSServerHandshakeError
from prometheus_client.parser import text_string_to_metric_families

from mesh.storage.database import RunDatabase
from mesh.web.access import PageAccess
from mesh.web.gate import WRONG_TOKENS_WAITING_MAX, cookie_name
from mesh.web.server import PageServer
from mesh.web.token import new_token, page_token
from tests.scripted_run import ScriptedRun

EVERYWHERE = "0.0.0.0"
TOKEN = new_token()
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATHS = (
    *(
        "/",
        "/api/metrics",
        "/api/items",
        "/api/peers",
        "/api/facets",
        "/api/names",
        "/metrics",
        "/output.txt",
    ),
    *("/ws", "/ui/page.js", "/nothing-here"),
)


@asynccontextmanager
async def served(
    run: ScriptedRun,
    *,
    host: str = EVERYWHERE,
    public_url: str | None = None,
    host_elsewhere: str | None = None,
    token: str | None = TOKEN,
) -> AsyncIterator[tuple[PageServer, ClientSession]]:
    """A server of `run`, and a client that keeps no cookie and follows no redirect by itself."""
    server = await PageServer.start(
        run,
        host=host,
        port=0,
        public_url=public_url,
        host_elsewhere=host_elsewhere,
        token=token,
        update_s=0.02,
    )
    try:
        base_url = f"http://127.0.0.1:{server.port}"
        async with ClientSession(base_url, cookie_jar=DummyCookieJar()) as client:
            yield server, client
    finally:
        await server.close(run.metrics(with_history=False))


@pytest.fixture
def run() -> ScriptedRun:
    run = ScriptedRun()
    run.find(["Louvre"])
    return run


async def opened(client: ClientSession, headers: dict[str, str] | None = None) -> ClientResponse:
    """What the printed address answers."""
    return await client.get(f"/?token={TOKEN}", headers=headers, allow_redirects=False)


def cookie_of(answer: ClientResponse) -> dict[str, str]:
    """The cookie that `answer` sets, as the header of a next request."""
    [text] = answer.headers.getall("Set-Cookie")
    [(name, morsel)] = SimpleCookie(text).items()
    return {"Cookie": f"{name}={morsel.value}"}


# With a token


async def test_without_the_token_nothing_is_answered_but_where_to_find_it(
    run: ScriptedRun,
) -> None:
    async with served(run) as (_, client):
        for path in PATHS:
            answer = await client.get(path)
            assert answer.status == 401, path
            assert "printed" in await answer.text()
            assert "Louvre" not in await answer.text()
        answer = await client.post("/api/control", json={"action": "stop"})
        assert answer.status == 401
        with pytest.raises(WSServerHandshakeError, match="401"):
            await client.ws_connect("/ws")
    assert run.wishes == []


async def test_a_browser_without_the_token_gets_a_page_that_says_what_to_open(
    run: ScriptedRun,
) -> None:
    async with served(run) as (_, client):
        answer = await client.get("/", headers={"Accept": "text/html,*/*"})
        assert (answer.status, answer.content_type) == (401, "text/html")
        assert "?token=" in await answer.text()


async def test_a_page_on_all_addresses_is_opened_by_the_one_printed_for_other_machines(
    run: ScriptedRun,
) -> None:
    async with served(run, host_elsewhere="127.0.0.2") as (server, client):
        assert server.url_elsewhere == f"http://127.0.0.2:{server.port}/?token={TOKEN}"
        answer = await client.get(server.url_elsewhere, allow_redirects=False)
        headers = {**cookie_of(answer), "Origin": f"http://127.0.0.2:{server.port}"}
        url = f"http://127.0.0.2:{server.port}/api/control"
        assert (await client.post(url, json={"action": "pause"}, headers=headers)).status == 200
    async with served(run, host_elsewhere="fd00::2") as (server, _):
        assert server.url_elsewhere == f"http://[fd00::2]:{server.port}/?token={TOKEN}"
    async with served(run) as (server, _):
        assert server.url_elsewhere is None


async def test_behind_a_proxy_its_address_is_the_only_one(run: ScriptedRun) -> None:
    address = {"public_url": "https://mesh.example/paris/", "host_elsewhere": "10.0.0.2"}
    async with served(run, **address) as (server, _):
        assert server.url_elsewhere is None


async def test_the_printed_address_sets_a_cookie_and_leads_to_the_page_without_the_token(
    run: ScriptedRun,
) -> None:
    async with served(run) as (server, client):
        assert server.url == f"http://127.0.0.1:{server.port}/?token={TOKEN}"
        answer = await client.get(server.url, allow_redirects=False)
        assert answer.status == 303
        assert answer.headers["Location"] == "./"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        [cookie] = answer.headers.getall("Set-Cookie")
        attributes = {part.strip() for part in cookie.split(";")[1:]}
        # Without a path a browser takes the directory it sees, below whatever prefix.
        assert attributes == {"HttpOnly", "SameSite=Strict"}
        page = await client.get("/", headers=cookie_of(answer))
        assert page.status == 200
        assert TOKEN not in await page.text()


async def test_the_cookie_opens_every_path_and_the_live_updates(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        cookie = cookie_of(await opened(client))
        statuses = {path: (await client.get(path, headers=cookie)).status for path in PATHS}
        assert statuses == {**dict.fromkeys(PATHS, 200), "/ws": 426, "/nothing-here": 404}
        async with client.ws_connect("/ws", headers=cookie) as socket:
            assert (await socket.receive_json())["type"] == "metrics"


async def test_a_program_sends_the_token_as_a_header(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        assert (await client.get("/api/items", headers=BEARER)).status == 200
        lower = {"Authorization": f"bearer {TOKEN}"}
        assert (await client.get("/output.txt", headers=lower)).status == 200
        answer = await client.post("/api/control", json={"action": "pause"}, headers=BEARER)
        assert answer.status == 200
        async with client.ws_connect("/ws", headers=BEARER) as socket:
            assert (await socket.receive_json())["type"] == "metrics"


async def test_the_token_in_the_address_of_anything_but_the_page_opens_nothing(
    run: ScriptedRun,
) -> None:
    """Addresses end up in logs; one that must hold the token is enough."""
    async with served(run) as (_, client):
        assert (await client.get(f"/output.txt?token={TOKEN}")).status == 401


async def test_the_cookie_is_secure_where_the_public_address_is(run: ScriptedRun) -> None:
    async with served(run, public_url="https://mesh.example/paris") as (server, client):
        assert server.url == f"https://mesh.example/paris/?token={TOKEN}"
        [cookie] = (await opened(client)).headers.getall("Set-Cookie")
        assert "Secure" in {part.strip() for part in cookie.split(";")}


async def test_a_link_on_another_site_opens_the_page_too(run: ScriptedRun) -> None:
    """A redirect would be followed in that site's name, and so without the cookie just set."""
    async with served(run) as (_, client):
        answer = await opened(client, {"Sec-Fetch-Site": "cross-site"})
        assert answer.status == 200
        html = await answer.text()
        assert 'http-equiv="refresh" content="0; url=./"' in html
        assert TOKEN not in html
        assert (await client.get("/", headers=cookie_of(answer))).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer é"},
        {"Cookie": f"{cookie_name(TOKEN)}=wrong"},
    ],
)
async def test_a_wrong_token_opens_nothing_and_is_counted(
    run: ScriptedRun, headers: dict[str, str]
) -> None:
    async with served(run) as (_, client):
        answer = await client.get("/api/metrics", headers=headers)
        assert answer.status == 401
        assert (await answer.json())["ok"] is False
        metrics = await (await client.get("/api/metrics", headers=BEARER)).json()
        assert metrics["page"] == {"refused": {"wrong_token": 1}}


@pytest.mark.parametrize("scheme", ["", "Basic ", "Token "])
async def test_the_token_under_another_scheme_is_none(run: ScriptedRun, scheme: str) -> None:
    async with served(run) as (_, client):
        headers = {"Authorization": f"{scheme}{TOKEN}"}
        assert (await client.get("/api/metrics", headers=headers)).status == 401


async def test_a_wrong_cookie_is_forgiven_to_whoever_opens_the_right_address(
    run: ScriptedRun,
) -> None:
    async with served(run) as (_, client):
        stale = {"Cookie": f"{cookie_name(TOKEN)}=of-an-earlier-run"}
        answer = await opened(client, stale)
        assert (answer.status, (await client.get("/", headers=cookie_of(answer))).status) == (
            303,
            200,
        )


async def test_many_wrong_tokens_are_turned_away_and_hold_up_nobody(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        wrong = {"Authorization": "Bearer wrong"}
        asked = [
            asyncio.create_task(client.get("/api/metrics", headers=wrong))
            for _ in range(WRONG_TOKENS_WAITING_MAX + 20)
        ]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result().status for task in done} == {429}
        assert (await client.get("/api/metrics", headers=BEARER)).status == 200
        statuses = [answer.status for answer in await asyncio.gather(*asked)]
        assert statuses.count(401) == WRONG_TOKENS_WAITING_MAX
        assert statuses.count(429) == 20


async def test_the_token_is_neither_logged_nor_in_any_answer(
    run: ScriptedRun, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with served(run) as (_, client):
            cookie = cookie_of(await opened(client))
            wrong = await client.get("/?token=guess-that-failed")
            for path in PATHS:
                answer = await client.get(path, headers=cookie)
                assert TOKEN not in await answer.text()
                assert TOKEN not in str(answer.headers)
            assert "guess-that-failed" not in await wrong.text()
    assert "reason=wrong_token" in caplog.text
    assert TOKEN not in caplog.text
    assert "guess-that-failed" not in caplog.text


async def test_another_site_steers_nothing_even_with_the_cookie(run: ScriptedRun) -> None:
    async with served(run) as (_, client):
        cookie = cookie_of(await opened(client))
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await client.post(
                "/api/control", json={"action": "stop"}, headers={**cookie, **headers}
            )
            assert answer.status == 403
            with pytest.raises(WSServerHandshakeError, match="403"):
                await client.ws_connect("/ws", headers={**cookie, **headers})
    assert run.wishes == []


async def test_two_runs_on_one_host_do_not_take_each_other_s_cookie(run: ScriptedRun) -> None:
    """Browsers tell the ports of a host apart for everything but cookies."""
    other = new_token()
    assert cookie_name(other) != cookie_name(TOKEN)
    async with served(run) as (_, client), served(run, token=other) as (_, other_client):
        cookies = [cookie_of(await opened(client))["Cookie"]]
        answer = await other_client.get(f"/?token={other}", allow_redirects=False)
        both = {"Cookie": "; ".join([*cookies, cookie_of(answer)["Cookie"]])}
        assert (await client.get("/", headers=both)).status == 200
        assert (await other_client.get("/", headers=both)).status == 200


async def test_a_page_for_other_machines_does_not_start_without_a_token(run: ScriptedRun) -> None:
    with pytest.raises(AssertionError):
        await PageServer.start(run, host=EVERYWHERE, port=0, token=None)


# Under which name


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"])
async def test_a_loopback_page_answers_nothing_under_a_foreign_name(
    run: ScriptedRun, name: str
) -> None:
    """A hostile name that its owner's DNS has turned to 127.0.0.1 must read nothing either."""
    async with served(run, host="127.0.0.1", token=None) as (_, client):
        for path in PATHS:
            answer = await client.get(path, headers={"Host": name})
            assert answer.status == 403
            assert "--public-url" in await answer.text()
            assert "Louvre" not in await answer.text()
        with pytest.raises(WSServerHandshakeError, match="403"):
            await client.ws_connect("/ws", headers={"Host": name})
        metrics = await (await client.get("/api/metrics")).json()
        assert metrics["page"] == {"refused": {"foreign_host": len(PATHS) + 1}}


@pytest.mark.parametrize(
    ("name", "public_url"),
    [
        ("localhost:8080", None),
        ("LOCALHOST", None),
        ("mesh.localhost:1", None),
        ("127.0.0.1", None),
        ("[::1]:8080", None),
        ("10.0.0.5:8080", None),
        ("mesh.example", "https://mesh.example/paris/"),
        ("mesh.example:443", "https://mesh.example"),
        ("Mesh.Example:8443", "https://mesh.example:8443"),
    ],
)
async def test_a_loopback_page_answers_without_a_token_under_names_that_are_its_own(
    run: ScriptedRun, name: str, public_url: str | None
) -> None:
    async with served(run, host="127.0.0.1", token=None, public_url=public_url) as (_, client):
        answer = await client.get("/api/metrics", headers={"Host": name})
        assert answer.status == 200


async def test_a_request_without_any_name_comes_from_no_browser_and_is_answered(
    run: ScriptedRun,
) -> None:
    async with served(run, host="127.0.0.1", token=None) as (server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /api/metrics HTTP/1.0\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()


async def test_with_a_token_any_name_is_answered(run: ScriptedRun) -> None:
    """No browser shows the cookie to another name, so a page for other machines need know none."""
    async with served(run) as (_, client):
        named = {"Host": "mesh-host.lan:8080"}
        assert (await client.get("/api/metrics", headers={**named, **BEARER})).status == 200
        assert (await client.get("/api/metrics", headers=named)).status == 401


# What is told of it


async def test_refusals_are_counted_by_reason_for_page_and_prometheus(run: ScriptedRun) -> None:
    run.mesh_changes = {"refused": {"unknown_key": 3, "revoked_key": 1}, "lost_entries": 2}
    run.dropped = {"signature": 5}
    async with served(run) as (_, client):
        await client.get("/")
        evil = {**BEARER, "Origin": "https://evil.example"}
        await client.post("/api/control", json={"action": "stop"}, headers=evil)
        metrics = await (await client.get("/api/metrics", headers=BEARER)).json()
        text = await (await client.get("/metrics", headers=BEARER)).text()
        assert metrics["page"] == {"refused": {"no_token": 1, "other_site": 1}}
        async with client.ws_connect("/ws", headers=BEARER) as socket:
            assert (await socket.receive_json())["page"] == metrics["page"]
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["topicmesh_refused_connections_total", "unknown_key"] == 3
    assert samples["topicmesh_refused_connections_total", "revoked_key"] == 1
    assert samples["topicmesh_lost_entries",] == 2
    assert samples["topicmesh_page_refused_requests_total", "no_token"] == 1
    assert samples["topicmesh_dropped_frames_total", "producer-1", "signature"] == 5


async def test_every_answer_forbids_framing_and_what_the_page_does_not_use(
    run: ScriptedRun,
) -> None:
    async with served(run) as (_, client):
        for headers in ({}, BEARER):
            for path in PATHS:
                answer = await client.get(path, headers=headers)
                assert answer.headers["X-Frame-Options"] == "DENY"
                assert "camera=()" in answer.headers["Permissions-Policy"]
                assert answer.headers["Cache-Control"] in ("no-store", "no-cache")


# The token's file


def test_a_token_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "page-token"
    token = page_token(file)
    assert page_token(file) == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["page-token"]


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 43, b"x" * 1000, b"a" * 43 + b"\nb"])
def test_a_file_that_holds_no_token_is_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "page-token"
    file.write_bytes(content)
    file.chmod(0o600)
    token = page_token(file)
    assert len(token) == 43
    assert file.read_text() == f"{token}\n"


def test_a_token_that_others_could_read_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "page-token"
    first = page_token(file)
    file.chmod(0o644)
    assert page_token(file) != first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_in_the_token_s_place_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    other_token = page_token(elsewhere)
    link = tmp_path / "page-token"
    link.symlink_to(elsewhere)
    assert page_token(link) != other_token
    assert not link.is_symlink()
    assert page_token(elsewhere) == other_token


def test_where_no_file_can_be_written_the_token_lasts_for_the_process_and_this_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = page_token(tmp_path / "missing" / "page-token")
    assert len(token) == 43
    assert "page_token_not_kept" in caplog.text
    assert token not in caplog.text


def test_settings_of_the_page_do_not_show_the_token() -> None:
    assert TOKEN not in repr(PageAccess(EVERYWHERE, None, TOKEN))


# The page of a run that is over

VIEWER = """
import sys
from pathlib import Path
from mesh.nodes.viewer import view
sys.exit(view(Path(sys.argv[1]), sys.argv[2], 0))
"""


@pytest.mark.parametrize(("host", "is_guarded"), [("127.0.0.1", False), (EVERYWHERE, True)])
async def test_a_finished_run_is_viewed_from_other_machines_with_a_token_only(
    tmp_path: Path, host: str, is_guarded: bool
) -> None:
    RunDatabase.open(tmp_path / "run.sqlite").close()
    viewer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", VIEWER, str(tmp_path), host), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert viewer.stdout is not None
        url = (await viewer.stdout.readline()).decode().split()[0]
        assert ("?token=" in url) is is_guarded
        # Cookies of addresses without a name are kept only when asked for.
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
            assert (await client.get(url)).status == 200
        async with ClientSession() as stranger:
            answer = await stranger.get(url.partition("?")[0])
            assert answer.status == (401 if is_guarded else 200)
        viewer.send_signal(signal.SIGINT)
        assert await viewer.wait() == 0
    finally:
        if viewer.returncode is None:
            viewer.kill()
            await viewer.wait()
    left = {path.name for path in await asyncio.to_thread(lambda: list(tmp_path.iterdir()))}
    assert left <= {"run.sqlite", "run.sqlite-wal", "run.sqlite-shm"}
