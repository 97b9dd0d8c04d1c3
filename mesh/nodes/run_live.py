"""A run on a terminal's live lines, whatever its size: what is shown first when little fits.

Pure: metrics in the shape of `/api/metrics` in, a rich renderable out, which asks for the size
when it is drawn. It takes one line less than the terminal has, and no line wraps by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.nodes.run_words import (
    Metrics,
    duration,
    figures,
    forecast_words,
    mesh_words,
    most_fruitful_first,
)
from mesh.nodes.terminal import shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

SHORT_WORDS_WIDTH = 50
"""Below this many columns figures are abbreviated."""
BAR_WIDTH_MAX = 48
NOTICES_SHOWN_MAX = 4
NOTICE_LINES_MAX = 2
REASON_LINES_MAX = 3
URL_LINES_MAX = 4
_GAP = "  "
_STATE_STYLES = {"running": "green", "paused": "yellow", "draining": "cyan", "stopped": "bold"}

SECTIONS = ("head", "figures", "bar", "table", "mesh", "notices", "foot")
"""From top to bottom."""
_ALL = 1_000
SHARES: tuple[tuple[str, int], ...] = (
    ("head", 1),
    ("figures", 1),
    ("notices", 1),
    ("head", 2),
    ("figures", 2),
    ("table", 4),
    ("head", _ALL),
    ("figures", _ALL),
    ("mesh", 1),
    ("bar", 1),
    ("foot", 1),
    ("table", 8),
    ("notices", _ALL),
    ("mesh", _ALL),
    ("foot", _ALL),
    ("table", _ALL),
)
"""Who gets lines, up to how many, in this order, until there are none left."""


def live_block(metrics: Metrics, page_url: str | None = None) -> RenderableType:
    """The live lines, as rich draws them."""
    return RunBlock(metrics, page_url)


@dataclass(frozen=True, slots=True)
class RunBlock:
    """A run, drawn for the size that it finds."""

    metrics: Metrics
    page_url: str | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, room = max(1, options.max_width), max(1, options.max_height - 1)
        rows = most_fruitful_first(self.metrics)
        parts: dict[str, list[Text]] = {
            "head": _head(self.metrics, console, width),
            "figures": _figures(self.metrics, width),
            "mesh": _mesh(self.metrics, width),
            "notices": _notices(self.metrics, console, width),
            "foot": _foot(self.page_url, width),
        }
        wanted = {name: len(lines) for name, lines in parts.items()}
        wanted["bar"] = int(bool(self.metrics.get("target")))
        wanted["table"] = len(rows) + 1 if rows else 0
        given = shared(wanted, room)
        if given["head"] < wanted["head"]:
            parts["head"] = [_head_in_one(self.metrics, width), *parts["head"][1:]]
        if given["notices"] < wanted["notices"]:
            parts["notices"] = _notices(self.metrics, console, width, lines_each=1)
        for name in SECTIONS:
            if not given[name]:
                continue
            if name == "bar":
                yield _bar(self.metrics, width)
            elif name == "table":
                # Imported here: plain lines are written without rich.
                from mesh.nodes.run_table import model_table

                yield from model_table(rows, width=width, line_count=given[name])
            else:
                yield from parts[name][: given[name]]


def shared(wanted: Mapping[str, int], room: int) -> dict[str, int]:
    """How many of `room` lines each section gets, by SHARES; the first line of all is there."""
    given = dict.fromkeys(wanted, 0)
    for name, up_to in SHARES:
        more = min(wanted[name], up_to) - given[name]
        given[name] += max(0, min(more, room - sum(given.values())))
    return given


def _head(metrics: Metrics, console: Console, width: int) -> list[Text]:
    """Topic, state, SIMULATED, time; the reason beside its state, or below when it is long."""
    topic = _text(metrics["topic"], "bold")
    reason = shown(metrics.get("stop_reason") or "")
    state = _state(metrics)
    if reason:
        state.append(f": {reason}")
    head = flowed([topic, state, *_badge(metrics), _text(duration(metrics), "dim")], width)
    if not reason or len(head) == 1:
        return head
    head = flowed(
        [topic, _state(metrics), *_badge(metrics), _text(duration(metrics), "dim")], width
    )
    return [*head, *wrapped(_text(reason), console, width, REASON_LINES_MAX)]


def _head_in_one(metrics: Metrics, width: int) -> Text:
    """What must be seen, and as much of the topic as has room beside it."""
    items = [*_badge(metrics), _state(metrics)]
    left = width - sum(item.cell_len + len(_GAP) for item in items)
    if left >= 4:
        topic = _text(metrics["topic"], "bold")
        topic.truncate(left, overflow="ellipsis")
        items.append(topic)
    return flowed(items, width)[0]


def _state(metrics: Metrics) -> Text:
    return _text(metrics["state"], _STATE_STYLES.get(metrics["state"], ""))


def _badge(metrics: Metrics) -> list[Text]:
    # Reversed, so that it stands out without colours, too.
    return [_text(" SIMULATED ", "bold reverse yellow")] if metrics.get("simulated") else []


def _figures(metrics: Metrics, width: int) -> list[Text]:
    short = width < SHORT_WORDS_WIDTH
    found, *others = figures(metrics, short=short)
    expected = forecast_words(metrics, short=short)
    return flowed(
        [
            _text(found, "bold green"),
            *(_text(each, "bold") for each in others),
            *(_text(each, "cyan") for each in expected),
        ],
        width,
    )


def _bar(metrics: Metrics, width: int) -> RenderableType:
    """How much of the target is found."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    found, target = metrics["unique_total"], metrics["target"]
    share = f"{min(100, int(100 * found / target))} %"
    bar_width = min(BAR_WIDTH_MAX, width - len(share) - 1)
    if bar_width < 3:
        return _text(share)
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_row(ProgressBar(total=target, completed=min(found, target), width=bar_width), share)
    return row


