"""Reads an answer line by line: which lines are entries, given the lines before them.

Holds what one line cannot tell: whether the answer is numbered, which dash ends its names, which
column of its table is the name, whether a bold line is a heading. The rules for the line itself
are line_rules.py's, descriptions.py's and remarks.py's.
"""

from __future__ import annotations

import re

from mesh.core.normalize import ENTRY_BYTES_MAX, clean_text
from mesh.llm.descriptions import Separators, without_description
from mesh.llm.findings import Entry, Parsed, RejectReason, Remark, RemarkKind, rejected
from mesh.llm.json_names import JsonNames
from mesh.llm.line_rules import (
    Numbering,
    comma_list,
    is_structure,
    split_marks,
    tidy,
    unwrapped,
    without_decoration,
)
from mesh.llm.remarks import is_prose, remark_kind

_CHATTER = Remark(RemarkKind.CHATTER)

_HEADING = re.compile(r"#{1,6} (?P<title>.*)")
_NUMBERED = re.compile(r"\W*\d{1,4}[.)]")
_BOLD_ONLY = re.compile(r"(?:\*\*|__)[^*_]+(?:\*\*|__)")
_TABLE_RULE = re.compile(r"(?=[^-]*-)[|:\- +]+$")
_NAME_COLUMN = re.compile(r"\W*(?:name|entry|title|item|attraction|place)s?\b", re.IGNORECASE)
_NUMBER_COLUMN = re.compile(r"\W*(?:#|n[or]\.?|num(?:ber)?|rank|index|\d*)\W*$", re.IGNORECASE)
_DETAIL = re.compile(r"\W*[^\W\d_][^:]{0,30}:\W* \S")
_JSON_INSIDE = re.compile(r'[\[{] ?"')

_DETAIL_INDENT_MIN = 2
_PARAGRAPH_WORDS_MIN = 4


class LineReader:
    """Turns the complete lines of one answer into entries and remarks, in order."""

    def __init__(self, line_characters_max: int) -> None:
        self._line_characters_max = line_characters_max
        self._numbering = Numbering()
        self._separators = Separators()
        self._has_items = False
        """Whether names are set off, so that sentences between them are descriptions."""
        self._item_indent = 0
        self._held: str | None = None
        """A bold line: the heading of the list below it, or an entry when none follows."""
        self._table_head: str | None = None
        """A table's first row: its head when a rule follows, else a row like the others."""
        self._name_column: int | None = None

    def read(self, line: str) -> list[Parsed]:
        """What a complete line says; a line held back comes with the next one."""
        text = tidy(line)
        if not text:
            return [rejected(line, RejectReason.UNPRINTABLE)] if line.strip() else []
        if text.startswith("|") and text.count("|") > 1:
            return [*self._release_held(item_follows=False), *self._read_row(text)]
        before = self._release_table_head()
        self._name_column = None
        if is_structure(text):
            return before
        heading = _HEADING.fullmatch(text)
        if heading is not None:
            if _NUMBERED.match(heading["title"]) is None:
                return [*before, *self._release_held(item_follows=False), _CHATTER]
            text = heading["title"]
        return [*before, *self._read_text(text, indent=len(line) - len(line.lstrip()))]

    def read_cut(self, line: str) -> list[Parsed]:
        """What can be kept of the last line when the answer was cut: all but a list's last name."""
        names = comma_list(tidy(line))
        return [self._name(name) for name in names[:-1]] if names else []

    def read_item(self, text: str) -> list[Parsed]:
        """What one delimited string says (of JSON, of a table): no line of prose."""
        marked = split_marks(tidy(text), self._numbering)
        return self._read_words(marked.text, listed=True) if marked.text else []

    def finish(self) -> list[Parsed]:
        """What was held back."""
        return [*self._release_table_head(), *self._release_held(item_follows=False)]

    def _read_text(self, text: str, *, indent: int) -> list[Parsed]:
        marked = split_marks(text, self._numbering)
        before = self._release_held(item_follows=marked.is_item)
        if _JSON_INSIDE.search(marked.text) is not None:
            names = self._names_in_json(marked.text)
            if names:
                return [*before, *names]
        if not marked.is_item:
            if _BOLD_ONLY.fullmatch(text) is not None:
                self._held = text
                return before
            if self._has_items and is_prose(text, words_min=_PARAGRAPH_WORDS_MIN):
                return [*before, _CHATTER]
            return [*before, *self._read_words(text, listed=False)]
        is_detail = self._has_items and indent >= self._item_indent + _DETAIL_INDENT_MIN
        if is_detail and _DETAIL.match(marked.text) is not None:
            return [*before, _CHATTER]
        if not is_detail:
            self._item_indent = indent
        self._has_items = True
        return [*before, *self._read_words(marked.text, listed=True)]

    def _read_words(self, text: str, *, listed: bool) -> list[Parsed]:
        kind = remark_kind(text, listed=listed)
        if kind is not None:
            return [Remark(kind)]
        if text.rstrip("*_` ").endswith((":", "：")) and any(map(str.isalnum, text)):
            return [_CHATTER]
        names = comma_list(text, label_needed=listed)
        if names is not None:
            return [self._name(name) for name in names]
        return [self._name(text)]

    def _name(self, text: str) -> Parsed:
        name = unwrapped(without_decoration(text))
        name = unwrapped(without_decoration(without_description(name, self._separators)))
        entry = clean_text(name)
        if entry is None:
            too_long = len(name.encode(errors="replace")) > ENTRY_BYTES_MAX
            return rejected(text, RejectReason.TOO_LONG if too_long else RejectReason.UNPRINTABLE)
        if is_prose(text) and is_prose(entry + "."):
            return rejected(text, RejectReason.SENTENCE)
        self._numbering.lines_before = True
        return Entry(entry)

    def _names_in_json(self, text: str) -> list[Parsed]:
        start = _JSON_INSIDE.search(text)
        assert start is not None
        document = JsonNames(self._line_characters_max)
        document.feed(text, start.start())
        return [part for string in document.found for part in self.read_item(string.text)]

    def _read_row(self, text: str) -> list[Parsed]:
        if _TABLE_RULE.match(text) is not None:
            if self._table_head is None:
                return []
            cells = _cells(self._table_head)
            self._table_head = None
            self._name_column = _name_column(cells)
            return [_CHATTER]
        if self._name_column is None and self._table_head is None:
            self._table_head = text
            return []
        return [*self._release_table_head(), *self._read_cells(text)]

    def _read_cells(self, text: str) -> list[Parsed]:
        cells = _cells(text)
        column = self._name_column
        if column is None:
            column = 1 if len(cells) > 1 and _NUMBER_COLUMN.match(cells[0][:40]) else 0
            self._name_column = column
        return self.read_item(cells[column]) if column < len(cells) else []

    def _release_table_head(self) -> list[Parsed]:
        head, self._table_head = self._table_head, None
        return [] if head is None else self._read_cells(head)

    def _release_held(self, *, item_follows: bool) -> list[Parsed]:
        held, self._held = self._held, None
        if held is None:
            return []
        if item_follows:
            return [_CHATTER]
        self._has_items = True
        return self._read_words(held, listed=False)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("| ").split("|")]


def _name_column(head: list[str]) -> int:
    """The column headed as names are, else the first that does not count."""
    for column, title in enumerate(head):
        if _NAME_COLUMN.match(title) is not None:
            return column
    uncounted = (i for i, title in enumerate(head) if _NUMBER_COLUMN.match(title[:40]) is None)
    return next(uncounted, 0)
