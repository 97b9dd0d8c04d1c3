"""One model's limits and its callers: when the next call of one of them may go out.

What is left comes from the meters (rate_meter.py) and, where the provider tells no limit, from how
many calls the server takes at once (concurrency.py). Beside that this module decides who goes
first: callers take turns, the one that called longest ago first, and each keeps a slot's distance
from the one before it, unless enough is left for both. So several that wait for one allowance do
not take it at the same moment, and none is lost when the first in turn does not want it. After a
pause one call goes ahead, as its answer says whether the pause was long enough.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

from mesh.core.concurrency import ConcurrencyLimit, FinishedCall
from mesh.core.entries import CallFinished, LimitSeen
from mesh.core.items import LogId, NodeId
from mesh.core.rate_meter import PERIOD_S, Meter, Reading, Spend

CALLS_MAX = 4_096
"""Calls under way that are remembered; beyond it the oldest counts as over."""
ENDED_MAX = 512
"""Ends of calls that are remembered until their starts are heard, too."""
CALL_S_MAX = 600.0
"""After that a call of whose end nothing is heard counts as over."""
CALLER_S = 120.0
"""A producer that has started no call for so long does not wait for one either."""
HOLD_MAX_S = 3_600.0
"""The longest wait that one refusal imposes on all; the next one may ask for more."""

SLOT_S = 0.25
"""Distance between callers that wait for the same allowance: longer than an entry is on its way,
so that the next one knows."""
STAGGER_MAX_S = 3.0
"""From the first of them to the last, however many there are."""
PROBE_S = 1.0
"""How long the others wait for the answer to a call that goes ahead."""
WARM_UP_S = 3.0
"""The same for the very first calls, while nothing is known of the provider."""
WARM_UP_ANSWERS = 8
"""After so many answers without a word on limits there are none to keep."""
PACED_AFTER_S = 20.0
"""A provider that refuses without telling a limit shows by then how many calls it answers."""
RECHECK_S = 0.25
"""When to ask again where it is others' calls that must end."""
UNREACHABLE = "unreachable"
"""The outcome of a call that was not answered in time, or not at all."""
UNANSWERED_S = 20.0
"""A server that lets a call wait for so long has more of them than it can do; a shorter wait is the
network's."""

_ANSWER_WEIGHT = 0.1
_PACE_GROWTH = 0.99

CallId = tuple[LogId, int]
"""The log of its producer, and the seq of its start there."""


@dataclass(slots=True)
class _Call:
    """A call that is under way."""

    at_s: float
    request: Spend
    tokens: Spend
    concurrent_count: int
    answered: bool = False


