"""run.sqlite on disk: batches are stored whole or not at all, and a restart finds everything."""

from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mesh.core.accounts import AccountRow, CallRow
from mesh.core.entries import CallFinished, CallStarted, FacetProposed
from mesh.core.facet_ids import facet_id
from mesh.core.item_query import ItemQuery
from mesh.core.items import LogId, NodeId
from mesh.core.metrics import HistoryPoint, ModelCounts
from mesh.core.seqset import SeqSet
from mesh.storage.database import (
    FORMAT_VERSION,
    LOOK_UP_KEYS_MAX,
    Batch,
    ItemRow,
    OwnFrame,
    RunDatabase,
    UnusableDatabase,
)
from tests.integration.scarcity import no_file_larger_than
from tests.patience import PATIENCE_S

A = NodeId(b"a" * 16)
LOG = LogId(A, 1_700_000_000_000)
ALL_BYTES = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[RunDatabase]:
    database = RunDatabase.open(path)
    yield database
    database.close()


def item(ordinal: int, text: str = "", call: int = 1, t_s: float = 0.5) -> ItemRow:
    text = text or f"item {ordinal}"
    key = text.casefold().encode()
    return ItemRow(ordinal, key, text, A, LOG.epoch, ordinal, call, "atlas", t_s)


def finished(call: int = 1, cost_usd: float | None = 0.01) -> CallFinished:
    return CallFinished(call, "atlas", "ok", None, 100, 40, 20, 5, False, cost_usd, 1.5, 0.25)


def whole_batch() -> Batch:
    return Batch(
        items=[item(1), item(2)],
        excluded=[(b"eiffel", "Eiffel")],
        calls_started=[(LOG, 1, CallStarted("atlas", 40, "museums", 7))],
        calls_finished=[(LOG, finished())],
        taken_in={LOG: [(1, 3), (7, 9)]},
        model_totals={"atlas": ModelCounts(2, 1, 0, 1, 0, 100, 40, 20, 0.01, 0)},
        own_frames=[OwnFrame(5, 1, 3, b"frame")],
        history=[HistoryPoint(1.0, 2, 2, 0.25, {"atlas": 2})],
        nodes=[(A, "producer 1")],
        meta={"state": "running"},
    )


def contents(database: RunDatabase) -> dict[str, object]:
    return {
        "texts": list(database.accepted_texts()),
        "keys": sorted(database.accepted_keys()),
        "excluded": list(database.beside_keys()),
        "totals": database.model_totals(),
        "taken in": database.taken_in(),
        "history": database.history(),
        "epochs": database.own_epochs(),
        "frames": database.own_frames(5, 1, 100, ALL_BYTES),
        "meta": database.meta(),
        "items": database.pages.items(ItemQuery(limit=100))["items"],
    }


def test_a_restart_finds_everything_that_a_batch_held(path: Path, database: RunDatabase) -> None:
    database.commit(whole_batch())
    database.close()
    restarted = RunDatabase.open(path)
    assert contents(restarted) == {
        "texts": ["item 1", "item 2"],
        "keys": [b"item 1", b"item 2"],
        "excluded": [b"eiffel"],
        "totals": {"atlas": ModelCounts(2, 1, 0, 1, 0, 100, 40, 20, 0.01, 0)},
        "taken in": {LOG: SeqSet.of_ranges([(1, 3), (7, 9)])},
        "history": [HistoryPoint(1.0, 2, 2, 0.25, {"atlas": 2})],
        "epochs": [(5, 3)],
        "frames": [b"frame"],
        "meta": {"format_version": FORMAT_VERSION, "state": "running"},
        "items": [
            {
                "ordinal": ordinal,
                "text": f"item {ordinal}",
                "model": "atlas",
                "node": "producer 1",
                "facet": "museums",
                "t_s": 0.5,
                "forms": [],
            }
            for ordinal in (1, 2)
        ],
    }
    restarted.close()


