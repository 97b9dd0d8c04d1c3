"""Made-up names like those of real lists, any number of them, and other ways to write them.

Words are made of syllables and used as unevenly as real ones; four names in ten say what kind of
thing they name. Seeded: the same seed gives the same names. Real lists have more to tell names
apart by, and less: figures by these names compare versions of the program, not programs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from mesh.core.names.words import parsed


def _words(text: str) -> list[str]:
    return text.split()


_ONSETS = _words("b br c ch d dr f fl g gr h j k kl l m n p pr qu r s sh st t tr v w y z")
_VOWELS = _words("a a e e i o u ai au ea ie oo ou é ö")
_CODAS = ["", "", "", "n", "r", "l", "s", "t", "nd", "rt", "ck", "m", "ng"]
_KINDS = _words("Museum Garden Tower Bridge Church Park River Lake Palace Theatre Library Castle")
_WORD_COUNT = 80_000


def made_up_names(count: int, seed: int) -> Iterator[str]:
    """Yield `count` names of which no two have one key."""
    source = random.Random(seed)
    words = [_word(source) for _ in range(_WORD_COUNT)]
    seen: set[str] = set()
    while len(seen) < count:
        parts = [_drawn(source, words) for _ in range(source.choice((1, 2, 2, 2, 3)))]
        if source.random() < 0.4:
            parts.append(source.choice(_KINDS))
        name = " ".join(parts)
        key = parsed(name).key
        if key not in seen:
            seen.add(key)
            yield name


def variant(name: str, source: random.Random) -> tuple[str, str] | None:
    """(how it was changed, the same name written otherwise); None: this one cannot be so."""
    how, change = source.choice(_CHANGES)
    changed = change(name, source)
    return None if changed is None or parsed(changed).key == parsed(name).key else (how, changed)


def _word(source: random.Random) -> str:
    syllables = source.choice((1, 2, 2, 2, 3, 3))
    made = "".join(
        source.choice(_ONSETS) + source.choice(_VOWELS) for _ in range(syllables)
    ) + source.choice(_CODAS)
    return made.capitalize()


def _drawn(source: random.Random, words: list[str]) -> str:
    """Words near the beginning come often, as real ones do."""
    return words[int(len(words) * source.random() ** 2)]


def _typo(name: str, source: random.Random) -> str | None:
    """A letter left out, doubled or exchanged with the next, in a word of seven or more."""
    words = name.split()
    long = [at for at, word in enumerate(words) if len(word) >= 7 and word not in _KINDS]
    if not long:
        return None
    place = source.choice(long)
    word = words[place]
    at = source.randrange(1, len(word) - 1)
    words[place] = source.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return " ".join(words)


def _transcribed(name: str, source: random.Random) -> str | None:
    """As another language writes the sounds."""
    *_, last = name.split()
    if last in _KINDS:
        return None
    pairs = [
        ("w", "v"),
        ("ka", "ca"),
        ("ko", "co"),
        ("ou", "u"),
        ("sh", "sch"),
        ("y", "j"),
        ("ch", "tch"),
    ]
    source.shuffle(pairs)
    for letters, others in pairs:
        if letters in name:
            return name.replace(letters, others)
    return None


def _plural(name: str, _: random.Random) -> str | None:
    return name + "s" if name[-1] in "rtndlk" and len(name.split()[-1]) >= 5 else None


def _turned(name: str, _: random.Random) -> str | None:
    *others, kind = name.split()
    return f"{kind} of {' '.join(others)}" if others and kind in _KINDS else None


def _umlaut(name: str, _: random.Random) -> str | None:
    return name.replace("ö", "oe") if "ö" in name else None


def _glossed(name: str, source: random.Random) -> str:
    return f"{name} ({source.choice(_KINDS).lower()})"


_CHANGES: tuple[tuple[str, Callable[[str, random.Random], str | None]], ...] = (
    ("typo", _typo),
    ("transcribed", _transcribed),
    ("plural", _plural),
    ("turned", _turned),
    ("umlaut", _umlaut),
    ("glossed", _glossed),
)
