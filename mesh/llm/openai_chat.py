"""A client of OpenAI's chat completions, and of every server that speaks them.

The prompt goes out as one system and one user message of plain text, which every compatible
server takes; known entries stay a byte-identical prefix from call to call, which is what
automatic prompt caches match. What the two providers have in common is adaptive_client.py's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, cast

import openai
import openai.resources.chat.completions  # here, not in the midst of the first call

from mesh.config import ApiKey, ModelSpec
from mesh.llm.accepted_parameters import AcceptedParameters
from mesh.llm.adaptive_client import MODEL_NAMES_MAX, AdaptiveClient, Answer
from mesh.llm.endpoints import base_url_of, is_named_by_address, is_official
from mesh.llm.interface import FinishReason, Prompt, Usage
from mesh.llm.sdk_http import (
    NO_KEY,
    CallTimeouts,
    http_client_options,
    http_error_class,
    quiet_sdk_loggers,
)
from mesh.llm.usage import openai_usage

if TYPE_CHECKING:
    from openai import AsyncStream
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

_FINISH_REASONS = {
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.REFUSED,
}
_FAULTS = (
    openai.OpenAIError,
    http_error_class(openai.DefaultAsyncHttpxClient),
    json.JSONDecodeError,
)


class OpenAIChatClient(AdaptiveClient):
    """One model behind the chat completions API."""

    def __init__(self, model: ModelSpec, key: ApiKey | None, timeouts: CallTimeouts) -> None:
        super().__init__(model, key, _first_parameters(model), timeouts)
        quiet_sdk_loggers()
        options = http_client_options(model, key, self.response_headers)
        self._sdk = openai.AsyncOpenAI(
            # Never None: the SDK would then send OPENAI_API_KEY, whichever server this is.
            api_key=key.value if key is not None else NO_KEY,
            # Explicit: OPENAI_BASE_URL was read at the entry, as it decides on keys.
            base_url=base_url_of(model),
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(**options),
        )

    async def close(self) -> None:
        await self._sdk.close()

    def sent_parameters(self) -> tuple[str, ...]:
        body = request_body(self.model.name, Prompt("", (), "", ""), 1, self.parameters)
        return tuple(name for name in body if name not in {"model", "messages"})

    def _timeout(self) -> openai.Timeout:
        return openai.Timeout(self._silence_max_s(), connect=self._timeouts.connect_s)

    def _faults(self) -> tuple[type[Exception], ...]:
        return _FAULTS

    async def _ask(
        self, prompt: Prompt, output_tokens_max: int, answer: Answer
    ) -> AsyncGenerator[str, None]:
        parameters = self.parameters
        request = request_body(self.model.name, prompt, output_tokens_max, parameters)
        reply = await self._sdk.chat.completions.create(**request, timeout=self._timeout())
        answer.begun = True
        if not parameters.streaming:
            text = _read_whole(cast("ChatCompletion", reply), answer)
            if text:
                yield text
            return
        async with cast("AsyncStream[ChatCompletionChunk]", reply) as chunks:
            async for chunk in chunks:
                text = _read_chunk(chunk, answer)
                if text:
                    yield text

    async def _list_names(self) -> list[str]:
        page = await self._sdk.models.list(timeout=self._timeout())
        # The newest first; compatible servers may leave the date out.
        listed = sorted(page.data or (), key=lambda each: -(getattr(each, "created", 0) or 0))
        return [each.id for each in listed[:MODEL_NAMES_MAX]]


def request_body(
    name: str, prompt: Prompt, output_tokens_max: int, parameters: AcceptedParameters
) -> dict[str, Any]:
    """The arguments of one call: the fewest that do, of those that the model accepts."""
    body: dict[str, Any] = {"model": name, "messages": _messages(prompt, parameters)}
    if parameters.cap_name is not None:
        body[parameters.cap_name] = parameters.output_cap(output_tokens_max)
    if parameters.streaming:
        body["stream"] = True
        if parameters.stream_options:
            body["stream_options"] = {"include_usage": True}
    return body


def _first_parameters(model: ModelSpec) -> AcceptedParameters:
    """What to try first: servers other than OpenAI's own may ignore the newer name of the cap."""
    compatible = is_named_by_address(model) or not is_official("openai", model.base_url)
    if compatible and not model.simulated:
        return AcceptedParameters(cap_names=("max_tokens", "max_completion_tokens"))
    return AcceptedParameters()


def _messages(prompt: Prompt, parameters: AcceptedParameters) -> list[dict[str, str]]:
    known = "\n".join(part for part in (*prompt.known_chunks, prompt.known_fresh) if part)
    parts = [known, prompt.task] if known else [prompt.task]
    if not parameters.system_message:
        return [{"role": "user", "content": "\n\n".join([prompt.instructions, *parts])}]
    return [
        {"role": "system", "content": prompt.instructions},
        {"role": "user", "content": "\n\n".join(parts)},
    ]


def _read_chunk(chunk: ChatCompletionChunk, answer: Answer) -> str:
    """Note what `chunk` tells; returns its text. Compatible servers fill any field with null."""
    if getattr(chunk, "usage", None) is not None:
        answer.usage = _usage(cast("CompletionUsage", chunk.usage))
    choices = getattr(chunk, "choices", None) or ()
    if not choices:
        return ""
    choice = choices[0]
    if choice.finish_reason is not None:
        answer.finish_reason = _finish_reason(choice.finish_reason, answer)
    delta = choice.delta
    if delta is None:
        return ""
    if getattr(delta, "refusal", None):
        answer.finish_reason = FinishReason.REFUSED
    return delta.content or ""


def _read_whole(completion: ChatCompletion, answer: Answer) -> str:
    """As `_read_chunk`, for an answer in one piece; one without choices counts as cut."""
    choices = getattr(completion, "choices", None)
    if not choices:
        return ""
    choice = choices[0]
    answer.finish_reason = _finish_reason(choice.finish_reason, answer)
    if completion.usage is not None:
        answer.usage = _usage(completion.usage)
    if getattr(choice.message, "refusal", None):
        answer.finish_reason = FinishReason.REFUSED
    return choice.message.content or ""


def _finish_reason(reason: str | None, answer: Answer) -> FinishReason:
    if answer.finish_reason is FinishReason.REFUSED:
        return FinishReason.REFUSED
    return _FINISH_REASONS.get(reason or "", FinishReason.STOP)


def _usage(reported: CompletionUsage) -> Usage:
    prompt_details = getattr(reported, "prompt_tokens_details", None)
    completion_details = getattr(reported, "completion_tokens_details", None)
    return openai_usage(
        prompt_tokens=reported.prompt_tokens,
        completion_tokens=reported.completion_tokens,
        cached_tokens=getattr(prompt_details, "cached_tokens", None),
        cache_write_tokens=getattr(prompt_details, "cache_write_tokens", None),
        reasoning_tokens=getattr(completion_details, "reasoning_tokens", None),
    )
