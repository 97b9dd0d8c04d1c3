"""What vectors add to the comparison of two names, and what they never do."""

from __future__ import annotations

import pytest

from mesh.core.names.comparing import Comparison, Verdict, compare
from mesh.core.names.nearness import Nearness, by_neighbour, with_nearness
from mesh.core.names.words import parsed
from mesh.core.resolve import DOUBTS_MAX, Resolver

ALONE = Nearness(cosine=0.97, rank=0, crowd=0.5, background=0.4)
IN_A_CROWD = Nearness(cosine=0.97, rank=0, crowd=0.96, background=0.9)
FAR = Nearness(cosine=0.3, rank=0, crowd=0.2, background=0.2)


def compared(one: str, other: str, nearness: Nearness | None) -> Comparison:
    return compare(parsed(one), parsed(other), nearness=nearness)


def test_names_without_a_letter_in_common_may_mean_the_same() -> None:
    assert compared("Siam", "Thailand", None).verdict is Verdict.DIFFERENT
    comparison = compared("Siam", "Thailand", ALONE)
    assert comparison == Comparison(Verdict.UNSURE, "near in meaning (0.97)", by_meaning=True)


@pytest.mark.parametrize("nearness", [FAR, Nearness(0.6, 3, 0.9, 0.5), Nearness(0.6, 0, 0.6, 0.58)])
def test_a_neighbour_that_does_not_stand_out_is_another_name(nearness: Nearness) -> None:
    assert compared("Siam", "Thailand", nearness).verdict is Verdict.DIFFERENT


def test_nearness_alone_never_makes_two_names_one() -> None:
    exactly = Nearness(cosine=1.0, rank=0, crowd=0.0, background=0.0)
    assert compared("Siam", "Thailand", exactly).verdict is Verdict.UNSURE


def test_letters_and_vectors_together_make_two_spellings_one() -> None:
    one, other = "Tchaikovskiy", "Chaykovskij"
    assert compared(one, other, None).verdict is Verdict.UNSURE
    comparison = compared(one, other, ALONE)
    assert comparison.verdict is Verdict.SAME
    assert comparison.reason == "spelling alike and near in meaning (0.97)"


def test_in_a_crowd_of_names_as_near_two_spellings_stay_in_doubt() -> None:
    assert compared("Tchaikovskiy", "Chaykovskij", IN_A_CROWD).verdict is Verdict.UNSURE


def test_who_is_in_doubt_by_letters_stays_so_however_far_its_vector_is() -> None:
    assert compared("Tchaikovskiy", "Chaykovskij", FAR).verdict is Verdict.UNSURE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Falcon 9", "Falcon 5"),
        ("Ramses II", "Ramses IV"),
        ("Third Reich", "Second Reich"),
        ("East Timor", "West Timor"),
        ("Plan B", "Plan C"),
        ("hypotension", "hypertension"),
        ("Bears (Chicago)", "Bears (Boston)"),
    ],
)
def test_no_vector_speaks_against_a_veto(one: str, other: str) -> None:
    for nearness in (ALONE, IN_A_CROWD):
        assert compared(one, other, nearness).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("one", "other"),
    [("Musée Rodin", "Musée Rodin Meudon"), ("Tate Modern", "Tate Britain")],
)
def test_what_shared_words_explain_is_no_likeness_of_meaning(one: str, other: str) -> None:
    assert compared(one, other, ALONE).verdict is Verdict.DIFFERENT


def test_the_crowd_of_a_neighbour_is_not_made_of_its_own_group() -> None:
    near = [(4, 0.9), (7, 0.8), (2, 0.6), (1, 0.5), (0, 0.4), (3, 0.3), (5, 0.2), (6, 0.1)]
    found = by_neighbour(near, lambda number: {7: 4}.get(number, number))
    assert [found[number].crowd for number in (4, 7, 2)] == [0.6, 0.6, 0.9]
    assert [found[number].rank for number in (4, 7, 2)] == [0, 1, 2]
    assert found[4].background == pytest.approx(0.2)


def test_a_short_list_has_no_background() -> None:
    assert by_neighbour([(0, 0.8)], lambda number: number) == {0: Nearness(0.8, 0, 0.0, 0.0)}
    assert by_neighbour([], lambda number: number) == {}


def test_a_crowd_lowers_the_odds_and_an_empty_place_does_not_raise_them() -> None:
    usual = Nearness(cosine=0.7, rank=0, crowd=0.7, background=0.5)
    assert with_nearness(2.0, usual) == pytest.approx(2.0)
    assert with_nearness(2.0, Nearness(0.7, 0, 0.1, 0.0)) == pytest.approx(2.0)
    assert with_nearness(2.0, Nearness(0.7, 0, 0.9, 0.5)) < 1.0


def resolver_of(*names: str) -> Resolver:
    resolver = Resolver()
    for name in names:
        resolver.add(name, resolver.resolve(name))
    return resolver


def test_what_is_near_is_proposed_though_no_letters_are_alike() -> None:
    resolver = resolver_of("Thailand", "Portugal", "Chile")
    assert resolver.resolve("Siam").doubts == ()
    (doubt,) = resolver.resolve("Siam", [(0, 0.8)]).doubts
    assert (doubt.number, doubt.reason) == (0, "near in meaning (0.80)")


def test_in_a_list_letters_and_vectors_together_are_still_a_doubt() -> None:
    """A long list holds some that are alike in both, and two."""
    resolver = resolver_of("Chaykovskij", "Portugal")
    resolution = resolver.resolve("Tchaikovskiy", [(0, 0.95), (1, 0.3)])
    assert resolution.number is None
    assert [(doubt.number, doubt.by_meaning) for doubt in resolution.doubts] == [(0, True)]


def test_doubts_by_letters_leave_room_for_doubts_by_meaning() -> None:
    alike = [f"Tchaikovsk{end}" for end in ("y", "i", "ii", "iy", "ij", "aya", "oi")]
    resolver = resolver_of(*alike, "Nutcracker")
    by_letters = resolver.resolve("Tschaikowski").doubts
    with_near = resolver.resolve("Tschaikowski", [(len(alike), 0.8)]).doubts
    assert len(by_letters) == len(with_near) == DOUBTS_MAX
    assert with_near[0] == by_letters[0]
    assert len(alike) in [doubt.number for doubt in with_near]


def test_resolving_changes_nothing() -> None:
    resolver = resolver_of("Thailand", "Portugal")
    first = resolver.resolve("Siam", [(0, 0.8)])
    assert resolver.resolve("Siam", [(0, 0.8)]) == first
    assert len(resolver) == 2
