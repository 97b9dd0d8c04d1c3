"""Producers on a machine that has joined a run: started, kept, and let go when the run ends.

When that is, the run's collector says, over the mesh, to each producer; this module sees the first
of them leave. One that the run has dismissed leaves alone; with the last of them this machine's
part is over. What they could not hand over stays in their logs here, and is handed over by
joining again.
"""

from __future__ import annotations

import asyncio
import sys
import time

from mesh.nodes.channel import Message
from mesh.nodes.guest_lines import GuestStatus, guest_summary_lines
from mesh.nodes.supervising.crew import Crew, CrewSettings
from mesh.nodes.supervising.keeping import Keeper, KeptChild
from mesh.nodes.terminal import TerminalView, shown

RUN_ENDED = "the run has ended"
ALL_DISMISSED = (
    "the run has removed the producers of this machine; "
    "to take part again, join from another --run-dir"
)


class Guest:
    """This machine's part in a run."""

    def __init__(
        self, settings: CrewSettings, terminal: TerminalView, hand_over_command: str
    ) -> None:
        """`hand_over_command`: what to type to join again from the same directory."""
        self._settings = settings
        self._terminal = terminal
        self._remedy = f"this hands them over: {hand_over_command}"
        self._keeper = Keeper(terminal, self._heard)
        self._crew = Crew(settings, self._keeper)
        self._started_s = time.monotonic()
        self._statuses: dict[str, Message] = {}

    async def run(self) -> int:
        """Take part until the run ends or the user ends it; return the exit status."""
        self._keeper.watch_signals(self._keeper.interrupted)
        self._crew.start_importing()
        self._crew.start()
        try:
            await self._keeper.ending.wait()
            await self._crew.leave()
            await self._crew.close()
        finally:
            await self._keeper.close()
            self._crew.end_fork_servers()
        return self._finish()

    def _heard(self, kept: KeptChild, message: Message) -> None:
        self._crew.heard(kept, message)
        event = message["event"]
        if event == "status":
            self._statuses[kept.label] = message
            self._terminal.update(self._status())
        elif event == "left":
            self._left(kept)

    def _left(self, kept: KeptChild) -> None:
        if not kept.dismissed:
            # One that has not heard of the end yet, or not of the run, must not go on alone.
            self._keeper.begin_end(RUN_ENDED)
        elif not self._crew.present_count:
            self._keeper.begin_end(ALL_DISMISSED)
        elif kept.label in self._statuses:
            self._statuses[kept.label] = {**self._statuses[kept.label], "state": "removed"}

    def _status(self) -> GuestStatus:
        return {
            "topic": self._settings.terms.topic,
            "simulated": all(model.simulated for model in self._settings.models),
            "elapsed_s": time.monotonic() - self._started_s,
            "producers": [
                {"label": label, **self._statuses[label]} for label in sorted(self._statuses)
            ],
        }

    def _finish(self) -> int:
        keeper = self._keeper
        reason = keeper.stop_reason or RUN_ENDED
        failed = keeper.failure or keeper.killed
        self._terminal.finish([] if failed else guest_summary_lines(self._status(), reason))
        if keeper.failure:
            sys.stderr.write(f"error: {shown(keeper.failure)}\n")
        losses = self._crew.losses(self._remedy)
        losses += self._crew.unfinished(self._remedy)
        for line in losses:
            self._terminal.say(line)
        return keeper.status or int(bool(losses))


def join(settings: CrewSettings, terminal: TerminalView, hand_over_command: str) -> int:
    """Take part in a run with producers of this machine; return the exit status."""
    return asyncio.run(Guest(settings, terminal, hand_over_command).run())
