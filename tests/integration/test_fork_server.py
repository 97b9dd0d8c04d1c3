"""The fork server as a process, over its socket pair."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]

FORK_SERVER = "mesh.nodes.supervising.fork_server"


def test_a_supervisor_that_leaves_without_its_answer_is_no_error() -> None:
    """A run that ends while a producer starts must not end with a traceback on the terminal."""
    ours, theirs = socket.socketpair()
    childs, given = socket.socketpair()
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", FORK_SERVER, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    with ours, childs, given:
        socket.send_fds(ours, [b"f"], [given.fileno()])
        ours.recv(4, socket.MSG_PEEK)  # The answer is there, and stays unread.
    _, complaint = server.communicate(timeout=PATIENCE_S)
    assert complaint == b""
    assert server.returncode == 0
