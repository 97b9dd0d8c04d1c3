"""A process that has imported an SDK once and forks producers from there.

Importing the SDKs costs 0.6 to 1.2 s of processor time in every process; forked, five producers
pay it once. The standard library's fork server reports its children dead when it is itself
killed, while they live on; here each child has its own channel to the supervisor, so that the
death of this process means nothing for them: the supervisor starts another for the next fork.

Protocol, over a Unix socket pair: each message from the supervisor is one byte and the child's
end of a new channel (SCM_RIGHTS); the answer is the child's process id, 4 bytes, big-endian.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys

from mesh.nodes import child


def main(descriptor: int, modules: list[str]) -> None:
    """Import `modules`, then fork a child for every request until the supervisor is gone."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # The kernel reaps the children: nobody here asks how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for module in modules:
        # One that fails to import says so in the producer that needs it.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.freeze()
    supervisor = socket.socket(fileno=descriptor)
    while True:
        try:
            request, ends, _, _ = socket.recv_fds(supervisor, 1, 1)
        except ConnectionError:
            # The supervisor left without reading the last answer: an end like any other.
            return
        if not request:
            return
        if not ends:
            continue
        process_id = os.fork()
        if process_id == 0:
            supervisor.close()
            _become_child(ends[0])
        os.close(ends[0])
        try:
            supervisor.sendall(process_id.to_bytes(4, "big"))
        except OSError:
            return


def _become_child(end: int) -> None:
    """Never returns: a forked process must not run its parent's loop."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        status = child.main(end)
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
