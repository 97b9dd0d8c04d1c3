"""What an answer consists of, as the parser reports it. What becomes of it is the producer's."""

from __future__ import annotations

import enum
from dataclasses import dataclass

REJECTED_CHARACTERS_MAX = 200
"""Kept of a rejected text: enough for a person to see why."""


class RejectReason(enum.StrEnum):
    TOO_LONG = "too_long"
    """Longer than a line or an entry may be."""
    UNPRINTABLE = "unprintable"
    """Nothing to show is left of it."""
    SENTENCE = "sentence"
    """An item of a list, but prose that names nothing."""
    TOO_MANY = "too_many"
    """The answer holds more entries than an answer may; said once."""


class RemarkKind(enum.StrEnum):
    CHATTER = "chatter"
    """Greetings, headings, explanations."""
    REFUSAL = "refusal"
    """The model declines."""
    EXHAUSTED = "exhausted"
    """The model says that it knows no more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A name, clean and ready to publish."""

    text: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Meant as an entry, but unusable."""

    text: str
    """Its beginning, at most REJECTED_CHARACTERS_MAX, as the model wrote it."""
    reason: RejectReason


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is no entry."""

    kind: RemarkKind


Parsed = Entry | Rejected | Remark


def rejected(text: str, reason: RejectReason) -> Rejected:
    return Rejected(text[:REJECTED_CHARACTERS_MAX], reason)
