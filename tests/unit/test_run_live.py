"""The live lines of a run fit terminals of every size, and keep what matters most."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from rich.cells import cell_len
from rich.text import Text

from mesh.nodes.guest_lines import guest_live_block
from mesh.nodes.run_live import SHARES, flowed, live_block, shared
from mesh.nodes.run_table import middle_cut
from mesh.nodes.run_words import forecast_words, short_cost_words, span
from tests.unit.shown_run import drawn, metrics, model_row

WIDTHS = (1, 2, 5, 9, 12, 20, 30, 40, 60, 80, 120, 200)
HEIGHTS = (1, 2, 3, 5, 8, 12, 24, 60)
PAGE = "http://127.0.0.1:8080/?token=0123456789abcdef0123456789abcdef"


def full_run(**changes: Any) -> dict[str, Any]:
    """A run that has something to say in every place."""
    shape: dict[str, Any] = {
        "simulated": True,
        "target": 1_000,
        "forecast": {"target_s": 170.0, "budget_s": 900.0, "reach": 950, "slowing": True},
        "models": [
            model_row("anthropic:claude-haiku-4-5"),
            model_row("openai:gpt-4o-mini", unique_total=312, calls_failed=0),
            model_row("openai:gpt-4.1-nano", unique_total=11, latency_s_p50=None),
            model_row("llama3.1@http://127.0.0.1:11434/v1", unique_total=0, cost_usd=None),
        ],
        "mesh": {
            "converged": True,
            "missing_entries": 0,
            "peers_alive": 5,
            "propagation_ms_p50": 2.3,
            "propagation_ms_p99": 14.2,
            "lost_entries": 0,
            "refused": {},
        },
        "notices": ["openai:gpt-4.1-nano is given up: 401 the key is not valid any more"],
    }
    return metrics(**shape | changes)


RUNS = {
    "full": full_run(),
    "bare": metrics(models=[], mesh={}),
    "ending": full_run(state="draining", stop_reason="budget of $1.00 spent but for $0.003: one "
                       "more call may cost $0.004"),
    "wide letters": full_run(topic="東京の観光名所" * 4, models=[model_row("本" * 30)] * 3,
                             notices=["接続できません" * 30]),
    "hostile": full_run(
        topic="[red]x[/red]\x1b[2J\u202e\u200b" * 20,
        stop_reason="a\nb\r\x1b]0;t\x07" * 50,
        models=[model_row("m[bold]\x1b[31m\n" * 20, unique_total=10**12)],
        notices=["[/nothing] \u2066" * 100, "x" * 5_000],
    ),
    "many": full_run(models=[model_row(f"openai:m{n}") for n in range(200)],
                     notices=[f"notice {n}" for n in range(50)]),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_no_size_gets_a_line_that_is_too_long_or_one_too_many(name: str) -> None:
    for width, height in itertools.product(WIDTHS, HEIGHTS):
        lines = drawn(live_block(RUNS[name], PAGE), width, height).splitlines()
        assert len(lines) <= max(1, height - 1), (width, height)
        assert all(cell_len(line) <= width for line in lines), (width, height)


def test_what_comes_from_outside_is_text_at_every_size() -> None:
    for width, height in itertools.product(WIDTHS, HEIGHTS):
        text = drawn(live_block(RUNS["hostile"], PAGE), width, height).replace("\n", "")
        assert text.isprintable(), (width, height)
    assert "[red]x[/red]" in drawn(live_block(RUNS["hostile"]), 80)


def test_a_wide_terminal_shows_all_there_is() -> None:
    text = drawn(live_block(full_run(), PAGE), 200, 40)
    for words in (
        "Paris attractions  running   SIMULATED   12 s",
        "812 of 1,000 found  640 in the last minute  9.4 % duplicates  $0.0123 of $1.00 in play",
        "target in about 3 min  about 950 in all  slowing",
        "81 %",
        "last minute  yield  duplicates  calls  failed    p50     cost",
        "llama3.1@http://127.0.0.1:11434/v1      0",
        "unknown",
        "mesh: 5 peers  converged  propagation 2 ms (p99 14 ms)",
        "openai:gpt-4.1-nano is given up: 401 the key is not valid any more",
        f"page {PAGE}  Ctrl-C stops",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, "found min yield dup calls fail p50 cost"),
        (60, "found min yield dup fail cost"),
        (40, "found min dup cost"),
        (20, "found"),
    ],
)
def test_a_narrow_table_leaves_out_the_least_important_columns_and_cuts_no_number(
    width: int, columns: str
) -> None:
    lines = drawn(live_block(full_run()), width, 60).splitlines()
    heading = next(index for index, line in enumerate(lines) if line.startswith("model"))
    assert lines[heading].split()[1:] == columns.split()
    assert lines[heading + 1].split()[1] == "500"
    assert "gpt-4o-mini" in lines[heading + 2]


def test_names_that_differ_by_their_provider_alone_keep_it() -> None:
    rows = [model_row("openai:one"), model_row("anthropic:one", unique_total=1)]
    text = drawn(live_block(full_run(models=rows)), 40, 60)
    assert "openai:one" in text
    assert "anthropic:one" in text


@pytest.mark.parametrize("width", [200, 80, 40, 20])
def test_what_is_simulated_says_so_however_low_the_terminal(width: int) -> None:
    for height in (2, 3, 5, 24):
        assert "SIMULATED" in drawn(live_block(full_run(topic="a long topic " * 9)), width, height)


def test_a_low_terminal_keeps_state_figures_and_a_notice() -> None:
    lines = drawn(live_block(full_run(), PAGE), 80, 4).splitlines()
    assert [line.split()[0] for line in lines] == ["Paris", "812", "openai:gpt-4.1-nano"]


def test_why_a_run_ends_is_readable_on_a_narrow_terminal() -> None:
    text = drawn(live_block(RUNS["ending"]), 40, 24)
    assert "draining" in text
    assert "budget of $1.00 spent but for $0.003:" in text
    assert "one more call may cost $0.004" in text


def test_a_page_address_is_whole_or_not_there() -> None:
    for width in (200, 60, 30, 20, 5):
        text = drawn(live_block(full_run(), PAGE), width, 60)
        assert PAGE in text.replace("\n", "") or "http://127.0.0.1:8080" not in text
    assert PAGE in drawn(live_block(full_run(), PAGE), 20, 60).replace("\n", "")


def test_there_is_a_bar_only_towards_a_target() -> None:
    assert "━" in drawn(live_block(full_run()))
    assert "━" not in drawn(live_block(full_run(target=None)))
    assert "100 %" in drawn(live_block(full_run(unique_total=1_200)))


def test_a_mesh_that_is_apart_says_how_many_entries_are_missing_and_who_was_kept_out() -> None:
    apart = {
        "converged": False, "missing_entries": 7, "peers_alive": 1,
        "propagation_ms_p50": None, "propagation_ms_p99": None,
        "lost_entries": 2, "refused": {"handshake": 3, "revoked": 1},
    }  # fmt: skip
    text = drawn(live_block(full_run(mesh=apart)))
    assert "mesh: 1 peer  7 log entries missing somewhere  2 lost  4 kept out" in text


@pytest.mark.parametrize(
    ("forecast", "words"),
    [
        (None, []),
        ({}, []),
        ({"target_s": None, "budget_s": None, "reach": None, "slowing": False}, []),
        ({"target_s": 100.0, "budget_s": 50.0}, ["budget spent in about 50 s"]),
        ({"target_s": 100.0, "budget_s": None}, ["target in about 2 min"]),
        ({"target_s": None, "budget_s": None, "reach": 400}, ["about 400 in all"]),
        ({"target_s": 5.0, "budget_s": None, "reach": 1_000}, ["target in about 5 s"]),
        ({"target_s": float("inf"), "budget_s": float("nan"), "slowing": True}, ["slowing"]),
    ],
)
def test_what_is_expected_is_said_as_far_as_it_is_known(
    forecast: dict[str, Any] | None, words: list[str]
) -> None:
    assert forecast_words(metrics(target=1_000, forecast=forecast)) == words


def test_nothing_is_expected_of_a_run_that_ends() -> None:
    assert forecast_words(full_run(state="draining")) == []
    assert forecast_words(metrics()) == []


@pytest.mark.parametrize(
    ("wait_s", "words"),
    [(0, "5 s"), (42, "40 s"), (57, "55 s"), (58, "1 min"), (3_600, "60 min"), (5_400, "2 h"),
     (400_000, "5 days")],
)  # fmt: skip
def test_a_wait_is_no_more_exact_than_what_is_known(wait_s: float, words: str) -> None:
    assert span(wait_s) == words


def test_an_unknown_price_is_not_shown_as_nothing_in_few_columns_either() -> None:
    assert short_cost_words(metrics(cost_usd=0.0, cost_complete=False)) == "cost unknown of $1.00"
    assert short_cost_words(metrics(cost_usd=0.5, cost_complete=False)) == ">$0.5000 of $1.00"


def test_the_middle_of_a_long_name_is_left_out() -> None:
    assert middle_cut("claude-haiku-4-5", 9) == "clau…-4-5"
    assert middle_cut("short", 9) == "short"
    for width in range(12):
        assert cell_len(middle_cut("東京の観光名所", width)) <= width


def test_lines_that_flow_break_no_item_and_cut_what_is_too_long() -> None:
    lines = flowed([Text("one"), Text("two"), Text("three and more")], 9)
    assert [line.plain for line in lines] == ["one  two", "three an…"]


def test_sections_share_the_lines_there_are_by_importance() -> None:
    wanted = {"head": 2, "figures": 3, "bar": 1, "table": 9, "mesh": 1, "notices": 4, "foot": 2}
    assert {name for name, _ in SHARES} == set(wanted)
    assert shared(wanted, 100) == wanted
    for room in range(1, 30):
        assert sum(shared(wanted, room).values()) == min(room, sum(wanted.values()))
    assert shared(wanted, 3) == dict.fromkeys(wanted, 0) | {"head": 1, "figures": 1, "notices": 1}


def test_a_guests_live_lines_fit_every_size_too() -> None:
    rows = [
        {"label": f"machine/producer-{n}", "state": "waiting: " + "東" * 40, "said_count": n,
         "known_count": 9}
        for n in range(30)
    ]  # fmt: skip
    status = {"topic": "鳥" * 50, "simulated": True, "elapsed_s": 1.0, "producers": rows}
    for width, height in itertools.product(WIDTHS, HEIGHTS):
        lines = drawn(guest_live_block(status), width, height).splitlines()
        assert len(lines) <= max(1, height - 1)
        assert all(cell_len(line) <= width for line in lines)
