"""Which ports and addresses a node takes, and what it tells others to dial."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from mesh.core.items import NodeId
from mesh.core.membership import Endpoint
from mesh.transport.curve import CurveKeys
from mesh.transport.zmq_transport import AddressInUse, ZmqTransport
from tests.integration.eventually import eventually
from tests.integration.transport_nodes import HOST, Node, Nodes, frame, kept_ports


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    with contextlib.ExitStack() as closing:
        yield Nodes(closing)


@pytest.fixture
def four_ports() -> tuple[int, int]:
    """First and last of four ports in a row that nobody uses."""
    return next(free_rows(4))


def free_rows(count: int) -> Iterator[tuple[int, int]]:
    """Below what the system gives out by itself, so that nobody else takes them meanwhile."""
    for first in range(20_000, 30_000, count):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + count):
                held.enter_context(socket.socket()).bind((HOST, port))
            held.close()
            yield first, first + count - 1


async def works(server: Node, asker: Node, host: str | None = None) -> None:
    """`asker` hears `server` and is answered, also as `host` if that is another name for it."""
    feed, service = server.feed, server.service
    if host:
        feed = Endpoint(f"tcp://{host}:{server.transport.ports[0]}", feed.curve_key)
        service = Endpoint(f"tcp://{host}:{server.transport.ports[1]}", service.curve_key)
    asker.transport.listen_to(feed)
    await eventually(lambda: server.is_heard_by(asker))
    server.transport.publish(frame(1))
    await eventually(lambda: asker.heard.frames == [frame(1)])
    replies = asker.ask(service, b"question")
    await eventually(lambda: replies == [[b"echo", b"question"]])


async def test_nodes_share_a_port_range_until_it_is_full(
    nodes: Nodes, four_ports: tuple[int, int]
) -> None:
    first, second = (nodes.start(name, port_range=four_ports) for name in "AB")
    taken = {*first.transport.ports, *second.transport.ports}
    assert taken == set(range(four_ports[0], four_ports[1] + 1))
    await works(first, second)
    with pytest.raises(AddressInUse, match=rf"{four_ports[0]} and {four_ports[1]} on 127\.0\.0\.1"):
        nodes.start("C", port_range=four_ports)
    second.transport.close(linger_s=0.0)
    third = nodes.start("C", port_range=four_ports)
    assert set(third.transport.ports) == set(second.transport.ports)


async def test_one_free_port_is_too_few_and_is_left_free(
    nodes: Nodes, four_ports: tuple[int, int]
) -> None:
    first_port, _ = four_ports
    nodes.start("A", port_range=(first_port, first_port + 1))
    with pytest.raises(AddressInUse, match="--mesh-ports"):
        nodes.start("B", port_range=(first_port + 1, first_port + 2))
    with socket.socket() as free:
        free.bind((HOST, first_port + 2))


async def test_earlier_ports_are_taken_again_only_inside_the_range(
    nodes: Nodes, four_ports: tuple[int, int]
) -> None:
    first_port, last_port = four_ports
    earlier = (last_port, first_port + 1)
    assert nodes.start("A", ports=earlier, port_range=four_ports).transport.ports == earlier
    elsewhere = nodes.start("B", ports=(1024, 1025), port_range=four_ports)
    assert elsewhere.transport.ports == (first_port, first_port + 2)


async def test_of_earlier_ports_the_one_that_is_free_is_taken_again(nodes: Nodes) -> None:
    first = nodes.start("A", ports=kept_ports())
    feed_port, service_port = first.transport.ports
    first.transport.close(linger_s=0.0)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((HOST, feed_port))
        other.listen()
        again = nodes.start("A", ports=(feed_port, service_port))
    assert again.transport.ports[0] != feed_port
    assert again.transport.ports[1] == service_port


async def test_others_are_told_the_advertised_host(nodes: Nodes) -> None:
    server = nodes.start("A", host="0.0.0.0", advertise_host="localhost")
    feed_port, service_port = server.transport.ports
    assert server.transport.feed_address == f"tcp://localhost:{feed_port}"
    assert server.transport.service_address == f"tcp://localhost:{service_port}"
    await works(server, nodes.start("B"))
    await works(server, nodes.start("C"), host=HOST)


@pytest.mark.parametrize("keys", [None, CurveKeys.new()], ids=["plaintext", "encrypted"])
async def test_a_mesh_works_over_ipv6(nodes: Nodes, keys: CurveKeys | None) -> None:
    server = nodes.start("A", host="::1", keys=keys)
    asker = nodes.start("B", host="::1", keys=CurveKeys.new() if keys else None)
    assert server.transport.feed_address == f"tcp://[::1]:{server.transport.ports[0]}"
    server.transport.admit_key(asker.curve_key)
    await works(server, asker)


async def test_the_ipv6_wildcard_takes_both_families(nodes: Nodes) -> None:
    server = nodes.start("A", host="::", advertise_host="::1")
    await works(server, nodes.start("B"))
    await works(server, nodes.start("C"), host=HOST)


@pytest.mark.parametrize("host", [HOST, "0.0.0.0", "::1", "::"])
async def test_a_feed_that_cuts_off_a_listener_stays_where_it_was(nodes: Nodes, host: str) -> None:
    advertised = HOST if "." in host else "::1"
    server = nodes.start("A", host=host, advertise_host=advertised, keys=CurveKeys.new())
    revoked, stays = (nodes.start(name, keys=CurveKeys.new()) for name in "BC")
    for listener in (revoked, stays):
        server.transport.admit_key(listener.curve_key)
        listener.listens(server)
    await eventually(lambda: server.is_heard_by(revoked, stays))
    server.transport.revoke_key(revoked.curve_key)
    await eventually(lambda: not server.is_heard_by(revoked))
    await eventually(lambda: server.is_heard_by(stays))


async def test_a_name_of_this_machine_can_be_bound(nodes: Nodes) -> None:
    server = nodes.start("A", host="localhost")
    assert server.transport.feed_address == f"tcp://localhost:{server.transport.ports[0]}"
    await works(server, nodes.start("B"))


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid", "2001:db8::1"])
async def test_a_host_that_is_not_this_machine_is_refused_with_what_to_do(host: str) -> None:
    with pytest.raises(AddressInUse, match=rf"{host}.*--host"):
        ZmqTransport(NodeId(b"A" * 16), host=host, port_range=(20_000, 20_010))
