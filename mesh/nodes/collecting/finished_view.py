"""A run that is over, as the page sees it: from run.sqlite alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from mesh.core.downloads import DownloadFormat
from mesh.core.forecast import NO_FORECAST
from mesh.core.item_query import ItemQuery
from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.nodes.collecting.facts import restored_metrics
from mesh.nodes.collecting.shown import facets_json, kept_metrics, kept_peers, reopen_command
from mesh.storage.database import RunDatabase
from mesh.web.interface import JsonObject


class FinishedRunView:
    """A run that is over, from run.sqlite alone."""

    def __init__(
        self, run_dir: Path, program: str, database: RunDatabase, reader: DatabaseReader
    ) -> None:
        self._run_dir = run_dir
        self._program = program
        self._reader = reader
        self._meta = database.meta()
        self._elapsed_s = float(self._meta.get("elapsed_s", "0"))
        self._metrics = restored_metrics(database, self._elapsed_s)
        labels, plan = database.labels(), database.plan()
        plan.nodes_gone(set(labels))
        self._facets = facets_json(plan, labels)

    def metrics(self, *, with_history: bool) -> JsonObject:
        snapshot: JsonObject = {
            "topic": self._meta.get("topic", ""),
            "state": "stopped",
            "stop_reason": self._meta.get("stop_reason") or "the run was cut off",
            "simulated": self._meta.get("simulated") == "1",
            **self._metrics.snapshot(self._elapsed_s),
            **kept_metrics(self._meta),
            "actions": [],
            "forecast": NO_FORECAST.as_json(),
            "run_id": self._meta.get("run_id", ""),
            "run_dir": str(self._run_dir),
            "reopen_command": reopen_command(self._program, self._run_dir),
        }
        if with_history:
            snapshot["history"] = self._metrics.history_snapshot()
        return snapshot

    async def items(self, query: ItemQuery) -> JsonObject:
        return await self._reader.items(query)

    async def names(self, *, limit: int) -> JsonObject:
        return await self._reader.names(limit=limit)

    def peers(self) -> JsonObject:
        return kept_peers(self._meta)

    def facets(self) -> JsonObject:
        return self._facets

    def output(self, form: DownloadFormat) -> AsyncIterator[bytes]:
        return self._reader.output(form)

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        return "the run is over; start it again to go on"
