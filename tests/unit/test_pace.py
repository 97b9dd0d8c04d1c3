"""What a call costs beside its entries, told in entries."""

from __future__ import annotations

import pytest

from mesh.core.pace import ENTRY_S, ModelPace


def finished(pace: ModelPace, *, first_token_s: float | None = 0.5, entry_count: int = 10) -> None:
    pace.finished(
        first_token_s=first_token_s, writing_s=1.0, entry_count=entry_count, output_tokens=80
    )


def test_the_first_call_replaces_what_was_assumed() -> None:
    pace = ModelPace()
    finished(pace)
    assert (pace.first_token_s, pace.entry_s, pace.entry_tokens) == (0.5, 0.1, 8.0)


def test_later_calls_move_it_slowly() -> None:
    pace = ModelPace()
    finished(pace)
    finished(pace, first_token_s=5.0)
    assert 0.5 < pace.first_token_s < 2.0


@pytest.mark.parametrize(
    ("first_token_s", "entry_count"), [(None, 10), (0.5, 0)], ids=["no token", "no entry"]
)
def test_a_call_without_an_entry_teaches_nothing(
    first_token_s: float | None, entry_count: int
) -> None:
    pace = ModelPace()
    finished(pace, first_token_s=first_token_s, entry_count=entry_count)
    assert pace.entry_s == ENTRY_S


def test_overhead_is_the_mean_of_time_and_money_in_entries() -> None:
    pace = ModelPace()
    finished(pace)
    # 0.5 s are 5 entries of 0.1 s; a prompt that costs as 120 output tokens, 15 of 8.
    assert pace.overhead_entries(prompt_cost_tokens=120) == pytest.approx(10.0)
