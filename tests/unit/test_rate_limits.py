"""When a producer may call, by what it has heard of all producers' calls."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import virtual_loop
from bench.limited_producers import LimitedModel, call_together
from bench.rate_limits import APIS, KINDS, in_virtual_time
from mesh.core.concurrency import CONCURRENT_MAX
from mesh.core.entries import (
    BudgetAsked,
    CallFinished,
    CallStarted,
    FacetProposed,
    Found,
    LimitSeen,
    LogEntry,
    Repeat,
)
from mesh.core.items import LogId, NodeId
from mesh.core.rate_account import CALL_S_MAX, HOLD_MAX_S, PROBE_S, SLOT_S, WARM_UP_S
from mesh.core.rate_limits import HISTORY_S, MODELS_MAX, TELL_S, Allowances
from mesh.core.rate_meter import BELIEVED_S, MARGIN_S
from mesh.simulation.models import LimitKind
from mesh.simulation.rate_limiting import ModelLimits

A, B, C = (LogId(NodeId(bytes([number]) * 16), 1) for number in (1, 2, 3))
MODEL = "openai:some-model"
OWN_SERVER = "llama@http://127.0.0.1:8000/v1"


@dataclass
class Producers:
    """Some producers, each with its own Allowances; all hear everything at once."""

    logs: tuple[LogId, ...] = (A, B, C)
    now_s: float = 100.0
    allowances: dict[LogId, Allowances] = field(default_factory=dict)
    _seq: int = 0

    def __post_init__(self) -> None:
        self.allowances = {log: Allowances(log.origin, {OWN_SERVER}) for log in self.logs}

    def say(self, log: LogId, entry: LogEntry) -> int:
        self._seq += 1
        self.hear(log, self._seq, entry)
        return self._seq

    def hear(self, log: LogId, seq: int, entry: LogEntry) -> None:
        for each in self.allowances.values():
            each.apply(log, seq, entry, now_s=self.now_s, now_ms=self.now_ms)

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def start(self, log: LogId, *, model: str = MODEL, tokens: int = 100, ago_s: float = 0) -> int:
        return self.say(log, self.started(model=model, tokens=tokens, ago_s=ago_s))

    def started(self, *, model: str = MODEL, tokens: int = 100, ago_s: float = 0) -> CallStarted:
        started_ms = self.now_ms - int(ago_s * 1000)
        return CallStarted(model, 10, None, started_ms, prompt_tokens=tokens)

    def finish(self, log: LogId, call: int, *, model: str = MODEL, **figures: Any) -> None:
        values: dict[str, Any] = {"outcome": "ok", "input_tokens": 100, "output_tokens": 50}
        values |= {"latency_s": 2.0, "first_token_s": 0.5} | figures
        entry = CallFinished(
            call=call, model=model, error=None, cached_input_tokens=0, reasoning_tokens=0,
            estimated=False, cost_usd=None, **values,
        )  # fmt: skip
        self.say(log, entry)

    def told(self, log: LogId, call: int, **said: Any) -> bool:
        """An answer to an own call says this; returns whether the others were told."""
        entry = seen(call, self.now_ms, **said)
        is_news = self.allowances[log].seen(log, entry, self.now_s)
        if is_news:
            self.say(log, entry)
        return is_news

    def wait_s(self, log: LogId, *, model: str = MODEL, tokens: int = 100) -> float:
        return self.allowances[log].wait_s(model, tokens, self.now_s)


def seen(call: int, now_ms: int, *, model: str = MODEL, **said: Any) -> LimitSeen:
    values: dict[str, Any] = dict.fromkeys(LimitSeen.__struct_fields__)
    values |= {"refused": False, "wait_s": 0.0} | said
    return LimitSeen(**values | {"model": model, "seen_ms": now_ms, "call": call})


def limited(left: int, **more: Any) -> dict[str, Any]:
    return {"requests_per_minute": 60, "requests_left": left, "reset_s": 30.0} | more


def test_the_first_call_goes_out_at_once_and_the_next_ones_wait_for_its_answer() -> None:
    producers = Producers()
    assert producers.wait_s(A) == 0.0
    call = producers.start(A)
    assert producers.wait_s(B) > 0.0
    producers.say(A, Found("otter", call, MODEL))
    assert producers.wait_s(B) == 0.0


@pytest.mark.parametrize(
    "brought",
    [Found("otter", 1, MODEL), Repeat("otter", 1, MODEL), FacetProposed("rodents", 0, 1, MODEL)],
)
def test_whatever_an_answer_brings_shows_that_the_provider_answers(brought: LogEntry) -> None:
    producers = Producers()
    assert producers.start(A) == 1
    producers.say(A, brought)
    assert producers.wait_s(B) == 0.0


def test_calls_double_as_long_as_no_limit_is_known() -> None:
    producers = Producers()
    calls = [producers.start(A)]
    under_way = []
    for _ in range(4):
        for call in calls:
            producers.say(A, Found("otter", call, MODEL))
        calls = []
        while producers.wait_s(B) == 0.0 and len(calls) < 50:
            calls.append(producers.start(A))
        under_way.append(len(calls))
    assert under_way == [2, 4, 8, 50]  # Then there is no limit to keep.


def test_a_first_call_that_is_never_answered_does_not_hold_the_others_for_long() -> None:
    producers = Producers()
    producers.start(A)
    producers.now_s += WARM_UP_S
    assert producers.wait_s(B) == 0.0


def test_what_others_have_started_is_taken_off_what_is_left() -> None:
    producers = Producers()
    call = producers.start(A)
    producers.told(A, call, **limited(left=2))
    assert producers.wait_s(C) == 0.0
    producers.start(B)
    producers.start(B)
    assert producers.wait_s(C) == pytest.approx(30.0, abs=1.0)


def test_a_call_waits_until_the_tokens_of_its_prompt_are_left() -> None:
    producers = Producers()
    call = producers.start(A)
    tokens = {"tokens_per_minute": 6000, "tokens_left": 500, "tokens_reset_s": 55.0}
    producers.told(A, call, **tokens)
    assert producers.wait_s(B, tokens=400) == 0.0
    assert producers.wait_s(B, tokens=600) == pytest.approx(55.0, abs=1.0)


def test_an_answers_tokens_count_when_it_ends() -> None:
    producers = Producers()
    call = producers.start(A)
    tokens = {"tokens_per_minute": 6000, "tokens_left": 500, "tokens_reset_s": 55.0}
    producers.told(A, call, **tokens)
    producers.now_s += 2.0
    producers.finish(A, call, output_tokens=450)
    assert producers.wait_s(B, tokens=100) == pytest.approx(53.0, abs=1.0)


def test_models_have_limits_of_their_own() -> None:
    producers = Producers()
    producers.told(A, producers.start(A), **limited(left=0))
    assert producers.wait_s(B) > 0.0
    assert producers.wait_s(B, model="anthropic:another") == 0.0


def test_a_refusal_holds_all_for_as_long_as_the_provider_says() -> None:
    producers = Producers()
    assert producers.told(A, producers.start(A), refused=True, wait_s=7.0)
    assert [producers.wait_s(log) for log in (A, B, C)] == [7.0, 7.0, 7.0]


def test_a_refusal_that_names_no_time_stops_nobody_else() -> None:
    producers = Producers()
    producers.told(A, producers.start(A), refused=True)
    assert producers.wait_s(B) == 0.0


def test_after_a_hold_one_call_goes_ahead_and_the_others_wait_for_its_answer() -> None:
    producers = Producers()
    for log in (A, B, C):
        producers.told(log, producers.start(log), **limited(left=30))
    producers.told(A, producers.start(A), **limited(left=29), refused=True, wait_s=7.0)
    producers.now_s += 7.0
    waits_s = {log: producers.wait_s(log) for log in (A, B, C)}
    assert sorted(waits_s.values()) == pytest.approx([0.0, SLOT_S, 2 * SLOT_S])
    assert waits_s[B] == 0.0  # It called longest ago.
    call = producers.start(B)
    assert producers.wait_s(C) == pytest.approx(PROBE_S)
    producers.told(B, call, **limited(left=28))
    assert producers.wait_s(C) == 0.0


def test_a_long_hold_is_bounded() -> None:
    producers = Producers()
    producers.told(A, producers.start(A), refused=True, wait_s=1e9)
    assert producers.wait_s(B) == HOLD_MAX_S


def test_producers_that_wait_for_one_allowance_take_turns() -> None:
    """The one that called longest ago first, and each late enough to hear of the one before."""
    producers = Producers()
    for log in (C, A, B):
        producers.now_s += 1.0
        said = limited(left=0, requests_per_minute=1, reset_s=131.0 - producers.now_s)
        producers.told(log, producers.start(log), **said)
    producers.now_s = 131.0 + MARGIN_S
    waits_s = [producers.wait_s(log) for log in (C, A, B)]
    assert waits_s == pytest.approx([0.0, SLOT_S, 2 * SLOT_S])


def test_an_allowance_that_the_first_in_turn_does_not_want_is_not_lost() -> None:
    producers = Producers()
    for log in (A, B, C):
        producers.told(log, producers.start(log), **limited(left=2))
    producers.now_s += 5.0
    producers.told(A, producers.start(A), **limited(left=1))
    assert producers.wait_s(C) == pytest.approx(SLOT_S)  # B's turn is first.
    producers.now_s += SLOT_S
    assert producers.wait_s(C) == pytest.approx(0.0)


def test_history_takes_nothing_from_what_is_allowed() -> None:
    producers = Producers()
    producers.told(A, producers.start(A), **limited(left=1))
    for _ in range(20):
        producers.start(B, ago_s=HISTORY_S + 1.0)
    assert producers.wait_s(C) == 0.0


def test_an_old_refusal_holds_nobody() -> None:
    producers = Producers()
    long_ago_ms = producers.now_ms - int(HISTORY_S * 1000) - 1
    producers.say(B, seen(1, long_ago_ms, refused=True, wait_s=60.0))
    assert producers.wait_s(A) == 0.0


def test_others_are_told_once_a_second_and_of_everything_that_changes() -> None:
    producers = Producers()
    calls = [producers.start(A) for _ in range(6)]
    assert producers.told(A, calls[0], **limited(left=50))
    assert not producers.told(A, calls[1], **limited(left=49))
    assert producers.told(A, calls[2], **limited(left=48, requests_per_minute=90))
    assert not producers.told(A, calls[3], **limited(left=47, requests_per_minute=90))
    producers.now_s += TELL_S
    assert producers.told(A, calls[4], **limited(left=46, requests_per_minute=90))
    assert producers.told(A, calls[5], refused=True)


def test_what_another_has_just_told_is_not_told_again() -> None:
    producers = Producers()
    first, second = producers.start(A), producers.start(B)
    assert producers.told(A, first, **limited(left=50))
    assert not producers.told(B, second, **limited(left=49))


def test_that_less_is_left_than_all_believed_is_told_at_once() -> None:
    producers = Producers()
    calls = [producers.start(log) for log in (A, B, C)]
    assert producers.told(A, calls[0], **limited(left=50))
    assert producers.told(B, calls[1], **limited(left=1))


def test_one_more_call_is_tried_whatever_was_said_an_hour_ago() -> None:
    producers = Producers()
    producers.told(A, producers.start(A), **limited(left=0, reset_s=1e12))
    assert producers.wait_s(B) <= BELIEVED_S + 1.0
    producers.now_s += BELIEVED_S + 1.0
    assert producers.wait_s(B) == 0.0


def test_a_call_whose_end_is_never_heard_does_not_count_for_ever() -> None:
    producers = Producers()
    first = producers.start(A, model=OWN_SERVER)
    producers.finish(A, first, model=OWN_SERVER)
    for _ in range(CONCURRENT_MAX):
        producers.say(A, Found("otter", producers.start(A, model=OWN_SERVER), OWN_SERVER))
    assert producers.wait_s(B, model=OWN_SERVER) > 0.0
    producers.now_s += CALL_S_MAX + 1.0
    assert producers.wait_s(B, model=OWN_SERVER) == 0.0


def test_a_producer_that_starts_again_has_no_calls_from_before() -> None:
    producers = Producers()
    for _ in range(CONCURRENT_MAX):
        producers.say(A, Found("otter", producers.start(A, model=OWN_SERVER), OWN_SERVER))
    assert producers.wait_s(B, model=OWN_SERVER) > 0.0
    producers.start(LogId(A.origin, A.epoch + 1), model=OWN_SERVER)
    assert producers.wait_s(B, model=OWN_SERVER) == 0.0


def under_way(producers: Producers, log: LogId) -> list[int]:
    """As many calls as one's own server is asked at once; all of them are being answered."""
    producers.finish(log, producers.start(log, model=OWN_SERVER), model=OWN_SERVER)
    calls = [producers.start(log, model=OWN_SERVER) for _ in range(CONCURRENT_MAX)]
    for call in calls:
        producers.say(log, Found("otter", call, OWN_SERVER))
    return calls


