"""Which text an entry is published as, and when two texts are one entry.

`clean_text` is the gate: whatever an LLM, a file or a peer hands over becomes one printable line
or nothing. `item_key` folds spelling, not meaning: case, accents, punctuation, articles. Whether
"Notre-Dame" and "Notre-Dame de Paris" are the same place is not decided here, nor how a line of
an answer becomes a name (llm/line_rules.py).

Every node recomputes keys from texts, so the rules are part of the protocol: a change that
changes any key raises KEY_RULES_VERSION. Where folding could merge two real names it keeps them
apart: a duplicate in the list is seen, a lost entry is not.

Both run for every entry that arrives: the common case is a few calls into C, and what needs
Python is reached only by texts that hold the character in question.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

KEY_RULES_VERSION = 1

ENTRY_BYTES_MAX = 512
"""UTF-8 bytes of one entry; a longer text is no entry."""

KEYS_REMEMBERED = 4_096
"""Of the latest texts: an entry is heard of when it is found, when it is accepted, and often again
when another model writes it."""

_REPAIRED_CHARACTERS_MAX = 8 * ENTRY_BYTES_MAX
"""A longer text is refused unrepaired: removing characters would not make a name of it."""

_FOLDINGS_MAX = 20_000
"""Characters whose folding is remembered; those met later are folded anew each time."""

_JOINERS = frozenset("\u200c\u200d")
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs"})
_JOINED_CATEGORIES = frozenset({"Lo", "So", "Sk"})
# Letters, marks and symbols that render as nothing: with them a blank line would pass for a name.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0]")


def clean_text(raw: str) -> str | None:
    """The line that `raw` is published as, or None when it cannot be an entry.

    One line, whitespace collapsed and trimmed, NFC, 1..ENTRY_BYTES_MAX bytes of UTF-8. Control,
    format and bidirectional-override characters are removed; zero-width joiners stay where a
    script or an emoji needs them: after a letter without case or a symbol. Idempotent.
    """
    text = " ".join(raw.split())
    if text.isascii():
        if not text.isprintable():
            text = _repaired(text)
    else:
        if _needs_repair(text):
            text = _repaired(text)
        if len(text) * 4 > ENTRY_BYTES_MAX and len(text.encode()) > ENTRY_BYTES_MAX:
            return None
    if not text or len(text) > ENTRY_BYTES_MAX:
        return None
    return text


@lru_cache(maxsize=KEYS_REMEMBERED)
def item_key(text: str) -> bytes:
    """UTF-8 of what all spellings of one name share: two entries are one by this alone.

    Folded: compatibility forms, case, accents on Latin and Greek letters (a dakuten or a vowel
    sign is no accent), ligatures, `&` and "and", leading English articles. Removed: apostrophes,
    the dots of abbreviations, trademark signs, emoji beside letters. Other punctuation separates
    words. What makes a name stays: "C", "C++", "C#", ".NET", "AT&T", "A*" and "O-" all differ,
    and numbers keep their value: "3.5" is not "35", "10²" not "102".

    Never empty: a text without letters and digits is its own key. Idempotent.

    Args:
        text: clean, as `clean_text` returns it.

    Example: item_key("The Musée d’Orsay.") == b"musee dorsay"
    """
    folded = text.translate(_FOLDINGS)
    if not folded.replace(" ", "").isalnum():
        folded = _fold_punctuation(folded)
    key = " ".join(folded.split())
    if " and " in key or "&" in key:
        key = _AMPERSAND.sub("&", key.replace(" and ", "&"))
    if key.startswith(_ARTICLES):
        key = _without_article(key, text)
    if not key.isascii():
        key = unicodedata.normalize("NFC", key).translate(_FOLDINGS)
    if not key.isalnum() and not any(map(str.isalnum, key)):
        return text.encode()
    return key.encode()


def _needs_repair(text: str) -> bool:
    return (
        not text.isprintable()
        or not unicodedata.is_normalized("NFC", text)
        or unicodedata.category(text[0])[0] == "M"
        or _BLANK.search(text) is not None
    )


def _repaired(text: str) -> str:
    """`text` without what must not be shown; "" when nothing is left or it is far too long."""
    if len(text) > _REPAIRED_CHARACTERS_MAX:
        return ""
    text = _BLANK.sub("", unicodedata.normalize("NFC", text))
    seen = (c for c in text if c in _JOINERS or unicodedata.category(c) not in _UNSEEN_CATEGORIES)
    text = unicodedata.normalize("NFC", _with_needed_joiners("".join(seen)))
    start = 0
    while start < len(text) and (
        text[start].isspace() or unicodedata.category(text[start])[0] == "M"
    ):
        start += 1  # A mark at the start would sit on whatever is printed before the entry.
    return " ".join(text[start:].split())


def _with_needed_joiners(text: str) -> str:
    """Without zero-width joiners that join nothing: between Latin letters they only hide a name."""
    if _JOINERS.isdisjoint(text):
        return text
    kept: list[str] = []
    base_category = ""
    joiner = ""
    for character in text:
        if character in _JOINERS:
            joiner = character if base_category in _JOINED_CATEGORIES else ""
            continue
        category = unicodedata.category(character)
        if joiner and not character.isspace():
            kept.append(joiner)
        joiner = ""
        kept.append(character)
        if category[0] != "M":
            base_category = category
    return "".join(kept)


_APOSTROPHES = "'`´‘’‚‛′‵ʹʻʼʽʾʿˈ·׳״"  # The Catalan dot and the Hebrew signs work the same.
_HYPHENS = "-‐‑−"
_LETTERS = {
    "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "ð": "d",
    "þ": "th", "×": "x", "♯": "#", "№": "no ",
}  # fmt: skip
_DROPPED = "™®©℠"
_NAME_SYMBOLS = ".,*#+&%$♭♮"
_SEPARATING_SYMBOLS = "<=>|~⁄∕∶∙⋅"
# Before a digit written in another form ("²", "½"): it starts a number of its own after a digit.
_NUMBER_FORM = "\x1f"

_ACCENT = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f]"
_NOT_LATIN_NOR_GREEK = (
    "[^\0-\u02af\u0370-\u03ff\u1e00-\u1fff\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f]"
)
_ACCENTS = re.compile(f"{_ACCENT}(?<!{_NOT_LATIN_NOR_GREEK}{_ACCENT}){_ACCENT}*")


def _fold_symbol(character: str) -> str:
    """What one character of a decomposed, case-folded text contributes to a key."""
    if character in _LETTERS:
        return _LETTERS[character]
    if character in _APOSTROPHES:
        return "'"
    if character in _HYPHENS:
        return "-"
    if character in _SEPARATING_SYMBOLS:
        return " "
    category = unicodedata.category(character)
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return ""
    if category[0] in "PSZ" and category not in ("Sc", "Sm") and character not in _NAME_SYMBOLS:
        return character if "\U0001f1e6" <= character <= "\U0001f1ff" else " "
    return character


def _fold_character(character: str) -> str:
    """What one character contributes to a key, as far as its neighbours do not matter."""
    if character in _DROPPED:
        return ""
    if character in _LETTERS or character in _APOSTROPHES:
        return _fold_symbol(character)
    parts = unicodedata.normalize("NFKD", character).casefold()
    parts = unicodedata.normalize("NFKD", parts)
    if not unicodedata.category(parts[0]).startswith("M"):
        parts = _ACCENTS.sub("", parts)
    folded = unicodedata.normalize("NFC", "".join(map(_fold_symbol, parts)))
    is_number_form = unicodedata.category(character) == "No" and parts != character
    return _NUMBER_FORM + folded if is_number_form else folded


class _Foldings(dict[int, str]):
    """The table of `str.translate`, filled as characters turn up; full, it keeps what it has."""

    def __missing__(self, code_point: int) -> str:
        folded = _fold_character(chr(code_point))
        if len(self) < _FOLDINGS_MAX:
            self[code_point] = folded
        return folded


_FOLDINGS = _Foldings()
_FOLDINGS.update({code: _fold_character(chr(code)) for code in range(128)})

_ARTICLES = ("the ", "an ", "a ")
_ARTICLE = re.compile(r"\W*(?:the|an?)( ?)", re.IGNORECASE)
_AMPERSAND = re.compile(" ?& ?")

# Each starts with the sign it is about, which the search then finds at the speed of C.
_APOSTROPHE_IN_NUMBER = re.compile(r"'(?<=\d')(?=\d)")
_NUMBER_FORM_IN_NUMBER = re.compile(rf"{_NUMBER_FORM}(?<=\d{_NUMBER_FORM})")
_INITIAL = re.compile(r"\.(?<=\b[^\W\d_]\.) ?(?=[^\W\d_](?:\.|(?<=\.[^\W\d_])(?!\w)))")
_DOT = re.compile(r"\.(?:(?<=[\w.]\.)(?!(?<=\d\.)\d)|(?!\w))")  # But "3.5" and ".net".
_THOUSANDS = re.compile(r",(?<=\d,)(?=\d{3}(?!\d))")
_HYPHEN = re.compile(r"-(?:(?<=\w-)-*+(?=\w)|(?<![\w-]-)(?!\d)-*+)")  # But "o-" and "-5".
_HASH = re.compile(r"#(?<![\w#]#)#*")
_STAR_MARKUP = re.compile(r"\*(?<!\w\*)")
_STAR_INSIDE = re.compile(r"\*+(?=\w)")


def _fold_punctuation(folded: str) -> str:
    """Fold the signs whose meaning depends on their neighbours."""
    if not folded.isascii():
        folded = unicodedata.normalize("NFC", _ACCENTS.sub("", folded))
    if _NUMBER_FORM in folded:
        folded = _NUMBER_FORM_IN_NUMBER.sub(" ", folded).replace(_NUMBER_FORM, "")
    if "'" in folded:
        folded = _APOSTROPHE_IN_NUMBER.sub(" ", folded).replace("'", "")
    if "." in folded:
        folded = _DOT.sub(" ", _INITIAL.sub("", folded))
    if "," in folded:
        folded = _THOUSANDS.sub("", folded).replace(",", " ")
    if "*" in folded:
        is_markup = _STAR_MARKUP.search(folded) is not None
        folded = folded.replace("*", " ") if is_markup else _STAR_INSIDE.sub(" ", folded)
    if "#" in folded:
        folded = _HASH.sub(" ", folded)
    if "-" in folded:
        folded = _HYPHEN.sub(" ", folded)
    return folded


def _without_article(key: str, text: str) -> str:
    """`key` without the articles it starts with; something always remains.

    Only a bare word followed by a space is an article. In "A-ha", "A. Lincoln" and "Thé noir" it
    is not; there a hyphen ties it to the next word, so that it cannot be taken for one later.
    """
    position = 0
    while key.startswith(_ARTICLES):
        word, _, rest = key.partition(" ")
        article = _ARTICLE.match(text, position)
        if article is None or not article[1]:
            return word + "-" + rest.lstrip("-")
        key = rest
        position = article.end()
    return key


KEYS_REMEMBERED = 4_096
"""Of the latest texts: an entry is heard of when it is found, when it is accepted, and often again
when another model writes it."""
