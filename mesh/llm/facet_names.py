"""The facets that a planning answer names, each as soon as it is complete.

Read as an answer with entries is (parsing.py), save that a facet's name may be a list by itself:
"Squares, streets, bridges, quays and islands" is one facet, not five. Which facets become part
of the plan is core/facet_tree.py's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mesh.core.normalize import item_key
from mesh.llm.findings import Parsed
from mesh.llm.line_rules import comma_list, tidy
from mesh.llm.parsing import LINE_CHARACTERS_MAX, AnswerParser, Entry

NAME_CHARACTERS_MAX = 120
"""A longer name is a description."""

NAMES_MAX = 60
"""Of one answer; further ones are dropped."""

_LABEL = re.compile(r"(?P<name>[^,;:]{1,120}):(?:\*\*|__)? ")
_JSON = re.compile(r'[\[{]|"')
# Stands for a comma while the parser reads the line; no answer holds this private sign.
_COMMA = "\ue0fc"


class FacetNames:
    """Reads one answer. Feed it every piece, then finish it; each name is returned once."""

    def __init__(self, *, topic: str) -> None:
        self._parser = AnswerParser()
        self._seen = {item_key(topic)}
        self._names_left = NAMES_MAX
        self._pending = ""
        """The beginning of a line whose end has not come."""

    def feed(self, delta: str) -> list[str]:
        """Names that `delta` completes, clean, without the topic itself."""
        *whole, self._pending = (self._pending + delta.replace(_COMMA, "")).split("\n")
        if len(self._pending) > LINE_CHARACTERS_MAX:  # No line of names: JSON on one line, prose.
            whole, self._pending = [*whole, self._pending], ""
            return self._names(self._parser.feed("\n".join(map(_as_one_name, whole))))
        return self._names(self._parser.feed("".join(_as_one_name(line) + "\n" for line in whole)))

    def finish(self, *, cut: bool) -> list[str]:
        """Names that the end completes.

        Args:
            cut: the answer stopped in the middle: its unfinished last line is dropped.
        """
        parsed = self._parser.feed(_as_one_name(self._pending))
        self._pending = ""
        return self._names([*parsed, *self._parser.finish(cut=cut)])

    def _names(self, parsed: Iterable[Parsed]) -> list[str]:
        names = []
        for part in parsed:
            if not isinstance(part, Entry) or not self._names_left:
                continue
            name = part.text.replace(_COMMA, ",")
            key = item_key(name)
            if len(name) <= NAME_CHARACTERS_MAX and key not in self._seen:
                self._seen.add(key)
                self._names_left -= 1
                names.append(name)
        return names


def facet_names(pieces: Iterable[str], *, topic: str, cut: bool = False) -> list[str]:
    """All names of an answer, given the text as it came."""
    reader = FacetNames(topic=topic)
    names = [name for piece in pieces for name in reader.feed(piece)]
    return names + reader.finish(cut=cut)


def _as_one_name(line: str) -> str:
    """`line` such that the parser does not take its commas for those of a list of entries."""
    if "," not in line or _JSON.search(line):
        return line
    if comma_list(tidy(line), label_needed=True) is not None:
        label = _LABEL.match(line)
        if label is not None:
            return label["name"]  # What follows are examples.
    return line.replace(",", _COMMA)
