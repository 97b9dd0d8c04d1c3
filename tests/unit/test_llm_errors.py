"""What can be done about each failure, and what a person is told."""

from __future__ import annotations

import pytest

from mesh.config import ModelSpec
from mesh.llm.errors import (
    error_kind,
    is_prompt_too_long,
    is_unknown_model,
    provider_error,
    unknown_model_error,
)
from mesh.llm.failures import Failure
from mesh.llm.interface import ErrorKind, ProviderError, Usage
from mesh.llm.safe_text import MESSAGE_CHARACTERS_MAX

KEY = "sk-proj-Zx81kQpLm20Vt7"
OPENAI = ModelSpec("openai:gpt-4o", "openai", "gpt-4o", key_variable="OPENAI_API_KEY")
CLAUDE = ModelSpec(
    "anthropic:claude-haiku-4-5", "anthropic", "claude-haiku-4-5", key_variable="ANTHROPIC_API_KEY"
)
LOCAL = ModelSpec("a@http://127.0.0.1:8000/v1", "openai", "a", "http://127.0.0.1:8000/v1")


def error_of(failure: Failure, model: ModelSpec = OPENAI) -> ProviderError:
    return provider_error(failure, model, now_s=0.0, secrets=[KEY])


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_overload_and_server_faults_are_retried(status: int) -> None:
    assert error_kind(Failure(status)) is ErrorKind.RETRY


@pytest.mark.parametrize("status", [307, 400, 401, 402, 403, 404, 405, 422])
def test_what_a_person_must_mend_is_given_up(status: int) -> None:
    assert error_kind(Failure(status)) is ErrorKind.GIVE_UP


def test_no_connection_is_unreachable_but_a_cut_answer_is_retried() -> None:
    lost = Failure(None, network="connection refused")
    assert error_kind(lost) is ErrorKind.UNREACHABLE
    assert error_kind(lost, answering=True) is ErrorKind.RETRY
    assert str(error_of(lost)) == "no answer from api.openai.com: connection refused"


@pytest.mark.parametrize(
    "failure",
    [
        Failure(
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            code="insufficient_quota",
            type="insufficient_quota",
        ),
        Failure(429, "You exceeded your current quota"),
        Failure(402, "Payment required", type="billing_error"),
        Failure(400, "Your credit balance is too low to access the Anthropic API."),
        Failure(None, "quota", code="insufficient_quota"),
    ],
)
def test_no_credit_is_no_rate_limit(failure: Failure) -> None:
    error = error_of(failure)
    assert error.kind is ErrorKind.GIVE_UP
    assert "no credit at api.openai.com" in str(error)


def test_a_rate_limit_says_how_long_to_wait() -> None:
    failure = Failure(
        429,
        "Rate limit reached for gpt-4o on requests per min (RPM): Limit 3, Used 3",
        code="rate_limit_exceeded",
        headers={"retry-after": "20"},
    )
    error = error_of(failure)
    assert (error.kind, error.status, error.retry_after_s) == (ErrorKind.RETRY, 429, 20.0)


