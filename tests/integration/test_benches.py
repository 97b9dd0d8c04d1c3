"""The benches run as documented: `python bench/NAME.py --quick --json` prints the contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bench.page_children import open_pages, served_run

CHECKOUT = Path(__file__).resolve().parents[2]
QUICK_S = 60.0
UNITS = ("_per_s", "_s", "_ms", "_us", "_count", "_ratio", "_usd", "_bytes", "_mb")


def run_quick(name: str, elsewhere: Path, *more: str) -> tuple[list[str], dict[str, Any]]:
    """Its lines, and the object on the last one; started outside the checkout. Ends within a
    minute on a machine of its own, which this one may not be."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    finished = subprocess.run(
        [sys.executable, str(CHECKOUT / "bench" / f"{name}.py"), "--quick", "--json", *more],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * QUICK_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    return lines, json.loads(lines[-1])


def assert_contract(printed: dict[str, Any], name: str) -> None:
    assert list(printed) == ["bench", "commit", "settings", "figures"]
    assert printed["bench"] == name
    assert printed["commit"]
    assert {"seed", "core_count"} <= set(printed["settings"])
    for figure, value in printed["figures"].items():
        assert figure.endswith(UNITS), figure
        assert isinstance(value, int | float), figure


def test_the_propagation_bench_prints_both_sides_within_a_minute(tmp_path: Path) -> None:
    lines, printed = run_quick("propagation", tmp_path)
    assert_contract(printed, "propagation")
    figures = printed["figures"]
    for side in ("mesh", "bare"):
        assert figures[f"{side}_items_count"] > 0
        p50, p99 = (figures[f"{side}_known_by_all_{p}_ms"] for p in ("p50", "p99"))
        assert 0 < p50 <= p99
        assert any(f"{side}_known_by_all_p50_ms" in line for line in lines[:-1])
    assert figures["mesh_lost_count"] == 0
    assert figures["mesh_to_bare_p50_ratio"] > 0


def test_the_ingest_bench_prints_every_part_and_its_spread_within_a_minute(tmp_path: Path) -> None:
    lines, printed = run_quick("ingest", tmp_path)
    assert_contract(printed, "ingest")
    figures = printed["figures"]
    for figure in (
        "producer_new_entries",
        "producer_known_entries",
        "collector_durable_new_entries",
    ):
        smallest, largest = figures[f"{figure}_smallest_per_s"], figures[f"{figure}_largest_per_s"]
        assert 0 < smallest <= figures[f"{figure}_per_s"] <= largest
        assert any(figure in line and ".." in line for line in lines[:-1])
    assert (
        figures["producer_imports_with_verdicts_mb"] < figures["producer_resident_with_verdicts_mb"]
    )
    assert figures["bloom_per_item_bytes"] < figures["set_per_item_bytes"]
    assert figures["bloom_false_positives_ratio"] <= 0.01


def test_the_scale_bench_brings_every_mesh_up_and_loses_nothing(tmp_path: Path) -> None:
    _, printed = run_quick("mesh_scale", tmp_path)
    assert_contract(printed, "mesh_scale")
    figures = printed["figures"]
    for mesh in ("plain_5", "curve_5", "plain_20", "curve_20"):
        assert figures[f"{mesh}_all_up_s"] > 0
        assert figures[f"{mesh}_items_count"] > 0
        assert figures[f"{mesh}_lost_count"] == figures[f"{mesh}_not_in_output_count"] == 0
        assert figures[f"{mesh}_digests_count"] == 1
        assert 0 < figures[f"{mesh}_one_way_p50_ms"] <= figures[f"{mesh}_one_way_p99_ms"]
    # A feed each way and a few of its own; what was asked once is not kept open.
    assert 2 * 20 < figures["plain_20_descriptors_count"] < 5 * 20 + 100


def test_a_late_joiner_learns_everything_while_all_hearts_beat(tmp_path: Path) -> None:
    _, printed = run_quick("late_joiner", tmp_path)
    assert_contract(printed, "late_joiner")
    figures = printed["figures"]
    assert 0 < figures["newcomer_knows_all_s"] <= figures["newcomer_converged_s"]
    assert figures["applied_entries_count"] >= 2 * printed["settings"]["entries"]
    assert 0 < figures["longest_heartbeat_gap_before_s"] <= figures["longest_heartbeat_gap_s"]


def test_the_fuzz_bench_counts_what_was_refused_and_finds_no_fault(tmp_path: Path) -> None:
    _, printed = run_quick("fuzz", tmp_path)
    assert_contract(printed, "fuzz")
    figures = printed["figures"]
    assert figures["faults_count"] == 0
    assert figures["inputs_count"] >= printed["settings"]["inputs"] * 0.9
    for reason in ("taken", "magic", "size", "entries", "body", "signature", "ticket"):
        assert figures[f"{reason}_count"] > 0, reason


@pytest.mark.parametrize(
    ("name", "figure"),
    [("duplicate_rate", "duplicate_ratio"), ("cost", "gpt_4o_mini_per_100_usd")],
)
def test_the_benches_in_virtual_time_print_star_and_mesh(
    tmp_path: Path, name: str, figure: str
) -> None:
    _, printed = run_quick(name, tmp_path)
    assert_contract(printed, name)
    for mode in ("star", "all"):
        assert printed["figures"][f"paris_5_{mode}_100_{figure}"] > 0


