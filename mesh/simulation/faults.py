"""When a call fails, and how: rate limits, overload, refusals, cut streams, at each model's rates.

Decides only; how an API words a failure is its own module's.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass

from mesh.simulation.models import SimulatedModel
from mesh.simulation.rate_limiting import ModelLimits

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
    """Of a limit: requests | tokens."""
    prompt_tokens: int = 0
    tokens_max: int = 0


class Mishap(enum.Enum):
    """What goes wrong with an answer that was begun."""

    REFUSAL = "refusal"
    EMPTY = "empty"
    CUT = "cut"


def fault_of(
    model: SimulatedModel,
    limits: ModelLimits,
    prompt_tokens: int,
    now_s: float,
    source: random.Random,
) -> Fault | None:
    """Why this call gets no answer at all; None when it gets one."""
    if not model.credit:
        return Fault(FaultKind.NO_CREDIT)
    refusal = limits.admit(prompt_tokens, now_s)
    if refusal is not None:
        return Fault(
            FaultKind.RATE_LIMITED, refusal.wait_s, detail=refusal.of, tokens_max=refusal.limit
        )
    if source.random() < model.error_429_rate:
        return Fault(FaultKind.RATE_LIMITED, source.uniform(*RETRY_AFTER_S), detail="requests")
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
