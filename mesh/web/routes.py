"""The HTTP contract: what each path answers, and what is refused.

Whatever comes in is bounded and checked here; what it means for the run is the RunView's.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler, Middleware

from mesh.core.downloads import DownloadFormat, file_name
from mesh.core.item_query import ItemQuery
from mesh.web.access import PageAccess, is_loopback
from mesh.web.gate import Gate, Refusal
from mesh.web.interface import JsonObject, RunView
from mesh.web.live_updates import LiveUpdates
from mesh.web.prometheus import CONTENT_TYPE, prometheus_text
from mesh.web.static_files import (
    ChartLibrary,
    chart_library_path,
    content_security_policy,
    page_html,
    ui_directory,
)

CONTROL_BYTES_MAX = 4096
ITEMS_DEFAULT = 200
NAMES_DEFAULT = 100
ITEMS_MAX = 10_000
"""Entries in one answer of /api/items, some 2 MB; the rest by ordinal."""
ORDINAL_MAX = 2**53 - 1
"""The largest whole number that every JSON reader keeps exact."""
SEARCH_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 600
"""Of a model or facet to filter by: no name in a log is longer than 512 bytes."""
COMPRESS_BYTES_MIN = 4096
BODY_S = 10.0
"""Time for the body of a wish."""
LARGE_ANSWERS_MAX = 8
"""Answers that hold much of the run, made and sent at a time; others wait for their turn."""
LARGE_ANSWER_S = 60.0
"""Time for one of them; a reader slower than that is cut."""
LARGE_ITEMS_MIN = 1000
OUTPUT_TYPES = {
    DownloadFormat.TEXT: "text/plain",
    DownloadFormat.CSV: "text/csv",
    DownloadFormat.JSON_LINES: "application/jsonl",
}

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Copying a command is all that the page asks of the browser beyond showing things.
    "Permissions-Policy": (
        "camera=(), clipboard-read=(), clipboard-write=(self), display-capture=(), fullscreen=(), "
        "geolocation=(), hid=(), microphone=(), midi=(), payment=(), serial=(), usb=()"
    ),
}


class Routes:
    """Handlers of one run's page."""

    def __init__(self, view: RunView, live: LiveUpdates, access: PageAccess, gate: Gate) -> None:
        self.metrics_asked = asyncio.Event()
        """Set whenever someone read /api/metrics."""
        self.metrics_asked_s = float("-inf")
        """When that was last, by the loop's clock."""
        self._view = view
        self._live = live
        self._access = access
        self._gate = gate
        self._large_answers = asyncio.Semaphore(LARGE_ANSWERS_MAX)
        self._charts = ChartLibrary()
        self._html = page_html(ui_directory())
        content_security_policy()  # Reads the chart library: better before the first request.

    def application(self, *middlewares: Middleware) -> web.Application:
        """Return the application; every request passes `middlewares`, the first one first."""
        app = web.Application(client_max_size=CONTROL_BYTES_MAX, middlewares=middlewares)
        for path, handler in {
            "/": self._page,
            "/api/metrics": self._metrics,
            "/api/items": self._items,
            "/api/peers": self._peers,
            "/api/facets": self._facets,
            "/api/names": self._names,
            "/ws": self._websocket,
            "/metrics": self._prometheus,
            **{f"/output.{form}": self._output_in(form) for form in DownloadFormat},
            chart_library_path(): self._charts.respond,
        }.items():
            app.router.add_get(path, handler, expect_handler=_expected)
        app.router.add_post("/api/control", self._control, expect_handler=_expected)
        app.router.add_static("/ui", ui_directory(), expect_handler=_expected)
        # Last: everything else, so that no request meets a handler that is not ours.
        app.router.add_route("*", "/{path:.*}", _nothing_here, expect_handler=_expected)
        app.on_response_prepare.append(_add_headers)
        return app

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=self._html, content_type="text/html")

    async def _metrics(self, request: web.Request) -> web.Response:
        """The history is left out with `?history=0`, for pages that poll."""
        with_history = request.query.get("history") != "0"
        response = _json(self._view.metrics(with_history=with_history))
        self.metrics_asked_s = asyncio.get_running_loop().time()
        self.metrics_asked.set()
        return response

    async def _items(self, request: web.Request) -> web.Response:
        query = ItemQuery(
            limit=_whole_number(request, "limit", default=ITEMS_DEFAULT, least=1, most=ITEMS_MAX),
            after=_whole_number(request, "after", default=0, least=0, most=ORDINAL_MAX),
            skip=_whole_number(request, "skip", default=0, least=0, most=ORDINAL_MAX),
            containing=_text(request, "q", SEARCH_CHARACTERS_MAX) or "",
            model=_text(request, "model", NAME_CHARACTERS_MAX),
            facet=_text(request, "facet", NAME_CHARACTERS_MAX),
        )
        if query.limit < LARGE_ITEMS_MIN:
            return _json(await self._view.items(query))
        async with self._large_answers:
            return await _sent(request, _json(await self._view.items(query)))

    async def _peers(self, request: web.Request) -> web.Response:
        return _json(self._view.peers())

    async def _facets(self, request: web.Request) -> web.Response:
        return _json(self._view.facets())

    async def _names(self, request: web.Request) -> web.Response:
        limit = _whole_number(request, "limit", default=NAMES_DEFAULT, least=1, most=ITEMS_MAX)
        if limit < LARGE_ITEMS_MIN:
            return _json(await self._view.names(limit=limit))
        async with self._large_answers:
            return await _sent(request, _json(await self._view.names(limit=limit)))

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if reason := self._access.refusal(request.headers):
            self._gate.count(Refusal.OTHER_SITE, request)
            raise web.HTTPForbidden(text=reason)
        if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
            raise web.HTTPUpgradeRequired(text="this address speaks WebSocket")
        # On this machine bytes cost less than compressing them; behind a proxy they go further.
        is_near = self._access.public_url is None and is_loopback(request.remote or "")
        return await self._live.serve(request, compress=not is_near)

    async def _prometheus(self, request: web.Request) -> web.Response:
        metrics = self._view.metrics(with_history=False)
        body = prometheus_text(metrics, self._view.peers()["peers"])
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})

    def _output_in(self, form: DownloadFormat) -> Handler:
        async def output(request: web.Request) -> web.StreamResponse:
            async with self._large_answers:
                return await self._output(request, form)

        return output

    async def _output(self, request: web.Request, form: DownloadFormat) -> web.StreamResponse:
        """All entries, as a file to keep with `?download`."""
        disposition = f'inline; filename="output.{form}"'
        if "download" in request.query:
            topic = str(self._view.metrics(with_history=False).get("topic", ""))
            disposition = f'attachment; filename="{file_name(topic, form)}"'
        headers = {
            hdrs.CONTENT_TYPE: f"{OUTPUT_TYPES[form]}; charset=utf-8",
            hdrs.CONTENT_DISPOSITION: disposition,
        }
        if request.method == hdrs.METH_HEAD:
            return web.Response(headers=headers)
        response = web.StreamResponse(headers=headers)
        # Each piece is long enough to be compressed in a thread rather than on the loop.
        response.enable_compression()
        try:
            async with asyncio.timeout(LARGE_ANSWER_S):
                await response.prepare(request)
                async for piece in self._view.output(form):
                    await response.write(piece)
                await response.write_eof()
        except TimeoutError:
            _cut(request)
        return response

    async def _control(self, request: web.Request) -> web.Response:
        if reason := self._access.refusal(request.headers):
            self._gate.count(Refusal.OTHER_SITE, request)
            return _control_answer(403, reason)
        if request.content_type != "application/json":
            return _control_answer(400, "the content type must be application/json")
        try:
            async with asyncio.timeout(BODY_S):
                body = await request.read()
            action, arguments = _wish(body)
        except TimeoutError:
            return _control_answer(408, f"the body did not come within {BODY_S:.0f} s")
        except web.HTTPRequestEntityTooLarge:
            return _control_answer(400, f"the body has more than {CONTROL_BYTES_MAX} bytes")
        except ValueError as error:
            return _control_answer(400, str(error))
        reason = await self._view.control(action, arguments)
        return _control_answer(200 if reason is None else 409, reason)


