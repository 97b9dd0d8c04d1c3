"""Keys that are safe to merge on: every rule with what it makes one, and what it leaves apart."""

from __future__ import annotations

import pytest

from mesh.core.names.derived_keys import derived_keys, shared_key
from mesh.core.names.words import parsed

KEYS_MAX = 16
ONE = [
    ("abbreviation", "St. Petersburg", "Saint Petersburg"),
    ("abbreviation", "Main St", "Main Street"),
    ("abbreviation", "Mt. Blanc", "Mount Blanc"),
    ("abbreviation", "Dr. Watson", "Doctor Watson"),
    ("abbreviation", "Mulholland Dr", "Mulholland Drive"),
    ("abbreviation", "Marx Bros.", "Marx Brothers"),
    ("plural", "giant tortoise", "Giant tortoises"),
    ("plural", "grey heron", "grey herons"),
    ("plural", "red berry", "red berries"),
    ("plural", "silver birch", "silver birches"),
    ("spelling convention", "City Centre", "City Center"),
    ("spelling convention", "Colour Field painting", "Color Field painting"),
    ("spelling convention", "industrialisation", "industrialization"),
    ("inversion", "Lincoln, Abraham", "Abraham Lincoln"),
    ("inversion", "Gaulle, Charles de", "Charles de Gaulle"),
    ("list mark", "1. Tower Bridge", "Tower Bridge"),
    ("list mark", "1) Tower Bridge", "Tower Bridge"),
    ("list mark", "12. Tower Bridge", "Tower Bridge"),
    ("list mark", "3) Tower Bridge", "Tower Bridge"),
    ("list mark", "(b) Tower Bridge", "Tower Bridge"),
    ("list mark", "c) Tower Bridge", "Tower Bridge"),
    ("gloss", "Mercury (planet)", "Mercury"),
    ("gloss", "Amazon River (South America)", "Amazon River"),
    ("gloss", "Tesla, Nikola (inventor)", "Nikola Tesla"),
    ("plural", "X-rays", "X-ray"),
    ("plural", "grey wolf", "grey wolves"),
    ("dot", "Node.js", "NodeJS"),
    ("and", "Rock 'n' Roll", "Rock & Roll"),
    ("and", "Rock ’n’ Roll", "Rock and Roll"),
    ("name in brackets", "World Health Organization (WHO)", "WHO"),
    ("name in brackets", "DNA (deoxyribonucleic acid)", "deoxyribonucleic acid"),
    ("name in brackets", "Rodin Museum (Musée Rodin)", "Musée Rodin"),
    ("inversion", "Godfather, The", "The Godfather"),
    ("inversion", "Müller, Herta", "Herta Mueller"),
    ("umlaut", "Müller, Herta", "Herta Mueller"),
    ("article", "La Tour Eiffel", "Tour Eiffel"),
    ("article", "La Sagrada Família", "Sagrada Familia"),
    ("article", "Le Louvre", "Louvre"),
    ("article", "Der Rosenkavalier", "Rosenkavalier"),
    ("honorific", "Sir Isaac Newton", "Isaac Newton"),
    ("honorific", "Dr. Jane Goodall", "Jane Goodall"),
    ("legal form", "Ford Motor Corporation", "Ford Motor"),
    ("legal form", "Nestlé S.A.", "Nestlé"),
    ("legal form", "Siemens AG", "Siemens"),
    ("abbreviation", "Roe vs. Wade", "Roe v. Wade"),
    ("abbreviation", "Roe v Wade", "Roe versus Wade"),
    ("number sign", "Symphony Number 5", "Symphony No. 5"),
    ("number sign", "Sinfonie Nr. 5", "Sinfonie No. 5"),
    ("middle dot", "WALL·E", "WALL-E"),
    ("spelling convention", "sulphuric acid", "sulfuric acid"),
    ("spelling convention", "Haemophilia", "Hemophilia"),
    ("spelling convention", "neighbourhood watch", "neighborhood watch"),
    ("hyphen", "Spider-Man", "Spiderman"),
    ("hyphen", "co-operation", "cooperation"),
    ("umlaut", "Zürich", "Zuerich"),
    ("umlaut", "Ålesund", "Aalesund"),
    ("umlaut", "Tromsø", "Tromsoe"),
    ("ligature", "Æsop", "Esop"),
    ("hyphen", "e-book", "ebook"),
    ("number spacing", "MI 6", "MI6"),
    ("number word", "Seven Samurai", "7 Samurai"),
    ("number word", "Eighty Days", "80 Days"),
    ("number word", "Catch Twenty-Two", "Catch-22"),
    ("number word", "One Hundred Days", "100 Days"),
    ("ordinal", "Fifth Symphony", "5th Symphony"),
    ("Roman numeral", "Final Fantasy VII", "Final Fantasy 7"),
    ("Roman numeral", "APOLLO XI", "Apollo 11"),
    ("Roman numeral", "Super Bowl XLVII", "Super Bowl 47"),
]
TWO = [
    ("St. Petersburg", "Street Petersburg"),
    ("Mars", "Mar"),
    ("Paris", "Pari"),
    ("Texas", "Texa"),
    ("Venus", "Venu"),
    ("Genesis", "Genesi"),
    ("four", "for"),
    ("Paris, Texas", "Texas, Paris"),
    ("Henry IV, Part 1", "Part 1 Henry IV"),
    ("1. Bundesliga", "2. Bundesliga"),
    ("2. Bundesliga", "Bundesliga"),
    ("1. FC Köln", "FC Köln"),
    ("1. Mai", "Mai"),
    ("(500) Days of Summer", "Days of Summer"),
    ("2. Frauen-Bundesliga", "Frauen-Bundesliga"),
    ("(I) Robot", "Robot"),
    ("Hepatitis, A", "Hepatitis"),
    ("Korea (North Korea)", "Korea"),
    ("The Beatles (White Album)", "The Beatles"),
    ("Rhine (Upper Course)", "Rhine"),
    ("El Oro Province", "Oro Province"),
    ("El Salvador national football team", "Salvador national football team"),
    ("Die Another Day", "Another Day"),
    ("Les Dawson", "Dawson"),
    ("Pope Nicholas II", "Nicholas II"),
    ("Monsters Inc.", "Monsters"),
    ("dis-ease", "disease"),
    ("Al-Ain", "Alain"),
    ("A) Beam", "Beam"),
    ("El Salvador", "Salvador"),
    ("Los Angeles", "Angeles"),
    ("La Florida", "Florida"),
    ("Les Paul", "Paul"),
    ("Das Boot", "Boot"),
    ("La Presse", "Le Presse"),
    ("Doctor Strange", "Strange"),
    ("Mrs. Henry Wood", "Henry Wood"),
    ("Sir Francis Drake Hotel", "Francis Drake Hotel"),
    ("Dr. Mario 64", "Mario 64"),
    ("Monsters, Inc.", "Monsters"),
    ("Hauts-de-Seine ag", "Hauts-de-Seine"),
    ("Siemens AG", "Siemens Inc."),
    ("George V Avenue", "George versus Avenue"),
    ("Dr. No", "Dr. Number"),
    ("re-creation", "recreation"),
    ("un-ionized", "unionized"),
    ("Caesar", "Cesar"),
    ("Korea (North)", "Korea"),
    ("Rhine (upper course)", "Rhine"),
    ("Georgia (United States)", "United States"),
    ("Mercury (planet)", "planet"),
    ("Springfield (Illinois)", "Illinois"),
    ("Colombo (CMB)", "CMB"),
    ("Wolves", "Wolf"),
    ("A.I.", "A I"),
    ("Booking.com", "Booking"),
    ("Copper(II)", "Copper"),
    ("Hepatitis (B)", "Hepatitis"),
    ("Symphony (No. 5)", "Symphony"),
    ("F-15A", "F-15E"),
    ("Alien", "Aliens"),
    ("Robert Adam", "Robert Adams"),
    ("re-sign", "resign"),
    ("Gen Z", "General Z"),
    ("Ave Maria", "Maria Avenue"),
    ("Chromosome X", "Chromosome 10"),
    ("Mercury (planet)", "Mercury (element)"),
    ("Jordan (country)", "Jordan (river)"),
    ("Noel", "Nol"),
    ("Boer", "Bor"),
    ("Apollo 1 1", "Apollo 11"),
    ("Malcolm X", "Malcolm 9"),
    ("Final Fantasy VII", "Final Fantasy VIII"),
    ("Seven Samurai", "Eight Samurai"),
    ("X-Men", "10-Men"),
    ("one", "1"),
]


@pytest.mark.parametrize(("rule", "one", "other"), ONE)
def test_spellings_share_a_key_that_names_its_rule(rule: str, one: str, other: str) -> None:
    said = shared_key(parsed(one), parsed(other))
    assert said is not None
    assert rule in said.split(" + ")
    assert shared_key(parsed(other), parsed(one)) is not None


@pytest.mark.parametrize(("one", "other"), TWO)
def test_names_that_differ_share_none(one: str, other: str) -> None:
    assert shared_key(parsed(one), parsed(other)) is None
    assert shared_key(parsed(other), parsed(one)) is None


def test_rules_work_together() -> None:
    rule = shared_key(parsed("Mt. Rushmore data centres"), parsed("Mount Rushmore data center"))
    assert rule is not None
    assert {"abbreviation", "spelling convention"} <= set(rule.split(" + "))


def test_a_name_has_few_keys_and_none_twice() -> None:
    many = "Sir Ængström-Müller, Node.js 'n' Co"
    for text in ("Ængström, Jörg-Peter", many, "3. Mt. X (old)", "B 12", "a"):
        keys = [derived.key for derived in derived_keys(parsed(text))]
        assert len(set(keys)) == len(keys) <= KEYS_MAX
