"""What a producer may ask of an LLM, whichever provider answers: the seam to the SDKs.

Here are the values that cross it and the errors it may raise. How a prompt is worded is
prompts.py's, how an answer becomes entries parsing.py's, how long to wait before another try
retrying.py's.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Prompt:
    """One call's prompt, in the order in which it is sent; what changes least comes first."""

    instructions: str
    """Topic and output rules: byte-identical for the whole run."""
    known_chunks: tuple[str, ...]
    """Sealed chunks of known entries, one entry a line; a chunk never changes."""
    known_fresh: str
    """Known entries newer than the last sealed chunk, one a line; "" when there are none."""
    task: str
    """The facet to explore and how many entries to write."""
    cache_key: str = ""
    """Calls that share a prefix and this word are sent to the same one of the provider's machines,
    where it knows such a thing (cache_rules.py); "" leaves it to the provider."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call used, by one rule for all providers."""

    input_tokens: int
    """All prompt tokens, those read from or written to a cache included."""
    cached_input_tokens: int
    """Of these, read from the provider's cache."""
    output_tokens: int
    """All completion tokens, hidden reasoning included."""
    cache_write_tokens: int = 0
    """Of the input, written to the cache at a surcharge."""
    reasoning_tokens: int = 0
    estimated: bool = False
    """True when the provider did not say (a cut stream) and the counts are ours."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a provider says that it allows, read from an answer's headers; None: not said."""

    requests_per_minute: int | None = None
    requests_left: int | None = None
    tokens_per_minute: int | None = None
    tokens_left: int | None = None
    reset_s: float | None = None
    """Until the limit on requests is whole again."""
    tokens_reset_s: float | None = None
    """Until the limit on tokens is whole again."""


class FinishReason(enum.StrEnum):
    STOP = "stop"
    LENGTH = "length"
    """The cap on output was reached: the last line may be cut."""
    REFUSED = "refused"
    """The provider's filter or the model itself declined."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer as it streamed in; pieces end anywhere."""

    text: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The answer's end; always the last event of a stream that did not raise."""

    finish_reason: FinishReason
    usage: Usage
    limits: RateLimits | None = None


StreamEvent = TextDelta | Completed


@dataclass(slots=True)
class CallProgress:
    """What is known of one call while it is under way: the client writes, the caller reads.

    So that a call which the caller ends by itself can be charged (`usage.cut_usage`), and limits
    are known when an answer begins, not when it has ended.
    """

    begun: bool = False
    """The provider has accepted the call: from here on it costs."""
    text_bytes: int = 0
    piece_bytes_max: int = 0
    """The largest piece so far: how much may be on its way."""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    """As reported so far; its `estimated` is set as long as the final report is missing."""
    limits: RateLimits | None = None
    output_tokens_cap: int = 0
    """The cap on output as it is sent: hidden reasoning may have raised it. Given by the caller, it
    is a bound: the money that was reserved, whatever another call has taught the client since."""
    structured: bool = False
    """JSON by a strict schema was asked for."""
    may_hide_output: bool = True
    """More may have been written and billed than has come: hidden reasoning, a whole answer."""


class ErrorKind(enum.StrEnum):
    """What the caller can do about a failed call."""

    RETRY = "retry"
    """Overload, rate limit, a server's fault, a cut stream: again later."""
    UNREACHABLE = "unreachable"
    """No connection, or no answer in time: again later, and say so, since the network may be
    down; never a reason to give the provider up."""
    GIVE_UP = "give_up"
    """Bad key, no credit, unknown model: this model will not work until a person acts."""
    SHORTEN_PROMPT = "shorten_prompt"
    """The prompt is longer than the model takes."""


class ProviderError(Exception):
    """A call failed.

    The message is one line for a person and holds no key and no prompt. `usage` is what the call
    used before it failed, as far as that is known or can be estimated; None: nothing.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
        limits: RateLimits | None = None,
        tokens_max: int | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        self.usage = usage
        self.limits = limits
        """As the refusing answer's headers say."""
        self.tokens_max = tokens_max
        """Of a prompt that is too long: what it and its answer may hold together, if that is told.
        """


class LLMClient(Protocol):
    """One model of one provider."""

    def stream(
        self,
        prompt: Prompt,
        *,
        output_tokens_max: int,
        structured: bool = False,
        progress: CallProgress | None = None,
    ) -> AsyncIterator[StreamEvent]:
        """Yield the answer as it comes, `Completed` last.

        Closing or cancelling the iterator closes the connection at once, so that no more output
        is paid for.

        Args:
            structured: ask for JSON by a strict schema, `{"entries": [...]}`; a model that takes
                none answers in lines, and the prompt's words fit both.
            progress: filled in as the call goes on; a new one for each call.

        Raises:
            ProviderError: the call failed, before or in the middle of the answer.
        """
        ...

    @property
    def structured_possible(self) -> bool:
        """False once the model has rejected a schema."""
        ...

    def largest_usage(
        self, prompt: Prompt, output_tokens_max: int, *, structured: bool = False
    ) -> Usage:
        """What the call may use at most, for reserving money before it is made."""
        ...

    async def model_names(self) -> list[str]:
        """Names that the provider lists, best first; raises ProviderError."""
        ...

    async def close(self) -> None: ...
