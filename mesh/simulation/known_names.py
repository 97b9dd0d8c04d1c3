"""Which names a simulated judge knows to be of one thing, beside those of the catalogs.

Read from the package's alias files when a judge is first asked. An alias file is UTF-8: a thing a
line, its names parted by "|"; lines that begin with "#" say where it is from. What a model writes
comes from the catalogs alone; these are names that it recognizes.
"""

from __future__ import annotations

import importlib.resources
from functools import cache

from mesh.simulation.folding import folded


def known_as_one(one: str, other: str) -> bool:
    """Whether some line of an alias file has both names."""
    things = _things_by_name()
    return not things.get(folded(one), frozenset()).isdisjoint(things.get(folded(other), ()))


@cache
def _things_by_name() -> dict[str, frozenset[int]]:
    """By folded name, the numbers of the lines that have it."""
    folder = importlib.resources.files("mesh.simulation").joinpath("aliases")
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    found: dict[str, frozenset[int]] = {}
    for number, line in enumerate(lines):
        if not line.startswith("#"):
            for name in map(folded, line.split("|")):
                found[name] = found.get(name, frozenset()) | {number}
    return found
