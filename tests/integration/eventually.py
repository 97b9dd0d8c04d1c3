"""Waiting in tests: for a condition, with a deadline, never for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.patience import PATIENCE_S

POLL_S = 0.01


async def eventually(condition: Callable[[], object], *, deadline_s: float = PATIENCE_S) -> None:
    """Return once `condition()` holds; fail when it does not within `deadline_s`."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + deadline_s
    while not condition():
        assert loop.time() < ends_s, "the condition did not come true in time"
        await asyncio.sleep(POLL_S)
