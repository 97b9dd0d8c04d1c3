"""What both APIs' handlers share: the request's body, key and time, ids, server-sent events.

Error bodies, field names and the order of events are each API's own.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from mesh.simulation.answering import Simulator
from mesh.simulation.clock import SimulatedClock
from mesh.simulation.models import SimulatedModel

BODY_BYTES_MAX = 32 * 1024 * 1024
"""A longer request is refused with status 413, as Anthropic's API does."""

REFUSED_KEY_BEGINNINGS = ("wrong", "bad")
"""A key that begins so is refused, so that refusals can be tried out; any other is good."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What a handler needs of its server."""

    simulator: Simulator
    clock: SimulatedClock


SERVING = web.AppKey("serving", Serving)


class Rejected(Exception):
    """The request gets an error for an answer. Caught by the API's handler, which words it."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        parameter: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        outcome: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.parameter = parameter
        self.code = code
        self.headers = dict(headers or {})
        self.outcome = outcome or kind
        """The name of the failure in the books."""


@dataclass(slots=True)
class Request:
    """One request while it is answered."""

    id: str = field(default_factory=lambda: f"req_{secrets.token_hex(12)}")
    model: SimulatedModel | None = None
    """As soon as it is known: failures after that are entered in the model's books."""
    streamed: bool = False


async def json_body(request: web.Request) -> dict[str, Any] | None:
    """The body as an object; None when it is none.

    Raises:
        web.HTTPRequestEntityTooLarge: more than BODY_BYTES_MAX.
    """
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def is_refused(key: str) -> bool:
    return key.lower().startswith(REFUSED_KEY_BEGINNINGS)


def bearer_key(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


def retry_after_headers(wait_s: float, time_scale: float) -> dict[str, str]:
    """`Retry-After` for `wait_s` simulated seconds, in real ones.

    Whole seconds, as providers send them; below one second a fraction, which both SDKs read, or
    else fast simulated time would wait at real speed.
    """
    real_s = wait_s / time_scale
    return {"retry-after": str(math.ceil(real_s)) if real_s > 1 else f"{max(0.01, real_s):.2f}"}


async def begin_events(request: web.Request, headers: Mapping[str, str]) -> web.StreamResponse:
    """Begin an answer of server-sent events."""
    response = web.StreamResponse(
        headers={
            **headers,
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache",
        }
    )
    await response.prepare(request)
    return response


def break_connection(request: web.Request) -> None:
    """End the connection in the middle of the answer."""
    if request.transport is not None:
        request.transport.abort()


def compact_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
