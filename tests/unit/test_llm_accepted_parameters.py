"""What is sent instead of a rejected parameter, by the wording of real providers and servers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.llm.accepted_parameters import (
    OUTPUT_CAP_FACTOR_MAX,
    AcceptedParameters,
    Rejection,
    adapt,
    with_higher_cap,
)

FIRST = AcceptedParameters()
OLD_NAME_FIRST = AcceptedParameters(cap_names=("max_tokens", "max_completion_tokens"))


def test_a_reasoning_model_is_sent_the_newer_name_of_the_cap() -> None:
    rejection = Rejection(
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
        parameter="max_tokens",
    )
    adapted = adapt(OLD_NAME_FIRST, rejection)
    assert adapted is not None
    assert adapted.cap_name == "max_completion_tokens"


@pytest.mark.parametrize(
    "message",
    [
        "Unrecognized request argument supplied: max_completion_tokens",
        "body.max_completion_tokens: Extra inputs are not permitted",
        "Use of max_completion_tokens is not supported, please use max_tokens",
    ],
)
def test_an_older_server_is_sent_the_older_name_of_the_cap(message: str) -> None:
    adapted = adapt(FIRST, Rejection(message))
    assert adapted is not None
    assert adapted.cap_name == "max_tokens"


def test_a_cap_rejected_under_both_names_is_not_sent() -> None:
    once = adapt(FIRST, Rejection("unknown field max_completion_tokens"))
    assert once is not None
    twice = adapt(once, Rejection("unknown field max_tokens"))
    assert twice is not None
    assert twice.cap_name is None
    assert adapt(twice, Rejection("unknown field max_tokens")) is None


def test_a_cap_that_the_api_insists_on_is_not_renamed() -> None:
    only = AcceptedParameters(cap_names=("max_tokens",), cap_required=True)
    assert adapt(only, Rejection("max_tokens: Input should be a valid integer")) is None


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        (
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, "
            "whereas you provided 100000.",
            16_384,
        ),
        (
            "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens for "
            "claude-3-5-haiku",
            8_192,
        ),
        ("max_tokens must be less than or equal to 4,096", 4_096),
    ],
)
def test_a_cap_that_is_too_high_is_lowered_under_the_same_name(message: str, limit: int) -> None:
    adapted = adapt(OLD_NAME_FIRST, Rejection(message, parameter="max_tokens"))
    assert adapted is not None
    assert adapted.cap_name == "max_tokens"
    assert adapted.output_cap(100_000) == limit
    assert adapted.output_cap(100) == 100


@pytest.mark.parametrize(
    "rejection",
    [
        Rejection("Unrecognized request argument supplied: stream_options"),
        Rejection("Extra inputs are not permitted", parameter="stream_options"),
        Rejection("include_usage is not supported"),
    ],
)
def test_a_server_that_knows_no_stream_options_still_streams(rejection: Rejection) -> None:
    adapted = adapt(FIRST, rejection)
    assert adapted is not None
    assert not adapted.stream_options
    assert adapted.streaming


@pytest.mark.parametrize(
    "rejection",
    [
        Rejection(
            "Your organization must be verified to stream this model. Please go to: …",
            parameter="stream",
        ),
        Rejection("Your organization must be verified to stream this model."),
        Rejection("Unsupported value: 'stream' does not support true with this model."),
        Rejection("Streaming is not supported for this model"),
        Rejection("This model does not support streaming"),
    ],
)
def test_a_model_that_may_not_stream_is_asked_for_whole_answers(rejection: Rejection) -> None:
    adapted = adapt(FIRST, rejection)
    assert adapted is not None
    assert not adapted.streaming


def test_a_model_without_a_system_role_gets_its_instructions_from_the_user() -> None:
    rejection = Rejection(
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        parameter="messages[0].role",
    )
    adapted = adapt(FIRST, rejection)
    assert adapted is not None
    assert not adapted.system_message


def test_cache_breakpoints_are_dropped_where_they_are_rejected() -> None:
    rejection = Rejection("system.0.cache_control: Extra inputs are not permitted")
    adapted = adapt(FIRST, rejection)
    assert adapted is not None
    assert not adapted.cache_control


@pytest.mark.parametrize(
    "rejection",
    [
        Rejection("Unknown parameter: 'x'.", "messages[1].content[0].prompt_cache_breakpoint"),
        Rejection("Unrecognized request argument supplied: prompt_cache_options"),
    ],
)
def test_openais_breakpoints_are_dropped_where_they_are_rejected(rejection: Rejection) -> None:
    adapted = adapt(replace(FIRST, cache_breakpoints=True), rejection)
    assert adapted is not None
    assert not adapted.cache_breakpoints
    assert adapted.cache_key


def test_a_cache_key_is_dropped_where_it_is_rejected() -> None:
    adapted = adapt(FIRST, Rejection("Unrecognized request argument supplied: prompt_cache_key"))
    assert adapted is not None
    assert not adapted.cache_key
    assert adapt(adapted, Rejection("Unrecognized request argument: prompt_cache_key")) is None


@pytest.mark.parametrize(
    "rejection",
    [
        Rejection(
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this "
            "model. Learn more about supported models at the Structured Outputs guide."
        ),
        Rejection("Extra inputs are not permitted", parameter="response_format"),
        Rejection("output_config: Extra inputs are not permitted"),
        Rejection("'claude-3-5-haiku' does not support output format."),
        Rejection("This model does not support structured outputs"),
    ],
)
def test_a_model_that_takes_no_schema_answers_in_lines(rejection: Rejection) -> None:
    adapted = adapt(FIRST, rejection)
    assert adapted == replace(FIRST, structured=False)


def test_a_cap_too_small_to_finish_is_raised() -> None:
    rejection = Rejection(
        "Could not finish the message because max_tokens or model output limit was reached. "
        "Please try again with higher max_tokens."
    )
    adapted = adapt(FIRST, rejection)
    assert adapted is not None
    assert adapted.output_cap(100) > FIRST.output_cap(100)
    assert adapted.cap_name == FIRST.cap_name


def test_a_cap_grows_only_so_far() -> None:
    parameters: AcceptedParameters | None = FIRST
    factor = 1
    while parameters is not None:
        factor = parameters.output_cap_factor
        parameters = with_higher_cap(parameters)
    assert factor == OUTPUT_CAP_FACTOR_MAX


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value for 'messages[1].content': expected a string",
        "The upstream server went away",
        "",
    ],
)
def test_a_rejection_of_anything_else_changes_nothing(message: str) -> None:
    assert adapt(FIRST, Rejection(message)) is None


def test_nothing_is_dropped_twice() -> None:
    """Otherwise one call could be repeated for ever."""
    rejection = Rejection("stream_options, stream and max_tokens are not supported")
    parameters: AcceptedParameters | None = FIRST
    seen = set()
    while parameters is not None:
        assert parameters not in seen
        seen.add(parameters)
        parameters = adapt(parameters, rejection)
    assert len(seen) > 2
