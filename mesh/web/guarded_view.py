"""A run's view with what its page itself has counted beside: whom the gate turned away."""

from __future__ import annotations

from mesh.web.gate import Gate
from mesh.web.interface import JsonObject, RunView


class GuardedView:
    """A RunView that shows another one and, in its metrics, the gate's counts."""

    def __init__(self, view: RunView, gate: Gate) -> None:
        self._view = view
        self._gate = gate

    def metrics(self, *, with_history: bool) -> JsonObject:
        return with_page_counts(self._view.metrics(with_history=with_history), self._gate)

    async def items(self, *, after: int, limit: int, containing: str) -> JsonObject:
        return await self._view.items(after=after, limit=limit, containing=containing)

    def peers(self) -> JsonObject:
        return self._view.peers()

    async def output_text(self) -> bytes:
        return await self._view.output_text()

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        return await self._view.control(action, arguments)


def with_page_counts(metrics: JsonObject, gate: Gate) -> JsonObject:
    """Return `metrics` with the refusals of `gate` by reason."""
    return {**metrics, "page": {"refused": dict(gate.refused)}}
