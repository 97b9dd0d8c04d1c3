"""A client of Anthropic's messages API.

The prompt goes out as content blocks: the instructions, each sealed chunk of known entries, what
is newer, the task. Cache breakpoints are set on the last sealed chunks: what was kept up to one
of them is found by later calls, as long as no more than 20 blocks have followed it. What the two
providers have in common is adaptive_client.py's.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import anthropic
import anthropic.resources.messages  # here, not in the midst of the first call

from mesh.config import ApiKey, ModelSpec
from mesh.llm.accepted_parameters import AcceptedParameters
from mesh.llm.adaptive_client import MODEL_NAMES_MAX, AdaptiveClient
from mesh.llm.answer_format import ENTRIES_SCHEMA
from mesh.llm.cache_rules import cache_tokens_min, may_be_cached
from mesh.llm.endpoints import base_url_of
from mesh.llm.interface import CallProgress, FinishReason, Prompt, Usage
from mesh.llm.sdk_http import (
    NO_KEY,
    CallTimeouts,
    http_client_options,
    http_error_class,
    quiet_sdk_loggers,
)
from mesh.llm.usage import anthropic_usage

if TYPE_CHECKING:
    from anthropic import AsyncStream
    from anthropic.types import Message, RawMessageStreamEvent

AUTH_TOKEN_VARIABLE = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 (a variable's name)

BREAKPOINTS_MAX = 4
"""That the API allows. Producers may differ by some sealed chunks, so that the last few are all
worth keeping; each writes what the one before it has not."""

OUTPUT_CONFIG = {"format": {"type": "json_schema", "schema": ENTRIES_SCHEMA}}

_THOUGHTS = frozenset({"thinking", "redacted_thinking"})
_FINISH_REASONS = {
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "refusal": FinishReason.REFUSED,
}
_FAULTS = (
    anthropic.AnthropicError,
    http_error_class(anthropic.DefaultAsyncHttpxClient),
    json.JSONDecodeError,
)


class AnthropicMessagesClient(AdaptiveClient):
    """One model behind the messages API."""

    def __init__(self, model: ModelSpec, key: ApiKey | None, timeouts: CallTimeouts) -> None:
        first = AcceptedParameters(
            cap_names=("max_tokens",),
            cap_required=True,
            cached_tokens_min=cache_tokens_min(model),
        )
        super().__init__(model, key, first, timeouts)
        quiet_sdk_loggers()
        options = http_client_options(model, key, self.response_headers)
        # Never none at all: the SDK would then look for credentials of its own.
        value = key.value if key is not None else NO_KEY
        as_token = model.key_variable == AUTH_TOKEN_VARIABLE
        self._sdk = anthropic.AsyncAnthropic(
            api_key=None if as_token else value,
            auth_token=value if as_token else None,
            # Explicit: ANTHROPIC_BASE_URL was read at the entry, as it decides on keys.
            base_url=base_url_of(model),
            max_retries=0,
            http_client=anthropic.DefaultAsyncHttpxClient(**options),
        )

    async def close(self) -> None:
        await self._sdk.close()

    def sent_parameters(self) -> tuple[str, ...]:
        body = request_body(self.model.name, Prompt("", (), "", ""), 1, self.parameters)
        return tuple(name for name in body if name not in {"model", "messages"})

    def _timeout(self) -> anthropic.Timeout:
        return anthropic.Timeout(self._silence_max_s(), connect=self._timeouts.connect_s)

    def _faults(self) -> tuple[type[Exception], ...]:
        return _FAULTS

    async def _ask(
        self, prompt: Prompt, output_tokens_max: int, answer: CallProgress
    ) -> AsyncGenerator[str, None]:
        parameters = self.parameters
        request = request_body(
            self.model.name, prompt, output_tokens_max, parameters, structured=answer.structured
        )
        reply = await self._sdk.messages.create(**request, timeout=self._timeout())
        self._note_beginning(answer)
        if not parameters.streaming:
            text = _read_whole(cast("Message", reply), answer)
            if text:
                yield text
            return
        async with cast("AsyncStream[RawMessageStreamEvent]", reply) as events:
            reader = _StreamReader(answer)
            async for event in events:
                text = reader.read(event)
                if text:
                    yield text

    async def _list_names(self) -> list[str]:
        names: list[str] = []
        async for model in self._sdk.models.list(limit=100, timeout=self._timeout()):
            names.append(model.id)
            if len(names) >= MODEL_NAMES_MAX:
                break
        return names


def request_body(
    name: str,
    prompt: Prompt,
    output_tokens_max: int,
    parameters: AcceptedParameters,
    *,
    structured: bool = False,
) -> dict[str, Any]:
    """The arguments of one call: the fewest that do, of those that the model accepts."""
    blocks = [prompt.instructions, *(chunk + "\n" for chunk in prompt.known_chunks)]
    marked = _marked(blocks, parameters)
    system, *known = (_block(text, cached=at in marked) for at, text in enumerate(blocks))
    # The API refuses empty blocks.
    changing = [prompt.known_fresh + "\n", prompt.task] if prompt.known_fresh else [prompt.task]
    content = [*known, *(_block(text, cached=False) for text in changing)]
    body: dict[str, Any] = {
        "model": name,
        "max_tokens": parameters.output_cap(output_tokens_max),
        "system": [system],
        "messages": [{"role": "user", "content": content}],
    }
    if parameters.streaming:
        body["stream"] = True
    if structured and parameters.structured:
        body["output_config"] = OUTPUT_CONFIG
    return body


def _marked(blocks: Sequence[str], parameters: AcceptedParameters) -> frozenset[int]:
    """Indices of the blocks that end a prefix worth keeping: the last ones, long enough."""
    if not parameters.cache_control:
        return frozenset()
    ends_bytes = itertools.accumulate(len(text.encode()) for text in blocks)
    long_enough = [
        at
        for at, end_bytes in enumerate(ends_bytes)
        if may_be_cached(end_bytes, parameters.cached_tokens_min)
    ]
    return frozenset(long_enough[-BREAKPOINTS_MAX:])


def _block(text: str, *, cached: bool) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": text}
    if cached:
        block["cache_control"] = {"type": "ephemeral"}
    return block


class _StreamReader:
    """Reads one stream's events into an `Answer`.

    Usage comes in two parts: the prompt's with the first event, the answer's near the end. In
    between it counts as an estimate, so that a cut stream is charged as one.
    """

    def __init__(self, answer: CallProgress) -> None:
        self._answer = answer
        self._counts: dict[str, int | None] = {}

    def read(self, event: RawMessageStreamEvent) -> str:
        """Note what `event` tells; returns its text."""
        if event.type == "message_start":
            self._note_usage(event.message.usage, final=False)
        elif event.type == "content_block_start":
            # Thoughts are billed in full and shown in part or not at all.
            thinks = event.content_block.type in _THOUGHTS
            self._answer.may_hide_output = self._answer.may_hide_output or thinks
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            return event.delta.text
        elif event.type == "message_delta":
            self._note_usage(event.usage, final=True)
            if event.delta.stop_reason is not None:
                self._answer.finish_reason = _finish_reason(event.delta.stop_reason)
        return ""

    def _note_usage(self, reported: object, *, final: bool) -> None:
        self._counts.update(
            {name: count for name, count in _counts(reported).items() if count is not None}
        )
        self._answer.usage = _usage(self._counts, estimated=not final)


def _read_whole(message: Message, answer: CallProgress) -> str:
    """As the stream's reader, for an answer in one piece; one that is no message counts as cut."""
    blocks = getattr(message, "content", None)
    if blocks is None:
        return ""
    answer.finish_reason = _finish_reason(message.stop_reason)
    answer.usage = _usage(_counts(message.usage), estimated=False)
    return "".join(block.text for block in blocks if block.type == "text")


def _finish_reason(reason: str | None) -> FinishReason:
    return _FINISH_REASONS.get(reason or "", FinishReason.STOP)


def _counts(reported: object) -> dict[str, int | None]:
    details = getattr(reported, "output_tokens_details", None)
    return {
        "input_tokens": getattr(reported, "input_tokens", None),
        "output_tokens": getattr(reported, "output_tokens", None),
        "cache_read_tokens": getattr(reported, "cache_read_input_tokens", None),
        "cache_write_tokens": getattr(reported, "cache_creation_input_tokens", None),
        "thinking_tokens": getattr(details, "thinking_tokens", None),
    }


def _usage(counts: dict[str, int | None], *, estimated: bool) -> Usage:
    usage = anthropic_usage(
        input_tokens=counts.get("input_tokens"),
        output_tokens=counts.get("output_tokens"),
        cache_read_tokens=counts.get("cache_read_tokens"),
        cache_write_tokens=counts.get("cache_write_tokens"),
        thinking_tokens=counts.get("thinking_tokens"),
    )
    return replace(usage, estimated=estimated)
