"""How soon a run has something to show: from the command to the first accepted entry.

Starts `run_mesh.py "Paris attractions" --peers 5` as a user does, with simulated models at their
own speed and with the page, several times after a warm-up, and reads the times from run.sqlite:
a producer is ready when its first call begins. The import of two SDKs is most of a start.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.reporting import CHECKOUT, Report, parse_options

RUNS = 5
RUNS_QUICK = 2
PEERS = 5
TARGET = 40


@dataclass(frozen=True, slots=True)
class Start:
    """One start, in seconds from the command."""

    first_ready_s: float
    all_ready_s: float
    first_entry_s: float
    ended_s: float


def measure(directory: Path) -> Start:
    """Start a new run in `directory`, let it reach a small target, and read its times."""
    command_s = time.time()
    done = subprocess.run(
        [
            sys.executable,
            str(CHECKOUT / "run_mesh.py"),
            "Paris attractions",
            *("--model", "simulated", "--peers", str(PEERS), "--target", str(TARGET)),
            *("--port", "0", "--run-dir", str(directory / "run")),
        ],
        cwd=directory,
        env={name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    ended_s = time.time() - command_s
    if done.returncode:
        raise SystemExit(f"run_mesh.py ended with {done.returncode}: {done.stdout}{done.stderr}")
    with sqlite3.connect(directory / "run" / "run.sqlite") as database:
        (first_entry_s,) = database.execute("SELECT min(t_s) FROM items").fetchone()
        (started_ms,) = database.execute(
            "SELECT value FROM meta WHERE name = 'started_ms'"
        ).fetchone()
        firsts = database.execute(
            "SELECT min(started_ms) FROM calls GROUP BY origin ORDER BY 1"
        ).fetchall()
    supervised_s = int(started_ms) / 1000 - command_s
    ready_s = [first_ms / 1000 - command_s for (first_ms,) in firsts]
    return Start(ready_s[0], ready_s[-1], supervised_s + first_entry_s, ended_s)


def main() -> None:
    options = parse_options(__doc__ or "")
    runs = RUNS_QUICK if options.quick else RUNS
    report = Report("startup", {"runs": runs, "peers": PEERS, "models": "simulated"})
    with tempfile.TemporaryDirectory() as name:
        for number in range(runs + 1):
            directory = Path(name) / str(number)
            directory.mkdir()
            start = measure(directory)
            if number == 0:
                continue  # The warm-up fills the file cache.
            report.add("first_entry_after_command_s", start.first_entry_s, target="<= 5")
            waited_s = start.first_entry_s - start.first_ready_s
            report.add("first_entry_after_first_producer_ready_s", waited_s, target="<= 1.5")
            report.add("first_producer_ready_s", start.first_ready_s)
            report.add("last_producer_ready_s", start.all_ready_s)
            report.add("run_of_40_entries_s", start.ended_s)
    report.print(as_json=options.as_json)


if __name__ == "__main__":
    main()
