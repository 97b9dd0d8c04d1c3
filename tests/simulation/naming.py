"""Names by script: which are one is plain from their text, so that thousands of runs can afford it.

"Name 7 again" is "Name 7" by rule; "Name 7 perhaps" may be, and is where the number is even.
"""

from __future__ import annotations

from mesh.core.entries import Question
from mesh.core.names.nearness import Near
from mesh.core.resolve import Doubt, Resolution

AGAIN, PERHAPS = " again", " perhaps"


class ScriptedNames:
    """What stands in for a Resolver."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._first: dict[str, int] = {}
        self._in_doubt: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def resolve(self, text: str, near: Near = ()) -> Resolution:
        name = _plain(text)
        same = self._first.get(name)
        if same is not None:
            return Resolution(same, "again")
        stem = name.removesuffix(PERHAPS)
        other = self._first.get(stem) if stem != name else self._in_doubt.get(stem)
        return Resolution() if other is None else Resolution(doubts=(Doubt(other, "perhaps"),))

    def add(self, text: str, resolution: Resolution) -> int:
        number, name = len(self._texts), _plain(text)
        self._texts.append(text)
        self._first.setdefault(name, number)
        if name.endswith(PERHAPS):
            self._in_doubt.setdefault(name.removesuffix(PERHAPS), number)
        return number

    def unite(self, one: int, other: int) -> None:
        """What a name is follows from its text alone."""

    def text(self, number: int) -> str:
        return self._texts[number]


def judgement(question: Question) -> int:
    """As Judged says it."""
    number = _plain(question.text).removesuffix(PERHAPS).rpartition(" ")[2]
    return int(int(number) % 2 == 0)


def _plain(text: str) -> str:
    return text.casefold().removesuffix(AGAIN)
