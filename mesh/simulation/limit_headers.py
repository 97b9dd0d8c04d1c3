"""The headers in which each API tells its limits, with every answer and every refusal.

OpenAI writes durations as Go does (`1s`, `6m0s`, `20ms`), Anthropic moments (RFC 3339). Both are in
real seconds: a simulated minute takes less where simulated time runs fast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from mesh.simulation.rate_limiting import ToldLimit


def openai_headers(told: Mapping[str, ToldLimit], time_scale: float) -> dict[str, str]:
    """`x-ratelimit-…` of `told`, by requests and tokens."""
    headers: dict[str, str] = {}
    for of, limit in told.items():
        headers[f"x-ratelimit-limit-{of}"] = str(limit.limit)
        headers[f"x-ratelimit-remaining-{of}"] = str(limit.left)
        headers[f"x-ratelimit-reset-{of}"] = go_duration(limit.whole_in_s / time_scale)
    return headers


def anthropic_headers(
    told: Mapping[str, ToldLimit], time_scale: float, now_s: float
) -> dict[str, str]:
    """`anthropic-ratelimit-…` of `told`; `now_s` in seconds since 1970."""
    headers: dict[str, str] = {}
    for of, limit in told.items():
        whole_s = now_s + limit.whole_in_s / time_scale
        headers[f"anthropic-ratelimit-{of}-limit"] = str(limit.limit)
        headers[f"anthropic-ratelimit-{of}-remaining"] = str(limit.left)
        headers[f"anthropic-ratelimit-{of}-reset"] = _moment(whole_s, whole=time_scale <= 1.0)
    return headers


def go_duration(seconds: float) -> str:
    """As Go prints a duration, to the millisecond: `20ms`, `1s`, `6m0s`, `1h0m0.5s`."""
    ms = math.ceil(seconds * 1000.0)
    if ms < 1000:
        return f"{ms}ms"
    minutes, rest_ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest_ms / 1000:g}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def _moment(at_s: float, *, whole: bool) -> str:
    """Whole seconds, as Anthropic writes them; where simulated time runs fast they would be too
    coarse."""
    if whole:
        at_s = math.ceil(at_s)
    moment = datetime.fromtimestamp(at_s, UTC)
    return moment.isoformat(timespec="seconds" if whole else "milliseconds").replace("+00:00", "Z")
