"""A node's directory: one identity for ever, one process at a time, epochs that only rise."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mesh.core.items import LogId, NodeId
from mesh.storage.node_directory import (
    EPOCH_LEAP_MS_MAX,
    HEARD_EPOCH_MAX,
    IDENTITY_FILE,
    DamagedIdentity,
    LogsOnDisk,
    NodeDirectory,
    read_identity,
)
from mesh.storage.node_log import NodeLog, log_path
from mesh.storage.run_directory import AlreadyLocked
from tests.patience import PATIENCE_S


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


def test_a_node_keeps_the_collector_that_was_named_to_it(tmp_path: Path) -> None:
    node = opened_once(tmp_path)
    assert node.collector is None
    node.collector = NodeId(b"c" * 16)
    node.save()
    stored = read_identity(tmp_path)
    assert stored is not None
    assert NodeDirectory.open(tmp_path).collector == stored.collector == node.collector


def test_an_identity_written_before_collectors_were_kept_names_none(tmp_path: Path) -> None:
    (tmp_path / IDENTITY_FILE).write_text(json.dumps(VALID))
    assert NodeDirectory.open(tmp_path).collector is None


def test_a_node_keeps_its_secrets_and_shows_them_nowhere(tmp_path: Path) -> None:
    node = NodeDirectory.open(tmp_path)
    assert node.secrets == {}
    node.secrets["signing_seed"] = "5ec2e7"
    node.open_epoch(1000)
    node.close()
    again = NodeDirectory.open(tmp_path)
    again.ports = (4000, 4001)
    again.save()
    stored = read_identity(tmp_path)
    assert stored is not None
    assert again.secrets == stored.secrets == {"signing_seed": "5ec2e7"}
    assert "5ec2e7" not in repr(again)
    assert "5ec2e7" not in repr(stored)


def test_an_identity_written_before_there_were_secrets_has_none(tmp_path: Path) -> None:
    (tmp_path / IDENTITY_FILE).write_text(json.dumps(VALID))
    assert NodeDirectory.open(tmp_path).secrets == {}


def test_a_damaged_identity_shows_no_secret(tmp_path: Path) -> None:
    content = {**VALID, "ports": 5, "secrets": {"signing_seed": "5ec2e7"}}
    (tmp_path / IDENTITY_FILE).write_text(json.dumps(content))
    with pytest.raises(DamagedIdentity) as raised:
        NodeDirectory.open(tmp_path)
    assert "5ec2e7" not in "".join(traceback.format_exception(raised.value))


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
import traceback
from contextlib import closing
from pathlib import Path
from mesh.storage.node_directory import NodeDirectory
from mesh.storage.node_log import NodeLog, log_path
from mesh.storage.run_directory import AlreadyLocked
try:
    NodeDirectory.open(Path(sys.argv[1]))
except AlreadyLocked:
    sys.exit(17)
"""


def test_a_node_runs_in_one_process_only(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SECOND_START, str(tmp_path)]
    node = NodeDirectory.open(tmp_path)
    assert subprocess.run(command, timeout=PATIENCE_S, check=False).returncode == 17
    node.close()
    assert subprocess.run(command, timeout=PATIENCE_S, check=False).returncode == 0


@pytest.mark.parametrize("now_ms", [5000, 1000, 999, 0])
def test_every_start_opens_a_higher_epoch_whatever_the_clock_says(
    tmp_path: Path, now_ms: int
) -> None:
    opened_once(tmp_path, now_ms=1000)
    node = NodeDirectory.open(tmp_path)
    epoch = node.open_epoch(now_ms)
    assert epoch == now_ms if now_ms > 1000 else 1000 < epoch <= 1000 + EPOCH_LEAP_MS_MAX
    assert read_identity(tmp_path).last_epoch == epoch  # type: ignore[union-attr]


def test_two_copies_of_a_directory_do_not_open_the_same_epoch_though_the_clock_is_slow(
    tmp_path: Path,
) -> None:
    opened_once(tmp_path / "one", now_ms=5000).close()
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    one, copy = NodeDirectory.open(tmp_path / "one"), NodeDirectory.open(tmp_path / "copy")
    assert one.origin == copy.origin
    assert one.open_epoch(2000) != copy.open_epoch(2000)


