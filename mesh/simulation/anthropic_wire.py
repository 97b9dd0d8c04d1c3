"""Anthropic's messages API as values: requests read and checked, answers and errors worded.

Follows the public API reference, and for errors the bodies that the API sends, so that the real
SDK raises the class that it would raise there. No I/O: anthropic_api.py carries it over HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mesh.simulation.answering import Call, Ending, PlannedAnswer
from mesh.simulation.faults import Fault, FaultKind
from mesh.simulation.http_calls import Rejected, retry_after_headers
from mesh.simulation.models import SimulatedModel
from mesh.simulation.prompt_cache import (
    BREAKPOINTS_MAX,
    LIFETIME_S,
    LONG_LIFETIME_S,
    CacheUse,
    PromptBlock,
)
from mesh.simulation.schemas import list_name_of

INVALID = "invalid_request_error"
TOO_LARGE = "request_too_large"

_STOP_REASONS = {
    Ending.STOP: "end_turn",
    Ending.LENGTH: "max_tokens",
    Ending.FILTERED: "refusal",
}
_PARAMETERS = """
    cache_control container context_management diagnostics inference_geo max_tokens mcp_servers
    messages metadata model output_config service_tier speed stop_sequences stream system
    temperature thinking tool_choice tools top_k top_p
"""
_LIFETIMES_S = {None: LIFETIME_S, "5m": LIFETIME_S, "1h": LONG_LIFETIME_S}


def read_call(body: Mapping[str, Any], model: SimulatedModel) -> Call:
    """The call that `body` makes of `model`. Raises Rejected, worded as the API does."""
    for name in body:
        if name not in _PARAMETERS.split() or name in model.unrecognized:
            raise _bad(f"{name}: Extra inputs are not permitted")
        if name in model.rejects and body[name] is not None:
            raise _bad(f"`{name}` is deprecated for this model.")
    cap = _cap(body, model)
    blocks = [*_system_blocks(body, model), *_message_blocks(body, model)]
    marked_count = sum(block.lifetime_s is not None for block in blocks)
    if marked_count > BREAKPOINTS_MAX:
        raise _bad(
            f"A maximum of {BREAKPOINTS_MAX} blocks with cache_control may be provided. Found "
            f"{marked_count}."
        )
    streamed = bool(body.get("stream"))
    return Call(model, tuple(blocks), cap, streamed, list_name=_list_name(body))


def model_named(
    body: Mapping[str, Any] | None, models: Mapping[str, SimulatedModel]
) -> SimulatedModel:
    """The model that the request names. Raises Rejected."""
    if body is None:
        raise _bad("The request body is not valid JSON")
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise _bad("model: Field required")
    model = models.get(name)
    if model is None or model.api != "anthropic":
        raise unknown_model(name)
    return model


def unknown_model(name: str) -> Rejected:
    return Rejected(404, "not_found_error", f"model: {name[:200]}", outcome="unknown_model")


def refused_key() -> Rejected:
    return Rejected(401, "authentication_error", "invalid x-api-key")


def rejection_of(fault: Fault, model: SimulatedModel, time_scale: float) -> Rejected:
    """A fault as the API words it."""
    outcome = fault.kind.value
    if fault.kind is FaultKind.RATE_LIMITED:
        return Rejected(
            429,
            "rate_limit_error",
            f"This request would exceed your organization's rate limit of {fault.tokens_max} "
            f"{fault.detail} per minute (model: {model.name}). Please reduce the number of "
            f"requests or try again later.",
            headers=retry_after_headers(fault.retry_after_s, time_scale),
            outcome=outcome,
        )
    if fault.kind is FaultKind.NO_CREDIT:
        return Rejected(
            402,
            "billing_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
            "Billing to upgrade or purchase credits.",
            outcome=outcome,
        )
    if fault.kind is FaultKind.PROMPT_TOO_LONG:
        message = f"prompt is too long: {fault.prompt_tokens} tokens > {fault.tokens_max} maximum"
        return Rejected(400, INVALID, message, outcome=outcome)
    if fault.kind is FaultKind.UNKNOWN_TOPIC:
        return Rejected(400, INVALID, f"messages: {fault.detail}", outcome=outcome)
    if fault.kind is FaultKind.OVERLOADED:
        return Rejected(529, "overloaded_error", "Overloaded", outcome=outcome)
    return Rejected(500, "api_error", "Internal server error", outcome=outcome)


def error_body(rejected: Rejected, request_id: str) -> dict[str, Any]:
    return {
        "type": "error",
        "error": {"type": rejected.kind, "message": rejected.message},
        "request_id": request_id,
    }


def broken_stream_body(request_id: str) -> dict[str, Any]:
    """The error event of a stream that the server gives up."""
    return error_body(Rejected(529, "overloaded_error", "Overloaded"), request_id)


def message(plan: PlannedAnswer, call_id: str) -> dict[str, Any]:
    """A whole answer."""
    content = [{"type": "text", "text": plan.text}] if plan.text else []
    return {
        **_head(plan, call_id),
        "content": content,
        "stop_reason": _STOP_REASONS[plan.ending],
        "usage": {**_prompt_usage(plan.cache_use), "output_tokens": _output_tokens(plan)},
    }


class EventWriter:
    """The events of one streamed answer, in order, as (name, data)."""

    def __init__(self, plan: PlannedAnswer, call_id: str) -> None:
        self._plan = plan
        self._call_id = call_id

    def first(self) -> list[dict[str, Any]]:
        usage = {**_prompt_usage(self._plan.cache_use), "output_tokens": 1}
        start = {**_head(self._plan, self._call_id), "content": [], "usage": usage}
        events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
        if self._plan.text:
            block = {"type": "text", "text": ""}
            events.append({"type": "content_block_start", "index": 0, "content_block": block})
        return [*events, {"type": "ping"}]

    def piece(self, text: str) -> dict[str, Any]:
        delta = {"type": "text_delta", "text": text}
        return {"type": "content_block_delta", "index": 0, "delta": delta}

    def last(self) -> list[dict[str, Any]]:
        plan = self._plan
        ending = {"stop_reason": _STOP_REASONS[plan.ending], "stop_sequence": None}
        usage = {**_prompt_counts(plan.cache_use), "output_tokens": _output_tokens(plan)}
        events: list[dict[str, Any]] = []
        if plan.text:
            events.append({"type": "content_block_stop", "index": 0})
        return [
            *events,
            {"type": "message_delta", "delta": ending, "usage": usage},
            {"type": "message_stop"},
        ]


def model_info(model: SimulatedModel) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.name,
        "display_name": f"{model.name.capitalize()} (simulated)",
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
    }


def model_list(
    models: Sequence[SimulatedModel], *, after_id: str | None, limit: int
) -> dict[str, Any]:
    """One page of the list; raises Rejected for a page that begins nowhere."""
    names = [model.name for model in models]
    if after_id is not None and after_id not in names:
        raise _bad(f"after_id: no model {after_id[:200]}")
    start = 0 if after_id is None else names.index(after_id) + 1
    page = models[start : start + limit]
    return {
        "data": [model_info(model) for model in page],
        "has_more": start + limit < len(models),
        "first_id": page[0].name if page else None,
        "last_id": page[-1].name if page else None,
    }


def page_limit(value: str | None) -> int:
    """The query's `limit`, 1 to 1,000. Raises Rejected."""
    if value is None:
        return 20
    if not value.isdecimal() or not 1 <= int(value[:6]) <= 1000:
        raise _bad("limit: Input should be between 1 and 1000")
    return int(value)


