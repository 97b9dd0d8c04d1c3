"""When a call fails, and how: rate limits, overload, refusals, cut streams, at each model's rates.

Decides only; how an API words a failure is its own module's.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from dataclasses import dataclass, field

from mesh.simulation.models import SimulatedModel

WINDOW_S = 60.0
RETRY_AFTER_S = (1.0, 4.0)
"""Range of what is asked for after an error 429 beside the rate limit, simulated seconds."""


class FaultKind(enum.Enum):
    """Why no answer is given."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    NO_CREDIT = "no_credit"
    PROMPT_TOO_LONG = "prompt_too_long"
    UNKNOWN_TOPIC = "unknown_topic"


@dataclass(frozen=True, slots=True)
class Fault:
    kind: FaultKind
    retry_after_s: float = 0.0
    """Simulated seconds."""
    detail: str = ""
    prompt_tokens: int = 0
    tokens_max: int = 0


class Mishap(enum.Enum):
    """What goes wrong with an answer that was begun."""

    REFUSAL = "refusal"
    EMPTY = "empty"
    CUT = "cut"


@dataclass(slots=True)
class RateWindow:
    """The calls of the last simulated minute, at most `requests_per_minute` of them."""

    _calls_s: deque[float] = field(default_factory=deque)

    def admit(self, limit: int, now_s: float) -> float | None:
        """Note a call; None: it may go on, else simulated seconds until one may. 0: no limit."""
        if limit == 0:
            return None
        while self._calls_s and self._calls_s[0] <= now_s - WINDOW_S:
            self._calls_s.popleft()
        if len(self._calls_s) >= limit:
            return self._calls_s[0] + WINDOW_S - now_s
        self._calls_s.append(now_s)
        return None

    def left(self, limit: int) -> int:
        return max(0, limit - len(self._calls_s))


def fault_of(
    model: SimulatedModel, window: RateWindow, now_s: float, source: random.Random
) -> Fault | None:
    """Why this call gets no answer at all; None when it gets one."""
    if not model.credit:
        return Fault(FaultKind.NO_CREDIT)
    wait_s = window.admit(model.requests_per_minute, now_s)
    if wait_s is not None:
        return Fault(FaultKind.RATE_LIMITED, wait_s, tokens_max=model.requests_per_minute)
    if source.random() < model.error_429_rate:
        return Fault(FaultKind.RATE_LIMITED, source.uniform(*RETRY_AFTER_S))
    if source.random() < model.error_5xx_rate:
        kind = source.choice((FaultKind.SERVER_ERROR, FaultKind.OVERLOADED))
        return Fault(kind)
    return None


def mishap_of(model: SimulatedModel, source: random.Random) -> Mishap | None:
    """What goes wrong with this answer; None when nothing does."""
    chance = source.random()
    for mishap, rate in (
        (Mishap.REFUSAL, model.refusal_rate),
        (Mishap.EMPTY, model.empty_rate),
        (Mishap.CUT, model.cut_stream_rate),
    ):
        if chance < rate:
            return mishap
        chance -= rate
    return None
