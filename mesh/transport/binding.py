"""Where a node's feed and service are bound, and what others are told to dial."""

from __future__ import annotations

import errno
import socket as system_sockets
from collections.abc import Iterator

import zmq

from mesh.transport.addresses import tcp_address
from mesh.transport.sockets import Socket

_TAKEN = {errno.EADDRINUSE, errno.EACCES}


class AddressInUse(Exception):
    """A socket could not be bound; the message names the address."""


def bind_pair(
    feed: Socket,
    service: Socket,
    host: str,
    *,
    earlier: tuple[int, int] | None,
    port_range: tuple[int, int] | None,
) -> tuple[int, int]:
    """Bind both sockets; their ports, (feed, service).

    Args:
        host: address or name of this machine.
        earlier: ports taken again where they are free and in the range, so that others find this
            node where it was.
        port_range: first and last port that may be used; None: whatever the system gives.

    Raises:
        AddressInUse: `host` is not this machine's, or has no free port in the range.
    """
    numeric_host = _numeric(host)
    if earlier and port_range and not all(_is_in(port, port_range) for port in earlier):
        earlier = None
    free = _candidates(earlier or (), port_range)
    feed_port = _bind(feed, numeric_host, [*(earlier or ())[:1]], free)
    service_port = feed_port and _bind(service, numeric_host, [*(earlier or ())[1:]], free)
    if not feed_port or not service_port:
        where = "" if port_range is None else f" between {port_range[0]} and {port_range[1]}"
        raise AddressInUse(
            f"no two free ports{where} on {host}; each node of this machine needs two: "
            "choose other --mesh-ports"
        )
    return feed_port, service_port


def _numeric(host: str) -> str:
    """ZeroMQ binds no names."""
    try:
        found = system_sockets.getaddrinfo(
            host, None, type=system_sockets.SOCK_STREAM, flags=system_sockets.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise AddressInUse(
            f"cannot open a port on {host}: {error}; choose another --host"
        ) from error
    return str(found[0][4][0])


def _is_in(port: int, port_range: tuple[int, int]) -> bool:
    return port_range[0] <= port <= port_range[1]


def _candidates(earlier: tuple[int, ...], port_range: tuple[int, int] | None) -> Iterator[int]:
    """Ports to try, 0 for any; both sockets draw from one iterator."""
    if port_range is None:
        yield from (0, 0)
    else:
        # An earlier port is for the socket that had it.
        allowed = range(port_range[0], port_range[1] + 1)
        yield from (port for port in allowed if port not in earlier)


def _bind(socket: Socket, host: str, first: list[int], free: Iterator[int]) -> int:
    """The port bound; 0 if every one was taken."""
    while True:
        port = first.pop() if first else next(free, None)
        if port is None:
            return 0
        try:
            socket.bind(tcp_address(host, port) if port else tcp_address(host, 0)[:-1] + "*")
        except zmq.ZMQError as error:
            if error.errno not in _TAKEN:
                raise AddressInUse(
                    f"cannot open a port on {host}: {error}; choose another --host"
                ) from error
        else:
            return int(socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
