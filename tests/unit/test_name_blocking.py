"""Which earlier names are proposed for comparison, among many others."""

from __future__ import annotations

import pytest

from bench.made_up_names import made_up_names
from mesh.core.names.blocking import PROPOSED_MAX, BlockingIndex, blocking_keys
from mesh.core.names.canonical import canonical_words
from mesh.core.names.key_table import KeyTable
from mesh.core.names.rarity import Rarity
from mesh.core.names.sounds import is_slip, skeleton, sound, spelling_log_odds
from mesh.core.names.words import parsed

OTHERS = list(made_up_names(3_000, seed=5))


@pytest.fixture(scope="module")
def filed() -> tuple[BlockingIndex, Rarity]:
    index, rarity = BlockingIndex(), Rarity()
    for text in OTHERS:
        name = parsed(text)
        index.add(name)
        rarity.add(canonical_words(name))
    return index, rarity


@pytest.mark.parametrize(
    ("earlier", "new"),
    [
        ("Saint Petersburg", "St. Petersburg"),
        ("Museo del Prado", "Prado"),
        ("Yekaterinburg", "Jekaterinburg"),
        ("Massachusetts Bay", "Massachusets Bay"),
        ("Bologna University", "University of Bologna"),
        ("Kiel", "Kil"),
        ("Newton's law", "Newton's rule"),
        ("Italian Republic", "Republic of Italy"),
        ("Zürich", "Zuerich"),
        ("北京市", "北京市 (Beijing)"),
    ],
)
def test_another_way_to_write_a_name_is_proposed_among_thousands(
    filed: tuple[BlockingIndex, Rarity], earlier: str, new: str
) -> None:
    index, rarity = filed
    number = index.add(parsed(earlier))
    proposals = index.proposed(parsed(new), rarity)
    assert number in [proposal.number for proposal in proposals]
    assert len(proposals) <= PROPOSED_MAX


def test_a_name_like_no_other_has_nothing_to_be_compared_with(
    filed: tuple[BlockingIndex, Rarity],
) -> None:
    index, rarity = filed
    assert index.proposed(parsed("Xylophonist's Quandary"), rarity) == []


def test_a_word_that_a_large_share_has_proposes_nobody() -> None:
    index, rarity = BlockingIndex(), Rarity()
    for text in [text for text in OTHERS if len(text) > 12][:200]:
        name = parsed(f"Firetail {text}")
        index.add(name)
        rarity.add(canonical_words(name))
    assert rarity.is_common("firetail")
    assert index.proposed(parsed("Firetail (ruin)"), rarity) == []
    assert len(index.proposed(parsed("Firetail (ruin)"), Rarity())) == PROPOSED_MAX


def test_an_index_grows_by_parts_and_finds_in_all_of_them() -> None:
    index, rarity = BlockingIndex(first_part_entries=64), Rarity()
    for text in OTHERS[:1_000]:
        index.add(parsed(text))
    for number in (0, 500, 999):
        proposals = index.proposed(parsed(OTHERS[number] + " (ruin)"), rarity)
        assert proposals[0].number == number
        assert proposals[0].may_share_key


def test_the_same_words_are_found_among_many_that_share_only_some() -> None:
    """A word under which very many are filed proposes only the latest of them."""
    index, rarity = BlockingIndex(), Rarity(name_count=1_000_000)
    for text in ("Firetail Library", "Firetail Klubauck"):
        index.add(parsed(text))
    for text in OTHERS[:500]:
        index.add(parsed(f"Firetail {text}"))
        index.add(parsed(f"{text} Klubauck"))
    for number, text in enumerate(("Library of Firetail", "Firetail Klubaucks")):
        assert index.proposed(parsed(text), rarity)[0].number == number


def test_a_table_of_many_parts_gives_the_latest_of_a_key_first() -> None:
    table = KeyTable(first_part_entries=2)
    for number in range(100):
        table.add([7, 1_000 + number], number)
    assert table.filed(7, found_max=3) == [99, 98, 97]
    assert table.filed(1_042, found_max=3) == [42]
    assert table.filed(8, found_max=3) == []


def test_keys_of_one_chain_are_told_apart_though_they_come_at_once() -> None:
    """Hashes that differ in their high bits alone begin in one place of the table."""
    table = KeyTable(first_part_entries=2)
    alike = [high << 20 | 5 for high in range(6)]
    table.add(alike, 0)
    table.add(alike[::2], 1)
    assert [table.filed(hashed, found_max=9) for hashed in alike] == [[1, 0], [0]] * 3
    assert table.filed_under_any(alike, found_max=1) == {0, 1}
    assert table.filed(6 << 20 | 5, found_max=9) == []


def test_a_word_spelled_otherwise_is_found_though_the_other_word_is_crowded() -> None:
    """The consonants of a word are asked only then: else who shares the other word is looked at."""
    index, rarity = BlockingIndex(), Rarity(name_count=1_000_000)
    index.add(parsed("Firetail Klubauck"))
    for text in OTHERS[:500]:
        index.add(parsed(f"Firetail {text}"))
    assert 0 in [each.number for each in index.proposed(parsed("Firetail Klubaucck"), rarity)]


def test_keys_are_few_whatever_a_text_is_made_of() -> None:
    for text in ("x" * 500, "a b c d e f g h i j k l m n o p", "?", "🗼" * 60, "Łódź"):
        assert 0 < len(blocking_keys(parsed(text))) <= 24


@pytest.mark.parametrize(
    ("one", "other"),
    [("raipur", "raypur"), ("toyota", "tojota"), ("dushanbe", "duschanbe"), ("lima", "limma")],
)
def test_what_sounds_alike_has_one_sound(one: str, other: str) -> None:
    assert sound(one) == sound(other)
    assert skeleton(sound(one)) == skeleton(sound(other))


def test_letters_that_are_exchanged_between_spellings_weigh_less_than_others() -> None:
    exchanged = spelling_log_odds("warsawa", "varsava")
    other = spelling_log_odds("warsawa", "marsama")
    assert exchanged > 0 > other
    assert exchanged == spelling_log_odds("varsava", "warsawa")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("massachusetts", "massachusets", True),
        ("massachusetts", "masaschusetts", True),
        ("massachusetts", "massacchusetts", True),
        ("massachusetts", "massachusatts", False),
        ("massachusetts", "nassachusetts", False),
        ("bath", "bat", False),
    ],
)
def test_a_slip_is_a_letter_left_out_doubled_or_exchanged(
    one: str, other: str, expected: bool
) -> None:
    assert is_slip(one, other, 6) is expected
    assert is_slip(other, one, 6) is expected
