"""The machines of a run under faults: a command each, its processes, its nodes.

A machine is one `run_mesh.py` as a user starts it, in a directory and a session of its own. What
happens to it is decided elsewhere; whatever did, `Machine.start` types the same command again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.fault_processes import command_of, kill_session, lock_holder, processes_of_session
from mesh.storage.run_directory import LOCK_FILE

CHECKOUT = Path(__file__).resolve().parents[1]
CONSOLE_FILE = "console.txt"
COLLECTOR = "collector"
_PROVIDERS = ("OPENAI_", "ANTHROPIC_", "TOPICMESH_")


@dataclass(slots=True, eq=False)
class Machine:
    """One command, started any number of times."""

    name: str
    words: Sequence[str]
    """What is typed after `run_mesh.py`."""
    directory: Path
    node_names: Sequence[str]
    prefix: Sequence[str] = ()
    """What is typed before it, such as `ip netns exec ...`."""
    statuses: list[int] = field(default_factory=list)
    """Exit status of each start that has ended; negative: killed by that signal."""
    _process: subprocess.Popen[bytes] | None = None
    _sessions: list[int] = field(default_factory=list)

    @property
    def run_dir(self) -> Path:
        return self.directory / "run"

    @property
    def nodes(self) -> list[Node]:
        return [Node(self, name) for name in self.node_names]

    @property
    def is_collectors(self) -> bool:
        return COLLECTOR in self.node_names

    def start(self) -> None:
        """Type the command; what it prints is added to the console file."""
        assert not self.is_running()
        self._sessions = [each for each in self._sessions if processes_of_session(each)]
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / CONSOLE_FILE).open("ab") as console:
            self._process = subprocess.Popen(
                [*self.prefix, sys.executable, str(CHECKOUT / "run_mesh.py"), *self.words],
                cwd=self.directory,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._sessions.append(self._process.pid)

    def is_running(self) -> bool:
        """Whether the command has not ended; its end is noted."""
        if self._process is not None and (status := self._process.poll()) is not None:
            self.statuses.append(status)
            self._process = None
        return self._process is not None

    def interrupt(self) -> None:
        """Ctrl-C."""
        if self.is_running() and self._process is not None:
            os.killpg(self._process.pid, signal.SIGINT)

    def kill_command(self) -> None:
        """Kill -9 the process that was started; its children live for as long as they do."""
        if self.is_running() and self._process is not None:
            self._process.kill()
            self._ended(self._process)

    def power_off(self) -> None:
        """Kill -9 everything at once, and what earlier starts have left."""
        for session in self._sessions:
            kill_session(session)
        if self._process is not None:
            self._ended(self._process)

    def wait(self, timeout_s: float) -> int:
        """Wait for the command's end; return its exit status.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        if self.is_running() and self._process is not None:
            self._process.wait(timeout_s)
            self.is_running()
        return self.statuses[-1]

    def processes(self) -> list[int]:
        """All that runs for it, whoever started it."""
        return [each for session in self._sessions for each in processes_of_session(session)]

    def fork_servers(self) -> list[int]:
        """Those of its processes that nodes are forked from."""
        nodes = {node.process_id() for node in self.nodes}
        forked = (each for each in self.processes() if each not in nodes)
        return [each for each in forked if "mesh.nodes.supervising.fork_server" in command_of(each)]

    def console(self) -> str:
        """All that it has printed."""
        path = self.directory / CONSOLE_FILE
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self.is_running()


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a machine, over all its starts."""

    machine: Machine
    name: str

    @property
    def directory(self) -> Path:
        return self.machine.run_dir / "nodes" / self.name

    @property
    def is_collector(self) -> bool:
        return self.name == COLLECTOR

    def __str__(self) -> str:
        return f"{self.machine.name}/{self.name}"

    def process_id(self) -> int | None:
        """The process that it is now; None while there is none."""
        return lock_holder(self.directory / LOCK_FILE)

    def ports(self) -> tuple[int, int]:
        """(feed, service) as it has them."""
        identity = json.loads((self.directory / "node.json").read_text("utf-8"))
        feed, service = identity["ports"]
        return feed, service


def _environment() -> dict[str, str]:
    """This environment without what would have it ask real models."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(_PROVIDERS)
    } | {"PYTHONUNBUFFERED": "1"}
