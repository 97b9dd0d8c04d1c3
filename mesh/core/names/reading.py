"""Which of several forms of one name a reader would rather see in a list."""

from __future__ import annotations

from collections.abc import Sequence

from mesh.core.names.words import parsed


def best_to_read(texts: Sequence[str]) -> str:
    """The form that reads best: no list mark or inversion, proper case, accents kept; of equals
    the first.

    Example: best_to_read(["MUSEE RODIN", "musee rodin", "Musée Rodin"]) == "Musée Rodin"
    """
    return max(texts, key=_rank) if len(texts) > 1 else texts[0]


def _rank(text: str) -> tuple[bool, bool, int, int]:
    name = parsed(text)
    accents = sum(ord(character) > 127 and character.isalpha() for character in text)
    return not name.unmarked, not name.inverted, _case_rank(text), accents


def _case_rank(text: str) -> int:
    """2: as names are written; 1: all small; 0: all capitals, of a text long enough to shout."""
    if text.isupper() and sum(map(str.isalpha, text)) > 4:
        return 0
    return 1 if text.islower() else 2
