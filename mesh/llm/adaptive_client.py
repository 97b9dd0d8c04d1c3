"""What both providers' clients share: a call adapted to its model, and its errors sorted.

A subclass sends one request and reads its answer; here a rejected parameter is changed and the
call repeated, a failure becomes a `ProviderError`, and a missing report of usage is estimated.
Nothing that costs is ever repeated here: whether to call again is the producer's decision.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from mesh.config import ApiKey, ModelSpec
from mesh.llm.accepted_parameters import AcceptedParameters, Rejection, adapt, with_higher_cap
from mesh.llm.errors import (
    is_prompt_too_long,
    is_unknown_model,
    is_without_credit,
    provider_error,
    unknown_model_error,
)
from mesh.llm.failures import NO_ANSWER_IN_TIME, Failure, failure_of
from mesh.llm.interface import (
    Completed,
    FinishReason,
    Prompt,
    ProviderError,
    StreamEvent,
    TextDelta,
    Usage,
)
from mesh.llm.sdk_http import CallTimeouts, ResponseHeaders
from mesh.llm.usage import estimated_usage

ADAPTATIONS_MAX = 6
"""Calls repeated with other parameters at most, before the rejection is reported."""
MODEL_NAMES_MAX = 1_000

_REJECTING_STATUSES = frozenset({400, 422})
_CUT = Failure(status=None, network="it ended too early")


@dataclass(slots=True)
class Answer:
    """What is known about one answer while it comes in."""

    begun: bool = False
    """The server has accepted the call: from here on it may cost."""
    text_bytes: int = 0
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    """As reported so far; its `estimated` is set as long as the final report is missing."""


class AdaptiveClient(ABC):
    """An `LLMClient` but for the provider's own request and answer."""

    def __init__(
        self,
        model: ModelSpec,
        key: ApiKey | None,
        parameters: AcceptedParameters,
        timeouts: CallTimeouts,
    ) -> None:
        self.model = model
        self._timeouts = timeouts
        self.parameters = parameters
        """What the model is known to accept; grows as calls are rejected."""
        self.response_headers = ResponseHeaders()
        self._secrets = (key.value,) if key is not None else ()

    async def stream(
        self, prompt: Prompt, *, output_tokens_max: int
    ) -> AsyncGenerator[StreamEvent, None]:
        """See `LLMClient.stream`."""
        for adaptations_left in range(ADAPTATIONS_MAX, -1, -1):
            answer = Answer()
            failure: Failure | None = None
            try:
                async with aclosing(self._ask(prompt, output_tokens_max, answer)) as pieces:
                    async for piece in pieces:
                        answer.text_bytes += len(piece.encode())
                        yield TextDelta(piece)
            except self._faults() as error:
                failure = failure_of(error)
            if answer.finish_reason is not None and (failure is None or failure.network):
                # Whole, even where the connection broke before the usage was told.
                yield self._completed(prompt, answer, answer.finish_reason)
                return
            failure = _CUT if failure is None else failure
            # Outside the except clause, so that the SDK's error, which may quote the key, is not
            # chained to ours.
            if answer.begun or not adaptations_left or not self._adapt(failure):
                raise await self._error(failure, prompt, answer)

    async def model_names(self) -> list[str]:
        """See `LLMClient.model_names`."""
        try:
            return await self._list_names()
        except self._faults() as error:
            failure = failure_of(error)
        raise self._sorted(failure)

    @property
    def latest_headers(self) -> Mapping[str, str]:
        """Headers of the latest answer of the server."""
        return self.response_headers.latest

    @abstractmethod
    def sent_parameters(self) -> tuple[str, ...]:
        """Names of what is sent with a call, model and messages aside."""

    @abstractmethod
    def _ask(
        self, prompt: Prompt, output_tokens_max: int, answer: Answer
    ) -> AsyncGenerator[str, None]:
        """Send one request, yield the answer's text as it comes, note the rest in `answer`."""

    @abstractmethod
    async def _list_names(self) -> list[str]:
        """Ask for the provider's list of models."""

    @abstractmethod
    def _faults(self) -> tuple[type[Exception], ...]:
        """Exceptions of the SDK and beneath it that mean that the call failed."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""

    def _silence_max_s(self) -> float:
        """Longest wait for the next piece of an answer."""
        patient = self.parameters.patient or not self.parameters.streaming
        return self._timeouts.patient_s if patient else self._timeouts.event_s

    def _adapt(self, failure: Failure) -> bool:
        """Learn from a rejection; False when the failure is not about a parameter."""
        if failure.status not in _REJECTING_STATUSES or is_unknown_model(failure):
            return False
        if is_prompt_too_long(failure) or is_without_credit(failure):
            return False
        adapted = adapt(self.parameters, Rejection(failure.message, failure.parameter))
        if adapted is None:
            return False
        self.parameters = adapted
        return True

    def _completed(self, prompt: Prompt, answer: Answer, finish: FinishReason) -> Completed:
        usage = self._usage(prompt, answer)
        if not answer.text_bytes and finish is FinishReason.LENGTH:
            # All of the cap went into reasoning that is not shown: leave more room next time.
            usage = replace(usage, reasoning_tokens=usage.reasoning_tokens or usage.output_tokens)
            self.parameters = with_higher_cap(self.parameters) or self.parameters
        return Completed(finish, usage)

    def _usage(self, prompt: Prompt, answer: Answer) -> Usage:
        """As reported; what the report lacks is estimated from the text."""
        estimate = estimated_usage(prompt, answer.text_bytes)
        reported = answer.usage
        if reported is None:
            return estimate
        if not reported.estimated:
            return reported
        return replace(reported, output_tokens=max(reported.output_tokens, estimate.output_tokens))

    async def _error(self, failure: Failure, prompt: Prompt, answer: Answer) -> ProviderError:
        if is_unknown_model(failure) and not is_prompt_too_long(failure):
            return unknown_model_error(self.model, await self._names_if_listed())
        if answer.begun and not answer.text_bytes and failure.network == NO_ANSWER_IN_TIME:
            self.parameters = replace(self.parameters, patient=True)
        usage = self._usage(prompt, answer) if answer.begun else None
        return self._sorted(failure, answering=answer.begun, usage=usage)

    async def _names_if_listed(self) -> list[str]:
        try:
            return await self.model_names()
        except ProviderError:
            return []

    def _sorted(
        self, failure: Failure, *, answering: bool = False, usage: Usage | None = None
    ) -> ProviderError:
        return provider_error(
            failure,
            self.model,
            now_s=time.time(),
            secrets=self._secrets,
            answering=answering,
            usage=usage,
        )
