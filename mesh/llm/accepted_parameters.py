"""Which parameters a model accepts, learned from the errors by which it rejects others.

Real models differ, and lists of their differences go stale, so a call starts from the fewest
parameters and a rejection that names one drops or renames it, once. The clients hold the memory
and repeat the call; nothing is decided here about other failures (errors.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

OUTPUT_CAP_FACTOR_MAX = 16
_CAP_GROWTH = 4

_STREAM_REFUSED = re.compile(
    r"verified to stream"
    r"|\bstream(?:ing)?\b[^.]{0,60}(?:\bnot|n't) (?:be )?(?:support|allow|enabl|avail)"
    r"|(?:not support|unsupported)[^.]{0,40}\bstream(?:ing|ed)?\b",
    re.IGNORECASE,
)
_SYSTEM_REFUSED = re.compile(
    r"\bsystem\b[^.]{0,60}(?:(?:\bnot|n't) (?:be )?support|unsupported)"
    r"|(?:not support|unsupported)[^.]{0,40}\bsystem\b",
    re.IGNORECASE,
)
_SCHEMA_REFUSED = re.compile(
    r"response_format|json[ _]?schema|output_(?:config|format)|structured[ _]outputs?"
    r"|output format|guided|grammar",
    re.IGNORECASE,
)
_CAP_TOO_SMALL = re.compile(
    r"output limit was reached|higher max_(?:completion_)?tokens", re.IGNORECASE
)
_CAP_LIMIT = re.compile(
    r"(?:at most|maximum(?: value| allowed)?(?: is| of)?|less than or equal to|<=):?\s*(\d[\d,]*)"
    r"|>\s*(\d[\d,]*),? which is the maximum",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class AcceptedParameters:
    """How to ask one model; what is not known to be rejected counts as accepted."""

    cap_names: tuple[str, ...] = ("max_completion_tokens", "max_tokens")
    """Names of the cap on output that are not rejected; the first is sent, if there is one."""
    cap_required: bool = False
    """The API knows one name only and insists on it."""
    streaming: bool = True
    """False: the answer comes whole."""
    stream_options: bool = True
    """Whether a stream may be asked to report its usage."""
    system_message: bool = True
    """False: the instructions lead the user's message instead."""
    cache_control: bool = True
    """Whether cache breakpoints may be set (Anthropic's API only)."""
    cache_breakpoints: bool = False
    """Whether the prompt is kept up to explicit breakpoints (OpenAI's API, 5.6 and later)."""
    cache_key: bool = True
    """Whether a word may be sent that keeps calls of one prefix together (OpenAI's API only)."""
    cached_tokens_min: int = 512
    """Shortest prefix that is kept: no breakpoint is set within it."""
    structured: bool = True
    """Whether JSON by a strict schema may be asked for."""
    output_cap_factor: int = 1
    """The cap is multiplied by this: hidden reasoning used up what was left for the answer."""
    output_tokens_limit: int | None = None
    """Highest cap that the model takes, where it has said so."""
    patient: bool = False
    """Long silence before the first text is normal: it has been seen to reason at length."""

    @property
    def cap_name(self) -> str | None:
        """The name under which the cap is sent; None: not sent at all."""
        return self.cap_names[0] if self.cap_names else None

    def output_cap(self, output_tokens_max: int) -> int:
        """The cap to send for an answer of `output_tokens_max` tokens."""
        cap = output_tokens_max * self.output_cap_factor
        return cap if self.output_tokens_limit is None else min(cap, self.output_tokens_limit)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A provider's answer that a parameter is not to its liking (400 or 422)."""

    message: str
    parameter: str = ""
    """The parameter as the provider's own field names it; "" when it does not."""