@dataclass(slots=True)
class Account:
    """One model. All times are of one clock, in seconds."""

    requests: Meter = field(default_factory=Meter)
    tokens: Meter = field(default_factory=Meter)
    concurrency: ConcurrencyLimit | None = None
    """Where the server is one's own: it tells no limit, and refuses nobody."""
    _calls: OrderedDict[CallId, _Call] = field(default_factory=OrderedDict)
    _ended: OrderedDict[CallId, CallFinished] = field(default_factory=OrderedDict)
    """Of calls whose start has not been heard: entries come in any order."""
    _callers: OrderedDict[NodeId, float] = field(default_factory=OrderedDict)
    """When each last started a call; whose turn is next comes first."""
    _held_until_s: float = -math.inf
    _changed_s: float = -math.inf
    """When a call was last started or finished."""
    _started_s: float = -math.inf
    _answer_tokens: float = 0.0
    """What an answer adds to its prompt, smoothed."""
    _first_s: float | None = None
    """When the first call was started."""
    _pace_s: float = 0.0
    """Least time between two calls where refusals are all that the provider tells."""
    _started_count: int = 0
    """Since the warm-up began."""
    _answered_count: int = 0
    _admitted_s: float = -math.inf
    """Start of the latest call that is known to be answered."""

    @property
    def is_limited(self) -> bool:
        """Whether the provider has said what it allows."""
        return self.requests.is_known or self.tokens.is_known

    # What is heard

    def start(self, call: CallId, prompt_tokens: int, now_s: float) -> None:
        """A call goes out."""
        self._forget_calls(now_s)
        self._calls[call] = _Call(
            at_s=now_s,
            request=self.requests.spend(1.0, now_s),
            tokens=self.tokens.spend(float(prompt_tokens), now_s),
            concurrent_count=len(self._calls) + 1,
        )
        origin = call[0].origin
        self._callers[origin] = now_s
        self._callers.move_to_end(origin)
        self._first_s = now_s if self._first_s is None else self._first_s
        self._started_count += 1
        self._started_s = self._changed_s = now_s
        if (ended := self._ended.pop(call, None)) is not None:
            self.finish(call, ended, now_s)

    def answering(self, call_id: CallId) -> None:
        """There is a sign that the provider answers this call."""
        call = self._calls.get(call_id)
        if call is not None and not call.answered:
            call.answered = call.request.counted = call.tokens.counted = True
            self._answered_count += 1
            self._pace_s *= _PACE_GROWTH
            self._admitted_s = max(self._admitted_s, call.at_s)

    def finish(self, call_id: CallId, entry: CallFinished, now_s: float) -> None:
        """A call is over: what it really took is known."""
        self.answering(call_id)
        call = self._calls.pop(call_id, None)
        if call is None:
            self._ended[call_id] = entry
            if len(self._ended) > ENDED_MAX:
                self._ended.popitem(last=False)
            return
        concurrent_count = (call.concurrent_count + len(self._calls) + 1) // 2
        self._changed_s = now_s
        more_tokens = entry.input_tokens + entry.output_tokens - call.tokens.amount
        self.tokens.spend(more_tokens, now_s, counted=True)
        self._answer_tokens += _ANSWER_WEIGHT * (entry.output_tokens - self._answer_tokens)
        if self.concurrency is not None:
            _note_end(self.concurrency, entry, concurrent_count, now_s)

    def limit_seen(self, call_id: CallId, entry: LimitSeen, now_s: float) -> None:
        """A provider's word, in its answer to `call_id` or its refusal of it."""
        call = self._calls.get(call_id)
        if entry.refused:
            self._refused(call_id, entry, now_s)
        if call is None:
            return  # What it left is not to be told from what calls have used since.
        self.answering(call_id)
        requests = (entry.requests_per_minute, entry.requests_left, entry.reset_s)
        tokens = (entry.tokens_per_minute, entry.tokens_left, entry.tokens_reset_s)
        for meter, spend, (limit, left, reset_s) in (
            (self.requests, call.request, requests),
            (self.tokens, call.tokens, tokens),
        ):
            if limit and left is not None:
                reading = Reading(call.at_s, now_s, limit, min(left, limit), reset_s)
                meter.read(reading, spend)

    @property
    def is_probing(self) -> bool:
        """Whether a pause is over of which no answer tells yet that it was long enough."""
        return self._admitted_s < self._pause_end_s(self._changed_s)

    def allows_as(self, entry: LimitSeen) -> bool:
        """Whether the limits that `entry` tells are those that were known."""
        told = (entry.requests_per_minute, entry.tokens_per_minute)
        known = (self.requests.limit, self.tokens.limit)
        return all(new is None or new == old for new, old in zip(told, known, strict=True))

    def scarce_left(self, now_s: float) -> float:
        """Requests left, but not more than that each caller may make another call."""
        return min(self.requests.left(now_s), float(len(self._callers)))

    def _refused(self, call_id: CallId, entry: LimitSeen, now_s: float) -> None:
        self._held_until_s = max(self._held_until_s, now_s + min(entry.wait_s, HOLD_MAX_S))
        call = self._calls.pop(call_id, None)
        if call is not None:
            self.requests.refused(call.request, entry.requests_left)
            self.tokens.refused(call.tokens, entry.tokens_left)
        if not self.is_limited:
            self._started_count = self._answered_count = 0
            self._pace(now_s)

    def _pace(self, now_s: float) -> None:
        """Go on as fast as calls were answered lately: that is about what is allowed."""
        if self._first_s is None or now_s - self._first_s < PACED_AFTER_S:
            return
        since_s = max(self._first_s, now_s - PERIOD_S)
        answered = self.requests.spent(since_s)
        self._pace_s = (now_s - since_s) / answered if answered else 0.0

    # When the next call may go out

    def wait_s(self, caller: NodeId, prompt_tokens: int, now_s: float) -> float:
        """How long `caller` must wait, if nobody else calls meanwhile; 0: not at all."""
        self._forget_calls(now_s)
        if now_s < self._held_until_s:
            return self._held_until_s - now_s
        turn, slot_s = self._turn(caller, now_s)
        free_s = max(
            self._place_free_s(turn, slot_s, now_s),
            self._limits_free_s(turn, slot_s, prompt_tokens, now_s),
        )
        return max(0.0, free_s - now_s)

    def _turn(self, caller: NodeId, now_s: float) -> tuple[int, float]:
        """How many others come first, and the distance from one to the next."""
        callers = self._callers
        while callers and now_s - next(iter(callers.values())) > CALLER_S:
            callers.popitem(last=False)
        # Who has not called yet comes before all who have.
        turn = next((turn for turn, each in enumerate(callers) if each == caller), 0)
        return turn, min(SLOT_S, STAGGER_MAX_S / max(1, len(callers)))

    def _place_free_s(self, turn: int, slot_s: float, now_s: float) -> float:
        """As far as the number of calls at once is limited."""
        if self.is_limited:
            return -math.inf
        at_once = math.inf if self.concurrency is None else self.concurrency.limit
        places = at_once - len(self._calls)
        if self._answered_count < WARM_UP_ANSWERS:
            # One call, then as many more as there were answers, and one: 1, 2, 4, ... at once.
            warm = 2 * self._answered_count + 1 - self._started_count
            late = now_s - self._changed_s >= WARM_UP_S
            places = min(places, max(warm, 1) if late else warm)
        if places < 1.0:
            return now_s + RECHECK_S
        if self._pace_s:
            return self._started_s + self._pace_s + turn * slot_s
        return -math.inf if places > turn else self._changed_s + turn * slot_s

    def _limits_free_s(self, turn: int, slot_s: float, prompt_tokens: int, now_s: float) -> float:
        # An answer that ends meanwhile may take its tokens first.
        tokens = prompt_tokens + self._answer_tokens
        mine_s = max(self.requests.free_s(1.0), self.tokens.free_s(tokens)) + turn * slot_s
        pause_end_s = self._pause_end_s(now_s)
        if self._admitted_s < pause_end_s:
            first_s = self.requests.spent_first_s(pause_end_s)
            alone_s = pause_end_s if first_s is None else first_s + PROBE_S
            return max(mine_s, alone_s + turn * slot_s)
        after_others_s = max(
            self.requests.free_s(1.0, turn * 1.0), self.tokens.free_s(tokens, turn * tokens)
        )
        return min(mine_s, after_others_s)

    def _pause_end_s(self, now_s: float) -> float:
        """When the latest pause ended: a hold, or the rest of a window; -inf: there was none."""
        ends = (self._held_until_s, self.requests.window_end_s, self.tokens.window_end_s)
        return max((end_s for end_s in ends if end_s <= now_s), default=-math.inf)

    def forget_earlier_calls(self, log: LogId) -> None:
        """A producer that starts again has no calls from before."""
        over = [each for each in self._calls if each[0].origin == log.origin and each[0] < log]
        for call in over:
            del self._calls[call]

    def forget_calls_of(self, origin: NodeId) -> None:
        """A producer that is gone makes no calls."""
        for call in [each for each in self._calls if each[0].origin == origin]:
            del self._calls[call]

    def _forget_calls(self, now_s: float) -> None:
        """Drop calls of whose end nothing will be heard any more."""
        calls = self._calls
        while calls:
            oldest_s = next(iter(calls.values())).at_s
            if now_s - oldest_s <= CALL_S_MAX and len(calls) < CALLS_MAX:
                return
            calls.popitem(last=False)


def _note_end(
    concurrency: ConcurrencyLimit, entry: CallFinished, concurrent_count: int, now_s: float
) -> None:
    """Tell a server's limit how long one of its calls took."""
    if entry.outcome == UNREACHABLE and entry.latency_s >= UNANSWERED_S:
        concurrency.overloaded(concurrent_count, now_s)
    elif entry.first_token_s is not None and not entry.estimated:
        started_s = now_s - entry.latency_s
        first_token_s = started_s + entry.first_token_s
        concurrency.add(
            FinishedCall(started_s, first_token_s, now_s, entry.output_tokens, concurrent_count)
        )
