"""What a model gives as vectors is checked before anything is built on it."""

from __future__ import annotations

import numpy as np
import pytest

from mesh.llm.embedding import DIMENSION_MAX, BadEmbeddings, unit_vectors


def test_vectors_are_brought_to_length_one() -> None:
    found = unit_vectors([[3.0, 4.0], [0.0, -2.0]], count=2)
    assert found.dtype == np.float32
    assert found.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, -1.0]]


def test_a_vector_of_zeros_stays_one() -> None:
    assert unit_vectors([[0.0, 0.0]], count=1).tolist() == [[0.0, 0.0]]


def test_large_numbers_are_numbers() -> None:
    assert unit_vectors([[3e30, 4e30]], count=1).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)]
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, 2.0]], "1 vectors for 2 texts"),
        ([[1.0, 2.0], [1.0]], "unequal length"),
        ([[1.0], ["x"]], "not of numbers"),
        ([[1.0, float("nan")], [1.0, 2.0]], "not finite"),
        ([[1.0, float("inf")], [1.0, 2.0]], "not finite"),
        ([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], "3 dimensions, and 2 before"),
        ([1.0, 2.0], "shape"),
        ([[], []], "shape"),
        ([[0.0] * (DIMENSION_MAX + 1)] * 2, "shape"),
        ([None, None], "shape"),
    ],
)
def test_anything_else_is_refused(rows: list[object], said: str) -> None:
    with pytest.raises(BadEmbeddings, match=said):
        unit_vectors(rows, count=2, dimension=2)
