"""Two names -> the same entry, perhaps, or different ones; and why.

In order: keys (what is safe by itself), vetoes (what is never merged by likeness), arrangement of
words, then spelling. Likeness of letters alone never makes two names one: it says "unsure", for a
judge or a person, since a list that counts a thing twice is better than one that swallows another.
Where vectors of the names are at hand (nearness.py) they are one more witness, of spelling and of
meaning, which never speaks against a veto.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from mesh.core.names.derived_keys import shared_key
from mesh.core.names.nearness import Nearness, with_nearness
from mesh.core.names.plurals import singular
from mesh.core.names.rarity import Rarity
from mesh.core.names.scripts import in_one_script
from mesh.core.names.sounds import LETTERS_MIN, alike, is_slip, spelling_log_odds
from mesh.core.names.structure import (
    Leftover,
    leftover,
    maybe_same,
    same_but_for_topic,
    same_rearranged,
    same_without_kind,
    words_left,
)
from mesh.core.names.vetoes import veto
from mesh.core.names.words import Name

ALIKE_MIN = 0.5
"""Share of sounds in common; who has less was never meant for the other."""
SPELLING_LOG_ODDS_MIN = 1.8
"""From here on two spellings may be of one name; see bench/names.py for what this finds."""
WORD_LOG_ODDS_MIN = 2.0
"""The same of single words of longer names: what they share, neighbours share too."""
SLIP_LETTERS_MIN = 6
"""Of a word of a longer name; in shorter words a letter makes another word."""
SLIP_WHOLE_LETTERS_MIN = 9
"""The same where there is nothing but the word."""

PLURAL_LETTERS_MIN = 5
"""Of a word that an s makes the plural of, whatever it ends with."""

NEAR_SAME_MIN = 3.0
"""Log-odds by letters and vectors from which on two spellings are of one name: of a thousand pairs
of two cities spelled alike, at most two are taken for one (bench/learn_nearness.py)."""
NEAR_UNSURE_MIN = 0.5
"""From here on they may be; lower than by letters alone, as fewer names are near than alike."""
EXPLAINED_BY_LETTERS = 0.6
"""Share of sounds in common from which on nearness says nothing of meaning: vectors of names that
a model does not know are those of their letters."""
EXPLAINED_FAR_OUT = 0.7
"""The same of a name that stands out by far: exonyms sound alike too, as "Torino" and "Turin"."""

SPELLED_ALIKE = "spelling alike"
SPELLED_OTHERWISE = "spelled otherwise"
NO_RARITY = Rarity()
SPELLINGS = (SPELLED_ALIKE, SPELLED_OTHERWISE)
IN_A_NUMBER = "differ in a number"


class Verdict(enum.StrEnum):
    SAME = "same"
    UNSURE = "unsure"
    DIFFERENT = "different"


class Comparison(NamedTuple):
    """A verdict on two names. A tuple, as several are made for every name that comes."""

    verdict: Verdict
    reason: str
    """For a person: the rule, or what the names differ in."""
    by_meaning: bool = False
    """It is this because of their vectors: no rule says so, nor their letters alone."""


SAME_KEY = Comparison(Verdict.SAME, "key")
DIFFERENT_WORDS = Comparison(Verdict.DIFFERENT, "different words")
MAYBE_PLURAL = Comparison(Verdict.UNSURE, "one in the plural")
OTHERWISE_SPELLED = Comparison(Verdict.DIFFERENT, SPELLED_OTHERWISE)


def compare(
    one: Name, other: Name, rarity: Rarity = NO_RARITY, nearness: Nearness | None = None
) -> Comparison:
    """Whether two names are one entry; symmetric but for `nearness`.

    Args:
        rarity: of the words of the list that both are in.
        nearness: of `other` as a neighbour of `one`, the new name; None: it is none, or there are
            no vectors.
    """
    rule = None if one.key == other.key else shared_key(one, other)
    if rule:
        return Comparison(Verdict.SAME, rule)
    return compare_without_keys(one, other, rarity, nearness)


def compare_without_keys(
    one: Name, other: Name, rarity: Rarity = NO_RARITY, nearness: Nearness | None = None
) -> Comparison:
    """The same of two names that share no derived key, which blocking knows."""
    if one.key == other.key:
        return SAME_KEY
    if reason := veto(one, other):
        return Comparison(Verdict.DIFFERENT, reason)
    left = leftover(one, other)
    comparison = _by_words(one, other, left, rarity)
    if nearness is None or left.shared or comparison.reason not in SPELLINGS:
        return comparison
    return _with_second_witness(one, other, comparison, nearness)


def compare_proposed(one: Name, other: Name, rarity: Rarity = NO_RARITY) -> Comparison:
    """The same, sooner, with the same verdict, but not always the reason why two are different: of
    the names that blocking proposes most are, so that vetoes are asked about the others alone."""
    if one.key == other.key:
        return SAME_KEY
    return _unless_vetoed(one, other, _by_words(one, other, leftover(one, other), rarity))


def compare_rest(one: Name, other: Name, rarity: Rarity = NO_RARITY) -> Comparison:
    """The same as `compare_proposed` of two names that share words and are not those words
    otherwise arranged, which blocking knows: what is left of both is hardly ever spelled alike."""
    comparison = _by_spelling(one, other, shares_words=True)
    if comparison.verdict is Verdict.DIFFERENT and comparison.reason != IN_A_NUMBER:
        return comparison
    return compare_proposed(one, other, rarity)


def compare_without_words(one: Name, other: Name) -> Comparison:
    """The same as `compare_proposed` of two that share no word either, but links and glosses."""
    return _unless_vetoed(one, other, _by_spelling(one, other, shares_words=False))


def _unless_vetoed(one: Name, other: Name, comparison: Comparison) -> Comparison:
    if comparison.verdict is Verdict.DIFFERENT:
        return comparison
    reason = veto(one, other)
    return Comparison(Verdict.DIFFERENT, reason) if reason else comparison


def _by_words(one: Name, other: Name, left: Leftover, rarity: Rarity) -> Comparison:
    """By how words are arranged, and by how those that are left are spelled."""
    if rule := same_rearranged(one, other, left):
        return Comparison(Verdict.SAME, rule)
    if rule := same_without_kind(one, other, left):
        return Comparison(Verdict.SAME, rule)
    if rule := same_but_for_topic(one, other, left, rarity):
        return Comparison(Verdict.SAME, rule)
    if reason := maybe_same(one, other, left, rarity):
        return Comparison(Verdict.UNSURE, reason)
    return _by_spelling(one, other, shares_words=bool(left.shared))


def _by_spelling(one: Name, other: Name, *, shares_words: bool) -> Comparison:
    if one.joined == other.joined:
        return Comparison(Verdict.UNSURE, "spaces")
    if not shares_words:
        limit, mine, theirs = SPELLING_LOG_ODDS_MIN, one.words, other.words
    else:
        apart = words_left(one, other)
        if apart is None or not (apart[0] and apart[1]):
            return DIFFERENT_WORDS
        limit, (mine, theirs) = WORD_LOG_ODDS_MIN, apart
    word, against = in_one_script("".join(mine), "".join(theirs))
    if word == against:
        return Comparison(Verdict.UNSURE, "in another script")
    if not (word.isalpha() and against.isalpha()) and word.isascii() and against.isascii():
        return Comparison(Verdict.DIFFERENT, IN_A_NUMBER)
    if _maybe_plural(word, against):
        # Who writes a word small takes it for no name.
        is_common_noun = _is_small(mine[-1], one) or _is_small(theirs[-1], other)
        is_plural = singular(word) == singular(against) and is_common_noun
        return Comparison(Verdict.SAME, "plural") if is_plural else MAYBE_PLURAL
    letters_min = SLIP_LETTERS_MIN if shares_words else SLIP_WHOLE_LETTERS_MIN
    if is_slip(word, against, letters_min):
        return Comparison(Verdict.UNSURE, "a slip of a letter")
    if _odds(word, against, abs(len(mine) - len(theirs))) >= limit:
        return Comparison(Verdict.UNSURE, SPELLED_ALIKE)
    return OTHERWISE_SPELLED


def _maybe_plural(word: str, against: str) -> bool:
    shorter, longer = sorted((word, against), key=len)
    return singular(word) == singular(against) or (
        len(shorter) >= PLURAL_LETTERS_MIN and longer in (f"{shorter}s", f"{shorter}es")
    )


def _is_small(word: str, name: Name) -> bool:
    return word in name.lowercase or singular(word) in map(singular, name.lowercase)


def _with_second_witness(
    one: Name, other: Name, by_letters: Comparison, nearness: Nearness
) -> Comparison:
    """The same with vectors, of names that share no word; never less than by letters."""
    is_of_letters = by_letters.reason in SPELLINGS
    if not (is_of_letters and nearness.stands_out):
        return by_letters
    spaces = abs(len(one.words) - len(other.words))
    odds = with_nearness(_odds(one.joined, other.joined, spaces), nearness)
    near = f"near in meaning ({nearness.cosine:.2f})"
    if odds >= NEAR_SAME_MIN and not spaces:
        return Comparison(Verdict.SAME, f"{SPELLED_ALIKE} and {near}", by_meaning=True)
    if by_letters.verdict is Verdict.UNSURE:
        return by_letters
    if odds >= NEAR_UNSURE_MIN:
        return Comparison(Verdict.UNSURE, f"{SPELLED_ALIKE} and {near}", by_meaning=True)
    explained = EXPLAINED_FAR_OUT if nearness.stands_far_out else EXPLAINED_BY_LETTERS
    if alike(one.joined, other.joined) < explained:
        return Comparison(Verdict.UNSURE, near, by_meaning=True)
    return by_letters


def _odds(one: str, other: str, spaces: int) -> float:
    if min(len(one), len(other)) < LETTERS_MIN or alike(one, other) < ALIKE_MIN:
        return float("-inf")
    return spelling_log_odds(one, other, spaces=spaces)
