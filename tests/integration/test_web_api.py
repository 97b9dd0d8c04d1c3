"""The page's server under attack: whatever comes in, never a 500, no hang, nothing let out.

Hypothesis rather than schemathesis: the contract is no OpenAPI schema, and what hurts a server is
mostly what a well-behaved client cannot send: broken escapes, odd lengths, raw WebSocket frames. So
the bytes go over plain sockets, and the answers are read by the standard library.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mesh.core.downloads import DownloadFormat
from mesh.core.item_query import ItemQuery
from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.storage.database import Batch, ItemRow, RunDatabase
from mesh.web.interface import JsonObject
from mesh.web.server import PageServer
from mesh.web.static_files import chart_library_path
from mesh.web.token import new_token
from tests.integration.eventually import eventually
from tests.patience import PATIENCE_S
from tests.scripted_run import MODELS, ScriptedRun

REQUESTS = 400
CONVERSATIONS = 150
"""Some 10 s together on a busy machine."""
CUT_CONNECTIONS_S = 10.0
"""What has not ended by then is cut with its loop."""
ANSWER_BYTES_MAX = 6_000_000
"""The chart library, uncompressed, is the largest thing that there is to get."""
SECRET = "Sacré-Cœur de Montmartre"
"""An entry, which nobody without the token may see."""
ROUTES = (
    *(
        "/",
        "/api/metrics",
        "/api/items",
        "/api/peers",
        "/api/facets",
        "/api/names",
        "/api/control",
        "/ws",
        "/metrics",
    ),
    *(
        "/output.txt",
        "/output.csv",
        "/output.jsonl?download",
        "/ui/page.js",
        "/ui/js/mesh.js",
        "/ui/",
        chart_library_path(),
    ),
)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)


def stored(ordinal: int, text: str) -> ItemRow:
    return ItemRow(ordinal, text.encode(), text, b"a" * 16, 1, ordinal, 1, MODELS[0], 0.5)


class StoredRun(ScriptedRun):
    """A scripted run whose entries come out of a real database, as a collector's do."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.find([SECRET, "100 % pur", "snake_case\\"])
        database = RunDatabase.open(path)
        rows = [stored(item["ordinal"], item["text"]) for item in self.accepted]
        database.commit(Batch(items=rows))
        database.close()
        self._reader = DatabaseReader(path)

    async def items(self, query: ItemQuery) -> JsonObject:
        return await self._reader.items(query)

    def output(self, form: DownloadFormat) -> AsyncIterator[bytes]:
        return self._reader.output(form)

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        """Like the collector it names in its refusal what was asked for."""
        return f"no such producer: {arguments.get('node')}, action {action}"

    def close(self) -> None:
        self._reader.close()


@dataclass
class Target:
    """Servers in a thread of their own: one open to all, one behind a token."""

    open: PageServer
    guarded: PageServer
    token: str


async def others_ended() -> None:
    """Connections cut in the middle of a body end a little later."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=CUT_CONNECTIONS_S)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    run = StoredRun(tmp_path_factory.mktemp("run") / "run.sqlite")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="attacked server", daemon=True)
    thread.start()

    def wait(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE_S)

    token = new_token()
    unguarded = wait(PageServer.start(run, host="127.0.0.1", port=0, update_s=0.05))
    guarded = wait(PageServer.start(run, host="0.0.0.0", port=0, token=token, update_s=0.05))
    yield Target(unguarded, guarded, token)
    for server in (unguarded, guarded):
        wait(server.close(run.metrics(with_history=False)))
    wait(others_ended())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    run.close()


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


def ask(port: int, request: bytes, method: str = "GET") -> Answer:
    """Send whole, well-framed `request`; the answer. Fails on a hang, or on too much."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection, method=method)
        response.begin()
        if response.status == 101:
            return Answer(101, b"")
        body = response.read(ANSWER_BYTES_MAX + 1)
        assert len(body) <= ANSWER_BYTES_MAX
        return Answer(response.status, body)


def is_well(port: int, token: str = "") -> bool:
    headers = f"Host: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close"
    answer = ask(port, f"GET /api/items?limit=1 HTTP/1.1\r\n{headers}\r\n\r\n".encode())
    return answer.status == 200 and json.loads(answer.body)["items"][0]["text"] == SECRET


# What is thrown at it

