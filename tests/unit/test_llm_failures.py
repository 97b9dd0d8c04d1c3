"""Reading what providers and compatible servers write when they fail."""

from __future__ import annotations

import socket
import ssl
from email.utils import formatdate

import pytest

from mesh.llm.failures import failure_of, network_fault, retry_after_s

NOW_S = 1_800_000_000.0


class SdkError(Exception):
    """The attributes that both SDKs' errors have."""

    def __init__(self, status_code: int, body: object) -> None:
        super().__init__("Error code: …")
        self.status_code = status_code
        self.body = body


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no", "code": "c", "type": "t", "param": "p"}},
        {"message": "no", "code": "c", "type": "t", "param": "p"},
    ],
)
def test_an_error_object_is_read_wrapped_or_not(body: object) -> None:
    """The openai SDK unwraps it, the anthropic SDK does not."""
    failure = failure_of(SdkError(400, body))
    assert (failure.status, failure.message, failure.code) == (400, "no", "c")
    assert (failure.type, failure.parameter) == ("t", "p")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "model not found"}, "model not found"),
        ({"detail": "Not Found"}, "Not Found"),
        ("<html>Bad Gateway</html>", "<html>Bad Gateway</html>"),
        ({"object": "error", "message": "too long", "code": 40303}, "too long"),
        ({"error": {"message": None}}, "Error code: …"),
        (None, "Error code: …"),
        (["odd"], "Error code: …"),
    ],
)
def test_other_shapes_give_their_message(body: object, message: str) -> None:
    assert failure_of(SdkError(500, body)).message == message


def test_a_validation_error_names_the_field() -> None:
    body = {
        "detail": [
            {"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted", "input": 1}
        ]
    }
    failure = failure_of(SdkError(422, body))
    assert failure.parameter == "stream_options"
    assert failure.message == "body.stream_options: Extra inputs are not permitted"


def test_an_error_inside_a_stream_has_no_status_of_its_own() -> None:
    """The SDK gives it that of the stream's good beginning."""
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    failure = failure_of(SdkError(200, body))
    assert failure.status is None
    assert failure.type == "overloaded_error"
    assert not failure.network


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name cannot be resolved"),
        (ConnectionRefusedError(111, "refused"), "connection refused"),
        (ssl.SSLError("certificate verify failed"), "not trusted"),
        (ConnectionResetError(104, "reset"), "the connection broke"),
    ],
)
def test_a_network_fault_is_told_by_its_deepest_cause(cause: Exception, words: str) -> None:
    outer = RuntimeError("Connection error.")
    outer.__cause__ = OSError("the library's own words")
    outer.__cause__.__context__ = cause
    assert words in network_fault(outer)
    assert words in failure_of(outer).network


def test_what_is_no_json_is_no_network_fault() -> None:
    assert failure_of(ValueError("Expecting value: line 1")).network == "it cannot be read"


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "7", "Retry-After-Ms": "250"}, 0.25),
        ({"retry-after": formatdate(NOW_S + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW_S - 30, usegmt=True)}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_form(
    headers: dict[str, str], expected_s: float | None
) -> None:
    assert retry_after_s(headers, now_s=NOW_S) == expected_s


def test_a_date_to_wait_for_is_compared_with_the_servers_own_clock() -> None:
    headers = {
        "retry-after": formatdate(NOW_S + 5_000, usegmt=True),
        "date": formatdate(NOW_S + 4_990, usegmt=True),
    }
    assert retry_after_s(headers, now_s=NOW_S) == 10.0


@pytest.mark.parametrize(
    ("cause", "sent"),
    [
        (socket.gaierror(-2, "Name or service not known"), False),
        (ConnectionRefusedError(111, "Connection refused"), False),
        (ssl.SSLError(1, "certificate verify failed"), False),
        (ConnectionResetError(104, "Connection reset by peer"), True),
        (TimeoutError("read"), True),
    ],
)
def test_only_a_call_that_went_out_may_have_cost(cause: Exception, sent: bool) -> None:
    error = RuntimeError("Connection error.")
    error.__cause__ = cause
    assert failure_of(error).sent is sent


def test_a_call_that_was_refused_in_words_has_not_been_cut() -> None:
    assert not failure_of(SdkError(500, {"error": {"message": "crash"}})).sent


def test_a_field_that_tells_the_context_is_read() -> None:
    body = {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 1407, "n_ctx": 256}}
    assert failure_of(SdkError(400, body)).tokens_max == 256
    assert failure_of(SdkError(400, {"error": {"n_ctx": "many"}})).tokens_max is None
