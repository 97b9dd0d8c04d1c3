"""Requests of OpenAI's chat completions, read and checked: from a JSON body to a call.

What a model does not take is refused in the words of the API. No I/O; answers and the other
errors are openai_wire.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mesh.simulation.answering import Call
from mesh.simulation.http_calls import Rejected
from mesh.simulation.models import SimulatedModel
from mesh.simulation.openai_wire import INVALID, unknown_model
from mesh.simulation.prompt_cache import LIFETIME_S, PromptBlock
from mesh.simulation.schemas import list_name_of

BREAKPOINT_FIELD = "prompt_cache_breakpoint"
CACHE_KEY_CHARACTERS_MAX = 64

_PARAMETERS = """
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
    max_tokens messages metadata modalities model moderation n parallel_tool_calls prediction
    presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort
    response_format safety_identifier seed service_tier stop store stream stream_options
    temperature tool_choice tools top_logprobs top_p user verbosity web_search_options
"""
_DEFAULT = ("temperature", 1)
_CAPS = ("max_completion_tokens", "max_tokens")
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def read_call(body: Mapping[str, Any], model: SimulatedModel) -> Call:
    """The call that `body` makes of `model`. Raises Rejected, worded as the API does."""
    _check_parameters(body, model)
    streamed = bool(body.get("stream"))
    if streamed and not model.streams:
        raise _bad(
            "Your organization must be verified to stream this model. Please go to: "
            "https://platform.openai.com/settings/organization/general and click on Verify "
            "Organization. If you just verified, it can take up to 15 minutes for access to "
            "propagate.",
            "stream",
            "unsupported_value",
        )
    if body.get("stream_options") is not None and not streamed:
        raise _bad(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    return Call(
        model,
        _blocks(body, model),
        _cap(body, model),
        streamed,
        list_name=_list_name(body),
        cache_key=_cache_key(body),
    )


def wants_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def model_named(
    body: Mapping[str, Any] | None, models: Mapping[str, SimulatedModel]
) -> SimulatedModel:
    """The model that the request names. Raises Rejected."""
    if body is None:
        raise _bad(
            "We could not parse the JSON body of your request. (HINT: This likely means you "
            "aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but "
            "what was sent was not valid JSON.)",
            None,
        )
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise _bad("you must provide a model parameter", None)
    model = models.get(name)
    if model is None or model.api != "openai":
        raise unknown_model(name)
    return model


def _check_parameters(body: Mapping[str, Any], model: SimulatedModel) -> None:
    for name in body:
        if name not in _PARAMETERS.split() or name in model.unrecognized:
            raise _bad(f"Unrecognized request argument supplied: {name}", None)
        # The default is taken even where nothing else is.
        if name in model.rejects and body[name] is not None and (name, body[name]) != _DEFAULT:
            raise _unsupported(name, body[name])
    if body.get("prompt_cache_options") is not None and not model.caches_at_breakpoints:
        raise _bad(
            "Unsupported parameter: 'prompt_cache_options' is not supported with this model.",
            "prompt_cache_options",
            "unsupported_parameter",
        )


def _unsupported(name: str, value: object) -> Rejected:
    if name == "max_tokens":
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead."
        )
    elif name == "temperature":
        message = (
            f"Unsupported value: 'temperature' does not support {value} with this model. Only the "
            f"default (1) value is supported."
        )
        return _bad(message, name, "unsupported_value")
    elif name == "response_format":
        kind = value.get("type") if isinstance(value, Mapping) else value
        message = (
            f"Invalid parameter: 'response_format' of type '{kind}' is not supported with this "
            f"model. Learn more about supported models at the Structured Outputs guide: "
            f"https://platform.openai.com/docs/guides/structured-outputs"
        )
        return _bad(message, None)
    else:
        message = f"Unsupported parameter: '{name}' is not supported with this model."
    return _bad(message, name, "unsupported_parameter")


def _cap(body: Mapping[str, Any], model: SimulatedModel) -> int | None:
    given = [name for name in _CAPS if body.get(name) is not None]
    if len(given) > 1:
        raise _bad(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
        )
    if not given:
        return None
    name, cap = given[0], body[given[0]]
    if not isinstance(cap, int) or isinstance(cap, bool):
        raise _bad(f"Invalid type for '{name}': expected an integer.", name, "invalid_type")
    if cap < 1:
        raise _bad(
            f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {cap} "
            f"instead.",
            name,
            "integer_below_min_value",
        )
    if model.output_tokens_max and cap > model.output_tokens_max:
        raise _bad(
            f"{name} is too large: {cap}. This model supports at most {model.output_tokens_max} "
            f"completion tokens, whereas you provided {cap}.",
            name,
            "invalid_value",
        )
    return cap


def _list_name(body: Mapping[str, Any]) -> str | None:
    """The list that a structured answer must hold; None where no schema is given."""
    wanted = body.get("response_format")
    if wanted is None or (isinstance(wanted, Mapping) and wanted.get("type") == "text"):
        return None
    schema = wanted.get("json_schema") if isinstance(wanted, Mapping) else None
    if not isinstance(schema, Mapping) or not isinstance(schema.get("name"), str):
        raise _bad(
            "Missing required parameter: 'response_format.json_schema'.",
            "response_format.json_schema",
            "missing_required_parameter",
        )
    name = list_name_of(schema.get("schema"))
    if name is None or schema.get("strict") is not True:
        raise _bad(
            f"Invalid schema for response_format '{schema['name'][:64]}': this server knows strict "
            f"schemas of one list of strings alone.",
            "response_format",
        )
    return name


def _cache_key(body: Mapping[str, Any]) -> str:
    key = body.get("prompt_cache_key")
    if key is None:
        return ""
    if not isinstance(key, str) or len(key) > CACHE_KEY_CHARACTERS_MAX:
        raise _bad(
            f"Invalid 'prompt_cache_key': expected a string of at most "
            f"{CACHE_KEY_CHARACTERS_MAX} characters.",
            "prompt_cache_key",
            "string_above_max_length",
        )
    return key


def _blocks(body: Mapping[str, Any], model: SimulatedModel) -> tuple[PromptBlock, ...]:
    messages = body.get("messages")
    if messages is None:
        raise _bad(
            "Missing required parameter: 'messages'.", "messages", "missing_required_parameter"
        )
    if not isinstance(messages, list) or not messages:
        raise _bad(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            "messages",
            "empty_array",
        )
    blocks: list[PromptBlock] = []
    for at, message in enumerate(messages):
        blocks += _message_blocks(message, f"messages[{at}]", model)
    if blocks and _marks_the_end(body, model):
        blocks[-1] = PromptBlock(blocks[-1].text, LIFETIME_S)
    return tuple(blocks)


def _marks_the_end(body: Mapping[str, Any], model: SimulatedModel) -> bool:
    """Unless told otherwise the API keeps the whole prompt by a breakpoint of its own."""
    options = body.get("prompt_cache_options")
    mode = options.get("mode") if isinstance(options, Mapping) else None
    return model.caches_at_breakpoints and mode != "explicit"


def _message_blocks(message: object, where: str, model: SimulatedModel) -> list[PromptBlock]:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        raise _bad(f"Invalid value for '{where}.role'.", f"{where}.role", "invalid_value")
    if message["role"] in model.rejects:
        raise _bad(
            f"Unsupported value: '{where}.role' does not support '{message['role']}' with this "
            f"model.",
            f"{where}.role",
            "unsupported_value",
        )
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list):
        raise _bad(
            f"Invalid value for '{where}.content': expected a string or an array of objects.",
            f"{where}.content",
            "invalid_type",
        )
    return [_block(part, f"{where}.content[{at}]", model) for at, part in enumerate(parts)]


def _block(part: object, where: str, model: SimulatedModel) -> PromptBlock:
    if not isinstance(part, dict) or not isinstance(part.get("text"), str):
        raise _bad(f"Invalid value for '{where}': this server reads text.", where, "invalid_value")
    if BREAKPOINT_FIELD not in part:
        return PromptBlock(part["text"])
    if not model.caches_at_breakpoints:
        raise _bad(
            f"Unknown parameter: '{where}.{BREAKPOINT_FIELD}'.",
            f"{where}.{BREAKPOINT_FIELD}",
            "unknown_parameter",
        )
    return PromptBlock(part["text"], LIFETIME_S)


def _bad(message: str, parameter: str | None, code: str | None = None) -> Rejected:
    return Rejected(400, INVALID, message, parameter=parameter, code=code, outcome="bad_request")
