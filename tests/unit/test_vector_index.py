"""Vectors by number: the nearest are found, in the same order each time."""

from __future__ import annotations

import random

import pytest

from mesh.core.vector_index import VECTOR_BYTES_A_DIMENSION, VectorIndex, packed

DIMENSION = 32


def vectors(count: int, seed: int = 1) -> list[list[float]]:
    source = random.Random(seed)
    found = []
    for _ in range(count):
        numbers = [source.gauss(0, 1) for _ in range(DIMENSION)]
        length = sum(number * number for number in numbers) ** 0.5
        found.append([number / length for number in numbers])
    return found


def filled(given: list[list[float]]) -> VectorIndex:
    index = VectorIndex(DIMENSION)
    assert [index.add(vector) for vector in given] == list(range(len(given)))
    return index


def test_the_nearest_come_first_with_their_cosine() -> None:
    given = vectors(500)
    index = filled(given)
    found = index.nearest(given[7], 5)
    assert found[0][0] == 7
    assert found[0][1] == pytest.approx(1.0, abs=0.002)
    cosines = [sum(a * b for a, b in zip(given[7], other, strict=True)) for other in given]
    expected = sorted(range(500), key=lambda number: -cosines[number])[:5]
    assert [number for number, _ in found] == expected
    assert [cosine for _, cosine in found] == pytest.approx(
        [cosines[number] for number in expected], abs=0.005
    )


def test_a_text_that_no_model_reads_takes_its_number_and_is_near_to_nothing() -> None:
    given = vectors(3)
    given[1] = [0.0] * DIMENSION
    index = filled(given)
    assert len(index) == 3
    assert {number for number, _ in index.nearest(given[0])} == {0, 2}
    assert index.nearest(given[1]) == []


def test_an_empty_index_has_no_neighbours() -> None:
    assert VectorIndex(DIMENSION).nearest(vectors(1)[0]) == []


def test_vectors_that_were_kept_give_the_same_neighbours() -> None:
    given = vectors(300)
    kept = [packed(vector) for vector in given]
    assert {len(each) for each in kept} == {VECTOR_BYTES_A_DIMENSION * DIMENSION}
    again = VectorIndex(DIMENSION)
    again.add_packed(kept)
    index = filled(given)
    assert len(again) == 300
    assert [index.nearest(each) for each in given] == [again.nearest(each) for each in given]
