"""Names to compare: files of pairs (`a`, `b`, `same` as 1 or 0, and `kind`, with tabs, under a
heading), and a list of other names to find them in."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from bench.made_up import made_up_texts
from mesh.simulation.catalog import CatalogShelf

HEADING = ["a", "b", "same", "kind"]

Pair = tuple[str, str, bool, str]


def read_pairs(file: Path) -> list[Pair]:
    """All pairs of a file.

    Raises:
        ValueError: it is not of this form; the message names file and line.
    """
    lines = file.read_text("utf-8").splitlines()
    if not lines or lines[0].split("\t") != HEADING:
        raise ValueError(f"{file}: the first line must be {'<TAB>'.join(HEADING)}")
    pairs = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        parts = line.split("\t")
        if len(parts) != len(HEADING) or parts[2] not in ("0", "1"):
            raise ValueError(f"{file}, line {number}: a, b, 0 or 1, and a kind, with tabs between")
        pairs.append((parts[0], parts[1], parts[2] == "1", parts[3]))
    return pairs


def other_names(count: int) -> list[str]:
    """Different names: of the packaged catalogs, aliases too, and made-up ones for the rest."""
    shelf = CatalogShelf()
    catalogs = [catalog for topic in shelf.topics() if (catalog := shelf.find(topic))]
    real = (
        name
        for catalog in catalogs
        for entry in catalog.entries
        for name in (entry.name, *entry.aliases)
    )
    names = list(islice(dict.fromkeys(real), count))
    return [*names, *made_up_texts(count - len(names), seed=0)]
