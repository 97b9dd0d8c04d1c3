"""Reads names out of an answer that is JSON, string by string, before the document ends.

It is no JSON parser: it follows brackets and strings, forgives what models get wrong (missing
commas and quotes, raw newlines, a missing end), and gives up where lines of text follow.

Names are: strings in a list; in an object the value of the first key that means "name", else of
its first key; in a list inside an object, where the object is the answer itself ({"entries":
[…]}, {"Museums": […]}) or the key means "entries". What describes an item ({"name": …, "tags":
[…]}) is none.
"""

from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass

DEPTH_MAX = 32
"""Brackets followed; what lies deeper is skipped."""

_NAME_KEYS = frozenset({"name", "title", "entry", "item", "label", "entity", "value", "text"})
_LIST_KEYS = frozenset(
    {"entries", "items", "names", "list", "results", "attractions", "examples", "members", "data"}
)
_ASIDE_KEYS = frozenset(
    {"topic", "facet", "category", "status", "type", "id", "description", "language", "query"}
)
_STRING_STOP = re.compile(r'["\\\n\r]')
_BREAKS = re.compile(r"[^\W\d_]|[`#*•–—<>-]")
_LITERALS = ("t", "f", "n")


class JsonState(enum.Enum):
    OPEN = enum.auto()
    CLOSED = enum.auto()
    BROKEN = enum.auto()
    """Lines of text follow; they begin where `feed` stopped."""


@dataclass(frozen=True, slots=True)
class JsonString:
    text: str
    too_long: bool = False
    """Longer than allowed; `text` is its beginning."""


@dataclass(slots=True)
class _Container:
    is_list: bool
    speaks: bool
    """Whether names are expected in it."""
    is_item: bool = False
    """An object that stands in a list: what it holds describes one entry."""
    key: str | None = None
    loose: JsonString | None = None
    """A string in an object of which it is not known yet whether it is a key."""
    first: JsonString | None = None
    done: bool = False
    """An object that has given its name, or holds lists or objects that give theirs."""


class JsonNames:
    """One JSON document as it streams in."""

    def __init__(self, string_characters_max: int) -> None:
        self.state = JsonState.OPEN
        self.found: list[JsonString] = []
        """Names found since the caller last emptied it."""
        self._characters_max = string_characters_max
        self._containers: list[_Container] = []
        self._too_deep = 0
        self._string: list[str] | None = None
        self._string_characters = 0
        self._escaping = False
        self._at_line_start = False

    def feed(self, text: str, position: int = 0) -> int:
        """Read on from `position`; return where reading stopped."""
        while position < len(text) and self.state is JsonState.OPEN:
            if self._string is not None:
                position = self._read_string(text, position)
            else:
                position = self._read_structure(text, position)
        return position

    def finish(self) -> None:
        """The text ended without being cut: what stands open is complete."""
        if self._string is not None:
            self._close_string()
        while self._containers:
            self._close_container()

    def _read_string(self, text: str, position: int) -> int:
        assert self._string is not None
        if self._escaping:
            self._escaping = False
            self._keep("\\" + text[position])
            return position + 1
        stop = _STRING_STOP.search(text, position)
        end = len(text) if stop is None else stop.start()
        self._keep(text[position:end])
        if stop is None:
            return end
        if stop[0] == "\\":
            self._escaping = True
            return end + 1
        self._close_string()
        return end + 1 if stop[0] == '"' else end

    def _keep(self, piece: str) -> None:
        """Append to the string; of one that is too long, only its beginning is kept."""
        assert self._string is not None
        room = self._characters_max + 1 - self._string_characters
        if room > 0 and piece:
            self._string.append(piece[:room])
        self._string_characters += len(piece)

    def _close_string(self) -> None:
        assert self._string is not None
        raw = "".join(self._string)
        too_long = self._string_characters > self._characters_max
        self._string = None
        self._string_characters = 0
        string = JsonString(raw if too_long else _unescaped(raw), too_long)
        if self._too_deep or not self._containers:
            return
        container = self._containers[-1]
        if container.is_list:
            if container.speaks:
                self.found.append(string)
        elif container.key is None:
            container.loose = string
        else:
            self._read_value(container, container.key, string)

    def _read_value(self, container: _Container, key: str, value: JsonString) -> None:
        if not container.speaks:
            return
        if key.isdigit() or (key in _NAME_KEYS and not container.done):
            container.done = True
            self.found.append(value)
        elif container.first is None and key not in _ASIDE_KEYS:
            container.first = value

    def _read_structure(self, text: str, position: int) -> int:
        sign = text[position]
        if sign in "\n\r":
            self._at_line_start = True
        elif not sign.isspace():
            if self._at_line_start and self._breaks(sign):
                self.state = JsonState.BROKEN
                return position
            self._at_line_start = False
            self._read_sign(sign)
        return position + 1

    def _breaks(self, sign: str) -> bool:
        return _BREAKS.match(sign) is not None and sign not in _LITERALS

    def _read_sign(self, sign: str) -> None:
        if sign == '"':
            self._string = []
        elif sign in "[{":
            self._open_container(is_list=sign == "[")
        elif sign in "]}":
            if self._too_deep:
                self._too_deep -= 1
            else:
                self._close_container()
        elif self._containers and not self._too_deep:
            self._read_punctuation(self._containers[-1], sign)

    def _read_punctuation(self, container: _Container, sign: str) -> None:
        if container.is_list:
            return
        if sign == ":" and container.loose is not None:
            container.key = container.loose.text.strip().lower()
            container.loose = None
        elif sign == ",":
            self._take_loose(container)
            container.key = None

    def _take_loose(self, container: _Container) -> None:
        """A string without a value: an object used as a set."""
        if container.loose is not None and container.speaks:
            container.done = True
            self.found.append(container.loose)
        container.loose = None

    def _open_container(self, *, is_list: bool) -> None:
        if len(self._containers) >= DEPTH_MAX:
            self._too_deep += 1
            return
        parent = self._containers[-1] if self._containers else None
        if parent is None:
            opened = _Container(is_list, speaks=True)
        elif parent.is_list:
            opened = _Container(is_list, speaks=parent.speaks, is_item=not is_list)
        else:
            key = parent.key or ""
            speaks = parent.speaks and (not parent.is_item or (is_list and key in _LIST_KEYS))
            opened = _Container(is_list, speaks=speaks)
            parent.done = parent.done or speaks
            parent.key = None
        self._containers.append(opened)

    def _close_container(self) -> None:
        container = self._containers.pop()
        if not container.is_list:
            self._take_loose(container)
            if container.speaks and not container.done and container.first is not None:
                self.found.append(container.first)
        if not self._containers:
            self.state = JsonState.CLOSED


def _unescaped(raw: str) -> str:
    if "\\" not in raw:
        return raw
    try:
        return str(json.loads(f'"{raw}"', strict=False))
    except ValueError:
        return raw.replace("\\", "")