@pytest.mark.parametrize(
    "failure",
    [
        Failure(
            400,
            "This model's maximum context length is 4096 tokens. However, your messages resulted "
            "in 5000 tokens.",
            code="context_length_exceeded",
            parameter="messages",
        ),
        Failure(400, "prompt is too long: 210000 tokens > 200000 maximum"),
        Failure(413, "Request exceeds the maximum size", type="request_too_large"),
        Failure(429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000"),
        Failure(
            400,
            "'max_tokens' is too large: 4000. This model's maximum context length is 4096 tokens",
        ),
    ],
)
def test_a_prompt_that_is_too_long_is_to_be_shortened(failure: Failure) -> None:
    assert is_prompt_too_long(failure)
    assert error_of(failure).kind is ErrorKind.SHORTEN_PROMPT


@pytest.mark.parametrize(
    ("failure", "tokens_max"),
    [
        (Failure(400, "prompt is too long: 210000 tokens > 200000 maximum"), 200_000),
        (
            Failure(
                400,
                "input length and `max_tokens` exceed context limit: 184915 + 20000 > 204648, "
                "decrease input length or `max_tokens` and try again",
            ),
            204_648,
        ),
        (
            Failure(
                400,
                "This model's maximum context length is 128000 tokens. However, your messages "
                "resulted in 204308 tokens. Please reduce the length of the messages.",
                code="context_length_exceeded",
            ),
            128_000,
        ),
        (
            Failure(
                400,
                "Input tokens exceed the configured limit of 272,000 tokens. Your messages "
                "resulted in 300,001 tokens.",
                code="context_length_exceeded",
            ),
            272_000,
        ),
        (
            Failure(
                400,
                "request (5120 tokens) exceeds the available context size (4096 tokens)",
            ),
            4_096,
        ),
        (
            Failure(
                400,
                "Prompt is too long: the input token count (1200000) exceeds the maximum number of "
                "tokens allowed (1048576).",
            ),
            1_048_576,
        ),
        (Failure(500, "too large", type="exceed_context_size_error", tokens_max=256), 256),
        (Failure(413, "Request exceeds the maximum size"), None),
        (Failure(400, "prompt is too long"), None),
    ],
)
def test_how_long_a_prompt_may_be_is_read_from_the_providers_words(
    failure: Failure, tokens_max: int | None
) -> None:
    error = error_of(failure)
    assert error.kind is ErrorKind.SHORTEN_PROMPT
    assert error.tokens_max == tokens_max


def test_other_errors_tell_no_length() -> None:
    assert error_of(Failure(429, "Limit 60, used 60")).tokens_max is None


@pytest.mark.parametrize("kind", ["overloaded_error", "rate_limit_error", "api_error"])
def test_an_error_inside_a_stream_is_retried(kind: str) -> None:
    assert error_of(Failure(None, "Overloaded", type=kind), CLAUDE).kind is ErrorKind.RETRY


def test_a_refused_key_names_its_variable_and_never_quotes_the_provider() -> None:
    failure = Failure(401, "Incorrect API key provided: sk-proj-Zx81***0Vt7.")
    error = error_of(failure)
    assert error.kind is ErrorKind.GIVE_UP
    assert str(error) == (
        "api.openai.com refuses the key in OPENAI_API_KEY: set OPENAI_API_KEY to a valid one (401)"
    )


def test_a_server_that_wants_a_key_says_how_to_name_one() -> None:
    message = str(error_of(Failure(401), LOCAL))
    assert "127.0.0.1:8000 wants a key" in message
    assert "--model a@http://127.0.0.1:8000/v1,key=VARIABLE" in message


@pytest.mark.parametrize("status", [400, 403, 404, 422, 429, 500, None])
def test_a_key_that_a_provider_quotes_is_not_shown(status: int | None) -> None:
    text = str(error_of(Failure(status, f"bad key {KEY}, also Bearer {KEY[:12]}")))
    assert KEY[:12] not in text


@pytest.mark.parametrize("status", [301, 400, 403, 404, 429, 500, 529, None])
def test_a_message_is_one_bounded_line(status: int | None) -> None:
    error = error_of(Failure(status, "two\nlines \x1b[2J " + "word " * 5_000))
    assert len(str(error)) <= MESSAGE_CHARACTERS_MAX
    assert str(error).isprintable()


def test_a_wrong_address_is_told_from_a_wrong_name() -> None:
    failure = Failure(404, "Not Found")
    assert not is_unknown_model(failure)
    assert "check the address" in str(error_of(failure, LOCAL))


@pytest.mark.parametrize(
    "failure",
    [
        Failure(404, "The model `gpt-4o-mni` does not exist or you do not have access to it."),
        Failure(404, "The model `gpt-4.1-mni` does not exist"),
        Failure(404, 'model "llama9" not found, try pulling it first'),
        Failure(400, "gpt-99 is not a valid model ID"),
        Failure(404, "whatever", code="model_not_found"),
        Failure(404, "model: claude-hiku", type="not_found_error"),
        Failure(400, "Invalid model: x", parameter="model"),
    ],
)
def test_an_unknown_model_is_recognised(failure: Failure) -> None:
    assert is_unknown_model(failure)


def test_an_unknown_model_is_answered_with_near_matches() -> None:
    model = ModelSpec("openai:gpt-4o-mni", "openai", "gpt-4o-mni")
    error = unknown_model_error(model, ["gpt-4o-mini", "whisper-1", "gpt-4.1"])
    assert error.kind is ErrorKind.GIVE_UP
    assert str(error).startswith(
        "unknown model 'gpt-4o-mni' at api.openai.com: did you mean gpt-4o-mini"
    )
    assert "--model openai:gpt-4o-mini" in str(error)


def test_an_unknown_model_with_nothing_near_is_answered_with_what_there_is() -> None:
    model = ModelSpec("zzz@http://127.0.0.1:1/v1", "openai", "zzz", "http://127.0.0.1:1/v1")
    assert "it lists llama3, phi" in str(unknown_model_error(model, ["llama3", "phi"]))
    assert "check the name" in str(unknown_model_error(model, []))


def test_a_near_match_is_named_in_the_form_that_was_used() -> None:
    url = "http://127.0.0.1:1/v1"
    addressed = ModelSpec(f"lama3@{url}", "openai", "lama3", url)
    assert f"--model llama3@{url}" in str(unknown_model_error(addressed, ["llama3"]))
    simulated = ModelSpec("simulated:atls", "openai", "atls", url, simulated=True)
    assert "--model simulated:atlas" in str(unknown_model_error(simulated, ["atlas"]))


def test_what_a_failed_call_used_is_handed_on() -> None:
    usage = Usage(10, 0, 5, estimated=True)
    error = provider_error(Failure(None, "cut"), OPENAI, now_s=0.0, answering=True, usage=usage)
    assert error.usage == usage
