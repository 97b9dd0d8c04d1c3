"""A node's directory: its identity, its lock, its logs.

The lock is held for the process's lifetime, so a node never runs twice, whatever a supervisor
believes of its children. Identity and ports survive restarts: peers find the node where it was.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mesh.core.items import NODE_ID_BYTES, LogId, NodeId
from mesh.storage.node_log import LogReader, NodeLog, log_path, stored_logs, write_json
from mesh.storage.run_directory import DirectoryLock

IDENTITY_FILE = "node.json"
FORMAT_VERSION = 1


class DamagedIdentity(Exception):
    """node.json cannot be read; the message says what to do."""


@dataclass(slots=True)
class NodeDirectory:
    """One node's files, opened and locked."""

    path: Path
    origin: NodeId
    ports: tuple[int, int] | None
    last_epoch: int
    members: list[dict[str, Any]]
    """Members known at the last save, as the node put them."""
    earlier: dict[int, LogReader]
    """Logs of earlier epochs."""
    _lock: DirectoryLock = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> NodeDirectory:
        """Open and lock, made new where there is none.

        Raises:
            AlreadyLocked: this node runs already.
            DamagedIdentity: node.json is unreadable.
            OSError: the directory cannot be made.
        """
        make_private(path)
        lock = DirectoryLock.acquire(path)
        try:
            identity = read_identity(path)
            earlier = stored_logs(path)
        except BaseException:
            lock.close()
            raise
        return cls(
            path=path,
            origin=identity.origin if identity else NodeId(secrets.token_bytes(NODE_ID_BYTES)),
            ports=identity.ports if identity else None,
            last_epoch=max([identity.last_epoch if identity else 0, *earlier]),
            members=list(identity.members) if identity else [],
            earlier=earlier,
            _lock=lock,
        )

    def open_epoch(self, now_ms: int) -> int:
        """Begin a new epoch, above every earlier one, and remember it."""
        self.last_epoch = max(now_ms, self.last_epoch + 1)
        self.save()
        return self.last_epoch

    def create_log(self) -> NodeLog:
        return NodeLog.create(log_path(self.path, self.last_epoch))

    def save(self) -> None:
        write_json(
            self.path / IDENTITY_FILE,
            {
                "format_version": FORMAT_VERSION,
                "origin": self.origin.hex(),
                "ports": self.ports,
                "last_epoch": self.last_epoch,
                "members": self.members,
            },
        )

    def close(self) -> None:
        self._lock.close()


def make_private(path: Path) -> None:
    """Make a directory and its parents, those that are new readable by their owner alone."""
    if not path.parent.exists():
        make_private(path.parent)  # `parents=True` would give them the usual mode.
    path.mkdir(exist_ok=True, mode=0o700)


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """What node.json says."""

    origin: NodeId
    ports: tuple[int, int] | None
    last_epoch: int
    members: list[dict[str, Any]]


def read_identity(path: Path) -> StoredIdentity | None:
    """Read a node's identity without opening the node; None when there is none.

    Raises:
        DamagedIdentity: the file is not what we wrote.
    """
    try:
        stored: Mapping[str, Any] = json.loads((path / IDENTITY_FILE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedIdentity(_damaged(path)) from error
    try:
        origin = bytes.fromhex(stored["origin"])
        ports = stored["ports"]
        if len(origin) != NODE_ID_BYTES or stored["format_version"] != FORMAT_VERSION:
            raise DamagedIdentity(_damaged(path))
        return StoredIdentity(
            NodeId(origin),
            (int(ports[0]), int(ports[1])) if ports else None,
            int(stored["last_epoch"]),
            list(stored["members"]),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise DamagedIdentity(_damaged(path)) from error


def logs_of_all_nodes(nodes_directory: Path) -> dict[LogId, LogReader]:
    """Readers of every node log below a run's `nodes` directory; unreadable ones are left out."""
    logs: dict[LogId, LogReader] = {}
    for path in sorted(nodes_directory.glob("*")):
        try:
            identity = read_identity(path)
        except (DamagedIdentity, OSError):
            continue
        if identity:
            for epoch, reader in stored_logs(path).items():
                logs[LogId(identity.origin, epoch)] = reader
    return logs


def _damaged(path: Path) -> str:
    return f"{path / IDENTITY_FILE} is damaged: move {path} away, or start with --new"
