"""A client of OpenAI's chat completions, and of every server that speaks them.

The prompt goes out as one system and one user message of plain text, which every compatible
server takes; known entries stay a byte-identical prefix from call to call, which is what
automatic prompt caches match. Models that keep prompts up to explicit breakpoints alone get the
same text in parts, each sealed chunk marked: a call reads up to the longest one that is kept and
pays for keeping what is new. What the two providers have in common is adaptive_client.py's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import openai
import openai.resources.chat.completions  # here, not in the midst of the first call

from mesh.config import ApiKey, ModelSpec
from mesh.llm.accepted_parameters import AcceptedParameters
from mesh.llm.adaptive_client import MODEL_NAMES_MAX, AdaptiveClient
from mesh.llm.answer_format import ENTRIES_SCHEMA
from mesh.llm.cache_rules import (
    cache_tokens_min,
    may_be_cached,
    takes_cache_key,
    wants_breakpoints,
)
from mesh.llm.endpoints import base_url_of, is_named_by_address, is_official
from mesh.llm.interface import CallProgress, FinishReason, Prompt, Usage
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

BREAKPOINTS_MAX = 80
"""Of one request, that are looked up in the cache; the latest four are written."""

RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "entries", "strict": True, "schema": ENTRIES_SCHEMA},
}

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
        # OpenAI's newer models do, also those whose names tell no version.
        self._may_want_breakpoints = takes_cache_key(model) and not wants_breakpoints(model)
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
        self, prompt: Prompt, output_tokens_max: int, answer: CallProgress
    ) -> AsyncGenerator[str, None]:
        parameters = self.parameters
        request = request_body(
            self.model.name, prompt, output_tokens_max, parameters, structured=answer.structured
        )
        reply = await self._sdk.chat.completions.create(**request, timeout=self._timeout())
        self._note_beginning(answer)
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

    def _learn(self, reported: Usage) -> None:
        super()._learn(reported)
        if self._may_want_breakpoints and reported.cache_write_tokens:
            # It charges for what it keeps: tell it what is worth keeping.
            self._may_want_breakpoints = False
            self.parameters = replace(self.parameters, cache_breakpoints=True)

    async def _list_names(self) -> list[str]:
        page = await self._sdk.models.list(timeout=self._timeout())
        # The newest first; compatible servers may leave the date out.
        listed = sorted(page.data or (), key=lambda each: -(getattr(each, "created", 0) or 0))
        return [each.id for each in listed[:MODEL_NAMES_MAX]]


def request_body(
    name: str,
    prompt: Prompt,
    output_tokens_max: int,
    parameters: AcceptedParameters,
    *,
    structured: bool = False,
) -> dict[str, Any]:
    """The arguments of one call: the fewest that do, of those that the model accepts."""
    body: dict[str, Any] = {"model": name, "messages": _messages(prompt, parameters)}
    if parameters.cap_name is not None:
        body[parameters.cap_name] = parameters.output_cap(output_tokens_max)
    if parameters.streaming:
        body["stream"] = True
        if parameters.stream_options:
            body["stream_options"] = {"include_usage": True}
    if prompt.cache_key and parameters.cache_key:
        body["prompt_cache_key"] = prompt.cache_key
    if parameters.cache_breakpoints:
        # Else the end of the prompt, which no other call shares, would be kept and paid for.
        body["prompt_cache_options"] = {"mode": "explicit"}
    if structured and parameters.structured:
        body["response_format"] = RESPONSE_FORMAT
    return body


def _first_parameters(model: ModelSpec) -> AcceptedParameters:
    """What to try first: servers other than OpenAI's own may ignore the newer name of the cap."""
    compatible = is_named_by_address(model) or not is_official("openai", model.base_url)
    names = ("max_completion_tokens", "max_tokens")
    return AcceptedParameters(
        cap_names=names[::-1] if compatible and not model.simulated else names,
        cache_key=takes_cache_key(model),
        cache_breakpoints=wants_breakpoints(model),
        cached_tokens_min=cache_tokens_min(model),
    )


def _messages(prompt: Prompt, parameters: AcceptedParameters) -> list[dict[str, Any]]:
    sealed = [chunk + "\n" for chunk in prompt.known_chunks]
    fresh = [prompt.known_fresh + "\n"] if prompt.known_fresh else []
    rest = [*fresh, f"\n{prompt.task}" if sealed or fresh else prompt.task]
    if not parameters.system_message:
        sealed = [prompt.instructions + "\n\n", *sealed]
        return [{"role": "user", "content": _content(sealed, rest, parameters)}]
    before_bytes = len(prompt.instructions.encode())
    return [
        {"role": "system", "content": prompt.instructions},
        {"role": "user", "content": _content(sealed, rest, parameters, before_bytes)},
    ]


def _content(
    sealed: Sequence[str],
    rest: Sequence[str],
    parameters: AcceptedParameters,
    before_bytes: int = 0,
) -> str | list[dict[str, Any]]:
    """One text, or where breakpoints are wanted its parts, each sealed one marked.

    A part's text is the same whatever follows it. `before_bytes` stand before the first.
    """
    if not parameters.cache_breakpoints:
        return "".join((*sealed, *rest))
    parts: list[dict[str, Any]] = []
    prefix_bytes = before_bytes
    for at, text in enumerate(sealed):
        prefix_bytes += len(text.encode())
        part: dict[str, Any] = {"type": "text", "text": text}
        among_latest = at >= len(sealed) - BREAKPOINTS_MAX
        if among_latest and may_be_cached(prefix_bytes, parameters.cached_tokens_min):
            part["prompt_cache_breakpoint"] = {"mode": "explicit"}
        parts.append(part)
    return [*parts, {"type": "text", "text": "".join(rest)}]


def _read_chunk(chunk: ChatCompletionChunk, answer: CallProgress) -> str:
    """Note what `chunk` tells; returns its text. Compatible servers fill any field with null."""
    choices = getattr(chunk, "choices", None) or ()
    if choices and choices[0].finish_reason is not None:
        answer.finish_reason = _finish_reason(choices[0].finish_reason, answer)
    if getattr(chunk, "usage", None) is not None:
        # Some servers report with every chunk what was used up to it.
        usage = _usage(cast("CompletionUsage", chunk.usage))
        answer.usage = replace(usage, estimated=answer.finish_reason is None)
    if not choices:
        return ""
    delta = choices[0].delta
    if delta is None:
        return ""
    if getattr(delta, "refusal", None):
        answer.finish_reason = FinishReason.REFUSED
    return delta.content or ""


def _read_whole(completion: ChatCompletion, answer: CallProgress) -> str:
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


def _finish_reason(reason: str | None, answer: CallProgress) -> FinishReason:
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
