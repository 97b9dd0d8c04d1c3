"""A run's entries as files that people download: plain text, CSV for spreadsheets, JSON lines."""

from __future__ import annotations

import csv
import enum
import json
from collections.abc import Iterable, Mapping
from typing import Any

from mesh.core.topic_slug import topic_slug

CSV_COLUMNS = ("ordinal", "text", "model", "node", "facet", "t_s", "other_forms")
FORMS_SEPARATOR = " | "
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins so, and what a model wrote must not be run: such a cell
gets an apostrophe in front, which spreadsheets take for "this is text" (OWASP, "CSV Injection").
JSON lines have every text as it is."""
_BYTE_ORDER_MARK = "\ufeff"
"""Without it Excel takes UTF-8 for the machine's old code page."""


class DownloadFormat(enum.StrEnum):
    """Also the ending of the file's name."""

    TEXT = "txt"
    CSV = "csv"
    JSON_LINES = "jsonl"


def header_of(form: DownloadFormat) -> bytes:
    """What a file begins with."""
    if form is not DownloadFormat.CSV:
        return b""
    return (_BYTE_ORDER_MARK + ",".join(CSV_COLUMNS) + "\r\n").encode()


def lines_of(form: DownloadFormat, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Those lines of a file that tell of `rows`: as in /api/items, with all their forms."""
    match form:
        case DownloadFormat.TEXT:
            return "".join(f"{row['text']}\n" for row in rows).encode()
        case DownloadFormat.CSV:
            lines = _Lines()
            csv.writer(lines).writerows(map(_csv_cells, rows))
            return "".join(lines).encode()
        case DownloadFormat.JSON_LINES:
            return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def file_name(topic: str, form: DownloadFormat) -> str:
    """What a file with all entries on `topic` is called. Example: `paris-attractions.csv`."""
    return f"{topic_slug(topic)}.{form}"


class _Lines(list[str]):
    """Takes what the csv module writes."""

    def write(self, line: str) -> None:
        self.append(line)


def _csv_cells(row: Mapping[str, Any]) -> list[object]:
    cells = {**row, "other_forms": FORMS_SEPARATOR.join(row["forms"])}
    return [_csv_cell(cells[column]) for column in CSV_COLUMNS]


def _csv_cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
