"""A node's directory: one identity for ever, one process at a time, epochs that only rise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mesh.core.items import LogId
from mesh.storage.node_directory import (
    IDENTITY_FILE,
    DamagedIdentity,
    LogsOnDisk,
    NodeDirectory,
    read_identity,
)
from mesh.storage.run_directory import AlreadyLocked


def opened_once(path: Path, now_ms: int = 1000) -> NodeDirectory:
    """A node that ran and ended."""
    node = NodeDirectory.open(path)
    node.open_epoch(now_ms)
    node.close()
    return node


def test_a_node_keeps_its_identity_ports_and_members(tmp_path: Path) -> None:
    node = NodeDirectory.open(tmp_path / "deep" / "producer-1")
    node.ports = (4000, 4001)
    node.members = [{"label": "producer 2"}]
    node.open_epoch(1000)
    node.close()
    again = NodeDirectory.open(node.path)
    assert (again.origin, again.ports, again.members) == (node.origin, (4000, 4001), node.members)
    assert len(again.origin) == 16


def test_two_nodes_are_never_the_same(tmp_path: Path) -> None:
    assert opened_once(tmp_path / "a").origin != opened_once(tmp_path / "b").origin


def test_a_node_runs_once(tmp_path: Path) -> None:
    node = NodeDirectory.open(tmp_path)
    with pytest.raises(AlreadyLocked, match="in use"):
        NodeDirectory.open(tmp_path)
    node.close()
    NodeDirectory.open(tmp_path).close()


SECOND_START = """
import sys
from pathlib import Path
from mesh.storage.node_directory import NodeDirectory
from mesh.storage.run_directory import AlreadyLocked
try:
    NodeDirectory.open(Path(sys.argv[1]))
except AlreadyLocked:
    sys.exit(17)
"""


def test_a_node_runs_in_one_process_only(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SECOND_START, str(tmp_path)]
    node = NodeDirectory.open(tmp_path)
    assert subprocess.run(command, timeout=60, check=False).returncode == 17
    node.close()
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("now_ms", [5000, 1000, 999, 0])
def test_every_start_opens_a_higher_epoch_whatever_the_clock_says(
    tmp_path: Path, now_ms: int
) -> None:
    opened_once(tmp_path, now_ms=1000)
    node = NodeDirectory.open(tmp_path)
    assert node.open_epoch(now_ms) == max(1001, now_ms)
    assert read_identity(tmp_path).last_epoch == max(1001, now_ms)  # type: ignore[union-attr]


def test_an_epoch_whose_log_outlived_its_identity_is_not_opened_again(tmp_path: Path) -> None:
    opened_once(tmp_path, now_ms=1000)
    (tmp_path / "epoch-7000.log").write_bytes(b"")
    node = NodeDirectory.open(tmp_path)
    assert node.open_epoch(2000) == 7001
    assert sorted(node.earlier) == [7000]


def test_a_start_killed_before_its_log_had_a_head_does_not_hinder_the_next(tmp_path: Path) -> None:
    opened_once(tmp_path)
    (tmp_path / "epoch-7000.log").write_bytes(b"")
    node = NodeDirectory.open(tmp_path)
    assert {epoch: reader.refresh() for epoch, reader in node.earlier.items()} == {7000: 0}


VALID: dict[str, Any] = {
    "format_version": 1,
    "origin": "ab" * 16,
    "ports": None,
    "last_epoch": 5,
    "members": [],
}


def test_the_identity_that_damage_is_tried_on_is_sound(tmp_path: Path) -> None:
    (tmp_path / IDENTITY_FILE).write_text(json.dumps(VALID))
    assert NodeDirectory.open(tmp_path).origin == bytes.fromhex("ab" * 16)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        "\udcff",
        json.dumps({**VALID, "origin": "ab"}),
        json.dumps({**VALID, "origin": "no hex"}),
        json.dumps({**VALID, "origin": 7}),
        json.dumps({**VALID, "format_version": 2}),
        json.dumps({**VALID, "ports": [4000]}),
        json.dumps({**VALID, "ports": ["a", "b"]}),
        json.dumps({**VALID, "last_epoch": "soon"}),
        json.dumps({**VALID, "members": 3}),
    ],
)
def test_a_damaged_identity_is_said_and_kept(tmp_path: Path, content: str) -> None:
    """Made anew, the node would be a stranger to its own logs."""
    (tmp_path / IDENTITY_FILE).write_bytes(content.encode(errors="surrogateescape"))
    for _ in range(2):
        with pytest.raises(DamagedIdentity, match=r"node\.json is damaged: move .* away"):
            NodeDirectory.open(tmp_path)
    kept = (tmp_path / IDENTITY_FILE).read_bytes()
    assert kept == content.encode(errors="surrogateescape")


def test_a_directory_that_was_never_a_node_s_has_no_identity(tmp_path: Path) -> None:
    assert read_identity(tmp_path) is None


def test_a_log_begun_is_found_by_the_next_start(tmp_path: Path) -> None:
    node = NodeDirectory.open(tmp_path)
    epoch = node.open_epoch(1000)
    log = node.create_log()
    log.append(b"frame", 1, 3)
    log.close()
    node.close()
    again = NodeDirectory.open(tmp_path)
    assert {each: reader.refresh() for each, reader in again.earlier.items()} == {epoch: 3}


def test_all_nodes_logs_are_found_beside_whatever_else_lies_there(tmp_path: Path) -> None:
    expected = set()
    for name in ("producer-1", "producer-2"):
        node = NodeDirectory.open(tmp_path / name)
        node.open_epoch(1000)
        node.create_log().close()
        node.close()
        expected.add(LogId(node.origin, 1000))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / IDENTITY_FILE).write_text("{")
    (tmp_path / "empty").mkdir()
    (tmp_path / "stray.txt").write_text("a note")
    logs = LogsOnDisk(tmp_path)
    logs.look()
    assert set(logs.readers) == expected
    nowhere = LogsOnDisk(tmp_path / "missing")
    nowhere.look()
    assert nowhere.readers == {}


def test_only_its_owner_may_read_a_node_s_directory(tmp_path: Path) -> None:
    opened_once(tmp_path / "node")
    assert (tmp_path / "node").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "node" / IDENTITY_FILE).stat().st_mode & 0o777 == 0o600