def _head(plan: PlannedAnswer, call_id: str) -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "message",
        "role": "assistant",
        "model": plan.call.model.name,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _prompt_usage(use: CacheUse) -> dict[str, Any]:
    long_tokens = 0
    if use.kept and all(lifetime_s == LONG_LIFETIME_S for _, lifetime_s in use.kept):
        long_tokens = use.written_tokens
    return {
        **_prompt_counts(use),
        "cache_creation": {
            "ephemeral_5m_input_tokens": use.written_tokens - long_tokens,
            "ephemeral_1h_input_tokens": long_tokens,
        },
        "service_tier": "standard",
    }


def _prompt_counts(use: CacheUse) -> dict[str, int]:
    """Anthropic's rule: the input's tokens exclude those read from or written to the cache."""
    return {
        "input_tokens": use.prompt_tokens - use.read_tokens - use.written_tokens,
        "cache_creation_input_tokens": use.written_tokens,
        "cache_read_input_tokens": use.read_tokens,
    }


def _output_tokens(plan: PlannedAnswer) -> int:
    return max(1, plan.output_tokens)


def _cap(body: Mapping[str, Any], model: SimulatedModel) -> int:
    cap = body.get("max_tokens")
    if cap is None:
        raise _bad("max_tokens: Field required")
    if not isinstance(cap, int) or isinstance(cap, bool):
        raise _bad("max_tokens: Input should be a valid integer")
    if cap < 1:
        raise _bad("max_tokens: Input should be greater than or equal to 1")
    if model.output_tokens_max and cap > model.output_tokens_max:
        raise _bad(
            f"max_tokens: {cap} > {model.output_tokens_max}, which is the maximum allowed number "
            f"of output tokens for {model.name}"
        )
    return cap


