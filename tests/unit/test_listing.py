"""Which list a prompt carries follows from what models did with lists before."""

from __future__ import annotations

import pytest

from mesh.core.listing import AnswerCounts, CachedShares, Costs, Listing, RepeatRates

COSTS = Costs(entry=7.0, listed_entry=dict.fromkeys(Listing, 1.5), beside=100.0)


def answered(
    rates: RepeatRates,
    listing: Listing,
    *,
    listed_count: int,
    listed_repeats: int = 0,
    unlisted_repeats: int = 0,
    times: int = 10,
) -> None:
    for _ in range(times):
        counts = AnswerCounts(listing, listed_count, 40, listed_repeats, unlisted_repeats)
        rates.answered("atlas", counts)


def choose(rates: RepeatRates, *, whole_count: int, facet_count: int) -> Listing:
    return rates.choose(
        "atlas", whole_count=whole_count, facet_count=facet_count, ask_count=40, costs=COSTS
    )


def test_a_short_list_is_carried_whole() -> None:
    assert choose(RepeatRates(), whole_count=5, facet_count=3) is Listing.WHOLE


def test_a_list_that_costs_more_than_its_entries_gives_way_to_the_facets() -> None:
    assert choose(RepeatRates(), whole_count=5_000, facet_count=50) is Listing.FACET


def test_the_whole_list_comes_back_where_the_facets_leaves_out_what_is_then_repeated() -> None:
    rates = RepeatRates()
    answered(rates, Listing.FACET, listed_count=50, unlisted_repeats=30)
    answered(rates, Listing.WHOLE, listed_count=400, listed_repeats=1)
    assert choose(rates, whole_count=400, facet_count=50) is Listing.WHOLE


def test_a_list_that_the_model_does_not_heed_is_left_though_it_costs_nothing() -> None:
    rates = RepeatRates()
    free = Costs(entry=7.0, listed_entry=dict.fromkeys(Listing, 0.0), beside=100.0)
    answered(rates, Listing.WHOLE, listed_count=2_000, listed_repeats=20)
    chosen = rates.choose("atlas", whole_count=2_000, facet_count=50, ask_count=40, costs=free)
    assert chosen is Listing.FACET


def test_a_longer_list_than_ever_is_expected_to_do_as_the_longest_so_far() -> None:
    rates = RepeatRates()
    answered(rates, Listing.WHOLE, listed_count=1_000, listed_repeats=20)
    assert rates.listed("atlas", 8_000) == rates.listed("atlas", 1_000) > 0.3
    assert rates.listed("atlas", 100) < 0.1


def test_what_was_measured_long_ago_fades() -> None:
    rates = RepeatRates()
    answered(rates, Listing.WHOLE, listed_count=1_000, listed_repeats=20)
    answered(rates, Listing.WHOLE, listed_count=1_000, listed_repeats=0, times=100)
    assert rates.listed("atlas", 1_000) < 0.05


def test_models_are_told_apart() -> None:
    rates = RepeatRates()
    answered(rates, Listing.WHOLE, listed_count=1_000, listed_repeats=20)
    assert rates.listed("swift", 1_000) < 0.05


def test_a_whole_list_that_is_cached_costs_less_and_is_chosen_sooner() -> None:
    rates = RepeatRates()
    answered(rates, Listing.FACET, listed_count=50, unlisted_repeats=10)
    cached = Costs(entry=7.0, listed_entry={Listing.WHOLE: 0.1, Listing.FACET: 1.5}, beside=100.0)
    counts = {"whole_count": 500, "facet_count": 50, "ask_count": 40}
    assert rates.choose("atlas", **counts, costs=COSTS) is Listing.FACET
    assert rates.choose("atlas", **counts, costs=cached) is Listing.WHOLE


def test_the_share_that_caches_hold_follows_what_is_measured() -> None:
    shares = CachedShares()
    for _ in range(30):
        shares.answered("atlas", Listing.WHOLE, 900, 1_000)
    assert shares.share("atlas", Listing.WHOLE) == pytest.approx(0.9, abs=0.01)
    assert shares.share("atlas", Listing.FACET) == 0.0
