"""Which runs the benches in virtual time make, and how their results are laid side by side."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from bench.reporting import Report
from bench.virtual_modes import DEFAULT_MODES, MODES
from bench.virtual_options import PRODUCER_COUNTS, parse_options
from bench.virtual_record import CallUse, Standing
from bench.virtual_runs import CITIES, PARIS, Result, Scenario
from bench.virtual_tables import COST_COLUMNS, DUPLICATE_COLUMNS, Results, add_to_report, markdown

CALL = CallUse("atlas", 2_000, 1_000, 0, 400)


def result(mode: str, seed: int, wasted: int, *, reached: bool = True) -> Result:
    scenario = Scenario(mode, topic=CITIES, producer_count=5, seed=seed, counts=(100,))
    standing = Standing(100, 60.0, 100 + wasted, {"listed": wasted}, (CALL,), 300, 0, 0, 0, 0)
    return Result(
        scenario=scenario,
        ended_by="target" if reached else "time",
        standings={100: standing} if reached else {},
        timeline=[(60.0, 100, 0.1)],
        known_together_count=5_000,
        distinct_count=100 if reached else 80,
        refused_count=0,
        processor_s=0.1,
    )


def test_the_whole_grid_is_every_mode_size_and_catalog_over_five_seeds() -> None:
    scenarios = parse_options("", []).scenarios
    assert len(scenarios) == len(DEFAULT_MODES) * len(PRODUCER_COUNTS) * 2 * 5
    assert {each.counts for each in scenarios if each.topic == CITIES} == {(500, 1_000, 2_500)}
    assert {each.topic for each in scenarios} == {PARIS, CITIES}
    assert {each.variation.name for each in scenarios} == {"as_packaged"}


def test_the_sensitivity_grid_changes_one_assumption_at_a_time() -> None:
    arguments = ["--grid", "--modes", "star", "--producers", "5", "--topics", "cities"]
    scenarios = parse_options("", [*arguments, "--seeds", "1"]).scenarios
    changed = [
        (
            each.variation.onset_count,
            each.variation.obey,
            each.variation.shared_knowledge,
            each.variation.self_repeats,
        )
        for each in scenarios
    ]
    assert changed[0] == (None, None, None, None)
    assert all(sum(value is not None for value in values) == 1 for values in changed[1:])
    assert {values[0] for values in changed} >= {50, 1_000}
    assert {values[1] for values in changed} >= {0.5, 0.8, 0.95}


def test_quick_is_star_and_mesh_on_the_small_catalog() -> None:
    scenarios = parse_options("", ["--quick"]).scenarios
    assert [(each.mode, each.topic, each.counts) for each in scenarios] == [
        ("star", PARIS, (100,)),
        ("all", PARIS, (100,)),
    ]


def test_to_the_end_takes_no_count() -> None:
    scenarios = parse_options("", ["--quick", "--to-the-end"]).scenarios
    assert {each.counts for each in scenarios} == {()}


def test_an_unknown_mode_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options("", ["--modes", "star,moon"])
    assert "moon" in capsys.readouterr().err


def test_each_lever_is_one_step_from_the_one_before() -> None:
    steps = [MODES[mode].tactics for mode in DEFAULT_MODES if mode.startswith("plus_")]
    names = list(MODES["all"].tactics.__dataclass_fields__)
    for before, after in itertools.pairwise([MODES["mesh_by_line"].tactics, *steps]):
        changed = [name for name in names if getattr(before, name) != getattr(after, name)]
        assert len(changed) == 1


def test_a_table_tells_median_range_and_who_did_not_get_there() -> None:
    results = Results(
        [
            result("star", 0, 10),
            result("star", 1, 30),
            result("star", 2, 60),
            result("all", 0, 0),
            result("all", 1, 0, reached=False),
        ]
    )
    table = markdown(results, DUPLICATE_COLUMNS)
    assert "**Cities of the world, 5 producers, at 100 unique, models as_packaged**" in table
    assert "| star | 23.1 (9.1 .. 37.5) |" in table
    assert "| all (1 of 2 runs got there) | 0.0 |" in table


def test_what_one_mode_lacks_is_left_empty_and_what_all_lack_left_out() -> None:
    star, mesh = result("star", 0, 10), result("all", 0, 0)
    at_100 = replace(mesh.standings[100], cacheable_tokens=2_000, cached_tokens=1_000)
    mesh = replace(mesh, standings={100: at_100})
    heading, _, star_line, mesh_line = markdown(Results([star, mesh]), COST_COLUMNS).splitlines()[
        2:
    ]
    place = heading.split(" | ").index("cacheable read %")
    assert star_line.split(" | ")[place] == "-"
    assert mesh_line.split(" | ")[place] == "50"
    assert "told before" not in heading


def test_of_a_run_that_ended_by_itself_is_told_how_much_of_all_it_found() -> None:
    ended = result("all", 0, 0)
    ended = replace(ended, scenario=replace(ended.scenario, counts=()), distinct_count=4_900)
    results = Results([ended])
    assert "| found of known % |" in markdown(results, DUPLICATE_COLUMNS)
    report = Report("duplicate_rate", {})
    add_to_report(report, results, DUPLICATE_COLUMNS)
    assert report.figures()["cities_5_all_end_found_of_known_ratio"] == 0.98


def test_a_report_names_topic_producers_mode_and_count() -> None:
    report = Report("cost", {})
    add_to_report(report, Results([result("star", 0, 10)]), COST_COLUMNS)
    figures = report.figures()
    assert figures["cities_5_star_100_input_tokens_per_100_count"] == 2_000
    # 1,000 uncached and 1,000 at half price, and 400 written, by the million.
    assert figures["cities_5_star_100_gpt_4o_per_100_usd"] == pytest.approx(
        (1_000 * 2.5 + 1_000 * 1.25 + 400 * 10) / 1e6
    )