def _list_name(body: Mapping[str, Any]) -> str | None:
    """The list that a structured answer must hold; None where no schema is given."""
    config = body.get("output_config")
    wanted = config.get("format") if isinstance(config, Mapping) else None
    if wanted is None:
        return None
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        raise _bad("output_config.format.type: Input should be 'json_schema'")
    name = list_name_of(wanted.get("schema"))
    if name is None:
        raise _bad(
            "output_config.format.schema: this server knows schemas of one list of strings alone, "
            "with 'additionalProperties' explicitly set to false"
        )
    return name


def _system_blocks(body: Mapping[str, Any], model: SimulatedModel) -> list[PromptBlock]:
    system = body.get("system")
    if system is None:
        return []
    return _content_blocks(system, "system", model)


def _message_blocks(body: Mapping[str, Any], model: SimulatedModel) -> list[PromptBlock]:
    messages = body.get("messages")
    if messages is None:
        raise _bad("messages: Field required")
    if not isinstance(messages, list) or not messages:
        raise _bad("messages: at least one message is required")
    blocks: list[PromptBlock] = []
    for at, one in enumerate(messages):
        if not isinstance(one, dict) or one.get("role") not in {"user", "assistant"}:
            raise _bad(
                f"messages.{at}.role: Input should be 'user' or 'assistant'. The Messages API "
                f"accepts a top-level `system` parameter."
            )
        blocks += _content_blocks(one.get("content"), f"messages.{at}.content", model)
    return blocks


def _content_blocks(content: object, where: str, model: SimulatedModel) -> list[PromptBlock]:
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list):
        raise _bad(f"{where}: Input should be a valid string or list")
    return [_block(part, f"{where}.{at}", model) for at, part in enumerate(parts)]


def _block(part: object, where: str, model: SimulatedModel) -> PromptBlock:
    if not isinstance(part, dict) or not isinstance(part.get("text"), str):
        raise _bad(f"{where}: this server reads text blocks")
    text, control = part["text"], part.get("cache_control")
    if not text:
        raise _bad(f"{where.split('.')[0]}: text content blocks must be non-empty")
    if control is None:
        return PromptBlock(text)
    if "cache_control" in model.unrecognized:
        raise _bad(f"{where}.cache_control: Extra inputs are not permitted")
    lifetime = control.get("ttl") if isinstance(control, dict) else ""
    if lifetime not in _LIFETIMES_S:
        raise _bad(f"{where}.cache_control.ttl: Input should be '5m' or '1h'")
    return PromptBlock(text, _LIFETIMES_S[lifetime])


def _bad(text: str) -> Rejected:
    return Rejected(400, INVALID, text, outcome="bad_request")
