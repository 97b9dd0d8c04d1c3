"""A node's directory: its identity, its lock, its logs; and the logs of all nodes beside it.

The lock is held for the process's lifetime, so a node never runs twice, whatever a supervisor
believes of its children. Identity, keys and ports survive restarts: peers find the node where it
was, as who it was. An identity that is damaged or gone is said, never made up anew: the node
would be a stranger to its own logs. A log that is missing or cannot be read hinders no start.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from mesh.core.items import NODE_ID_BYTES, LogId, NodeId
from mesh.storage.node_log import (
    EPOCH_MAX,
    LogReader,
    NodeLog,
    UnreadableLog,
    log_path,
    stored_logs,
    write_json,
)
from mesh.storage.run_directory import CREATED_MS_MAX, DirectoryLock

IDENTITY_FILE = "node.json"
FORMAT_VERSION = 1
EPOCH_LEAP_MS_MAX = 1_000_000
HEARD_EPOCH_MAX = CREATED_MS_MAX
"""Whoever says that I was here later lies: there would be no room above it some day."""
LOGS_LOOKED_FOR_MAX = 65_536


class DamagedIdentity(Exception):
    """node.json cannot be read or is gone; the message says what to do."""


@dataclass(slots=True)
class NodeDirectory:
    """One node's files, opened and locked."""

    path: Path
    origin: NodeId
    ports: tuple[int, int] | None
    last_epoch: int
    members: list[dict[str, Any]]
    """Members known at the last save, as the node put them."""
    collector: NodeId | None
    """Whom alone it takes for the run's collector; None: nobody has named it yet."""
    earlier: dict[int, LogReader]
    """Logs of earlier epochs, readable or not."""
    secrets: dict[str, str] = field(repr=False)
    """Its private keys as text, by name."""
    _lock: DirectoryLock = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> NodeDirectory:
        """Open and lock, made new where there is none.

        Raises:
            AlreadyLocked: this node runs already.
            DamagedIdentity: node.json is unreadable, or gone from beside its logs.
            OSError: the directory or node.json cannot be made or read.
        """
        make_private(path)
        lock = DirectoryLock.acquire(path)
        try:
            identity = read_identity(path)
            earlier = stored_logs(path)
            if identity is None and earlier:
                raise DamagedIdentity(_damaged(path, "is gone from beside its logs"))
        except BaseException:
            lock.close()
            raise
        identity = identity or StoredIdentity(NodeId(secrets.token_bytes(NODE_ID_BYTES)))
        return cls(
            path=path,
            origin=identity.origin,
            ports=identity.ports,
            last_epoch=max([identity.last_epoch, *earlier]),
            members=identity.members,
            collector=identity.collector,
            earlier=earlier,
            secrets=identity.secrets,
            _lock=lock,
        )

    def open_epoch(self, now_ms: int) -> int:
        """Begin a new epoch, above every earlier one, and remember it.

        Where the clock is behind, chance picks the next: a directory restored from an old copy
        must not open the very epoch that was opened after the copy was made.
        """
        later = self.last_epoch + 1 + secrets.randbelow(EPOCH_LEAP_MS_MAX)
        self.last_epoch = now_ms if now_ms > self.last_epoch else later
        self.save()
        return self.last_epoch

    def heard_epoch(self, epoch: int) -> bool:
        """Others have heard this node in `epoch`: the next one is above it, from now on.

        False: not believed, as it is later than HEARD_EPOCH_MAX.
        """
        if epoch > HEARD_EPOCH_MAX:
            return False
        if epoch > self.last_epoch:
            self.last_epoch = epoch
            self.save()
        return True

    def create_log(self) -> NodeLog:
        """Start this epoch's log; its file and node.json survive a power cut from here on."""
        log = NodeLog.create(log_path(self.path, self.last_epoch))
        _sync_directory(self.path)
        return log

    def earlier_logs(self) -> tuple[list[tuple[int, int]], list[str]]:
        """(epoch, last seq on disk) of the earlier logs that can be read, by epoch; and what is
        wrong with the others, a sentence each."""
        positions, problems = [], []
        for epoch, reader in sorted(self.earlier.items()):
            try:
                positions.append((epoch, reader.refresh()))
            except UnreadableLog as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(f"cannot read {reader.path}: {error.strerror or error}")
        return positions, problems

    def save(self) -> None:
        write_json(
            self.path / IDENTITY_FILE,
            {
                "format_version": FORMAT_VERSION,
                "origin": self.origin.hex(),
                "ports": self.ports,
                "last_epoch": self.last_epoch,
                "members": self.members,
                "collector": self.collector.hex() if self.collector else None,
                "secrets": self.secrets,
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
    ports: tuple[int, int] | None = None
    last_epoch: int = 0
    members: list[Any] = field(default_factory=list)
    collector: NodeId | None = None
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


_Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
_Origin = Annotated[str, msgspec.Meta(pattern=rf"^[0-9a-f]{{{2 * NODE_ID_BYTES}}}\Z")]


class _IdentityFile(msgspec.Struct):
    """node.json, field by field."""

    format_version: Literal[1]
    origin: _Origin
    ports: tuple[_Port, _Port] | None
    last_epoch: Annotated[int, msgspec.Meta(ge=0, lt=EPOCH_MAX)]
    members: list[Any]
    collector: _Origin | None = None
    secrets: dict[str, str] = {}


def read_identity(path: Path) -> StoredIdentity | None:
    """Read a node's identity without opening the node; None when there is none.

    Raises:
        DamagedIdentity: the file is not what we wrote.
        OSError: it cannot be read.
    """
    try:
        content = (path / IDENTITY_FILE).read_bytes()
        stored = msgspec.json.decode(content, type=_IdentityFile)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedIdentity(_damaged(path)) from error
    return StoredIdentity(
        NodeId(bytes.fromhex(stored.origin)),
        stored.ports,
        stored.last_epoch,
        stored.members,
        NodeId(bytes.fromhex(stored.collector)) if stored.collector else None,
        stored.secrets,
    )


@dataclass(slots=True)
class LogsOnDisk:
    """Every node's logs below a run's `nodes` directory.

    A log is on disk before anyone hears of it, so one that was not there when it was first asked
    for is not looked for again before `look`.
    """

    nodes_directory: Path
    readers: dict[LogId, LogReader] = field(default_factory=dict)
    _origins: dict[Path, NodeId] = field(default_factory=dict)
    """By directory; an origin never changes."""
    _looked_for: set[LogId] = field(default_factory=set)

    def find(self, log: LogId) -> LogReader | None:
        """The reader of `log`; None when no directory here has it."""
        if log not in self.readers and log not in self._looked_for:
            self.look()
            if log not in self.readers:
                self._looked_for.add(log)
        return self.readers.get(log)

    def look(self) -> None:
        """Find logs that nodes have begun since. Directories that cannot be read are left out."""
        if len(self._looked_for) >= LOGS_LOOKED_FOR_MAX:
            self._looked_for.clear()
        for path in sorted(self.nodes_directory.glob("*")):
            origin = self._origin(path)
            if origin is not None:
                for epoch, reader in stored_logs(path).items():
                    self.readers.setdefault(LogId(origin, epoch), reader)

    def _origin(self, path: Path) -> NodeId | None:
        if path not in self._origins:
            with contextlib.suppress(DamagedIdentity, OSError):
                identity = read_identity(path)
                if identity is not None:
                    self._origins[path] = identity.origin
        return self._origins.get(path)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # Some file systems cannot.
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(path: Path, what: str = "is damaged") -> str:
    return f"{path / IDENTITY_FILE} {what}: move {path} away, or start with --new"
