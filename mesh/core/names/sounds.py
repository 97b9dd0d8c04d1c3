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

from rapidfuzz.distance import OSA, Levenshtein

from mesh.core.names.spelling_weights import WEIGHTS

FOLDS_REMEMBERED = 2_048
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
    """A folded word, without spaces, as it may sound in whatever language it was written down."""
    for letters, one in _SOUNDS if "h" in word else _SOUNDS_WITHOUT_H:
        if letters in word:
            word = word.replace(letters, one)
    if "c" in word:
        word = _SOFT_C.sub("s", word)
    return _REPEATED.sub("", word.translate(_ONE_SOUND))


def skeleton(sounded: str) -> str:
    """The consonants of a sound, and its first letter whatever it is."""
    return _REPEATED.sub("", sounded[:1] + sounded[1:].translate(_SILENT))


def spelling_log_odds(one: str, other: str, *, spaces: int = 0) -> float:
    """For one name against two: the natural logarithm of the odds, of words without spaces.

    Args:
        spaces: how many more of them one of the two was written with.
    """
    total = sum(
        WEIGHTS.get(feature, 0.0) * value for feature, value in features(one, other, spaces)
    )
    return max(-30.0, min(30.0, total))


def is_slip(one: str, other: str, letters_min: int) -> bool:
    """Whether a letter was left out, doubled or exchanged with the next in a word of at least so
    many letters, not at its beginning."""
    if min(len(one), len(other)) < letters_min or one[0] != other[0]:
        return False
    if len(one) == len(other):
        return sorted(one) == sorted(other) and OSA.distance(one, other, score_cutoff=1) == 1
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
    found: list[tuple[str, float]] = []
    edits = Levenshtein.editops(mine, theirs)
    last_mine, last_theirs = len(mine) - 1, len(theirs) - 1
    for edit in edits:
        left = mine[edit.src_pos] if edit.src_pos < len(mine) else ""
        right = theirs[edit.dest_pos] if edit.dest_pos < len(theirs) else ""
        place = ""
        if edit.src_pos == 0 and edit.dest_pos == 0:
            place = "0"
        elif edit.src_pos >= last_mine and edit.dest_pos >= last_theirs:
            place = "$"
        if edit.tag == "replace":
            found.append((f"r:{''.join(sorted(left + right))}", 1.0))
            found.append((f"R{place}{_class(left)}{_class(right)}", 1.0))
        else:
            letter = left if edit.tag == "delete" else right
            found.append((f"i:{letter}", 1.0))
            found.append((f"I{place}{_class(letter)}", 1.0))
    bones, other_bones = skeleton(mine), skeleton(theirs)
    longest = max(len(one), len(other), 1)
    found += [
        ("bias", 1.0),
        ("edits", len(edits) / 4),
        ("edits a letter", 3 * len(edits) / max(len(mine), len(theirs), 1)),
        ("letters", longest / 10),
        ("bones edits", Levenshtein.distance(bones, other_bones) / 2),
        ("bones alike", Levenshtein.normalized_similarity(bones, other_bones)),
        ("same bones", float(bones == other_bones)),
        ("same end", float(one[-2:] == other[-2:])),
        ("same beginning", float(one[:2] == other[:2])),
        ("one within", float(theirs.startswith(mine) or mine.startswith(theirs))),
        ("spaces", float(spaces)),
    ]
    return found


def _class(letter: str) -> str:
    return "v" if letter in _VOWELS else "c"
