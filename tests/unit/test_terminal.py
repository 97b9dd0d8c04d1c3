"""What the terminal shows of a run, as text and through a recording stream."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from mesh.nodes.guest_lines import (
    GUEST_LINES,
    guest_live_block,
    guest_plain_line,
    guest_summary_lines,
)
from mesh.nodes.run_lines import RUN_LINES, plain_line, summary_lines
from mesh.nodes.run_live import live_block
from mesh.nodes.terminal import (
    LINE_CHARACTERS_MAX,
    PLAIN_EVERY_S,
    TerminalView,
    program_name,
    shown,
)
from tests.unit.shown_run import drawn, metrics, model_row

ESCAPE = "\x1b"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class TerminalStream(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class BrokenStream(io.StringIO):
    """A stream whose reader has gone."""

    writes = 0
    is_terminal = False

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        self.writes += 1
        raise BrokenPipeError


@pytest.fixture
def terminal_stream(monkeypatch: pytest.MonkeyPatch) -> TerminalStream:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return TerminalStream()


def test_the_plain_line_says_the_three_figures_that_matter_and_the_cost() -> None:
    assert plain_line(metrics()) == (
        "running, 12 s: 812 found, 640 in the last minute, 9.4 % duplicates, "
        "$0.0123 of $1.00, 5 peers [openai:a 500, openai:b 312]"
    )


def test_the_plain_line_says_simulated_where_it_is() -> None:
    line = plain_line(metrics(simulated=True))
    assert line.startswith("running (simulated), 12 s")
    assert "$0.0123 of $1.00 in play money" in line


def test_a_target_is_shown_beside_what_is_found() -> None:
    assert "812 of 1,000 found" in plain_line(metrics(target=1000))
    assert ": 812 found" in plain_line(metrics(target=800))


@pytest.mark.parametrize(
    ("cost_usd", "complete", "words"),
    [
        (0.0123, True, "$0.0123"),
        (12.5, True, "$12.50"),
        (0.0, False, "cost unknown"),
        (0.0123, False, "more than $0.0123 (prices unknown)"),
    ],
)
def test_an_unknown_price_is_never_shown_as_nothing(
    cost_usd: float, complete: bool, words: str
) -> None:
    line = plain_line(metrics(cost_usd=cost_usd, cost_complete=complete, budget_usd=None))
    assert f"duplicates, {words}, 5 peers" in line


@pytest.mark.parametrize(
    ("elapsed_s", "words"),
    [(0, "0 s"), (59.9, "59 s"), (185, "3:05 min"), (3723, "1:02:03 h")],
)
def test_times_are_written_as_people_read_them(elapsed_s: float, words: str) -> None:
    assert f"running, {words}:" in plain_line(metrics(elapsed_s=elapsed_s))


def test_the_summary_says_what_was_found_what_it_cost_and_how_to_go_on() -> None:
    ended = metrics(state="stopped", stop_reason="target of 812 entries reached")
    assert summary_lines(ended, output=Path("output.txt")) == [
        "Paris attractions: 812 entries",
        "  ended       target of 812 entries reached, after 12 s",
        "  found       812 of 900 written; 85 duplicates (9.4 %), 3 rejected",
        "    openai:a: found 500, duplicates 58, calls 14 (1 failed), cost $0.0100",
        "    openai:b: found 312, duplicates 58, calls 14 (1 failed), cost $0.0023",
        "  calls       28 (2 failed); tokens 18,000 in (8,000 cached), 6,000 out",
        "  cost        $0.0123 of $1.00",
        "  mesh        converged: all know the same entries",
        "  entries     output.txt",
        "  run         runs/paris-attractions-0c5a1e (the same command continues it)",
        "  page again  python run_mesh.py view runs/paris-attractions-0c5a1e",
    ]


def test_the_summary_says_that_nothing_is_missing_once_the_producers_have_left() -> None:
    left = {"converged": True, "missing_entries": 0, "peers_alive": 0}
    lines = summary_lines(metrics(mesh=left), output=Path("output.txt"))
    assert "  mesh        complete: the collector holds everything that was said" in lines


def test_the_summary_says_when_the_mesh_has_not_converged() -> None:
    apart = {"converged": False, "missing_entries": 7, "peers_alive": 4}
    lines = summary_lines(metrics(mesh=apart), output=Path("output.txt"))
    assert "  mesh        not converged: 7 log entries missing somewhere" in lines


def test_a_model_without_a_price_costs_an_unknown_amount_in_the_summary() -> None:
    rows = [model_row("llama@http://127.0.0.1/v1", cost_usd=None)]
    local = metrics(models=rows, cost_usd=0.0, cost_complete=False, budget_usd=None)
    lines = summary_lines(local, output=Path("o"))
    (line,) = [line for line in lines if line.startswith("    llama")]
    assert line.endswith("cost unknown")
    assert "  cost        unknown" in lines


def test_a_run_that_ended_before_any_metrics_has_no_summary() -> None:
    assert summary_lines({}, output=Path("output.txt")) == []


def test_what_comes_from_outside_cannot_steer_the_terminal() -> None:
    hostile = metrics(
        topic=f"Birds{ESCAPE}]0;owned\x07\u202e",
        stop_reason=f"{ESCAPE}[2Jgone\nnext",
        models=[model_row(f"openai:{ESCAPE}[31m")],
        notices=[f"{ESCAPE}[1m"],
    )
    texts = [
        plain_line(hostile),
        *summary_lines(hostile, output=Path("o")),
        drawn(live_block(hostile)),
    ]
    for text in texts:
        assert ESCAPE not in text
        assert "\x07" not in text
        assert "\u202e" not in text


def test_a_shown_line_is_one_bounded_line() -> None:
    assert shown("a\nb\tc") == "a b c"
    assert len(shown("x" * 10_000)) == LINE_CHARACTERS_MAX
    assert shown("東京 – Musée") == "東京 – Musée"


def test_brackets_are_text_and_no_markup_on_the_live_lines() -> None:
    text = drawn(
        live_block(
            metrics(
                topic="[red]Birds[/red]", models=[model_row("x[bold]y")], notices=["[/nothing]"]
            )
        )
    )
    assert "[red]Birds[/red]" in text
    assert "x[bold]y" in text
    assert "[/nothing]" in text


def test_the_live_lines_say_what_the_page_says() -> None:
    text = drawn(
        live_block(
            metrics(simulated=True, notices=["no answer from api.openai.com: waiting"]),
            "http://127.0.0.1:8080/",
        )
    )
    for words in (
        "Paris attractions  running   SIMULATED   12 s",
        "812 found  640 in the last minute  9.4 % duplicates  $0.0123 of $1.00 in play money",
        "no answer from api.openai.com: waiting",
        "page http://127.0.0.1:8080/  Ctrl-C stops",
    ):
        assert words in text
    assert re.search(r"openai:a +500 +400 +89 % +58 +14 +1 +1\.2 s +\$0\.0100", text)


def test_many_models_do_not_push_the_rest_off_the_screen() -> None:
    many = metrics(models=[model_row(f"openai:m{number}") for number in range(100)])
    assert len(drawn(live_block(many)).splitlines()) == 24
    assert "and 82 more" in drawn(live_block(many))
    assert "and" not in drawn(live_block(many), height=120)
    assert len(summary_lines(many, output=Path("o"))) < 30


def test_without_a_terminal_lines_come_at_a_gentle_rhythm() -> None:
    stream, clock = io.StringIO(), Clock()
    view = TerminalView(RUN_LINES, stream, clock=clock)
    for _ in range(20):
        view.update(metrics())
        clock.now_s += PLAIN_EVERY_S / 10
    assert len(stream.getvalue().splitlines()) == 2


def test_without_a_terminal_a_change_of_state_is_said_at_once() -> None:
    stream = io.StringIO()
    view = TerminalView(RUN_LINES, stream, clock=Clock())
    view.update(metrics(state="starting"))
    view.update(metrics())
    view.update(metrics())
    view.update(metrics(state="draining", stop_reason="stopped by Ctrl-C"))
    states = [line.partition(",")[0] for line in stream.getvalue().splitlines()]
    assert states == ["starting", "running", "draining: stopped by Ctrl-C"]


def test_without_a_terminal_a_notice_is_said_once_each_time_it_appears() -> None:
    stream = io.StringIO()
    view = TerminalView(RUN_LINES, stream, clock=Clock())
    for notices in ([], ["network down"], ["network down"], [], ["network down"]):
        view.update(metrics(notices=notices))
    assert stream.getvalue().count("note: network down\n") == 2


def test_without_a_terminal_nothing_but_text_is_written() -> None:
    stream = io.StringIO()
    with TerminalView(RUN_LINES, stream, clock=Clock()) as view:
        view.update(metrics())
        view.say("hello")
        view.finish(["done"])
    assert ESCAPE not in stream.getvalue()
    assert stream.getvalue().endswith("hello\ndone\n")


def test_on_a_terminal_the_live_lines_are_gone_and_the_cursor_is_back_at_the_end(
    terminal_stream: TerminalStream,
) -> None:
    view = TerminalView(RUN_LINES, terminal_stream)
    view.update(metrics())
    view.update(metrics(unique_total=813))
    assert "813 found" in terminal_stream.getvalue()
    view.finish(["  found 813"])
    text = terminal_stream.getvalue()
    assert text.rindex(f"{ESCAPE}[?25h") > text.rindex(f"{ESCAPE}[?25l")
    assert text.endswith("  found 813\n")


def test_on_a_terminal_the_cursor_comes_back_also_after_an_error(
    terminal_stream: TerminalStream,
) -> None:
    def show_and_fail() -> None:
        with TerminalView(RUN_LINES, terminal_stream) as view:
            view.update(metrics())
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        show_and_fail()
    text = terminal_stream.getvalue()
    assert text.rindex(f"{ESCAPE}[?25h") > text.rindex(f"{ESCAPE}[?25l")


def test_on_a_terminal_messages_appear_among_the_live_lines_as_text(
    terminal_stream: TerminalStream,
) -> None:
    with TerminalView(RUN_LINES, terminal_stream) as view:
        view.update(metrics())
        view.say(f"[b]producer-1 died[/b]{ESCAPE}[2J")
        view.show_page("http://127.0.0.1:8080/")
        view.update(metrics())
    text = terminal_stream.getvalue()
    assert "[b]producer-1 died[/b] [2J" in text
    assert f"{ESCAPE}[2J" not in text
    assert "page http://127.0.0.1:8080/" in text


def test_where_other_machines_find_the_page_is_said_beside_where_it_is_here() -> None:
    stream = io.StringIO()
    with TerminalView(RUN_LINES, stream) as view:
        view.show_page("http://127.0.0.1:8080/")
        view.show_page("http://127.0.0.1:8080/", "http://10.0.0.2:8080/")
    assert stream.getvalue().splitlines() == [
        "page: http://127.0.0.1:8080/",
        "page: http://127.0.0.1:8080/",
        "page from other machines: http://10.0.0.2:8080/",
    ]


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = TerminalStream()
    TerminalView(RUN_LINES, stream).update(metrics())
    assert stream.getvalue() == plain_line(metrics()) + "\n"


def test_a_run_without_page_gets_plain_lines_on_a_terminal_too(
    terminal_stream: TerminalStream,
) -> None:
    TerminalView(RUN_LINES, terminal_stream, live=False).update(metrics())
    assert terminal_stream.getvalue() == plain_line(metrics()) + "\n"


def test_a_terminal_that_wants_no_colours_gets_none(
    monkeypatch: pytest.MonkeyPatch, terminal_stream: TerminalStream
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with TerminalView(RUN_LINES, terminal_stream) as view:
        view.update(metrics(simulated=True, target=1_000, notices=["a notice"]))
    styles = set(re.findall(ESCAPE + r"\[([0-9;]*)m", terminal_stream.getvalue()))
    assert styles
    assert {code for style in styles for code in style.split(";")} <= {"0", "1", "2", "7"}


def test_a_resized_terminal_is_drawn_again_at_once(terminal_stream: TerminalStream) -> None:
    view = TerminalView(RUN_LINES, terminal_stream)
    view.resized()
    assert terminal_stream.getvalue() == ""
    view.update(metrics())
    view.resized()
    assert terminal_stream.getvalue().count("812 found") == 2
    view.finish(["done"])
    view.resized()
    assert terminal_stream.getvalue().endswith("done\n")


def test_after_the_end_nothing_moves_any_more() -> None:
    stream = io.StringIO()
    view = TerminalView(RUN_LINES, stream, clock=Clock())
    view.finish(["done"])
    view.update(metrics())
    view.say("the page stays open")
    assert stream.getvalue() == "done\nthe page stays open\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_reader_that_has_gone_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = BrokenStream()
    stream.is_terminal = is_terminal
    view = TerminalView(RUN_LINES, stream, clock=Clock())
    view.update(metrics())
    view.say("hello")
    view.finish(["done"])
    writes = stream.writes
    view.say("hello again")
    assert writes > 0
    assert stream.writes == writes


@pytest.mark.parametrize(
    ("argv0", "name"),
    [
        ("run_mesh.py", "python run_mesh.py"),
        ("/somewhere/run_mesh.py", "python run_mesh.py"),
        ("/usr/local/bin/topicmesh", "topicmesh"),
    ],
)
def test_commands_are_named_as_the_user_calls_them(argv0: str, name: str) -> None:
    assert program_name(argv0) == name


# Producers that have joined a run elsewhere


def guest_status(**changes: Any) -> dict[str, Any]:
    producers = [
        {"label": "producer-1", "state": "asking", "known_count": 800, "said_count": 1_200},
        {"label": "producer-2", "state": "paused", "known_count": 812, "said_count": 220},
    ]
    status = {"topic": "Birds", "simulated": False, "elapsed_s": 65.2, "producers": producers}
    return status | changes


def test_a_guest_says_what_its_producers_know_and_said_and_who_does_something_unusual() -> None:
    assert guest_plain_line(guest_status()) == (
        "Birds, 1:05 min: 2 producers here, 812 items known, 1,420 log entries said; "
        "producer-2: paused"
    )
    assert guest_plain_line(guest_status(simulated=True)).startswith("Birds (simulated), ")


def test_a_guest_says_at_once_when_a_producer_does_something_unusual() -> None:
    stream = io.StringIO()
    view = TerminalView(GUEST_LINES, stream, clock=lambda: 0.0)
    view.update(guest_status())
    view.update(guest_status())
    assert stream.getvalue().count("\n") == 1
    view.update(guest_status(producers=[]))
    assert stream.getvalue().count("\n") == 2


def test_a_guests_live_lines_show_every_producer_and_how_to_leave() -> None:
    text = drawn(guest_live_block(guest_status(topic="Birds\x1b[31m")))
    assert "producer-1  1,200 said  asking" in text
    assert "Ctrl-C hands over and leaves" in text
    assert ESCAPE not in text


def test_more_producers_than_fit_are_counted() -> None:
    row = guest_status()["producers"][0]
    assert "and 9 more" in drawn(guest_live_block(guest_status(producers=[row] * 20)))


def test_a_guests_summary_says_why_it_ended() -> None:
    assert guest_summary_lines(guest_status(), "the run has ended") == [
        "Birds: the run has ended, after 1:05 min",
        "  2 producers here, 812 items known, 1,420 log entries said",
    ]
    assert guest_summary_lines(guest_status(producers=[]), "stopped") == []
