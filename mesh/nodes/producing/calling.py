"""The producer's loop of calls: prompt, stream, publish, log, and what to do after a failure.

Every attempt is a call of its own in the log, built on a fresh prompt: a retry knows what has
been found while it waited. The wording of prompts is llm.prompts', the reading of answers
llm.parsing's, the waiting llm.retrying's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mesh.config import ApiKey, ModelSpec, ProducerSettings
from mesh.core import entries as log
from mesh.core.entries import NOTE_CHARACTERS_MAX, LogEntry
from mesh.core.known import KnownItems
from mesh.core.normalize import item_key
from mesh.llm import parsing
from mesh.llm.clients import open_client
from mesh.llm.interface import (
    Completed,
    ErrorKind,
    FinishReason,
    LLMClient,
    Prompt,
    ProviderError,
    Usage,
)
from mesh.llm.parsing import AnswerParser
from mesh.llm.pricing import cost_usd
from mesh.llm.prompts import PromptBuilder, prompt_tokens_estimate
from mesh.llm.retrying import FailureStreak, RetryPolicy, given_up

logger = logging.getLogger(__name__)

ASK_COUNT = 40
OUTPUT_TOKENS_FOR_EACH = 40
OUTPUT_TOKENS_BESIDE = 400
CHARACTERS_A_TOKEN = 4
KNOWN_ENTRIES_MAX = 5_000
KNOWN_ENTRIES_MIN = 100
DRY_WAIT_S = 0.5
"""After an answer without one entry: a model that has run dry must not be asked in a loop."""

DECLINED_MAX = 8
"""Answers in a row that the model or its provider's filter declined; then it is given up."""


@dataclass(slots=True)
class Orders:
    """What the collector has told this producer, and what keeps it from calling."""

    model: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _go: asyncio.Event = field(default_factory=asyncio.Event)
    _held_by: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._go.set()

    def hold(self, reason: str, held: bool) -> None:
        """Begin or cease to hold calls back for `reason`; each reason is lifted by itself."""
        if held:
            self._held_by[reason] = None
        else:
            self._held_by.pop(reason, None)
        self._go.clear() if self._held_by else self._go.set()

    def assign(self, model: str) -> None:
        if model != self.model:
            self.model = model
            self.changed.set()

    @property
    def held_by(self) -> str | None:
        """Why no call is made, None when they are."""
        return next(iter(self._held_by), None)

    async def may_call(self) -> None:
        """Return when not paused."""
        await self._go.wait()


class Teller(Protocol):
    """The producer, as far as its calls need it."""

    known: KnownItems
    activity: str

    async def say(self, entries: Sequence[LogEntry]) -> int: ...

    def notice(self, text: str) -> None: ...


@dataclass(slots=True)
class _Call:
    """One attempt."""

    model: ModelSpec
    prompt: Prompt
    seq: int = 0
    started_s: float = field(default_factory=lambda: _now_s())
    first_token_s: float | None = None
    answer_characters: int = 0
    entry_count: int = 0
    said_dry: bool = False

    def usage_estimate(self) -> Usage:
        """For a call whose end never came."""
        return Usage(
            input_tokens=prompt_tokens_estimate(self.prompt),
            cached_input_tokens=0,
            output_tokens=self.answer_characters // CHARACTERS_A_TOKEN,
            estimated=True,
        )


