"""Reads run.sqlite for the page, away from the event loop.

What everyone asks for, once a second, has a thread and a connection of its own; searches and
downloads share another, so that no number on a page waits for someone's search.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from mesh.core.downloads import DownloadFormat, header_of, lines_of
from mesh.core.item_query import ItemQuery
from mesh.storage.database import RunDatabase
from mesh.web.interface import JsonObject

R = TypeVar("R")


class DatabaseReader:
    """One run's database for any number of readers."""

    def __init__(self, path: Path) -> None:
        self._quick = _Lane(path, "page-queries")
        self._slow = _Lane(path, "page-searches")

    async def items(self, query: ItemQuery) -> JsonObject:
        lane = self._slow if query.is_filtered else self._quick
        return await lane.ask(lambda database: database.pages.items(query))

    async def names(self, *, limit: int) -> JsonObject:
        def names(database: RunDatabase) -> JsonObject:
            forms_total, open_total, different_total = database.names.counts()
            return {
                "merged_total": forms_total,
                "open_total": open_total,
                "different_total": different_total,
                "merged": [asdict(each) for each in database.names.merges(limit)],
                "doubts": [asdict(each) for each in database.names.doubts(limit)],
            }

        return await self._quick.ask(names)

    async def output(self, form: DownloadFormat) -> AsyncIterator[bytes]:
        """The entries accepted until now, piece by piece."""
        upto = await self._slow.ask(lambda database: database.pages.last_ordinal())
        piece, at = header_of(form), 0
        while at < upto:
            yield piece
            piece, at = await self._slow.ask(_next_piece(form, at, upto))
        yield piece

    def close(self) -> None:
        self._quick.close()
        self._slow.close()


class _Lane:
    """A thread with a connection, which answers one question after another."""

    def __init__(self, path: Path, name: str) -> None:
        self._database = RunDatabase.open_read_only(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def ask(self, question: Callable[[RunDatabase], R]) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, question, self._database)

    def close(self) -> None:
        self._thread.shutdown()
        self._database.close()


def _next_piece(
    form: DownloadFormat, after: int, upto: int
) -> Callable[[RunDatabase], tuple[bytes, int]]:
    def read(database: RunDatabase) -> tuple[bytes, int]:
        rows = database.pages.export(after, upto)
        # An edit by hand may have made the list shorter meanwhile.
        return lines_of(form, rows), rows[-1]["ordinal"] if rows else upto

    return read
