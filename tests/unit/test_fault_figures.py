"""How the bench of faults makes its figures, from numbers alone."""

from __future__ import annotations

import random

import pytest

from bench.fault_disk import Said
from bench.fault_footprint import least_squares
from bench.fault_rounds import Deck, new_per_s
from mesh.core.items import LogId, NodeId

A, B = (LogId(NodeId(bytes([number]) * 16), 1) for number in (1, 2))


def said(log: LogId, name: str, time_s: float) -> Said:
    return Said(log, 1, name.encode(), name, time_s)


def test_least_squares_finds_the_growth_that_was_put_in() -> None:
    chance = random.Random(1)
    rows = [(1.0, float(n), chance.uniform(0, 9)) for n in range(50)]
    base, growth, none = least_squares(rows, [30.0 + 2.0 * row[1] for row in rows])
    assert (base, growth, none) == pytest.approx((30.0, 2.0, 0.0))


def test_a_column_that_never_changes_explains_nothing() -> None:
    rows = [(1.0, float(n), 7.0) for n in range(10)]
    base, growth, constant = least_squares(rows, [5.0 + 3.0 * row[1] for row in rows])
    assert base + 7.0 * constant == pytest.approx(5.0)
    assert growth == pytest.approx(3.0)


def test_an_entry_counts_once_and_when_it_was_found_first() -> None:
    entries = [said(A, "otter", 1.5), said(B, "otter", 0.5), said(B, "heron", 1.0)]
    assert new_per_s(entries, 1.0, 3.0) == 0.5
    assert new_per_s(entries, 0.0, 1.0) == 1.0


def test_all_kinds_of_faults_come_up_equally_often() -> None:
    deck = Deck(["cut", "pause", "reset"], random.Random(1))
    drawn = [deck.draw() for _ in range(9)]
    assert [drawn.count(kind) for kind in ("cut", "pause", "reset")] == [3, 3, 3]
