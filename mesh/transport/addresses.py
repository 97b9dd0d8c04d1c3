"""Addresses as ZeroMQ writes them, and the places on the network that they name."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

_SCHEME = "tcp://"


@dataclass(frozen=True, slots=True)
class Place:
    """A port of one machine; two spellings of one address are one place."""

    ip: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int

    @classmethod
    def of(cls, host: str, port: int) -> Place | None:
        """None: `host` is a name."""
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            return None
        mapped = ip.ipv4_mapped if ip.version == 6 else None
        return cls(mapped or ip, port)


def tcp_address(host: str, port: int) -> str:
    """As ZeroMQ writes it: `tcp://127.0.0.1:7000`, `tcp://[::1]:7000`."""
    return f"{_SCHEME}[{host}]:{port}" if ":" in host else f"{_SCHEME}{host}:{port}"


def host_and_port(address: str) -> tuple[str, int] | None:
    """What `tcp_address` was made of; None: it is no such address."""
    host, _, port = address.removeprefix(_SCHEME).rpartition(":")
    if not address.startswith(_SCHEME) or not host or not port.isdecimal():
        return None
    return host.strip("[]"), int(port)
