"""Knows a name when it sees it again: a growing list of names in groups, one group an entry.

A new name is compared with the few that blocking proposes, and with its nearest in meaning where
the caller keeps vectors of the names (vector_index.py). It joins a group when it is the same
as one of its members by rule and different from none of them: a chain of names that are each the
same as the next does not draw in one that differs from the first. Where it is the same as members
of two groups, they are one, on the same condition. What is doubtful stays apart and is told, for
a judge or a person.

Order matters where a name is the same as two that differ from each other: it goes with the one
that came first. Otherwise the groups are the same in whatever order names come.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mesh.core.names.blocking import BlockingIndex, Proposal
from mesh.core.names.canonical import canonical_words
from mesh.core.names.comparing import (
    Comparison,
    Verdict,
    compare,
    compare_proposed,
    compare_rest,
    compare_without_keys,
    compare_without_words,
)
from mesh.core.names.nearness import Near, by_neighbour
from mesh.core.names.rarity import Rarity
from mesh.core.names.word_marks import Relation
from mesh.core.names.words import Name, parsed
from mesh.core.text_column import TextColumn

DOUBTS_MAX = 5
MEMBERS_COMPARED_MAX = 16
"""The first so many of a group speak for it."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A name that a new one may be the same as."""

    number: int
    reason: str
    by_meaning: bool = False
    """By their vectors: worth asking a judge about, not worth a person's time."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a new name is. Names go by number in order of arrival: 0, 1, 2, ..."""

    number: int | None = None
    """The earlier name that it is the same as; None: it is new."""
    rule: str = ""
    """Why it is the same."""
    bridges: tuple[int, ...] = ()
    """Names of further groups that it is the same as."""
    doubts: tuple[Doubt, ...] = ()
    """The likeliest first."""


NEW = Resolution()


@dataclass(slots=True)
class Resolver:
    """All names so far, and which of them are one entry."""

    rarity: Rarity = field(default_factory=Rarity)
    index: BlockingIndex = field(default_factory=BlockingIndex)
    _texts: TextColumn = field(default_factory=TextColumn)
    _groups: array[int] = field(default_factory=lambda: array("I"))
    """By number, the lowest number of its group."""
    _members: dict[int, list[int]] = field(default_factory=dict)
    """Of groups with more than one, by the lowest number."""

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def byte_count(self) -> int:
        """Bytes that grow with the list, but for the few of groups of more than one."""
        groups = self._groups.itemsize * len(self._groups)
        return self.index.byte_count + self._texts.byte_count + groups

    def text(self, number: int) -> str:
        return self._texts[number]

    def resolve(self, text: str, near: Near = ()) -> Resolution:
        """What `text` is; changes nothing.

        Args:
            near: (number, cosine) of the names whose vectors are nearest to that of `text`, the
                nearest first; at most nearness.NEIGHBOURS are looked at.
        """
        found = [
            (number, comparison)
            for number, comparison in self._compared(text, near)
            if comparison.verdict is not Verdict.DIFFERENT
        ]
        if not found:
            return NEW
        doubts = [
            Doubt(number, comparison.reason, comparison.by_meaning)
            for number, comparison in found
            if _is_doubtful(comparison)
        ]
        groups: dict[int, tuple[int, Comparison]] = {}
        for number, comparison in sorted(found, key=lambda each: each[0]):
            if comparison.verdict is Verdict.SAME and not comparison.by_meaning:
                groups.setdefault(self._groups[number], (number, comparison))
        joined: list[tuple[int, Comparison]] = []
        members: list[int] = []
        for group, (number, comparison) in groups.items():
            others = self.members(group)
            against = self._differing([text, *map(self.text, members)], others)
            if against is None:
                joined.append((number, comparison))
                members += others
            else:
                doubts.append(Doubt(number, f"{comparison.reason}, but {against}"))
        in_groups = set(members)
        doubts = [doubt for doubt in doubts if doubt.number not in in_groups][:DOUBTS_MAX]
        if not joined:
            return Resolution(doubts=tuple(doubts))
        (number, comparison), *more = joined
        return Resolution(number, comparison.reason, tuple(each for each, _ in more), tuple(doubts))

    def add(self, text: str, resolution: Resolution) -> int:
        """Take `text` in as resolved; its number."""
        name = parsed(text)
        number = self.index.add(name)
        self.rarity.add(canonical_words(name))
        self._texts.append(text)
        self._groups.append(number)
        same_as = () if resolution.number is None else (resolution.number, *resolution.bridges)
        for other in same_as:
            self.unite(number, other)
        return number

    def group(self, number: int) -> int:
        """The lowest number of its group."""
        return self._groups[number]

    def members(self, number: int) -> Sequence[int]:
        """All numbers of its group, in order of arrival."""
        group = self._groups[number]
        return self._members.get(group, [group])

    def _compared(self, text: str, near: Near) -> list[tuple[int, Comparison]]:
        """`text` and every name that blocking or `near` proposes, the likeliest first."""
        name = parsed(text)
        proposed = self.index.proposed(name, self.rarity)
        if not near:
            return [(each.number, self._by_letters(name, each)) for each in proposed]
        proposals = {each.number: each for each in proposed}
        neighbours = by_neighbour(near, self.group)
        # Alternately from both, so that a limit on doubts takes the best of either.
        places = {number: 2 * rank + 1 for rank, number in enumerate(neighbours)}
        for place, number in enumerate(proposals):
            places[number] = min(2 * place, places.get(number, 2 * place))
        found = []
        for number in sorted(places, key=lambda each: places[each]):
            proposal = proposals.get(number)
            if proposal is not None and number not in neighbours:
                found.append((number, self._by_letters(name, proposal)))
                continue
            may_share_key = proposal is None or proposal.may_share_key
            look = compare if may_share_key else compare_without_keys
            other = parsed(self._texts[number])
            found.append((number, look(name, other, self.rarity, neighbours.get(number))))
        return found

    def _by_letters(self, name: Name, proposal: Proposal) -> Comparison:
        """What blocking found out is not looked at again."""
        other = parsed(self._texts[proposal.number])
        if proposal.may_share_key:
            return compare(name, other, self.rarity)
        if proposal.relation is Relation.ARRANGED:
            return compare_proposed(name, other, self.rarity)
        if proposal.relation is Relation.SHARING:
            return compare_rest(name, other, self.rarity)
        return compare_without_words(name, other)

    def unite(self, one: int, other: int) -> None:
        """Make one group of the groups of two names."""
        first, second = sorted((self._groups[one], self._groups[other]))
        if first == second:
            return
        united = sorted([*self.members(first), *self.members(second)])
        self._members.pop(second, None)
        self._members[first] = united
        for number in united:
            self._groups[number] = first

    def _differing(self, texts: Iterable[str], numbers: Sequence[int]) -> str | None:
        """Why one of `texts` is none of a group; None: nothing tells them apart."""
        for text in texts:
            for number in numbers[:MEMBERS_COMPARED_MAX]:
                comparison = compare(parsed(text), parsed(self._texts[number]), self.rarity)
                if comparison.verdict is Verdict.DIFFERENT:
                    return f"{self._texts[number]!r} differs: {comparison.reason}"
        return None


def _is_doubtful(comparison: Comparison) -> bool:
    """In a list of thousands some names are alike in letters and near in meaning that are two: that
    alone never makes them one."""
    return comparison.verdict is Verdict.UNSURE or (
        comparison.verdict is Verdict.SAME and comparison.by_meaning
    )