def test_a_call_whose_end_is_heard_before_its_start_is_over() -> None:
    producers = Producers()
    last = under_way(producers, A)[-1]
    producers.finish(A, last, model=OWN_SERVER)
    assert producers.wait_s(B, model=OWN_SERVER) == 0.0
    producers.finish(C, 7, model=OWN_SERVER)
    producers.hear(C, 7, producers.started(model=OWN_SERVER))
    assert producers.wait_s(B, model=OWN_SERVER) == 0.0


@pytest.mark.parametrize(
    "later", [CallStarted(OWN_SERVER, 10, None, 100_000), BudgetAsked(0.0, 0.0, 1.0)]
)
def test_a_call_of_an_earlier_start_that_is_heard_late_is_over(later: LogEntry) -> None:
    producers = Producers()
    last = under_way(producers, A)[-1]
    producers.finish(A, last, model=OWN_SERVER)
    later_log = LogId(C.origin, C.epoch + 1)
    producers.finish(later_log, producers.say(later_log, later), model=OWN_SERVER)
    producers.hear(C, 7, producers.started(model=OWN_SERVER))
    assert producers.wait_s(B, model=OWN_SERVER) == 0.0


def test_a_call_of_a_producer_that_is_gone_is_over_also_where_it_is_heard_late() -> None:
    producers = Producers()
    last = under_way(producers, A)[-1]
    producers.finish(A, last, model=OWN_SERVER)
    for each in producers.allowances.values():
        each.node_gone(C.origin)
    producers.hear(C, 7, producers.started(model=OWN_SERVER))
    assert producers.wait_s(B, model=OWN_SERVER) == 0.0
    for each in producers.allowances.values():
        each.node_back(C.origin)
    producers.hear(C, 8, producers.started(model=OWN_SERVER))
    assert producers.wait_s(B, model=OWN_SERVER) > 0.0


