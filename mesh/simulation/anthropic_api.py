"""The handlers of Anthropic's API: messages, streamed and whole, and the list of models.

Shapes and words are anthropic_wire.py's, the answers answering.py's.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from mesh.simulation import anthropic_wire as wire
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
from mesh.simulation.limit_headers import anthropic_headers
from mesh.simulation.models import SimulatedModel


async def messages(request: web.Request) -> web.StreamResponse:
    """POST /v1/messages."""
    asked = Request()
    try:
        return await _answered(request, asked)
    except web.HTTPRequestEntityTooLarge:
        rejected = Rejected(413, wire.TOO_LARGE, "Request exceeds the maximum size")
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
    try:
        _check_key(request)
        limit = wire.page_limit(request.query.get("limit"))
        page = wire.model_list(
            _models(request), after_id=request.query.get("after_id"), limit=limit
        )
    except Rejected as rejected:
        return error_response(rejected, asked.id)
    return web.json_response(page, headers={"request-id": asked.id})


async def show_model(request: web.Request) -> web.StreamResponse:
    """GET /v1/models/NAME."""
    asked = Request()
    name = request.match_info["name"]
    try:
        _check_key(request)
        found = [model for model in _models(request) if model.name == name]
        if not found:
            raise wire.unknown_model(name)
    except Rejected as rejected:
        return error_response(rejected, asked.id)
    return web.json_response(wire.model_info(found[0]), headers={"request-id": asked.id})


def error_response(rejected: Rejected, request_id: str) -> web.Response:
    return web.json_response(
        wire.error_body(rejected, request_id),
        status=rejected.status,
        headers={"request-id": request_id, **rejected.headers},
    )


def _check_key(request: web.Request) -> None:
    if is_refused(request.headers.get("x-api-key", "")) or is_refused(bearer_key(request)):
        raise wire.refused_key()


def _models(request: web.Request) -> list[SimulatedModel]:
    models = request.app[SERVING].simulator.models
    return [model for model in models.values() if model.api == "anthropic"]


async def _answered(request: web.Request, asked: Request) -> web.StreamResponse:
    serving = request.app[SERVING]
    _check_key(request)
    body = await json_body(request)
    if "anthropic-version" not in request.headers:
        raise Rejected(400, wire.INVALID, "anthropic-version: header is required")
    model = wire.model_named(body, serving.simulator.models)
    assert body is not None
    asked.model, asked.streamed = model, bool(body.get("stream"))
    call = wire.read_call(body, model)
    plan = serving.simulator.answer(call, serving.clock.now_s())
    if isinstance(plan, Fault):
        rejected = wire.rejection_of(plan, model, serving.clock.time_scale)
        rejected.headers |= _headers(request, asked)
        raise rejected
    call_id = f"msg_{secrets.token_hex(12)}"
    delivery = Delivery(serving.simulator, plan, call_id, serving.clock)
    try:
        if call.streamed:
            return await _stream(request, delivery, asked)
        return await _whole(request, delivery, asked)
    finally:
        delivery.enter_in_books()


async def _stream(request: web.Request, delivery: Delivery, asked: Request) -> web.StreamResponse:
    events = wire.EventWriter(delivery.plan, delivery.call_id)
    response = await begin_events(request, _headers(request, asked))
    with contextlib.suppress(ConnectionResetError):  # The client has closed it.
        await _send(request, response, delivery, events, asked.id)
    return response


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    delivery: Delivery,
    events: wire.EventWriter,
    request_id: str,
) -> None:
    begun = False
    try:
        async for piece in delivery.pieces():
            if not begun:
                await response.write(_joined(events.first()))
                begun = True
            await response.write(_event(events.piece(piece)))
    except StreamBroken as broken:
        if broken.how is Break.CONNECTION:
            break_connection(request)
        else:
            await response.write(_event(wire.broken_stream_body(request_id)))
        return
    if not begun:
        await response.write(_joined(events.first()))
    await response.write(_joined(events.last()))
    delivery.ended = True


async def _whole(request: web.Request, delivery: Delivery, asked: Request) -> web.StreamResponse:
    try:
        await delivery.whole()
    except StreamBroken:
        break_connection(request)
        return web.Response()
    delivery.ended = True
    return web.json_response(
        wire.message(delivery.plan, delivery.call_id), headers=_headers(request, asked)
    )


def _headers(request: web.Request, asked: Request) -> dict[str, str]:
    serving = request.app[SERVING]
    headers = {"request-id": asked.id}
    if asked.model is not None:
        told = serving.simulator.limits_told(asked.model, serving.clock.now_s())
        headers |= anthropic_headers(told, serving.clock.time_scale, time.time())
    return headers


def _event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {compact_json(data)}\n\n".encode()


def _joined(events: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(map(_event, events))
