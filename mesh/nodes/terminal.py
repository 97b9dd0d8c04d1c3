"""The terminal: a few live lines, or plain ones where it is no terminal, and lines that stay.

Fed with a status by plain method calls, about twice a second; it measures nothing and starts no
thread. How a status reads is run_lines.py's and guest_lines.py's.

A terminal that is gone must not end a run: after the first failure to write nothing is shown.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

Status = Mapping[str, Any]
"""What there is to show; {} before there is anything. Of its keys only `notices` is read here."""

PLAIN_EVERY_S = 5.0
LINE_CHARACTERS_MAX = 1_000
"""A longer line is cut."""


@dataclass(frozen=True, slots=True)
class Lines:
    """How one kind of status reads."""

    plain: Callable[[Status], str]
    """In one line."""
    live: Callable[[Status, str | None], RenderableType]
    """As live lines; the second argument is the page's address."""
    milestone: Callable[[Status], object]
    """What is said at once when it changes."""


class TerminalView:
    """The terminal. Close it, or leave its `with`, so that the cursor comes back."""

    def __init__(
        self,
        lines: Lines,
        stream: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stream`: None for standard output. `clock`: seconds, for the rhythm of plain lines."""
        self._lines = lines
        self._stream = sys.stdout if stream is None else stream
        self._clock = clock
        self._gone = False
        self._finished = False
        self._page_url: str | None = None
        self._said_milestone: object = None
        self._said_at_s = 0.0
        self._said_notices: frozenset[str] = frozenset()
        self._live: Live | None = None
        self._console = _console(self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def show_page(self, url: str, url_elsewhere: str | None = None) -> None:
        """Say where the page is, here and from other machines, and keep the first in sight."""
        self._page_url = url
        self.say(f"page: {url}")
        if url_elsewhere is not None:
            self.say(f"page from other machines: {url_elsewhere}")

    def update(self, status: Status) -> None:
        """Show how things are now; after `finish` nothing more."""
        if not status or self._gone or self._finished:
            return
        try:
            if self._console is not None:
                self._show_live(self._console, status)
            else:
                self._show_plain(status)
        except OSError:
            self._give_up()

    def say(self, line: str) -> None:
        """Print one line, above the live ones."""
        if self._gone:
            return
        try:
            if self._live is not None:
                # Through the console, which moves the live lines out of the way.
                self._live.console.out(shown(line), highlight=False)
            else:
                self._stream.write(f"{shown(line)}\n")
                self._stream.flush()
        except OSError:
            self._give_up()

    def finish(self, lines: Sequence[str]) -> None:
        """Replace the live lines by the closing ones."""
        self._finished = True
        self.close()
        for line in lines:
            self.say(line)

    def close(self) -> None:
        """Take the live lines away and give the cursor back; may be repeated."""
        live, self._live = self._live, None
        if live is not None and not self._gone:
            try:
                live.stop()
            except OSError:
                self._give_up()

    def _show_live(self, console: Console, status: Status) -> None:
        from rich.live import Live

        block = self._lines.live(status, self._page_url)
        if self._live is None:
            self._live = Live(
                block,
                console=console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self._live.update(block, refresh=True)

    def _show_plain(self, status: Status) -> None:
        """A line now and then, at once at a milestone; each notice when it appears."""
        notices = frozenset(map(str, status.get("notices", ())))
        for notice in sorted(notices - self._said_notices):
            self.say(f"note: {notice}")
        self._said_notices = notices
        milestone = self._lines.milestone(status)
        now_s = self._clock()
        if milestone != self._said_milestone or now_s - self._said_at_s >= PLAIN_EVERY_S:
            self._said_milestone, self._said_at_s = milestone, now_s
            self.say(self._lines.plain(status))

    def _give_up(self) -> None:
        """Nobody reads any more: write nowhere from now on, also when Python flushes at its end."""
        self._gone = True
        self._live = None
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        except (OSError, ValueError):
            return


def program_name(argv0: str) -> str:
    """How the user calls this program, for the commands that messages name."""
    return "python run_mesh.py" if PurePath(argv0).name == "run_mesh.py" else "topicmesh"


def shown(text: object) -> str:
    """`text` as one bounded line without control, format and direction characters."""
    line = str(text)[: LINE_CHARACTERS_MAX + 1]
    if not line.isprintable():
        line = "".join(each if each.isprintable() else " " for each in line)
    return line if len(line) <= LINE_CHARACTERS_MAX else f"{line[: LINE_CHARACTERS_MAX - 1]}…"


def _console(stream: TextIO) -> Console | None:
    """Where live lines are drawn; None: `stream` is not made for them."""
    if not stream.isatty():
        return None
    from rich.console import Console

    class LastingConsole(Console):
        """Reports a terminal that is gone, where rich's own would end the process."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    console = LastingConsole(file=stream, highlight=False, markup=False, emoji=False)
    return console if console.is_terminal and not console.is_dumb_terminal else None
