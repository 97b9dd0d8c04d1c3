"""Entries in doubt wait for judges, not for ever, and "the same" must be said twice."""

from __future__ import annotations

import pytest

from mesh.core.doubtful import (
    ANSWER_S_MAX,
    GATHER_S,
    HELD_MAX,
    NOBODY_JUDGED,
    OPEN_MAX,
    QUESTIONS_IN_ONE,
    Doubtful,
    Settled,
)
from mesh.core.entries import Judged, JudgementAsked, Question
from mesh.core.items import EntryId, FoundEntry, NodeId
from mesh.core.listed_names import ListedNames, NewName

A, B = NodeId(b"A" * 16), NodeId(b"B" * 16)
DOUBTFUL_PAIR = "Raipur", "Raypur"


class Desk:
    """A list with names in doubt, a clock, and two producers."""

    def __init__(self) -> None:
        self.names = ListedNames()
        self.doubtful = Doubtful()
        self.now_s = 100.0
        self._seq = 0

    def accept(self, text: str) -> None:
        self.names.decided(self.names.take(text).number, len(self.names))

    def hold(self, text: str) -> FoundEntry:
        name = self.names.take(text)
        assert name.doubts, f"{text} is in no doubt"
        found = self.found(text)
        self.doubtful.hold(found, name, self.now_s)
        return found

    def found(self, text: str) -> FoundEntry:
        self._seq += 1
        return FoundEntry(EntryId(A, 1, self._seq), text.casefold().encode(), text)

    def ask(self, *producers: NodeId, after_s: float = GATHER_S) -> list[JudgementAsked]:
        self.now_s += after_s
        now_ms = int(self.now_s * 1000)
        return self.doubtful.ask(producers or (A, B), self.names, now_s=self.now_s, now_ms=now_ms)

    def answer(self, asked: JudgementAsked, *answers: int, model: str = "m") -> list[Settled]:
        return self.doubtful.answered(NodeId(asked.origin), Judged(asked.number, answers, 1, model))

    def overdue(self, after_s: float = 0.0, alive: tuple[NodeId, ...] = (A, B)) -> list[Settled]:
        self.now_s += after_s
        return self.doubtful.overdue(self.now_s, alive.__contains__)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.accept("Raipur")
    return desk


def test_a_question_names_what_an_entry_may_be(desk: Desk) -> None:
    desk.hold("Raypur")
    (asked,) = desk.ask()
    assert asked.questions == (Question("Raypur", ("Raipur",)),)


def test_questions_wait_a_moment_for_others_to_be_asked_with_them(desk: Desk) -> None:
    desk.hold("Raypur")
    assert desk.ask(after_s=GATHER_S / 2) == []
    assert len(desk.ask(after_s=GATHER_S / 2)) == 1


def test_nothing_is_asked_twice_while_an_answer_is_awaited(desk: Desk) -> None:
    desk.hold("Raypur")
    assert len(desk.ask()) == 1
    assert desk.ask() == []


def test_who_is_none_of_them_is_new(desk: Desk) -> None:
    found = desk.hold("Raypur")
    (asked,) = desk.ask()
    (settled,) = desk.answer(asked, 0, model="x")
    assert (settled.held.found, settled.same_as, settled.judge) == (found, None, "x")
    assert len(desk.doubtful) == 0


def test_the_same_must_be_said_by_two(desk: Desk) -> None:
    desk.hold("Raypur")
    (first,) = desk.ask()
    assert desk.answer(first, 1, model="x") == []
    (second,) = desk.ask()
    assert second.origin != first.origin
    (settled,) = desk.answer(second, 1, model="y")
    assert settled.same_as is not None
    assert desk.names.text(settled.same_as.number) == "Raipur"
    assert settled.judge == "x and y"


def test_where_two_judges_disagree_it_is_new_and_in_doubt(desk: Desk) -> None:
    desk.hold("Raypur")
    desk.answer(desk.ask()[0], 1)
    (settled,) = desk.answer(desk.ask()[0], 0)
    assert (settled.same_as, settled.judge) == (None, NOBODY_JUDGED)


def test_a_single_producer_is_asked_twice_itself(desk: Desk) -> None:
    desk.hold("Raypur")
    desk.answer(desk.ask(A)[0], 1)
    (second,) = desk.ask(A)
    assert second.origin == A