async def _nothing_here(request: web.Request) -> web.Response:
    allowed = ("POST",) if request.path == "/api/control" else ("GET", "HEAD")
    if request.method in allowed:
        raise web.HTTPNotFound
    raise web.HTTPMethodNotAllowed(request.method, allowed)


async def _expected(request: web.Request) -> None:
    """Answer an Expect header, which aiohttp asks for ahead of everything else.

    Its own answer quotes the header, and fails where that is not UTF-8.
    """
    if request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="Expect may only be 100-continue")
    if request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The interim answer is no part of the size of the real one.
        request.writer.output_size = 0


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    response.headers["Content-Security-Policy"] = content_security_policy()
    # Files of the page are asked for again each time and answered 304; data is never kept.
    fresh = "no-cache" if request.path.startswith("/ui/") else "no-store"
    response.headers.setdefault(hdrs.CACHE_CONTROL, fresh)


def _json(content: Any, *, status: int = 200) -> web.Response:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    response = web.Response(body=text.encode(), content_type="application/json", status=status)
    return _compressed(response)


def _compressed(response: web.Response) -> web.Response:
    assert isinstance(response.body, bytes)
    if len(response.body) >= COMPRESS_BYTES_MIN:
        response.enable_compression()
    return response


async def _sent(request: web.Request, response: web.Response) -> web.Response:
    """Send `response` to its end, so that its memory is free when this returns."""
    try:
        async with asyncio.timeout(LARGE_ANSWER_S):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        _cut(request)
    return response


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _control_answer(status: int, reason: str | None) -> web.Response:
    return _json({"ok": reason is None, "reason": reason}, status=status)


