"""What the page needs from whoever serves it: the collector while running, a finished run later.

Values are plain JSON objects in the shapes of the HTTP contract (README, "HTTP").
"""

from __future__ import annotations

from typing import Any, Protocol

JsonObject = dict[str, Any]


class RunView(Protocol):
    """A run as the page sees it. No method blocks for longer than a few milliseconds."""

    def metrics(self, *, with_history: bool) -> JsonObject:
        """`/api/metrics`; `history` only where asked."""
        ...

    async def items(self, *, after: int, limit: int, containing: str) -> JsonObject:
        """`/api/items`: entries with ordinal > `after`, ascending, at most `limit`; `containing`
        filters by text, case-insensitive, "" for all."""
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

    async def output_text(self) -> bytes:
        """`/output.txt`: the accepted entries, one a line, UTF-8."""
        ...

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        """Carry out a `POST /api/control`; None when done, else why it is refused."""
        ...
