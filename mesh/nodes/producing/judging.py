"""What the collector asked this producer to judge: which of it is still to be answered, and the
reading of an answer. When calls are made is calling.py's, how they are worded llm.judging's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from mesh.core.entries import Judged, JudgementAsked
from mesh.llm.interface import Completed, StreamEvent
from mesh.llm.judging import ANSWER_CHARACTERS_MAX, NO_ANSWER, read_judgements
from mesh.nodes.producing.answers import Begun

WAITING_MAX = 64
"""Questions' lists that wait; the collector asks for a few at a time, and again where nobody
answers, so that older ones may be dropped."""


@dataclass(slots=True)
class ToJudge:
    """Lists of questions, in the order in which they came."""

    _waiting: dict[int, JudgementAsked] = field(default_factory=dict)
    _answered: set[int] = field(default_factory=set)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def asked(self, asked: JudgementAsked) -> None:
        if asked.number in self._answered:
            return
        self._waiting[asked.number] = asked
        while len(self._waiting) > WAITING_MAX:
            del self._waiting[min(self._waiting)]
        self._came.set()

    def answered(self, number: int) -> None:
        """This producer has answered, perhaps in an earlier start."""
        self._answered.add(number)
        self._waiting.pop(number, None)

    async def next(self) -> JudgementAsked:
        """The next list of questions; waits for one."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        return next(iter(self._waiting.values()))


@dataclass(slots=True)
class JudgingAnswer:
    """The answer to a call that judges."""

    asked: JudgementAsked
    call: int
    model: str
    found_count: int = 0
    repeat_count: int = 0
    """It writes no entries."""
    _text: str = ""

    @property
    def brought_count(self) -> int:
        return sum(answer != NO_ANSWER for answer in self._answers())

    def judged(self) -> Judged:
        """What to tell the collector: also where there was no answer, so that it asks another."""
        return Judged(self.asked.number, self._answers(), self.call, self.model)

    async def read(self, events: AsyncIterator[StreamEvent], begun: Begun) -> Completed:
        """As `Answer.read`."""
        completed: Completed | None = None
        async with contextlib.aclosing(events):  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, Completed):
                    completed = event
                    continue
                if not self._text:
                    await begun()
                self._text = (self._text + event.text)[:ANSWER_CHARACTERS_MAX]
        assert completed is not None
        return completed

    def _answers(self) -> tuple[int, ...]:
        return read_judgements(self._text, self.asked.questions)
