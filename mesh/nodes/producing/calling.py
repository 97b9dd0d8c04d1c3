"""The producer's calls: one after another, what is logged of their ends, what follows a failure.

Every attempt is a call of its own in the log, built on a fresh prompt: a retry knows what has
been found while it waited. When a call may be made is call_opening.py's, what it asks
composing.py's, the reading of its answer answers.py's, the waiting after a failure llm.retrying's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable

from mesh.config import ApiKey, ModelSpec, ProducerSettings
from mesh.core import entries as log
from mesh.core.call_course import CallCourse
from mesh.core.entries import NOTE_CHARACTERS_MAX, JudgementAsked
from mesh.core.facet_calls import PLANNING
from mesh.llm.clients import open_client
from mesh.llm.interface import (
    Completed,
    ErrorKind,
    FinishReason,
    LLMClient,
    ProviderError,
    Usage,
)
from mesh.llm.pricing import charge_usd, output_usd
from mesh.llm.rate_headers import limit_seen
from mesh.llm.retrying import FailureStreak, RetryPolicy, given_up
from mesh.llm.usage import cut_usage, shown_tokens
from mesh.nodes.producing.answers import Answer, PlanningAnswer
from mesh.nodes.producing.call_opening import CallOpening, OpenCall, Teller
from mesh.nodes.producing.composing import Composer
from mesh.nodes.producing.judging import JudgingAnswer
from mesh.nodes.producing.orders import Orders

DRY_WAIT_S = 0.5
"""After an answer without one entry: a model that has run dry must not be asked in a loop."""

DECLINED_MAX = 8
"""Answers in a row that the model or its provider's filter declined; then it is given up."""

STAGGER_S = 0.3
"""The first calls begin within so long of one another, not at once: each that begins later knows
what the one before is about."""
FIRST_STAGGER_S = 0.02
"""The same for the models whose output costs least: the first call makes the plan, and cheap models
tend to write fast."""