def test_the_modes_run_in_real_processes_and_beside_them_in_virtual_time(tmp_path: Path) -> None:
    lines, printed = run_quick("real_modes", tmp_path)
    assert_contract(printed, "real_modes")
    figures = printed["figures"]
    for mode in ("independent", "star", "mesh_by_line", "all"):
        for side in ("processes", "virtual"):
            assert figures[f"{mode}_{side}_runs_count"] == 1
            assert 0 <= figures[f"{mode}_{side}_duplicate_ratio"] < 0.5
            assert figures[f"{mode}_{side}_unique_a_minute_count"] > 0
            assert any(line.startswith(f"| {mode} | {side} |") for line in lines)


def test_the_live_bench_spends_no_more_than_its_budget_on_either_side(tmp_path: Path) -> None:
    _, printed = run_quick("live", tmp_path, "--time-scale", "4")
    assert_contract(printed, "live")
    figures = printed["figures"]
    for side in ("star", "mesh"):
        assert figures[f"{side}_unique_count"] > 0
        assert 0 < figures[f"{side}_spent_usd"] <= printed["settings"]["budget_usd_a_side"]


def test_the_budget_bench_finds_nothing_spent_beyond_and_nothing_forgotten(tmp_path: Path) -> None:
    _, printed = run_quick("budget", tmp_path)
    assert_contract(printed, "budget")
    figures = printed["figures"]
    assert figures["violations_count"] == 0
    assert figures["crashes_count"] > figures["runs_count"]
    assert figures["calls_completed_count"] > figures["calls_cut_count"] > 0
    assert 0 < figures["billed_of_budget_max_ratio"] <= 1
    assert figures["completed_call_difference_max_usd"] <= 1e-9
    assert 0 <= figures["ledger_above_books_min_usd"] <= figures["ledger_above_books_max_usd"]


def test_names_of_a_file_are_judged_by_kind(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    rows = (
        ("a", "b", "same", "kind"),
        ("The Prado", "Prado", "1", "surface"),
        ("Prado", "Prado Museum", "1", "partial"),
        ("Thames", "River Thames", "1", "partial"),
        ("Apollo 13", "Apollo 14", "0", "number"),
        ("Batavia", "Jakarta", "1", "alias"),
    )
    pairs.write_text("".join("\t".join(row) + "\n" for row in rows), "utf-8")
    finished = _run_names(str(pairs), "--among", "500", "--json", "--show", "unsure")
    assert finished.returncode == 0, finished.stderr
    assert "Thames | River Thames" in finished.stdout
    printed = json.loads(finished.stdout.splitlines()[-1])
    assert (printed["bench"], list(printed)[-1]) == ("names", "figures")
    figures = printed["figures"]
    assert figures["by_kind"] == {
        "surface": {"same": 1, "unsure": 0, "different": 0},
        "partial": {"same": 1, "unsure": 1, "different": 0},
        "number": {"same": 0, "unsure": 0, "different": 1},
        "alias": {"same": 0, "unsure": 0, "different": 1},
    }
    assert figures["precision"] == 1
    assert figures["recall"] == 0.5
    assert figures["never_proposed"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [("a\tb\n", "first line"), ("a\tb\tsame\tkind\nx\ty\t2\tz\n", "line 2"), (None, "No such")],
)
def test_a_file_that_holds_no_pairs_is_one_clear_line(
    tmp_path: Path, text: str | None, said: str
) -> None:
    pairs = tmp_path / "pairs.tsv"
    if text is not None:
        pairs.write_text(text, "utf-8")
    finished = _run_names(str(pairs))
    assert finished.returncode == 1
    assert said in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


def _run_names(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "bench" / "names.py"), *words],
        capture_output=True,
        text=True,
        timeout=QUICK_S,
        check=False,
    )


def test_a_long_list_knows_its_names_again(tmp_path: Path) -> None:
    _, printed = run_quick("resolve", tmp_path, "--size", "5000")
    assert_contract(printed, "resolve")
    figures = printed["figures"]
    assert figures["at_5000_found_ratio"] >= 0.95
    assert figures["at_5000_entries_per_s"] > 0
    assert figures["at_5000_new_taken_for_known_count"] <= 5


def test_the_run_that_the_page_bench_serves_is_whole_and_goes_on(tmp_path: Path) -> None:
    """The bench itself takes a minute of a browser: here is what it measures, small."""
    with served_run(tmp_path / "run", entries_count=2000, producers_count=5, seed=0) as run:

        def told(path: str) -> Any:
            with urllib.request.urlopen(f"{run.url}/api/{path}") as answer:
                return json.load(answer)

        metrics = told("metrics")
        assert metrics["unique_total"] == told("items")["total"] == 2000
        assert len(metrics["models"]) == 4
        assert len(metrics["history"]) == 600
        assert len(told("peers")["peers"]) == 6
        assert len(told("facets")["facets"]) == 61
        assert told("names")["merged_total"] >= 200
        run.go_on(1000)
        with open_pages(run, 3) as reading:
            assert run.processor_share(1.5) > 0
        total = run.go_on(0)
        assert reading.told["frames"] >= 3 * 3
        assert 2500 < total == told("metrics")["unique_total"] == told("items")["total"]
