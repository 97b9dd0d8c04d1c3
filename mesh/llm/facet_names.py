"""The facets that a planning answer names.

Read as an answer with entries is (parsing.py), save that a facet's name may be a list by itself:
"Squares, streets, bridges, quays and islands" is one facet, not five. Which facets become part
of the plan is core/facet_tree.py's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mesh.core.normalize import item_key
from mesh.llm.line_rules import comma_list, tidy
from mesh.llm.parsing import AnswerParser, Entry

NAME_CHARACTERS_MAX = 120
"""A longer name is a description."""

NAMES_MAX = 60
"""Of one answer; further ones are dropped."""

_LABEL = re.compile(r"(?P<name>[^,;:]{1,120}):(?:\*\*|__)? ")
_JSON = re.compile(r'[\[{]|"')
# Stands for a comma while the parser reads the line; no answer holds this private sign.
_COMMA = "\ue0fc"


def facet_names(pieces: Iterable[str], *, topic: str, cut: bool = False) -> list[str]:
    """The names, clean and in order, each once; without the topic itself.

    Args:
        pieces: the answer's text as it came.
        cut: the answer stopped in the middle: its unfinished last line is dropped.
    """
    text = "".join(pieces).replace(_COMMA, "")
    parser = AnswerParser()
    parsed = parser.feed("".join(map(_as_one_name, text.splitlines(keepends=True))))
    parsed += parser.finish(cut=cut)
    seen = {item_key(topic)}
    names: list[str] = []
    for part in parsed:
        if not isinstance(part, Entry):
            continue
        name = part.text.replace(_COMMA, ",")
        key = item_key(name)
        if len(name) <= NAME_CHARACTERS_MAX and key not in seen:
            seen.add(key)
            names.append(name)
    return names[:NAMES_MAX]


def _as_one_name(line: str) -> str:
    """`line` such that the parser does not take its commas for those of a list of entries."""
    if "," not in line or _JSON.search(line):
        return line
    if comma_list(tidy(line), label_needed=True) is not None:
        label = _LABEL.match(line)
        if label is not None:
            return label["name"] + "\n"  # What follows are examples.
    return line.replace(",", _COMMA)
