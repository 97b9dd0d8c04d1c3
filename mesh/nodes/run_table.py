"""The live table of a run's models: which columns a width has room for, and how names are cut.

Pure: rows of `/api/metrics` in, what rich draws out. Numbers are never cut: a column that does not
fit is left out, the least important first; of a name the middle goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mesh.nodes.run_words import Metrics, amount
from mesh.nodes.terminal import shown

NAME_WIDTH_LEAST = 14
"""A column is left out sooner than names get narrower."""
NARROW_WIDTH = 50
"""Below, columns are one space apart, not two."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column beside the name."""

    heading: str
    short: str
    width_least: int
    """So that columns neither come and go nor move while numbers grow."""
    importance: int
    """The lowest is left out first."""
    cell: Callable[[Metrics], str]
    alarming: bool = False
    """Anything but 0 is shown in red."""


def _yield(row: Metrics) -> str:
    generated = row.get("generated_total")
    return f"{100 * row['unique_total'] / generated:.0f} %" if generated else "–"


def _latency(row: Metrics) -> str:
    latency_s = row.get("latency_s_p50")
    return "–" if latency_s is None else f"{latency_s:.1f} s"


COLUMNS: tuple[Column, ...] = (
    Column("found", "found", 5, 8, lambda row: f"{row['unique_total']:,}"),
    Column("last minute", "min", 5, 7, lambda row: f"{row['unique_last_minute']:,}"),
    Column("yield", "yield", 5, 3, _yield),
    Column("duplicates", "dup", 4, 5, lambda row: f"{row['duplicates_total']:,}"),
    Column("calls", "calls", 5, 2, lambda row: f"{row['calls_total']:,}"),
    Column("failed", "fail", 4, 4, lambda row: f"{row['calls_failed']:,}", alarming=True),
    Column("p50", "p50", 5, 1, _latency),
    Column("cost", "cost", 7, 6, lambda row: amount(row.get("cost_usd"))),
)


@dataclass(frozen=True, slots=True)
class _Layout:
    name_width: int
    names: list[str]
    columns: list[tuple[Column, str, int]]
    """With heading and width."""


def model_table(
    rows: Sequence[Metrics], *, width: int, line_count: int
) -> Iterator[RenderableType]:
    """The rows that fit into `line_count` lines of `width` cells, the first of `rows` first.

    More rows than fit are counted in the last line; a single line has no heading.
    """
    rows_max = line_count if line_count == 1 else line_count - 1
    counted = len(rows) > rows_max > 1
    visible = rows[: rows_max - 1 if counted else rows_max]
    layout = _layout(visible, width)
    table = Table(
        box=None,
        padding=(0, 1 if width < NARROW_WIDTH else 2, 0, 0),
        pad_edge=False,
        header_style="dim",
        show_header=line_count > 1,
    )
    table.add_column("model", no_wrap=True, width=layout.name_width, overflow="crop")
    for _, heading, column_width in layout.columns:
        table.add_column(
            heading, justify="right", no_wrap=True, width=column_width, overflow="crop"
        )
    for name, row in zip(layout.names, visible, strict=True):
        cells = [_cell(column, row) for column, _, _ in layout.columns]
        table.add_row(Text(middle_cut(name, layout.name_width)), *cells)
    yield table
    if counted:
        more = Text(f"and {len(rows) - len(visible)} more", style="dim", no_wrap=True)
        more.truncate(width, overflow="ellipsis")
        yield more


def middle_cut(text: str, width: int) -> str:
    """`text` in `width` cells at most: beginning and end of a name tell it from others."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    head_width = width // 2
    head, tail = "", ""
    for each in text:
        if cell_len(head + each) > head_width:
            break
        head += each
    for each in reversed(text):
        if cell_len(each + tail) > width - 1 - cell_len(head):
            break
        tail = each + tail
    return f"{head}…{tail}"


def _cell(column: Column, row: Metrics) -> Text:
    text = shown(column.cell(row))
    return Text(text, style="red" if column.alarming and text != "0" else "")


def _layout(rows: Sequence[Metrics], width: int) -> _Layout:
    """All columns with their full headings if they fit, else as many as do with short ones."""
    full = [shown(row["model"]) for row in rows]
    layout = _fitted(rows, full, width, COLUMNS, short=False, name_least=max(map(cell_len, full)))
    if layout:
        return layout
    names = _short_names(full)
    name_least = min(NAME_WIDTH_LEAST, max(map(cell_len, names)))
    for wanted in (max(map(cell_len, names)), name_least):
        # Rather than cut names, do without the least important two.
        enough = len(COLUMNS) - 2 if wanted > name_least else 1
        columns = COLUMNS
        while len(columns) >= enough:
            if layout := _fitted(rows, names, width, columns, short=True, name_least=wanted):
                return layout
            columns = _without_least(columns)
    column = COLUMNS[0]
    found = max([column.width_least, *(cell_len(column.cell(row)) for row in rows)])
    return _Layout(max(1, width - found - _gap(width)), names, [(column, column.short, found)])


def _fitted(
    rows: Sequence[Metrics],
    names: list[str],
    width: int,
    columns: Sequence[Column],
    *,
    short: bool,
    name_least: int,
) -> _Layout | None:
    """These columns and names of at least `name_least` cells; None: they do not fit."""
    chosen = []
    for column in columns:
        heading = column.short if short else column.heading
        cells = (cell_len(column.cell(row)) for row in rows)
        chosen.append((column, heading, max([column.width_least, cell_len(heading), *cells])))
    left = width - sum(column_width + _gap(width) for _, _, column_width in chosen)
    if left < name_least:
        return None
    name_width = min(left, max(cell_len("model"), *(cell_len(name) for name in names)))
    return _Layout(name_width, names, chosen)


def _gap(width: int) -> int:
    return 1 if width < NARROW_WIDTH else 2


def _without_least(columns: Sequence[Column]) -> tuple[Column, ...]:
    least = min(columns, key=lambda column: column.importance)
    return tuple(column for column in columns if column is not least)


def _short_names(names: list[str]) -> list[str]:
    """Without the provider or the server's address, where that leaves them different."""
    short = []
    for name in names:
        bare = name.partition("@")[0]
        short.append((bare.partition(":")[2] if bare.startswith(_PROVIDERS) else bare) or name)
    return short if len(set(short)) == len(set(names)) else names


_PROVIDERS = ("openai:", "anthropic:", "simulated:")
