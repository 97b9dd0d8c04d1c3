"""Catalogs: the topics that the simulator knows, with every entry that there is to find.

Owns the file format and the search for the catalog that a topic means. Files are read when a
topic is asked for, not before: the simulator stands on the start-up path of every offline run.
What a model knows of a catalog is drawing.py's.

A catalog is a UTF-8 text file. Head lines `# topic: …`, `# also: other wording; …` and
`# source: …` may lead; then comes a line an entry, the most popular first: `name`, or
`name<TAB>facet<TAB>alias|alias`. Without a head the topic is the file's name.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources.abc import Traversable
from pathlib import Path

from mesh.simulation.folding import folded

CATALOG_BYTES_MAX = 64 * 1024 * 1024
LINES_REMEMBERED_MAX = 200_000
"""Prompt lines whose entry is remembered; beyond it all are forgotten, which costs time only."""

_HEAD_CHARACTERS_MAX = 4_096
_HEAD_NAMES = ("topic", "also", "source")


class CatalogUnusable(Exception):
    """A catalog file cannot be read; the message names it and says why.

    The command line shows it.
    """


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One thing there is to find."""

    name: str
    facet: str = ""
    """The part of the topic it belongs to; "" where the catalog has none."""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalog:
    """One topic's entries, the most popular first; an entry's index is its popularity rank - 1."""

    topic: str
    wordings: tuple[str, ...]
    """Other ways to name the topic."""
    entries: tuple[CatalogEntry, ...]
    source: str = ""
    _index_of_folded: dict[str, int] = field(repr=False, default_factory=dict)
    _index_of_line: dict[str, int | None] = field(repr=False, default_factory=dict)
    _indices_of_facet: dict[str, list[int]] = field(repr=False, default_factory=dict)

    def index_of(self, line: str) -> int | None:
        """Index of the entry that `line` names, by name or alias; None when it names none."""
        try:
            return self._index_of_line[line]
        except KeyError:
            pass
        if len(self._index_of_line) >= LINES_REMEMBERED_MAX:
            self._index_of_line.clear()
        index = self._index_of_folded.get(folded(line)) if line else None
        self._index_of_line[line] = index
        return index

    def facets(self) -> dict[str, list[int]]:
        """Entry indices by facet, in order of first appearance; {} where there are no facets.

        Counted once, as every prompt for a facet asks for it: not to be changed.
        """
        if not self._indices_of_facet:
            found: dict[str, list[int]] = {}
            for index, entry in enumerate(self.entries):
                if entry.facet:
                    found.setdefault(entry.facet, []).append(index)
            self._indices_of_facet.update(found)  # At once: other threads may ask.
        return self._indices_of_facet


@dataclass(frozen=True, slots=True)
class _Head:
    topic: str
    wordings: tuple[str, ...]
    source: str


@dataclass(slots=True)
class CatalogShelf:
    """The catalogs at hand: the user's own before those of the package.

    Several threads may ask: what was read is kept when all of it has been.
    """

    files: Sequence[Path] = ()
    _heads: list[tuple[Traversable, _Head]] = field(default_factory=list)
    _read: dict[str, Catalog] = field(default_factory=dict)
    _others: dict[str, Catalog | None] = field(default_factory=dict)

    def topics(self) -> list[str]:
        """Every topic at hand, the user's own first."""
        return list(dict.fromkeys(head.topic for _, head in self._all_heads()))

    def find(self, topic: str) -> Catalog | None:
        """The catalog that `topic` means, whatever its case, articles and punctuation."""
        meant = self._meant(topic)
        return None if meant is None else self._catalog(*meant)

    def knows(self, topic: str) -> bool:
        """Whether there is a catalog that `topic` means, and it can be used. Sooner than `find`:
        its entries are looked for, and not taken up. Raises CatalogUnusable."""
        meant = self._meant(topic)
        if meant is None:
            return False
        _entry_lines_of(meant[0])
        return True

    def _meant(self, topic: str) -> tuple[Traversable, _Head] | None:
        wanted = folded(topic)
        for file, head in self._all_heads():
            if wanted in map(folded, (head.topic, *head.wordings)):
                return file, head
        return None

    def named_in(self, text: str) -> Catalog | None:
        """The catalog whose topic, in any wording, stands in `text`; the longest wording wins."""
        words = f" {folded(text)} "
        best: tuple[int, Traversable, _Head] | None = None
        for file, head in self._all_heads():
            for wording in map(folded, (head.topic, *head.wordings)):
                if f" {wording} " in words and (best is None or len(wording) > best[0]):
                    best = (len(wording), file, head)
        return None if best is None else self._catalog(best[1], best[2])

    def smallest_other_than(self, topic: str) -> Catalog | None:
        """Another topic's catalog, the smallest file at hand; None when there is but one topic."""
        if topic not in self._others:
            others = [each for each in self._all_heads() if each[1].topic != topic]
            sized = [(len(_text(file)), head.topic, at) for at, (file, head) in enumerate(others)]
            self._others[topic] = self._catalog(*others[min(sized)[2]]) if sized else None
        return self._others[topic]

    def _all_heads(self) -> list[tuple[Traversable, _Head]]:
        if not self._heads:
            files: list[Traversable] = [*self.files, *_packaged_files()]
            self._heads = [(file, _read_head(file)) for file in files]
        return self._heads

    def _catalog(self, file: Traversable, head: _Head) -> Catalog:
        key = str(file)
        if key not in self._read:
            self._read[key] = read_catalog(file, head)
        return self._read[key]