class Caller:
    """Makes one call after another until cancelled."""

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
        self._prompts = PromptBuilder(settings.topic)
        self._clients: dict[str, LLMClient] = {}
        self._streaks: dict[str, FailureStreak] = {}
        self._known_max: dict[str, int] = {}
        self._declined_in_a_row: Counter[str] = Counter()

    async def run(self) -> None:
        """Call until cancelled; a call that is cut keeps its complete lines."""
        try:
            while True:
                if self._orders.held_by is not None:
                    self._teller.activity = self._orders.held_by
                await self._orders.may_call()
                model = self._model()
                wait_s = await self._attempt(model)
                if wait_s is None:
                    await self._another_model_than(model)
                elif wait_s:
                    await self._pause(wait_s)
        finally:
            await self._close_clients()

    def _model(self) -> ModelSpec:
        return next(m for m in self._settings.models if m.spec == self._orders.model)

    async def _attempt(self, model: ModelSpec) -> float | None:
        """Make one call; return how long to wait before the next, None: the model is given up."""
        call = _Call(model, self._build_prompt(model))
        self._teller.activity = "asking"
        started = log.CallStarted(
            model.spec, ASK_COUNT, None, time.time_ns() // 1_000_000
        )
        call.seq = await self._teller.say([started])
        try:
            completed = await self._stream(call)
        except ProviderError as error:
            return await self._failed(call, error)
        except BaseException as error:
            # Also where a bug ends this producer: what the call cost must be known.
            name = None if isinstance(error, asyncio.CancelledError) else type(error).__name__
            await self._finish(call, "cancelled", call.usage_estimate(), name)
            raise
        outcome = _outcome(call, completed)
        if outcome == "refused" and not call.entry_count:
            return await self._declined(call, completed)
        self._streak(model).succeeded()
        self._declined_in_a_row[model.spec] = 0
        await self._finish(call, outcome, completed.usage)
        return DRY_WAIT_S if call.entry_count == 0 else 0.0

    async def _declined(self, call: _Call, completed: Completed) -> float | None:
        """A model that declines this topic every time is given up: nothing else would end it."""
        count = self._declined_in_a_row[call.model.spec] + 1
        self._declined_in_a_row[call.model.spec] = count
        if count < DECLINED_MAX:
            await self._finish(call, "refused", completed.usage)
            return DRY_WAIT_S
        error = f"{call.model.spec} declined to answer {count} times in a row"
        await self._finish(call, ErrorKind.GIVE_UP.value, completed.usage, error)
        return None

    def _build_prompt(self, model: ModelSpec) -> Prompt:
        known = self._teller.known
        return self._prompts.build(
            known.accepted,
            known.fresh(),
            ask_count=ASK_COUNT,
            known_entries_max=self._known_max.get(model.spec, KNOWN_ENTRIES_MAX),
        )

    async def _stream(self, call: _Call) -> Completed:
        """Publish each entry as its line is complete; complete lines survive a cut stream."""
        parser = AnswerParser()
        output_tokens_max = ASK_COUNT * OUTPUT_TOKENS_FOR_EACH + OUTPUT_TOKENS_BESIDE
        events = self._client(call.model).stream(call.prompt, output_tokens_max=output_tokens_max)
        completed: Completed | None = None
        try:
            async with contextlib.aclosing(events):  # type: ignore[type-var]
                async for event in events:
                    if isinstance(event, Completed):
                        completed = event
                        continue
                    if call.first_token_s is None:
                        call.first_token_s = _now_s() - call.started_s
                    call.answer_characters += len(event.text)
                    await self._publish(call, parser.feed(event.text))
        finally:
            cut = completed is None or completed.finish_reason is FinishReason.LENGTH
            await self._publish(call, parser.finish(cut=cut))
        assert completed is not None
        return completed

    async def _publish(self, call: _Call, parsed: Sequence[parsing.Parsed]) -> None:
        said: list[LogEntry] = []
        for line in parsed:
            if isinstance(line, parsing.Entry):
                call.entry_count += 1
                # Known from here on: the same entry twice in one answer is a repeat.
                kind = (
                    log.Found
                    if self._teller.known.add(item_key(line.text), line.text)
                    else log.Repeat
                )
                said.append(kind(line.text, call.seq, call.model.spec))
            elif isinstance(line, parsing.Rejected):
                said.append(log.Rejected(line.reason.value, line.text, call.seq, call.model.spec))
            elif line.kind is parsing.RemarkKind.EXHAUSTED:
                call.said_dry = True
        if said:
            await self._teller.say(said)

    async def _failed(self, call: _Call, error: ProviderError) -> float | None:
        failures = self._streak(call.model).failed(error)
        wait_s = self._policy.after(error, failures)
        if error.kind is ErrorKind.SHORTEN_PROMPT:
            self._shorten(call.model)
        if wait_s is None:
            error = given_up(error, failures)
        usage = error.usage or (call.usage_estimate() if call.answer_characters else _NOTHING)
        await self._finish(call, error.kind.value, usage, str(error))
        self._teller.activity = f"waiting: {error}"
        return wait_s

    async def _finish(
        self, call: _Call, outcome: str, usage: Usage, error: str | None = None
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
                    cost_usd=cost_usd(call.model, usage),
                    latency_s=round(_now_s() - call.started_s, 4),
                    first_token_s=call.first_token_s,
                )
            ]
        )

    def _shorten(self, model: ModelSpec) -> None:
        known_max = self._known_max.get(model.spec, KNOWN_ENTRIES_MAX)
        known_max = min(known_max, len(self._teller.known)) // 2
        self._known_max[model.spec] = max(KNOWN_ENTRIES_MIN, known_max)

    async def _another_model_than(self, given_up_model: ModelSpec) -> None:
        """The model is given up: wait for the collector to assign another."""
        self._teller.activity = "waiting for another model"
        while self._orders.model == given_up_model.spec:
            self._orders.changed.clear()
            await self._orders.changed.wait()

    async def _pause(self, wait_s: float) -> None:
        """Wait, less long when another model is assigned meanwhile."""
        self._orders.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
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


def _outcome(call: _Call, completed: Completed) -> str:
    if completed.finish_reason is FinishReason.REFUSED:
        return "refused"
    if completed.finish_reason is FinishReason.LENGTH:
        return "length"
    if call.said_dry:
        return "dry"
    return "ok" if call.entry_count else "empty"
