"""Found entries that may stand in the list under another name already: they wait for a judge.

Who is asked what and when, and what follows from the answers, is decided here; the questions
travel in the collector's log, the answers in a producer's. "The same" must be said twice, by two
producers where there are two: few of those in doubt are the same, so that a judge who is seldom
wrong would still be wrong in most of the cases where it says so. An entry whose question nobody
answers in time counts as new: a list that counts a thing twice is better than one that lacks
another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mesh.core.entries import CANDIDATES_MAX, Judged, JudgementAsked, Question
from mesh.core.items import FoundEntry, NodeId
from mesh.core.listed_names import UNDECIDED, Likeness, ListedNames, NewName

HELD_MAX = 2_000
"""Entries that wait; beyond it a doubtful one counts as new at once."""
GATHER_S = 1.0
"""A question waits so long for others to be asked with it."""
QUESTIONS_IN_ONE = 12
"""Asked of a model at once: one prompt, one short answer."""
OPEN_MAX = 4
"""Calls for judgements at once."""
ANSWER_S_MAX = 30.0
"""Then another producer is asked."""
TRIES_MAX = 2
NOBODY_JUDGED = ""


@dataclass(slots=True)
class Held:
    """One entry that waits, with those that turned out to be the same meanwhile."""

    found: FoundEntry
    name: NewName
    since_s: float
    followers: list[tuple[FoundEntry, NewName | None]] = field(default_factory=list)
    """Of the same key (None), or another name for it."""
    tries: int = 0
    is_asked: bool = False
    likely: Likeness | None = None
    """What a first judge has said it is."""
    first_judge: str = ""
    first_origin: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a held entry is."""

    held: Held
    same_as: Likeness | None
    """None: it is new."""
    judge: str
    """Who said so; NOBODY_JUDGED, also where two judges disagree."""


@dataclass(slots=True)
class _Asked:
    origin: NodeId
    at_s: float
    about: list[tuple[Held, list[Likeness]]]


