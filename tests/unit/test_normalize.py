"""Which texts are entries, and which are one entry."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.normalize import ENTRY_BYTES_MAX, clean_text, item_key

# Accents stacked with another script's signs on one letter are no name of any language.
_WORDS = st.text(st.characters(exclude_categories=["Mn", "Me", "Mc"]), max_size=40)
_NEAR_NAMES = st.text("aAn theTB.-,'*+#&0123éÉ²½’\u200d 가ｶﾞﾊ東🎉\u0301", max_size=12)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  Louvre\t \n", "Louvre"),
        ("Eiffel \u00a0  Tower", "Eiffel Tower"),
        ("Two\nlines\r\nand\u2028three", "Two lines and three"),
        ("Muse\u0301e", "Musée"),
        ("Lou\x00v\x1b[31mre", "Louv[31mre"),
        ("\ufeffLou\u200bvre\u2060", "Louvre"),
        ("Louvre\u202egnp.exe", "Louvregnp.exe"),
        ("\u2067Louvre\u2069", "Louvre"),
        ("Lou\u200dvre", "Louvre"),
        ("\u0301Louvre", "Louvre"),
        ("Louvre\ud800", "Louvre"),
        ("東京", "東京"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("👩🏽\u200d🚀", "👩🏽\u200d🚀"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_a_text_becomes_one_printable_line(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@pytest.mark.parametrize(
    "raw", ["", " \n\t", "\u200b", "\u202e\u202c", "\x00", "\u3164", "\ufe0f", "\u2800", "\u0301"]
)
def test_what_shows_nothing_is_no_entry(raw: str) -> None:
    assert clean_text(raw) is None


@pytest.mark.parametrize("character", ["a", "é", "東", "🎉"])
def test_an_entry_has_at_most_512_bytes(character: str) -> None:
    fitting = character * (ENTRY_BYTES_MAX // len(character.encode()))
    assert clean_text(fitting) == fitting
    assert clean_text(fitting + character) is None


def test_a_huge_text_is_refused_at_once() -> None:
    assert clean_text("\x00" * 5_000_000 + "Louvre") is None


@given(st.text())
def test_a_clean_text_is_clean_for_good(raw: str) -> None:
    text = clean_text(raw)
    if text is None:
        return
    assert clean_text(text) == text
    assert 1 <= len(text.encode()) <= ENTRY_BYTES_MAX
    assert unicodedata.is_normalized("NFC", text)
    assert text == " ".join(text.split())
    hidden = [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    assert set(hidden) <= {"\u200c", "\u200d"}


SAME = [
    ("Louvre", "The Louvre"),
    ("Louvre", "LOUVRE."),
    ("Musée d'Orsay", "Musee d’Orsay"),
    ("Sacré-Cœur", "Sacre Coeur"),
    ("Notre-Dame", "Notre Dame"),
    ("Notre‑Dame", "NOTRE–DAME"),
    ("Encyclopædia", "Encyclopaedia"),
    ("Łódź", "Lodz"),
    ("Ærøskøbing", "Aeroskobing"),
    ("Straße", "STRASSE"),
    ("Αθήνα", "ΑΘΗΝΑ"),
    ("Ḥ̱ad", "had"),
    ("ﬁnance", "finance"),
    ("Ｔｏｋｙｏ", "Tokyo"),
    ("ｶﾞｲﾄﾞ", "ガイド"),
    ("U.S. Constitution", "US Constitution"),
    ("J.R.R. Tolkien", "J. R. R. Tolkien"),
    ("St. Germain", "St Germain"),
    ("AT&T", "AT & T"),
    ("Rock & Roll", "Rock and Roll"),
    ("**Panthéon**", "Pantheon"),
    ("“Heroes”", "Heroes"),
    ("Guns N' Roses", "Guns n’ Roses"),
    ("L´Arc", "L'Arc"),
    ("AC/DC", "AC-DC"),
    ("Lego™", "LEGO"),
    ("CO₂", "CO2"),
    ("No. 5", "№ 5"),
    ("20,000 Leagues", "20000 Leagues"),
    ("The A-Team", "A-Team"),
    ("A. A. Milne", "A.A. Milne"),
    ("An Apple", "apple"),
    ("O-", "O−"),
    ("Eiffel Tower 🗼", "Eiffel Tower"),
    ("4×100 m", "4x100 m"),
    ("Paral·lel", "Parallel"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_name_have_one_key(one: str, other: str) -> None:
    assert item_key(one) == item_key(other)


DIFFERENT = [
    ("C", "C++"),
    ("C", "C#"),
    ("C++", "C#"),
    ("NET", ".NET"),
    ("ATT", "AT&T"),
    ("O-", "O+"),
    ("O-", "O"),
    ("Sagittarius A", "Sagittarius A*"),
    ("B♭ major", "B major"),
    ("Apollo 11", "Apollo 12"),
    ("3.5", "35"),
    ("-5", "5"),
    ("10²", "102"),
    ("5½", "51/2"),
    ("1.5 m", "15 m"),
    ("5'10", "510"),
    ("100%", "100"),
    ("ハ", "バ"),
    ("は", "ぱ"),
    ("й", "и"),
    ("कि", "की"),
    ("東京", "京都"),
    ("A-ha", "HA"),
    ("A. Lincoln", "Lincoln"),
    ("Thé noir", "Noir"),
    ("!!!", "???"),
    ("+", "+="),
    ("🎉", "🎈"),
    ("Flag of 🇫🇷", "Flag of 🇩🇪"),
    ("ال", "لا"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert item_key(one) != item_key(other)


@pytest.mark.parametrize("text", ["東京", "Москва", "القاهرة", "กรุงเทพ", "ไทย", "서울", "ตลาด"])
def test_names_in_other_scripts_are_their_own_keys(text: str) -> None:
    assert item_key(text).decode() == text.casefold()


@pytest.mark.parametrize(
    "text", ["The", "A", "The The", "the a", "!!!", "…", "'", "&", "*", "-", "™"]
)
def test_something_always_remains_of_a_name(text: str) -> None:
    assert item_key(text)


@given(st.one_of(_WORDS, _NEAR_NAMES))
def test_a_key_is_its_own_key(raw: str) -> None:
    text = clean_text(raw)
    if text is None:
        return
    key = item_key(text)
    assert key
    assert item_key(key.decode()) == key


@given(st.text())
def test_any_clean_text_has_a_key(raw: str) -> None:
    text = clean_text(raw)
    assert text is None or item_key(text)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_names_that_differ_in_a_number_have_different_keys(one: int, other: int) -> None:
    same = item_key(f"Apollo {one}") == item_key(f"Apollo {other}")
    assert same == (one == other)
