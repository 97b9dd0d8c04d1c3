"""How much of one limit is left and when there will be more, from what a provider says.

After a call a provider says what is left and when the limit is whole again, but not how it comes
back. Three ways are in use: evenly (a token bucket), all at once at the end of a fixed window,
or each use by itself a period after it was made (a sliding window). A meter tells them apart by
what the answers say over time. Who may use what is left is not decided here (rate_account.py).
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

SPENDS_MAX = 20_000
"""Uses remembered; older ones are forgotten, so that more seems left than is. The provider's next
word corrects it."""
PERIOD_S = 60.0
"""Of a limit whose provider does not say when it is whole again."""
BELIEVED_S = 3_600.0
"""After that another use is tried, whatever a provider, or a member of the mesh, has said."""
MARGIN_S, MARGIN_MAX_S = 0.1, 1.0
"""How much later than computed a use is made: calls take unevenly long to reach the provider. It
doubles with every use that is refused against expectation and falls again with time. It costs
nothing lasting: what is not used in time shows as left."""

REORDER_S = 0.5
"""Calls made within it may reach the provider in another order."""

_EVIDENCE_SHARE = 0.1
"""A limit used less than this says little about how it comes back, and does not matter yet."""
_DOUBT_WEIGHT, _TRUST_WEIGHT = 0.3, 0.1
"""Of the latest error when it is larger than the smoothed one, and when it is smaller."""
_MARGIN_DECAY = 0.98
_PERIOD_WEIGHT = 0.1
_ERROR_MAX = 0.25
"""A way of coming back whose predictions are off by more than this share is not believed."""
_MISSING_MIN = 3
"""Uses that may be missing from what was expected without meaning anything: they were under way."""
_ELAPSED_SHARE = 0.1
"""Of a period; sooner after the first word on a window's end others prove nothing."""


class Refill(enum.StrEnum):
    """How a limit comes back."""

    BUCKET = "bucket"
    """Evenly, up to the limit."""
    WINDOW = "window"
    """All at once, at the end of a fixed window."""
    TRAILING = "trailing"
    """Each use a period after it was made. Whoever keeps to this keeps to the other two as well:
    so it is assumed as long as nothing is known."""


@dataclass(slots=True)
class Spend:
    """One use of the limit."""

    at_s: float
    amount: float
    left: float
    """Before it, as far as was known; what a refusal is held against."""
    counted: bool = False
    """The provider has answered, and what it said of the limit was heard or is no news."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a provider said of the limit in its answer to one call."""

    at_s: float
    """When the call was made: what is left is what this call left."""
    heard_s: float
    limit: float
    left: float
    reset_s: float | None
    """From `heard_s` until the limit is whole again."""

    @property
    def used(self) -> float:
        return self.limit - self.left