def test_another_is_asked_when_the_first_gives_no_answer(desk: Desk) -> None:
    desk.hold("Raypur")
    (first,) = desk.ask()
    assert desk.answer(first) == []
    (second,) = desk.ask()
    assert second.origin != first.origin
    (settled,) = desk.answer(second, -1)
    assert settled.same_as is None
    assert settled.judge == NOBODY_JUDGED


def test_another_is_asked_when_the_first_dies(desk: Desk) -> None:
    desk.hold("Raypur")
    (first,) = desk.ask()
    alive = B if first.origin == A else A
    assert desk.overdue(alive=(alive,)) == []
    assert desk.ask(alive)[0].origin == alive


def test_nobody_waits_for_ever(desk: Desk) -> None:
    desk.hold("Raypur")
    desk.ask()
    assert desk.overdue(after_s=ANSWER_S_MAX + 1) == []
    desk.ask()
    (settled,) = desk.overdue(after_s=ANSWER_S_MAX + 1)
    assert settled.same_as is None


def test_without_producers_an_entry_counts_as_new_in_the_end(desk: Desk) -> None:
    desk.hold("Raypur")
    desk.now_s += 2 * ANSWER_S_MAX + 1
    (settled,) = desk.overdue()
    assert settled.judge == NOBODY_JUDGED


def test_an_answer_of_whom_nobody_asked_counts_for_nothing(desk: Desk) -> None:
    desk.hold("Raypur")
    (asked,) = desk.ask()
    other = B if asked.origin == A else A
    assert desk.doubtful.answered(other, Judged(asked.number, (0,), 1, "m")) == []
    assert desk.doubtful.answered(NodeId(asked.origin), Judged(99, (0,), 1, "m")) == []
    assert len(desk.answer(asked, 0)) == 1


def test_answers_too_few_or_out_of_range_are_none(desk: Desk) -> None:
    desk.hold("Raypur")
    desk.accept("Jaipur Road")
    (asked,) = desk.ask()
    assert desk.answer(asked, 2) == []
    assert len(desk.doubtful) == 1


def test_what_is_the_same_as_one_that_waits_shares_its_lot(desk: Desk) -> None:
    found = desk.hold("Raypur")
    again = desk.found("RAYPUR")
    held = desk.doubtful.of_key(found.key)
    assert held is not None
    desk.doubtful.follow(held, again, None)
    (settled,) = desk.answer(desk.ask()[0], 0)
    assert [follower for follower, _ in settled.held.followers] == [again]
    assert desk.doubtful.of_key(found.key) is None


def test_another_form_of_one_that_waits_is_found_by_key_and_number(desk: Desk) -> None:
    found = desk.hold("Raypur")
    held = desk.doubtful.of_key(found.key)
    assert held is not None
    form = desk.found("The Raypur")
    desk.doubtful.follow(held, form, NewName(7))
    assert desk.doubtful.of_key(form.key) is held
    assert desk.doubtful.of_number(7) is held
    desk.answer(desk.ask()[0], 0)
    assert desk.doubtful.of_key(form.key) is None
    assert desk.doubtful.of_number(7) is None


def test_who_may_be_one_that_waits_waits_for_that_one_first(desk: Desk) -> None:
    desk.hold("Raypur")
    desk.hold("Raipoor")
    (asked,) = desk.ask()
    assert [question.text for question in asked.questions] == ["Raypur"]


def test_many_questions_go_into_few_calls(desk: Desk) -> None:
    letters = "bcdfghklmnprstvz"
    for first in letters:
        for second in "ou":
            desk.accept(f"Kal{first}{second}raipur")
            desk.hold(f"Kal{first}{second}raypur")
    asks = desk.ask()
    assert 1 < len(asks) <= OPEN_MAX
    assert max(len(asked.questions) for asked in asks) == QUESTIONS_IN_ONE
    assert len({asked.number for asked in asks}) == len(asks)


def test_there_is_room_for_so_many(desk: Desk) -> None:
    for n in range(HELD_MAX):
        assert desk.doubtful.has_room
        desk.doubtful.hold(desk.found(f"x{n}"), NewName(1000 + n), 0.0)
    assert not desk.doubtful.has_room


def test_at_the_end_all_that_waits_is_new(desk: Desk) -> None:
    desk.hold("Raypur")
    desk.ask()
    (settled,) = desk.doubtful.give_up()
    assert settled.same_as is None
    assert len(desk.doubtful) == 0
