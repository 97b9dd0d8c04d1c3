"""Live lines on a terminal that is resized: nothing of the old ones stays behind."""

from __future__ import annotations

import random

import pytest
from rich.console import Console
from rich.text import Text

from mesh.nodes.live_area import LiveArea, rows_after_resize
from mesh.nodes.run_live import live_block
from tests.unit.shown_run import metrics
from tests.unit.terminal_screen import TerminalScreen


class Terminal:
    """A live area on a screen that can be resized."""

    def __init__(self, width: int, height: int) -> None:
        self.screen = TerminalScreen(width, height)
        self.console = Console(
            file=self.screen, force_terminal=True, force_interactive=True, color_system=None,
            width=width, height=height, legacy_windows=False, _environ={"TERM": "xterm"},
        )  # fmt: skip
        self.area = LiveArea(self.console)

    def resize(self, width: int, height: int) -> None:
        self.screen.resize(width, height)
        self.console.size = (width, height)


def test_lines_said_stay_above_the_live_ones_which_go_at_the_end() -> None:
    terminal = Terminal(40, 10)
    terminal.area.draw(Text("live 1\nlive 2"))
    terminal.area.say("said")
    terminal.area.draw(Text("live 3"))
    assert terminal.screen.text == ["said", "live 3"]
    assert not terminal.screen.cursor_shown
    terminal.area.close()
    assert terminal.screen.text == ["said"]
    assert terminal.screen.cursor_shown


def test_more_lines_than_the_terminal_has_are_not_drawn() -> None:
    terminal = Terminal(40, 5)
    block = Text("\n".join(f"live {number}" for number in range(20)))
    for _ in range(3):
        terminal.area.draw(block)
    assert terminal.screen.text == ["live 0", "live 1", "live 2", "live 3"]
    terminal.area.close()
    assert terminal.screen.text == [""]


@pytest.mark.parametrize("width", [60, 41, 20, 11, 200])
def test_a_resized_terminal_shows_the_live_lines_once(width: int) -> None:
    terminal = Terminal(80, 60)
    block = live_block(metrics(target=1_000), "http://127.0.0.1:8080/")
    terminal.area.draw(block)
    terminal.area.say("said")
    terminal.resize(width, 60)
    terminal.area.draw_again()
    fresh = Terminal(width, 60)
    fresh.area.draw(block)
    assert terminal.screen.text == ["said", *fresh.screen.text]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_while_it_is_resized_only_what_was_said_stays(seed: int) -> None:
    chance = random.Random(seed)
    terminal = Terminal(100, 100)
    said = []
    for number in range(40):
        what = chance.choice(["draw", "say", "resize", "resize and say"])
        if "resize" in what:
            terminal.resize(chance.randint(20, 150), 100)
        if "say" in what:
            said.append(f"said {number}")
            terminal.area.say(said[-1])
        if what == "draw":
            lines = chance.randint(1, 6)
            terminal.area.draw(Text("\n".join("x" * chance.randint(0, 200) for _ in range(lines))))
    terminal.area.close()
    assert terminal.screen.text == (said or [""])


def test_lines_that_are_too_long_for_a_terminal_take_more_rows() -> None:
    assert rows_after_resize([0, 5, 10, 11, 20, 21], 10) == 1 + 1 + 1 + 2 + 2 + 3
    assert rows_after_resize([], 10) == 0
    assert rows_after_resize([3], 0) == 3
