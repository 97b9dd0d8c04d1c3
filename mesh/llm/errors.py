"""What can be done about a failed call: retry, wait for the network, shorten, or give up.

Pure: from what the provider said (failures.py) to a `ProviderError` whose message tells a person
what to do. How long to wait is retrying.py's; which parameters to send instead, after an answer
400 that names one, is accepted_parameters.py's.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from mesh.config import ModelSpec
from mesh.llm.endpoints import base_url_of, is_named_by_address, server_name
from mesh.llm.failures import Failure, retry_after_s
from mesh.llm.interface import ErrorKind, ProviderError, RateLimits, Usage
from mesh.llm.safe_text import bounded, safe_line

NEAR_MATCHES_MAX = 3
_NAMES_SHOWN_MAX = 5
_SIMILARITY_MIN = 0.5

_NO_CREDIT_CODES = frozenset(
    {"insufficient_quota", "billing_error", "billing_hard_limit_reached", "billing_not_active"}
)
_NO_CREDIT = re.compile(
    r"credit balance|exceeded your current quota|insufficient (?:quota|credit|balance|funds)"
    r"|billing (?:hard )?limit|account is not active",
    re.IGNORECASE,
)
_TOO_LONG_CODES = frozenset(
    {
        "context_length_exceeded",
        "exceed_context_size_error",
        "request_too_large",
        "string_above_max_length",
    }
)
_TOO_LONG = re.compile(
    r"context[ _-]?(?:length|limit|window|size)|prompt is too long"
    r"|too many (?:input |prompt )?tokens|input (?:is )?too long"
    r"|prompt (?:length|tokens)[^.]{0,30}exceed|request too large",
    re.IGNORECASE,
)
_NUMBER = r"(\d[\d,_]{0,12})"
_TOKENS_MAX = (
    # Anthropic: "210000 tokens > 200000 maximum", "190000 + 20000 > 200000".
    re.compile(rf"> {_NUMBER}"),
    # OpenAI and vLLM; llama.cpp; Gemini: "number of tokens allowed (1048576)".
    re.compile(
        rf"(?:context (?:length|window|size)|\blimit|tokens allowed)\D{{0,16}}{_NUMBER}",
        re.IGNORECASE,
    ),
)
_UNKNOWN_MODEL_CODES = frozenset({"model_not_found", "invalid_model", "unknown_model"})
_UNKNOWN_MODEL = re.compile(
    r"\bmodels?\b.{0,160}?(?:not (?:be )?found|(?:not|n't) exist)"
    r"|(?:unknown|invalid|no such|not a valid) model\b|^model:\s",
    re.IGNORECASE,
)
_LATER_STATUSES = frozenset({408, 409, 425, 429})
_LATER_TYPES = frozenset(
    {"overloaded_error", "rate_limit_error", "api_error", "timeout_error", "server_error"}
)


class UnknownModelError(ProviderError):
    """The provider knows no model of that name."""


def provider_error(
    failure: Failure,
    model: ModelSpec,
    *,
    now_s: float,
    secrets: Iterable[str] = (),
    answering: bool = False,
    usage: Usage | None = None,
    limits: RateLimits | None = None,
) -> ProviderError:
    """Sort a failed call by what can be done about it.

    Args:
        now_s: seconds since 1970, for a Retry-After given as a date.
        secrets: keys in use, kept out of the message.
        answering: the answer had begun, so that the server was reached: its stream was cut.
        usage: what the call used before it failed.
        limits: as the answer's headers say.
    """
    kind = error_kind(failure, answering=answering)
    return ProviderError(
        kind,
        bounded(_message(kind, failure, model, tuple(secrets))),
        status=failure.status,
        retry_after_s=retry_after_s(failure.headers, now_s=now_s),
        usage=usage,
        limits=limits,
        tokens_max=tokens_max(failure) if kind is ErrorKind.SHORTEN_PROMPT else None,
    )


def tokens_max(failure: Failure) -> int | None:
    """What prompt and answer may hold together, by the words of a "too long"; None: not told.

    Example: `prompt is too long: 210000 tokens > 200000 maximum` tells 200000.
    """
    if failure.tokens_max is not None:
        return failure.tokens_max
    found = (pattern.search(failure.message) for pattern in _TOKENS_MAX)
    number = next((match[1] for match in found if match is not None), "")
    return int(re.sub(r"\D", "", number) or 0) or None


def error_kind(failure: Failure, *, answering: bool = False) -> ErrorKind:
    """What the caller can do; a fault that nobody knows is retried when it came in a stream."""
    if failure.network:
        return ErrorKind.RETRY if answering else ErrorKind.UNREACHABLE
    if is_without_credit(failure):
        return ErrorKind.GIVE_UP
    if is_prompt_too_long(failure):
        return ErrorKind.SHORTEN_PROMPT
    status = failure.status
    if status is None or status in _LATER_STATUSES or status >= 500:
        return ErrorKind.RETRY
    return ErrorKind.RETRY if failure.type in _LATER_TYPES else ErrorKind.GIVE_UP


def is_without_credit(failure: Failure) -> bool:
    """Whether the account has to be paid for: OpenAI says so in a 429, Anthropic in a 400."""
    words = {failure.code, failure.type}
    if failure.status == 402 or words & _NO_CREDIT_CODES:
        return True
    return failure.status in {None, 400, 403, 429} and bool(_NO_CREDIT.search(failure.message))


def is_prompt_too_long(failure: Failure) -> bool:
    """Whether the same prompt can never succeed, although a shorter one would."""
    if failure.status == 413 or {failure.code, failure.type} & _TOO_LONG_CODES:
        return True
    return failure.status in {None, 400, 422, 429} and bool(_TOO_LONG.search(failure.message))


def is_unknown_model(failure: Failure) -> bool:
    """Whether the provider knows no model of that name."""
    if failure.status not in {400, 404}:
        return False
    if failure.code in _UNKNOWN_MODEL_CODES or failure.parameter == "model":
        return True
    return bool(_UNKNOWN_MODEL.search(failure.message))


def unknown_model_error(model: ModelSpec, names: Sequence[str]) -> UnknownModelError:
    """The error for a name that its provider does not list, with what was perhaps meant.

    Example: `unknown model 'gpt-4o-mni' at api.openai.com: did you mean gpt-4o-mini? (say --model
    openai:gpt-4o-mini)`.
    """
    shown = [safe_line(name) for name in names]
    near = difflib.get_close_matches(model.name, shown, NEAR_MATCHES_MAX, _SIMILARITY_MIN)
    if near:
        hint = f"did you mean {' or '.join(near)}? (say --model {_spec_with_name(model, near[0])})"
    elif shown:
        listed = ", ".join(shown[:_NAMES_SHOWN_MAX])
        hint = f"it lists {listed}{' …' if len(shown) > _NAMES_SHOWN_MAX else ''}"
    else:
        hint = "check the name given to --model"
    message = f"unknown model '{model.name}' at {server_name(model)}: {hint}"
    return UnknownModelError(ErrorKind.GIVE_UP, bounded(message), status=404)


def _spec_with_name(model: ModelSpec, name: str) -> str:
    """The SPEC that names another model of the same provider."""
    if is_named_by_address(model):
        return f"{name}@{base_url_of(model)}"
    provider = "simulated" if model.simulated else model.api
    return f"{provider}:{name}"


def _message(kind: ErrorKind, failure: Failure, model: ModelSpec, secrets: tuple[str, ...]) -> str:
    server = server_name(model)
    said = safe_line(failure.message, secrets=secrets)
    if kind is ErrorKind.UNREACHABLE:
        return f"no answer from {server}: {failure.network}"
    if kind is ErrorKind.SHORTEN_PROMPT:
        return f"the prompt is longer than {model.name} at {server} takes: {said}"
    if kind is ErrorKind.RETRY:
        return _retry_message(failure, server, said)
    return _give_up_message(failure, model, server, said)


def _retry_message(failure: Failure, server: str, said: str) -> str:
    if failure.network:
        return f"the answer from {server} was cut: {failure.network}"
    if failure.status == 429:
        return f"rate limit at {server} (429): {said}"
    if failure.status == 529 or failure.type == "overloaded_error":
        return f"{server} is overloaded: {said}"
    where = f" ({failure.status})" if failure.status is not None else ""
    return f"fault at {server}{where}: {said}"


def _give_up_message(failure: Failure, model: ModelSpec, server: str, said: str) -> str:
    if is_without_credit(failure):
        return f"no credit at {server} for {model.name}: add credit or raise the limit there"
    if failure.status == 401:
        # Never the provider's own words here: they quote the key.
        return f"{_refused_key(model, server)} (401)"
    if failure.status == 403:
        holder = f" with the key in {model.key_variable}" if model.key_variable else ""
        return f"{server} denies access to {model.name}{holder} (403): {said}"
    if failure.status == 404:
        return f"nothing at {base_url_of(model)} answers this call (404): check the address: {said}"
    if failure.status is not None and failure.status < 400:
        return f"{server} points to another address ({failure.status}): give that one instead"
    return f"{server} rejects the call to {model.name} ({failure.status}): {said}"


def _refused_key(model: ModelSpec, server: str) -> str:
    if model.key_variable is not None:
        variable = model.key_variable
        return f"{server} refuses the key in {variable}: set {variable} to a valid one"
    if is_named_by_address(model):
        return f"{server} wants a key: name its variable, --model {model.spec},key=VARIABLE"
    return f"{server} wants a key: set {model.api.upper()}_API_KEY"
