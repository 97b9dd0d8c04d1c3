"""Both providers' headers as they write them, and whatever else a server may send."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.entries import LimitSeen
from mesh.llm.interface import RateLimits
from mesh.llm.rate_headers import COUNT_MAX, RESET_MAX_S, limit_seen, rate_limits

NOW_S = 1_763_740_800.0
"""2025-11-21T16:00:00Z"""


def openai(**values: str) -> dict[str, str]:
    return {f"x-ratelimit-{name.replace('_', '-')}": value for name, value in values.items()}


def anthropic(**values: str) -> dict[str, str]:
    return {
        f"anthropic-ratelimit-{name.replace('_', '-')}": value for name, value in values.items()
    }


def test_openais_headers_are_read() -> None:
    headers = openai(
        limit_requests="60",
        limit_tokens="150000",
        remaining_requests="59",
        remaining_tokens="149984",
        reset_requests="1s",
        reset_tokens="6m0s",
    )
    assert rate_limits(headers, "openai", NOW_S) == RateLimits(60, 59, 150_000, 149_984, 1.0, 360.0)


def test_anthropics_headers_are_read() -> None:
    headers = anthropic(
        requests_limit="50",
        requests_remaining="49",
        requests_reset="2025-11-21T16:00:02Z",
        tokens_limit="40000",
        tokens_remaining="39000",
        tokens_reset="2025-11-21T16:00:30+00:00",
    )
    assert rate_limits(headers, "anthropic", NOW_S) == RateLimits(50, 49, 40_000, 39_000, 2.0, 30.0)


def test_of_anthropics_limits_on_tokens_the_tightest_counts() -> None:
    headers = anthropic(
        input_tokens_limit="50000",
        input_tokens_remaining="40000",
        output_tokens_limit="10000",
        output_tokens_remaining="1000",
    )
    limits = rate_limits(headers, "anthropic", NOW_S)
    assert limits is not None
    assert (limits.tokens_per_minute, limits.tokens_left) == (10_000, 1_000)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("20ms", 0.02),
        ("1s", 1.0),
        ("7m12s", 432.0),
        ("1h0m0.5s", 3600.5),
        ("2d", 172_800.0),
        ("120µs", 0.00012),
        ("12.5", 12.5),
        ("0", 0.0),
        ("9999999d", RESET_MAX_S),
    ],
)
def test_durations_are_read_as_go_writes_them(written: str, seconds: float) -> None:
    limits = rate_limits(openai(reset_requests=written), "openai", NOW_S)
    assert limits is not None
    assert limits.reset_s == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "soon", "1x", "-1s", "1s!", "s", "1m-2s", "nan", "inf"])
def test_a_reset_that_cannot_be_read_counts_as_not_said(written: str) -> None:
    assert rate_limits(openai(reset_requests=written), "openai", NOW_S) is None


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("60", 60),
        (" 60 ", 60),
        ("60.0", 60),
        ("60;w=60", 60),
        ("60, 60;w=60", 60),
        ("9" * 15, COUNT_MAX),
        ("9" * 30, None),
        ("150,000", None),
        ("-1", None),
        ("0", None),
        ("0x60", None),
        ("unlimited", None),
        ("", None),
    ],
)
def test_a_count_is_read_as_far_as_it_is_one(written: str, count: int | None) -> None:
    limits = rate_limits(openai(limit_requests=written, remaining_requests="5"), "openai", NOW_S)
    assert limits is not None
    assert limits.requests_per_minute == count


def test_names_are_read_in_any_case_and_other_headers_say_nothing() -> None:
    assert rate_limits({"X-RateLimit-Limit-Requests": "60"}, "openai", NOW_S) == RateLimits(60)
    assert rate_limits({"date": "today", "x-request-id": "60"}, "openai", NOW_S) is None
    assert rate_limits(openai(limit_requests="60"), "anthropic", NOW_S) is None


def test_a_moment_is_held_against_the_servers_own_clock_where_ours_is_wrong() -> None:
    headers = anthropic(requests_reset="2025-11-21T16:00:10Z")
    headers["Date"] = formatdate(NOW_S, usegmt=True)
    wrong_by_an_hour = rate_limits(headers, "anthropic", NOW_S - 3600.0)
    hardly_wrong = rate_limits(headers, "anthropic", NOW_S + 0.5)
    assert wrong_by_an_hour is not None
    assert hardly_wrong is not None
    assert (wrong_by_an_hour.reset_s, hardly_wrong.reset_s) == (10.0, 9.5)


def test_a_moment_that_has_passed_is_now() -> None:
    limits = rate_limits(anthropic(requests_reset="2001-01-01T00:00:00Z"), "anthropic", NOW_S)
    assert limits is not None
    assert limits.reset_s == 0.0


NAMES = [
    *openai(
        limit_requests="", remaining_requests="", reset_requests="", limit_tokens="",
        remaining_tokens="", reset_tokens="",
    ),
    *anthropic(
        requests_limit="", requests_remaining="", requests_reset="", input_tokens_limit="",
        input_tokens_remaining="", output_tokens_reset="",
    ),
    "date",
]  # fmt: skip


@given(
    headers=st.dictionaries(
        st.sampled_from(NAMES),
        st.one_of(st.text(max_size=80), st.from_regex(r"[0-9:.TZ+smhd-]{0,40}", fullmatch=True)),
    ),
    api=st.sampled_from(("openai", "anthropic")),
)
def test_whatever_is_sent_stays_within_bounds(headers: dict[str, str], api: str) -> None:
    limits = rate_limits(headers, api, NOW_S)  # type: ignore[arg-type]
    if limits is None:
        return
    for count in (limits.requests_per_minute, limits.tokens_per_minute):
        assert count is None or 1 <= count <= COUNT_MAX
    for left in (limits.requests_left, limits.tokens_left):
        assert left is None or 0 <= left <= COUNT_MAX
    for reset_s in (limits.reset_s, limits.tokens_reset_s):
        assert reset_s is None or 0.0 <= reset_s <= RESET_MAX_S


def test_an_entry_carries_what_was_said_and_whose_answer_it_was() -> None:
    limits = RateLimits(60, 59, None, None, 1.0)
    seen = limit_seen(limits, model="m", call=7, now_ms=5)
    assert seen == LimitSeen("m", 5, 60, 59, None, None, 1.0, False, 0.0, 7)


def test_an_answer_without_limits_is_no_entry_and_a_refusal_always_is() -> None:
    assert limit_seen(None, model="m", call=7, now_ms=5) is None
    refused = limit_seen(None, model="m", call=7, now_ms=5, refused=True, wait_s=3.0)
    assert refused is not None
    assert (refused.refused, refused.wait_s, refused.requests_per_minute) == (True, 3.0, None)


@pytest.mark.parametrize(("asked_s", "entered_s"), [(-1.0, 0.0), (1e30, RESET_MAX_S)])
def test_the_wait_of_a_refusal_is_bounded(asked_s: float, entered_s: float) -> None:
    refused = limit_seen(None, model="m", call=7, now_ms=5, refused=True, wait_s=asked_s)
    assert refused is not None
    assert refused.wait_s == entered_s
