"""How many calls a server is asked at once when it sets no limit itself: a local server.

Such a server takes every call and answers all of them more slowly. As long as calls run as fast as
one alone does, more of them are let in. When they have become slower, what counts is whether more
tokens a second come out of all calls together: if fewer calls bring nearly as many, fewer are made.
A server that is not slowed down by its calls is held back for one short trial alone.

After TCP Vegas (Brakmo & Peterson, IEEE JSAC 13(8), 1995: compare with the fastest round trip seen)
and the gradient limits of Netflix's concurrency-limits (2018, the same for calls). Theirs guard
latency alone; a model that is served in batches brings more while each call takes longer, so here
throughput has the last word.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

CONCURRENT_MAX = 256
"""Calls at once beyond which none is asked for, whatever the server."""

_TOKENS_MIN = 20
"""Shorter answers say nothing of a server's speed."""
_ROUND_CALLS_MIN = 8
_UNHURT_SHARE = 0.75
"""Of the fastest speed; a call that runs slower is slowed down by others."""
_FORGETTING = 1.002
"""By which each call lengthens the fastest time: a server may have become slower for good."""
_GAIN_MIN = 0.3
"""Of what more calls would bring if none slowed another down. Below it they are not worth it."""
_STEP_DOWN, _STEP_UP = 0.75, 1.5
_CHANGE_MIN = 0.1
"""A trial in which the calls at once have changed by a smaller share shows nothing."""
_REST_ROUNDS, _REST_ROUNDS_MAX = 4, 64
"""Rounds between two trials; doubles as long as they fail."""


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """One call that was answered to its end. Times in seconds, of one clock."""

    started_s: float
    first_token_s: float
    """When the first token came."""
    finished_s: float
    output_tokens: int
    concurrent_count: int
    """Calls that the server worked on meanwhile, this one included, >= 1."""

    @property
    def wait_s(self) -> float:
        return max(0.0, self.first_token_s - self.started_s)

    @property
    def token_s(self) -> float:
        """What one token took, once they came."""
        return max(0.0, self.finished_s - self.first_token_s) / self.output_tokens

    @property
    def all_tokens_per_s(self) -> float:
        """Of all calls at once, if they were all like this one."""
        return self.concurrent_count * self.output_tokens / (self.finished_s - self.started_s)


@dataclass(frozen=True, slots=True)
class _Round:
    """What came of some calls made under one limit."""

    concurrent_count: float
    tokens_per_s: float
    """Of all calls together."""
    uncertainty: float
    """Standard error of `tokens_per_s`, as a share of it."""
    hurt: bool
    """The calls have slowed one another down."""


@dataclass(slots=True)
class ConcurrencyLimit:
    """The number of calls at once for one server; `limit` is what holds now.

    It begins at the most: a server that is slowed down is not harmed within the few calls that it
    takes to see.
    """

    concurrent_max: int = CONCURRENT_MAX
    limit: int = 0
    """0 when made: `concurrent_max`."""
    _calls: list[FinishedCall] = field(default_factory=list)
    """Of the present round."""
    _since_s: float = 0.0
    """When the present limit came to hold: calls that started before are of another round."""
    _fastest_wait_s: float | None = None
    _fastest_token_s: float | None = None
    _base: _Round | None = None
    """What a trial is compared with; None: no trial is going on."""
    _base_limit: int = 0
    _rest_rounds: int = _REST_ROUNDS
    _resting: int = 0
    _has_tried: bool = False
    _tries_more: bool = False
    """Which way the next trial goes while calls are slowed down."""

    def __post_init__(self) -> None:
        self.limit = min(self.limit or self.concurrent_max, self.concurrent_max)

    def add(self, call: FinishedCall) -> None:
        """Take in a call as it ends."""
        if call.output_tokens < _TOKENS_MIN or call.finished_s <= call.started_s:
            return
        self._fastest_wait_s = _fastest(self._fastest_wait_s, call.wait_s)
        self._fastest_token_s = _fastest(self._fastest_token_s, call.token_s)
        if call.started_s < self._since_s:
            return
        self._calls.append(call)
        if len(self._calls) >= max(_ROUND_CALLS_MIN, call.concurrent_count):
            self._end_round(call.finished_s)

    def overloaded(self, concurrent_count: int, now_s: float) -> None:
        """The server did not answer one of so many calls in time: half as many from now on."""
        self._base = None
        self._set_limit(min(self.limit, concurrent_count) // 2, now_s)

    def _end_round(self, now_s: float) -> None:
        latest = self._round()
        self._calls.clear()
        base, self._base = self._base, None
        if base is not None:
            self._judge(base, latest, now_s)
        elif self._resting:
            self._resting -= 1
        elif latest.hurt or not self._has_tried:
            # Whether the very first calls have slowed one another down, only fewer can tell.
            self._has_tried = True
            self._try(latest, now_s, more=self._tries_more)
        elif self._is_binding(latest):
            self._try(latest, now_s, more=True)

    def _round(self) -> _Round:
        assert self._fastest_wait_s is not None
        assert self._fastest_token_s is not None
        shares = [
            (self._fastest_wait_s + call.output_tokens * self._fastest_token_s)
            / (call.finished_s - call.started_s)
            for call in self._calls
        ]
        speeds = [call.all_tokens_per_s for call in self._calls]
        mean = statistics.fmean(speeds)
        return _Round(
            concurrent_count=statistics.fmean(call.concurrent_count for call in self._calls),
            tokens_per_s=mean,
            uncertainty=statistics.stdev(speeds, mean) / math.sqrt(len(speeds)) / mean,
            hurt=statistics.median(shares) < _UNHURT_SHARE,
        )

    def _is_binding(self, latest: _Round) -> bool:
        return latest.concurrent_count >= self.limit * _STEP_DOWN

    def _try(self, base: _Round, now_s: float, *, more: bool) -> None:
        """Change the limit for one round, and see."""
        limit = self.limit
        if more and self._is_binding(base):
            limit = max(limit + 1, int(limit * _STEP_UP))
        elif not more:
            limit = int(base.concurrent_count * _STEP_DOWN)
        limit = max(1, min(limit, self.concurrent_max))
        if limit == self.limit:
            self._tries_more = not more
            return
        self._base, self._base_limit = base, self.limit
        self._set_limit(limit, now_s)

    def _judge(self, base: _Round, latest: _Round, now_s: float) -> None:
        """Keep the limit that was tried and go on that way, or go back to the one before.

        In doubt the larger one: a server whose calls take unevenly long is not held back.
        """
        change = latest.concurrent_count / base.concurrent_count - 1.0
        gain = latest.tokens_per_s / base.tokens_per_s - 1.0
        fewer = self.limit < self._base_limit
        conclusive = abs(change) >= _CHANGE_MIN and (change < 0.0) == fewer
        doubt = math.hypot(base.uncertainty, latest.uncertainty)
        if not conclusive or gain + (-doubt if fewer else doubt) < _GAIN_MIN * change:
            self._set_limit(self._base_limit, now_s)
            self._tries_more = fewer
            self._resting = self._rest_rounds
            self._rest_rounds = min(2 * self._rest_rounds, _REST_ROUNDS_MAX)
            return
        self._rest_rounds = _REST_ROUNDS
        self._try(latest, now_s, more=not fewer)

    def _set_limit(self, limit: int, now_s: float) -> None:
        self.limit = max(1, min(limit, self.concurrent_max))
        self._since_s = now_s
        self._calls.clear()


def _fastest(fastest_s: float | None, latest_s: float) -> float:
    return latest_s if fastest_s is None else min(fastest_s * _FORGETTING, latest_s)
