"""What a person sees of a run on a terminal, through a real one's device."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.running import QUICK_MODELS, ROOT, clean_environment
from tests.patience import PATIENCE_S
from tests.unit.terminal_screen import TerminalScreen

QUIET_S = 0.1


class RunOnTerminal:
    """`run_mesh.py` on a terminal device of its own, and what is on its screen."""

    def __init__(self, directory: Path, *words: str, width: int, height: int) -> None:
        self.screen = TerminalScreen(width, height)
        self.written = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._device, other_end = pty.openpty()
        self._set_size(width, height)
        environment = clean_environment() | {"TERM": "xterm", "NO_COLOR": ""}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "run_mesh.py"), *words, *QUICK_MODELS],
            cwd=directory, env=environment, start_new_session=True,
            stdin=other_end, stdout=other_end, stderr=other_end,
        )  # fmt: skip
        os.close(other_end)

    def resize(self, width: int, height: int) -> None:
        # What was drawn for the old size is on the screen before.
        while select.select([self._device], [], [], QUIET_S)[0] and self._read():
            pass
        self.screen.resize(width, height)
        self._set_size(width, height)
        self.process.send_signal(signal.SIGWINCH)

    def read_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, f"{what}; on the screen: {self.screen.text}"
            assert self._read(), f"ended before {what}; on the screen: {self.screen.text}"

    def wait(self) -> int:
        while self._read():
            pass
        return self.process.wait(timeout=PATIENCE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        os.close(self._device)

    def _read(self) -> bool:
        """Take in what has been written; False when nobody writes any more."""
        try:
            text = self._decoder.decode(os.read(self._device, 65_536))
        except OSError:  # What a terminal's device says when its other end is closed.
            return False
        self.written += text
        self.screen.write(text)
        return True

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self._device, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunOnTerminal]]:
    started: list[RunOnTerminal] = []

    def begin(*words: str, width: int = 120, height: int = 60) -> RunOnTerminal:
        run = RunOnTerminal(
            tmp_path, "Paris attractions", "--run-dir", "run", *words, width=width, height=height
        )
        started.append(run)
        return run

    yield begin
    for run in started:
        run.close()


def test_live_lines_follow_a_terminal_that_is_resized_and_leave_nothing_behind(
    start: Callable[..., RunOnTerminal],
) -> None:
    run = start("-v", "--peers", "1", "--target", "150", "--time-scale", "3", "--port", "0")
    peer = "mesh: 1 peer  "
    run.read_until(lambda: any(peer in line for line in run.screen.text), "a live block")
    for width in (45, 90, 30):
        mark = len(run.written)
        run.resize(width, 60)
        run.read_until(lambda mark=mark: "found" in run.written[mark:], "the block anew")  # type: ignore[misc]
        heads = [line for line in run.screen.text if line.startswith("Paris attractions  ")]
        assert len(heads) == 1
        assert all(len(line) <= width for line in run.screen.text)
    run.resize(120, 60)
    assert run.wait() == 0
    text = run.screen.text
    assert run.screen.cursor_shown
    assert not any(line.startswith(("Paris attractions  ", peer)) for line in text)
    for words in (
        "producer-1 starts; it asks simulated:atlas",
        "producer-1 is ready",
        "simulated:atlas: first new entries",
        "the end begins: target of 150 entries reached",
        "producer-1 has left",
        "  ended       target of 150 entries reached",
    ):
        assert sum(line.startswith(words) for line in text) == 1, words


def test_without_a_page_a_terminal_gets_plain_lines(start: Callable[..., RunOnTerminal]) -> None:
    run = start("--headless", "--peers", "1", "--target", "20", "--time-scale", "20", width=40)
    assert run.wait() == 0
    assert "\x1b" not in run.written
    assert "running (simulated), " in run.written
