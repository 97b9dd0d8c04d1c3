"""A terminal as far as live lines use one: it scrolls, and breaks long lines anew when resized."""

from __future__ import annotations

import io
import re

from rich.cells import cell_len

_PIECES = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n])")


class TerminalScreen(io.StringIO):
    """What is written to it is on its rows. Rows above the visible ones stay as they are."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.width, self.height = width, height
        self.rows = [""]
        self.goes_on: list[bool] = [False]
        """Whether a row's line goes on in the next one."""
        self.row = self.column = 0
        self.cursor_shown = True

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> list[str]:
        """All rows, without what is blank at their ends and the screen's."""
        return "\n".join(row.rstrip() for row in self.rows).rstrip("\n").split("\n")

    def resize(self, width: int, height: int) -> None:
        """As tmux, VTE and others do; the cursor keeps its place in its line."""
        lines, before = self._lines()
        self.width, self.height = width, height
        self.rows, self.goes_on = [], []
        for index, line in enumerate(lines):
            pieces = [line[at : at + width] for at in range(0, len(line), width)] or [""]
            if index == before[0]:
                at = min(before[1], max(0, len(line)))
                self.row = len(self.rows) + min(at // width, len(pieces) - 1)
                self.column = at - width * min(at // width, len(pieces) - 1)
            self.rows += pieces
            self.goes_on += [True] * (len(pieces) - 1) + [False]

    def write(self, text: str) -> int:
        for argument, command, move, character in _PIECES.findall(text):
            if command:
                self._command(argument, command)
            elif move == "\r":
                self.column = 0
            elif move == "\n":
                self._next_row(goes_on=False)
                self.column = 0
            elif character:
                self._put(character)
        return len(text)

    def _lines(self) -> tuple[list[str], tuple[int, int]]:
        """Whole lines, and the cursor as (line, place in it)."""
        lines: list[str] = []
        cursor, line = (0, 0), ""
        for index, row in enumerate(self.rows):
            if index == self.row:
                cursor = (len(lines), len(line) + self.column)
            line += row
            if not self.goes_on[index]:
                lines.append(line)
                line = ""
        return lines, cursor

    def _put(self, character: str) -> None:
        assert cell_len(character) == 1, "narrow letters only"
        if self.column >= self.width:
            self._next_row(goes_on=True)
            self.column = 0
        row = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = row[: self.column] + character + row[self.column + 1 :]
        self.column += 1

    def _next_row(self, *, goes_on: bool) -> None:
        self.goes_on[self.row] = goes_on
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")
            self.goes_on.append(False)

    def _command(self, argument: str, command: str) -> None:
        top = max(0, len(self.rows) - self.height)
        if command == "A":
            self.row = max(top, self.row - int(argument or 1))
        elif command == "B":
            self.row = min(len(self.rows) - 1, self.row + int(argument or 1))
        elif command == "K":
            assert argument == "2"
            self.rows[self.row] = ""
            self.goes_on[self.row] = False
        elif argument == "?25":
            self.cursor_shown = command == "h"
        else:
            assert command == "m", (argument, command)
