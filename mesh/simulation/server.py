"""The offline LLM server: both APIs, the models' list and the books, on one port.

Owns routes, start and stop. It needs no key, holds nothing on disk, and everything that it says
is invented or from its catalogs.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from aiohttp import web

from mesh.config import SimulatorSettings
from mesh.simulation import anthropic_api, openai_api
from mesh.simulation.answering import Simulator
from mesh.simulation.books import CALLS_LISTED_MAX
from mesh.simulation.clock import SimulatedClock
from mesh.simulation.http_calls import BODY_BYTES_MAX, SERVING, Serving

RESOLVED_TEXTS_MAX = 100_000
_SHUTDOWN_S = 0.2


class PortInUse(Exception):
    """Something else listens there; the message says what to do. The command line shows it."""


def build_app(settings: SimulatorSettings) -> web.Application:
    """The server as an application, to be made in the event loop that serves it; run it with
    `handler_cancellation`, so that a client that hangs up ends its answer.

    Raises:
        ModelsUnusable: the models file of `settings`.
    """
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app[SERVING] = Serving(Simulator.from_settings(settings), SimulatedClock(settings.time_scale))
    app.router.add_post("/v1/chat/completions", openai_api.chat_completions)
    app.router.add_post("/v1/messages", anthropic_api.messages)
    app.router.add_get("/v1/models", _list_models)
    app.router.add_get("/v1/models/{name}", _show_model)
    app.router.add_get("/books", _books)
    app.router.add_get("/books/calls", _books_calls)
    app.router.add_get("/books/entries", _books_entries)
    app.router.add_post("/books/resolve", _books_resolve)
    return app


async def serve(settings: SimulatorSettings, on_listening: Callable[[str], None]) -> None:
    """Serve until cancelled.

    Args:
        on_listening: called once with the base URL, such as "http://127.0.0.1:8100": OpenAI's API
            is below `/v1`, Anthropic's SDK takes the base URL as it is.

    Raises:
        PortInUse: `settings.port` is taken.
        CatalogUnusable: a catalog file of `settings` cannot be read.
        ModelsUnusable: the models file of `settings`.
    """
    runner = web.AppRunner(
        build_app(settings),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    try:
        await _listen(runner, settings)
        on_listening(_base_url(settings.host, runner.addresses[0][1]))
        # After that it listens, so that a start waits for neither; in a thread, so that calls that
        # come meanwhile are answered.
        await asyncio.to_thread(runner.app[SERVING].simulator.warm_up)
        await asyncio.get_running_loop().create_future()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: SimulatorSettings) -> None:
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise PortInUse(
            f"port {settings.port} on {settings.host} is in use: choose another with --port"
        ) from error


def _base_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _list_models(request: web.Request) -> web.StreamResponse:
    """GET /v1/models of either API."""
    if _is_anthropic(request):
        return await anthropic_api.list_models(request)
    return await openai_api.list_models(request)


async def _show_model(request: web.Request) -> web.StreamResponse:
    """GET /v1/models/NAME of either API."""
    if _is_anthropic(request):
        return await anthropic_api.show_model(request)
    return await openai_api.show_model(request)


def _is_anthropic(request: web.Request) -> bool:
    """Both APIs have the same path here; Anthropic's clients always name its version."""
    return "anthropic-version" in request.headers


async def _books(request: web.Request) -> web.Response:
    """GET /books: sums by model and in all, distinct entries by topic."""
    return web.json_response(request.app[SERVING].simulator.books.summary())


async def _books_calls(request: web.Request) -> web.Response:
    """GET /books/calls?after=NUMBER&limit=N: the calls one by one, in order of ending."""
    after = _whole_number(request, "after", default=0, largest=2**53)
    limit = _whole_number(request, "limit", default=CALLS_LISTED_MAX, largest=CALLS_LISTED_MAX)
    books = request.app[SERVING].simulator.books
    return web.json_response(books.calls(after, limit))


async def _books_entries(request: web.Request) -> web.Response:
    """GET /books/entries?topic=TOPIC[&model=NAME]: names of the entries written so far."""
    simulator = request.app[SERVING].simulator
    catalog = simulator.shelf.find(request.query.get("topic", ""))
    if catalog is None:
        raise _bad_request("topic: name one that the simulator knows")
    indices = simulator.books.written_indices(catalog.topic, request.query.get("model"))
    names = [catalog.entries[index].name for index in sorted(indices)]
    return web.json_response({"topic": catalog.topic, "entries": names})


async def _books_resolve(request: web.Request) -> web.Response:
    """POST /books/resolve {"topic", "texts": […]}: the catalog's name for each text, or null."""
    simulator = request.app[SERVING].simulator
    try:
        body = await request.json()
        topic, texts = body["topic"], body["texts"]
        catalog = simulator.shelf.find(topic)
        if len(texts) > RESOLVED_TEXTS_MAX:
            raise _bad_request(f"texts: at most {RESOLVED_TEXTS_MAX}")
        if catalog is None:
            raise _bad_request("topic: name one that the simulator knows")
        indices = [catalog.index_of(text) for text in texts]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _bad_request('give {"topic": "…", "texts": ["…"]}') from error
    names = [None if index is None else catalog.entries[index].name for index in indices]
    return web.json_response({"topic": catalog.topic, "entries": names})


def _whole_number(request: web.Request, name: str, *, default: int, largest: int) -> int:
    value = request.query.get(name)
    if value is None:
        return default
    if not value.isdecimal() or len(value) > 16 or int(value) > largest:
        raise _bad_request(f"{name}: a whole number up to {largest}")
    return int(value)


def _bad_request(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=message)
