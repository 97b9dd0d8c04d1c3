"""By which address other machines reach this one, as its own routes tell.

Which of its services they may reach at all, and how a URL is made of the address, is decided
elsewhere.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

_FAR_AWAY = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses kept for documentation (RFC 5737, RFC 3849): nobody has them, routes reach them."""
_ANY_PORT = 9


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine alone, by its text: names are not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_wildcard(host: str) -> bool:
    """Whether `host` means all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def outward_address(host: str | None = None, *, ipv6: bool = False) -> str | None:
    """This machine's address on the way to `host`; None where no way leads there.

    A UDP socket is connected and asked for its own end: nothing is sent.

    Args:
        host: name or address; None: wherever the default route leads.
        ipv6: which of the default routes.
    """
    if host is None:
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        return _own_end(family, (_FAR_AWAY[family], _ANY_PORT))
    try:
        found = socket.getaddrinfo(host, _ANY_PORT, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    ends = (_own_end(family, address) for family, _, _, _, address in found)
    return next((end for end in ends if end is not None), None)


Outward = Callable[..., str | None]
"""`outward_address`, or what stands for it."""


def address_elsewhere(
    host: str, advertise_host: str | None = None, *, outward: Outward = outward_address
) -> str | None:
    """By what others find what is bound to `host`, where that does not say it: it means all
    addresses of this machine. None: it says it, or no way leads out.

    Args:
        advertise_host: what the user has said of it.
    """
    if not is_wildcard(host):
        return None
    return advertise_host or outward(ipv6=ipaddress.ip_address(host).version == 6)


def _own_end(family: int, address: tuple[object, ...]) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as way:
            way.connect(address)
            end: str = way.getsockname()[0]
            return end
    except OSError:
        return None
