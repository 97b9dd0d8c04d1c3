"""What counts as found and what as waste, and what had been paid at a moment."""

from __future__ import annotations

import pytest

from bench.virtual_figures import figures, money
from bench.virtual_record import Record, RecordedCall, Waste, Written, standing, timeline

TOKENS_AN_ENTRY = 3


class Scene:
    """Writes a record entry by entry."""

    def __init__(self) -> None:
        self.record = Record()

    def call(
        self,
        producer: int = 0,
        started_s: float = 0.0,
        listed: frozenset[int] = frozenset(),
        inside: frozenset[int] | None = None,
        *,
        input_tokens: int = 100,
        cached_tokens: int = 0,
        cache_write_tokens: int = 0,
        cacheable_tokens: int = 0,
        told_before_tokens: int = 0,
    ) -> int:
        return self.record.begin(
            RecordedCall(
                producer=producer,
                model="atlas",
                started_s=started_s,
                asked_count=10,
                facet=None if inside is None else "Some",
                inside=inside,
                wanted="entries",
                listed=listed,
                input_tokens=input_tokens,
                cached_tokens=cached_tokens,
                cache_write_tokens=cache_write_tokens,
                cacheable_tokens=cacheable_tokens,
                told_before_tokens=told_before_tokens,
            )
        )

    def write(self, call: int, at_s: float, index: int | None) -> None:
        of = self.record.calls[call]
        tokens = (len(of.written) + 1) * TOKENS_AN_ENTRY
        written = Written(at_s, call, index, tokens)
        of.written.append(written)
        self.record.written.append(written)

    def end(self, call: int, at_s: float) -> None:
        of = self.record.calls[call]
        of.ended_s, of.output_tokens = at_s, len(of.written) * TOKENS_AN_ENTRY


def test_every_kind_of_waste_is_told_apart() -> None:
    scene = Scene()
    first = scene.call(producer=0)
    scene.write(first, 1.0, 7)
    scene.write(first, 1.1, 8)
    scene.write(first, 1.2, 6)
    inside = frozenset({7, 8})
    told = scene.call(producer=1, started_s=2.0, listed=frozenset({7}), inside=inside)
    scene.write(told, 3.0, 7)  # It stood in its prompt.
    scene.write(told, 3.1, 8)  # Known before, but not in its prompt.
    scene.write(told, 3.2, 6)  # The same, and beside the facet.
    scene.write(told, 3.2, None)
    scene.write(told, 3.3, 9)
    scene.write(told, 3.4, 9)
    scene.write(first, 3.5, 9)  # Found by the other since it had started.
    scene.write(first, 3.6, 10)
    at_the_end = standing(scene.record, 5)
    assert at_the_end is not None
    assert at_the_end.wasted == {
        Waste.LISTED.value: 1,
        Waste.UNTOLD.value: 1,
        Waste.STRAY.value: 1,
        Waste.OFF_TOPIC.value: 1,
        Waste.AGAIN.value: 1,
        Waste.COLLISION.value: 1,
    }
    assert at_the_end.duplicate_share == pytest.approx(6 / 11)
    assert at_the_end.limit_share == pytest.approx(5 / 11)


def test_a_standing_counts_what_was_sent_by_then_and_no_later_call() -> None:
    scene = Scene()
    ended = scene.call()
    scene.write(ended, 1.0, 1)
    scene.end(ended, 1.5)
    open_call = scene.call(started_s=1.5, input_tokens=40)
    scene.write(open_call, 2.0, 2)
    scene.write(open_call, 3.0, 3)
    scene.end(open_call, 3.0)
    scene.call(started_s=2.5)
    when_two = standing(scene.record, 2)
    assert when_two is not None
    assert when_two.at_s == 2.0
    assert [use.input_tokens for use in when_two.calls] == [100, 40]
    assert [use.output_tokens for use in when_two.calls] == [TOKENS_AN_ENTRY, TOKENS_AN_ENTRY]
    assert standing(scene.record, 4) is None


def test_the_floor_is_the_output_of_new_entries_alone() -> None:
    scene = Scene()
    call = scene.call(input_tokens=0)
    for at_s, index in ((1.0, 1), (2.0, 1), (3.0, 1), (4.0, 2)):
        scene.write(call, at_s, index)
    scene.end(call, 4.0)
    at_two = standing(scene.record, 2)
    assert at_two is not None
    assert at_two.unique_output_tokens == 2 * TOKENS_AN_ENTRY
    paid = money(at_two, "gpt_4o")
    assert paid.usd == pytest.approx(paid.output_usd)
    assert paid.floor_usd == pytest.approx(paid.usd / 2)


def test_input_weighs_by_what_each_kind_of_it_costs() -> None:
    scene = Scene()
    call = scene.call(input_tokens=1_000, cached_tokens=600, cache_write_tokens=200)
    scene.write(call, 1.0, 1)
    at_one = standing(scene.record, 1)
    assert at_one is not None
    # Haiku: a read costs a tenth, a write a quarter more; 4o-mini: half, and nothing more.
    haiku = money(at_one, "claude_haiku_4_5").weighted_input_tokens
    mini = money(at_one, "gpt_4o_mini").weighted_input_tokens
    assert haiku == pytest.approx(100 * (200 + 600 * 0.1 + 200 * 1.25))
    assert mini == pytest.approx(100 * (400 + 600 * 0.5))


def test_caches_are_judged_from_the_tenth_call_on() -> None:
    scene = Scene()
    for number in range(12):
        warm = number >= 9
        scene.call(
            started_s=number,
            cached_tokens=900 * warm,
            cacheable_tokens=1_200,
            told_before_tokens=1_000,
        )
    scene.write(11, 12.0, 1)
    at_one = standing(scene.record, 1)
    assert at_one is not None
    assert (at_one.cached_tokens, at_one.cacheable_tokens) == (2_700, 3_600)
    assert figures(at_one)["cached_share_ratio"] == pytest.approx(0.75)
    assert figures(at_one)["cached_share_of_told_before_ratio"] == pytest.approx(0.9)


def test_the_timeline_ends_with_the_last_entry() -> None:
    scene = Scene()
    call = scene.call()
    for at in range(1, 8):
        scene.write(call, float(at), at % 5)
    at_s, distinct_count, duplicate_share = timeline(scene.record, 3)[-1]
    assert (at_s, distinct_count) == (7.0, 5)
    assert duplicate_share == pytest.approx(2 / 7)
