"""What a simulated provider allows: calls and tokens a minute, and how they come back.

Three kinds, after what providers do: each use comes back a minute after it was made (sliding), the
limit comes back evenly (bucket), or all at once at the end of each minute (window). A call that is
refused uses nothing. Times are simulated seconds; how limits are told is limit_headers.py's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from mesh.simulation.models import LimitKind, SimulatedModel

MINUTE_S = 60.0


class Allowance(Protocol):
    """One limit, of so much a minute."""

    limit: int

    def left(self, now_s: float) -> float:
        """Below 0 when an answer became longer than what was left."""
        ...

    def wait_s(self, amount: float, now_s: float) -> float:
        """Until `amount`, or the whole limit where it is less, may be used; 0: now."""
        ...

    def whole_in_s(self, now_s: float) -> float:
        """Until the whole limit is back, should nothing be used."""
        ...

    def use(self, amount: float, now_s: float) -> None: ...


@dataclass(slots=True)
class SlidingAllowance:
    """At most `limit` in any minute."""

    limit: int
    _used: deque[tuple[float, float]] = field(default_factory=deque)
    """(when, how much), oldest first."""

    def left(self, now_s: float) -> float:
        self._forget(now_s)
        return self.limit - sum(amount for _, amount in self._used)

    def wait_s(self, amount: float, now_s: float) -> float:
        lacking = min(amount, self.limit) - self.left(now_s)
        for used_s, used in self._used:
            if lacking <= 0.0:
                break
            lacking -= used
            if lacking <= 0.0:
                return used_s + MINUTE_S - now_s
        return 0.0

    def whole_in_s(self, now_s: float) -> float:
        self._forget(now_s)
        return self._used[-1][0] + MINUTE_S - now_s if self._used else 0.0

    def use(self, amount: float, now_s: float) -> None:
        self._used.append((now_s, amount))

    def _forget(self, now_s: float) -> None:
        while self._used and self._used[0][0] <= now_s - MINUTE_S:
            self._used.popleft()


@dataclass(slots=True)
class BucketAllowance:
    """Full at first; a minute fills it."""

    limit: int
    _lacking: float = 0.0
    _at_s: float = 0.0

    def left(self, now_s: float) -> float:
        filled = (now_s - self._at_s) * self.limit / MINUTE_S
        self._lacking, self._at_s = max(0.0, self._lacking - filled), now_s
        return self.limit - self._lacking

    def wait_s(self, amount: float, now_s: float) -> float:
        lacking = min(amount, self.limit) - self.left(now_s)
        return max(0.0, lacking) * MINUTE_S / self.limit

    def whole_in_s(self, now_s: float) -> float:
        return (self.limit - self.left(now_s)) * MINUTE_S / self.limit

    def use(self, amount: float, now_s: float) -> None:
        self.left(now_s)
        self._lacking += amount


@dataclass(slots=True)
class WindowAllowance:
    """At most `limit` from one full minute of the server's clock to the next."""

    limit: int
    _used: float = 0.0
    _window: int = 0

    def left(self, now_s: float) -> float:
        window = int(now_s // MINUTE_S)
        if window != self._window:
            self._window, self._used = window, 0.0
        return self.limit - self._used

    def wait_s(self, amount: float, now_s: float) -> float:
        enough = self.left(now_s) >= min(amount, self.limit)
        return 0.0 if enough else MINUTE_S - now_s % MINUTE_S

    def whole_in_s(self, now_s: float) -> float:
        return MINUTE_S - now_s % MINUTE_S if self.left(now_s) < self.limit else 0.0

    def use(self, amount: float, now_s: float) -> None:
        self.left(now_s)
        self._used += amount


_KINDS: dict[LimitKind, type[SlidingAllowance | BucketAllowance | WindowAllowance]] = {
    "sliding": SlidingAllowance,
    "bucket": BucketAllowance,
    "window": WindowAllowance,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which limit a call would exceed."""

    of: str
    """requests | tokens."""
    limit: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class ToldLimit:
    """One limit as an answer tells it."""

    limit: int
    left: int
    whole_in_s: float


@dataclass(slots=True)
class ModelLimits:
    """Both limits of one model; None: it has none."""

    requests: Allowance | None = None
    tokens: Allowance | None = None

    @classmethod
    def of(cls, model: SimulatedModel) -> ModelLimits:
        kind = _KINDS[model.limit_kind]
        return cls(
            requests=kind(model.requests_per_minute) if model.requests_per_minute else None,
            tokens=kind(model.tokens_per_minute) if model.tokens_per_minute else None,
        )

    def admit(self, prompt_tokens: int, now_s: float) -> Refusal | None:
        """Take a call and its prompt off what is left; or say why it may not go on."""
        asked = (("requests", self.requests, 1.0), ("tokens", self.tokens, float(prompt_tokens)))
        refusals = [
            Refusal(of, allowance.limit, wait_s)
            for of, allowance, amount in asked
            if allowance is not None and (wait_s := allowance.wait_s(amount, now_s)) > 0.0
        ]
        if refusals:
            return max(refusals, key=lambda refusal: refusal.wait_s)
        for _, allowance, amount in asked:
            if allowance is not None:
                allowance.use(amount, now_s)
        return None

    def answered(self, output_tokens: int, now_s: float) -> None:
        """An answer has been written: its tokens count too."""
        if self.tokens is not None:
            self.tokens.use(float(output_tokens), now_s)

    def told(self, now_s: float) -> dict[str, ToldLimit]:
        """requests, tokens: as far as there are such limits."""
        limits = {"requests": self.requests, "tokens": self.tokens}
        return {
            of: ToldLimit(
                allowance.limit,
                max(0, int(allowance.left(now_s))),
                allowance.whole_in_s(now_s),
            )
            for of, allowance in limits.items()
            if allowance is not None
        }
