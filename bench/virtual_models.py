"""The simulated models without a server: real prompts in, real answers out, in virtual time.

Requests are built by the real clients' functions and read by the simulator's own, so that blocks
and cache breakpoints stand where they would; the answers are the simulator's, delivered at its
pace, and every failure is what the provider would send. Left out are HTTP and the SDKs. What was
written, when and at what use of tokens goes into the record; nothing is judged here.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol

from bench.virtual_mesh import VirtualProducer
from bench.virtual_record import Record, RecordedCall
from mesh.config import Api, ApiKey, ModelSpec
from mesh.llm import anthropic_messages, openai_chat
from mesh.llm.accepted_parameters import AcceptedParameters
from mesh.llm.adaptive_client import AdaptiveClient
from mesh.llm.cache_rules import cache_tokens_min, takes_cache_key, wants_breakpoints
from mesh.llm.clients import DEFAULT_TIMEOUTS
from mesh.llm.interface import CallProgress, FinishReason, Prompt, Usage
from mesh.llm.usage import anthropic_usage, openai_usage
from mesh.simulation import anthropic_wire, openai_requests, openai_wire
from mesh.simulation.answering import Break, Call, Ending, PlannedAnswer, Simulator
from mesh.simulation.clock import SimulatedClock
from mesh.simulation.delivery import Delivery, StreamBroken, enter_failure
from mesh.simulation.facets import entries_of_facet
from mesh.simulation.faults import Fault
from mesh.simulation.http_calls import Rejected
from mesh.simulation.limit_headers import anthropic_headers, openai_headers
from mesh.simulation.models import SimulatedModel
from mesh.simulation.prompt_reading import PromptReading
from mesh.simulation.rate_limiting import ToldLimit
from mesh.simulation.tokens import token_count

_FINISH_REASONS = {
    Ending.STOP: FinishReason.STOP,
    Ending.LENGTH: FinishReason.LENGTH,
    Ending.FILTERED: FinishReason.REFUSED,
}

_CLOCK = SimulatedClock(1.0, began_s=0.0)
"""A virtual loop's time is the models' already."""


class RefusedCall(Exception):
    """The simulator's refusal, with the attributes that the SDKs' exceptions have."""

    def __init__(self, rejected: Rejected, body: Mapping[str, Any]) -> None:
        super().__init__(rejected.message)
        self.status_code = rejected.status
        self.body = dict(body)
        self.response = SimpleNamespace(headers=rejected.headers)


class BrokenStream(Exception):
    """The connection broke in the middle of an answer."""


@dataclass(frozen=True, slots=True)
class _Request:
    prompt: Prompt
    output_tokens_max: int
    structured: bool


class _Wire(Protocol):
    """One provider's format, as far as it shows in requests, errors and usage."""

    def first_parameters(self, model: ModelSpec) -> AcceptedParameters: ...

    def call(self, client: VirtualClient, request: _Request) -> Call: ...

    def refusal(self, fault: Fault, model: SimulatedModel) -> Rejected: ...

    def error_body(self, rejected: Rejected) -> dict[str, Any]: ...

    def limit_headers(self, told: Mapping[str, ToldLimit]) -> dict[str, str]: ...

    def usage_at_first(self, plan: PlannedAnswer) -> Usage | None: ...

    def usage_at_end(self, plan: PlannedAnswer) -> Usage: ...


class _OpenAI:
    """Usage comes once, at the end: a cut stream has none."""

    def first_parameters(self, model: ModelSpec) -> AcceptedParameters:
        return AcceptedParameters(
            cache_key=takes_cache_key(model),
            cache_breakpoints=wants_breakpoints(model),
            cached_tokens_min=cache_tokens_min(model),
        )

    def call(self, client: VirtualClient, request: _Request) -> Call:
        body = openai_chat.request_body(
            client.model.name,
            request.prompt,
            request.output_tokens_max,
            client.parameters,
            structured=request.structured,
        )
        return openai_requests.read_call(body, client.simulated)

    def refusal(self, fault: Fault, model: SimulatedModel) -> Rejected:
        return openai_wire.rejection_of(fault, model, 1.0)

    def error_body(self, rejected: Rejected) -> dict[str, Any]:
        return openai_wire.error_body(rejected)

    def limit_headers(self, told: Mapping[str, ToldLimit]) -> dict[str, str]:
        return openai_headers(told, 1.0)

    def usage_at_first(self, plan: PlannedAnswer) -> Usage | None:
        return None

    def usage_at_end(self, plan: PlannedAnswer) -> Usage:
        reported = openai_wire.usage_of(plan)
        details = reported["prompt_tokens_details"]
        return openai_usage(
            prompt_tokens=reported["prompt_tokens"],
            completion_tokens=reported["completion_tokens"],
            cached_tokens=details["cached_tokens"],
            cache_write_tokens=details.get("cache_write_tokens"),
            reasoning_tokens=reported["completion_tokens_details"]["reasoning_tokens"],
        )