class Caller:
    """Makes calls, `settings.concurrency` at once, until cancelled."""

    def __init__(
        self,
        settings: ProducerSettings,
        orders: Orders,
        teller: Teller,
        *,
        open_client: Callable[[ModelSpec, ApiKey | None], LLMClient] = open_client,
    ) -> None:
        self._settings = settings
        self._orders = orders
        self._teller = teller
        self._open_client = open_client
        self._random = random.Random(f"{settings.seed}/calls")
        self._policy = RetryPolicy(self._random)
        self._composer = Composer(
            settings.topic, settings.run_id, settings.tactics, teller.outlook, self._random
        )
        self._clients: dict[str, LLMClient] = {}
        self._opening = CallOpening(
            settings, orders, teller, self._composer, self._client, self._random
        )
        self._streaks: dict[str, FailureStreak] = {}
        self._declined_in_a_row: Counter[str] = Counter()
        self._planning: asyncio.Task[None] | None = None
        """The latest planning call, and the wait that follows it where it failed."""

    async def run(self) -> None:
        """Call until cancelled; a call that is cut keeps its complete lines."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._settings.concurrency):
                    group.create_task(self._call_on(group))
                group.create_task(self._judge_on())
        finally:
            await self._close_clients()

    async def _call_on(self, group: asyncio.TaskGroup) -> None:
        """One call for entries after another, and now and then one that plans beside them."""
        self._client(self._model())  # Opening it takes as long as the stagger: it would undo it.
        if self._settings.tactics.staggered:
            await asyncio.sleep(self._stagger_s())
        while True:
            if self._orders.held_by is not None:
                self._teller.activity = self._orders.held_by
            await self._orders.may_call()
            call = await self._opening.open(self._model(), self._may_plan)
            if call is None:
                continue
            if call.composed.purpose == PLANNING:
                # What it names is of use as it comes: nobody waits for its end.
                self._planning = group.create_task(self._attempt(call))
            else:
                await self._attempt(call)

    async def _judge_on(self) -> None:
        """Answer what the collector asks, beside the calls for entries: they wait for it."""
        while True:
            asked = await self._orders.to_judge.next()
            await self._orders.may_call()
            call = await self._opening.open_to_judge(self._model(), asked)
            if call is None:
                continue
            await self._attempt(call)
            assert isinstance(call.answer, JudgingAnswer)
            self._orders.to_judge.answered(asked.number)
            await self._teller.say([call.answer.judged()])

    def _may_plan(self) -> bool:
        return self._planning is None or self._planning.done()

    def _model(self) -> ModelSpec:
        return next(m for m in self._settings.models if m.spec == self._orders.model)

    def _stagger_s(self) -> float:
        prices_usd = set(map(output_usd, self._settings.models))
        if len(prices_usd) == 1:
            return self._random.uniform(0.0, STAGGER_S)
        if output_usd(self._model()) == min(prices_usd):
            return self._random.uniform(0.0, FIRST_STAGGER_S)
        return self._random.uniform(FIRST_STAGGER_S, STAGGER_S)

    async def _attempt(self, call: OpenCall) -> None:
        """Make a call that has begun, and wait as long as the next one has to."""
        wait_s = await self._make(call)
        if wait_s is None:
            await self._another_model_than(call.model)
        elif wait_s:
            await self._orders.pause(wait_s)

    async def _make(self, call: OpenCall) -> float | None:
        """Return how long to wait before the next call, None: the model is given up."""
        call.answer = self._answer(call)
        try:
            completed = await self._read(call)
        except ProviderError as error:
            return await self._failed(call, error)
        except BaseException as error:
            # Also where a bug ends this producer: what the call cost must be known.
            name = None if isinstance(error, asyncio.CancelledError) else type(error).__name__
            await self._finish(call, "cancelled", self._cut_usage(call), name)
            raise
        return await self._ended(call, completed)

    # The call

    def _answer(self, call: OpenCall) -> Answer | PlanningAnswer | JudgingAnswer:
        if isinstance(call.composed.work, JudgementAsked):
            return JudgingAnswer(call.composed.work, call.seq, call.model.spec)
        if call.composed.purpose == PLANNING:
            return PlanningAnswer(call.composed, call.seq, self._settings.topic, self._teller.say)
        return Answer(
            composed=call.composed,
            call=call.seq,
            outlook=self._teller.outlook,
            say=self._teller.say,
            course=CallCourse(self._composer.average.share),
            cutting=self._settings.tactics.cutting,
        )

    async def _read(self, call: OpenCall) -> Completed | None:
        composed = call.composed
        if call.reserved_usd is not None:
            await self._teller.stored()
        events = self._client(call.model).stream(
            composed.prompt,
            output_tokens_max=composed.output_tokens_max,
            structured=composed.structured,
            progress=call.progress,
        )
        return await call.answer.read(events, lambda: self._begun(call))

    async def _begun(self, call: OpenCall) -> None:
        """The answer has begun: the others may know what its provider allows."""
        call.first_token_s = _now_s() - call.started_s
        seen = limit_seen(
            call.progress.limits, model=call.model.spec, call=call.seq, now_ms=_wall_ms()
        )
        await self._say_limit(seen)

    async def _say_limit(self, seen: log.LimitSeen | None) -> None:
        outlook = self._teller.outlook
        if seen is not None and outlook.allowances.seen(outlook.own, seen, now_s=_now_s()):
            await self._teller.say([seen])

    # After a call

    async def _ended(self, call: OpenCall, completed: Completed | None) -> float | None:
        answer = call.answer
        usage = completed.usage if completed else self._cut_usage(call)
        outcome = _outcome(answer, completed)
        if outcome == "refused" and not answer.brought_count:
            return await self._declined(call, usage)
        self._streak(call.model).succeeded()
        self._declined_in_a_row[call.model.spec] = 0
        note = str(answer.cut) if isinstance(answer, Answer) and answer.cut else None
        await self._finish(call, outcome, usage, note)
        if isinstance(answer, Answer):
            self._learn(call, answer)
        return 0.0 if answer.brought_count else DRY_WAIT_S

    def _learn(self, call: OpenCall, answer: Answer) -> None:
        written_s = _now_s() - call.started_s - (call.first_token_s or 0.0)
        self._composer.pace(call.model).finished(
            first_token_s=call.first_token_s,
            writing_s=written_s,
            entry_count=answer.entry_count,
            output_tokens=shown_tokens(call.progress),
        )
        self._composer.ended(answer.ending(), call.composed, call.progress)

    async def _declined(self, call: OpenCall, usage: Usage) -> float | None:
        """A model that declines this topic every time is given up: nothing else would end it."""
        count = self._declined_in_a_row[call.model.spec] + 1
        self._declined_in_a_row[call.model.spec] = count
        if count < DECLINED_MAX:
            await self._finish(call, "refused", usage)
            return DRY_WAIT_S
        error = f"{call.model.spec} declined to answer {count} times in a row"
        await self._finish(call, ErrorKind.GIVE_UP.value, usage, error)
        return None

    async def _failed(self, call: OpenCall, error: ProviderError) -> float | None:
        failures = self._streak(call.model).failed(error)
        wait_s = self._policy.after(error, failures)
        if error.kind is ErrorKind.SHORTEN_PROMPT:
            self._composer.shorten(call.model, error.tokens_max)
        is_limit = error.status == 429 and error.kind is ErrorKind.RETRY
        await self._say_limit(
            limit_seen(
                error.limits,
                model=call.model.spec,
                call=call.seq,
                now_ms=_wall_ms(),
                refused=is_limit,
                wait_s=error.retry_after_s or 0.0,
            )
        )
        if wait_s is None:
            error = given_up(error, failures)
        await self._finish(call, error.kind.value, error.usage or _NOTHING, str(error))
        self._teller.activity = f"waiting: {error}"
        return wait_s

    async def _finish(
        self, call: OpenCall, outcome: str, usage: Usage, error: str | None = None
    ) -> None:
        await self._teller.say(
            [
                log.CallFinished(
                    call=call.seq,
                    model=call.model.spec,
                    outcome=outcome,
                    error=error[:NOTE_CHARACTERS_MAX] if error else None,
                    input_tokens=usage.input_tokens,
                    cached_input_tokens=usage.cached_input_tokens,
                    output_tokens=usage.output_tokens,
                    reasoning_tokens=usage.reasoning_tokens,
                    estimated=usage.estimated,
                    cost_usd=charge_usd(call.model, usage, call.reserved_usd),
                    latency_s=round(_now_s() - call.started_s, 4),
                    first_token_s=call.first_token_s,
                    cache_write_tokens=usage.cache_write_tokens,
                    found_count=call.answer.found_count,
                    repeat_count=call.answer.repeat_count,
                )
            ]
        )

    def _cut_usage(self, call: OpenCall) -> Usage:
        return cut_usage(call.composed.prompt, call.progress)

    async def _another_model_than(self, given_up_model: ModelSpec) -> None:
        """The model is given up: wait for the collector to assign another."""
        self._teller.activity = "waiting for another model"
        while self._orders.model == given_up_model.spec:
            self._orders.changed.clear()
            await self._orders.changed.wait()

    def _streak(self, model: ModelSpec) -> FailureStreak:
        return self._streaks.setdefault(model.spec, FailureStreak())

    def _client(self, model: ModelSpec) -> LLMClient:
        if model.spec not in self._clients:
            key = self._settings.keys.get(model.key_variable or "")
            self._clients[model.spec] = self._open_client(model, key)
        return self._clients[model.spec]

    async def _close_clients(self) -> None:
        for client in self._clients.values():
            with contextlib.suppress(Exception):
                await client.close()


_NOTHING = Usage(0, 0, 0)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _outcome(answer: Answer | PlanningAnswer | JudgingAnswer, completed: Completed | None) -> str:
    if completed is None:
        return "cut"
    if completed.finish_reason is FinishReason.REFUSED:
        return "refused"
    if completed.finish_reason is FinishReason.LENGTH:
        return "length"
    if isinstance(answer, Answer) and answer.said_dry:
        return "dry"
    return "ok" if answer.brought_count else "empty"
