"""The handlers of OpenAI's API: chat completions, streamed and whole, and the list of models.

Shapes and words are openai_wire.py's, the answers answering.py's.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Any

from aiohttp import web

from mesh.simulation import openai_requests
from mesh.simulation import openai_wire as wire
from mesh.simulation.answering import Break
from mesh.simulation.delivery import Delivery, StreamBroken, enter_failure
from mesh.simulation.faults import Fault
from mesh.simulation.http_calls import (
    SERVING,
    Rejected,
    Request,
    bearer_key,
    begin_events,
    break_connection,
    compact_json,
    is_refused,
    json_body,
)
from mesh.simulation.limit_headers import openai_headers
from mesh.simulation.models import SimulatedModel


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """POST /v1/chat/completions."""
    asked = Request()
    try:
        return await _answered(request, asked)
    except web.HTTPRequestEntityTooLarge as error:
        rejected = Rejected(413, wire.INVALID, error.text or "Request too large")
    except Rejected as error:
        rejected = error
    if asked.model is not None:
        simulator = request.app[SERVING].simulator
        enter_failure(
            simulator,
            asked.model,
            rejected.outcome,
            status=rejected.status,
            request_id=asked.id,
            streamed=asked.streamed,
        )
    return error_response(rejected, asked.id)


async def list_models(request: web.Request) -> web.StreamResponse:
    """GET /v1/models."""
    asked = Request()
    if is_refused(bearer_key(request)):
        return error_response(wire.refused_key(bearer_key(request)), asked.id)
    return web.json_response(wire.model_list(_models(request)), headers={"x-request-id": asked.id})


async def show_model(request: web.Request) -> web.StreamResponse:
    """GET /v1/models/NAME."""
    asked = Request()
    if is_refused(bearer_key(request)):
        return error_response(wire.refused_key(bearer_key(request)), asked.id)
    listed = wire.model_list(_models(request))["data"]
    found = [model for model in listed if model["id"] == request.match_info["name"]]
    if not found:
        return error_response(wire.unknown_model(request.match_info["name"]), asked.id)
    return web.json_response(found[0], headers={"x-request-id": asked.id})


def error_response(rejected: Rejected, request_id: str) -> web.Response:
    return web.json_response(
        wire.error_body(rejected),
        status=rejected.status,
        headers={"x-request-id": request_id, **rejected.headers},
    )


def _models(request: web.Request) -> list[SimulatedModel]:
    models = request.app[SERVING].simulator.models
    return [model for model in models.values() if model.api == "openai"]


async def _answered(request: web.Request, asked: Request) -> web.StreamResponse:
    serving = request.app[SERVING]
    if is_refused(bearer_key(request)):
        raise wire.refused_key(bearer_key(request))
    body = await json_body(request)
    model = openai_requests.model_named(body, serving.simulator.models)
    assert body is not None
    asked.model, asked.streamed = model, bool(body.get("stream"))
    call = openai_requests.read_call(body, model)
    plan = serving.simulator.answer(call, serving.clock.now_s())
    if isinstance(plan, Fault):
        rejected = wire.rejection_of(plan, model, serving.clock.time_scale)
        rejected.headers |= _headers(request, asked)
        raise rejected
    call_id = f"chatcmpl-{secrets.token_hex(14)}"
    delivery = Delivery(serving.simulator, plan, call_id, serving.clock)
    try:
        if call.streamed:
            return await _stream(
                request, delivery, asked, with_usage=openai_requests.wants_usage(body)
            )
        return await _whole(request, delivery, asked)
    finally:
        delivery.enter_in_books()


async def _stream(
    request: web.Request, delivery: Delivery, asked: Request, *, with_usage: bool
) -> web.StreamResponse:
    chunks = wire.ChunkWriter(delivery.plan, delivery.call_id, with_usage=with_usage)
    response = await begin_events(request, _headers(request, asked))
    with contextlib.suppress(ConnectionResetError):  # The client has closed it.
        await _send(request, response, delivery, chunks)
    return response


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    delivery: Delivery,
    chunks: wire.ChunkWriter,
) -> None:
    begun = False
    try:
        async for piece in delivery.pieces():
            if not begun:
                await response.write(_event(chunks.first()))
                begun = True
            await response.write(_event(chunks.piece(piece)))
    except StreamBroken as broken:
        if broken.how is Break.CONNECTION:
            break_connection(request)
        else:
            await response.write(_event(wire.broken_stream_body()))
        return
    if not begun:
        await response.write(_event(chunks.first()))
    last = b"".join(_event(chunk) for chunk in chunks.last())
    await response.write(last + b"data: [DONE]\n\n")
    delivery.ended = True


async def _whole(request: web.Request, delivery: Delivery, asked: Request) -> web.StreamResponse:
    try:
        await delivery.whole()
    except StreamBroken:
        break_connection(request)
        return web.Response()
    delivery.ended = True
    return web.json_response(
        wire.completion(delivery.plan, delivery.call_id), headers=_headers(request, asked)
    )


def _headers(request: web.Request, asked: Request) -> dict[str, str]:
    serving = request.app[SERVING]
    headers = {"x-request-id": asked.id, "openai-version": "2020-10-01"}
    if asked.model is not None:
        told = serving.simulator.limits_told(asked.model, serving.clock.now_s())
        headers |= openai_headers(told, serving.clock.time_scale)
    return headers


def _event(data: Any) -> bytes:
    return f"data: {compact_json(data)}\n\n".encode()
