"""Who a node is, on this machine and from one start to the next."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mesh.config import MeshSettings
from mesh.core.membership import Member, Role
from mesh.storage.node_directory import DamagedIdentity, NodeDirectory
from mesh.transport.curve import CurveKeys
from mesh.transport.zmq_transport import ZmqTransport
from mesh.wire.messages import MemberRecord, record_claim
from mesh.wire.signing import SigningKey

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CURVE_PUBLIC, _CURVE_SECRET, _SIGNING_SEED = "curve_public", "curve_secret", "signing_seed"


class Overtaken(Exception):
    """This node's own past is later than it knew; it must start again, in a later epoch."""


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """What a node of an encrypted run proves itself by."""

    curve: CurveKeys
    signing: SigningKey


def node_keys(directory: NodeDirectory, settings: MeshSettings) -> NodeKeys | None:
    """The keys kept in a node's directory, made at its first encrypted start; None in plaintext
    runs.

    Raises:
        DamagedIdentity: what is kept there is no key.
    """
    if not settings.encrypted:
        return None
    secrets = directory.secrets
    if _SIGNING_SEED not in secrets:
        curve, signing = CurveKeys.new(), SigningKey.new()
        secrets[_CURVE_PUBLIC] = curve.public.decode("ascii")
        secrets[_CURVE_SECRET] = curve.secret.decode("ascii")
        secrets[_SIGNING_SEED] = signing.seed.hex()
    try:
        curve = CurveKeys(secrets[_CURVE_PUBLIC].encode(), secrets[_CURVE_SECRET].encode())
        return NodeKeys(curve, SigningKey(bytes.fromhex(secrets[_SIGNING_SEED])))
    except (LookupError, ValueError) as error:
        raise DamagedIdentity(
            f"the keys in {directory.path} are damaged: move it away, or start with --new"
        ) from error


def open_transport(
    directory: NodeDirectory, settings: MeshSettings, keys: NodeKeys | None
) -> ZmqTransport:
    """Sockets where the node had them before, if they are free; the directory remembers them.

    Raises:
        AddressInUse: no free port, or no such address here.
    """
    transport = ZmqTransport(
        directory.origin,
        host=settings.host,
        ports=directory.ports,
        port_range=settings.ports,
        advertise_host=settings.advertise_host,
        curve=keys.curve if keys else None,
    )
    directory.ports = transport.ports
    directory.save()
    return transport


def own_member(
    directory: NodeDirectory,
    transport: ZmqTransport,
    *,
    run_id: bytes,
    keys: NodeKeys | None,
    label: str,
    role: Role,
    epoch: int,
    earlier_logs: Sequence[tuple[int, int]],
) -> Member:
    """What this node tells others of itself, signed in encrypted runs."""
    member = Member(
        origin=directory.origin,
        label=label,
        role=role,
        epoch=epoch,
        feed_address=transport.feed_address,
        service_address=transport.service_address,
        host=host_name(),
        earlier_logs=tuple(sorted(earlier_logs)),
        public_key=keys.signing.public_key if keys else b"",
        curve_key=keys.curve.public if keys else b"",
    )
    if keys is None:
        return member
    claim = record_claim(MemberRecord.of(member), run_id)
    return dataclasses.replace(member, signature=keys.signing.sign(claim))


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
