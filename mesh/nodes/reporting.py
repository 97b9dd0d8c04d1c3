"""`report RUN_DIR`: the page of a run that is over as one file, to be kept or shared.

It only reads the run's directory. Of a run that goes on it tells what is stored by now, and says
that it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from datetime import UTC, datetime
from pathlib import Path

from mesh.core.item_query import ItemQuery
from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.nodes.collecting.finished_view import FinishedRunView
from mesh.storage.database import RunDatabase
from mesh.storage.run_directory import DATABASE_FILE, AlreadyLocked, DirectoryLock
from mesh.web.interface import JsonObject
from mesh.web.report import report_html

REPORT_FILE = "report.html"
NAMES_MAX = 10_000
"""Other forms, and pairs in doubt, that a report lists; the rest is in run.sqlite."""
_ITEMS_AT_A_TIME = 10_000


def write_report(run_dir: Path, file: Path, program: str) -> int:
    """Write the report of the run in `run_dir` to `file`; return how many entries it holds.

    A report that is there already is replaced in one step.

    Raises:
        UnusableDatabase: the run cannot be read.
        OSError: the file cannot be written; what was there stays.
    """
    run = asyncio.run(_run(run_dir, program))
    html = report_html(run)
    beside = file.with_name(f"{file.name}.{secrets.token_hex(4)}.new")
    try:
        # As readable as other files of this user: it is made to be shared.
        beside.write_text(html, "utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    return len(run["items"])


async def _run(run_dir: Path, program: str) -> JsonObject:
    """All that the report holds, in the API's own shapes."""
    path = run_dir / DATABASE_FILE
    with contextlib.closing(RunDatabase.open_read_only(path)) as database:
        reader = DatabaseReader(path)
        with contextlib.closing(reader):
            view = FinishedRunView(run_dir, program, database, reader)
            items: list[JsonObject] = []
            while True:
                query = ItemQuery(after=len(items), limit=_ITEMS_AT_A_TIME)
                rows = (await view.items(query))["items"]
                items += rows
                if len(rows) < _ITEMS_AT_A_TIME:
                    break
            return {
                "written": datetime.now(UTC).isoformat(timespec="seconds"),
                # Where it lies on this machine is nobody's business to whom the file is given.
                "metrics": {
                    **view.metrics(with_history=True),
                    "run_dir": None,
                    "reopen_command": None,
                    "notices": [],
                    **_going_on(run_dir),
                },
                "items": items,
                "peers": view.peers(),
                "facets": view.facets(),
                "names": await view.names(limit=NAMES_MAX),
            }


def _going_on(run_dir: Path) -> JsonObject:
    """What to say of a run that has not ended: somebody is in charge of its directory."""
    try:
        DirectoryLock.acquire(run_dir).close()
    except AlreadyLocked:
        return {"stop_reason": "the run was still going on when this was written"}
    except OSError:
        pass  # Nobody may write there: nobody goes on with it.
    return {}
