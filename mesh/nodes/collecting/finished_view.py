"""A run that is over, as the page sees it: from run.sqlite alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from mesh.core.downloads import DownloadFormat
from mesh.core.forecast import NO_FORECAST
from mesh.core.item_query import ItemQuery
from mesh.core.metrics import RunMetrics
from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.nodes.collecting.shown import facets_json, reopen_command
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
        self._metrics = RunMetrics(database.model_totals(), database.history())
        for call in database.calls():
            self._metrics.restore_call(call)
        for ended in database.ended_calls():
            self._metrics.restore_end(*ended)
        self._facets = facets_json(database.plan(), {})

    def metrics(self, *, with_history: bool) -> JsonObject:
        elapsed_s = float(self._meta.get("elapsed_s", "0"))
        budget = self._meta.get("budget_usd", "")
        snapshot: JsonObject = {
            "topic": self._meta.get("topic", ""),
            "state": "stopped",
            "stop_reason": self._meta.get("stop_reason") or "the run was cut off",
            "simulated": self._meta.get("simulated") == "1",
            **self._metrics.snapshot(elapsed_s),
            "budget_usd": float(budget) if budget else None,
            "max_cost_per_item_usd": None,
            "item_cost_usd": None,
            "target": None,
            "notices": [],
            "actions": [],
            "forecast": NO_FORECAST.as_json(),
            "run_dir": str(self._run_dir),
            "reopen_command": reopen_command(self._program, self._run_dir),
            "mesh": {
                "converged": True,
                "missing_entries": 0,
                "peers_alive": 0,
                "propagation_ms_p50": None,
                "propagation_ms_p99": None,
                "lost_entries": 0,
                "refused": {},
            },
        }
        if with_history:
            snapshot["history"] = self._metrics.history_snapshot()
        return snapshot

    async def items(self, query: ItemQuery) -> JsonObject:
        return await self._reader.items(query)

    async def names(self, *, limit: int) -> JsonObject:
        return await self._reader.names(limit=limit)

    def peers(self) -> JsonObject:
        return {"peers": []}

    def facets(self) -> JsonObject:
        return self._facets

    def output(self, form: DownloadFormat) -> AsyncIterator[bytes]:
        return self._reader.output(form)

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        return "the run is over; start it again to go on"
