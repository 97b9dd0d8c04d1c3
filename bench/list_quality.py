"""How clean the list of a run is: entries that it counts twice, and entries that it swallows.

Runs of real processes with simulated models. The catalog knows which names are one entry. Against
`keys alone` every other form that a run has merged rightly would be a line of its own. A form that
was merged wrongly is an entry that the list lacks, unless it stands there by another name.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.reporting import Report
from mesh.simulation.catalog import Catalog, CatalogShelf

ROOT = Path(__file__).resolve().parents[1]
TOPICS = {"Paris attractions": 350, "Cities of the world": 2500}
"""Topics and how many entries a run goes on to."""
QUICK_TOPICS = {"Paris attractions": 200}
RUN_S_MAX = 300
MODES = {"judged": "--judge", "unjudged": "--no-judge"}


@dataclass(frozen=True, slots=True)
class ListQuality:
    """One run's list, compared with the catalog."""

    lines: int
    second_forms: int
    """Lines that name what an earlier line names."""
    merged_rightly: int
    merged_wrongly: int
    in_doubt: int
    """Second forms that `review` lists with what they are."""

    @property
    def second_forms_by_keys(self) -> float:
        """Share of the lines, had keys alone decided."""
        return (self.second_forms + self.merged_rightly) / (self.lines + self.merged_rightly)


def main() -> None:
    options = _options()
    topics = QUICK_TOPICS if options.quick else TOPICS
    seeds = range(options.seed, options.seed + (1 if options.quick else options.seeds))
    report = Report("list_quality", {"peers": options.peers, "seeds": list(seeds)})
    for topic, target in topics.items():
        catalog = CatalogShelf().find(topic)
        assert catalog is not None
        for mode, switch in MODES.items():
            found = [_measured(catalog, target, options.peers, seed, switch) for seed in seeds]
            _report(report, f"{topic.split()[0].lower()}_{mode}", found)
    report.print(as_json=options.json)


def _report(report: Report, side: str, found: list[ListQuality]) -> None:
    report.add(f"{side}_lines_count", *[each.lines for each in found])
    report.add(
        f"{side}_keys_alone_second_forms_ratio", *[each.second_forms_by_keys for each in found]
    )
    report.add(f"{side}_second_forms_ratio", *[each.second_forms / each.lines for each in found])
    report.add(f"{side}_second_forms_in_doubt_count", *[each.in_doubt for each in found])
    report.add(f"{side}_merged_rightly_count", *[each.merged_rightly for each in found])
    report.add(f"{side}_merged_wrongly_count", *[each.merged_wrongly for each in found])


def _measured(catalog: Catalog, target: int, peers: int, seed: int, switch: str) -> ListQuality:
    with tempfile.TemporaryDirectory(prefix="list-quality-") as directory:
        words = [catalog.topic, "--peers", str(peers), "--target", str(target), switch]
        words += ["--headless", "--budget-usd", "none", "--time-scale", "5", "--seed", str(seed)]
        subprocess.run(
            [sys.executable, str(ROOT / "run_mesh.py"), *words, "--run-dir", "run"],
            cwd=directory,
            check=True,
            timeout=RUN_S_MAX,
            stdout=subprocess.DEVNULL,
        )
        with sqlite3.connect(Path(directory) / "run" / "run.sqlite") as database:
            return compared(catalog, database)


def compared(catalog: Catalog, database: sqlite3.Connection) -> ListQuality:
    """What the catalog says of a list."""
    texts = [text for (text,) in database.execute("SELECT text FROM items ORDER BY ordinal")]
    first: dict[int, str] = {}
    second_forms: dict[str, str] = {}
    for text in texts:
        index = catalog.index_of(text)
        if index is not None and first.setdefault(index, text) != text:
            second_forms[text] = first[index]
    merged = database.execute(
        "SELECT o.text, i.text FROM other_forms o JOIN items i ON i.ordinal = o.ordinal"
    ).fetchall()
    rightly = sum(
        (index := catalog.index_of(text)) is not None and index == catalog.index_of(entry)
        for text, entry in merged
    )
    doubts = set(
        database.execute(
            """SELECT a.text, b.text FROM doubts JOIN items a ON a.ordinal = doubts.ordinal
            JOIN items b ON b.ordinal = doubts.other WHERE verdict = 'open'"""
        )
    )
    return ListQuality(
        lines=len(texts),
        second_forms=len(second_forms),
        merged_rightly=rightly,
        merged_wrongly=len(merged) - rightly,
        in_doubt=sum(pair in doubts for pair in second_forms.items()),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--peers", type=int, default=5, help="producers (5)")
    parser.add_argument("--seed", type=int, default=0, help="the first (0)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each kind (3)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
