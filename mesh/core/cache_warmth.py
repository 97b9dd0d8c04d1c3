"""Which prompts are in a provider's cache, and whether a call had better wait until its own is.

A prompt can be read from the cache once an answer to it has begun, so calls that start together
all pay in full. Decided from the calls of this process alone, since prompts are in no log; calls of
other processes are kept apart by starting at different moments, which is not decided here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

LIFETIME_S = 240.0
"""A prefix counts as kept for so long after its last use: providers promise five minutes."""
WAIT_MAX_S = 5.0
"""Longer waits cost more than they save, whatever the model."""
GAIN_TOKENS_MIN = 1_000
"""Tokens that waiting must make cheaper. A wait costs about a time to first token."""
WARM_MAX = 8
"""Prefixes remembered for each model; the oldest is dropped."""

_BYTES_A_TOKEN = 4
_TREND_WEIGHT = 0.3
_PATIENCE = 1.5
"""Usual times to first token that a call is waited for."""


@dataclass(frozen=True, slots=True)
class _Call:
    model: str
    parts: tuple[str, ...]
    begun_s: float


@dataclass(slots=True)
class _Model:
    first_text_s: float | None = None
    """Usual time to first text."""
    warm: deque[tuple[tuple[str, ...], float]] = field(
        default_factory=lambda: deque(maxlen=WARM_MAX)
    )
    """Prefixes, and when an answer to each began."""


@dataclass(slots=True)
class CacheWarmth:
    """One process's calls, as far as they fill caches. Times are seconds of any one clock."""

    _models: dict[str, _Model] = field(default_factory=dict)
    _waiting: dict[int, _Call] = field(default_factory=dict)
    """Calls under way without a first text, by number."""

    def begins(self, call: int, model: str, parts: Sequence[str], now_s: float) -> None:
        """A call goes out; `parts` of its prompt come first and stay: instructions, chunks."""
        self._waiting[call] = _Call(model, tuple(parts), now_s)

    def first_text(self, call: int, now_s: float) -> None:
        """Its answer has begun: from now on others can read its prefix."""
        begun = self._waiting.pop(call, None)
        if begun is None:
            return
        model = self._models.setdefault(begun.model, _Model())
        model.warm.append((begun.parts, now_s))
        took_s = now_s - begun.begun_s
        usual_s = model.first_text_s
        model.first_text_s = (
            took_s if usual_s is None else usual_s + _TREND_WEIGHT * (took_s - usual_s)
        )

    def ends(self, call: int) -> None:
        """The call is over, with or without a first text."""
        self._waiting.pop(call, None)

    def wait_s(self, model: str, parts: Sequence[str], *, tokens_min: int, now_s: float) -> float:
        """How long a call had better wait for another to fill the cache; 0.0: go.

        To be asked again when a first text has come, or a call has ended.

        Args:
            tokens_min: shortest prefix that the provider keeps.
        """
        known = self._models.get(model)
        if known is None or known.first_text_s is None:
            patience_s = WAIT_MAX_S
            warm_tokens = 0
        else:
            patience_s = min(WAIT_MAX_S, _PATIENCE * known.first_text_s)
            kept = (prefix for prefix, at_s in known.warm if now_s - at_s < LIFETIME_S)
            warm_tokens = max((_shared_tokens(prefix, parts) for prefix in kept), default=0)
        worth_tokens = max(tokens_min, warm_tokens + GAIN_TOKENS_MIN)
        waits = [
            call.begun_s + patience_s - now_s
            for call in self._waiting.values()
            if call.model == model and _shared_tokens(call.parts, parts) >= worth_tokens
        ]
        return max(0.0, min(waits, default=0.0))


def _shared_tokens(parts: Sequence[str], others: Sequence[str]) -> int:
    """Tokens of the parts that both begin with."""
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(parts, others, strict=False))
    return sum(len(part.encode()) for part, _ in shared) // _BYTES_A_TOKEN
