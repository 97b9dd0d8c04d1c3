"""Who gets an answer from the page at all, decided before any path is looked at.

Two questions, in this order. Is the page asked for under a name that means this server (access.py)?
And, where a token is demanded, does the request carry it: as the cookie that the printed address
has set, or as `Authorization: Bearer TOKEN`. Refusals are counted by reason, which the page and
/metrics show. Who may steer a run is asked besides, in routes.py.

The token comes in a URL once, at the page's own path, and is answered by a redirect to the same
page without it, so that it stays in no address bar, bookmark or Referer. The cookie names no path:
browsers then take the directory that they see, which is right below any proxy's prefix.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from collections import Counter
from enum import StrEnum

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from mesh.web.access import PageAccess

logger = logging.getLogger(__name__)

TOKEN_PARAMETER = "token"  # noqa: S105 the name of a query parameter
WRONG_TOKEN_DELAY_S = 1.0
"""A wrong token is answered this much later. What keeps guesses out is the token's length; the
delay keeps a guesser from costing the run anything."""
WRONG_TOKENS_WAITING_MAX = 16
"""Wrong tokens that wait for their answer at a time; a further one is answered 429 at once."""
_BEARER = "bearer "

CLOSED_TEXT = (
    "This page is open only to those who were given its address.\n"
    "Open the whole address, with ?token=, that the command printed in its terminal.\n"
    "Programs send the token as the header Authorization: Bearer TOKEN.\n"
)
WRONG_TEXT = f"The token is not this run's.\n{CLOSED_TEXT}"
_OPENING_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Topic Mesh</title>
<meta http-equiv="refresh" content="0; url=./"><a href="./">Open the page</a></html>
"""
_CLOSED_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Topic Mesh</title>
<h1>Not open to everyone</h1>
<p>Open the whole address, with <code>?token=</code>, that the command printed in its terminal.</p>
<p>Opened it before in this browser? <a href="./">Go on to the page</a></html>
"""
"""The link serves those who come from another site: their browser kept the cookie back."""


class Refusal(StrEnum):
    """Why a request got no answer, as it is counted and shown."""

    FOREIGN_HOST = "foreign_host"
    OTHER_SITE = "other_site"
    NO_TOKEN = "no_token"  # noqa: S105 a reason
    WRONG_TOKEN = "wrong_token"  # noqa: S105 a reason


class Gate:
    """The door of one run's page, and whom it has turned away."""

    def __init__(self, access: PageAccess) -> None:
        self.refused: Counter[str] = Counter()
        """Requests turned away, by Refusal."""
        self._access = access
        self._wrong_waiting = 0

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if reason := self._access.foreign_name(request.headers):
            self.count(Refusal.FOREIGN_HOST, request)
            return refusal_answer(request, 403, reason)
        token = self._access.token
        if token is None:
            return await handler(request)
        in_url = request.query.get(TOKEN_PARAMETER) if request.path == "/" else None
        if in_url is not None and _equal(in_url, token):
            return self._opened(request, token)
        shown = [each for each in _shown_tokens(request, cookie_name(token)) if each]
        if any(_equal(each, token) for each in shown):
            return await handler(request)
        if shown or in_url:
            return await self._wrong_token(request)
        self.count(Refusal.NO_TOKEN, request)
        return _unauthorised(request, CLOSED_TEXT)

    def count(self, reason: Refusal, request: web.Request) -> None:
        """Count a refused request; the first of each reason is logged, never with its content."""
        self.refused[reason.value] += 1
        if self.refused[reason.value] == 1:
            logger.warning("event=page_refused reason=%s address=%s", reason.value, request.remote)

    def _opened(self, request: web.Request, token: str) -> web.Response:
        if request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            answer = web.Response(status=303, headers={hdrs.LOCATION: "./"})
        else:
            # A link on another site: browsers would follow a redirect in that site's name, without
            # the cookie. What our own page asks for they ask in its name.
            answer = web.Response(text=_OPENING_PAGE, content_type="text/html")
        answer.set_cookie(
            cookie_name(token),
            token,
            path="",
            secure=self._access.is_public_https,
            httponly=True,
            samesite="Strict",
        )
        return answer

    async def _wrong_token(self, request: web.Request) -> web.StreamResponse:
        self.count(Refusal.WRONG_TOKEN, request)
        if self._wrong_waiting >= WRONG_TOKENS_WAITING_MAX:
            return refusal_answer(request, 429, "too many wrong tokens at a time")
        self._wrong_waiting += 1
        try:
            await asyncio.sleep(WRONG_TOKEN_DELAY_S)
        finally:
            self._wrong_waiting -= 1
        return _unauthorised(request, WRONG_TEXT)


def cookie_name(token: str) -> str:
    """Return the cookie's name: its own for each token, as all ports of a host share cookies."""
    return f"topicmesh-{hashlib.sha256(token.encode()).hexdigest()[:12]}"


def refusal_answer(request: web.Request, status: int, reason: str) -> web.Response:
    """Return `reason` in the form that programs get from this path: JSON below /api, else text."""
    if not request.path.startswith("/api/"):
        return web.Response(text=reason, status=status)
    text = json.dumps({"ok": False, "reason": reason.rstrip("\n")})
    return web.Response(text=text, status=status, content_type="application/json")


def _unauthorised(request: web.Request, reason: str) -> web.Response:
    if request.path == "/" and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        answer = web.Response(text=_CLOSED_PAGE, status=401, content_type="text/html")
    else:
        answer = refusal_answer(request, 401, reason)
    answer.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return answer


def _shown_tokens(request: web.Request, cookie: str) -> tuple[str, str]:
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    bearer = header[len(_BEARER) :].strip() if header.lower().startswith(_BEARER) else ""
    return request.cookies.get(cookie, ""), bearer


def _equal(shown: str, token: str) -> bool:
    """Compare in a time that says nothing of how much is right."""
    return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), token.encode())
