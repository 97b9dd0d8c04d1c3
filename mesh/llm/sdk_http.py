"""How the SDKs' HTTP connections are set up: time limits, headers, redirects, proxies, logs.

Both SDKs take an httpx client of the library they are built on, so that one place decides what
may leave for which server. Nothing here knows prompts or answers.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mesh.config import ApiKey, ModelSpec
from mesh.llm.endpoints import base_url_of, is_loopback_host, is_named_by_address


@dataclass(frozen=True, slots=True)
class CallTimeouts:
    """How long a client waits; after that the call has failed."""

    connect_s: float = 5.0
    event_s: float = 60.0
    """Longest silence inside a stream, and before its first event. Longer waits notice a dead
    connection later; shorter ones take thinking for silence."""
    patient_s: float = 300.0
    """The same for a model seen to reason before it writes, and for answers that come whole."""


NO_KEY = "none"
"""Sent where the SDK insists on a key, and taken off again on the way out."""

_KEY_HEADERS = frozenset({"authorization", "x-api-key"})
_PLAIN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "anthropic-version",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
    }
)
_SDK_LOGGERS = ("openai", "anthropic", "httpx", "httpx2", "httpcore", "httpcore2")


class ResponseHeaders:
    """Headers of the latest answer: rate limits are told in them."""

    def __init__(self) -> None:
        self.latest: Mapping[str, str] = {}

    async def note(self, response: Any) -> None:
        self.latest = dict(response.headers)


def http_client_options(
    model: ModelSpec, key: ApiKey | None, headers: ResponseHeaders
) -> dict[str, Any]:
    """Arguments for the SDK's `DefaultAsyncHttpxClient`.

    Redirects are not followed: they would carry key and prompt to a server nobody named. A proxy
    of the environment is for the way out, never for this machine's own servers.
    """
    requests: list[Callable[[Any], Awaitable[None]]] = []
    if is_named_by_address(model) or model.simulated:
        requests.append(_only_plain_headers(key is not None or model.simulated))
    options: dict[str, Any] = {
        "follow_redirects": False,
        "event_hooks": {"request": requests, "response": [headers.note]},
    }
    if is_loopback_host(base_url_of(model)):
        # `trust_env` is not enough: anthropic's client class reads the proxies by itself.
        options["trust_env"] = False
        options["mounts"] = {"http://": None, "https://": None, "all://": None}
    return options


def http_error_class(client_class: type) -> type[Exception]:
    """Base of the errors of the HTTP library that an SDK's `DefaultAsyncHttpxClient` is made of.

    By version the SDKs are built on httpx or httpx2, and a broken stream raises its errors bare.
    """
    base = next(each for each in client_class.__mro__ if each.__name__ == "AsyncClient")
    library = importlib.import_module(base.__module__.partition(".")[0])
    error_class: type[Exception] = library.HTTPError
    return error_class


def quiet_sdk_loggers() -> None:
    """Keep prompts out of our log: on DEBUG the SDKs write whole requests.

    A level that the user has set for one of them (OPENAI_LOG, ANTHROPIC_LOG) stays.
    """
    for name in _SDK_LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)


def _only_plain_headers(with_key: bool) -> Callable[[Any], Awaitable[None]]:
    """A hook that takes off whatever a server of the user's own choice need not know.

    The SDKs add an organisation, a project and custom headers from the environment to every
    request, whichever server it goes to.
    """
    kept = _PLAIN_HEADERS | _KEY_HEADERS if with_key else _PLAIN_HEADERS

    async def strip(request: Any) -> None:
        for name in list(request.headers):
            if name.lower() not in kept:
                del request.headers[name]

    return strip
