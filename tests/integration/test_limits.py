"""The limit of open files, in processes that have one of their own."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mesh.nodes.supervising.limits import PEERS_ADVISED_MAX, peers_warning

CHECKOUT = Path(__file__).resolve().parents[2]


def under_limit(soft: int, hard: int, code: str) -> str:
    """What `code` prints where so many files may be open."""
    result = subprocess.run(
        [sys.executable, "-c", f"from mesh.nodes.supervising.limits import *; {code}"],
        env={"PYTHONPATH": str(CHECKOUT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_limit_is_raised_as_far_as_it_may_be() -> None:
    code = "print(raise_descriptor_limit(51), resource.getrlimit(resource.RLIMIT_NOFILE))"
    assert under_limit(256, 1024, code) == "None (1024, 1024)"


def test_too_low_a_limit_is_said_with_what_is_needed_and_what_to_do() -> None:
    said = under_limit(256, 300, "print(raise_descriptor_limit(51))")
    assert said.startswith("51 nodes need 355 open files a process, and 300 are allowed here")
    assert "ulimit -Hn 355" in said
    assert "--peers" in said


def test_a_run_that_needs_more_files_than_there_may_be_does_not_start(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(CHECKOUT / "run_mesh.py"), "Paris attractions", "--peers", "100"],
        cwd=tmp_path,
        env={"PATH": ""},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400)),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "error: 101 nodes need 605 open files a process, and 400 are allowed" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("count", "is_warned"), [(PEERS_ADVISED_MAX, False), (101, True)])
def test_more_producers_than_pay_on_one_machine_are_warned_of(count: int, is_warned: bool) -> None:
    assert (peers_warning(count) is not None) is is_warned