@dataclass(slots=True)
class Doubtful:
    """All entries that wait."""

    answer_s_max: float = ANSWER_S_MAX
    gather_s: float = GATHER_S
    _held: dict[bytes, Held] = field(default_factory=dict)
    _by_number: dict[int, Held] = field(default_factory=dict)
    _asked: dict[int, _Asked] = field(default_factory=dict)
    _last_number: int = 0
    _turn: int = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def has_room(self) -> bool:
        return len(self._held) < HELD_MAX

    def hold(self, found: FoundEntry, name: NewName, now_s: float) -> None:
        """Have it wait from now on."""
        held = Held(found, name, now_s)
        self._held[found.key] = self._by_number[name.number] = held

    def of_key(self, key: bytes) -> Held | None:
        """The entry that waits under this key; another form of one has its key too."""
        return self._held.get(key)

    def follow(self, held: Held, found: FoundEntry, name: NewName | None) -> None:
        """`found` is the same as one that waits, and shares its lot."""
        held.followers.append((found, name))
        if name is not None:
            self._held[found.key] = self._by_number[name.number] = held

    def of_number(self, number: int) -> Held | None:
        """The entry that waits and is, or has among its forms, this name."""
        return self._by_number.get(number)

    def ask(
        self, producers: Sequence[NodeId], names: ListedNames, *, now_s: float, now_ms: int
    ) -> list[JudgementAsked]:
        """What to ask now, of whom."""
        asks: list[JudgementAsked] = []
        unasked = [held for held in self._heads() if not held.is_asked] if producers else []
        for is_second in (True, False):
            alike = [held for held in unasked if (held.likely is not None) == is_second]
            waiting = [(held, found) for held in alike if (found := _candidates(held, names))]
            while waiting and len(self._asked) < OPEN_MAX:
                about = waiting[:QUESTIONS_IN_ONE]
                if len(about) < QUESTIONS_IN_ONE and now_s - about[0][0].since_s < self.gather_s:
                    break
                del waiting[:QUESTIONS_IN_ONE]
                asks.append(self._ask(producers, about, names, now_s, now_ms))
        return asks

    def answered(self, origin: NodeId, judged: Judged) -> list[Settled]:
        """What follows from a producer's answers; nothing from those that nobody waits for."""
        asked = self._asked.get(judged.number)
        if asked is None or asked.origin != origin:
            return []
        del self._asked[judged.number]
        settled = []
        answers = [*judged.answers, *[-1] * (len(asked.about) - len(judged.answers))]
        for (held, candidates), answer in zip(asked.about, answers, strict=False):
            held.is_asked = False
            if not 0 <= answer <= len(candidates):
                settled += self._unanswered([held])
            elif answer and held.likely is None:
                held.likely, held.first_judge = candidates[answer - 1], judged.model
                held.first_origin, held.tries = origin, 0
            else:
                settled.append(self._concluded(held, judged.model, is_same=answer > 0))
        return settled

    def _concluded(self, held: Held, judge: str, *, is_same: bool) -> Settled:
        if held.likely is None:
            return self._settle(held, None, judge)
        if not is_same:
            return self._settle(held, None, NOBODY_JUDGED)
        judges = " and ".join(dict.fromkeys((held.first_judge, judge)))
        return self._settle(held, held.likely, judges)

    def overdue(self, now_s: float, is_alive: Callable[[NodeId], bool]) -> list[Settled]:
        """Entries that nobody judged in time."""
        settled = []
        for number, asked in list(self._asked.items()):
            if now_s - asked.at_s > self.answer_s_max or not is_alive(asked.origin):
                del self._asked[number]
                for held, _ in asked.about:
                    held.is_asked = False
                settled += self._unanswered([held for held, _ in asked.about])
        late = [
            held
            for held in self._heads()
            if not held.is_asked and now_s - held.since_s > TRIES_MAX * self.answer_s_max
        ]
        return settled + [self._settle(held, None, NOBODY_JUDGED) for held in late]

    def give_up(self) -> list[Settled]:
        """Nobody will judge any more: all that waits is new."""
        self._asked.clear()
        return [self._settle(held, None, NOBODY_JUDGED) for held in self._heads()]

    def _whom_to_ask(self, producers: Sequence[NodeId], first: NodeId | None) -> NodeId:
        """In turn, those first that are not being asked; not whom was asked before, if possible."""
        busy = {asked.origin for asked in self._asked.values()}
        self._turn += 1
        turned = [producers[(self._turn + n) % len(producers)] for n in range(len(producers))]
        return min(turned, key=lambda origin: (origin == first, origin in busy))

    def _heads(self) -> list[Held]:
        return [held for key, held in self._held.items() if key == held.found.key]

    def _unanswered(self, about: Sequence[Held]) -> list[Settled]:
        return [
            self._settle(held, None, NOBODY_JUDGED) for held in about if held.tries >= TRIES_MAX
        ]

    def _settle(self, held: Held, same_as: Likeness | None, judge: str) -> Settled:
        for found, name in ((held.found, held.name), *held.followers):
            self._held.pop(found.key, None)
            if name is not None:
                self._by_number.pop(name.number, None)
        return Settled(held, same_as, judge)

    def _ask(
        self,
        producers: Sequence[NodeId],
        about: list[tuple[Held, list[Likeness]]],
        names: ListedNames,
        now_s: float,
        now_ms: int,
    ) -> JudgementAsked:
        self._last_number = max(now_ms, self._last_number + 1)
        origin = self._whom_to_ask(producers, about[0][0].first_origin)
        for held, _ in about:
            held.is_asked, held.tries = True, held.tries + 1
        self._asked[self._last_number] = _Asked(origin, now_s, about)
        questions = tuple(
            Question(held.found.text, tuple(names.text(each.number) for each in candidates))
            for held, candidates in about
        )
        return JudgementAsked(self._last_number, origin, questions)


def _candidates(held: Held, names: ListedNames) -> list[Likeness]:
    """What it may be, once all of them are decided: one entry each, the likeliest name for it."""
    if held.likely is not None:
        return [held.likely]
    by_ordinal: dict[int, Likeness] = {}
    for likeness in held.name.doubts:
        ordinal = names.ordinal(likeness.number)
        if ordinal == UNDECIDED:
            return []
        by_ordinal.setdefault(ordinal, likeness)
    return list(by_ordinal.values())[:CANDIDATES_MAX]
