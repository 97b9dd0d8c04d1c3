"""Producers with nothing in mind but calling as often as they may, and a provider with a limit.

The producers have the real Allowances and share a mesh of nothing but entries, each heard by all
others a millisecond after it was said. Their client is a real one, or `LimitedModel`: a model of
the simulator's limits alone, its answers told in the providers' own headers, over lines that take
unevenly long.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from mesh.config import Api
from mesh.core.entries import CallFinished, CallStarted, Found, LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.rate_limits import Allowances
from mesh.llm.interface import (
    CallProgress,
    Completed,
    ErrorKind,
    FinishReason,
    LLMClient,
    Prompt,
    ProviderError,
    RateLimits,
    StreamEvent,
    TextDelta,
    Usage,
)
from mesh.llm.rate_headers import limit_seen, rate_limits
from mesh.simulation.limit_headers import anthropic_headers, openai_headers
from mesh.simulation.rate_limiting import ModelLimits

HEARD_AFTER_S = 0.001
LOOK_S = 1.0
WORK_STEP_S = 0.25
BACKOFF_S = (0.2, 1.0)
"""Range of what a producer waits after a failure that names no time."""
EPOCH_S = 1_800_000_000.0
"""What virtual time 0 is on the provider's calendar."""


@dataclass(slots=True)
class Attempts:
    """What became of all producers' calls, by when each was made."""

    answered_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    told_count: int = 0
    """Entries on limits that were written for the others to hear."""

    def within(self, from_s: float, until_s: float) -> tuple[int, int]:
        """(answered, refused) of the calls made then."""
        answered = sum(from_s <= at_s < until_s for at_s in self.answered_s)
        return answered, sum(from_s <= at_s < until_s for at_s in self.refused_s)


@dataclass(slots=True)
class Mesh:
    """Carries what each producer says to all others."""

    heard_after_s: float = HEARD_AFTER_S
    members: list[LimitedProducer] = field(default_factory=list)

    def say(self, speaker: LimitedProducer, seq: int, entry: LogEntry) -> None:
        loop = asyncio.get_running_loop()
        for member in self.members:
            if member is speaker:
                member.hear(speaker.log, seq, entry)
            else:
                loop.call_later(self.heard_after_s, member.hear, speaker.log, seq, entry)


class LimitedProducer:
    """Makes one call after another of one model, as soon as its Allowances say so."""

    def __init__(
        self,
        number: int,
        *,
        mesh: Mesh,
        client: LLMClient,
        prompt: Prompt,
        attempts: Attempts,
        seed: str,
        prompt_tokens: int = 500,
        output_tokens_max: int = 60,
        own_server: bool = False,
    ) -> None:
        origin = NodeId(number.to_bytes(16, "big"))
        self.log = LogId(origin, 1)
        self._mesh = mesh
        self._client = client
        self._prompt = prompt
        self._prompt_tokens = prompt_tokens
        self._output_tokens_max = output_tokens_max
        self._attempts = attempts
        self._random = random.Random(f"{seed}/{number}")
        self._allowances = Allowances(origin, {"model"} if own_server else ())
        self._seq = 0
        mesh.members.append(self)

    def hear(self, log_id: LogId, seq: int, entry: LogEntry) -> None:
        self._allowances.apply(log_id, seq, entry, now_s=_now_s(), now_ms=_now_ms())

    async def run(self, until_s: float) -> None:
        """Call until the loop's time is `until_s`."""
        while (now_s := _now_s()) < until_s:
            wait_s = self._allowances.wait_s("model", self._prompt_tokens, now_s)
            if wait_s:
                await asyncio.sleep(min(wait_s, LOOK_S))
                continue
            failed = await self._call()
            if failed is not None and not failed.retry_after_s:
                await asyncio.sleep(self._random.uniform(*BACKOFF_S))

    async def _call(self) -> ProviderError | None:
        started_s = _now_s()
        tokens = self._prompt_tokens
        call = self._say(CallStarted("model", 10, None, _now_ms(), prompt_tokens=tokens))
        progress, first_token_s, usage = CallProgress(), None, Usage(0, 0, 0)
        failed: ProviderError | None = None
        try:
            async for event in self._client.stream(
                self._prompt, output_tokens_max=self._output_tokens_max, progress=progress
            ):
                if isinstance(event, Completed):
                    usage = event.usage
                elif first_token_s is None:
                    first_token_s = _now_s() - started_s
                    self._note_limits(call, progress.limits, None)
                    self._say(Found("an entry", call, "model"))
        except ProviderError as error:
            failed = error
            self._note_limits(call, error.limits, error)
        refused = failed is not None and failed.status == 429
        (self._attempts.refused_s if refused else self._attempts.answered_s).append(started_s)
        self._say(_finished(call, usage, first_token_s, _now_s() - started_s))
        return failed

    def _note_limits(
        self, call: int, limits: RateLimits | None, error: ProviderError | None
    ) -> None:
        entry = limit_seen(
            limits,
            model="model",
            call=call,
            now_ms=_now_ms(),
            refused=error is not None and error.status == 429,
            wait_s=(error.retry_after_s or 0.0) if error is not None else 0.0,
        )
        if entry is not None and self._allowances.seen(self.log, entry, _now_s()):
            self._attempts.told_count += 1
            self._say(entry)

    def _say(self, entry: LogEntry) -> int:
        self._seq += 1
        self._mesh.say(self, self._seq, entry)
        return self._seq


