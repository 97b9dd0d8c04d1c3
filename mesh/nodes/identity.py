"""Who a node is, on this machine and from one start to the next."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mesh.core.membership import Member, Role
from mesh.storage.node_directory import NodeDirectory
from mesh.transport.zmq_transport import ZmqTransport
from mesh.wire.messages import MemberRecord

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def own_member(
    directory: NodeDirectory,
    transport: ZmqTransport,
    *,
    label: str,
    role: Role,
    epoch: int,
    earlier_logs: Sequence[tuple[int, int]],
) -> Member:
    """What this node tells others of itself."""
    return Member(
        origin=directory.origin,
        label=label,
        role=role,
        epoch=epoch,
        feed_address=transport.feed_address,
        service_address=transport.service_address,
        host=host_name(),
        earlier_logs=tuple(earlier_logs),
    )


def host_name() -> str:
    """Names this machine and its current boot: clocks are compared within one host only."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = _BOOT_ID.read_text("ascii").strip()[:8]
    return f"{socket.gethostname()[:100]}/{boot}"


def members_as_json(members: Iterable[Member]) -> list[Any]:
    return [msgspec.to_builtins(MemberRecord.of(member)) for member in members]


def members_from_json(stored: Iterable[Any]) -> list[Member]:
    """Members of an earlier start; records that cannot be read are left out."""
    members = []
    for record in stored:
        with contextlib.suppress(msgspec.ValidationError):
            members.append(msgspec.convert(record, MemberRecord).member())
    return members
