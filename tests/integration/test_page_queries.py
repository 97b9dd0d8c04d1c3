"""What the page asks a real run.sqlite: filters, positions in what they leave, other forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.core.downloads import DownloadFormat
from mesh.core.entries import CallStarted, FacetProposed
from mesh.core.facet_ids import facet_id
from mesh.core.item_query import ItemQuery
from mesh.core.items import LogId, NodeId
from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.storage.database import Batch, ItemRow, RunDatabase
from mesh.storage.name_tables import OtherFormRow
from mesh.storage.page_queries import EXPORT_ROWS, FILTERS_KEPT_MAX, FORMS_SHOWN_MAX

A = NodeId(b"a" * 16)
LOG = LogId(A, 1)
MUSEUMS, BRIDGES = "museums", "bridges"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[RunDatabase]:
    database = RunDatabase.open(path)
    yield database
    database.close()


def item(ordinal: int, text: str, model: str = "atlas", facet: str = "", call: int = 1) -> ItemRow:
    number = facet_id(facet) if facet else 0
    return ItemRow(ordinal, text.encode(), text, A, 1, ordinal, call, model, 0.5, number)


def form(ordinal: int, text: str, t_s: float = 0.5) -> OtherFormRow:
    return OtherFormRow(text.encode(), text, ordinal, "", A, 1, 99, 1, "atlas", 0, t_s)


def named(*names: str) -> list[tuple[LogId, int, FacetProposed]]:
    return [(LOG, n, FacetProposed(name, 0, 1, "atlas")) for n, name in enumerate(names, 500)]


def ordinals(page: dict[str, Any]) -> list[int]:
    return [row["ordinal"] for row in page["items"]]


def test_filters_combine_and_the_total_counts_what_passes_all_of_them(
    database: RunDatabase,
) -> None:
    rows = [
        item(1, "Louvre", facet=MUSEUMS),
        item(2, "Orsay", "sonata", MUSEUMS),
        item(3, "Pont Neuf", facet=BRIDGES),
        item(4, "Pompidou", "sonata", MUSEUMS),
        item(5, "Orangerie", "sonata", MUSEUMS),
    ]
    database.commit(Batch(items=rows, facets=named(MUSEUMS, BRIDGES)))

    def shown(limit: int = 10, **wanted: Any) -> tuple[list[int], int | None, int]:
        page = database.pages.items(ItemQuery(limit, **wanted))
        return ordinals(page), page["next"], page["total"]

    assert shown() == ([1, 2, 3, 4, 5], None, 5)
    assert shown(2, skip=1) == ([2, 3], 3, 5)
    assert shown(2, after=1, skip=1) == ([3, 4], 4, 5)
    assert shown(model="sonata") == ([2, 4, 5], None, 3)
    assert shown(1, model="sonata", skip=1) == ([4], 4, 3)
    assert shown(5, model="sonata", after=2) == ([4, 5], None, 3)
    assert shown(facet=MUSEUMS, model="atlas") == ([1], None, 1)
    assert shown(facet=MUSEUMS, containing="OR") == ([2, 5], None, 2)
    assert shown(facet="") == ([], None, 0)
    assert shown(skip=2**53 - 1) == ([], None, 5)
    assert shown(model="sonata", skip=2**53 - 1, after=2**53 - 1) == ([], None, 3)


def test_a_facet_that_only_its_call_names_is_found_as_its_rows_show_it(
    database: RunDatabase,
) -> None:
    begun = CallStarted("atlas", 40, BRIDGES, 7)
    rows = [item(1, "Pont Neuf", call=3), item(2, "Louvre", facet=MUSEUMS), item(3, "Orsay")]
    database.commit(Batch(items=rows, calls_started=[(LOG, 3, begun)], facets=named(MUSEUMS)))
    page = database.pages.items(ItemQuery(9, facet=BRIDGES))
    assert [(row["ordinal"], row["facet"]) for row in page["items"]] == [(1, BRIDGES)]


def test_rows_carry_the_newest_other_forms_and_are_found_by_any(database: RunDatabase) -> None:
    forms = [form(1, f"Louvre {number}", t_s=number) for number in range(9)]
    database.commit(Batch(items=[item(1, "Musée"), item(2, "Orsay")], other_forms=forms))
    page = database.pages.items(ItemQuery(9, containing="LOUVRE 0"))
    assert ordinals(page) == [1]
    newest = [f"Louvre {number}" for number in range(9)][-FORMS_SHOWN_MAX:]
    assert page["items"][0]["forms"] == newest
    assert database.pages.items(ItemQuery(9))["items"][1]["forms"] == []


def test_a_search_ignores_the_case_of_every_script(database: RunDatabase) -> None:
    database.commit(Batch(items=[item(1, "ÉTOILE"), item(2, "Эрмитаж"), item(3, "Etoile")]))
    found = {
        sought: ordinals(database.pages.items(ItemQuery(9, containing=sought)))
        for sought in ("étoile", "ЭРМ", "ETOILE", "100 %")
    }
    assert found == {"étoile": [1], "ЭРМ": [2], "ETOILE": [3], "100 %": []}


def test_a_filtered_list_grows_at_its_end_and_by_forms_that_come_late(
    database: RunDatabase,
) -> None:
    query = ItemQuery(9, containing="louvre")
    database.commit(Batch(items=[item(1, "Musée"), item(2, "Louvre")]))
    assert ordinals(database.pages.items(query)) == [2]
    database.commit(Batch(items=[item(3, "Louvre Lens")]))
    assert ordinals(database.pages.items(query)) == [2, 3]
    database.commit(Batch(other_forms=[form(1, "Le Louvre"), form(2, "The Louvre")]))
    assert ordinals(database.pages.items(query)) == [1, 2, 3]
    with database.transaction():
        database.names.merge(3, 2)
    assert ordinals(database.pages.items(query)) == [1, 2]
    with database.transaction():
        database.names.take_apart(b"Louvre Lens", 3)
    assert ordinals(database.pages.items(query)) == [1, 2, 3]


WORDS = st.sampled_from(["Louvre", "louvre", "Orsay", "É", "é", "a%b", "a_b", "\\"])
ROWS = st.tuples(WORDS, st.sampled_from(["atlas", "sonata"]), st.sampled_from(["", MUSEUMS]))
QUERIES = st.builds(
    ItemQuery,
    st.integers(1, 4),
    st.integers(0, 9),
    st.sampled_from(["", "louvre", "É", "%", "_", "\\", "s"]),
    st.none() | st.sampled_from(["atlas", "sonata"]),
    st.none() | st.sampled_from([MUSEUMS, ""]),
    st.integers(0, 5),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(batches=st.lists(st.lists(ROWS, max_size=4), max_size=4), queries=st.lists(QUERIES))
def test_every_page_is_what_filtering_the_whole_list_would_give(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[tuple[str, str, str]]],
    queries: list[ItemQuery],
) -> None:
    database = RunDatabase.open(tmp_path_factory.mktemp("run") / "run.sqlite")
    database.commit(Batch(facets=named(MUSEUMS)))
    held: list[tuple[int, str, str, str | None]] = []
    for batch in batches:
        rows = []
        for text, model, facet in batch:
            ordinal = len(held) + 1
            held.append((ordinal, f"{text} {ordinal}", model, facet or None))
            rows.append(item(ordinal, f"{text} {ordinal}", model, facet))
        database.commit(Batch(items=rows))
        for query in queries:
            matching = [
                ordinal
                for ordinal, text, model, facet in held
                if query.containing.casefold() in text.casefold()
                and query.model in (None, model)
                and query.facet in (None, facet)
            ]
            rest = [ordinal for ordinal in matching if ordinal > query.after][query.skip :]
            page = database.pages.items(query)
            assert page["total"] == len(matching)
            assert ordinals(page) == rest[: query.limit]
            more = len(rest) > query.limit
            assert page["next"] == (rest[query.limit - 1] if more else None)
    database.close()


def test_only_the_latest_filters_are_kept(database: RunDatabase) -> None:
    database.commit(Batch(items=[item(n, f"item {n}") for n in range(1, 10)]))
    for number in range(3 * FILTERS_KEPT_MAX):
        database.pages.items(ItemQuery(9, containing=str(number)))
    assert len(database.pages._kept) == FILTERS_KEPT_MAX


async def test_a_download_holds_every_entry_once_with_all_its_forms(
    path: Path, database: RunDatabase
) -> None:
    count = 2 * EXPORT_ROWS + 1
    forms = [form(2, f"form {number}", t_s=number) for number in range(9)]
    rows = [item(n, f"item {n}") for n in range(1, count + 1)]
    database.commit(Batch(items=rows, other_forms=forms, nodes=[(A, "producer 1")]))
    reader = DatabaseReader(path)
    pieces = [piece async for piece in reader.output(DownloadFormat.JSON_LINES)]
    lines = [json.loads(line) for line in b"".join(pieces).splitlines()]
    assert [line["ordinal"] for line in lines] == list(range(1, count + 1))
    assert lines[1]["forms"] == [f"form {number}" for number in range(9)]
    assert lines[0] == {
        "ordinal": 1,
        "text": "item 1",
        "model": "atlas",
        "node": "producer 1",
        "facet": None,
        "t_s": 0.5,
        "forms": [],
    }
    text = b"".join([piece async for piece in reader.output(DownloadFormat.TEXT)]).decode()
    assert text == "".join(f"item {n}\n" for n in range(1, count + 1))
    reader.close()


async def test_a_run_without_entries_is_downloaded_too(path: Path, database: RunDatabase) -> None:
    reader = DatabaseReader(path)
    table = b"".join([piece async for piece in reader.output(DownloadFormat.CSV)])
    assert table.decode("utf-8-sig") == "ordinal,text,model,node,facet,t_s,other_forms\r\n"
    assert b"".join([piece async for piece in reader.output(DownloadFormat.TEXT)]) == b""
    reader.close()