@dataclass(slots=True)
class LimitedModel:
    """An LLMClient in virtual time whose provider keeps the simulator's limits."""

    api: Api
    limits: ModelLimits
    random: random.Random
    way_s: tuple[float, float] = (0.02, 0.08)
    """Range of what a request or an answer is on its way."""
    first_token_s: tuple[float, float] = (0.2, 0.5)
    writing_s: tuple[float, float] = (0.5, 2.0)
    output_tokens: int = 60
    prompt_tokens: int = 500
    tells: bool = True
    """False: no headers but Retry-After."""
    structured_possible: bool = False
    slows_down_at: int = 0
    """As the simulator's figure: calls at once beyond which they share its speed; 0: none."""
    worked_s: float = 0.0
    """Of all calls together: by how long it was asked, the mean of calls at once."""
    written_tokens: float = 0.0
    _under_way_count: int = 0

    async def stream(
        self,
        prompt: Prompt,
        *,
        output_tokens_max: int,
        structured: bool = False,
        progress: CallProgress | None = None,
    ) -> AsyncIterator[StreamEvent]:
        await self._spend(self.way_s)
        refusal = self.limits.admit(self.prompt_tokens, _now_s())
        limits = self._told()
        if refusal is not None:
            await self._spend(self.way_s)
            raise ProviderError(
                ErrorKind.RETRY,
                f"rate limit of {refusal.limit} {refusal.of}",
                status=429,
                retry_after_s=max(1.0, float(-(-refusal.wait_s // 1))),
                limits=limits,
            )
        await self._work(self.first_token_s)
        await self._spend(self.way_s)
        if progress is not None:
            progress.begun, progress.limits = True, limits
        yield TextDelta("an entry")
        await self._work(self.writing_s)
        self.written_tokens += self.output_tokens
        self.limits.answered(self.output_tokens, _now_s())
        usage = Usage(self.prompt_tokens, 0, self.output_tokens)
        yield Completed(FinishReason.STOP, usage, limits)

    def largest_usage(
        self, prompt: Prompt, output_tokens_max: int, *, structured: bool = False
    ) -> Usage:
        return Usage(self.prompt_tokens, 0, output_tokens_max)

    async def model_names(self) -> list[str]:
        return ["model"]

    async def close(self) -> None:
        """Nothing is open."""

    def _told(self) -> RateLimits | None:
        if not self.tells:
            return None
        told, now_s = self.limits.told(_now_s()), EPOCH_S + _now_s()
        if self.api == "openai":
            headers = openai_headers(told, 1.0)
        else:
            headers = anthropic_headers(told, 1.0, now_s)
        return rate_limits(headers, self.api, now_s)

    async def _work(self, range_s: tuple[float, float]) -> None:
        """Compute for a while, which takes longer the more calls are computed at once."""
        left_s = self.random.uniform(*range_s)
        self._under_way_count += 1
        try:
            while left_s > 1e-9:
                knee, count = self.slows_down_at, self._under_way_count
                share = min(1.0, knee / count) if knee else 1.0
                step_s = min(WORK_STEP_S, left_s / share)
                await asyncio.sleep(step_s)
                left_s -= step_s * share
                self.worked_s += step_s
        finally:
            self._under_way_count -= 1

    async def _spend(self, range_s: tuple[float, float]) -> None:
        await asyncio.sleep(self.random.uniform(*range_s))


async def call_together(
    client: Callable[[int], LLMClient],
    *,
    producers: int,
    until_s: float,
    seed: str,
    prompt: Prompt | None = None,
    stagger_s: float = 0.3,
    own_server: bool = False,
    heard_after_s: float = HEARD_AFTER_S,
) -> Attempts:
    """Let `producers` call until the loop's time is `until_s`; returns what became of it."""
    attempts, mesh = Attempts(), Mesh(heard_after_s)
    starts = random.Random(f"{seed}/starts")
    asked = prompt or Prompt("", (), "", "")
    async with asyncio.TaskGroup() as group:
        for number in range(1, producers + 1):
            producer = LimitedProducer(
                number,
                mesh=mesh,
                client=client(number),
                prompt=asked,
                attempts=attempts,
                seed=seed,
                own_server=own_server,
            )
            group.create_task(_run_later(producer, starts.uniform(0.0, stagger_s), until_s))
    return attempts


async def _run_later(producer: LimitedProducer, later_s: float, until_s: float) -> None:
    await asyncio.sleep(later_s)
    await producer.run(until_s)


def _finished(
    call: int, usage: Usage, first_token_s: float | None, latency_s: float
) -> CallFinished:
    return CallFinished(
        call=call,
        model="model",
        outcome="ok" if usage.output_tokens else "retry",
        error=None,
        input_tokens=usage.input_tokens,
        cached_input_tokens=0,
        output_tokens=usage.output_tokens,
        reasoning_tokens=0,
        estimated=usage.estimated,
        cost_usd=None,
        latency_s=latency_s,
        first_token_s=first_token_s,
    )


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _now_ms() -> int:
    return int((EPOCH_S + _now_s()) * 1000.0)
