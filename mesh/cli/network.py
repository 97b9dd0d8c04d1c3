"""Where nodes of this machine bind, by what others find them, and whether they encrypt.

Decided from the options and this machine's own routes. That an address can be bound, and that
others reach it, is found out by the nodes.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from mesh.cli.commands import NetworkOptions, UsageError
from mesh.config import PORTS_A_NODE, MeshSettings
from mesh.nodes.supervising.own_address import (
    Outward,
    address_elsewhere,
    is_loopback,
    is_wildcard,
    outward_address,
)

LOOPBACK = "127.0.0.1"


def run_network(
    options: NetworkOptions, node_count: int, *, outward: Outward = outward_address
) -> tuple[MeshSettings, list[str]]:
    """The mesh settings of a run on this machine, and lines that say what is not plain.

    Args:
        node_count: nodes that this machine will run, the collector among them.

    Raises:
        UsageError: too few ports, or nobody knows by which address others reach this machine.
    """
    host = options.host or LOOPBACK
    advertised = options.advertise_host
    if is_wildcard(host) and advertised is None:
        advertised = address_elsewhere(host, outward=outward)
        if advertised is None:
            raise UsageError(
                f"--host {host} means all addresses of this machine, and no route says which of "
                "them others reach: name it with --advertise-host"
            )
    encrypted = not options.insecure and not _stays_here(host, advertised)
    return _settings(options, host, advertised, encrypted, node_count)


def guest_network(
    options: NetworkOptions,
    service_address: str,
    *,
    encrypted: bool,
    node_count: int,
    outward: Outward = outward_address,
) -> tuple[MeshSettings, list[str]]:
    """The mesh settings of a machine that joins a run.

    Args:
        service_address: of the node that has answered, `tcp://host:port`.
        encrypted: whether the run is.

    Raises:
        UsageError: as `run_network`; also when an unencrypted run is joined over a network
            unasked.
    """
    there = urlsplit(service_address).hostname or ""
    host = options.host or outward(there)
    advertised = options.advertise_host
    if host is None:
        raise UsageError(f"no way leads from this machine to {there}: name its address with --host")
    if is_wildcard(host) and advertised is None:
        advertised = outward(there)
        if advertised is None:
            raise UsageError(f"no way leads to {there}: name this machine with --advertise-host")
    if not encrypted and not options.insecure and not (_stays_here(host, advertised)):
        raise UsageError(
            "this run is not encrypted: everyone on the network can read and forge what its nodes "
            "say. Start its collector without --insecure, or join it all the same with --insecure"
        )
    return _settings(options, host, advertised, encrypted, node_count)


def _settings(
    options: NetworkOptions, host: str, advertised: str | None, encrypted: bool, node_count: int
) -> tuple[MeshSettings, list[str]]:
    _check_ports(options.mesh_ports, node_count)
    notices = []
    if advertised is not None and options.advertise_host is None:
        notices.append(
            f"other machines are to find this one at {advertised} (--advertise-host changes it)"
        )
    if not encrypted and not _stays_here(host, advertised):
        notices.append(
            f"INSECURE: everyone who can reach {advertised or host} can read what the nodes say, "
            "forge it, and join. Leave --insecure out to have it encrypted"
        )
    limit_s = options.alone_limit_s
    settings = MeshSettings(
        host=host,
        advertise_host=advertised,
        ports=options.mesh_ports,
        encrypted=encrypted,
        alone_limit_s=MeshSettings().alone_limit_s if limit_s is None else limit_s,
    )
    return settings, notices


def _check_ports(ports: tuple[int, int] | None, node_count: int) -> None:
    if ports is None:
        return
    first, last = ports
    count, needed = last - first + 1, PORTS_A_NODE * node_count
    if count < needed:
        raise UsageError(
            f"--mesh-ports {first}-{last} are {count} ports, and {node_count} "
            f"node{'' if node_count == 1 else 's'} on this machine "
            f"need{'s' if node_count == 1 else ''} {needed}: write, for example, "
            f"{first}-{first + needed - 1}"
        )


def _stays_here(host: str, advertised: str | None) -> bool:
    """Whether what is said can be heard on this machine alone."""
    return is_loopback(host) and (advertised is None or is_loopback(advertised))
