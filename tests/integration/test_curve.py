"""Who gets in where the transport demands keys, over real ZeroMQ sockets on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from mesh.core.membership import Endpoint
from mesh.transport.curve import CurveKeys, demand_keys, prove_keys
from mesh.transport.gate import FEED, KEYS_MAX, SERVICE, Gate
from tests.integration.eventually import eventually
from tests.integration.transport_nodes import HOST, Node, Nodes, frame, kept_ports
from tests.patience import PATIENCE_S

PROMPTLY_S = 10.0
"""A newcomer gets in that soon after its key was registered."""


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    with contextlib.ExitStack() as closing:
        yield Nodes(closing)


def start(nodes: Nodes, name: str, **settings: Any) -> Node:
    """An encrypted node with keys of its own."""
    return nodes.start(name, keys=CurveKeys.new(), **settings)


def admits(node: Node, *others: Node) -> None:
    for other in others:
        node.transport.admit_key(other.curve_key)


async def says(speaker: Node, listener: Node, number: int) -> None:
    """`speaker` says it and `listener` hears it."""
    speaker.transport.publish(frame(number))
    await eventually(lambda: frame(number) in listener.heard.frames)


def test_a_secret_key_is_shown_by_nothing() -> None:
    keys = CurveKeys.new()
    assert len(keys.public) == len(keys.secret) == 40
    assert keys.secret.decode() not in f"{keys} {keys!r}"
    assert keys.public.decode() in repr(keys)


async def test_feeds_and_services_work_between_registered_nodes(nodes: Nodes) -> None:
    a, b = start(nodes, "A"), start(nodes, "B")
    admits(a, b)
    b.listens(a)
    await eventually(lambda: a.is_heard_by(b))
    await says(a, b, 1)
    replies = b.ask(a.service, b"question")
    await eventually(lambda: replies == [[b"echo", b"question"]])
    assert a.heard.asker_keys == [b.curve_key]
    b.transport.close(linger_s=0.0)
    await eventually(lambda: not a.is_heard_by(b))
    assert a.heard.refusals == b.heard.refusals == []


async def test_a_node_hears_many_feeds_each_with_its_own_key(nodes: Nodes) -> None:
    listener, *speakers = [start(nodes, name) for name in "ABCDEF"]
    for speaker in speakers:
        admits(speaker, listener)
        listener.listens(speaker)
    await eventually(lambda: all(each.is_heard_by(listener) for each in speakers))
    for number, speaker in enumerate(speakers):
        await says(speaker, listener, number)


async def test_each_request_comes_with_the_key_of_who_asked(nodes: Nodes) -> None:
    server, *askers = [start(nodes, name) for name in "SABC"]
    replies = [asker.ask(server.service, asker.id) for asker in askers]
    await eventually(lambda: all(replies))
    asked = dict(zip(server.heard.requests, server.heard.asker_keys, strict=True))
    assert asked == {asker.id: asker.curve_key for asker in askers}


async def test_a_plaintext_run_tells_no_keys(nodes: Nodes) -> None:
    server, asker = nodes.start("A"), nodes.start("B")
    replies = asker.ask(server.service, b"question")
    await eventually(lambda: replies == [[b"echo", b"question"]])
    assert server.heard.asker_keys == [b""]


def test_where_there_is_no_gate_nobody_gets_in() -> None:
    """What a closing node still has to send outlives its gate."""
    server_keys, keys = CurveKeys.new(), CurveKeys.new()
    with zmq.Context() as context, context.socket(zmq.ROUTER) as server:
        demand_keys(server, server_keys, FEED)
        outcomes = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        with server.get_monitor_socket(outcomes) as watch, context.socket(zmq.DEALER) as asker:
            port = server.bind_to_random_port(f"tcp://{HOST}")
            asker.linger = 0
            prove_keys(asker, keys, server_keys.public)
            asker.connect(f"tcp://{HOST}:{port}")
            assert watch.poll(int(1000 * PATIENCE_S))
            outcome = parse_monitor_message(watch.recv_multipart())["event"]
            assert outcome == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            server.disable_monitor()


async def test_a_newcomer_that_dials_a_node_before_it_is_registered_there_gets_in(
    nodes: Nodes,
) -> None:
    """Its connection waits at the gate. The one who asks after it has dialled after it too."""
    speaker, newcomer = start(nodes, "A"), start(nodes, "B")
    newcomer.listens(speaker)
    replies = newcomer.ask(speaker.service, b"question")
    await eventually(lambda: replies == [[b"echo", b"question"]])
    assert not speaker.is_heard_by(newcomer)
    admits(speaker, newcomer)
    await eventually(lambda: speaker.is_heard_by(newcomer), deadline_s=PROMPTLY_S)
    await says(speaker, newcomer, 1)
    assert speaker.heard.refusals == []


async def test_a_newcomer_that_was_refused_as_unknown_gets_in_once_it_is_registered(
    nodes: Nodes,
) -> None:
    speaker, newcomer = start(nodes, "A"), start(nodes, "B")
    newcomer.listens(speaker)
    await eventually(lambda: "unknown_key" in speaker.heard.refusals)
    assert speaker.heard.listeners == []
    admits(speaker, newcomer)
    await eventually(lambda: speaker.is_heard_by(newcomer), deadline_s=PROMPTLY_S)
    await says(speaker, newcomer, 1)


async def test_an_unregistered_key_may_ask_and_hears_nothing(nodes: Nodes) -> None:
    speaker, stranger, member = (start(nodes, name) for name in "ABC")
    admits(speaker, member)
    member.listens(speaker)
    stranger.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(member))
    replies = stranger.ask(speaker.service, b"question")
    await eventually(lambda: replies == [[b"echo", b"question"]])
    await eventually(lambda: "unknown_key" in speaker.heard.refusals)
    await says(speaker, member, 1)
    assert stranger.heard.frames == []
    assert speaker.heard.listeners == [(member.id, True)]


async def test_a_revoked_key_gets_in_nowhere_and_is_counted(nodes: Nodes) -> None:
    server, revoked = start(nodes, "A"), start(nodes, "B")
    admits(server, revoked)
    server.transport.revoke_key(revoked.curve_key)
    admits(server, revoked)  # Once revoked, always revoked.
    revoked.listens(server)
    replies = revoked.ask(server.service, b"question")
    await eventually(lambda: server.heard.refusals == ["revoked_key"] * 2)
    assert replies == []
    assert (server.heard.requests, server.heard.listeners) == ([], [])


async def test_a_key_revoked_while_its_connection_waits_is_refused(nodes: Nodes) -> None:
    server, newcomer = start(nodes, "A"), start(nodes, "B")
    newcomer.listens(server)
    replies = newcomer.ask(server.service, b"question")
    await eventually(lambda: bool(replies))
    server.transport.revoke_key(newcomer.curve_key)
    await eventually(lambda: server.heard.refusals == ["revoked_key"])


async def test_a_listener_whose_key_is_revoked_is_cut_off_and_the_others_stay(
    nodes: Nodes,
) -> None:
    speaker, revoked, stays = (start(nodes, name) for name in "ABC")
    admits(speaker, revoked, stays)
    for listener in (revoked, stays):
        listener.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(revoked, stays))
    asked = revoked.ask(speaker.service, b"before")
    await eventually(lambda: bool(asked))
    speaker.transport.revoke_key(revoked.curve_key)
    await eventually(lambda: not speaker.is_heard_by(revoked))
    await eventually(lambda: "revoked_key" in speaker.heard.refusals)
    await eventually(lambda: speaker.is_heard_by(stays))
    await says(speaker, stays, 1)
    # It had been connected to the service before.
    replies = revoked.ask(speaker.service, b"after", timeout_s=0.2)
    await eventually(lambda: replies == [None])
    assert (revoked.heard.frames, speaker.heard.requests) == ([], [b"before"])


async def test_a_node_without_keys_hears_nothing_and_is_counted(nodes: Nodes) -> None:
    speaker, member = start(nodes, "A"), start(nodes, "B")
    admits(speaker, member)
    member.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(member))
    with zmq.Context() as context, context.socket(zmq.SUB) as plain:
        plain.subscribe(b"")
        plain.connect(speaker.transport.feed_address)
        await eventually(lambda: "handshake" in speaker.heard.refusals)
        await says(speaker, member, 1)
        assert not plain.poll(0)


async def test_who_has_the_wrong_key_for_a_server_is_not_served_and_is_counted(
    nodes: Nodes,
) -> None:
    server, asker = start(nodes, "A"), start(nodes, "B")
    admits(server, asker)
    wrong = CurveKeys.new().public
    asker.transport.listen_to(Endpoint(server.transport.feed_address, wrong))
    replies = asker.ask(Endpoint(server.transport.service_address, wrong), b"question")
    await eventually(lambda: len(server.heard.refusals) >= 3)
    assert replies == []
    assert set(server.heard.refusals) == {"handshake"}
    assert (server.heard.requests, server.heard.listeners) == ([], [])


async def test_an_encrypted_node_never_speaks_plaintext(nodes: Nodes) -> None:
    """Anyone could answer at an address that is known without a key."""
    plain, encrypted, member = nodes.start("A"), start(nodes, "B"), start(nodes, "C")
    encrypted.listens(plain)
    asked = encrypted.ask(plain.service, b"question", timeout_s=0.2)
    plain.listens(encrypted)
    asked_encrypted = plain.ask(encrypted.service, b"question", timeout_s=0.2)
    await eventually(lambda: asked == asked_encrypted == [None])
    admits(encrypted, member)
    member.listens(encrypted)
    await eventually(lambda: encrypted.is_heard_by(member))
    assert (plain.heard.listeners, plain.heard.requests) == ([], [])
    assert encrypted.heard.requests == []
    assert encrypted.heard.listeners == [(member.id, True)]


@pytest.mark.parametrize("key", [b"x", b"~" * 40, b"\xff" * 40, b"\x00" * 32, b"k" * 41])
async def test_a_key_that_is_none_does_no_harm(nodes: Nodes, key: bytes) -> None:
    """Keys of others come from peers."""
    a, b = start(nodes, "A"), start(nodes, "B")
    admits(a, b)
    a.transport.admit_key(key)
    b.transport.listen_to(Endpoint(a.transport.feed_address, key))
    refused = b.ask(Endpoint(a.transport.service_address, key), b"question", timeout_s=0.01)
    await eventually(lambda: refused == [None])
    b.listens(a)
    await eventually(lambda: a.is_heard_by(b))
    await says(a, b, 1)


@pytest.mark.parametrize("keys", [None, CurveKeys.new()], ids=["plaintext", "another key"])
@pytest.mark.parametrize("host", [HOST, "localhost"])
async def test_a_feed_is_heard_again_after_its_port_was_in_strange_hands(
    nodes: Nodes, keys: CurveKeys | None, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    """ZeroMQ itself never dials again whom it found speaking another protocol, and names whom it
    dials for the second time otherwise. A peer may have named what is no host for the same port."""
    gc.collect()
    caplog.clear()
    ports = kept_ports()
    speaker = start(nodes, "A", ports=ports, advertise_host=host)
    listener = start(nodes, "B")
    admits(speaker, listener)
    listener.listens(speaker)
    no_host = f"tcp://{'x' * 70}:{ports[0]}"
    listener.transport.listen_to(Endpoint(no_host, CurveKeys.new().public))
    await eventually(lambda: speaker.is_heard_by(listener))
    speaker.transport.close(linger_s=0.0)
    stranger = nodes.start("S", keys=keys, ports=ports)
    assert stranger.transport.ports == ports
    await eventually(lambda: len(stranger.heard.refusals) >= 2)
    stranger.transport.close(linger_s=0.0)
    again = nodes.start("A", keys=speaker.keys, ports=ports)
    assert again.transport.ports == ports
    admits(again, listener)
    await eventually(lambda: again.is_heard_by(listener))
    assert stranger.heard.listeners == []
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_of_two_nodes_at_one_address_the_one_that_lives_there_is_heard(
    nodes: Nodes,
) -> None:
    """A new node has taken the port of one that is gone; both are members for ever."""
    ports = kept_ports()
    gone, listener = start(nodes, "A", ports=ports), start(nodes, "B")
    admits(gone, listener)
    gone.transport.close(linger_s=0.0)
    lives = start(nodes, "C", ports=ports)
    admits(lives, listener)
    assert lives.feed.address == gone.feed.address
    listener.listens(lives)
    listener.listens(gone)
    await eventually(lambda: lives.is_heard_by(listener))
    listener.transport.stop_listening_to(gone.feed)
    await says(lives, listener, 1)


async def test_the_keys_that_one_address_is_dialled_with_are_bounded(nodes: Nodes) -> None:
    speaker, listener = start(nodes, "A"), start(nodes, "B")
    admits(speaker, listener)
    listener.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(listener))
    for _ in range(20):
        listener.transport.listen_to(Endpoint(speaker.feed.address, CurveKeys.new().public))
    await eventually(lambda: not speaker.is_heard_by(listener))
    listener.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(listener))
    await says(speaker, listener, 1)


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


class Connections:
    """What libzmq asks the gate when somebody connects."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._context = context

    def ask(self, key: bytes, domain: bytes = FEED) -> zmq.Socket[bytes]:
        connection = self._context.socket(zmq.REQ)
        connection.connect("inproc://zeromq.zap.01")
        raw_key = z85.decode(key)
        request = [b"1.0", b"1", domain, b"203.0.113.1", b"", b"CURVE", raw_key]
        connection.send_multipart(request)
        return connection