def test_money_of_producers_is_found_again_after_a_restart(
    path: Path, database: RunDatabase
) -> None:
    account = AccountRow(A, 0.25, 0.01, LOG.epoch, 9, 0.2, 0.02)
    begun = CallStarted("atlas", 40, None, 7, "facets", 0.02, 1_500)
    database.commit(Batch(accounts=[AccountRow(A, 0.2, 0.0, 0, 0, 0.0, 0.0)]))
    database.commit(
        Batch(
            accounts=[account],
            calls_started=[(LOG, 1, begun), (LOG, 5, begun)],
            calls_finished=[(LOG, finished(1)), (LOG, finished(8))],
        )
    )
    database.close()
    restarted = RunDatabase.open(path)
    assert list(restarted.accounts()) == [account]
    assert sorted(restarted.calls(), key=lambda call: call.seq) == [
        CallRow(LOG, 1, "atlas", True, 0.02, True, 0.01),
        CallRow(LOG, 5, "atlas", True, 0.02, False, None),
        CallRow(LOG, 8, "atlas", False, None, True, 0.01),
    ]
    restarted.close()


def test_a_call_is_stored_with_its_purpose_and_what_it_wrote_to_a_cache(
    path: Path, database: RunDatabase
) -> None:
    begun = CallStarted("atlas", 40, None, 7, "facets", 0.02, 1_500)
    ended = msgspec.structs.replace(finished(1), cache_write_tokens=60)
    database.commit(Batch(calls_started=[(LOG, 1, begun)], calls_finished=[(LOG, ended)]))
    with sqlite3.connect(path) as connection:
        query = "SELECT purpose, reserved_usd, cache_write_tokens, input_tokens FROM calls"
        assert connection.execute(query).fetchall() == [("facets", 0.02, 60, 100)]


def test_an_entry_shows_the_name_of_the_facet_that_it_was_found_in(database: RunDatabase) -> None:
    museums = FacetProposed("museums", 0, 3, "atlas")
    database.commit(Batch(facets=[(LOG, 4, museums), (LogId(A, 9), 2, museums)]))
    database.commit(
        Batch(
            items=[
                dataclasses.replace(item(1, call=9), facet=facet_id("museums")),
                item(2, call=9),
            ]
        )
    )
    rows = database.pages.items(ItemQuery(limit=9))["items"]
    assert [row["facet"] for row in rows] == ["museums", None]
    assert [row[-1] for row in database.acceptances()] == [facet_id("museums"), 0]


def test_a_batch_that_fails_at_its_end_leaves_nothing_of_itself(database: RunDatabase) -> None:
    """The own log comes after items, calls and totals: all of them must go with it."""
    database.commit(Batch(own_frames=[OwnFrame(5, 1, 3, b"first")]))
    before = contents(database)
    with pytest.raises(sqlite3.IntegrityError):
        database.commit(whole_batch())
    assert contents(database) == before
    database.commit(Batch(items=[item(1)]))
    assert list(database.accepted_texts()) == ["item 1"]


@pytest.mark.parametrize("second", [item(1, "other text"), item(2, "ITEM 1")])
def test_no_ordinal_and_no_key_is_ever_given_twice(database: RunDatabase, second: ItemRow) -> None:
    database.commit(Batch(items=[item(1)]))
    with pytest.raises(sqlite3.IntegrityError):
        database.commit(Batch(items=[second]))
    assert list(database.accepted_texts()) == ["item 1"]


def test_a_full_disk_stores_nothing_and_the_same_batch_goes_through_later(
    path: Path, database: RunDatabase
) -> None:
    database.commit(Batch(items=[item(1)]))
    batch = Batch(items=[item(n, f"item {n} " + "x" * 400) for n in range(2, 500)])
    before = contents(database)
    written = path.with_name("run.sqlite-wal").stat().st_size
    with no_file_larger_than(written + 4096), pytest.raises(sqlite3.OperationalError):
        database.commit(batch)
    assert contents(database) == before
    database.commit(batch)
    assert len(list(database.accepted_texts())) == 499


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from mesh.storage.database import Batch, RunDatabase
database = RunDatabase.open(Path(sys.argv[1]))
database.commit(Batch(meta={"state": "running"}))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_committed_survives_the_process(path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", KILLED_WRITER, str(path)], timeout=PATIENCE_S, check=False
    )
    database = RunDatabase.open(path)
    assert database.meta()["state"] == "running"
    database.close()