def test_a_server_without_limits_that_leaves_calls_unanswered_is_asked_fewer_at_once() -> None:
    producers = Producers()
    calls = [producers.start(A, model=OWN_SERVER) for _ in range(20)]
    for call in calls[:16]:
        producers.finish(A, call, model=OWN_SERVER)
    unanswered: dict[str, Any] = {
        "outcome": "unreachable",
        "first_token_s": None,
        "output_tokens": 0,
    }
    for call in calls[16:18]:
        producers.finish(A, call, model=OWN_SERVER, latency_s=60.0, **unanswered)
    assert producers.wait_s(B, model=OWN_SERVER) > 0.0  # Two are under way.


def test_models_beyond_the_bound_are_not_held_back() -> None:
    producers = Producers()
    for number in range(MODELS_MAX + 5):
        producers.start(A, model=f"model-{number}")
    assert producers.wait_s(B, model="model-0") > 0.0
    assert producers.wait_s(B, model=f"model-{MODELS_MAX + 1}") == 0.0


COUNTS = st.one_of(st.none(), st.integers(0, 5), st.integers(0, 2**63 - 1))
AMOUNTS = st.one_of(st.just(0.0), st.floats(0.0, 100.0), st.floats(0.0, 1e12))


@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(("start", "seen", "finish", "found")),
            st.sampled_from((A, B)),
            st.integers(0, 8),
            st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, AMOUNTS, AMOUNTS, st.booleans()),
            st.floats(0.0, 100.0),
        ),
        max_size=40,
    )
)
def test_whatever_is_said_nobody_waits_longer_than_an_hour(
    events: list[tuple[str, LogId, int, tuple[Any, ...], float]],
) -> None:
    producers = Producers((A, B))
    for kind, log, call, (
        limit,
        left,
        tokens,
        tokens_left,
        reset_s,
        wait_s,
        refused,
    ), gap_s in events:
        producers.now_s += gap_s
        if kind == "start":
            producers.start(log, tokens=min(tokens or 0, 2**40))
        elif kind == "seen":
            said = {
                "requests_per_minute": limit, "requests_left": left, "tokens_per_minute": tokens,
                "tokens_left": tokens_left, "reset_s": reset_s, "wait_s": wait_s,
                "refused": refused, "tokens_reset_s": reset_s,
            }  # fmt: skip
            producers.told(log, call, **said)
        elif kind == "finish":
            producers.finish(log, call, output_tokens=min(tokens or 0, 2**40))
        else:
            producers.say(log, Found("otter", call, MODEL))
        for each in (A, B):
            assert 0.0 <= producers.wait_s(each) <= HOLD_MAX_S + 10.0