line_bytes = st.binary(max_size=40).map(
    lambda text: text.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
)
odd_texts = st.one_of(
    st.sampled_from(
        [
            *(b"", b"0", b"-1", b"1", b"99999999999999999999999", b"1e9", b"NaN", b"%00", b"%"),
            *(b"%zz", b"%ED%A0%80", b"%FF", b"\xff", b"\xed\xa0\x80", b"%25", b"_", b"%5C", b"'"),
            *(b"%F0%9F%97%BC", b"a" * 3000, b"%C3%A9" * 201, b"../../etc/passwd", b"<script>"),
        ]
    ),
    line_bytes.map(lambda text: text.replace(b" ", b"+")),
    st.integers().map(lambda number: str(number).encode()),
)
path_pieces = st.sampled_from(
    [
        b"/",
        b"//",
        b"/..",
        b"/%2e%2e",
        b"/%2F",
        b"%00",
        b";x",
        b"/.",
        b"%",
        b"\xff",
        b"?",
        b"#",
        b"*",
    ]
)
paths = st.one_of(
    st.sampled_from(ROUTES).map(str.encode),
    st.tuples(st.sampled_from(ROUTES).map(str.encode), st.lists(path_pieces, max_size=4)).map(
        lambda parts: parts[0] + b"".join(parts[1])
    ),
    st.tuples(st.sampled_from(ROUTES).map(str.encode), odd_texts).map(b"/".join),
    st.sampled_from([b"*", b"http://evil.example/", b"http://[/", b"//evil.example/", b"/" * 9000]),
)
queries = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *(b"after", b"limit", b"q", b"model", b"facet", b"skip", b"download"),
                *(b"history", b"token", b"", b"%00", b"\xff"),
            ]
        ),
        odd_texts,
    ),
    max_size=4,
).map(lambda pairs: b"&".join(name + b"=" + value for name, value in pairs))
headers = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(
                [
                    *(b"Host", b"Origin", b"Cookie", b"Authorization", b"Sec-Fetch-Site"),
                    *(b"Accept", b"Accept-Encoding", b"Range", b"If-Range", b"If-Modified-Since"),
                    *(b"If-None-Match", b"Content-Type", b"Content-Encoding", b"Expect", b"Via"),
                    *(b"Upgrade", b"Sec-WebSocket-Key", b"Sec-WebSocket-Version", b"X-Odd"),
                    *(b"Sec-WebSocket-Extensions", b"Sec-WebSocket-Protocol", b"Referer"),
                    *(b"X-Forwarded-For", b"X-Forwarded-Host", b"X-HTTP-Method-Override"),
                ]
            ),
            odd_texts,
        ),
        st.sampled_from(
            [
                (b"Origin", b"null"),
                (b"Origin", b"http://[::"),
                (b"Origin", b"http://localhost"),
                (b"Host", b"localhost"),
                (b"Host", b"[::1"),
                (b"Host", b"localhost:99999999"),
                (b"Accept-Encoding", b"gzip, deflate;q=x, *;q=0"),
                (b"Range", b"bytes=-0"),
                (b"Range", b"bytes=5-2,99999999999-"),
                (b"If-Modified-Since", b"Thu, 99 Jan 99999 99:99:99 GMT"),
                (b"Content-Type", b"application/json"),
                (b"Content-Type", b"application/json; charset=\xff"),
                (b"Content-Encoding", b"gzip"),
                (b"Upgrade", b"websocket"),
                (b"Connection", b"Upgrade"),
                (b"Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
                (b"Sec-WebSocket-Version", b"13"),
                (b"Sec-WebSocket-Extensions", b"permessage-deflate; server_max_window_bits=99"),
            ]
        ),
    ),
    max_size=6,
)
methods = st.sampled_from(
    [
        *["GET"] * 6,
        *["POST"] * 4,
        "HEAD",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "TRACE",
        "ODD",
        "get",
    ]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
wishes = st.dictionaries(
    st.sampled_from(["action", "node", "model", "target", "budget_usd", "", "\ud800"]), json_values
)
bodies = st.one_of(
    st.binary(max_size=60),
    (json_values | wishes).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    wishes.map(lambda wish: json.dumps({**wish, "action": "set_model"}).encode()),
    st.integers(1, 3000).map(
        lambda depth: b'{"action":"x","node":' + b"[" * depth + b"]" * depth + b"}"
    ),
    st.sampled_from([b'{"action":"x","node":NaN}', b'{"action":"x","node":1e999}', b"x" * 10_000]),
    st.integers(1, 3900).map(lambda digits: b'{"action":"x","node":' + b"9" * digits + b"}"),
)


def request_bytes(
    method: str, path: bytes, query: bytes, head: list[tuple[bytes, bytes]], body: bytes
) -> bytes:
    """A request with a right length, which asks for the connection's end after its answer."""
    target = path + (b"?" + query if query else b"")
    lines = [method.encode() + b" " + target.replace(b" ", b"%20") + b" HTTP/1.1"]
    given_names = {name for name, _ in head}
    if b"Host" not in given_names:
        lines.append(b"Host: localhost")
    lines += [name + b": " + value for name, value in head]
    if b"Connection" not in given_names:
        lines.append(b"Connection: close")
    lines.append(b"Content-Length: " + str(len(body)).encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Requests:
    """One test's strategy: everything a request is made of."""

    whole = st.builds(
        lambda *parts: (parts[0], request_bytes(*parts)), methods, paths, queries, headers, bodies
    )


# Properties


@settings(PATIENT, max_examples=REQUESTS)
@given(request=Requests.whole)
@example(request=("OPTIONS", b"OPTIONS * HTTP/1.1\r\nExpect: \xff\r\nConnection: close\r\n\r\n"))
@example(request=("GET", b"GET / HTTP/1.1\r\nExpect: \xff\r\nConnection: close\r\n\r\n"))
def test_no_request_is_answered_by_a_failure_or_not_at_all(
    target: Target, request: tuple[str, bytes]
) -> None:
    method, sent = request
    answer = ask(target.open.port, sent, method)
    assert answer.status < 500, answer


@settings(PATIENT, max_examples=REQUESTS // 2)
@given(request=Requests.whole)
def test_no_request_without_the_token_is_told_anything(
    target: Target, request: tuple[str, bytes]
) -> None:
    method, sent = request
    answer = ask(target.guarded.port, sent, method)
    assert answer.status in (400, 401, 417, 429)
    assert SECRET.encode() not in answer.body
    assert target.token.encode() not in answer.body


@settings(PATIENT, max_examples=REQUESTS // 4)
@given(body=bodies)
def test_every_wish_is_answered_as_the_contract_says(target: Target, body: bytes) -> None:
    head = [(b"Content-Type", b"application/json")]
    answer = ask(target.open.port, request_bytes("POST", b"/api/control", b"", head, body), "POST")
    assert answer.status in (400, 409)
    said = json.loads(answer.body, parse_constant=pytest.fail)
    assert said["ok"] is False
    assert said["reason"]


@settings(PATIENT, max_examples=REQUESTS // 4)
@given(
    pieces=st.lists(st.one_of(Requests.whole.map(lambda whole: whole[1]), st.binary()), max_size=3),
    cut=st.integers(0, 400),
)
def test_broken_framing_costs_the_sender_his_connection_only(
    target: Target, pieces: list[bytes], cut: int
) -> None:
    with socket.create_connection(
        ("127.0.0.1", target.open.port), timeout=PATIENCE_S
    ) as connection:
        sent = b"".join(pieces)
        connection.sendall(sent[: max(0, len(sent) - cut)])
    assert is_well(target.open.port)


def ws_frame(
    opcode: int, payload: bytes, *, final: bool, masked: bool, length: int | None
) -> bytes:
    said = len(payload) if length is None else length
    mask = 0x80 if masked else 0
    head = bytes([opcode | (0x80 if final else 0)])
    if said < 126:
        head += bytes([mask | said])
    elif said < 65536:
        head += bytes([mask | 126]) + struct.pack("!H", said)
    else:
        head += bytes([mask | 127]) + struct.pack("!Q", said)
    return head + (b"\0\0\0\0" if masked else b"") + payload


ws_frames = st.builds(
    ws_frame,
    st.integers(0, 127),
    st.one_of(st.binary(max_size=200), st.sampled_from([b"x" * 1025, b"\xff\xfe", b"\x03\xe8ok"])),
    final=st.booleans(),
    masked=st.booleans(),
    length=st.none() | st.integers(0, 2**63 - 1),
)
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@settings(PATIENT, max_examples=CONVERSATIONS)
@given(frames=st.lists(ws_frames | st.binary(max_size=40), max_size=5))
def test_no_websocket_message_harms_the_others(target: Target, frames: list[bytes]) -> None:
    with socket.create_connection(
        ("127.0.0.1", target.open.port), timeout=PATIENCE_S
    ) as connection:
        connection.sendall(HANDSHAKE)
        assert connection.recv(4096).startswith(b"HTTP/1.1 101")
        # It may be dropped before it has said everything.
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"".join(frames))
    assert is_well(target.open.port)


async def test_after_all_of_it_both_servers_are_as_they_were(target: Target) -> None:
    """Runs last: what the attackers above left behind must be gone."""
    await eventually(lambda: target.open.client_count == 0)
    assert is_well(target.open.port)
    assert is_well(target.guarded.port, target.token)