def known_topics(files: Sequence[Path] = ()) -> list[str]:
    """Topics of `files` and of the package's catalogs. Raises CatalogUnusable."""
    return CatalogShelf(files).topics()


def read_catalog(file: Traversable, head: _Head | None = None) -> Catalog:
    """Read a whole catalog. Of entries or aliases that fold to one name, the first stands.

    Raises:
        CatalogUnusable: the file cannot be read, is too large or holds no entry.
    """
    head = head or _read_head(file)
    kept: list[CatalogEntry] = []
    index_of: dict[str, int] = {}
    for entry in map(_entry, _entry_lines_of(file)):
        name = folded(entry.name)
        if name not in index_of:
            index_of[name] = len(kept)
            kept.append(entry)
    for index, entry in enumerate(kept):
        if not entry.aliases:
            continue
        # An alias that is another entry's name would be taken for that one.
        own = tuple(a for a in entry.aliases if index_of.setdefault(folded(a), index) == index)
        if own != entry.aliases:
            kept[index] = replace(entry, aliases=own)
    return Catalog(head.topic, head.wordings, tuple(kept), head.source, index_of)


def _packaged_files() -> list[Traversable]:
    folder = importlib.resources.files("mesh.simulation").joinpath("catalogs")
    if not folder.is_dir():
        return []
    files = [file for file in folder.iterdir() if file.name.endswith(".tsv")]
    return sorted(files, key=lambda file: file.name)


def _entry_lines_of(file: Traversable) -> list[str]:
    """At least one. Raises CatalogUnusable."""
    lines = list(_entry_lines(_text(file).splitlines()))
    if not lines:
        raise CatalogUnusable(f"catalog {file} holds no entry: write one a line")
    return lines


def _entry_lines(lines: Iterable[str]) -> Iterator[str]:
    """The lines after the head, blank ones left out."""
    in_head = True
    for line in lines:
        in_head = in_head and (line.startswith("#") or not line.strip())
        if not in_head and line.strip():
            yield line


def _entry(line: str) -> CatalogEntry:
    name, facet, aliases, *_ = [*(part.strip() for part in line.split("\t")), "", ""]
    return CatalogEntry(name, facet, tuple(alias for alias in aliases.split("|") if alias))


def _read_head(file: Traversable) -> _Head:
    """Topic, wordings and source: from the head lines, else from the file's name."""
    said: dict[str, str] = {}
    try:
        with file.open("r", encoding="utf-8", errors="replace") as opened:
            lines = opened.read(_HEAD_CHARACTERS_MAX).splitlines()
    except OSError as error:
        raise CatalogUnusable(f"cannot read catalog {file}: {error.strerror or error}") from error
    for line in lines:
        if not line.startswith("#"):
            break
        name, colon, value = line.lstrip("# ").partition(":")
        if colon and name.strip().lower() in _HEAD_NAMES:
            said[name.strip().lower()] = value.strip()
    stem = file.name.rpartition(".")[0] or file.name
    topic = said.get("topic") or stem.replace("-", " ").replace("_", " ").strip()
    wordings = tuple(part.strip() for part in said.get("also", "").split(";") if part.strip())
    return _Head(topic, wordings, said.get("source", ""))


def _text(file: Traversable) -> str:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise CatalogUnusable(f"cannot read catalog {file}: {error.strerror or error}") from error
    if len(raw) > CATALOG_BYTES_MAX:
        raise CatalogUnusable(
            f"catalog {file} is {len(raw):,} bytes: at most {CATALOG_BYTES_MAX:,} are read"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CatalogUnusable(f"catalog {file} is not UTF-8: byte {error.start}") from error
