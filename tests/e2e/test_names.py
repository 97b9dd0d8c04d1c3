"""Names in a run as a user starts it: what is one, who judges it, and how a person undoes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.running import (
    ROOT,
    Run,
    assert_nothing_lost_or_doubled,
    clean_environment,
    eventually,
    start_run,
)

LOOK_ALIKE = [
    (f"{stem}ipur", f"{stem}ypur")
    for stem in ("Ra", "Jod", "Kan", "Sol", "Tez", "Bil", "Nag", "Mirz", "Had", "Gor")
]
"""Pairs of entries that are two and in doubt: 15 of all 24 hold a pair, whichever they are."""
HARBOURS = [
    *((name, "") for pair in LOOK_ALIKE for name in pair),
    ("Saint Helier", "St. Helier"),
    ("Dock 4", "Dock IV"),
    ("Dock 5", ""),
    ("Karamabad", ""),
]
"""(name, another form of it)."""


def start_harbours(directory: Path, *words: str) -> Run:
    catalog = directory / "harbours.txt"
    lines = [f"{name}\t\t{form}" if form else name for name, form in HARBOURS]
    catalog.write_text("\n".join(["# topic: Harbours", *lines]), "utf-8")
    return start_run(directory, "Harbours", "--catalog", str(catalog), "--peers", "2", *words)


def review(run: Run, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "run_mesh.py"), "review", "run", *words],
        cwd=run.directory,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_other_forms_are_no_entries_and_judges_decide_what_is_in_doubt(tmp_path: Path) -> None:
    run = start_harbours(tmp_path)
    judged = "SELECT count(*) FROM doubts WHERE judge LIKE 'simulated:%'"
    eventually(lambda: len(run.lines()) >= 15, "entries like others")
    eventually(lambda: run.query(judged)[0][0] > 0, "a judgement")
    run.signal_group()
    assert run.wait() == 0
    assert_nothing_lost_or_doubled(run)
    found = set(run.lines())
    assert not {"Dock 4", "Dock IV"} <= found
    assert not {"Saint Helier", "St. Helier"} <= found
    assert run.query("SELECT count(*) FROM calls WHERE purpose = 'judgements'")[0][0] > 0
    assert run.query("SELECT count(*) FROM waiting") == [(0,)]


@pytest.fixture
def finished(tmp_path: Path) -> Run:
    run = start_harbours(tmp_path, "--no-judge", "--target", "15")
    assert run.wait() == 0
    assert run.query("SELECT count(*) FROM calls WHERE purpose = 'judgements'") == [(0,)]
    return run


def test_a_person_makes_two_entries_one_and_one_two_and_the_run_goes_on_with_it(
    finished: Run,
) -> None:
    run, before = finished, finished.lines()
    text, entry = before[3], before[8]
    made_one = review(run, "--merge", text, entry)
    assert made_one.returncode == 0, made_one.stderr
    assert f"{text}  =  {entry}  [you]" in made_one.stdout
    rest = [line for line in before if line != text]
    assert run.lines() == run.accepted() == rest
    assert run.query('SELECT sum("unique") FROM model_totals') == [(len(rest),)]

    taken_apart = review(run, "--apart", text)
    assert taken_apart.returncode == 0, taken_apart.stderr
    assert run.lines() == run.accepted() == [*rest, text]
    assert f"{text}  ≠  {entry}  [different, said you]" in taken_apart.stdout

    assert review(run, "--merge", text, entry).returncode == 0
    again = start_harbours(run.directory, "--target", str(len(rest) + 2))
    assert again.wait() == 0
    assert "complete" in again.said
    assert again.lines()[: len(rest)] == rest
    assert text not in again.lines()
    assert_nothing_lost_or_doubled(again)


def test_what_is_in_doubt_is_listed_and_what_cannot_be_decided_is_said(finished: Run) -> None:
    pairs = finished.query(
        "SELECT a.text, b.text FROM doubts JOIN items a ON a.ordinal = doubts.ordinal "
        "JOIN items b ON b.ordinal = other WHERE verdict = 'open'"
    )
    said = review(finished).stdout
    assert f"{len(pairs)} pairs in doubt" in said
    assert f"{pairs[0][0]}  ?  {pairs[0][1]}" in said
    said = review(finished, "--different", *reversed(pairs[0])).stdout
    assert f"{pairs[0][0]}  ≠  {pairs[0][1]}  [different, said you]" in said

    before = finished.lines()
    entry = before[0]
    for words, why in (
        (("--apart", entry), f"'{entry}' is no other form"),
        (("--merge", "Nowhere", entry), "'Nowhere' is no entry of the list"),
        (("--merge", entry, entry.upper()), "are one entry already"),
        (("--different", entry, entry.upper()), "are one entry"),
        (("--merge", entry), "expected 2 arguments"),
    ):
        refused = review(finished, *words)
        assert refused.returncode == 2
        assert why in refused.stderr
    assert finished.lines() == finished.accepted() == before


def test_a_run_that_goes_on_can_be_looked_at_and_not_edited(tmp_path: Path) -> None:
    run = start_run(tmp_path, "Cities of the world", "--peers", "1", "--budget-usd", "none")
    eventually(lambda: len(run.lines()) > 20, "entries")
    looked = review(run)
    assert looked.returncode == 0
    assert "other forms of entries" in looked.stdout
    refused = review(run, "--merge", *run.lines()[:2])
    assert refused.returncode == 1
    assert "goes on" in refused.stderr
    run.signal_group()
    assert run.wait() == 0
