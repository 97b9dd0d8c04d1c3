"""TextColumn behaves as the list of texts it replaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.text_column import TextColumn

TEXTS = st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=20)


def column(texts: list[str]) -> TextColumn:
    column = TextColumn()
    for text in texts:
        column.append(text)
    return column


@given(TEXTS, st.slices(20))
def test_it_reads_as_the_list_would(texts: list[str], part: slice) -> None:
    stored = column(texts)
    assert list(stored) == texts
    assert len(stored) == len(texts)
    assert stored[part] == texts[part]
    assert [stored[-1 - place] for place in range(len(texts))] == texts[::-1]


@pytest.mark.parametrize("index", [2, -3, 100])
def test_a_place_outside_it_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        column(["Louvre", "東京"])[index]