class _Anthropic:
    """The prompt's usage comes with the first event: a cut stream is an estimate from it on."""

    def first_parameters(self, model: ModelSpec) -> AcceptedParameters:
        return AcceptedParameters(
            cap_names=("max_tokens",), cap_required=True, cached_tokens_min=cache_tokens_min(model)
        )

    def call(self, client: VirtualClient, request: _Request) -> Call:
        body = anthropic_messages.request_body(
            client.model.name,
            request.prompt,
            request.output_tokens_max,
            client.parameters,
            structured=request.structured,
        )
        return anthropic_wire.read_call(body, client.simulated)

    def refusal(self, fault: Fault, model: SimulatedModel) -> Rejected:
        return anthropic_wire.rejection_of(fault, model, 1.0)

    def error_body(self, rejected: Rejected) -> dict[str, Any]:
        return anthropic_wire.error_body(rejected, "req_virtual")

    def limit_headers(self, told: Mapping[str, ToldLimit]) -> dict[str, str]:
        # Moments by the clock on the wall, by which the client reads them.
        return anthropic_headers(told, 1.0, time.time())

    def usage_at_first(self, plan: PlannedAnswer) -> Usage | None:
        events = anthropic_wire.EventWriter(plan, "msg_virtual").first()
        return _anthropic_usage(events[0]["message"]["usage"], estimated=True)

    def usage_at_end(self, plan: PlannedAnswer) -> Usage:
        events = anthropic_wire.EventWriter(plan, "msg_virtual").last()
        told = next(event for event in events if event["type"] == "message_delta")
        return _anthropic_usage(told["usage"], estimated=False)


_WIRES: dict[Api, _Wire] = {"openai": _OpenAI(), "anthropic": _Anthropic()}


@dataclass(slots=True)
class VirtualModels:
    """All simulated models of one run, and the record of what they wrote."""

    simulator: Simulator
    record: Record = field(default_factory=Record)
    _insides: dict[tuple[str, float], frozenset[int]] = field(default_factory=dict)
    _beginnings: dict[str, set[int]] = field(default_factory=dict)
    """Hashes of how prompts began, by model."""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def opener(
        self, producer: VirtualProducer
    ) -> Callable[[ModelSpec, ApiKey | None], VirtualClient]:
        """What `producer` opens its clients by."""
        return lambda model, _: self.client(model, producer.number)

    def client(self, model: ModelSpec, producer: int) -> VirtualClient:
        return VirtualClient(model, self, producer)

    def inside(self, model: SimulatedModel, reading: PromptReading) -> frozenset[int] | None:
        """Entries of the facet that a prompt asks for, as `model` takes its name."""
        if reading.facet is None:
            return None
        key = (reading.facet, model.facet_miss)
        if key not in self._insides:
            self._insides[key] = entries_of_facet(
                reading.facet, reading.catalog, model.facet_miss, self.simulator.seed
            )
        return self._insides[key]

    def told_before(self, model: str, parts: Sequence[str]) -> Sequence[str]:
        """The first of a prompt's `parts` that an earlier prompt to `model` began with too."""
        beginnings = self._beginnings.setdefault(model, set())
        shared_count = beginning = 0
        for count, part in enumerate(parts, 1):
            beginning = hash((beginning, part))
            if beginning in beginnings:
                shared_count = count
            beginnings.add(beginning)
        return parts[:shared_count]

    def next_id(self) -> str:
        return f"call-{next(self._numbers)}"


