"""Names of one thing in two scripts: letters of the other one as Latin letters.

Only where one of two names is in Latin letters and the other is not: within a script letters are
compared as they are, since what sounds alike there is written otherwise for a reason.
"""

from __future__ import annotations

from functools import lru_cache

from anyascii import anyascii

WORDS_REMEMBERED = 2_048


@lru_cache(maxsize=WORDS_REMEMBERED)
def in_latin(word: str) -> str:
    """A folded word in Latin letters, as far as its own say how it sounds.

    Example: in_latin("балаково") == "balakovo"
    """
    if word.isascii():
        return word
    return "".join(filter(str.isalnum, anyascii(word).lower())) or word


def in_one_script(one: str, other: str) -> tuple[str, str]:
    """Both in Latin letters where one of them is, else both as they are."""
    if one.isascii() == other.isascii():
        return one, other
    return in_latin(one), in_latin(other)
