"""A run as a user starts it, for the tests: started, watched over HTTP, signalled, looked into."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from mesh.core.entries import LogEntry
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
QUICK_MODELS = ("--model", "simulated:atlas", "--model", "simulated:swift")
"""Spoken to by one SDK: importing the other takes each run 3 s of processor time."""
_started: list[Run] = []
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")


def eventually(condition: Callable[[], Any], what: str, wait_s: float = PATIENCE_S) -> Any:
    """The first true value of `condition`; fails, saying `what` was awaited, when none comes."""
    deadline_s = time.monotonic() + wait_s
    while time.monotonic() < deadline_s:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {wait_s:g} s: {what}")


@dataclass
class Run:
    """One `run_mesh.py` in a directory of its own."""

    directory: Path
    process: subprocess.Popen[str]
    run_dir: Path
    output: Path
    _said: list[str] = field(default_factory=list)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for its end; return its exit status."""
        # Not by `communicate`: it does not see what a line read before has left in the buffer.
        reading = threading.Thread(target=self._read_on, daemon=True)
        reading.start()
        reading.join(timeout_s)
        if reading.is_alive():
            raise subprocess.TimeoutExpired(self.process.args, timeout_s, self.said)
        return self.process.wait(timeout_s)

    def _read_on(self) -> None:
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            self._said.extend(self.process.stdout)
            self.process.stdout.close()

    @property
    def said(self) -> str:
        """What it printed; complete once it has ended."""
        return "".join(self._said)

    def signal_group(self, number: int = signal.SIGINT) -> None:
        """Send a signal to the whole foreground group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def children(self, kind: str = "") -> list[psutil.Process]:
        """Its processes whose command line or label holds `kind`, whoever their parent is."""
        return [
            process
            for process in mesh_processes()
            if _belongs(process, self) and kind in " ".join(_command_line(process))
        ]

    def accepted(self) -> list[str]:
        """Accepted entries in run.sqlite, in order."""
        path = self.run_dir / "run.sqlite"
        if not path.exists():
            return []
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            try:
                return [
                    row[0] for row in database.execute("SELECT text FROM items ORDER BY ordinal")
                ]
            except sqlite3.OperationalError:
                return []

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of run.sqlite; [] before there is one."""
        if not (self.run_dir / "run.sqlite").exists():
            return []
        with sqlite3.connect(f"file:{self.run_dir / 'run.sqlite'}?mode=ro", uri=True) as database:
            return database.execute(sql).fetchall()

    def lines(self) -> list[str]:
        """Lines of output.txt."""
        return self.output.read_text("utf-8").splitlines() if self.output.exists() else []

    def page_url(self) -> str:
        """Where its page is, once it says so."""
        return self.await_said(r"page: (http://\S+)")[1]

    def await_said(self, pattern: str) -> re.Match[str]:
        """Read what it prints until `pattern` is in it."""
        assert self.process.stdout is not None
        while (match := re.search(pattern, self.said)) is None:
            line = self.process.stdout.readline()
            assert line, f"ended without saying {pattern!r}:\n{self.said}"
            self._said.append(line)
        return match

    def get(self, path: str) -> Any:
        """JSON of its page server."""
        with urllib.request.urlopen(f"{self.page_url()}/{path}", timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def control(self, **request: Any) -> tuple[int, Any]:
        """POST /api/control; (status, answer)."""
        asked = urllib.request.Request(
            f"{self.page_url()}/api/control",
            data=json.dumps(request).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def start_run(
    directory: Path,
    *words: str,
    environment: dict[str, str] | None = None,
    time_scale: float = 20.0,
    page_port: str | None = None,
    usual_models: bool = False,
) -> Run:
    """Start `run_mesh.py WORDS` in `directory`.

    Args:
        usual_models: where WORDS names none, ask those that the program chooses, not a few that
            start quickly.
        time_scale: of simulated models; not given where WORDS names others.
        page_port: "0" for any free one; None: no page.
    """
    options = ["--port", page_port] if page_port else ["--headless"]
    if not usual_models and {"--model", "--config"}.isdisjoint(words):
        options += QUICK_MODELS
    if not any("@" in word or word.startswith(("openai:", "anthropic:")) for word in words):
        options += ["--time-scale", str(time_scale)]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_mesh.py"), *words, "--run-dir", "run", *options],
        cwd=directory,
        env=clean_environment() | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    run = Run(directory, process, directory / "run", directory / "output.txt")
    _started.append(run)
    return run


def copy_of(finished: Run, directory: Path) -> Run:
    """A run that has ended, as it would be had it been made in `directory`: what continues it
    there changes nothing for other tests that look at it. `review` alone still knows where its
    output was."""
    shutil.copytree(finished.run_dir, directory / finished.run_dir.name)
    shutil.copy2(finished.output, directory)
    name = finished.run_dir.name, finished.output.name
    return Run(directory, finished.process, directory / name[0], directory / name[1])


def start_producers(
    directory: Path,
    *words: str,
    environment: dict[str, str] | None = None,
    standard_input: str | None = None,
) -> Run:
    """Start `run_mesh.py producer WORDS` in `directory`, as another machine would."""
    directory.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_mesh.py"), "producer", *words, "--run-dir", "run"],
        cwd=directory,
        env=clean_environment() | (environment or {}),
        stdin=subprocess.DEVNULL if standard_input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    if standard_input is not None:
        assert process.stdin is not None
        process.stdin.write(standard_input)
        process.stdin.close()
        process.stdin = None
    run = Run(directory, process, directory / "run", directory / "output.txt")
    _started.append(run)
    return run


def end_all_runs() -> None:
    """Kill what a failed test has left; a run that ended has nothing left to kill."""
    while _started:
        run = _started.pop()
        with contextlib.suppress(ProcessLookupError):
            run.signal_group(signal.SIGKILL)
        run.process.wait()


def clean_environment() -> dict[str, str]:
    """This environment without any key or address of a provider."""
    return {name: value for name, value in os.environ.items() if name not in _KEYS}


def mesh_processes() -> list[psutil.Process]:
    """All processes of any run on this machine, supervisors aside."""
    return [
        process
        for process in psutil.process_iter()
        if any(word.startswith("mesh.nodes.") for word in _command_line(process))
    ]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def _belongs(process: psutil.Process, run: Run) -> bool:
    try:
        return Path(process.cwd()) == run.directory.resolve()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def node_process(run: Run, label: str) -> psutil.Process:
    """The process that holds the lock of the node `label`; waits for it."""

    lock = run.run_dir / "nodes" / label / "lock"

    def holder() -> psutil.Process | None:
        for process in run.children():
            try:
                if str(lock.resolve()) in {file.path for file in process.open_files()}:
                    return process
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return None

    process: psutil.Process = eventually(holder, f"{label} to hold its lock")
    return process


def assert_nothing_lost_or_doubled(run: Run, *guests: Run) -> None:
    """output.txt equals run.sqlite, holds no key twice, and every entry said by anyone is in it,
    or is another form of one that is.

    Args:
        guests: producers that have joined `run` from directories of their own.
    """
    from mesh.core.normalize import item_key

    lines = run.lines()
    assert lines == run.accepted()
    keys = {item_key(line) for line in lines}
    assert len(keys) == len(lines)
    said = [text for each in (run, *guests) for text in said_entries(each)]
    forms = {text for (text,) in run.query("SELECT text FROM other_forms")}
    assert keys.isdisjoint(map(item_key, forms))
    assert {item_key(text) for text in said} <= keys | set(map(item_key, forms))
    assert len(said) > 0


def said_entries(run: Run, label: str = "*") -> list[str]:
    """Texts of all Found entries in the logs on disk of the node `label`, or of all nodes."""
    from mesh.core.entries import Found

    logs = node_logs(run, label).values()
    return [entry.text for log in logs for entry in log if isinstance(entry, Found)]


def node_logs(run: Run, label: str = "*") -> dict[Path, list[LogEntry]]:
    """All entries of each log on disk, in order: the first has seq 1."""
    from mesh.storage.node_log import LogReader
    from mesh.wire.codec import decode_entries, decode_header

    logs: dict[Path, list[LogEntry]] = {}
    for path in (run.run_dir / "nodes").glob(f"{label}/epoch-*.log"):
        logs[path] = []
        for stored in LogReader(path).new_frames():
            header = decode_header(stored.frame, stored.frame[8:24])
            logs[path] += decode_entries(stored.frame, header)
    return logs
