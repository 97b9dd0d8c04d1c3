"""A plural -> its singular, as far as English words tell it by their end."""

from __future__ import annotations

from mesh.core.names import vocabulary

_PLURAL_LETTERS_MIN = 4
_IES_LETTERS_MIN = 6
_IE = frozenset(("movies", "cookies", "zombies", "calories", "genies", "prairies", "brownies"))
_NOT_PLURAL = ("ss", "us", "is", "as", "os")
_ES = ("ches", "shes", "sses", "xes", "zzes", "ruses", "toes", "roes")


def singular(word: str) -> str:
    """An English plural's singular; a word that is none as it is, as far as its end tells."""
    if word in vocabulary.IRREGULAR_PLURALS:
        return vocabulary.IRREGULAR_PLURALS[word]
    if (
        not word.endswith("s")
        or len(word) < _PLURAL_LETTERS_MIN
        or not word.isascii()
        or not word.isalpha()
    ):
        return word
    if word in _IE:
        return word[:-1]
    if word.endswith("ies") and len(word) >= _IES_LETTERS_MIN:
        return word[:-3] + "y"
    if word.endswith(_ES):
        return word[:-2]
    if word.endswith("s") and not word.endswith(_NOT_PLURAL):
        return word[:-1]
    return word
