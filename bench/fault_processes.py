"""Processes as Linux's /proc shows them: who belongs to a run, who holds a lock, what they take.

Nothing here knows the program that is tested: its processes are told by the session that they
were started in, nodes by the lock that each holds on its directory.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one process takes of its machine."""

    own_bytes: int
    """PSS: its own memory and its share of what it shares."""
    resident_bytes: int
    descriptors: int


def processes_of_session(session: int) -> list[int]:
    """Process ids of all that run in a session, stopped ones too, dead ones not."""
    return [
        process_id for process_id, state, of in _all_processes() if of == session and state != "Z"
    ]


def kill_session(session: int) -> None:
    """Kill -9 all processes of a session in the same moment: none sees another's death.

    Its leader's process group must be all of it.
    """
    if processes_of_session(session):  # Its number may be another's by now.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)


def send(process_id: int, number: signal.Signals) -> bool:
    """Send a signal; False when there is no such process any more."""
    try:
        os.kill(process_id, number)
    except ProcessLookupError:
        return False
    return True


def command_of(process_id: int) -> str:
    """Its command line; empty when it is gone."""
    try:
        words = (PROC / str(process_id) / "cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode(errors="replace")


def lock_holder(path: Path) -> int | None:
    """Process id of who holds the lock (flock) on `path`."""
    try:
        inode = str(path.stat().st_ino)
        lines = (PROC / "locks").read_text("ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        # "1: FLOCK  ADVISORY  WRITE 4711 fe:00:131082 0 EOF"; "->" before FLOCK: it waits.
        words = line.split()
        if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode:
            return int(words[4])
    return None


def footprint(process_id: int) -> Footprint | None:
    """What it takes now; None when it is gone."""
    try:
        rollup = (PROC / str(process_id) / "smaps_rollup").read_text("ascii")
        descriptors = len(list((PROC / str(process_id) / "fd").iterdir()))
    except OSError:
        return None
    lines = [line.split() for line in rollup.splitlines()]
    sizes = {words[0]: int(words[1]) for words in lines if words[-1] == "kB"}
    return Footprint(sizes["Pss:"] * 1024, sizes["Rss:"] * 1024, descriptors)


def _all_processes() -> Iterator[tuple[int, str, int]]:
    """(process id, state, session) of every process."""
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name, in brackets, may hold anything; what follows its last bracket not.
                fields = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                yield int(entry.name), fields[0], int(fields[3])
