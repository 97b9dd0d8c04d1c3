"""The producers of a machine that has joined a run, in words, for the terminal.

Pure: a status in, text out. What the run has come to is known to its collector; here is only what
these producers know and said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.nodes.run_live import flowed
from mesh.nodes.run_remarks import activity_remark
from mesh.nodes.terminal import Lines, Remark, shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

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
    return _GuestBlock(status)


@dataclass(frozen=True, slots=True)
class _GuestBlock:
    """These producers, drawn for the size that it finds, one line less than the terminal has."""

    status: GuestStatus

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        status, width = self.status, options.max_width
        head = [Text(shown(status["topic"]), "bold"), Text("joined")]
        if status["simulated"]:
            # Reversed, so that it stands out without colours, too.
            head.append(Text(" SIMULATED ", "bold reverse yellow"))
        head.append(Text(_duration(status), "dim"))
        lines = flowed(head, width)
        lines += flowed([Text(each, "bold green") for each in _figures(status)], width)
        foot = flowed([Text("Ctrl-C hands over and leaves", "dim")], width)
        rows = [
            Text(shown(f"{row['label']}  {row['said_count']:,} said  {row['state']}"))
            for row in status["producers"]
        ]
        room = max(1, min(PRODUCERS_SHOWN_MAX, options.max_height - 1 - len(lines) - len(foot)))
        if len(rows) > room:
            rows = [*rows[: room - 1], Text(f"and {len(rows) - room + 1} more", "dim")]
        lines += [line for row in rows for line in flowed([row], width)]
        yield from [*lines, *foot][: max(1, options.max_height - 1)]


def guest_remarks(before: GuestStatus, now: GuestStatus) -> list[Remark]:
    """What keeps a producer from calling, when it begins."""
    earlier = {row["label"]: row["state"] for row in before.get("producers", ())}
    changed = [row for row in now["producers"] if row["state"] != earlier.get(row["label"])]
    remarks = (activity_remark(row["label"], row["state"]) for row in changed)
    return [remark for remark in remarks if remark is not None]


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


GUEST_LINES = Lines(
    plain=guest_plain_line,
    live=guest_live_block,
    milestone=_milestone,
    plain_explained=guest_plain_line,
    remarks=guest_remarks,
)
