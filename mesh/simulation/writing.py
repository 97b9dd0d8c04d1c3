"""How a model writes its answer down: spelling variants and layouts, as real models have them.

Takes the entries that were drawn; returns the text and where in it each entry ends, so that the
books can tell what was sent when a stream is cut. Which entries, is drawing.py's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mesh.simulation.catalog import Catalog, CatalogEntry
from mesh.simulation.folding import folded, has_article, without_accents
from mesh.simulation.models import SimulatedModel

REFUSALS = (
    "I'm sorry, but I can't help with that request.",
    "I'm sorry, but I can't assist with that.",
    "I cannot provide that information.",
)
_DRY = (
    "No more entries.",
    "I have no further entries to add.",
    "I can't think of any more entries.",
    "There are no additional entries that I know of.",
    "The list is complete as far as I know.",
)
_OPENINGS = (
    "Sure! Here are {count} more entries on {topic}:\n\n",
    "Certainly! Here are some further entries for {topic}:\n\n",
    "Here is the list you asked for:\n\n",
)
_CLOSINGS = (
    "\nLet me know if you'd like more!\n",
    "\nI hope this helps!\n",
    "\nWould you like me to go on?\n",
)
_DESCRIPTIONS = (
    "one of the best known in {facet}",
    "often overlooked, well worth knowing",
    "a classic choice",
    "known for its long history",
    "popular with experts and newcomers alike",
    "a lesser-known name in {facet}",
)
_INVENTION_TRIES_MAX = 8

TIRELESS_LINES = 40
"""Lines of one answer before a model that tires repeats any."""


@dataclass(frozen=True, slots=True)
class WrittenEntry:
    """One entry in an answer's text."""

    index: int | None
    """In the catalog; None: off topic."""
    end: int
    """Characters of the text up to where a reader knows the whole entry."""


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    text: str
    entries: tuple[WrittenEntry, ...] = ()


@dataclass(slots=True)
class _Page:
    """The text as it grows."""

    parts: list[str] = field(default_factory=list)
    length: int = 0
    entries: list[WrittenEntry] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def add_entry(self, index: int | None, text: str) -> None:
        self.add(text)
        self.entries.append(WrittenEntry(index, self.length))


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as it will be spelled."""

    index: int | None
    text: str
    facet: str = ""


def write_entries(
    model: SimulatedModel,
    catalog: Catalog,
    lines: Sequence[Line],
    *,
    dry: bool,
    source: random.Random,
    list_name: str | None = None,
) -> WrittenAnswer:
    """Lay `lines` out in the model's format; a model that has run dry says so in words.

    With `list_name` the answer is JSON, an object with one list of that name, and nothing else.
    """
    page = _Page()
    if list_name is not None:
        _list(page, lines, list_name, [_dry_words(model)] if dry else [])
    elif lines:
        _LAYOUTS[model.format](page, lines, catalog, source)
    if dry and list_name is None:
        page.add(_dry_words(model) + "\n")
    return WrittenAnswer("".join(page.parts), tuple(page.entries))


def write_list(list_name: str, texts: Sequence[str]) -> WrittenAnswer:
    """Texts that are no entries as JSON, an object with one list of them."""
    page = _Page()
    _list(page, (), list_name, texts)
    return WrittenAnswer("".join(page.parts))


def write_names(model: SimulatedModel, names: Sequence[str]) -> WrittenAnswer:
    """Names that are no entries, such as facets: one a line, with the model's kind of mark."""
    marks = {"numbered": "{}. ", "bullets": "- ", "chatty": "- "}
    mark = marks.get(model.format, "")
    lines = [mark.format(number) + name for number, name in enumerate(names, 1)]
    return WrittenAnswer("\n".join(lines) + "\n")


def lines_of(
    model: SimulatedModel,
    catalog: Catalog,
    indices: Sequence[int],
    *,
    asked_count: int,
    other: Catalog | None,
    source: random.Random,
) -> list[Line]:
    """The drawn entries as this model spells them, with something off topic now and then.

    At most `asked_count`; nothing appears twice, but for a model that tires: beyond its first
    TIRELESS_LINES it says some of its lines again. `other`: a catalog to stray into.
    """
    lines: list[Line] = []
    strays: set[str] = set()
    for index in indices:
        if source.random() < model.off_topic_rate:
            stray = _off_topic(catalog, other, source)
            if stray is not None and folded(stray) not in strays:
                strays.add(folded(stray))
                lines.append(Line(None, stray))
        tires = model.self_repeats > 0 and len(lines) >= TIRELESS_LINES
        if tires and source.random() < model.self_repeats:
            lines.append(source.choice(lines))
        entry = catalog.entries[index]
        lines.append(Line(index, _spelled(entry, model, source), entry.facet))
    return lines[:asked_count]