def _mesh(metrics: Metrics, width: int) -> list[Text]:
    words = mesh_words(metrics, short=width < SHORT_WORDS_WIDTH)
    if not words:
        return []
    apart = metrics.get("mesh", {}).get("converged") is False
    style = "yellow" if apart else "dim"
    return flowed(
        [_text(f"mesh: {words[0]}", style), *(_text(each, style) for each in words[1:])], width
    )


def _notices(
    metrics: Metrics, console: Console, width: int, lines_each: int = NOTICE_LINES_MAX
) -> list[Text]:
    notices = list(metrics.get("notices", ()))
    lines: list[Text] = []
    for notice in notices[:NOTICES_SHOWN_MAX]:
        lines += wrapped(_text(notice, "yellow"), console, width, lines_each)
    if len(notices) > NOTICES_SHOWN_MAX:
        lines.append(_text(f"and {len(notices) - NOTICES_SHOWN_MAX} more notices", "yellow"))
    return lines


def _foot(page_url: str | None, width: int) -> list[Text]:
    """How to stop, and the page's address, which is of no use when it is cut."""
    keys = _text("Ctrl-C stops", "dim")
    if not page_url:
        return flowed([keys], width)
    page = _text(f"page {page_url}", "dim")
    if page.cell_len <= width:
        return flowed([page, keys], width)
    url = shown(page_url)
    pieces = [url[start : start + width] for start in range(0, len(url), width)]
    lines = flowed([keys], width)
    return (
        [*lines, *(_text(piece, "dim") for piece in pieces)]
        if len(pieces) <= URL_LINES_MAX
        else lines
    )


def flowed(items: Iterable[Text], width: int) -> list[Text]:
    """`items` in lines of at most `width` cells; none is broken, what is too long is cut."""
    lines: list[Text] = []
    for item in items:
        if lines and lines[-1].cell_len + len(_GAP) + item.cell_len <= width:
            lines[-1].append(_GAP).append_text(item)
        else:
            line = _text("").append_text(item)
            line.truncate(width, overflow="ellipsis")
            lines.append(line)
    return lines


def wrapped(text: Text, console: Console, width: int, lines_max: int) -> list[Text]:
    """`text` at its spaces in at most `lines_max` lines; what is cut off shows as an ellipsis."""
    lines: Sequence[Text] = [
        _bare(line) for line in text.wrap(console, width, overflow="fold", no_wrap=False)
    ]
    if len(lines) <= lines_max:
        return list(lines)
    last = lines[lines_max - 1]
    last.truncate(width - 1, overflow="crop")
    last.append("…")
    return [*lines[: lines_max - 1], last]


def _bare(line: Text) -> Text:
    line.rstrip()
    line.no_wrap = True
    return line


def _text(text: object, style: str = "") -> Text:
    from rich.text import Text

    return Text(shown(text), style=style, no_wrap=True, overflow="crop")
