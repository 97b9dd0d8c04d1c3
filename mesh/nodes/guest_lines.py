"""The producers of a machine that has joined a run, in words, for the terminal.

Pure: a status in, text out. What the run has come to is known to its collector; here is only what
these producers know and said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mesh.nodes.terminal import Lines, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

GuestStatus = Mapping[str, Any]
"""`topic`, `simulated`, `elapsed_s`, and `producers`: a list of `label`, `state`, `known_count`
(items) and `said_count` (entries of its own log)."""

PRODUCERS_SHOWN_MAX = 12
_UNREMARKABLE = frozenset({"asking", "starting"})


def guest_plain_line(status: GuestStatus) -> str:
    """Example: `Paris attractions, 12 s: 2 producers here, 812 items known, 420 log entries said;
    producer-2: paused`."""
    figures = f"{', '.join(_figures(status))}"
    remarks = [
        f"{row['label']}: {row['state']}"
        for row in status["producers"]
        if row["state"] not in _UNREMARKABLE
    ]
    head = f"{status['topic']}{_simulated(status)}, {_duration(status)}"
    return shown("; ".join([f"{head}: {figures}", *remarks[:PRODUCERS_SHOWN_MAX]]))


def guest_live_block(status: GuestStatus, _page_url: str | None = None) -> RenderableType:
    """The live lines, as rich draws them."""
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble((shown(status["topic"]), "bold"), "  joined", no_wrap=True)
    if status["simulated"]:
        head.append("  ").append(" SIMULATED ", "black on yellow")
    head.append(f"  {_duration(status)}", "dim")
    rows = status["producers"]
    lines = [
        Text(shown(f"{row['label']}  {row['said_count']:,} said  {row['state']}"), no_wrap=True)
        for row in rows[:PRODUCERS_SHOWN_MAX]
    ]
    if len(rows) > PRODUCERS_SHOWN_MAX:
        lines.append(Text(f"and {len(rows) - PRODUCERS_SHOWN_MAX} more"))
    figures = Text("  ".join(_figures(status)), style="bold green")
    return Group(head, figures, *lines, Text("Ctrl-C hands over and leaves", style="dim"))


def guest_summary_lines(status: GuestStatus, reason: str) -> list[str]:
    """What these producers came to, for their end."""
    if not status["producers"]:
        return []
    return [
        shown(f"{status['topic']}: {reason}, after {_duration(status)}"),
        f"  {', '.join(_figures(status))}",
    ]


def _figures(status: GuestStatus) -> list[str]:
    rows: Sequence[Mapping[str, Any]] = status["producers"]
    known = max((row["known_count"] for row in rows), default=0)
    said = sum(row["said_count"] for row in rows)
    return [
        f"{len(rows)} producer{'' if len(rows) == 1 else 's'} here",
        f"{known:,} items known",
        f"{said:,} log entries said",
    ]


def _simulated(status: GuestStatus) -> str:
    return " (simulated)" if status["simulated"] else ""


def _duration(status: GuestStatus) -> str:
    minutes, seconds = divmod(int(status["elapsed_s"]), 60)
    return f"{minutes}:{seconds:02} min" if minutes else f"{seconds} s"


def _milestone(status: GuestStatus) -> object:
    return [row["state"] for row in status["producers"] if row["state"] not in _UNREMARKABLE]


GUEST_LINES = Lines(plain=guest_plain_line, live=guest_live_block, milestone=_milestone)
