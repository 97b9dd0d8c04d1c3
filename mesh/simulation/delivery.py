"""Sends a planned answer at its model's pace, and enters it in the books however it ends.

Owns the timers: pieces go out some 25 ms apart, each with the tokens that are due by then, so that
fast simulated time costs few wake-ups. What a piece looks like on the wire is each API's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from mesh.simulation.answering import Break, PlannedAnswer, Simulator
from mesh.simulation.books import CallRecord
from mesh.simulation.clock import SimulatedClock
from mesh.simulation.models import SimulatedModel
from mesh.simulation.tokens import BYTES_A_TOKEN, token_count

PIECE_INTERVAL_S = 0.025
"""Real seconds between pieces at least. Shorter ones look smoother and cost both ends more."""


class StreamBroken(Exception):
    """The answer is to break off here. Caught by the handler that sends it."""

    def __init__(self, how: Break) -> None:
        super().__init__(how.value)
        self.how = how


@dataclass(slots=True)
class Delivery:
    """One answer on its way."""

    simulator: Simulator
    plan: PlannedAnswer
    call_id: str
    clock: SimulatedClock
    sent_characters: int = 0
    ended: bool = False
    """The client has got the whole answer."""
    _working: bool = False

    async def pieces(self) -> AsyncGenerator[str, None]:
        """The text in pieces, each when it is due.

        Raises:
            StreamBroken: after the last piece, when the plan says so.
        """
        loop = asyncio.get_running_loop()
        plan, model = self.plan, self.plan.call.model
        await self._begin_after(plan.first_token_s)
        began_s = loop.time()
        end = plan.breaks_after if plan.breaks else len(plan.text)
        writing_s = token_count(plan.text) / model.tokens_per_s / self.clock.time_scale
        characters_a_s = len(plan.text) / writing_s if writing_s else 0.0
        interval_s = max(PIECE_INTERVAL_S, 1.0 / model.tokens_per_s / self.clock.time_scale)
        latest_s, share = began_s, 1.0
        while self.sent_characters < end:
            now_s = loop.time()
            # Time in which others were written for counts as if it had not passed.
            began_s += (now_s - latest_s) * (1.0 - share)
            latest_s, share = now_s, self.simulator.speed_share(model)
            due = int((now_s - began_s) * characters_a_s) + BYTES_A_TOKEN
            piece = plan.text[self.sent_characters : min(due, end)]
            if piece:
                yield piece
                self.sent_characters += len(piece)
            left_s = (end - due) / characters_a_s
            await asyncio.sleep(max(0.0, min(interval_s, left_s)))
        if plan.breaks:
            raise StreamBroken(plan.breaks)

    async def whole(self) -> str:
        """The text when all of it is written. Raises StreamBroken."""
        plan = self.plan
        writing_s = token_count(plan.text) / plan.call.model.tokens_per_s
        await self._begin_after(plan.first_token_s + writing_s)
        if plan.breaks:
            raise StreamBroken(plan.breaks)
        self.sent_characters = len(plan.text)
        return plan.text

    def enter_in_books(self) -> None:
        """To be called once, whatever became of the answer."""
        plan = self.plan
        sent = plan.text[: self.sent_characters]
        begun = self.ended or bool(sent)
        outcome = plan.outcome if self.ended or plan.breaks else "cancelled"
        output_tokens = token_count(sent) + (plan.reasoning_tokens if begun else 0)
        if self._working:
            self._working = False
            self.simulator.work_ends(plan.call.model, output_tokens, self.clock.now_s())
        self.simulator.books.record(
            CallRecord(
                id=self.call_id,
                model=plan.call.model.name,
                api=plan.call.model.api,
                status=200,
                outcome=outcome,
                topic=plan.topic,
                facet=plan.reading.facet,
                streamed=plan.call.streamed,
                asked_count=plan.reading.asked_count,
                listed_count=len(plan.reading.listed),
                input_tokens=plan.cache_use.prompt_tokens,
                cached_input_tokens=plan.cache_use.read_tokens,
                cache_write_tokens=plan.cache_use.written_tokens,
                output_tokens=output_tokens,
                reasoning_tokens=plan.reasoning_tokens if begun else 0,
            ),
            [entry for entry in plan.entries if entry.end <= self.sent_characters],
            plan.reading.listed,
        )

    async def _begin_after(self, work_s: float) -> None:
        model = self.plan.call.model
        self._working = True
        self.simulator.work_begins(model)
        share = self.simulator.speed_share(model)
        await asyncio.sleep(work_s / share / self.clock.time_scale)
        self.simulator.answer_begins(self.plan, self.clock.now_s())


def enter_failure(
    simulator: Simulator,
    model: SimulatedModel,
    outcome: str,
    *,
    status: int,
    request_id: str,
    streamed: bool = False,
) -> None:
    """Enter a call that got no answer; `outcome` is the failure's name."""
    simulator.books.record(
        CallRecord(
            id=request_id,
            model=model.name,
            api=model.api,
            status=status,
            outcome=outcome,
            streamed=streamed,
        )
    )
