"""Where a name ends and the description that a model has added begins.

Where a sign may belong to the name, the rules are these:
- A separator (spaced dash, em dash, colon, arrow, bar) ends the name when a description follows.
  A description is what titles are not: it holds a word in lower case that is no particle ("a
  museum in Paris", not "Episode IV", "No Way Home", "Charles de Gaulle"), is a sentence, or is
  in a script without case. Hyphens inside words never separate.
- A parenthesis stays ("Java (island)", "Casablanca (1942)") unless it is as long as a
  description, or begins as an explanation does ("also known as …").
- After a comma only an explanation goes ("Louvre, the museum on the Seine"; not "Paris, Texas").

A French or Spanish title in sentence case ("Dune : deuxième partie") is the known exception: it
reads as a name with its description.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ARTICLES = frozenset({"a", "an", "the"})
# Words that names write in lower case, in the languages whose names LLMs write most.
_PARTICLES = _words(
    "a an the of and or nor in on at to for with from by as vs no off over into per via "
    "de du des d la le les l et à au aux en sur sous chez y e el los las del di da do das dos "
    "della delle dello dei degli il lo gli al alla von van der den dem des zu zum zur und im am "
    "ob bei het te ter af och i o u na nad pod bin ibn ben abu"
)
_EXPLAINING = _words(
    "a an the which where who known famous located home built one with also formerly featuring "
    "offering named designed founded including opened"
)
_EXPLAINING_ASIDE = _words(
    "also formerly known aka a.k.a. famous located built home the a an see since opened e.g. i.e. "
    "including already previously originally popular"
)
_PUNCTUATION = ".,;:!?\"'“”‘’()[]*_…"
_SEPARATOR = re.compile(r" (?:[-–—―−]{1,3}|->|→|=>|\||::?) |: |：|(?<=\w)—(?=\w)|(?<=\w)— ")
_DASHES = frozenset("–—―→|")
_ASIDE = re.compile(r" \(([^()]*)\)$")
_VERB = re.compile(r" (?:is|was|are|were) (?:an?|the|one|home|located|known|considered|famous) ")
_DESCRIPTION_WORDS_MIN = 4
_LOWER_NAME_WORDS_MIN = 3


@dataclass(slots=True)
class Separators:
    """Dashes that have ended names in this answer, so that they do where a line leaves it open."""

    used: set[str] = field(default_factory=set)


def without_description(text: str, separators: Separators) -> str:
    """The name that `text` begins with, by the rules in this module's docstring."""
    text = _before_separator(text, separators)
    verb = _VERB.search(text)
    if verb is not None and _is_description(text[verb.start() :], text[: verb.start()]):
        text = text[: verb.start()]
    text = _before_explanation(text)
    for _ in range(3):
        aside = _ASIDE.search(text)
        if aside is None or not aside.start() or not _is_explaining_aside(aside[1]):
            break
        text = text[: aside.start()]
    return _without_end_marks(text)


def _before_separator(text: str, separators: Separators) -> str:
    found = list(_SEPARATOR.finditer(text))
    for place, separator in enumerate(found):
        head = text[: separator.start()]
        end = found[place + 1].start() if place + 1 < len(found) else len(text)
        sign = separator[0].strip()
        if not any(map(str.isalnum, head)):
            continue
        described = _is_description(text[separator.end() : end], head)
        if sign[0] in _DASHES:
            if described:
                separators.used.add(sign)
            described = described or (sign in separators.used and place + 1 == len(found))
        if described:
            return head
    return text


def _is_description(tail: str, head: str) -> bool:
    """Whether `tail`, set off from `head`, tells something about it and is no part of a name."""
    words = [word for word in (each.strip(_PUNCTUATION) for each in tail.split()) if word]
    letters = [character for character in tail if character.isalpha()]
    if not letters:
        return False
    if not any(character.isupper() or character.islower() for character in letters):
        return True
    if _is_sentence(tail, len(words)):
        return True
    if not any(_is_plain_word(word) for word in words):
        return False
    if head.islower():  # Where names have no capitals, only length and articles tell.
        return len(words) >= _LOWER_NAME_WORDS_MIN or words[0] in _ARTICLES
    return True


def _is_plain_word(word: str) -> bool:
    return word.islower() and word not in _PARTICLES and len(word) > 1


def _is_sentence(text: str, word_count: int) -> bool:
    return text.endswith(".") and word_count >= 3 and not _ends_in_abbreviation(text)


def _before_explanation(text: str) -> str:
    head, comma, tail = text.partition(", ")
    words = tail.split()
    if not comma or len(words) < _LOWER_NAME_WORDS_MIN or head.islower():
        return text
    if words[0] in _EXPLAINING and any(map(_is_plain_word, words[1:])):
        return head
    return text


def _is_explaining_aside(aside: str) -> bool:
    words = aside.split()
    if len(words) < 2:
        return False
    if words[0].lower().rstrip(":,") in _EXPLAINING_ASIDE and words[0].islower():
        return True
    return len(words) >= _DESCRIPTION_WORDS_MIN and any(map(_is_plain_word, words))


_ABBREVIATION = re.compile(
    r"(?:^|[\s.(])(?:[^\W\d_]|Jr|Sr|St|Inc|Co|Ltd|Corp|Bros|Mt|Dr|Mr|Mrs|Ms|No|Vol|Op|etc|vs|Ave|Blvd"
    r"|Rd|Ft|Dept|Univ|Esq|Ph\.D|al|spp?|var|subsp)\.$"
)
_END_MARKS = re.compile(r"(?: [-–—|→:]+| ?[,;:|])$")


def _ends_in_abbreviation(text: str) -> bool:
    return _ABBREVIATION.search(text[-12:]) is not None


def _without_end_marks(text: str) -> str:
    """Without the punctuation that ends an item of a list; "Washington, D.C." keeps its dot."""
    for _ in range(3):
        text = _END_MARKS.sub("", text.rstrip())
    if text.endswith(".") and not text.endswith("..") and not _ends_in_abbreviation(text):
        text = text[:-1]
    return text