def test_look_ups_tell_accepted_excluded_and_unknown_keys_apart(database: RunDatabase) -> None:
    count = 2 * LOOK_UP_KEYS_MAX + 7
    database.commit(
        Batch(items=[item(n) for n in range(1, count + 1)], excluded=[(b"eiffel", "Eiffel")])
    )
    keys = [b"item %d" % n for n in range(1, count + 1)]
    assert database.ordinals_of([*keys, b"eiffel", b"unknown"]) == {
        **{key: n for n, key in enumerate(keys, 1)},
        b"eiffel": 0,
    }
    assert database.ordinals_of([]) == {}


TEXTS = ["100% Paris", "1000 Paris", "a_b", "axb", "back\\slash", "backslash", "Musée d’Orsay"]


@pytest.mark.parametrize(
    ("containing", "expected"),
    [
        ("", TEXTS),
        ("100% ", ["100% Paris"]),
        ("%", ["100% Paris"]),
        ("_", ["a_b"]),
        ("a_b", ["a_b"]),
        ("\\", ["back\\slash"]),
        ("k\\s", ["back\\slash"]),
        ("paris", ["100% Paris", "1000 Paris"]),
        ("Musée", ["Musée d’Orsay"]),
        ("'; DROP TABLE items; --", []),
    ],
)
def test_a_search_takes_its_text_literally(
    database: RunDatabase, containing: str, expected: list[str]
) -> None:
    database.commit(Batch(items=[item(n, text) for n, text in enumerate(TEXTS, 1)]))
    found = database.pages.items(ItemQuery(limit=100, containing=containing))["items"]
    assert [row["text"] for row in found] == expected


def test_items_are_paged_by_ordinal(database: RunDatabase) -> None:
    database.commit(Batch(items=[item(n) for n in range(1, 8)]))
    pages = [
        [row["ordinal"] for row in database.pages.items(ItemQuery(limit=3, after=after))["items"]]
        for after in (0, 3, 6, 7)
    ]
    assert pages == [[1, 2, 3], [4, 5, 6], [7], []]
    assert list(database.accepted_texts(after=5)) == ["item 6", "item 7"]


def test_an_item_of_an_unknown_node_and_call_is_listed_all_the_same(database: RunDatabase) -> None:
    database.commit(Batch(items=[item(1, call=99)]))
    (row,) = database.pages.items(ItemQuery(limit=1))["items"]
    assert (row["node"], row["facet"]) == ("", None)


@pytest.mark.parametrize("start_first", [True, False])
def test_a_call_is_one_row_whether_its_start_or_its_end_came_first(
    path: Path, database: RunDatabase, start_first: bool
) -> None:
    start = Batch(calls_started=[(LOG, 1, CallStarted("atlas", 40, "museums", 7))])
    end = Batch(calls_finished=[(LOG, finished(cost_usd=None))])
    for batch in (start, end) if start_first else (end, start):
        database.commit(batch)
    rows = sqlite3.connect(path).execute(
        "SELECT seq, model, asked_count, facet, started_ms, outcome, cost_usd, latency_s FROM calls"
    )
    assert rows.fetchall() == [(1, "atlas", 40, "museums", 7, "ok", None, 1.5)]


def test_what_was_accepted_lately_is_counted_by_time_and_model(database: RunDatabase) -> None:
    times = [10.0, 20.0, 20.0, 30.0]
    database.commit(Batch(items=[item(n, t_s=t_s) for n, t_s in enumerate(times, 1)]))
    assert database.recent_unique(since_t_s=10.0) == [(20.0, "atlas", 2), (30.0, "atlas", 1)]
    assert database.recent_unique(since_t_s=30.0) == []


OWN = [OwnFrame(5, 1, 3, b"1-3"), OwnFrame(5, 4, 1, b"4"), OwnFrame(5, 5, 6, b"5-10")]


@pytest.mark.parametrize(
    ("first_seq", "last_seq", "expected"),
    [
        (1, 10, [b"1-3", b"4", b"5-10"]),
        (2, 2, [b"1-3"]),
        (3, 4, [b"1-3", b"4"]),
        (4, 4, [b"4"]),
        (9, 90, [b"5-10"]),
        (11, 90, []),
    ],
)
def test_a_range_of_the_own_log_brings_the_frames_that_hold_any_of_it(
    database: RunDatabase, first_seq: int, last_seq: int, expected: list[bytes]
) -> None:
    database.commit(Batch(own_frames=[*OWN, OwnFrame(6, 1, 1, b"a later epoch")]))
    assert database.own_frames(5, first_seq, last_seq, ALL_BYTES) == expected
    assert database.own_epochs() == [(5, 10), (6, 1)]