def _wish(body: bytes) -> tuple[str, JsonObject]:
    """Return the action and its arguments; raises ValueError with what is wrong.

    Arguments are flat, and such as JSON can repeat: whoever answers may quote them.
    """
    try:
        wish = json.loads(body)
        # JSON may spell halves of surrogate pairs, which no answer could repeat in UTF-8.
        json.dumps(wish, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError("the body is not JSON") from error
    if not isinstance(wish, dict) or not isinstance(action := wish.pop("action", None), str):
        raise ValueError('the body must be an object like {"action": "pause"}')
    for name, value in wish.items():
        if isinstance(value, (dict, list)):
            raise ValueError(f"{name} must be a text, a number, true, false or null")
    return action, wish


def _whole_number(request: web.Request, name: str, *, default: int, least: int, most: int) -> int:
    """Return the query's `name`; raises a 400 that says what it must be."""
    text = request.query.get(name)
    if text is None:
        return default
    # isdecimal alone would take other scripts' digits, and int() spaces, signs and underscores.
    if text.isascii() and text.isdecimal() and len(text) <= 16 and least <= int(text) <= most:
        return int(text)
    raise _bad_request(f"{name} must be a whole number from {least} to {most}")


def _text(request: web.Request, name: str, characters_max: int) -> str | None:
    """Return the query's `name`, None where there is none; raises a 400 where it is too long."""
    text = request.query.get(name)
    if text is not None and len(text) > characters_max:
        raise _bad_request(f"{name} has more than {characters_max} characters")
    return text


def _bad_request(reason: str) -> web.HTTPBadRequest:
    answer: JsonObject = {"ok": False, "reason": reason}
    return web.HTTPBadRequest(text=json.dumps(answer), content_type="application/json")
