"""What the collector has told a producer, and what keeps it from calling."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from mesh.nodes.producing.judging import ToJudge

ControlPlace = tuple[int, int]
"""(epoch, seq) of an entry in the collector's log."""


@dataclass(slots=True)
class ControlHeard:
    """What the collector has said last, by what it is about."""

    since_ms: int
    """When this start of the run began: what was said before held until the end of its own."""
    _latest: dict[str, ControlPlace] = field(default_factory=dict)

    def is_news(self, about: str, said: ControlPlace) -> bool:
        """Whether `said` is to be obeyed; it is then the latest about this. Entries apply in any
        order, control holds in the order in which it was said."""
        if said[0] < self.since_ms or said <= self._latest.get(about, (0, 0)):
            return False
        self._latest[about] = said
        return True


@dataclass(slots=True)
class Orders:
    """Which model to call, and whether to call at all."""

    model: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when another model is assigned."""
    money_moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when more may be affordable than before."""
    to_judge: ToJudge = field(default_factory=ToJudge)
    _go: asyncio.Event = field(default_factory=asyncio.Event)
    _held_by: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._go.set()

    def hold(self, reason: str, held: bool) -> None:
        """Begin or cease to hold calls back for `reason`; each reason is lifted by itself."""
        if held:
            self._held_by[reason] = None
        else:
            self._held_by.pop(reason, None)
        self._go.clear() if self._held_by else self._go.set()

    def assign(self, model: str) -> None:
        if model != self.model:
            self.model = model
            self.changed.set()

    @property
    def held_by(self) -> str | None:
        """Why no call is made, None when they are."""
        return next(iter(self._held_by), None)

    async def pause(self, wait_s: float) -> None:
        """Wait, less long when another model is assigned meanwhile."""
        self.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.changed.wait()

    async def may_call(self) -> None:
        """Return when not paused."""
        await self._go.wait()
