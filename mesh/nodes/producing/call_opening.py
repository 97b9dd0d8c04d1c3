"""Opens a producer's calls: what the next one is for, how long it waits, what is logged of it.

A call is made when the collector's orders, the plan, the provider's limits and the budget allow it,
and on what is known at that moment: whatever a call has waited for, it is composed anew. What it
asks is composing.py's, what becomes of it calling.py's.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mesh.config import ModelSpec, ProducerSettings
from mesh.core import entries as log
from mesh.core.entries import JudgementAsked, LogEntry
from mesh.core.facet_calls import ENTRIES, JUDGING, PLANNING
from mesh.core.facets import OPEN_FACET, LookIn, Work
from mesh.core.items import NodeId
from mesh.core.outlook import Outlook
from mesh.llm.interface import CallProgress, LLMClient, Usage
from mesh.llm.pricing import reservation_usd
from mesh.nodes.producing.answers import Answer, PlanningAnswer
from mesh.nodes.producing.composing import ComposedCall, Composer
from mesh.nodes.producing.judging import JudgingAnswer
from mesh.nodes.producing.orders import Orders

PLAN_WAIT_S = 6.0
"""How long the first calls of a run wait for its plan, one looking about meanwhile: without a
plan they would all write the same entries."""

LOOK_S = 0.05
"""At most between looks whether what a call waits for has come."""
LIMIT_LOOK_S = 1.0
SHOWN_WAIT_S = 1.0
"""A shorter wait for a limit is not worth telling."""
_ACTIVITIES = {ENTRIES: "asking", PLANNING: "planning", JUDGING: "judging"}


class Teller(Protocol):
    """The producer, as far as its calls need it."""

    outlook: Outlook
    activity: str

    async def say(self, entries: Sequence[LogEntry]) -> int:
        """Write to the own log and publish; the seq of the first."""
        ...

    async def stored(self) -> None:
        """Return when all that was said would survive a power cut."""
        ...

    def producers(self) -> Collection[NodeId]:
        """Those of the run that are alive, this one included."""
        ...

    def notice(self, text: str) -> None: ...


@dataclass(slots=True)
class OpenCall:
    """One attempt."""

    composed: ComposedCall
    reserved_usd: float | None
    started_s: float
    progress: CallProgress
    seq: int = 0
    first_token_s: float | None = None
    """From its start."""
    answer: Answer | PlanningAnswer | JudgingAnswer = field(init=False)

    @property
    def model(self) -> ModelSpec:
        return self.composed.model


@dataclass(slots=True)
class CallOpening:
    """What stands between one producer and its next call."""

    settings: ProducerSettings
    orders: Orders
    teller: Teller
    composer: Composer
    client_of: Callable[[ModelSpec], LLMClient]
    random: random.Random

    async def open(self, model: ModelSpec, may_plan: Callable[[], bool]) -> OpenCall | None:
        """Wait until a call may be made, then log that it is; None: orders have changed."""
        started_s = _now_s()
        client = self.client_of(model)  # Before the choice, or others choose the same meanwhile.
        while self.orders.held_by is None and self.orders.model == model.spec:
            is_late = _now_s() > started_s + PLAN_WAIT_S
            work = self._next_work(model, may_plan(), is_late=is_late)
            if work is None:
                self.teller.activity = "waiting for the plan"
                await asyncio.sleep(self.random.uniform(0.5, 1.0) * LOOK_S)
                continue
            if call := await self._try_to_open(model, client, work):
                return call
        return None

    async def open_to_judge(self, model: ModelSpec, asked: JudgementAsked) -> OpenCall | None:
        """The same of a call that judges."""
        client = self.client_of(model)
        while self.orders.held_by is None and self.orders.model == model.spec:
            if call := await self._try_to_open(model, client, asked):
                return call
        return None

    async def _try_to_open(
        self, model: ModelSpec, client: LLMClient, work: Work | JudgementAsked
    ) -> OpenCall | None:
        """None: it has waited for what keeps the call back; what it asks may be outdated."""
        outlook = self.teller.outlook
        composed = self.composer.compose(model, client, work)
        wait_s = outlook.allowances.wait_s(model.spec, composed.prompt_tokens, _now_s())
        if wait_s:
            await self._await_limit(model, wait_s)
            return None
        largest = client.largest_usage(
            composed.prompt, composed.output_tokens_max, structured=composed.structured
        )
        amount = reservation_usd(model, largest.input_tokens, largest.output_tokens)
        if not outlook.purse.reserve(amount):
            await self._await_budget(amount)
            return None
        return await self._log_start(composed, amount, largest)

    def _next_work(self, model: ModelSpec, may_plan: bool, *, is_late: bool) -> Work | None:
        """None: the first plan is being made, and no facet of it is this call's yet."""
        if not self.settings.tactics.facets:
            return LookIn(OPEN_FACET, None)
        outlook, producers = self.teller.outlook, self.teller.producers()
        work = outlook.plan.next_work(
            model.spec,
            random=self.random,
            concurrent_count=len(producers) * self.settings.concurrency,
            known_count=len(outlook.known),
            may_plan=may_plan,
        )
        if is_late or not self._awaits_plan(work):
            return work
        return outlook.plan.place_in_turn(outlook.own.origin, producers, self.settings.concurrency)

    def _awaits_plan(self, work: Work) -> bool:
        """While the first plan streams in, for a facet that nobody looks in yet. The very first
        call for entries looks about at once: the first entry does not wait for a plan."""
        plan = self.teller.outlook.plan
        is_first = not plan.calls.entry_calls_count
        return isinstance(work, LookIn) and plan.is_first_being_made and not is_first

    async def _await_limit(self, model: ModelSpec, wait_s: float) -> None:
        if wait_s > SHOWN_WAIT_S:
            self.teller.activity = f"waiting for the rate limit of {model.spec}, {wait_s:.0f} s"
        await self.orders.pause(min(wait_s, LIMIT_LOOK_S))

    async def _await_budget(self, amount_usd: float | None) -> None:
        self.teller.activity = "waiting for budget"
        self.orders.money_moved.clear()
        asked = self.teller.outlook.purse.ask(amount_usd)
        if asked is not None:
            await self.teller.say([asked])
        await self.orders.money_moved.wait()

    async def _log_start(
        self, composed: ComposedCall, reserved_usd: float | None, largest: Usage
    ) -> OpenCall:
        progress = CallProgress(output_tokens_cap=largest.output_tokens)
        call = OpenCall(composed, reserved_usd, _now_s(), progress)
        self.teller.activity = _ACTIVITIES[composed.purpose]
        work = composed.work
        call.seq = await self.teller.say(
            [
                log.CallStarted(
                    model=composed.model.spec,
                    asked_count=composed.ask_count,
                    facet=getattr(work, "name", None),
                    started_ms=time.time_ns() // 1_000_000,
                    purpose=composed.purpose,
                    reserved_usd=reserved_usd,
                    prompt_tokens=composed.prompt_tokens,
                )
            ]
        )
        return call


def _now_s() -> float:
    return asyncio.get_running_loop().time()
