"""What the page asks run.sqlite: entries by filter and position, and all of them for download.

An entry's place in a filtered list takes a scan of the whole table, some 20 ms for 100,000
entries. Lists only grow, so the ordinals that matched are kept, four bytes each, for the latest
filters: whoever scrolls costs one scan, and then what has come since. Calls block, and are made
from one thread at a time.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mesh.core.item_query import ItemQuery

FORMS_SHOWN_MAX = 5
"""Other forms in a row of a page, the newest; downloads have them all."""
FILTERS_KEPT_MAX = 8
"""With 700,000 entries that all match, 22 MB at most."""
EXPORT_ROWS = 2_000
"""Rows of a download read at a time, so that others get their turn."""

_ROW_SQL = """
    SELECT items.ordinal, items.text, items.model, coalesce(nodes.label, ''),
        coalesce((SELECT name FROM facets WHERE id = items.facet ORDER BY origin, epoch, seq
            LIMIT 1), calls.facet), items.t_s
    FROM items LEFT JOIN nodes ON nodes.origin = items.origin
    LEFT JOIN calls ON calls.origin = items.origin AND calls.epoch = items.epoch
        AND calls.seq = items.call
    WHERE items.ordinal {which} ORDER BY items.ordinal"""
_RANGE_SQL = _ROW_SQL.format(which="BETWEEN ? AND ?")
_LISTED_SQL = _ROW_SQL.format(which="IN (SELECT value FROM json_each(?))")
_COLUMNS = ("ordinal", "text", "model", "node", "facet", "t_s")
_FACET_SQL = """(items.facet IN (SELECT value FROM json_each(:facet_ids))
    OR items.facet NOT IN (SELECT id FROM facets) AND EXISTS (SELECT 1 FROM calls
        WHERE calls.origin = items.origin AND calls.epoch = items.epoch
        AND calls.seq = items.call AND calls.facet = :facet))"""


@dataclass(slots=True)
class _Matches:
    """Ordinals that match one filter, of those up to `scanned_to`."""

    ordinals: array[int] = field(default_factory=lambda: array("I"))
    scanned_to: int = 0
    forms_count: int = 0
    """Other forms that there were then: later ones may make an early entry match."""
    shifted: int = 0
    """Another number whenever a place among the matches may have become another entry's."""


