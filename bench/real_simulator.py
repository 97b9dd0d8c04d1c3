"""The simulator as a process of its own that also keeps the benches' record of what it wrote.

Nothing of what it answers, or when, is changed. An entry's moment is the one at which it was due
on the wire; what a call under way had sent when its client hung up is known, as the books know it.
So real runs are judged by the same code, by the same truth, as those in virtual time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bench.virtual_record import Record, RecordedCall, Written, standing
from mesh.config import SimulatorSettings
from mesh.nodes.channel import Channel, pack
from mesh.simulation.answering import Call, PlannedAnswer, Simulator
from mesh.simulation.books import Books, CallRecord
from mesh.simulation.clock import SimulatedClock
from mesh.simulation.faults import Fault
from mesh.simulation.http_calls import SERVING, Serving
from mesh.simulation.server import build_app
from mesh.simulation.tokens import BYTES_A_TOKEN, token_count
from mesh.simulation.writing import WrittenEntry

HANG_UPS_HEARD_S = 5.0
"""From the end of those who ask until the server has ended the last of their answers."""
SHUTDOWN_S = 0.2

_answered: ContextVar[_Answered] = ContextVar("answered")
"""Of this request: a server plans an answer, sends it and enters it in the books in one task."""


@dataclass(slots=True)
class _Answered:
    """One call that gets an answer."""

    number: int
    plan: PlannedAnswer
    recorded: RecordedCall
    began_s: float = 0.0
    """When its first token was out."""

    def due_s(self, entry: WrittenEntry) -> float:
        """When the entry was whole: answers are written evenly (delivery.py)."""
        text, speed = self.plan.text, self.plan.call.model.tokens_per_s
        writing_s = token_count(text) / speed
        return self.began_s + max(0, entry.end - BYTES_A_TOKEN) / len(text) * writing_s


@dataclass(slots=True)
class CallRecorder:
    """All calls so far. Times are simulated seconds since the first of them."""

    time_scale: float
    refused_count: int = 0
    none_under_way: asyncio.Event = field(default_factory=asyncio.Event)
    _calls: list[RecordedCall] = field(default_factory=list)
    _written: list[Written] = field(default_factory=list)
    _distinct: set[int] = field(default_factory=set)
    _under_way_count: int = 0
    _first_s: float | None = None

    def __post_init__(self) -> None:
        self.none_under_way.set()

    @property
    def distinct_count(self) -> int:
        """Catalog entries in answers that have ended."""
        return len(self._distinct)

    def begin(self, plan: PlannedAnswer, inside: frozenset[int] | None) -> None:
        self._under_way_count += 1
        self.none_under_way.clear()
        use, reading = plan.cache_use, plan.reading
        recorded = RecordedCall(
            producer=0,  # The wire does not tell who asks.
            model=plan.call.model.name,
            started_s=self._now_s(),
            asked_count=reading.asked_count,
            facet=reading.facet,
            inside=inside,
            wanted=reading.wanted.value,
            listed=reading.listed,
            input_tokens=use.prompt_tokens,
            cached_tokens=use.read_tokens,
            cache_write_tokens=use.written_tokens,
            cacheable_tokens=0,  # Nor which part of a prompt stays as it is.
            told_before_tokens=0,
        )
        _answered.set(_Answered(len(self._calls), plan, recorded))
        self._calls.append(recorded)

    def first_token(self) -> None:
        _answered.get().began_s = self._now_s()

    def end(self, call: CallRecord, written: Sequence[WrittenEntry]) -> None:
        """Take in a call that has ended somehow, and the entries that were sent whole."""
        answered, now_s = _answered.get(), self._now_s()
        recorded = answered.recorded
        recorded.ended_s, recorded.outcome = now_s, call.outcome
        recorded.output_tokens = call.output_tokens
        for entry in written:
            at_s = min(answered.due_s(entry), now_s)
            tokens = token_count(answered.plan.text[: entry.end])
            recorded.written.append(Written(at_s, answered.number, entry.index, tokens))
        self._written += recorded.written
        self._distinct |= {entry.index for entry in written if entry.index is not None}
        self._under_way_count -= 1
        if not self._under_way_count:
            self.none_under_way.set()

    def record(self) -> Record:
        """As a run in virtual time leaves it; entries of calls under way are not in it."""
        written = sorted(self._written, key=lambda each: each.at_s)
        return Record(self._calls, written, self.refused_count)

    def _now_s(self) -> float:
        now_s = asyncio.get_running_loop().time() * self.time_scale
        if self._first_s is None:
            self._first_s = now_s
        return now_s - self._first_s


@dataclass(kw_only=True)
class RecordingBooks(Books):
    """Also hands every call that ends to the recorder, and says that it has ended."""

    recorder: CallRecorder
    channel: Channel

    def record(
        self,
        call: CallRecord,
        written: Sequence[WrittenEntry] = (),
        listed: frozenset[int] = frozenset(),
    ) -> None:
        super().record(call, written, listed)
        if call.status == 200:
            self.recorder.end(call, written)
        else:
            self.recorder.refused_count += 1
        distinct_count = self.recorder.distinct_count
        self.channel.send({"event": "written", "distinct_count": distinct_count})


@dataclass
class RecordingSimulator(Simulator):
    """Also hands every call that begins to the recorder."""

    def answer(self, call: Call, now_s: float) -> PlannedAnswer | Fault:
        plan = super().answer(call, now_s)
        if isinstance(plan, PlannedAnswer):
            self._recorder.begin(plan, self._inside(plan.call.model, plan.reading))
        return plan

    def answer_begins(self, plan: PlannedAnswer, now_s: float) -> None:
        super().answer_begins(plan, now_s)
        self._recorder.first_token()

    @property
    def _recorder(self) -> CallRecorder:
        assert isinstance(self.books, RecordingBooks)
        return self.books.recorder


async def run_recording_simulator(settings: SimulatorSettings, channel: Channel) -> int:
    """Process: serve until told to stop, or the bench is gone; tell how things stood when asked."""
    recorder = CallRecorder(settings.time_scale)
    async with _served(settings, RecordingBooks(recorder=recorder, channel=channel)) as url:
        channel.send({"event": "ready", "url": url})
        while (message := await channel.receive()) is not None:
            if message["command"] == "stop":
                break
            assert message["command"] == "standings", message
            channel.send(await _standings(recorder, message["counts"]))
    channel.send({"event": "left"})
    return 0


async def _standings(recorder: CallRecorder, counts: Iterable[int]) -> dict[str, Any]:
    """How it stood at each count that was reached; asked for when nobody calls any more."""
    async with asyncio.timeout(HANG_UPS_HEARD_S):
        await recorder.none_under_way.wait()
    record = recorder.record()
    found = {str(count): standing(record, count) for count in counts}
    return {
        "event": "standings",
        "standings": {count: pack(each) for count, each in found.items() if each is not None},
        "distinct_count": recorder.distinct_count,
        "refused_count": recorder.refused_count,
    }


@contextlib.asynccontextmanager
async def _served(settings: SimulatorSettings, books: Books) -> AsyncIterator[str]:
    """The base URL at which the simulator is served meanwhile, all that it needs read."""
    simulator = RecordingSimulator.from_settings(settings)
    simulator.books = books
    simulator.warm_up()
    app = build_app(settings)
    app[SERVING] = Serving(simulator, SimulatedClock(settings.time_scale))
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        yield f"http://{settings.host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
