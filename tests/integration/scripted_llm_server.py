"""A small HTTP server that answers LLM calls as a test tells it to, in either wire format.

For shapes that the simulator does not offer: broken bodies, streams held open, headers as they
arrived. It is not a model: it never reads the prompt.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPENAI_USAGE = {
    "prompt_tokens": 50,
    "completion_tokens": 7,
    "total_tokens": 57,
    "prompt_tokens_details": {"cached_tokens": 20},
}
ANTHROPIC_USAGE = {
    "input_tokens": 20,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 10,
    "output_tokens": 1,
}


@dataclass(slots=True)
class SeenCall:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(slots=True)
class ScriptedServer:
    """Answers the n-th call with the n-th answer; the last one again and again."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    calls: list[SeenCall] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append(SeenCall(request.path, headers, await request.json()))
        return await self.answers[min(len(self.calls), len(self.answers)) - 1](request)

    async def list_names(self, request: web.Request) -> web.StreamResponse:
        listed = [{"id": name, "object": "model", "type": "model"} for name in self.names]
        return web.json_response({"object": "list", "data": listed, "has_more": False})


@asynccontextmanager
async def scripted_server(*answers: Answer) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(answers=list(answers))
    app = web.Application()
    for path in ("/v1/chat/completions", "/v1/messages"):
        app.router.add_post(path, server.answer)
    app.router.add_get("/v1/models", server.list_names)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def json_answer(status: int, body: object, headers: dict[str, str] | None = None) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return answer


def text_answer(status: int, text: str, content_type: str = "text/html") -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type=content_type)

    return answer


def broken_answer() -> Answer:
    """The connection breaks before a word of an answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return answer


def redirect_answer(url: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": url})

    return answer


def openai_events(
    *texts: str, finish: str | None = "stop", usage: object = OPENAI_USAGE
) -> list[str]:
    """The events of one streamed chat completion."""

    def event(**chunk: object) -> str:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return f"data: {json.dumps({**head, **chunk})}\n\n"

    def choice(delta: dict[str, object], finish_reason: str | None = None) -> str:
        return event(choices=[{"index": 0, "delta": delta, "finish_reason": finish_reason}])

    events = [choice({"role": "assistant", "content": ""})]
    events += [choice({"content": text}) for text in texts]
    if finish is not None:
        events.append(choice({}, finish))
    if usage is not None:
        events.append(event(choices=[], usage=usage))
    return [*events, "data: [DONE]\n\n"]


def anthropic_events(*texts: str, finish: str | None = "end_turn") -> list[str]:
    """The events of one streamed message."""

    def event(kind: str, **rest: object) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **rest})}\n\n"

    message: dict[str, object] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": ANTHROPIC_USAGE,
    }
    block = {"type": "text", "text": ""}
    events = [event("message_start", message=message), event("ping")]
    events.append(event("content_block_start", index=0, content_block=block))
    for text in texts:
        delta = {"type": "text_delta", "text": text}
        events.append(event("content_block_delta", index=0, delta=delta))
    events.append(event("content_block_stop", index=0))
    if finish is None:
        return events
    ending = {"stop_reason": finish, "stop_sequence": None}
    events.append(event("message_delta", delta=ending, usage={"output_tokens": 7}))
    return [*events, event("message_stop")]


def stream_answer(events: list[str], *, abort: bool = False) -> Answer:
    """Send `events`; with `abort`, break the connection instead of ending the body."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = await _begin(request)
        for event in events:
            await response.write(event.encode())
        if abort:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


def silent_answer(asked: asyncio.Event, closed: asyncio.Event) -> Answer:
    """Sets `asked` and never answers; sets `closed` when the client goes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            closed.set()
            raise
        return web.Response()

    return answer


def held_answer(
    events: list[str], gate: asyncio.Event, closed: asyncio.Event, *, sent_first_count: int
) -> Answer:
    """Send some of `events`, then wait for `gate`; sets `closed` when the client goes meanwhile."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = await _begin(request)
        for event in events[:sent_first_count]:
            await response.write(event.encode())
        try:
            await gate.wait()
        except asyncio.CancelledError:
            closed.set()
            raise
        for event in events[sent_first_count:]:
            await response.write(event.encode())
        return response

    return answer


async def _begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response
