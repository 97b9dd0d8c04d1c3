"""How likely two spellings are of one name, by the letters in which they differ.

Names travel between languages and come back spelled otherwise: "Raipur" and "Raypur" are one,
"Raipur" and "Jaipur" two. Both are one letter apart, so distance alone cannot tell; which letters
are exchanged can. Spellings are first folded to how they may sound alike, then the edits that are
left are weighed by how often they stand between two spellings of one place, against how often
between two places (spelling_weights.py, learned by bench/learn_spellings.py).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import starmap
from operator import eq
from typing import Any

from rapidfuzz.distance import OSA, Levenshtein

from mesh.core.names.spelling_weights import WEIGHTS

FOLDS_REMEMBERED = 2_048
EDITS_REMEMBERED = 4_096
LETTERS_MIN = 3
"""Of shorter words any could be another's misspelling."""

_SOUNDS = (
    ("tsch", "C"), ("dsch", "J"), ("shch", "S"), ("tch", "C"), ("dzh", "J"), ("tsh", "C"),
    ("sch", "S"), ("chzh", "J"), ("zh", "J"), ("sh", "S"), ("sz", "S"), ("cz", "C"), ("ch", "C"),
    ("tz", "c"), ("ts", "c"), ("dj", "J"), ("kh", "h"), ("gh", "g"), ("ph", "f"), ("th", "t"),
    ("bh", "b"), ("dh", "d"), ("ck", "k"), ("qu", "k"), ("gu", "g"), ("ou", "u"), ("oo", "u"),
    ("ee", "i"), ("oe", "o"), ("ae", "e"), ("ue", "u"), ("ij", "i"),
)  # fmt: skip
"""Letters that together stand for one sound; capitals are sounds of their own until the end."""
_SOUNDS_WITHOUT_H = tuple(each for each in _SOUNDS if "h" not in each[0])
_SOFT_C = re.compile("c(?=[eiy])")
_ONE_SOUND = str.maketrans(
    {"q": "k", "c": "k", "w": "v", "y": "i", "j": "i", "x": "ks", "J": "j", "C": "s", "S": "s"}
)
_REPEATED = re.compile(r"(.)(?=\1)")
"""All but the last of a run."""
_SILENT = str.maketrans("", "", "aeiouh")
_VOWELS = frozenset("aeiou")


@lru_cache(maxsize=FOLDS_REMEMBERED)
def sound(word: str) -> str:
    """The same as `sound_once`, for words that come again."""
    return sound_once(word)


def sound_once(word: str) -> str:
    """A folded word, without spaces, as it may sound in whatever language it was written down."""
    for letters, one in _SOUNDS if "h" in word else _SOUNDS_WITHOUT_H:
        if letters in word:
            word = word.replace(letters, one)
    if "c" in word:
        word = _SOFT_C.sub("s", word)
    return _without_runs(word.translate(_ONE_SOUND))


def skeleton(sounded: str) -> str:
    """The consonants of a sound, and its first letter whatever it is."""
    return _without_runs(sounded[:1] + sounded[1:].translate(_SILENT))


def _without_runs(letters: str) -> str:
    """One letter of each run; most words have none, which C tells sooner than a pattern."""
    return _REPEATED.sub("", letters) if True in map(eq, letters, letters[1:]) else letters


def spelling_log_odds(one: str, other: str, *, spaces: int = 0) -> float:
    """For one name against two: the natural logarithm of the odds, of words without spaces.

    Args:
        spaces: how many more of them one of the two was written with.
    """
    mine, theirs = sorted((sound(one), sound(other)))
    edits = _edits(mine, theirs)
    total = sum(starmap(_edit_log_odds, edits))
    for feature, value in _features_of_whole(one, other, mine, theirs, len(edits)):
        total += WEIGHTS.get(feature, 0.0) * value
    total += WEIGHTS["spaces"] * spaces
    return max(-30.0, min(30.0, total))


def is_slip(one: str, other: str, letters_min: int) -> bool:
    """Whether a letter was left out, doubled or exchanged with the next in a word of at least so
    many letters, not at its beginning."""
    if min(len(one), len(other)) < letters_min or one[0] != other[0]:
        return False
    if len(one) == len(other):
        return OSA.distance(one, other, score_cutoff=1) == 1 and sorted(one) == sorted(other)
    return Levenshtein.distance(one, other, score_cutoff=1) == 1


def alike(one: str, other: str) -> float:
    """Share of sounds that two words have in common, 0..1."""
    return Levenshtein.normalized_similarity(sound(one), sound(other))


def features(one: str, other: str, spaces: int = 0) -> list[tuple[str, float]]:
    """What the weights are of: (feature, value), a feature perhaps more than once.

    Edits by their letters ("r:bv": b for v, either way; "i:h": an h more) and by where they are
    and of which kind ("R0cc": a consonant for another at the beginning; "I$v": a vowel more at
    the end).
    """
    mine, theirs = sorted((sound(one), sound(other)))
    edits = _edits(mine, theirs)
    found = [(feature, 1.0) for edit in edits for feature in _edit_features(*edit)]
    found += _features_of_whole(one, other, mine, theirs, len(edits))
    return [*found, ("spaces", float(spaces))]


def _edits(mine: str, theirs: str) -> list[tuple[str, str, str]]:
    """Of each edit the letters on either side, "" for none, and "0" at the beginning, "$" at the
    end, "" between."""
    found = []
    last_mine, last_theirs = len(mine) - 1, len(theirs) - 1
    edits: Any = Levenshtein.editops(mine, theirs).as_list()  # Typed as if any part were any.
    for tag, at, against in edits:
        left = mine[at] if tag != "insert" else ""
        right = theirs[against] if tag != "delete" else ""
        if at == 0 and against == 0:
            found.append((left, right, "0"))
        elif at >= last_mine and against >= last_theirs:
            found.append((left, right, "$"))
        else:
            found.append((left, right, ""))
    return found


@lru_cache(maxsize=EDITS_REMEMBERED)
def _edit_log_odds(left: str, right: str, place: str) -> float:
    return sum(WEIGHTS.get(feature, 0.0) for feature in _edit_features(left, right, place))


def _edit_features(left: str, right: str, place: str) -> tuple[str, str]:
    if left and right:
        letters = "".join(sorted(left + right))
        return f"r:{letters}", f"R{place}{_class(left)}{_class(right)}"
    letter = left or right
    return f"i:{letter}", f"I{place}{_class(letter)}"


def _features_of_whole(
    one: str, other: str, mine: str, theirs: str, edit_count: int
) -> tuple[tuple[str, float], ...]:
    """By two words and their sounds, whatever the edits are."""
    bones, other_bones = skeleton(mine), skeleton(theirs)
    bones_edits = Levenshtein.distance(bones, other_bones)
    bones_longest = max(len(bones), len(other_bones))
    return (
        ("bias", 1.0),
        ("edits", edit_count / 4),
        ("edits a letter", 3 * edit_count / max(len(mine), len(theirs), 1)),
        ("letters", max(len(one), len(other), 1) / 10),
        ("bones edits", bones_edits / 2),
        ("bones alike", 1.0 - bones_edits / bones_longest if bones_longest else 1.0),
        ("same bones", float(bones == other_bones)),
        ("same end", float(one[-2:] == other[-2:])),
        ("same beginning", float(one[:2] == other[:2])),
        ("one within", float(theirs.startswith(mine) or mine.startswith(theirs))),
    )


def _class(letter: str) -> str:
    return "v" if letter in _VOWELS else "c"
