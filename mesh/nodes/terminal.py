"""The terminal: a few live lines, or plain ones where it is no terminal, and lines that stay.

Fed with a status by plain method calls, about twice a second; it measures nothing and starts no
thread. How a status reads is run_lines.py's and guest_lines.py's, how live lines are drawn
live_area.py's. Asked to explain, it also says, in lines that stay, what happens and why.

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
    from rich.console import RenderableType

    from mesh.nodes.live_area import LiveArea

Status = Mapping[str, Any]
"""What there is to show; {} before there is anything. Of its keys only `notices` is read here."""

PLAIN_EVERY_S = 5.0
LINE_CHARACTERS_MAX = 1_000
"""A longer line is cut."""
SAID_ONCE_MAX = 1_000
"""Remarks remembered that are made once; past it nothing more is remarked of that kind."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something worth a line that stays, for who asks for explanations."""

    text: str
    once_as: str | None = None
    """Said only if nothing was said before by this name; None: each time."""


@dataclass(frozen=True, slots=True)
class Lines:
    """How one kind of status reads."""

    plain: Callable[[Status], str]
    """In one line."""
    live: Callable[[Status, str | None], RenderableType]
    """As live lines; the second argument is the page's address."""
    milestone: Callable[[Status], object]
    """What is said at once when it changes."""
    plain_explained: Callable[[Status], str]
    """In one line, with more figures."""
    remarks: Callable[[Status, Status], Sequence[Remark]]
    """What has happened between one status, {} before the first, and the next."""


class TerminalView:
    """The terminal. Close it, or leave its `with`, so that the cursor comes back."""

    def __init__(
        self,
        lines: Lines,
        stream: TextIO | None = None,
        *,
        live: bool = True,
        explaining: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the terminal; nothing is written yet.

        Args:
            stream: None for standard output.
            live: False for plain lines on a terminal, too.
            explaining: say what happens and why.
            clock: seconds, for the rhythm of plain lines.
        """
        self._lines = lines
        self._stream = sys.stdout if stream is None else stream
        self._clock = clock
        self._gone = False
        self._finished = False
        self._page_url: str | None = None
        self._said_milestone: object = None
        self._said_at_s = 0.0
        self._said_notices: frozenset[str] = frozenset()
        self._explaining = explaining
        self._said_once: set[str] = set()
        self._status: Status = {}
        self._area = _live_area(self._stream) if live else None
        self._is_drawn = False

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
        before, self._status = self._status, status
        for remark in self._lines.remarks(before, status):
            self.explain(remark.text, remark.once_as)
        if self._area is None or self._explaining:
            self._say_notices(status)
        try:
            if self._area is not None:
                self._show_live(self._area, status)
            else:
                self._show_plain(status)
        except OSError:
            self._give_up()

    def resized(self) -> None:
        """Fit the live lines into the terminal as it is now."""
        if self._area is None or not self._is_drawn or self._gone:
            return
        try:
            self._area.draw_again()
        except OSError:
            self._give_up()

    def explain(self, line: str, once_as: str | None = None) -> None:
        """Print one line, if explanations were asked for; see Remark."""
        if not self._explaining:
            return
        if once_as is not None:
            if once_as in self._said_once or len(self._said_once) >= SAID_ONCE_MAX:
                return
            self._said_once.add(once_as)
        self.say(line)

    def say(self, line: str) -> None:
        """Print one line, above the live ones."""
        if self._gone:
            return
        try:
            if self._area is not None and self._is_drawn:
                self._area.say(shown(line))
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
        is_drawn, self._is_drawn = self._is_drawn, False
        if self._area is not None and is_drawn and not self._gone:
            try:
                self._area.close()
            except OSError:
                self._give_up()

    def _show_live(self, area: LiveArea, status: Status) -> None:
        self._is_drawn = True
        area.draw(self._lines.live(status, self._page_url))

    def _show_plain(self, status: Status) -> None:
        """A line now and then, at once at a milestone."""
        milestone = self._lines.milestone(status)
        now_s = self._clock()
        if milestone != self._said_milestone or now_s - self._said_at_s >= PLAIN_EVERY_S:
            self._said_milestone, self._said_at_s = milestone, now_s
            line = self._lines.plain_explained if self._explaining else self._lines.plain
            self.say(line(status))

    def _say_notices(self, status: Status) -> None:
        """Each when it appears, and when it is over."""
        notices = frozenset(map(str, status.get("notices", ())))
        for notice in sorted(notices - self._said_notices):
            self.say(f"note: {notice}")
        for notice in sorted(self._said_notices - notices):
            self.explain(f"no longer: {notice}")
        self._said_notices = notices

    def _give_up(self) -> None:
        """Nobody reads any more: write nowhere from now on, also when Python flushes at its end."""
        self._gone = True
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


def _live_area(stream: TextIO) -> LiveArea | None:
    """Where live lines are drawn; None: `stream` is not made for them."""
    if not stream.isatty():
        return None
    # Imported here: plain lines are written without rich.
    from mesh.nodes.live_area import LiveArea, open_console

    console = open_console(stream)
    return None if console is None else LiveArea(console)