def adapt(parameters: AcceptedParameters, rejection: Rejection) -> AcceptedParameters | None:
    """What to send instead; None when the rejection is about something else.

    Each answer differs from `parameters` in a way that is never undone, so that repeating a call
    as long as it is not None ends: two cap names, seven switches, one limit and a few growths.
    """
    if _CAP_TOO_SMALL.search(rejection.message):
        return with_higher_cap(parameters)
    for change in _CHANGES:
        changed = change(parameters, rejection)
        if changed is not None:
            return changed
    return None


def with_higher_cap(parameters: AcceptedParameters) -> AcceptedParameters | None:
    """Room for hidden reasoning that used up the cap; None when it has grown enough."""
    factor = parameters.output_cap_factor * _CAP_GROWTH
    if factor > OUTPUT_CAP_FACTOR_MAX:
        return None
    return replace(parameters, output_cap_factor=factor, patient=True)


def _without_stream_options(
    parameters: AcceptedParameters, rejection: Rejection
) -> AcceptedParameters | None:
    if not parameters.stream_options or not _names(rejection, "stream_options", "include_usage"):
        return None
    return replace(parameters, stream_options=False)


def _whole_answers(
    parameters: AcceptedParameters, rejection: Rejection
) -> AcceptedParameters | None:
    refused = rejection.parameter == "stream" or _STREAM_REFUSED.search(rejection.message)
    return replace(parameters, streaming=False) if parameters.streaming and refused else None


def _other_cap(parameters: AcceptedParameters, rejection: Rejection) -> AcceptedParameters | None:
    if parameters.cap_name is None or not _names(rejection, parameters.cap_name):
        return None
    limit = _CAP_LIMIT.search(rejection.message)
    if limit is not None:
        return _with_limit(parameters, int((limit[1] or limit[2]).replace(",", "")))
    if parameters.cap_required:
        return None
    return replace(parameters, cap_names=parameters.cap_names[1:])


def _with_limit(parameters: AcceptedParameters, limit: int) -> AcceptedParameters | None:
    known = parameters.output_tokens_limit
    if limit < 1 or (known is not None and limit >= known):
        return None
    return replace(parameters, output_tokens_limit=limit)


def _plain_cache(parameters: AcceptedParameters, rejection: Rejection) -> AcceptedParameters | None:
    if not parameters.cache_control or not _names(rejection, "cache_control"):
        return None
    return replace(parameters, cache_control=False)


def _no_cache_breakpoints(
    parameters: AcceptedParameters, rejection: Rejection
) -> AcceptedParameters | None:
    named = _names(rejection, "prompt_cache_breakpoint", "prompt_cache_options")
    return (
        replace(parameters, cache_breakpoints=False)
        if parameters.cache_breakpoints and named
        else None
    )


def _no_cache_key(
    parameters: AcceptedParameters, rejection: Rejection
) -> AcceptedParameters | None:
    named = _names(rejection, "prompt_cache_key")
    return replace(parameters, cache_key=False) if parameters.cache_key and named else None


def _plain_text(parameters: AcceptedParameters, rejection: Rejection) -> AcceptedParameters | None:
    refused = _SCHEMA_REFUSED.search(f"{rejection.parameter} {rejection.message}")
    return replace(parameters, structured=False) if parameters.structured and refused else None


def _no_system(parameters: AcceptedParameters, rejection: Rejection) -> AcceptedParameters | None:
    if not parameters.system_message or not _SYSTEM_REFUSED.search(rejection.message):
        return None
    return replace(parameters, system_message=False)


def _names(rejection: Rejection, *names: str) -> bool:
    """Whether the rejection is about one of `names`, all of which are sent.

    The provider's own field decides where it is filled. A message may also name what it recommends
    ("Use 'max_completion_tokens' instead"), which does no harm: that is not what was sent.
    """
    where = rejection.parameter or rejection.message
    return any(re.search(rf"\b{name}\b", where) for name in names)


_CHANGES = (
    _plain_text,
    _no_cache_breakpoints,
    _no_cache_key,
    _without_stream_options,
    _whole_answers,
    _other_cap,
    _plain_cache,
    _no_system,
)