class VirtualClient(AdaptiveClient):
    """One producer's client of one simulated model."""

    def __init__(self, model: ModelSpec, models: VirtualModels, producer: int) -> None:
        self._wire = _WIRES[model.api]
        super().__init__(model, None, self._wire.first_parameters(model), DEFAULT_TIMEOUTS)
        self.simulated = models.simulator.models[model.name]
        self._models = models
        self._producer = producer

    async def close(self) -> None:
        """Nothing is open."""

    def sent_parameters(self) -> tuple[str, ...]:
        return ()

    async def _list_names(self) -> list[str]:
        return list(self._models.simulator.models)

    def _faults(self) -> tuple[type[Exception], ...]:
        return (RefusedCall, BrokenStream)

    async def _ask(
        self, prompt: Prompt, output_tokens_max: int, answer: CallProgress
    ) -> AsyncGenerator[str, None]:
        plan = self._plan(_Request(prompt, output_tokens_max, answer.structured))
        self.response_headers.latest = self._limit_headers()
        self._note_beginning(answer)
        recorded = self._models.record.begin(self._recorded(plan, prompt, _CLOCK.now_s()))
        delivery = Delivery(self._models.simulator, plan, self._models.next_id(), _CLOCK)
        sent_characters = 0
        try:
            async with aclosing(delivery.pieces()) as pieces:
                async for piece in pieces:
                    if answer.usage is None:
                        answer.usage = self._wire.usage_at_first(plan)
                    sent_characters += len(piece)
                    now_s = _CLOCK.now_s()
                    self._models.record.sent(recorded, plan, sent_characters, now_s)
                    yield piece
            delivery.ended = True
            answer.usage = self._wire.usage_at_end(plan)
            answer.finish_reason = _FINISH_REASONS[plan.ending]
        except StreamBroken as broken:
            raise self._broken(broken) from None
        finally:
            delivery.sent_characters = sent_characters  # Also the piece at which it was closed.
            delivery.enter_in_books()
            now_s = _CLOCK.now_s()
            self._models.record.end(recorded, plan, sent_characters, now_s)

    def _plan(self, request: _Request) -> PlannedAnswer:
        now_s = _CLOCK.now_s()
        simulator = self._models.simulator
        try:
            call = self._wire.call(self, request)
            plan = simulator.answer(call, now_s)
            if isinstance(plan, Fault):
                raise self._wire.refusal(plan, self.simulated)
        except Rejected as rejected:
            self._models.record.refused()
            enter_failure(
                simulator,
                self.simulated,
                rejected.outcome,
                status=rejected.status,
                request_id=self._models.next_id(),
            )
            rejected.headers |= self._limit_headers()
            raise RefusedCall(rejected, self._wire.error_body(rejected)) from None
        return plan

    def _limit_headers(self) -> dict[str, str]:
        now_s = _CLOCK.now_s()
        return self._wire.limit_headers(self._models.simulator.limits_told(self.simulated, now_s))

    def _recorded(self, plan: PlannedAnswer, prompt: Prompt, now_s: float) -> RecordedCall:
        model, use, reading = plan.call.model, plan.cache_use, plan.reading
        parts = (prompt.instructions, *prompt.known_chunks)
        stable_tokens = token_count("\n".join(parts))
        told_before_tokens = token_count("\n".join(self._models.told_before(model.name, parts)))
        return RecordedCall(
            producer=self._producer,
            model=model.name,
            started_s=now_s,
            asked_count=reading.asked_count,
            facet=reading.facet,
            inside=self._models.inside(model, reading),
            wanted=reading.wanted.value,
            listed=reading.listed,
            input_tokens=use.prompt_tokens,
            cached_tokens=use.read_tokens,
            cache_write_tokens=use.written_tokens,
            cacheable_tokens=stable_tokens if stable_tokens >= model.cache_tokens_min else 0,
            told_before_tokens=(
                told_before_tokens if told_before_tokens >= model.cache_tokens_min else 0
            ),
        )

    def _broken(self, broken: StreamBroken) -> Exception:
        if broken.how is Break.CONNECTION:
            return BrokenStream()
        overloaded = Rejected(529, "overloaded_error", "Overloaded")
        return RefusedCall(overloaded, self._wire.error_body(overloaded))


def _anthropic_usage(told: Mapping[str, Any], *, estimated: bool) -> Usage:
    usage = anthropic_usage(
        input_tokens=told["input_tokens"],
        output_tokens=told["output_tokens"],
        cache_read_tokens=told["cache_read_input_tokens"],
        cache_write_tokens=told["cache_creation_input_tokens"],
        thinking_tokens=None,
    )
    return usage if not estimated else _estimated(usage)


def _estimated(usage: Usage) -> Usage:
    return Usage(
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        estimated=True,
    )