@pytest.mark.parametrize(("slows_down_at", "least", "most"), [(2, 1.8, 3.0), (0, 4.0, 5.0)])
def test_a_server_of_ones_own_is_asked_by_five_producers_as_much_as_it_can_do(
    slows_down_at: int, least: float, most: float
) -> None:
    """It refuses nobody and tells nothing: the calls' own times show what it can do."""
    server = LimitedModel(
        "openai",
        ModelLimits(),
        random.Random(5),
        slows_down_at=slows_down_at,
        writing_s=(4.0, 5.0),
        output_tokens=500,
    )
    until_s = 900.0
    virtual_loop.run(
        call_together(lambda _: server, producers=5, until_s=until_s, seed="test", own_server=True)
    )
    assert least <= server.worked_s / until_s <= most


@pytest.mark.parametrize("kind", KINDS)
def test_producers_far_from_one_another_share_a_limit_too(kind: LimitKind) -> None:
    used, refused, _ = in_virtual_time(kind, "anthropic", "test", heard_after_s=0.03)
    assert used >= 0.9
    assert refused < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_word_on_limits_refusals_teach_the_pace(kind: LimitKind) -> None:
    used, refused, _ = in_virtual_time(kind, "openai", "test", tells=False)
    assert used >= 0.9
    assert refused < 0.15


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("api", APIS)
def test_five_producers_use_up_what_is_allowed_and_are_hardly_ever_refused(
    kind: LimitKind, api: Any
) -> None:
    """Three minutes in virtual time; the bench has more of them."""
    used, refused, told_a_minute = in_virtual_time(kind, api, f"test/{random.Random(7).random()}")
    assert used >= 0.9
    assert refused < 0.05
    assert told_a_minute <= 62