@dataclass(slots=True)
class Meter:
    """One limit of one account. All times are of one clock, in seconds."""

    refill: Refill = Refill.TRAILING
    _reading: Reading | None = None
    _spends: deque[Spend] = field(default_factory=lambda: deque(maxlen=SPENDS_MAX))
    _whole_s: float = 0.0
    """When, without further use, the limit is whole again."""
    _end_s: float | None = None
    """The end of the window, as it was first heard of in it."""
    _end_heard_s: float = 0.0
    _longest_reset_s: float | None = None
    _bucket_period_s: float | None = None
    """In which an empty bucket fills."""
    _bucket_error: float | None = None
    """Smoothed, as a share; None: no evidence yet."""
    _window_error: float | None = None
    _margin_s: float = MARGIN_S

    @property
    def is_known(self) -> bool:
        return self._reading is not None

    @property
    def limit(self) -> float | None:
        return None if self._reading is None else self._reading.limit

    @property
    def window_end_s(self) -> float:
        """When the window that was last heard of ends or has ended; -inf: none is known of."""
        if self._end_s is None or self.refill is not Refill.WINDOW:
            return -math.inf
        return self._end_s

    def spend(self, amount: float, now_s: float, *, counted: bool = False) -> Spend:
        """Note a use; what it returns may be corrected later."""
        self._forget(now_s)
        spend = Spend(now_s, amount, self.left(now_s), counted)
        self._spends.append(spend)
        return spend

    def spent_first_s(self, since_s: float) -> float | None:
        """When it was first used at or after `since_s`; None: not yet."""
        used = (each.at_s for each in self._spends if each.at_s >= since_s and each.amount > 0.0)
        return next(used, None)

    def spent(self, since_s: float) -> float:
        """What was used at or after `since_s`; what was refused is not."""
        return sum(each.amount for each in self._spends if each.at_s >= since_s)

    def read(self, reading: Reading, spend: Spend) -> None:
        """Take in a provider's word in its answer to `spend`; what an earlier call left is old."""
        spend.counted = True
        earlier = self._reading
        if earlier is not None and not self._is_news(reading, earlier):
            return
        if earlier is not None and reading.limit != earlier.limit:
            self._bucket_error = self._window_error = None
            self._bucket_period_s = self._longest_reset_s = self._end_s = None
        self._reading = reading
        self._margin_s = max(MARGIN_S, self._margin_s * _MARGIN_DECAY)
        if reading.reset_s is None:
            self._whole_s = reading.at_s + PERIOD_S
        else:
            self._learn(reading, reading.reset_s)
        missing = spend.left - spend.amount - reading.left
        if max(_ERROR_MAX * reading.limit, _MISSING_MIN * spend.amount) < missing < math.inf:
            self._doubt()
        self.refill = self._likeliest()

    def refused(self, spend: Spend, left: float | None) -> None:
        """A use was refused and took nothing; `left` is what the provider says is left."""
        amount, spend.amount, spend.counted = spend.amount, 0.0, True
        if left is None or left >= amount or not amount <= spend.left < math.inf:
            return
        self._margin_s = min(2.0 * self._margin_s, MARGIN_MAX_S)
        if spend.left < 2.0 * amount:
            return  # It may have come a little early.
        self._doubt()
        self.refill = self._likeliest()

    def left(self, now_s: float) -> float:
        """What may be used now; inf when no limit is known, below 0 when too much was used."""
        reading = self._reading
        if reading is None:
            return math.inf
        if self.refill is Refill.BUCKET:
            level, at_s = self._bucket_level(reading)
            return min(reading.limit, level + (now_s - at_s) * self._rate(reading))
        level = reading.left - self._spent_after(reading)
        return level + sum(amount for at_s, amount in self._returns(reading) if at_s <= now_s)

    def free_s(self, amount: float, besides: float = 0.0) -> float:
        """Since when, or from when on, `amount` may be used while `besides` stays for others.

        What is left is free since that was heard: who waits in turn counts from then.
        More than the whole limit is free when all of it is: its refusal is the provider's matter.
        inf: so much is never left beside it.
        """
        reading = self._reading
        if reading is None:
            return -math.inf
        amount = min(amount, reading.limit) + besides
        if amount > reading.limit:
            return math.inf
        free_s = self._bucket_free_s if self.refill is Refill.BUCKET else self._stepwise_free_s
        return min(free_s(reading, amount), reading.heard_s + BELIEVED_S)

    def _is_news(self, reading: Reading, earlier: Reading) -> bool:
        """Of calls made at about the same time the one that left less came later."""
        if abs(reading.at_s - earlier.at_s) > REORDER_S:
            return reading.at_s > earlier.at_s
        news, known = (each.left - self._spent_after(each) for each in (reading, earlier))
        return news <= known

    def _spends_after(self, reading: Reading) -> Iterator[Spend]:
        return (spend for spend in self._spends if _is_after(spend, reading))

    def _spent_after(self, reading: Reading) -> float:
        return sum(spend.amount for spend in self._spends_after(reading))

    # A bucket

    def _rate(self, reading: Reading) -> float:
        return reading.limit / (self._bucket_period_s or PERIOD_S)

    def _bucket_level(self, reading: Reading) -> tuple[float, float]:
        """The level after the latest use, and when that was."""
        rate = self._rate(reading)
        level, at_s = reading.left, reading.at_s
        for spend in self._spends_after(reading):
            level += max(0.0, spend.at_s - at_s) * rate
            level = min(reading.limit, level) - spend.amount
            at_s = max(at_s, spend.at_s)
        return level, at_s

    def _bucket_free_s(self, reading: Reading, amount: float) -> float:
        level, at_s = self._bucket_level(reading)
        if level >= amount:
            return max(at_s, reading.heard_s)
        return at_s + (amount - level) / self._rate(reading) + self._margin_s

    # Windows: what was used comes back in steps

    def _returns(self, reading: Reading) -> Iterator[tuple[float, float]]:
        """When how much comes back."""
        if self.refill is Refill.WINDOW:
            return self._window_returns(reading)
        return self._trailing_returns(reading)

    def _window_returns(self, reading: Reading) -> Iterator[tuple[float, float]]:
        """All at its end. Should no answer tell of the next windows, each use in them comes back a
        period later."""
        period_s = self._longest_reset_s or PERIOD_S
        after = list(self._spends_after(reading))
        end_s = self.window_end_s
        in_window = sum(each.amount for each in after if each.at_s < end_s)
        yield end_s, reading.used + in_window
        for spend in after:
            if spend.at_s >= end_s:
                yield spend.at_s + period_s, spend.amount

    def _trailing_returns(self, reading: Reading) -> Iterator[tuple[float, float]]:
        """Each use a period after it was made; what others have used, when all is whole.

        What is lacking are the latest uses: earlier ones have come back, however that went.
        """
        period_s = self._longest_reset_s or PERIOD_S
        lacking = reading.used
        for spend in reversed(self._spends):
            back_s = spend.at_s + period_s
            if _is_after(spend, reading):
                yield back_s, spend.amount
            elif lacking > 0.0 and reading.at_s < back_s < self._whole_s:
                amount = min(spend.amount, lacking)
                lacking -= amount
                yield back_s, amount
        yield self._whole_s, lacking

    def _stepwise_free_s(self, reading: Reading, amount: float) -> float:
        free_s, level = reading.heard_s, reading.left
        for spend in self._spends_after(reading):
            free_s, level = max(free_s, spend.at_s), level - spend.amount
        for back_s, returned in sorted(self._returns(reading)):
            if level >= amount:
                break
            level += returned
            free_s = max(free_s, back_s + self._margin_s)
        return free_s

    # What the readings say of how it comes back

    def _learn(self, reading: Reading, reset_s: float) -> None:
        end_s = reading.heard_s + reset_s
        longest_s = max(reset_s, self._longest_reset_s or 0.0)
        self._whole_s, self._longest_reset_s = end_s, longest_s
        is_evidence = reading.used >= max(2.0, reading.limit * _EVIDENCE_SHARE)
        if is_evidence:
            # What is left is told without its fraction: half of one on the average.
            self._learn_bucket(reset_s * reading.limit / (reading.used - 0.5))
        if self._end_s is None or reading.at_s >= self._end_s:
            self._end_s, self._end_heard_s = end_s, reading.heard_s
            return
        if reading.heard_s >= self._end_s:
            return  # An answer from before that comes late says nothing of the window after it.
        # A window's end stays where it is; with the other two it moves on as time does.
        elapsed_s = reading.heard_s - self._end_heard_s
        moved_s = abs(end_s - self._end_s)
        if is_evidence and elapsed_s >= _ELAPSED_SHARE * longest_s > 0.0:
            self._window_error = _smoothed(self._window_error, moved_s / elapsed_s)
        if moved_s <= _ELAPSED_SHARE * longest_s:
            self._end_s = min(self._end_s, end_s)

    def _learn_bucket(self, period_s: float) -> None:
        """What a bucket lacks and the time until it is full have one fixed ratio."""
        believed_s = self._bucket_period_s
        if believed_s is None:
            self._bucket_period_s = period_s or None
            return
        self._bucket_error = _smoothed(self._bucket_error, abs(period_s / believed_s - 1.0))
        self._bucket_period_s = believed_s + _PERIOD_WEIGHT * (period_s - believed_s)

    def _doubt(self) -> None:
        """Less was left than would be if it came back as believed."""
        if self.refill is Refill.BUCKET:
            self._bucket_error = 1.0
        elif self.refill is Refill.WINDOW:
            self._window_error = 1.0

    def _likeliest(self) -> Refill:
        errors = {Refill.BUCKET: self._bucket_error, Refill.WINDOW: self._window_error}
        known = {refill: error for refill, error in errors.items() if error is not None}
        best = min(known, key=lambda refill: known[refill], default=Refill.TRAILING)
        return best if known and known[best] <= _ERROR_MAX else Refill.TRAILING

    def _forget(self, now_s: float) -> None:
        """Drop the uses that neither the latest reading nor a period leaves of any account."""
        oldest_s = now_s - (self._longest_reset_s or PERIOD_S)
        if self._reading is not None:
            oldest_s = min(oldest_s, self._reading.at_s)
        while self._spends and self._spends[0].at_s < oldest_s:
            self._spends.popleft()


def _is_after(spend: Spend, reading: Reading) -> bool:
    """Whether the provider did not know of the use when it said what was left, or may not have."""
    if spend.at_s > reading.at_s:
        return True
    return not spend.counted and spend.at_s >= reading.at_s - REORDER_S


def _smoothed(error: float | None, latest: float) -> float:
    latest = min(latest, 1.0)
    if error is None:
        return latest
    return error + (_DOUBT_WEIGHT if latest > error else _TRUST_WEIGHT) * (latest - error)