def _spelled(entry: CatalogEntry, model: SimulatedModel, source: random.Random) -> str:
    name = entry.name
    if entry.aliases and source.random() < model.alias_rate:
        name = source.choice(entry.aliases)
    if source.random() < model.accent_rate:
        name = without_accents(name)
    if source.random() < model.article_rate and not has_article(name):
        name = f"The {name}"
    if source.random() < model.case_rate:
        name = source.choice((name.upper(), name.lower()))
    return name


def _off_topic(catalog: Catalog, other: Catalog | None, source: random.Random) -> str | None:
    """An entry of another topic, or one that does not exist; None when none comes to mind."""
    if other is not None and source.random() < 0.5:
        stray = source.choice(other.entries).name
        return stray if catalog.index_of(stray) is None else None
    for _ in range(_INVENTION_TRIES_MAX):
        first, second = (source.choice(catalog.entries).name for _ in range(2))
        invented = _blend(first, second)
        if catalog.index_of(invented) is None:
            return invented
    return None


def _blend(first: str, second: str) -> str:
    """A likely name out of two real ones: the head of one, the tail of the other."""
    head, tail = first.split(), second.split()
    if len(head) > 1 or len(tail) > 1:
        return " ".join([*head[: max(1, len(head) // 2)], *tail[len(tail) // 2 :]])
    return first[: max(2, len(first) // 2)] + second[len(second) // 2 :].lower()


def _dry_words(model: SimulatedModel) -> str:
    """Each model has its own way to say it, the same every time."""
    return _DRY[sum(model.name.encode()) % len(_DRY)]


def _numbered(page: _Page, lines: Sequence[Line], _: Catalog, source: random.Random) -> None:
    mark = source.choice(("{}. ", "{}. ", "{}) ", "**{}.** "))
    for number, line in enumerate(lines, 1):
        page.add_entry(line.index, f"{mark.format(number)}{line.text}\n")


def _bullets(page: _Page, lines: Sequence[Line], _: Catalog, source: random.Random) -> None:
    mark = source.choice(("- ", "- ", "* ", "• "))
    for line in lines:
        page.add_entry(line.index, f"{mark}{line.text}\n")


def _plain(page: _Page, lines: Sequence[Line], *_: object) -> None:
    for line in lines:
        page.add_entry(line.index, f"{line.text}\n")


def _chatty(page: _Page, lines: Sequence[Line], catalog: Catalog, source: random.Random) -> None:
    page.add(source.choice(_OPENINGS).format(count=len(lines), topic=catalog.topic))
    mark = source.choice(("- {}\n", "- **{}**\n", "{}\n"))
    for line in lines:
        page.add_entry(line.index, mark.format(line.text))
    page.add(source.choice(_CLOSINGS))


def _json(page: _Page, lines: Sequence[Line], _: Catalog, source: random.Random) -> None:
    fence, as_objects = source.random() < 0.5, source.random() < 0.3
    break_, indent = source.choice((("\n", "  "), ("", "")))
    page.add("```json\n" if fence else "")
    page.add("[" + break_)
    for at, line in enumerate(lines):
        value: object = {"name": line.text} if as_objects else line.text
        comma = "" if at == len(lines) - 1 else "," if break_ else ", "
        page.add_entry(line.index, indent + json.dumps(value, ensure_ascii=False))
        page.add(comma + break_)
    page.add("]\n" + ("```\n" if fence else ""))


def _list(page: _Page, lines: Sequence[Line], name: str, others: Sequence[str]) -> None:
    page.add("{" + json.dumps(name, ensure_ascii=False) + ":[")
    for at, line in enumerate(lines):
        comma = "," if at else ""
        page.add_entry(line.index, comma + json.dumps(line.text, ensure_ascii=False))
    for at, text in enumerate(others):
        page.add(("," if at or lines else "") + json.dumps(text, ensure_ascii=False))
    page.add("]}")


def _fenced(page: _Page, lines: Sequence[Line], *_: object) -> None:
    page.add("```\n")
    _plain(page, lines)
    page.add("```\n")


def _described(page: _Page, lines: Sequence[Line], catalog: Catalog, source: random.Random) -> None:
    layout = source.choice(("{} – {}\n", "{} – {}\n", "- **{}**: {}\n", "{}: {}\n"))
    for line in lines:
        what = source.choice(_DESCRIPTIONS).format(facet=line.facet or catalog.topic)
        page.add_entry(line.index, layout.format(line.text, what))


def _table(page: _Page, lines: Sequence[Line], catalog: Catalog, *_: object) -> None:
    page.add("| Name | Kind |\n|---|---|\n")
    for line in lines:
        page.add_entry(line.index, f"| {line.text} | {line.facet or catalog.topic} |\n")


_LAYOUTS: dict[str, Callable[[_Page, Sequence[Line], Catalog, random.Random], None]] = {
    "numbered": _numbered,
    "bullets": _bullets,
    "plain": _plain,
    "chatty": _chatty,
    "json": _json,
    "fenced": _fenced,
    "described": _described,
    "table": _table,
}
