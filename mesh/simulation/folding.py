"""When the simulator takes two spellings for one name: its own rule, simpler than the mesh's.

Case, accents, punctuation and spacing are folded, a leading article is dropped. It decides which
catalog entry a line of a prompt means, and which catalog a topic means; nothing else.
"""

from __future__ import annotations

import unicodedata

_ARTICLES = frozenset({"the", "a", "an", "le", "la", "les"})
_ELIDED = ("l'", "l’")
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i"})
_JOINERS = str.maketrans("", "", "'’ʼ`´.")
# These make a name of their own: C, C++ and C# are three.
_KEPT_SIGNS = "+#"
_ASCII_SIGNS = str.maketrans(
    {sign: " " for sign in map(chr, range(128)) if not sign.isalnum() and sign not in _KEPT_SIGNS}
)


def folded(text: str) -> str:
    """The form in which spellings of one name agree: "Musée d’Orsay" gives "musee dorsay".

    Never empty for a text with a visible character.
    """
    plain = text.casefold().translate(_JOINERS)
    if plain.isascii():
        words = plain.translate(_ASCII_SIGNS).split()
    else:
        plain = without_accents(plain).translate(_LIGATURES)
        words = "".join(map(_folded_character, plain)).split()
    if len(words) > 1 and words[0] in _ARTICLES:
        del words[0]
    return " ".join(words) or text.strip()


def has_article(name: str) -> bool:
    """Whether `name` begins with an article, so that nobody would put another before it."""
    first, *rest = name.lower().split(maxsplit=1)
    return (first in _ARTICLES and bool(rest)) or first.startswith(_ELIDED)


def without_accents(text: str) -> str:
    """`text` with the marks taken off Latin letters: "Sacré-Cœur" gives "Sacre-Cœur"."""
    kept: list[str] = []
    base_is_latin = False
    for character in unicodedata.normalize("NFKD", text):
        if unicodedata.combining(character):
            if base_is_latin:
                continue
        else:
            base_is_latin = character < "\u0250"
        kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept))


def _folded_character(character: str) -> str:
    if character.isalnum() or character in _KEPT_SIGNS:
        return character
    # Vowel signs of Indic scripts and voicing marks of Japanese belong to their letter.
    return character if unicodedata.category(character) in {"Mn", "Mc"} else " "