async def answer(connection: zmq.Socket[bytes]) -> bytes:
    await eventually(lambda: connection.poll(0))
    return connection.recv_multipart()[2]


async def test_connections_that_wait_at_the_gate_are_bounded(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    gate = Gate(context, asyncio.get_running_loop(), held_max=2)
    gate.start()
    connections = Connections(context)
    keys = [CurveKeys.new().public for _ in range(3)]
    oldest, second, third = [connections.ask(key) for key in keys]
    assert await answer(oldest) == b"300"
    assert not second.poll(0)
    gate.admit(keys[2])
    assert await answer(third) == b"200"
    gate.stop()


async def test_registered_keys_are_bounded_and_the_first_ones_stay(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    gate = Gate(context, asyncio.get_running_loop(), held_max=1)
    gate.start()
    connections = Connections(context)
    keys = [CurveKeys.new().public for _ in range(KEYS_MAX + 1)]
    for key in keys:
        gate.admit(key)
    one_too_many, stranger = connections.ask(keys[-1]), connections.ask(CurveKeys.new().public)
    assert await answer(one_too_many) == b"300"
    assert await answer(connections.ask(keys[0])) == b"200"
    assert await answer(connections.ask(keys[-2])) == b"200"
    assert await answer(connections.ask(keys[-1], SERVICE)) == b"200"
    assert not stranger.poll(0)
    gate.stop()
