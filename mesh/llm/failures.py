"""What an SDK's exception says, as plain values: the same for both SDKs and without importing them.

Reads status, headers and the error body in every shape that providers and compatible servers
write. What follows from it is decided in errors.py.
"""

from __future__ import annotations

import email.utils
import math
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NO_ANSWER_IN_TIME = "no answer in time"
_NO_NAME = "its name cannot be resolved"
_REFUSED = "connection refused"
_NOT_TRUSTED = "no secure connection, its certificate or the network's is not trusted"
_NO_CONNECTION_IN_TIME = "no connection in time"
_NO_CONNECTION = "no connection"
_BEFORE_SENDING = frozenset(
    {_NO_NAME, _REFUSED, _NOT_TRUSTED, _NO_CONNECTION_IN_TIME, _NO_CONNECTION}
)

_CAUSES_MAX = 12
_SECONDS_A_MS = 0.001


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call as its provider, or the network, reported it; not yet safe to show."""

    status: int | None
    """HTTP status; None when no answer came, or when the fault came inside a stream."""
    message: str = ""
    code: str = ""
    """The provider's own word, such as `insufficient_quota`."""
    type: str = ""
    """The provider's class of error, such as `overloaded_error`."""
    parameter: str = ""
    """The parameter that the provider names in a field of its own."""
    tokens_max: int | None = None
    """What prompt and answer may hold together, where a field tells it (llama.cpp: `n_ctx`)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    network: str = ""
    """What went wrong below HTTP, in words for a person; "" when an answer came."""

    @property
    def sent(self) -> bool:
        """The connection failed after the call went out: it may have been answered, and cost."""
        return bool(self.network) and self.network not in _BEFORE_SENDING


def failure_of(error: BaseException) -> Failure:
    """Read an exception of either SDK, or of the HTTP library beneath it."""
    response = getattr(error, "response", None)
    detail = _detail(getattr(error, "body", None))
    status = getattr(error, "status_code", None)
    reported = bool(detail) or status is not None
    return Failure(
        # A stream that breaks off with an error event carries the status of its good beginning.
        status=status if isinstance(status, int) and status >= 300 else None,
        message=_text(detail, "message") or (str(error) if reported else ""),
        code=_text(detail, "code"),
        type=_text(detail, "type"),
        parameter=_text(detail, "param"),
        tokens_max=_count(detail, "n_ctx"),
        headers=dict(response.headers) if response is not None else {},
        network="" if reported else network_fault(error),
    )


def network_fault(error: BaseException) -> str:
    """Why no answer came, from the chain of causes beneath an SDK's connection error."""
    if isinstance(error, ValueError):
        return "it cannot be read"
    causes = _causes(error)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return _NO_NAME
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return _REFUSED
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return _NOT_TRUSTED
    names = [type(cause).__name__ for cause in causes]
    if any("ConnectTimeout" in name for name in names):
        return _NO_CONNECTION_IN_TIME
    if any("Timeout" in name for name in names):
        return NO_ANSWER_IN_TIME
    if "ConnectError" in names:
        return _NO_CONNECTION
    return "the connection broke"


def retry_after_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """How long the server asks to wait, from `retry-after-ms` or `Retry-After`.

    Args:
        headers: of the answer, names in any case.
        now_s: seconds since 1970, used for a date where the answer has no Date of its own.

    Source: RFC 9110, section 10.2.3: seconds, or an HTTP date.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    milliseconds = _number(lower.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds * _SECONDS_A_MS
    value = lower.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    until_s = _http_date_s(value)
    if until_s is None:
        return None
    # Both dates are by the server's clock, so that ours being wrong does no harm.
    sent_s = _http_date_s(lower.get("date", ""))
    return max(0.0, until_s - (now_s if sent_s is None else sent_s))


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _http_date_s(value: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _detail(body: object) -> dict[str, Any]:
    """The object that holds message, type and code, out of the shapes in which servers wrap it."""
    if isinstance(body, str):
        return {"message": body}
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error")
    if isinstance(inner, Mapping):
        return dict(inner)
    if isinstance(inner, str):
        return {**body, "message": inner}
    if "detail" in body:
        return _validation_detail(body["detail"])
    return dict(body)


def _validation_detail(detail: object) -> dict[str, Any]:
    """FastAPI's bodies: `{"detail": "…"}`, or a list of fields with what is wrong with each."""
    if not isinstance(detail, list):
        return {"message": str(detail)}
    faults = [fault for fault in detail if isinstance(fault, Mapping)]
    where = [[str(part) for part in fault.get("loc") or ()] for fault in faults]
    said = [
        f"{'.'.join(path)}: {fault.get('msg', '')}"
        for path, fault in zip(where, faults, strict=True)
    ]
    parameter = next((path[-1] for path in where if path), "")
    return {"message": "; ".join(said), "param": parameter}


def _text(detail: Mapping[str, Any], name: str) -> str:
    value = detail.get(name)
    return str(value) if isinstance(value, str | int) else ""


def _count(detail: Mapping[str, Any], name: str) -> int | None:
    value = detail.get(name)
    return value if isinstance(value, int) and value > 0 else None


def _causes(error: BaseException) -> list[BaseException]:
    """`error` and what it was raised from, outermost first."""
    causes: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and len(causes) < _CAUSES_MAX:
        causes.append(current)
        current = current.__cause__ or current.__context__
    return causes
