"""How many files a process may have open, and how many nodes one machine's mesh is good for.

At the descriptor limit a ZeroMQ socket can hang silently (pyzmq#1642), so the limit is raised
when a process starts, and too low a one is said before anything is.
"""

from __future__ import annotations

import contextlib
import resource

DESCRIPTORS_A_NODE = 5
"""Feed, service and dialled connections to one other node, twice while one is replaced."""
DESCRIPTORS_BESIDE = 100
PEERS_ADVISED_MAX = 40
"""On two cores, at 5 entries a second from each, the mesh alone takes 0.4 of a core with 10 peers,
1.0 with 20 and 1.3 with 40 (bench/mesh_scale.py): each entry goes to every peer, so that the work
grows with the square of their number."""


def raise_descriptor_limit(node_count: int) -> str | None:
    """Let this process, and those it starts from now on, open as many files as it may.

    Args:
        node_count: nodes of the run, the collector among them.

    Returns:
        What is wrong, for a person, where the mesh needs more files than that; None where it
        does not.
    """
    needed = DESCRIPTORS_A_NODE * node_count + DESCRIPTORS_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # macOS states that it knows no limit, and allows less.
        for wanted in (max(soft, needed), hard):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY or allowed >= needed:
        return None
    return (
        f"{node_count} nodes need {needed} open files a process, and {allowed} are allowed here: "
        f"raise the limit (ulimit -Hn {needed}, as root), or start fewer with --peers"
    )


def peers_warning(peer_count: int) -> str | None:
    """What to say of so many producers on one machine; None where it is fine."""
    if peer_count <= PEERS_ADVISED_MAX:
        return None
    return (
        f"{peer_count} producers on one machine: every entry goes to all of them, and above "
        f"{PEERS_ADVISED_MAX} that takes the processors from their calls (measured on two cores); "
        "put some on other machines"
    )
