"""The transport over real ZeroMQ sockets on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import time
from collections.abc import AsyncIterator

import psutil
import pytest
import zmq

from mesh.core.membership import Endpoint
from mesh.transport.sockets import PART_BYTES_MAX
from mesh.wire.codec import FRAME_BYTES_MAX
from tests.integration.eventually import eventually
from tests.integration.transport_nodes import HOST, Nodes, frame, kept_ports


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    with contextlib.ExitStack() as closing:
        yield Nodes(closing)


async def test_a_feed_reaches_everyone_who_listens_and_not_its_own_node(nodes: Nodes) -> None:
    speaker, *listeners = [nodes.start(name) for name in "ABCD"]
    for listener in listeners:
        listener.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(*listeners))
    speaker.transport.publish(frame(1))
    await eventually(lambda: all(each.heard.frames == [frame(1)] for each in listeners))
    assert speaker.heard.frames == []


async def test_one_node_hears_many_feeds(nodes: Nodes) -> None:
    listener, *speakers = [nodes.start(name) for name in "ABCDEF"]
    for speaker in speakers:
        listener.listens(speaker)
    await eventually(lambda: all(each.is_heard_by(listener) for each in speakers))
    for number, speaker in enumerate(speakers):
        speaker.transport.publish(frame(number))
    expected = {frame(number) for number in range(len(speakers))}
    await eventually(lambda: set(listener.heard.frames) == expected)


async def test_a_feed_learns_who_begins_and_who_ceases_to_listen(nodes: Nodes) -> None:
    speaker, first, second = (nodes.start(name) for name in "ABC")
    first.listens(speaker)
    await eventually(lambda: speaker.heard.listeners == [(first.id, True)])
    second.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(second))
    first.transport.stop_listening_to(speaker.feed)
    await eventually(lambda: (first.id, False) in speaker.heard.listeners)
    second.transport.close(linger_s=0.0)
    await eventually(lambda: (second.id, False) in speaker.heard.listeners)


async def test_after_it_stopped_listening_a_node_hears_nothing_more(nodes: Nodes) -> None:
    speaker, left, stays = (nodes.start(name) for name in "ABC")
    for listener in (left, stays):
        listener.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(left, stays))
    left.transport.stop_listening_to(speaker.feed)
    await eventually(lambda: (left.id, False) in speaker.heard.listeners)
    speaker.transport.publish(frame(1))
    await eventually(lambda: stays.heard.frames == [frame(1)])
    assert left.heard.frames == []


async def test_listening_twice_to_one_address_brings_each_frame_once(nodes: Nodes) -> None:
    """Two members may name one address: the second took over the port of the first."""
    speaker, listener = nodes.start("A"), nodes.start("B")
    listener.listens(speaker)
    listener.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(listener))
    speaker.transport.publish(frame(1))
    speaker.transport.publish(frame(2))
    await eventually(lambda: frame(2) in listener.heard.frames)
    assert listener.heard.frames == [frame(1), frame(2)]


async def test_a_big_burst_arrives_complete_and_in_order(nodes: Nodes) -> None:
    """More than one reading turn, fewer than the high-water mark."""
    speaker, listener = nodes.start("A"), nodes.start("B")
    listener.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(listener))
    burst = [frame(number) for number in range(8_000)]
    for each in burst:
        speaker.transport.publish(each)
    await eventually(lambda: len(listener.heard.frames) >= len(burst))
    assert listener.heard.frames == burst


async def test_two_nodes_that_burst_at_each_other_both_hear_everything(nodes: Nodes) -> None:
    """A send may swallow the edge that says that messages wait."""
    a, b = nodes.start("A"), nodes.start("B")
    a.listens(b)
    b.listens(a)
    await eventually(lambda: a.is_heard_by(b) and b.is_heard_by(a))
    burst = [frame(number) for number in range(3_000)]
    for number, each in enumerate(burst):
        a.transport.publish(each)
        b.transport.publish(each)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await eventually(lambda: min(len(a.heard.frames), len(b.heard.frames)) >= len(burst))
    assert a.heard.frames == burst
    assert b.heard.frames == burst


async def test_who_begins_to_listen_while_a_node_does_nothing_but_send_is_noticed(
    nodes: Nodes,
) -> None:
    """Sending takes in commands: it may swallow the one sign that a subscription waits."""
    speaker = nodes.start("A")
    for name in "BCDEF":
        listener = nodes.start(name)
        listener.listens(speaker)
        ends_s = time.monotonic() + 0.05
        while time.monotonic() < ends_s:
            speaker.transport.publish(frame(1))
        await eventually(functools.partial(speaker.is_heard_by, listener))


async def test_other_tasks_run_while_a_burst_is_read(nodes: Nodes) -> None:
    speaker, listener = nodes.start("A"), nodes.start("B")
    listener.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(listener))
    for number in range(8_000):
        speaker.transport.publish(frame(number))
    seen: set[int] = set()
    while len(listener.heard.frames) < 8_000:
        await asyncio.sleep(0)
        seen.add(len(listener.heard.frames))
    assert len(seen) > 8


async def test_a_request_gets_its_reply(nodes: Nodes) -> None:
    asker, server = nodes.start("A"), nodes.start("B")
    replies = asker.ask(server.service, b"question")
    await eventually(lambda: replies == [[b"echo", b"question"]])
    assert server.heard.requests == [b"question"]


async def test_many_requests_at_once_each_get_their_own_reply(nodes: Nodes) -> None:
    askers, server = [nodes.start(name) for name in "ABC"], nodes.start("S")
    replies = {
        (asker.id, n): asker.ask(server.service, asker.id + b"%d" % n)
        for asker in askers
        for n in range(300)
    }
    await eventually(lambda: all(replies.values()))
    assert all(got == [[b"echo", asker_id + b"%d" % n]] for (asker_id, n), got in replies.items())


async def test_replies_come_while_both_sides_are_busy_with_their_feeds(nodes: Nodes) -> None:
    asker, server = nodes.start("A"), nodes.start("B")
    asker.listens(server)
    await eventually(lambda: server.is_heard_by(asker))
    for number in range(5_000):
        server.transport.publish(frame(number))
    replies = asker.ask(server.service, b"question")
    await eventually(lambda: replies == [[b"echo", b"question"]])


async def test_a_reply_of_a_mebibyte_in_parts_arrives(nodes: Nodes) -> None:
    asker, server = nodes.start("A"), nodes.start("B")
    question = b"q" * FRAME_BYTES_MAX
    replies = asker.ask(server.service, question)
    await eventually(lambda: replies == [[b"echo", question]])


async def test_a_request_to_nobody_ends_with_none_after_its_time(nodes: Nodes) -> None:
    asker = nodes.start("A")
    with socket.socket() as unanswered:
        unanswered.bind((HOST, 0))
        address = f"tcp://{HOST}:{unanswered.getsockname()[1]}"
        replies = asker.ask(Endpoint(address), b"question", timeout_s=0.05)
        assert replies == []
        await eventually(lambda: replies == [None])


async def test_a_request_that_is_not_answered_ends_with_none_once(nodes: Nodes) -> None:
    asker, server = nodes.start("A"), nodes.start("B")
    server.heard.answers = False
    unanswered = asker.ask(server.service, b"first", timeout_s=2.0)
    await eventually(lambda: server.heard.requests == [b"first"])
    server.heard.answers = True
    answered = asker.ask(server.service, b"second")
    await eventually(lambda: answered == [[b"echo", b"second"]])
    await eventually(lambda: unanswered == [None])


async def test_hanging_up_ends_what_was_asked_and_the_next_request_is_answered(
    nodes: Nodes,
) -> None:
    asker, server = nodes.start("A"), nodes.start("B")
    server.heard.answers = False
    unanswered = asker.ask(server.service, b"first", timeout_s=60.0)
    await eventually(lambda: server.heard.requests == [b"first"])
    server.heard.answers = True
    asker.transport.hang_up(server.service)
    assert unanswered == [None]
    answered = asker.ask(server.service, b"second")
    await eventually(lambda: answered == [[b"echo", b"second"]])
    asker.transport.hang_up(Endpoint("tcp://127.0.0.1:9"))
    assert unanswered == [None]


async def test_a_request_is_answered_when_its_server_comes_up_in_time(nodes: Nodes) -> None:
    ports = kept_ports()
    asker, server = nodes.start("A"), nodes.start("B", ports=ports)
    service = server.service
    server.transport.close(linger_s=0.0)
    replies = asker.ask(service, b"question")
    again = nodes.start("B", ports=ports)
    assert again.service == service
    await eventually(lambda: replies == [[b"echo", b"question"]])


@pytest.mark.parametrize(
    "address", ["", "nonsense", "tcp://127.0.0.1:99999", "tcp://", "udp://x:1"]
)
async def test_an_address_that_is_none_does_no_harm(nodes: Nodes, address: str) -> None:
    """Addresses come from peers."""
    asker, server = nodes.start("A"), nodes.start("B")
    asker.transport.listen_to(Endpoint(address))
    asker.transport.stop_listening_to(Endpoint(address))
    replies = asker.ask(Endpoint(address), b"question", timeout_s=0.01)
    await eventually(lambda: replies == [None])
    answered = asker.ask(server.service, b"question")
    await eventually(lambda: answered == [[b"echo", b"question"]])


async def test_closing_ends_every_open_request_with_none(nodes: Nodes) -> None:
    asker, server = nodes.start("A"), nodes.start("B")
    server.heard.answers = False
    replies = [asker.ask(server.service, b"%d" % n) for n in range(3)]
    asker.transport.close(linger_s=0.0)
    assert replies == [[None]] * 3


async def test_what_was_said_last_is_still_sent_when_a_node_leaves(nodes: Nodes) -> None:
    speaker, listener = nodes.start("A"), nodes.start("B")
    listener.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(listener))
    for number in range(500):
        speaker.transport.publish(frame(number, size=1000))
    speaker.transport.close(linger_s=1.0)
    await eventually(lambda: len(listener.heard.frames) == 500)


async def test_a_restarted_node_takes_its_ports_again_and_is_heard_without_a_new_dial(
    nodes: Nodes,
) -> None:
    ports = kept_ports()
    speaker, listener = nodes.start("A", ports=ports), nodes.start("B")
    listener.listens(speaker)
    await eventually(lambda: speaker.is_heard_by(listener))
    speaker.transport.close(linger_s=0.0)
    again = nodes.start("A", ports=ports)
    assert again.transport.ports == ports
    await eventually(lambda: again.is_heard_by(listener))
    again.transport.publish(frame(1))
    await eventually(lambda: listener.heard.frames == [frame(1)])


async def test_a_feed_that_comes_up_later_is_heard(nodes: Nodes) -> None:
    ports = kept_ports()
    speaker, listener = nodes.start("A", ports=ports), nodes.start("B")
    feed = speaker.feed
    speaker.transport.close(linger_s=0.0)
    listener.transport.listen_to(feed)
    late = nodes.start("A", ports=ports)
    await eventually(lambda: late.is_heard_by(listener))


async def test_ports_that_somebody_else_took_are_replaced_by_free_ones(nodes: Nodes) -> None:
    first = nodes.start("A")
    second = nodes.start("B", ports=first.transport.ports)
    assert set(second.transport.ports).isdisjoint(first.transport.ports)
    replies = second.ask(first.service, b"question")
    await eventually(lambda: replies == [[b"echo", b"question"]])


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000])
async def test_bytes_that_are_not_zeromq_leave_feed_and_service_unharmed(
    nodes: Nodes, garbage: bytes
) -> None:
    server, asker = nodes.start("A"), nodes.start("B")
    asker.listens(server)
    await eventually(lambda: server.is_heard_by(asker))
    for port in server.transport.ports:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(garbage)
        writer.close()
    replies = asker.ask(server.service, b"question")
    await eventually(lambda: replies == [[b"echo", b"question"]])
    server.transport.publish(frame(1))
    await eventually(lambda: asker.heard.frames == [frame(1)])
    assert server.heard.requests == [b"question"]


async def test_a_request_in_the_wrong_number_of_parts_is_passed_over(nodes: Nodes) -> None:
    server, asker = nodes.start("A"), nodes.start("B")
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 1000
        dealer.connect(server.transport.service_address)
        for parts in ([b""], [b"1", b"2", b"3"], [b"number", b"frame"]):
            dealer.send_multipart(parts)
        await eventually(lambda: server.heard.requests == [b"frame"])
    replies = asker.ask(server.service, b"question")
    await eventually(lambda: replies == [[b"echo", b"question"]])


async def test_a_message_larger_than_a_frame_may_be_is_never_read(nodes: Nodes) -> None:
    server, asker = nodes.start("A"), nodes.start("B")
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(server.transport.service_address)
        dealer.send_multipart([b"number", b"x" * (PART_BYTES_MAX + 1)])
        replies = asker.ask(server.service, b"question")
        await eventually(lambda: replies == [[b"echo", b"question"]])
    assert server.heard.requests == [b"question"]


async def test_an_asker_that_reads_no_reply_costs_bounded_memory(nodes: Nodes) -> None:
    """Without a bound it would hold 400 MiB of replies here."""
    server, other = nodes.start("A"), nodes.start("B")
    server.heard.padding_bytes = 2**20
    before_bytes = psutil.Process().memory_info().rss
    with zmq.Context() as context, context.socket(zmq.DEALER) as idle:
        idle.linger = 0
        idle.rcvhwm = 1
        idle.connect(server.transport.service_address)
        for number in range(400):
            idle.send_multipart([b"number", b"%d" % number])
        await eventually(lambda: len(server.heard.requests) == 400)
        grown_bytes = psutil.Process().memory_info().rss - before_bytes
        server.heard.padding_bytes = 0
        replies = other.ask(server.service, b"question")
        await eventually(lambda: replies == [[b"echo", b"question"]])
    assert grown_bytes < 150e6
    assert set(server.heard.refusals) == {"slow_asker"}


async def test_requests_beyond_what_may_wait_for_one_peer_end_at_once(nodes: Nodes) -> None:
    asker = nodes.start("A")
    with socket.socket() as unanswered:
        unanswered.bind((HOST, 0))
        absent = Endpoint(f"tcp://{HOST}:{unanswered.getsockname()[1]}")
        replies = [asker.ask(absent, b"question") for _ in range(1030)]
        await eventually(lambda: replies[1024:] == [[None]] * 6)
        assert replies[:1024] == [[]] * 1024
    asker.transport.close(linger_s=0.0)
    assert replies == [[None]] * 1030


async def test_a_listener_with_a_giant_topic_is_cut_off(nodes: Nodes) -> None:
    speaker, listener = nodes.start("A"), nodes.start("B")
    with zmq.Context() as context, context.socket(zmq.SUB) as giant:
        giant.linger = 0
        giant.reconnect_ivl = 10
        cut_off = giant.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        giant.subscribe(b"x" * 2000)
        giant.connect(speaker.transport.feed_address)
        for _ in range(2):
            # A SUB that nobody touches does not subscribe again.
            await eventually(lambda: cut_off.poll(0) or giant.poll(0))
            cut_off.recv_multipart()
        giant.disable_monitor()
        cut_off.close(linger=0)
        listener.listens(speaker)
        await eventually(lambda: speaker.heard.listeners == [(listener.id, True)])
