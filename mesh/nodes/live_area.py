"""The live lines at the bottom of a terminal, which lines that stay are printed above.

Rich draws them and takes them away again. What it leaves to others is done here: never more lines
than the terminal has, and a terminal that was resized meanwhile, which has broken the old lines
anew, so that they take more rows than were drawn.
"""

from __future__ import annotations

from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment


class LiveArea:
    """Live lines on one terminal. Whoever writes beside it breaks them.

    All methods raise OSError when the terminal is gone.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn = _Drawn()
        self._live = Live(
            self._drawn,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def draw(self, block: RenderableType) -> None:
        """Show `block` in place of what was shown."""
        self._drawn.block = block
        if not self._live.is_started:
            self._live.start()
        self.draw_again()

    def draw_again(self) -> None:
        """Fit what is shown into the terminal as it is now."""
        if self._live.is_started:
            self._mend_rows()
            self._live.refresh()

    def say(self, line: str) -> None:
        """Print one line above."""
        self._mend_rows()
        self._console.out(line, highlight=False)

    def close(self) -> None:
        """Take the live lines away and give the cursor back."""
        self._mend_rows()
        self._live.stop()

    def _mend_rows(self) -> None:
        """Erase what the old lines have become, and leave the cursor where rich expects it.

        A terminal that cuts lines instead of breaking them loses some that stay above.
        """
        size = self._console.size
        drawn, rows = len(self._drawn.widths), rows_after_resize(self._drawn.widths, size.width)
        if rows <= drawn:
            return
        up, down = min(rows, size.height) - 1, min(drawn, size.height) - 1
        erase_up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
        self._console.control(
            Control(
                ControlType.CARRIAGE_RETURN,
                (ControlType.ERASE_IN_LINE, 2),
                *(erase_up * up),
                *(((ControlType.CURSOR_DOWN, down),) if down else ()),
            )
        )
        self._drawn.widths = [1] * drawn


def rows_after_resize(widths: list[int], terminal_width: int) -> int:
    """Rows that lines of `widths` cells take once a terminal has broken them anew."""
    width = max(1, terminal_width)
    return sum(max(1, -(-each // width)) for each in widths)


def open_console(stream: TextIO) -> Console | None:
    """Where live lines are drawn; None: `stream` is not made for them."""
    console = _LastingConsole(file=stream, highlight=False, markup=False, emoji=False)
    usable = console.is_terminal and console.is_interactive and not console.is_dumb_terminal
    return console if usable else None


class _LastingConsole(Console):
    """Reports a terminal that is gone, where rich's own would end the process."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Drawn:
    """What is shown, cut to the terminal; remembers how wide its lines came out."""

    def __init__(self) -> None:
        self.block: RenderableType = ""
        self.widths: list[int] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # The last row stays free: ending the live lines moves one below them.
        lines = console.render_lines(self.block, options, pad=False)
        lines = lines[: max(1, options.size.height - 1)]
        self.widths = [Segment.get_line_length(line) for line in lines]
        for line in lines:
            yield from line
            yield Segment.line()
