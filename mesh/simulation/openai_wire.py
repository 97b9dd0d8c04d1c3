"""OpenAI's chat completions as values: answers and errors, as the API words them.

Follows the public API reference, and for errors the bodies that the API sends, so that the real
SDK raises the class that it would raise there. No I/O: requests are read by openai_requests.py,
HTTP is openai_api.py's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from mesh.simulation.answering import Ending, PlannedAnswer
from mesh.simulation.faults import Fault, FaultKind
from mesh.simulation.http_calls import Rejected, retry_after_headers
from mesh.simulation.models import SimulatedModel

INVALID = "invalid_request_error"

_FINISH_REASONS = {
    Ending.STOP: "stop",
    Ending.LENGTH: "length",
    Ending.FILTERED: "content_filter",
}


def unknown_model(name: str) -> Rejected:
    return Rejected(
        404,
        INVALID,
        f"The model `{name[:200]}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def refused_key(key: str) -> Rejected:
    shown = f"{key[:3]}{'*' * 8}{key[-2:]}"
    return Rejected(
        401,
        INVALID,
        f"Incorrect API key provided: {shown}. You can find your API key at "
        f"https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def rejection_of(fault: Fault, model: SimulatedModel, time_scale: float) -> Rejected:
    """A fault as the API words it."""
    outcome = fault.kind.value
    if fault.kind is FaultKind.RATE_LIMITED:
        headers = retry_after_headers(fault.retry_after_s, time_scale)
        wait_ms = max(1, round(fault.retry_after_s / time_scale * 1000))
        short = "TPM" if fault.detail == "tokens" else "RPM"
        return Rejected(
            429,
            fault.detail,
            f"Rate limit reached for {model.name} in organization org-simulated on {fault.detail} "
            f"per min ({short}): Limit {fault.tokens_max}. Please try again in {wait_ms}ms. Visit "
            f"https://platform.openai.com/account/rate-limits to learn more.",
            code="rate_limit_exceeded",
            headers={**headers, "retry-after-ms": str(wait_ms)},
            outcome=outcome,
        )
    if fault.kind is FaultKind.NO_CREDIT:
        return Rejected(
            429,
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details. For "
            "more information on this error, read the docs: "
            "https://platform.openai.com/docs/guides/error-codes/api-errors.",
            code="insufficient_quota",
            outcome=outcome,
        )
    if fault.kind is FaultKind.PROMPT_TOO_LONG:
        return Rejected(
            400,
            INVALID,
            f"This model's maximum context length is {fault.tokens_max} tokens. However, your "
            f"messages resulted in {fault.prompt_tokens} tokens. Please reduce the length of the "
            f"messages.",
            parameter="messages",
            code="context_length_exceeded",
            outcome=outcome,
        )
    if fault.kind is FaultKind.UNKNOWN_TOPIC:
        return Rejected(
            400, INVALID, fault.detail, parameter="messages", code="unknown_topic", outcome=outcome
        )
    return _server_fault(fault)


def error_body(rejected: Rejected) -> dict[str, Any]:
    return {
        "error": {
            "message": rejected.message,
            "type": rejected.kind,
            "param": rejected.parameter,
            "code": rejected.code,
        }
    }


def broken_stream_body() -> dict[str, Any]:
    """The data of a stream that the server gives up."""
    return error_body(_server_fault(Fault(FaultKind.SERVER_ERROR)))


def usage_of(plan: PlannedAnswer) -> dict[str, Any]:
    """OpenAI's rule: the prompt's tokens include those read from the cache."""
    use = plan.cache_use
    details = {"cached_tokens": use.read_tokens, "audio_tokens": 0}
    if plan.call.model.caches_at_breakpoints:
        details["cache_write_tokens"] = use.written_tokens
    return {
        "prompt_tokens": use.prompt_tokens,
        "completion_tokens": plan.output_tokens,
        "total_tokens": use.prompt_tokens + plan.output_tokens,
        "prompt_tokens_details": details,
        "completion_tokens_details": {
            "reasoning_tokens": plan.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion(plan: PlannedAnswer, call_id: str) -> dict[str, Any]:
    """A whole answer."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": plan.text,
        "refusal": None,
        "annotations": [],
    }
    return {
        **_head(plan, call_id, "chat.completion"),
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": _FINISH_REASONS[plan.ending],
            }
        ],
        "usage": usage_of(plan),
        "service_tier": "default",
    }


class ChunkWriter:
    """The chunks of one streamed answer, in order."""

    def __init__(self, plan: PlannedAnswer, call_id: str, *, with_usage: bool) -> None:
        self._plan = plan
        self._head = _head(plan, call_id, "chat.completion.chunk")
        # With usage asked for, every chunk has the field and the last one fills it.
        self._tail: dict[str, Any] = {"usage": None} if with_usage else {}

    def first(self) -> dict[str, Any]:
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def piece(self, text: str) -> dict[str, Any]:
        return self._chunk({"content": text})

    def last(self) -> list[dict[str, Any]]:
        chunks = [self._chunk({}, _FINISH_REASONS[self._plan.ending])]
        if self._tail:
            chunks.append({**self._head, "choices": [], "usage": usage_of(self._plan)})
        return chunks

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head, "choices": [choice], **self._tail}


def model_info(model: SimulatedModel, created_s: int) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": created_s, "owned_by": "simulated"}


def model_list(models: Iterable[SimulatedModel]) -> dict[str, Any]:
    """The first model is the newest."""
    now_s = 1_750_000_000
    data = [model_info(model, now_s - 86_400 * at) for at, model in enumerate(models)]
    return {"object": "list", "data": data}


def _head(plan: PlannedAnswer, call_id: str, kind: str) -> dict[str, Any]:
    return {
        "id": call_id,
        "object": kind,
        "created": int(time.time()),
        "model": plan.call.model.name,
        "system_fingerprint": "fp_simulated",
    }


def _server_fault(fault: Fault) -> Rejected:
    if fault.kind is FaultKind.OVERLOADED:
        return Rejected(
            503,
            "server_error",
            "The engine is currently overloaded, please try again later",
            outcome=fault.kind.value,
        )
    return Rejected(
        500,
        "server_error",
        "The server had an error while processing your request. Sorry about that!",
        outcome=fault.kind.value,
    )
