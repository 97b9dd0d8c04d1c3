"""What is never merged by likeness, and what a veto must not keep apart."""

from __future__ import annotations

import pytest

from mesh.core.names.vetoes import veto
from mesh.core.names.words import parsed

APART = [
    ("Apollo 13", "Apollo 14"),
    ("Ocean's Eleven", "Ocean's Twelve"),
    ("Rocky III", "Rocky IV"),
    ("Rocky", "Rocky IV"),
    ("Terminator", "Terminator 2"),
    ("Third Punic War", "Second Punic War"),
    ("2nd Avenue", "3rd Avenue"),
    ("Ubuntu 20.04", "Ubuntu 20.10"),
    ("Python 3.1", "Python 3.10"),
    ("1992 Winter Olympics", "1994 Winter Olympics"),
    ("Star Wars (1977)", "Star Wars (2015)"),
    ("Vitamin C", "Vitamin D"),
    ("Vitamin A deficiency", "Vitamin D deficiency"),
    ("Hepatitis A virus", "Hepatitis E virus"),
    ("D-glucose", "L-glucose"),
    ("Super Bowl XLVII", "Super Bowl XLVIII"),
    ("Hepatitis A", "Hepatitis B"),
    ("Plan A", "Plan"),
    ("5 km run", "5 mile run"),
    ("North Dakota", "South Dakota"),
    ("Western Sahara", "Sahara"),
    ("New Hampshire", "Hampshire"),
    ("Upper Austria", "Lower Austria"),
    ("Ursa Major", "Ursa Minor"),
    ("Dumas Jr.", "Dumas Sr."),
    ("Red panda", "Black panda"),
    ("Left ventricle", "Right ventricle"),
    ("sodium nitrite", "sodium nitrate"),
    ("hypotension", "hypertension"),
    ("ethane", "ethene"),
    ("propanol", "propanal"),
    ("exothermic reaction", "endothermic reaction"),
    ("King Charles", "Queen Charles"),
    ("Georgia (country)", "Georgia (state)"),
]
TOGETHER = [
    ("Apollo 13", "Apollo 13 mission"),
    ("World War II", "World War 2"),
    ("1,000 Islands", "1000 islands"),
    ("Blade Runner (1982)", "Blade Runner"),
    ("John F. Kennedy", "John Kennedy"),
    ("5 km run", "5 km race"),
    ("North Dakota", "Dakota, North"),
    ("West Africa", "Western Africa"),
    ("Autumn leaves", "Fall leaves"),
    ("Mercury (planet)", "Mercury (planets)"),
    ("Blade Runner (1982)", "Blade Runner (1982 film)"),
    ("Nitrates", "Nitrate"),
    ("Granite", "Granites"),
    ("Summer Olympics, 1984", "1984 Summer Olympics"),
    ("I, Claudius", "I Claudius"),
    ("X-ray", "X-rays"),
    ("Xi Jinping", "XI JINPING"),
]


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_tells_two_apart_is_said(one: str, other: str) -> None:
    assert veto(parsed(one), parsed(other))
    assert veto(parsed(other), parsed(one))


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_what_may_be_one_is_not_kept_apart(one: str, other: str) -> None:
    assert veto(parsed(one), parsed(other)) is None
    assert veto(parsed(other), parsed(one)) is None
