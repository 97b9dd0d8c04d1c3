"""Known items: a union that minds neither order nor repetition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.known import DIGEST_MODULUS, KnownItems, digest_bytes, key_digest
from mesh.core.normalize import item_key

KEYS = st.lists(st.binary(min_size=1, max_size=8), max_size=30)


def known(keys: list[bytes]) -> KnownItems:
    items = KnownItems()
    for key in keys:
        items.add(key, key.hex())
    return items


@given(KEYS)
def test_the_same_items_give_the_same_digest_in_any_order(keys: list[bytes]) -> None:
    shuffled = sorted(keys * 2, key=lambda key: key[::-1])
    assert known(shuffled).digest == known(keys).digest
    assert len(known(shuffled)) == len(known(keys)) == len(set(keys))


@given(KEYS, st.binary(min_size=9, max_size=9))
def test_one_item_more_gives_another_digest(keys: list[bytes], other: bytes) -> None:
    assert known([*keys, other]).digest != known(keys).digest


@given(KEYS)
def test_the_digest_is_the_sum_of_what_each_key_contributes(keys: list[bytes]) -> None:
    """The collector sums on its own; the two must agree for the mesh to be converged."""
    expected = sum(key_digest(key) for key in set(keys)) % DIGEST_MODULUS
    assert known(keys).digest == expected
    assert int.from_bytes(digest_bytes(expected), "big") == expected
    assert len(digest_bytes(expected)) == 16


def test_an_item_is_learned_once_and_keeps_its_first_text() -> None:
    items = KnownItems()
    assert items.add(b"louvre", "Louvre")
    assert not items.add(b"louvre", "The Louvre")
    assert list(items.fresh()) == ["Louvre"]
    assert b"louvre" in items
    assert b"louvre" in items.bloom
    assert b"orsay" not in items


def test_what_is_not_accepted_yet_stands_in_order_of_arrival() -> None:
    items = known([b"c", b"a", b"b"])
    assert list(items.fresh()) == [b"c".hex(), b"a".hex(), b"b".hex()]


def test_an_accepted_item_moves_from_the_fresh_ones_into_the_list() -> None:
    items = KnownItems()
    items.add(b"louvre", "the louvre")
    items.add(b"orsay", "Orsay")
    items.accept(1, b"louvre", "Louvre")
    assert list(items.accepted) == ["Louvre"]
    assert list(items.fresh()) == ["Orsay"]


@given(st.permutations(range(1, 8)))
def test_verdicts_in_any_order_give_the_collector_s_order(ordinals: list[int]) -> None:
    items = KnownItems()
    for ordinal in ordinals:
        items.accept(ordinal, b"%d" % ordinal, f"item {ordinal}")
        items.accept(ordinal, b"%d" % ordinal, f"item {ordinal}")
    assert list(items.accepted) == [f"item {ordinal}" for ordinal in range(1, 8)]
    assert list(items.fresh()) == []
    assert len(items) == 7


def test_an_item_accepted_beyond_a_hole_is_known_at_once_and_listed_as_fresh() -> None:
    items = KnownItems()
    items.accept(2, b"orsay", "Orsay")
    assert b"orsay" in items
    assert list(items.accepted) == []
    assert list(items.fresh()) == ["Orsay"]
    items.accept(1, b"louvre", "Louvre")
    assert list(items.accepted) == ["Louvre", "Orsay"]
    assert list(items.fresh()) == []


def test_every_known_item_is_listed_exactly_once() -> None:
    items = known([b"a", b"b", b"c"])
    items.accept(3, b"b", "b")
    items.accept(1, b"d", "d")
    listed = [*items.accepted, *items.fresh()]
    assert len(listed) == len(set(listed)) == len(items)


def test_a_collector_restored_from_an_old_copy_takes_ordinals_back() -> None:
    items = KnownItems()
    for ordinal, text in enumerate(["Louvre", "Orsay", "Eiffel Tower"], 1):
        items.accept(ordinal, item_key(text), text, epoch=1)
    items.open_epoch(2, accepted_count=1)
    assert list(items.accepted) == ["Louvre"]
    assert list(items.fresh()) == ["Orsay", "Eiffel Tower"]
    items.accept(2, item_key("Eiffel Tower"), "Eiffel Tower", epoch=2)
    assert list(items.accepted) == ["Louvre", "Eiffel Tower"]
    items.accept(2, item_key("Orsay"), "Orsay", epoch=1)  # Comes late, and is void.
    assert list(items.accepted) == ["Louvre", "Eiffel Tower"]
    assert list(items.fresh()) == ["Orsay"]


def test_without_that_protection_two_items_fight_for_one_ordinal() -> None:
    items = KnownItems(void_ordinals=False)
    items.open_epoch(2, accepted_count=0)
    items.accept(1, b"a", "a", epoch=1)
    assert list(items.accepted) == ["a"]


HISTORY: list[tuple[int, int, int, str]] = [
    # (epoch, ordinal, or 0 for its opening, count at opening, text)
    (1, 0, 0, ""),
    *((1, n, 0, f"one {n}") for n in range(1, 6)),
    (2, 0, 3, ""),
    *((2, n, 0, f"two {n}") for n in range(4, 7)),
    (3, 0, 2, ""),
    *((3, n, 0, f"three {n}") for n in range(3, 5)),
]


@given(st.permutations(HISTORY))
def test_epochs_that_take_ordinals_back_give_one_list_in_whatever_order_they_are_heard(
    history: list[tuple[int, int, int, str]],
) -> None:
    items = KnownItems()
    for epoch, ordinal, accepted_count, text in history:
        if ordinal:
            items.accept(ordinal, item_key(text), text, epoch)
        else:
            items.open_epoch(epoch, accepted_count)
    assert list(items.accepted) == ["one 1", "one 2", "three 3", "three 4"]
    listed = [*items.accepted, *items.fresh()]
    assert len(listed) == len(set(listed)) == len(items) == 10
