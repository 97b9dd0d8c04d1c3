"""Entries as files: nothing in them runs, nothing is lost."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.downloads import (
    CSV_COLUMNS,
    FORMULA_STARTS,
    DownloadFormat,
    file_name,
    header_of,
    lines_of,
)

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)
STARTS = st.sampled_from(["", *FORMULA_STARTS, '"', ",", ";", "'", "\n"])
CELLS = st.builds(str.__add__, STARTS, TEXTS)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "ordinal": st.integers(1, 10**6),
            "text": CELLS,
            "model": CELLS,
            "node": CELLS,
            "facet": st.none() | CELLS,
            "t_s": st.floats(0, 1e6),
            "forms": st.lists(CELLS, max_size=3),
        }
    ),
    max_size=4,
)


def file_of(form: DownloadFormat, rows: list[dict[str, Any]]) -> str:
    return (header_of(form) + lines_of(form, rows)).decode()


@given(ROWS)
def test_a_table_holds_every_text_and_no_formula(rows: list[dict[str, Any]]) -> None:
    text = file_of(DownloadFormat.CSV, rows)
    header, *lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert tuple(header) == CSV_COLUMNS
    for row, cells in zip(rows, lines, strict=True):
        assert not any(cell.startswith(FORMULA_STARTS) for cell in cells)
        shown = dict(zip(CSV_COLUMNS, cells, strict=True))
        assert shown["text"] in (row["text"], f"'{row['text']}")
        assert shown["facet"] in (row["facet"] or "", f"'{row['facet']}")
        forms = " | ".join(row["forms"])
        assert shown["other_forms"] in (forms, f"'{forms}")
        assert float(shown["t_s"]) == row["t_s"]


@given(ROWS)
def test_lines_of_json_hold_every_row_as_it_is(rows: list[dict[str, Any]]) -> None:
    lines = file_of(DownloadFormat.JSON_LINES, rows).split("\n")
    assert [json.loads(line) for line in lines[:-1]] == rows


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("Paris attractions", "paris-attractions.csv"),
        ('Musées / de\n Paris"; x', "musees-de-paris-x.csv"),
        ("日本の城", "topic.csv"),
        ("x" * 500, f"{'x' * 40}.csv"),
    ],
)
def test_a_file_s_name_is_plain_whatever_the_topic(topic: str, name: str) -> None:
    assert file_name(topic, DownloadFormat.CSV) == name
