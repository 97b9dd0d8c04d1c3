"""Which logs a node can serve, and where it finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mesh.core.items import LogId, NodeId
from mesh.storage.database import RunDatabase
from mesh.storage.node_directory import logs_of_all_nodes
from mesh.storage.node_log import LogReader, NodeLog, UnreadableLog


class LogShelf(Protocol):
    """The logs that this node can serve from disk."""

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]: ...


class ProducerShelf:
    """Serves the logs of this producer's own starts."""

    def __init__(self, own: LogId, current: NodeLog, earlier: dict[int, LogReader]) -> None:
        self._origin = own.origin
        self._readers = {**earlier, own.epoch: LogReader(current.path)}

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        reader = self._readers.get(log_id.epoch) if log_id.origin == self._origin else None
        try:
            return reader.read_range(first_seq, last_seq, bytes_max) if reader else []
        except (OSError, UnreadableLog):
            return []


class CollectorShelf:
    """Serves every log in the run's directory: its own from the database, others' from disk.

    `committed` is a connection of its own, which sees committed frames only.
    """

    def __init__(self, own: NodeId, committed: RunDatabase, nodes_directory: Path) -> None:
        self._own = own
        self._committed = committed
        self._nodes_directory = nodes_directory
        self.readers: dict[LogId, LogReader] = logs_of_all_nodes(nodes_directory)

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        if log_id.origin == self._own:
            return self._committed.own_frames(log_id.epoch, first_seq, last_seq, bytes_max)
        if log_id not in self.readers:
            self.look_for_new_logs()
        reader = self.readers.get(log_id)
        try:
            return reader.read_range(first_seq, last_seq, bytes_max) if reader else []
        except (OSError, UnreadableLog):
            return []

    def look_for_new_logs(self) -> None:
        """Find logs that nodes have begun since."""
        self.readers = logs_of_all_nodes(self._nodes_directory) | self.readers