class PageQueries:
    """Reads entries of one open run.sqlite for people."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kept: OrderedDict[tuple[Any, ...], _Matches] = OrderedDict()
        self._shifts = itertools.count(1)
        connection.create_function("contains_folded", 2, _contains_folded, deterministic=True)

    def items(self, query: ItemQuery) -> dict[str, Any]:
        """`/api/items`: the rows, where to go on (None: nowhere), how many match in all, and
        whether places among them are still what they were: then `shifted` is."""
        last = self.last_ordinal()
        if not query.is_filtered:
            first = query.after + query.skip + 1
            rows = self._rows(_RANGE_SQL, (first, min(last, first + query.limit - 1)))
            more, total, shifted = bool(rows) and rows[-1]["ordinal"] < last, last, 0
        else:
            matches = self._matching(query, last)
            ordinals, shifted = matches.ordinals, matches.shifted
            start = bisect_right(ordinals, query.after) + query.skip
            shown = ordinals[start : start + query.limit]
            rows = self._rows(_LISTED_SQL, (json.dumps(shown.tolist()),))
            more, total = start + query.limit < len(ordinals), len(ordinals)
        self._add_forms(rows, FORMS_SHOWN_MAX)
        return {
            "items": rows,
            "next": rows[-1]["ordinal"] if rows and more else None,
            "total": total,
            "shifted": shifted,
        }

    def last_ordinal(self) -> int:
        """How many entries are accepted: ordinals have no holes."""
        row = self._connection.execute("SELECT coalesce(max(ordinal), 0) FROM items").fetchone()
        return int(row[0])

    def export(self, after: int, upto: int) -> list[dict[str, Any]]:
        """The next EXPORT_ROWS entries with `after` < ordinal <= `upto`, with all their forms."""
        rows = self._rows(_RANGE_SQL, (after + 1, min(upto, after + EXPORT_ROWS)))
        self._add_forms(rows, None)
        return rows

    def _rows(self, query: str, parameters: Sequence[object]) -> list[dict[str, Any]]:
        found = self._connection.execute(query, parameters)
        return [dict(zip(_COLUMNS, row, strict=True)) for row in found]

    def _add_forms(self, rows: list[dict[str, Any]], forms_max: int | None) -> None:
        forms: defaultdict[int, deque[str]] = defaultdict(lambda: deque(maxlen=forms_max))
        if rows:
            listed = json.dumps([row["ordinal"] for row in rows])
            query = """SELECT ordinal, text FROM other_forms
                WHERE ordinal IN (SELECT value FROM json_each(?)) ORDER BY t_s, key"""
            for ordinal, text in self._connection.execute(query, (listed,)):
                forms[ordinal].append(text)
        for row in rows:
            row["forms"] = list(forms.get(row["ordinal"], ()))

    def _matching(self, query: ItemQuery, last: int) -> _Matches:
        """Ordinals up to `last` of what matches, ascending."""
        facet_ids = self._facet_ids(query.facet) if query.facet is not None else ()
        key = (query.containing, query.model, query.facet, facet_ids)
        forms_count = self._connection.execute("SELECT count(*) FROM other_forms").fetchone()[0]
        matches = self._kept.pop(key, None) or self._no_matches()
        if last < matches.scanned_to or forms_count < matches.forms_count:
            matches = self._no_matches()  # Someone has edited the list.
        self._kept[key] = matches
        while len(self._kept) > FILTERS_KEPT_MAX:
            self._kept.popitem(last=False)
        scan = _Scan.of(query, facet_ids)
        if query.containing and matches.scanned_to and forms_count > matches.forms_count:
            late = scan.by_form(self._connection, matches.scanned_to)
            if _insert(matches.ordinals, late):
                matches.shifted = next(self._shifts)
        matches.ordinals.extend(scan.between(self._connection, matches.scanned_to, last))
        matches.scanned_to, matches.forms_count = last, forms_count
        return matches

    def _no_matches(self) -> _Matches:
        return _Matches(shifted=next(self._shifts))

    def _facet_ids(self, name: str) -> tuple[int, ...]:
        """Ids of the facets that rows show under `name`."""
        shown: dict[int, str] = {}
        query = "SELECT id, name FROM facets ORDER BY origin, epoch, seq"
        for facet_id, each in self._connection.execute(query):
            shown.setdefault(facet_id, each)
        return tuple(sorted(facet_id for facet_id, each in shown.items() if each == name))


@dataclass(frozen=True, slots=True)
class _Scan:
    """One filter in SQL."""

    conditions: tuple[str, ...]
    """On everything but text."""
    text_matches: str
    """What is to hold of the column `text` of either table; "" where every text will do."""
    parameters: dict[str, object]

    @classmethod
    def of(cls, query: ItemQuery, facet_ids: tuple[int, ...]) -> _Scan:
        conditions: list[str] = []
        parameters: dict[str, object] = {}
        if query.model is not None:
            conditions.append("items.model = :model")
            parameters["model"] = query.model
        if query.facet is not None:
            conditions.append(_FACET_SQL)
            parameters |= {"facet": query.facet, "facet_ids": json.dumps(facet_ids)}
        text_matches = ""
        if query.containing.isascii():
            pattern = query.containing.translate({92: "\\\\", 37: "\\%", 95: "\\_"})
            text_matches = r"text LIKE :sought ESCAPE '\'"
            parameters["sought"] = f"%{pattern}%"
        else:
            # SQLite folds the case of ASCII alone.
            text_matches = "contains_folded(text, :sought)"
            parameters["sought"] = query.containing.casefold()
        return cls(tuple(conditions), text_matches if query.containing else "", parameters)

    def between(self, connection: sqlite3.Connection, after: int, upto: int) -> Iterator[int]:
        """Ordinals that match, `after` < ordinal <= `upto`."""
        conditions = list(self.conditions)
        if self.text_matches:
            of_forms = f"SELECT ordinal FROM other_forms WHERE {self.text_matches}"  # noqa: S608
            conditions.append(f"({self.text_matches} OR items.ordinal IN ({of_forms}))")
        return self._ordinals(connection, conditions, after, upto)

    def by_form(self, connection: sqlite3.Connection, upto: int) -> Iterator[int]:
        """Ordinals up to `upto` of entries of which another form matches."""
        of_forms = f"SELECT ordinal FROM other_forms WHERE {self.text_matches}"  # noqa: S608
        conditions = [*self.conditions, f"items.ordinal IN ({of_forms})"]
        return self._ordinals(connection, conditions, 0, upto)

    def _ordinals(
        self, connection: sqlite3.Connection, conditions: Sequence[str], after: int, upto: int
    ) -> Iterator[int]:
        where = " AND ".join(["items.ordinal > :after", "items.ordinal <= :upto", *conditions])
        query = f"SELECT items.ordinal FROM items WHERE {where} ORDER BY items.ordinal"  # noqa: S608
        bounds = {"after": after, "upto": upto}
        return (row[0] for row in connection.execute(query, {**self.parameters, **bounds}))


def _insert(ordinals: array[int], late: Iterable[int]) -> bool:
    """Put into ascending `ordinals` those of `late` that are not there; whether there were any."""
    count = len(ordinals)
    for ordinal in late:
        place = bisect_left(ordinals, ordinal)
        if place == len(ordinals) or ordinals[place] != ordinal:
            ordinals.insert(place, ordinal)
    return len(ordinals) > count


def _contains_folded(text: str, sought: str) -> bool:
    return sought in text.casefold()
