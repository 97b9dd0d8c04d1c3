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
from dataclasses import replace

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
    CallProgress,
    Completed,
    ErrorKind,
    FinishReason,
    Prompt,
    ProviderError,
    RateLimits,
    StreamEvent,
    TextDelta,
    Usage,
)
from mesh.llm.rate_headers import rate_limits
from mesh.llm.sdk_http import CallTimeouts, ResponseHeaders
from mesh.llm.usage import cut_usage, ended_usage, largest_usage

ADAPTATIONS_MAX = 8
"""Calls repeated with other parameters at most, before the rejection is reported."""
MODEL_NAMES_MAX = 1_000

_REJECTING_STATUSES = frozenset({400, 422})
_CUT = Failure(status=None, network="it ended too early")


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
        self._reasons: bool | None = None
        """Whether it has been seen to reason unseen; None as long as no report has told."""

    async def stream(
        self,
        prompt: Prompt,
        *,
        output_tokens_max: int,
        structured: bool = False,
        progress: CallProgress | None = None,
    ) -> AsyncGenerator[StreamEvent, None]:
        """See `LLMClient.stream`."""
        answer = CallProgress() if progress is None else progress
        output_tokens_max = self._within(answer.output_tokens_cap, output_tokens_max)
        for adaptations_left in range(ADAPTATIONS_MAX, -1, -1):
            self._note_request(answer, output_tokens_max, structured)
            failure: Failure | None = None
            try:
                async with aclosing(self._ask(prompt, output_tokens_max, answer)) as pieces:
                    async for piece in pieces:
                        piece_bytes = len(piece.encode())
                        answer.text_bytes += piece_bytes
                        answer.piece_bytes_max = max(answer.piece_bytes_max, piece_bytes)
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
            if answer.begun or not adaptations_left or not self._adapt(failure, output_tokens_max):
                raise await self._error(failure, prompt, answer)

    @property
    def structured_possible(self) -> bool:
        """See `LLMClient.structured_possible`."""
        return self.parameters.structured

    def largest_usage(
        self, prompt: Prompt, output_tokens_max: int, *, structured: bool = False
    ) -> Usage:
        """See `LLMClient.largest_usage`."""
        return largest_usage(
            prompt,
            self.parameters.output_cap(output_tokens_max),
            structured=structured and self.parameters.structured,
        )

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
        self, prompt: Prompt, output_tokens_max: int, answer: CallProgress
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

    def _within(self, bound: int, output_tokens_max: int) -> int:
        """What to ask for, so that the cap that is sent stays within `bound`, 0 for none."""
        if not bound:
            return output_tokens_max
        return max(1, min(output_tokens_max, bound // self.parameters.output_cap_factor))

    def _note_request(self, answer: CallProgress, output_tokens_max: int, structured: bool) -> None:
        answer.output_tokens_cap = self.parameters.output_cap(output_tokens_max)
        answer.structured = structured and self.parameters.structured
        # Until a report has shown otherwise; nor does anything tell how far a whole answer is.
        answer.may_hide_output = self._reasons is not False or not self.parameters.streaming

    def _note_beginning(self, answer: CallProgress) -> None:
        """To be called as soon as the provider has accepted the call."""
        answer.begun = True
        answer.limits = self._limits(self.latest_headers)

    def _adapt(self, failure: Failure, output_tokens_max: int) -> bool:
        """Learn from a rejection; True when the call may be repeated by what was learned."""
        if failure.status not in _REJECTING_STATUSES or is_unknown_model(failure):
            return False
        if is_prompt_too_long(failure) or is_without_credit(failure):
            return False
        adapted = adapt(self.parameters, Rejection(failure.message, failure.parameter))
        if adapted is None:
            return False
        cap = self.parameters.output_cap(output_tokens_max)
        self.parameters = adapted
        if adapted.output_cap(output_tokens_max) > cap:
            # Never within a call: money was reserved for the cap as it was.
            raise ProviderError(
                ErrorKind.RETRY,
                f"{self.model.name} needs more room for its answer: the next call has it",
                status=failure.status,
            )
        return True

    def _completed(self, prompt: Prompt, answer: CallProgress, finish: FinishReason) -> Completed:
        usage = ended_usage(prompt, answer)
        if not usage.estimated:
            self._learn(usage)
        if not answer.text_bytes and finish is FinishReason.LENGTH:
            # All of the cap went into reasoning that is not shown: leave more room next time.
            usage = replace(usage, reasoning_tokens=usage.reasoning_tokens or usage.output_tokens)
            self._reasons = True
            self.parameters = with_higher_cap(self.parameters) or self.parameters
        return Completed(finish, usage, answer.limits)

    def _learn(self, reported: Usage) -> None:
        """Note what a finished answer's usage says of the model."""
        self._reasons = bool(self._reasons or reported.reasoning_tokens)

    async def _error(self, failure: Failure, prompt: Prompt, answer: CallProgress) -> ProviderError:
        if is_unknown_model(failure) and not is_prompt_too_long(failure):
            return unknown_model_error(self.model, await self._names_if_listed())
        if answer.begun and not answer.text_bytes and failure.network == NO_ANSWER_IN_TIME:
            self.parameters = replace(self.parameters, patient=True)
        # Also where it was cut before it began: the provider may have read and answered it.
        charged = answer.begun or failure.sent
        usage = cut_usage(prompt, answer) if charged else None
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
            limits=self._limits(failure.headers) if failure.headers else None,
        )

    def _limits(self, headers: Mapping[str, str]) -> RateLimits | None:
        return rate_limits(headers, self.model.api, time.time())
