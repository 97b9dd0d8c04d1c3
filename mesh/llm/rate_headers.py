"""What a provider allows, read from the headers of an answer: the same values for both APIs.

Headers are another's word: what cannot be read counts as not said, what is out of all proportion is
cut to a bound. What follows from the values is core.rate_limits'.

Sources: "Rate limits in headers" of OpenAI's API guide (`x-ratelimit-remaining-requests: 59`,
`x-ratelimit-reset-tokens: 6m0s`) and "Response headers" of Anthropic's page on rate limits
(`anthropic-ratelimit-requests-reset: 2025-01-01T00:00:07Z`). With both the reset is when the limit
is whole again, not when the next call may go out.
"""

from __future__ import annotations

import email.utils
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mesh.config import Api
from mesh.core.entries import LimitSeen
from mesh.llm.interface import RateLimits

COUNT_MAX = 10**12
RESET_MAX_S = 7 * 24 * 3600.0
"""A limit that is whole only after that is no limit to wait for; longer resets are cut to it."""
VALUE_CHARACTERS_MAX = 64
CLOCK_ERROR_MAX_S = 2.0
"""Beyond this our clock is taken to be wrong. Below it our own is better than the header `Date`,
which has whole seconds only."""

_COUNT = re.compile(r"\s*(\d{1,15})(?![\w:]|,\d)")
_DURATION_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|us|µs|ns|d|h|m|s)")
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
_UNIT_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
}
_ANTHROPIC_TOKENS = ("tokens", "input-tokens", "output-tokens")


@dataclass(frozen=True, slots=True)
class _Limit:
    """One limit as told; None: not said."""

    count: int | None
    left: int | None
    reset_s: float | None

    @property
    def share_left(self) -> float:
        if self.count is None or self.left is None:
            return math.inf
        return self.left / self.count


def rate_limits(headers: Mapping[str, str], api: Api, now_s: float) -> RateLimits | None:
    """What `headers` say of limits; None when they say nothing.

    Args:
        headers: of an answer or a refusal, names in any case.
        now_s: seconds since 1970, against which Anthropic's moments are held; where the answer's
            own `Date` is far from it, the `Date` is.

    Of Anthropic's limits on tokens (input, output, both) the one with the smallest share left
    counts. Example: `x-ratelimit-limit-requests: 60`, `x-ratelimit-remaining-requests: 59` and
    `x-ratelimit-reset-requests: 1s` give RateLimits(60, 59, None, None, 1.0).
    """
    lower = {name.lower(): value[:VALUE_CHARACTERS_MAX] for name, value in headers.items()}
    sent_s = _sent_s(lower, now_s)
    if api == "openai":
        requests = _openai_limit(lower, "requests", sent_s)
        tokens = _openai_limit(lower, "tokens", sent_s)
    else:
        requests = _anthropic_limit(lower, "requests", sent_s)
        every = [_anthropic_limit(lower, name, sent_s) for name in _ANTHROPIC_TOKENS]
        # The first of those that say least: an unsaid limit is the least tight one.
        tokens = min(every, key=lambda limit: limit.share_left)
    limits = RateLimits(
        requests_per_minute=requests.count,
        requests_left=requests.left,
        tokens_per_minute=tokens.count,
        tokens_left=tokens.left,
        reset_s=requests.reset_s,
        tokens_reset_s=tokens.reset_s,
    )
    return None if limits == RateLimits() else limits


def limit_seen(
    limits: RateLimits | None,
    *,
    model: str,
    call: int,
    now_ms: int,
    refused: bool = False,
    wait_s: float = 0.0,
) -> LimitSeen | None:
    """The log entry for what an answer to `call` said; None when it said nothing.

    Args:
        refused: with status 429 and not for want of credit.
        wait_s: the Retry-After of a refusal, 0 without one.
    """
    if limits is None and not refused:
        return None
    said = limits or RateLimits()
    return LimitSeen(
        model=model,
        seen_ms=now_ms,
        requests_per_minute=said.requests_per_minute,
        requests_left=said.requests_left,
        tokens_per_minute=said.tokens_per_minute,
        tokens_left=said.tokens_left,
        reset_s=said.reset_s,
        refused=refused,
        wait_s=min(max(0.0, wait_s), RESET_MAX_S) if math.isfinite(wait_s) else 0.0,
        call=call,
        tokens_reset_s=said.tokens_reset_s,
    )


def _openai_limit(headers: Mapping[str, str], name: str, sent_s: float) -> _Limit:
    return _limit(
        headers.get(f"x-ratelimit-limit-{name}"),
        headers.get(f"x-ratelimit-remaining-{name}"),
        headers.get(f"x-ratelimit-reset-{name}"),
        sent_s,
    )


def _anthropic_limit(headers: Mapping[str, str], name: str, sent_s: float) -> _Limit:
    return _limit(
        headers.get(f"anthropic-ratelimit-{name}-limit"),
        headers.get(f"anthropic-ratelimit-{name}-remaining"),
        headers.get(f"anthropic-ratelimit-{name}-reset"),
        sent_s,
    )


def _limit(count: str | None, left: str | None, reset: str | None, sent_s: float) -> _Limit:
    # Some servers write 0 or -1 where there is no limit.
    return _Limit(_count(count) or None, _count(left), _reset_s(reset, sent_s))


def _count(value: str | None) -> int | None:
    """The number that a value begins with: some servers add their policy, `60;w=60`."""
    found = _COUNT.match(value or "")
    return min(int(found[1]), COUNT_MAX) if found else None


def _reset_s(value: str | None, sent_s: float) -> float | None:
    """Seconds from a duration (`6m0s`, `20ms`, `12.5`) or until a moment (RFC 3339)."""
    text = (value or "").strip()
    seconds = _duration_s(text)
    if seconds is None:
        moment_s = _moment_s(text)
        seconds = None if moment_s is None else moment_s - sent_s
    return None if seconds is None else min(max(0.0, seconds), RESET_MAX_S)


def _duration_s(text: str) -> float | None:
    if _SECONDS.fullmatch(text):
        return float(text)
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return math.fsum(float(number) * _UNIT_S[unit] for number, unit in parts)


def _moment_s(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        return None


def _sent_s(headers: Mapping[str, str], now_s: float) -> float:
    """When the answer was sent, by the clock that its moments are told in."""
    try:
        date_s = email.utils.parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return now_s
    return date_s if abs(date_s - now_s) > CLOCK_ERROR_MAX_S else now_s
