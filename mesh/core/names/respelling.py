"""A text -> the same written otherwise: "ü" as "ue", "Spider-Man" as "Spiderman"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_DIGRAPHS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue",
     "Ø": "Oe", "Å": "Aa"}
)  # fmt: skip
_SINGLE_LETTERS = str.maketrans("æœÆŒ", "eeEE")
_HYPHENS = frozenset("-‐‑")
_HYPHEN = re.compile(r"(?<![^\W_])([^\W\d_])[-‐‑](?=[^\W\d_])")
"""Behind a single letter: "e-mail"; "re-sign" is not "resign"."""
_COMPOUND = re.compile(r"(?<![^\W_])(co|[^\W\d_]{3,})[-‐‑]([^\W\d_]{3,})(?![\w‐‑-])")
"""A word of two parts: "Spider-Man", which is also written "Spiderman"."""
_FIRST_PARTS_APART = frozenset(("non", "pre", "dis", "mis", "over", "out"))
"""Joined to what follows they may make another word: "dis-ease"."""
_INNER_DOT = re.compile(r"(?<=[^\W\d_]{2})\.(?=[^\W\d_])")
_AND = re.compile(r"(?<=\s)(?:['‘’]n['’]?|n['’])(?=\s)", re.IGNORECASE)
"""Rock 'n' roll."""


def may_be_respelled(text: str) -> bool:
    """False: it is written in one way alone."""
    return not _RESPELLED_LETTERS.isdisjoint(text)


def respelled(text: str) -> Iterator[tuple[str, str]]:
    """Other ways to write `text`, each with the rule that made it."""
    for signs, written_otherwise, rule in _RULES:
        if not signs.isdisjoint(text) and (other := written_otherwise(text)) != text:
            yield other, rule


def _without_hyphen(text: str) -> str:
    return _COMPOUND.sub(_joined, _HYPHEN.sub(r"\1", text))


def _joined(compound: re.Match[str]) -> str:
    first, second = compound.groups()
    return compound[0] if first.lower() in _FIRST_PARTS_APART else first + second.lower()


_RULES: tuple[tuple[frozenset[str], Callable[[str], str], str], ...] = (
    (frozenset(map(chr, _DIGRAPHS)), lambda text: text.translate(_DIGRAPHS), "umlaut"),
    (
        frozenset(map(chr, _SINGLE_LETTERS)),
        lambda text: text.translate(_SINGLE_LETTERS),
        "ligature",
    ),
    (_HYPHENS, _without_hyphen, "hyphen"),
    (frozenset("."), lambda text: _INNER_DOT.sub("", text), "dot"),
    (frozenset("'‘’"), lambda text: _AND.sub("and", text), "and"),
    (frozenset("·"), lambda text: text.replace("·", " "), "middle dot"),
)
"""Signs that a rule is about, what it makes of a text, and its name."""
_RESPELLED_LETTERS = frozenset().union(*(signs for signs, _, _ in _RULES))
