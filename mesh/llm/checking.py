"""One tiny call a model, and what it shows: what `check` reports.

Makes the call through the same clients as a run; how the report is printed is the command line's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from mesh.config import DEFAULT_TOPIC, ApiKey, ModelSpec
from mesh.llm.adaptive_client import AdaptiveClient
from mesh.llm.clients import open_client
from mesh.llm.errors import UnknownModelError
from mesh.llm.interface import (
    Completed,
    ErrorKind,
    FinishReason,
    Prompt,
    ProviderError,
    TextDelta,
)
from mesh.llm.pricing import cost_usd, price_line
from mesh.llm.safe_text import bounded, safe_line

CHECK_OUTPUT_TOKENS_MAX = 64
CHECK_TIMEOUT_S = 90.0
_ANSWER_CHARACTERS_MAX = 60
_PROMPT = Prompt(
    instructions=f"Topic: {DEFAULT_TOPIC}\nAnswer with names alone, one a line.",
    known_chunks=(),
    known_fresh="",
    task="Write up to 1 entry.",
)

_LIMIT_HEADERS = {
    "x-ratelimit-limit-requests": "requests",
    "x-ratelimit-limit-tokens": "tokens",
    "anthropic-ratelimit-requests-limit": "requests",
    "anthropic-ratelimit-tokens-limit": "tokens",
    "anthropic-ratelimit-input-tokens-limit": "input tokens",
    "anthropic-ratelimit-output-tokens-limit": "output tokens",
}


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """What one tiny call to a model showed."""

    model: str
    """Its SPEC."""
    ok: bool
    """It answered: key, name and parameters are good."""
    key_ok: bool | None
    """False: the key was refused; None: no answer that says so."""
    name_ok: bool | None
    """False: the provider knows no model of that name."""
    streaming: bool | None
    """Whether the answer streamed; None when there was none."""
    sent_parameters: tuple[str, ...]
    """What is sent with a call, model and messages aside, after what was learned."""
    price: str
    """As `price_line` words it."""
    limits: str
    """Rate limits as far as the provider tells: `500 requests, 200000 tokens a minute`, or ""."""
    first_text_s: float | None
    """Time to the first text."""
    cost_usd: float | None
    """What the call has cost, where that is known."""
    message: str
    """The answer, or what went wrong and what to do; one line, without the key."""


async def check_models(
    models: Sequence[ModelSpec],
    keys: Mapping[str, ApiKey],
    *,
    open_client: Callable[[ModelSpec, ApiKey | None], AdaptiveClient] = open_client,
) -> tuple[ModelCheck, ...]:
    """Check all models at once; the order is theirs. `keys`: by the name of their variable."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_checked(open_client(model, keys.get(model.key_variable or ""))))
            for model in models
        ]
    return tuple(task.result() for task in tasks)


def check_lines(check: ModelCheck) -> list[str]:
    """The report of one model for the terminal, the verdict first."""
    lines = [f"{check.model}: {'ok' if check.ok else 'not usable'}: {check.message}"]
    if check.ok:
        way = "yes" if check.streaming else "no, answers come whole"
        first_s = check.first_text_s
        first = "" if first_s is None else f", first text after {first_s:.1f} s"
        lines.append(f"  streaming: {way}{first}")
        lines.append(f"  parameters: {', '.join(check.sent_parameters) or 'none'}")
    lines.append(f"  price: {check.price}")
    if check.limits:
        lines.append(f"  limits: {check.limits}")
    return lines


def limits_line(headers: Mapping[str, str]) -> str:
    """The rate limits that an answer's headers tell, "" when they tell none."""
    lower = {name.lower(): value for name, value in headers.items()}
    told = [
        f"{safe_line(lower[name])} {what}" for name, what in _LIMIT_HEADERS.items() if name in lower
    ]
    return f"{', '.join(told)} a minute" if told else ""


@dataclass(slots=True)
class _Try:
    """What one call has come to."""

    text: str = ""
    first_text_s: float | None = None
    completed: Completed | None = None
    failure: ProviderError | None = None


async def _checked(client: AdaptiveClient) -> ModelCheck:
    try:
        before = client.parameters
        tried = await _tried(client)
        if tried.completed is None and client.parameters != before:
            tried = await _tried(client)  # It has said what it wants instead.
    finally:
        await client.close()
    return _report(client, tried)


async def _tried(client: AdaptiveClient) -> _Try:
    start_s, tried = time.monotonic(), _Try()
    try:
        async with (
            asyncio.timeout(CHECK_TIMEOUT_S),
            aclosing(client.stream(_PROMPT, output_tokens_max=CHECK_OUTPUT_TOKENS_MAX)) as events,
        ):
            async for event in events:
                if isinstance(event, TextDelta):
                    tried.first_text_s = tried.first_text_s or time.monotonic() - start_s
                    tried.text += event.text
                else:
                    tried.completed = event
    except ProviderError as error:
        tried.failure = error
    except TimeoutError:
        late = f"no whole answer in {CHECK_TIMEOUT_S:g} s"
        tried.failure = ProviderError(ErrorKind.RETRY, late)
    return tried


def _report(client: AdaptiveClient, tried: _Try) -> ModelCheck:
    completed, failure = tried.completed, tried.failure
    refused = failure is not None and failure.status in {401, 403}
    reached = completed is not None or (failure is not None and failure.status is not None)
    unknown = isinstance(failure, UnknownModelError)
    return ModelCheck(
        model=client.model.spec,
        ok=completed is not None,
        key_ok=not refused if reached else None,
        name_ok=False if unknown else True if completed is not None else None,
        streaming=client.parameters.streaming if completed is not None else None,
        sent_parameters=client.sent_parameters(),
        price=price_line(client.model),
        limits=limits_line(client.latest_headers),
        first_text_s=tried.first_text_s,
        cost_usd=None if completed is None else cost_usd(client.model, completed.usage),
        message=str(failure) if failure is not None else _answer_line(tried.text, completed),
    )


def _answer_line(text: str, completed: Completed | None) -> str:
    shown = bounded(safe_line(text), characters_max=_ANSWER_CHARACTERS_MAX)
    if shown:
        return f"it answers: {shown}"
    if completed is not None and completed.finish_reason is FinishReason.LENGTH:
        return "its hidden reasoning used up a small answer; in a run its cap is raised"
    return "it answers nothing"