def test_a_range_of_the_own_log_stops_at_the_bytes_asked_for_after_one_frame(
    database: RunDatabase,
) -> None:
    database.commit(Batch(own_frames=OWN))
    assert database.own_frames(5, 1, 10, bytes_max=1) == [b"1-3"]
    assert database.own_frames(5, 1, 10, bytes_max=4) == [b"1-3", b"4"]


def test_a_reader_beside_the_writer_sees_whole_batches_only(
    path: Path, database: RunDatabase
) -> None:
    reader = RunDatabase.open_read_only(path)
    database.commit(whole_batch())
    assert contents(reader) == contents(database)
    reading = reader.accepted_texts()
    assert next(reading) == "item 1"
    database.commit(Batch(items=[item(3)]))
    assert list(reading) == ["item 2"]
    assert list(reader.accepted_texts()) == ["item 1", "item 2", "item 3"]
    reader.close()


def test_a_reader_cannot_write(path: Path, database: RunDatabase) -> None:
    reader = RunDatabase.open_read_only(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.commit(Batch(meta={"state": "stopped"}))
    reader.close()


def test_reading_a_run_that_is_not_there_makes_none(path: Path) -> None:
    with pytest.raises(UnusableDatabase, match=r"cannot read .*run\.sqlite"):
        RunDatabase.open_read_only(path)
    assert not path.exists()


def test_another_format_is_refused_with_both_versions(path: Path, database: RunDatabase) -> None:
    database.commit(Batch(meta={"format_version": "99"}))
    database.close()
    for opening in (RunDatabase.open, RunDatabase.open_read_only):
        with pytest.raises(
            UnusableDatabase, match=f"has format 99, this version reads {FORMAT_VERSION}"
        ):
            opening(path)


def test_a_database_of_somebody_else_is_refused_and_kept(path: Path) -> None:
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE recipes (name TEXT)")
    foreign.commit()
    foreign.close()
    for opening in (RunDatabase.open, RunDatabase.open_read_only):
        with pytest.raises(UnusableDatabase, match=r"cannot (use|read)"):
            opening(path)
    names = sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall()
    assert names == [("recipes",)]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00 torn"])
def test_a_damaged_database_is_refused_and_kept(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UnusableDatabase, match=r"cannot use .*run\.sqlite"):
        RunDatabase.open(path)
    assert path.read_bytes() == content


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnusableDatabase, match="cannot use"):
        RunDatabase.open(tmp_path / "missing" / "run.sqlite")


def test_only_its_owner_may_read_a_run(path: Path, database: RunDatabase) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_ends_of_calls_come_back_in_the_order_in_which_they_were_taken_in(
    path: Path, database: RunDatabase
) -> None:
    for call in (5, 3, 9):
        ended = msgspec.structs.replace(finished(call), latency_s=float(call))
        database.commit(Batch(calls_finished=[(LOG, ended)]))
    database.close()
    restarted = RunDatabase.open(path)
    restarted.commit(Batch(calls_finished=[(LOG, finished(1)), (LOG, finished(2))]))
    assert list(restarted.ended_calls()) == [
        ("atlas", "ok", None, latency_s) for latency_s in (5.0, 3.0, 9.0, 1.5, 1.5)
    ]
    restarted.close()


def test_a_run_of_the_format_before_is_shown_but_not_continued(
    path: Path, database: RunDatabase
) -> None:
    database.commit(whole_batch())
    database.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP INDEX calls_by_ended")
        connection.execute("ALTER TABLE calls DROP COLUMN ended")
        connection.execute("UPDATE meta SET value = '3' WHERE name = 'format_version'")
    connection.close()
    reading = RunDatabase.open_read_only(path)
    assert list(reading.ended_calls()) == [("atlas", "ok", None, 1.5)]
    reading.close()
    with pytest.raises(UnusableDatabase, match="has format 3"):
        RunDatabase.open(path)
