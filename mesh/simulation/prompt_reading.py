"""What a prompt asks for, read from its text alone, as a model reads it.

Finds the topic, the entries that are listed, how many are asked for, and whether entries, facets
or a judgement are wanted. Tolerant: what a prompt does not say gets a usual value. The words it
looks for: `Topic: …`, `Write up to N`, `Facet: …`; for facets `Split the topic into N facets`,
`Split the facet into N facets` with `Facet: …`, or `N further facets` with lines under `Known
facets:`; and for a judgement `Entry: …` followed by numbered candidates.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from mesh.simulation.catalog import Catalog, CatalogShelf

ASKED_DEFAULT = 50
ASKED_MAX = 5_000
FACETS_MAX = 200

_TASK_CHARACTERS = 3_000
"""The task stands at the end; known entries before it could hold any words."""

_TOPIC = re.compile(r"^Topic:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_WRITE_UP_TO = re.compile(r"\bwrite up to (\d[\d,]*)", re.IGNORECASE)
_FACET = re.compile(r"^Facet:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_SPLIT = re.compile(
    r"\b(?:split the (?P<what>topic|facet) into (?P<parts>\d+) facets"
    r"|(?P<more>\d+) further facets)",
    re.IGNORECASE,
)
_KNOWN_FACETS = re.compile(
    r"^Known facets:[ \t]*\n(?P<names>.*?)(?:\n[ \t]*\n|^End of known facets|\Z)",
    re.MULTILINE | re.DOTALL,
)
_INTEGER = re.compile(r"\b\d[\d,]*\b")
_JUDGED = re.compile(r"^Entry:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_CANDIDATE = re.compile(r"^[ \t]*(\d+)[.)][ \t]+(\S.*?)[ \t]*$", re.MULTILINE)


class Wanted(enum.Enum):
    ENTRIES = "entries"
    FACETS = "facets"
    JUDGEMENT = "judgement"


@dataclass(frozen=True, slots=True)
class Question:
    """Which of some candidates, if any, is the same thing as `name`."""

    name: str
    candidates: tuple[tuple[int, str], ...]
    """Number and name of each, as the prompt gives them."""


@dataclass(frozen=True, slots=True)
class PromptReading:
    """What the prompt wants."""

    wanted: Wanted
    catalog: Catalog
    asked_count: int
    """Entries or facets asked for."""
    listed: frozenset[int]
    """Catalog entries that appear in the text, an alias counting as its entry."""
    facet: str | None = None
    """That entries are asked of, or that is to be split."""
    known_facets: tuple[str, ...] = ()
    """Where further facets are asked for, those there are."""
    questions: tuple[Question, ...] = ()


def topic_said(text: str) -> str | None:
    """The topic that the prompt names on a line of its own."""
    found = _TOPIC.search(text)
    return found[1] if found else None


def catalog_meant(text: str, shelf: CatalogShelf) -> Catalog | None:
    """The catalog that the prompt is about; None when the simulator knows no such topic."""
    topic = topic_said(text)
    if topic is not None:
        return shelf.find(topic)
    return shelf.named_in(text[:_TASK_CHARACTERS] + "\n" + text[-_TASK_CHARACTERS:])


def read_prompt(text: str, catalog: Catalog) -> PromptReading:
    """Read a prompt about `catalog`; linear in the text, a lookup a line."""
    task = text[-_TASK_CHARACTERS:]
    listed = _listed(text, catalog)
    split = _last(_SPLIT, task)
    if split:
        return _facets_reading(split, text, task, catalog, listed)
    questions = _questions(text) if _JUDGED.search(task) else ()
    if questions:
        count = len(questions)
        return PromptReading(Wanted.JUDGEMENT, catalog, count, listed, questions=questions)
    return PromptReading(Wanted.ENTRIES, catalog, _asked_count(task), listed, facet=_facet_of(task))


def _facets_reading(
    split: re.Match[str], text: str, task: str, catalog: Catalog, listed: frozenset[int]
) -> PromptReading:
    count = min(FACETS_MAX, max(1, int((split["parts"] or split["more"])[:9])))
    facet: str | None = None
    known_facets: tuple[str, ...] = ()
    if split["more"]:
        known_facets = _known_facets(text)
    elif split["what"].lower() == "facet":
        named = _last(_FACET, task)
        facet = named[1] if named else None
    return PromptReading(
        Wanted.FACETS, catalog, count, listed, facet=facet, known_facets=known_facets
    )


def _known_facets(text: str) -> tuple[str, ...]:
    found = _last(_KNOWN_FACETS, text)
    names = map(str.strip, found["names"].splitlines()) if found else ()
    return tuple(name for name in names if name)


def _listed(text: str, catalog: Catalog) -> frozenset[int]:
    index_of = catalog.index_of
    found = {index_of(line) for line in text.splitlines()}
    found.discard(None)
    return frozenset(index for index in found if index is not None)


def _asked_count(task: str) -> int:
    asked = _last(_WRITE_UP_TO, task)
    number = asked[1] if asked else None
    if number is None:
        last_paragraph = re.split(r"\n\s*\n", task.strip())[-1]
        integer = _INTEGER.search(last_paragraph)
        number = integer[0] if integer else str(ASKED_DEFAULT)
    return min(ASKED_MAX, max(1, int(number.replace(",", "")[:9])))


def _facet_of(task: str) -> str | None:
    """The facet asked for: named after the request, or anywhere in a task without one."""
    asked = _last(_WRITE_UP_TO, task)
    found = _last(_FACET, task)
    if found is None:
        return None
    line_start = task.rfind("\n", 0, asked.start()) + 1 if asked else 0
    near = task.count("\n", found.end(), line_start) <= 2 if found.start() < line_start else True
    return found[1] if near else None


def _questions(text: str) -> tuple[Question, ...]:
    starts = list(_JUDGED.finditer(text))
    questions = []
    for at, start in enumerate(starts):
        end = starts[at + 1].start() if at + 1 < len(starts) else len(text)
        candidates = tuple(
            (int(found[1]), found[2]) for found in _CANDIDATE.finditer(text, start.end(), end)
        )
        if candidates:
            questions.append(Question(start[1], candidates))
    return tuple(questions)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    matches = list(pattern.finditer(text))
    return matches[-1] if matches else None
