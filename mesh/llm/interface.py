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
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        self.usage = usage
        self.limits = limits
        """As the refusing answer's headers say."""


class LLMClient(Protocol):
    """One model of one provider."""

    def stream(self, prompt: Prompt, *, output_tokens_max: int) -> AsyncIterator[StreamEvent]:
        """Yield the answer as it comes, `Completed` last.

        Closing or cancelling the iterator closes the connection at once, so that no more output
        is paid for.

        Raises:
            ProviderError: the call failed, before or in the middle of the answer.
        """
        ...

    async def model_names(self) -> list[str]:
        """Names that the provider lists, best first; raises ProviderError."""
        ...

    async def close(self) -> None: ...
