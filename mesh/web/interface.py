"""What the page needs from whoever serves it: the collector while running, a finished run later.

Values are plain JSON objects in the shapes of the HTTP contract (README, "HTTP").
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from mesh.core.downloads import DownloadFormat
from mesh.core.item_query import ItemQuery

JsonObject = dict[str, Any]


class RunView(Protocol):
    """A run as the page sees it. No method blocks for longer than a few milliseconds."""

    def metrics(self, *, with_history: bool) -> JsonObject:
        """`/api/metrics`; `history` only where asked."""
        ...

    async def items(self, query: ItemQuery) -> JsonObject:
        """`/api/items`: a page of entries, and how many match in all."""
        ...

    def peers(self) -> JsonObject:
        """`/api/peers`."""
        ...

    def facets(self) -> JsonObject:
        """`/api/facets`: the plan, the topic as a whole first, parents before their parts."""
        ...

    async def names(self, *, limit: int) -> JsonObject:
        """`/api/names`: other forms of entries and pairs in doubt, at most `limit` of each."""
        ...

    def output(self, form: DownloadFormat) -> AsyncIterator[bytes]:
        """`/output.txt`, `.csv`, `.jsonl`: the accepted entries piece by piece, UTF-8."""
        ...

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        """Carry out a `POST /api/control`; None when done, else why it is refused."""
        ...
