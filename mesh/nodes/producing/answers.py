"""Reads one answer as it streams in: what is new, what is said again, when to end it.

Each entry is published as its line or string is complete, so that every prompt anywhere knows it
a moment later. How text becomes entries is llm.parsing's, when an answer is worth no more
core.call_course's.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from mesh.core import entries as log
from mesh.core.call_course import CallCourse, Cut
from mesh.core.call_sizing import CallOutcome
from mesh.core.entries import LogEntry
from mesh.core.facets import OPEN_FACET, SplitFacet
from mesh.core.listing import AnswerCounts
from mesh.core.normalize import item_key
from mesh.core.outlook import Arrivals, Outlook
from mesh.llm import parsing
from mesh.llm.facet_names import FacetNames
from mesh.llm.interface import Completed, FinishReason, StreamEvent
from mesh.llm.parsing import AnswerParser
from mesh.nodes.producing.composing import AnswerEnding, ComposedCall

Say = Callable[[Sequence[LogEntry]], Awaitable[int]]
Begun = Callable[[], Awaitable[None]]
"""Called when the first text has come."""


@dataclass(slots=True)
class Answer:
    """One answer, as far as it has come."""

    composed: ComposedCall
    call: int
    """Seq of its CallStarted."""
    outlook: Outlook
    say: Say
    course: CallCourse
    cutting: bool
    """False: it is read to its end whatever it brings."""
    entry_count: int = 0
    found_count: int = 0
    listed_repeats: int = 0
    unlisted_repeats: int = 0
    said_dry: bool = False
    cut: Cut | None = None
    arrivals: Arrivals = field(default_factory=Arrivals)
    _parser: AnswerParser = field(default_factory=AnswerParser)

    async def read(self, events: AsyncIterator[StreamEvent], begun: Begun) -> Completed | None:
        """Read to the end, or until it is worth no more: then None, and the stream is closed.

        Complete lines survive whatever ends the stream.
        """
        completed, is_begun = None, False
        with self.outlook.watching() as self.arrivals:
            try:
                async with contextlib.aclosing(events):  # type: ignore[type-var]
                    async for event in events:
                        if isinstance(event, Completed):
                            completed = event
                            continue
                        if not is_begun:
                            is_begun = True
                            await begun()
                        await self._publish(self._parser.feed(event.text), len(event.text))
                        if self.cut is not None:
                            return None
            finally:
                whole = completed is not None and completed.finish_reason is FinishReason.STOP
                await self._publish(self._parser.finish(cut=not whole), 0)
        return completed

    @property
    def brought_count(self) -> int:
        """Entries, new or not."""
        return self.entry_count

    @property
    def repeat_count(self) -> int:
        return self.entry_count - self.found_count

    def ending(self) -> AnswerEnding:
        """What the next calls learn from it."""
        composed = self.composed
        counts = AnswerCounts(
            listing=composed.listing,
            listed_count=composed.listed_count,
            generated_count=self.entry_count,
            listed_repeats=self.listed_repeats,
            unlisted_repeats=self.unlisted_repeats,
        )
        outcome = CallOutcome(
            asked_count=composed.ask_count,
            written_count=self.entry_count,
            tail_share=self.course.tail_share,
            was_cut=self.cut is not None,
            said_dry=self.said_dry,
            others_found_count=self.arrivals.found_count.get(composed.facet, 0),
        )
        return AnswerEnding(counts, outcome, self.found_count)

    async def _publish(self, parsed: Sequence[parsing.Parsed], character_count: int) -> None:
        said: list[LogEntry] = []
        for part in parsed:
            if isinstance(part, parsing.Entry):
                said.append(self._entry(part.text))
            elif isinstance(part, parsing.Rejected):
                said.append(self._rejected(part.reason.value, part.text))
            elif part.kind is parsing.RemarkKind.EXHAUSTED:
                self.said_dry = True
        self.course.characters(character_count)
        if self.cutting and self.cut is None:
            self.cut = self.course.verdict()
        if said:
            await self.say(said)

    def _entry(self, text: str) -> LogEntry:
        """What to say of one entry that the model wrote."""
        model, facet = self.composed.model.spec, self.composed.facet
        self.entry_count += 1
        key = item_key(text)
        # Known from here on: the same entry twice in one answer is a repeat.
        is_new = self.outlook.known.add(key, text)
        self.course.entry(key, is_new)
        if is_new:
            self.found_count += 1
            return log.Found(text, self.call, model, facet)
        listed = self.composed.listed_keys
        if key not in self.arrivals.keys:  # Else no prompt could have listed it.
            if listed is None or key in listed:
                self.listed_repeats += 1
            else:
                self.unlisted_repeats += 1
        return log.Repeat(text, self.call, model, facet)

    def _rejected(self, reason: str, text: str) -> LogEntry:
        return log.Rejected(reason, text, self.call, self.composed.model.spec)


@dataclass(slots=True)
class PlanningAnswer:
    """The answer to a planning call: names of facets."""

    composed: ComposedCall
    call: int
    topic: str
    say: Say
    brought_count: int = 0
    """Names."""
    found_count: int = 0
    repeat_count: int = 0
    """It writes no entries."""

    async def read(self, events: AsyncIterator[StreamEvent], begun: Begun) -> Completed:
        """As `Answer.read`."""
        completed: Completed | None = None
        names, is_begun = FacetNames(topic=self.topic), False
        async with contextlib.aclosing(events):  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, Completed):
                    completed = event
                    continue
                if not is_begun:
                    is_begun = True
                    await begun()
                await self._propose(names.feed(event.text))
        assert completed is not None
        whole = completed.finish_reason is FinishReason.STOP
        await self._propose(names.finish(cut=not whole))
        return completed

    async def _propose(self, names: Sequence[str]) -> None:
        if not names:
            return
        self.brought_count += len(names)
        work, model = self.composed.work, self.composed.model.spec
        parent = work.facet if isinstance(work, SplitFacet) else OPEN_FACET
        await self.say([log.FacetProposed(name, parent, self.call, model) for name in names])
