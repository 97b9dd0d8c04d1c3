"""From an answer as it streams in to entries, each as soon as it is complete.

Owns the stream: pieces end anywhere, lines may be endless, JSON may stand where lines should,
thoughts come before the answer, the end may be cut. What a line says is line_reader.py's, what a
JSON document holds json_names.py's. Whether an entry is new is not asked here.

The same text gives the same results however it is cut into pieces. Whatever the text, no call
raises, time is linear in its length and memory bounded by `line_characters_max`.
"""

from __future__ import annotations

import re

from mesh.llm.findings import (
    Entry,
    Parsed,
    Rejected,
    RejectReason,
    Remark,
    RemarkKind,
    rejected,
)
from mesh.llm.json_names import JsonNames, JsonState
from mesh.llm.line_reader import LineReader

__all__ = ["AnswerParser", "Entry", "Parsed", "RejectReason", "Rejected", "Remark", "RemarkKind"]

LINE_CHARACTERS_MAX = 4_096
"""A longer line is rejected and skipped. Room for some 150 names on one line."""

ENTRIES_MAX = 2_000
"""Entries of one answer; what follows is rejected, said once."""

_NEWLINE = re.compile(r"[\r\n]")
_JSON_BEGINS = re.compile(r'[ \t]*[\[{][\[{\s]*"')
_JSON_MAY_BEGIN = re.compile(r"[ \t]*[\[{][\[{\s]*")
_THOUGHT_TAG = re.compile(r"<(?P<end>/?)(?:think|thinking|reasoning)>")
_THOUGHT_TAGS = tuple(
    f"<{end}{name}>" for name in ("think", "thinking", "reasoning") for end in ("", "/")
)
_THOUGHT_TAG_CHARACTERS_MAX = max(map(len, _THOUGHT_TAGS))


class AnswerParser:
    """Parses one answer. Feed it every piece, then finish it; each result is returned once."""

    def __init__(
        self,
        *,
        line_characters_max: int = LINE_CHARACTERS_MAX,
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        self._line_characters_max = line_characters_max
        self._entries_left = entries_max
        self._lines = LineReader(line_characters_max)
        self._thoughts = _ThoughtFilter()
        self._json: JsonNames | None = None
        self._pending = ""
        """Text from a line's beginning on, at most line_characters_max long."""
        self._skipping = False
        self._says_nothing = True
        """Neither entry nor remark so far."""
        self._empty_document = False

    def feed(self, delta: str) -> list[Parsed]:
        """What `delta` completes: entries whose line or string has ended, remarks, rejects."""
        return self._bounded(self._read(self._thoughts.visible(delta), last=False))

    def finish(self, *, cut: bool) -> list[Parsed]:
        """What the end completes.

        Args:
            cut: the answer stopped in the middle (length, a broken stream): its unfinished last
                line is dropped.
        """
        found = self._read(self._thoughts.rest(), last=True)
        if self._json is not None:
            if not cut:
                self._json.finish()
            found += self._json_names(self._json)
        elif self._pending:
            found += self._lines.read_cut(self._pending) if cut else self._lines.read(self._pending)
        self._pending = ""
        found = self._bounded(found + self._lines.finish())
        if self._says_nothing and self._empty_document:
            # A list without an entry, where nothing but a list may be written.
            found.append(Remark(RemarkKind.EXHAUSTED))
        return found

    def _bounded(self, found: list[Parsed]) -> list[Parsed]:
        kept: list[Parsed] = []
        for part in found:
            if isinstance(part, Entry):
                self._entries_left -= 1
                if self._entries_left == -1:
                    kept.append(rejected(part.text, RejectReason.TOO_MANY))
                if self._entries_left < 0:
                    continue
            kept.append(part)
        self._says_nothing = self._says_nothing and not kept
        return kept

    def _read(self, text: str, *, last: bool) -> list[Parsed]:
        found: list[Parsed] = []
        text = self._pending + text
        position = 0
        while position < len(text):
            if self._json is not None:
                position = self._json.feed(text, position)
                found += self._json_names(self._json)
                if self._json.state is not JsonState.OPEN:
                    self._empty_document = self._json.state is JsonState.CLOSED
                    self._json = None
                continue
            if not self._skipping and self._json_begins(text, position, last=last) is None:
                break
            if self._json is not None:
                continue
            after_line = self._read_line(text, position, found)
            if after_line is None:
                break
            position = after_line
        self._pending = "" if self._skipping else text[position:]
        return found

    def _json_begins(self, text: str, position: int, *, last: bool) -> bool | None:
        """Whether JSON begins here; None: the next piece will tell."""
        if text[position] not in " \t[{":
            return False
        end = position + self._line_characters_max
        if _JSON_BEGINS.match(text, position, end) is not None:
            self._json = JsonNames(self._line_characters_max)
            return True
        may_begin = _JSON_MAY_BEGIN.match(text, position, end)
        if may_begin is not None and may_begin.end() == len(text) and not last and len(text) < end:
            return None
        return False

    def _read_line(self, text: str, position: int, found: list[Parsed]) -> int | None:
        """Read the line at `position`; return where the next begins, None when it is not ended."""
        newline = _NEWLINE.search(text, position)
        end = len(text) if newline is None else newline.start()
        if not self._skipping and end - position > self._line_characters_max:
            found.append(rejected(text[position:end], RejectReason.TOO_LONG))
            self._skipping = True
        if newline is None:
            return None
        if not self._skipping:
            found += self._lines.read(text[position:end])
        self._skipping = False
        return newline.end()

    def _json_names(self, document: JsonNames) -> list[Parsed]:
        found: list[Parsed] = []
        for string in document.found:
            if string.too_long:
                found.append(rejected(string.text, RejectReason.TOO_LONG))
            else:
                found += self._lines.read_item(string.text)
        document.found.clear()
        return found


class _ThoughtFilter:
    """Lets through what is outside <think>…</think>, which some models write into the answer."""

    def __init__(self) -> None:
        self._inside = False
        self._carried = ""
        """The last characters, as long as they may be the beginning of a tag."""

    def visible(self, delta: str) -> str:
        text = self._carried + delta
        self._carried = _tag_beginning(text)
        text = text[: len(text) - len(self._carried)]
        shown: list[str] = []
        position = 0
        for tag in _THOUGHT_TAG.finditer(text):
            if not self._inside:
                shown.append(text[position : tag.start()])
            self._inside = not tag["end"]
            position = tag.end()
        if not self._inside:
            shown.append(text[position:])
        return "".join(shown)

    def rest(self) -> str:
        carried, self._carried = self._carried, ""
        return "" if self._inside else carried


def _tag_beginning(text: str) -> str:
    """The end of `text` that may be the beginning of a thought's tag."""
    start = text.rfind("<", -_THOUGHT_TAG_CHARACTERS_MAX)
    tail = text[start:] if start >= 0 else ""
    is_beginning = any(tag.startswith(tail) and tag != tail for tag in _THOUGHT_TAGS)
    return tail if tail and is_beginning else ""
