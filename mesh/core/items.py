"""Identities: who says something, in which log, at which place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, NewType

NodeId = NewType("NodeId", bytes)
"""128 random bits kept in the node's directory; "producer 1" is only a label."""

NODE_ID_BYTES = 16


class LogId(NamedTuple):
    """One log: what one origin says from one start to the next.

    A tuple, as each frame that is taken in looks it up several times.
    """

    origin: NodeId
    epoch: int
    """ms since 1970 when the origin started; every restart opens a new, higher one."""

    def __str__(self) -> str:
        return f"{self.origin.hex()[:8]}@{self.epoch}"


@dataclass(frozen=True, slots=True, order=True)
class EntryId:
    """One entry of one log. A repeated delivery repeats its id."""

    origin: NodeId
    epoch: int
    seq: int
    """1, 2, 3, ... within (origin, epoch), without holes."""


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """A Found as the collector's decisions see it."""

    id: EntryId
    key: bytes
    text: str
    facet: int = 0
    call: int = 0
    model: str = ""