def test_a_node_starts_above_what_others_have_heard_of_it(tmp_path: Path) -> None:
    """Its directory was restored from an old copy, and its clock goes slow."""
    node = opened_once(tmp_path, now_ms=1000)
    assert node.heard_epoch(5000)
    assert node.heard_epoch(4000)
    assert NodeDirectory.open(tmp_path).open_epoch(2000) > 5000


def test_an_epoch_that_leaves_no_room_above_it_is_not_believed(tmp_path: Path) -> None:
    node = opened_once(tmp_path, now_ms=1000)
    assert not node.heard_epoch(2**63 - 1)
    assert not node.heard_epoch(HEARD_EPOCH_MAX + 1)
    assert NodeDirectory.open(tmp_path).open_epoch(2000) == 2000


def test_an_epoch_whose_log_outlived_its_identity_is_not_opened_again(tmp_path: Path) -> None:
    opened_once(tmp_path, now_ms=1000)
    (tmp_path / "epoch-7000.log").write_bytes(b"")
    node = NodeDirectory.open(tmp_path)
    assert node.open_epoch(2000) > 7000
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
        json.dumps({**VALID, "ports": [0, 70000]}),
        json.dumps({**VALID, "last_epoch": -1}),
        json.dumps({**VALID, "last_epoch": 2**63}),
        json.dumps({**VALID, "last_epoch": float("inf")}),
        json.dumps({**VALID, "origin": "ab" * 16 + "\n"}),
        json.dumps({**VALID, "secrets": ["curve"]}),
        json.dumps({**VALID, "secrets": {"curve": 1}}),
        "[" * 100_000,
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


def test_an_identity_that_cannot_be_read_is_an_os_error_and_leaves_no_lock(tmp_path: Path) -> None:
    (tmp_path / IDENTITY_FILE).mkdir()
    with pytest.raises(IsADirectoryError):
        NodeDirectory.open(tmp_path)
    (tmp_path / IDENTITY_FILE).rmdir()
    NodeDirectory.open(tmp_path).close()


def test_logs_whose_identity_is_gone_are_not_taken_for_a_new_node_s(tmp_path: Path) -> None:
    node = NodeDirectory.open(tmp_path)
    node.open_epoch(1000)
    node.create_log().close()
    node.close()
    (tmp_path / IDENTITY_FILE).unlink()
    for _ in range(2):
        with pytest.raises(DamagedIdentity, match=r"node\.json is gone from beside its logs"):
            NodeDirectory.open(tmp_path)


def test_a_log_that_is_missing_or_unreadable_hinders_no_start(tmp_path: Path) -> None:
    node = opened_once(tmp_path, now_ms=3000)
    with closing(NodeLog.create(log_path(tmp_path, 1000))) as log:
        log.append(b"frame", 1, 3)
        log.append(b"frame", 4, 1)
    (tmp_path / "epoch-1000.log").write_bytes((tmp_path / "epoch-1000.log").read_bytes()[:-1])
    (tmp_path / "epoch-1500.log").write_bytes(b"something else")
    (tmp_path / "epoch-2000.log").mkdir()
    (tmp_path / "epoch-2500.log").symlink_to("nowhere")
    again = NodeDirectory.open(tmp_path)
    positions, problems = again.earlier_logs()
    assert positions == [(1000, 3)]
    assert [problem.partition(str(tmp_path))[2] for problem in problems] == [
        "/epoch-1500.log is no log of format 1",
        "/epoch-2000.log: Is a directory",
        "/epoch-2500.log: No such file or directory",
    ]
    assert again.open_epoch(1000) > 3000
    again.create_log().close()
    assert again.origin == node.origin


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


def test_a_log_begun_later_is_found_when_it_is_asked_for(tmp_path: Path) -> None:
    logs = LogsOnDisk(tmp_path)
    node = NodeDirectory.open(tmp_path / "a")
    first = LogId(node.origin, node.open_epoch(1000))
    assert logs.find(first) is None
    node.create_log().close()
    assert logs.find(first) is None, "looked for once"
    second = LogId(node.origin, node.open_epoch(1000))
    node.create_log().close()
    found = logs.find(second)
    assert found is not None
    assert found.refresh() == 0
    assert set(logs.readers) == {first, second}
    logs.look()
    assert logs.find(second) is found, "with what it has read"


def test_only_its_owner_may_read_a_node_s_directory(tmp_path: Path) -> None:
    opened_once(tmp_path / "node")
    assert (tmp_path / "node").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "node" / IDENTITY_FILE).stat().st_mode & 0o777 == 0o600
