"""A run's view with what its page itself has counted beside: whom it turned away."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mesh.core.downloads import DownloadFormat
from mesh.core.item_query import ItemQuery
from mesh.web.connections import Doorway
from mesh.web.gate import Gate
from mesh.web.interface import JsonObject, RunView

TOO_MANY_CONNECTIONS = "too_many_connections"


class GuardedView:
    """A RunView that shows another one and, in its metrics, what gate and doorway refused."""

    def __init__(self, view: RunView, gate: Gate, doorway: Doorway) -> None:
        self._view = view
        self._gate = gate
        self._doorway = doorway

    def counted(self, metrics: JsonObject) -> JsonObject:
        """Return `metrics` with the page's refusals by reason."""
        refused = dict(self._gate.refused)
        if self._doorway.turned_away_count:
            refused[TOO_MANY_CONNECTIONS] = self._doorway.turned_away_count
        return {**metrics, "page": {"refused": refused}}

    def metrics(self, *, with_history: bool) -> JsonObject:
        return self.counted(self._view.metrics(with_history=with_history))

    async def items(self, query: ItemQuery) -> JsonObject:
        return await self._view.items(query)

    def facets(self) -> JsonObject:
        return self._view.facets()

    async def names(self, *, limit: int) -> JsonObject:
        return await self._view.names(limit=limit)

    def peers(self) -> JsonObject:
        return self._view.peers()

    def output(self, form: DownloadFormat) -> AsyncIterator[bytes]:
        return self._view.output(form)

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        return await self._view.control(action, arguments)
