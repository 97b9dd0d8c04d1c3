"""The network in memory does to messages what it is told to, and behaves as sockets do."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial

import pytest

from mesh.core.items import NodeId
from mesh.core.membership import Endpoint
from mesh.transport.in_memory import CUT_NOTICED_S, Conditions, InMemoryTransport, Network
from mesh.transport.interface import Transport
from tests.simulation.virtual_clock import ProcessTimers, VirtualClock


@dataclass
class Ears:
    """What a node hears from its transport."""

    frames: list[bytes] = field(default_factory=list)
    listeners: list[tuple[NodeId, bool]] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def feed_received(self, frame: bytes) -> None:
        self.frames.append(frame)

    def feed_subscribed(self, node: NodeId, listening: bool) -> None:
        self.listeners.append((node, listening))

    def request_received(self, frame: bytes, asker_key: bytes) -> list[bytes]:
        self.asked.append(frame)
        return [b"re: " + frame, asker_key]

    def turned_away(self, reason: str) -> None:
        self.refused.append(reason)


class Node:
    """A transport with its process and its ears."""

    def __init__(self, network: Network, clock: VirtualClock, name: str, key: bytes = b"") -> None:
        self.id = NodeId(name.encode().ljust(16, b"."))
        self.timers = ProcessTimers(clock)
        self.transport = InMemoryTransport(network, self.id, self.timers, host=name, curve_key=key)
        self.ears = Ears()
        self.transport.start(self.ears)

    @property
    def feed(self) -> Endpoint:
        return Endpoint(self.transport.feed_address)

    @property
    def service(self) -> Endpoint:
        return Endpoint(self.transport.service_address)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def network(clock: VirtualClock) -> Network:
    return Network(random.Random(1), clock)


def pair(network: Network, clock: VirtualClock) -> tuple[Node, Node]:
    """A speaker, and a listener who is connected."""
    speaker, listener = Node(network, clock, "speaker"), Node(network, clock, "listener")
    listener.transport.listen_to(speaker.feed)
    clock.run_until(clock.time() + 0.1)
    assert speaker.ears.listeners == [(listener.id, True)]
    return speaker, listener


def numbers(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def publish_all(speaker: Node, frames: list[bytes], clock: VirtualClock, wait_s: float) -> None:
    for frame in frames:
        speaker.transport.publish(frame)
    clock.run_until(clock.time() + wait_s)


def test_it_is_a_transport(network: Network, clock: VirtualClock) -> None:
    transport: Transport = Node(network, clock, "a").transport
    assert transport.feed_address != transport.service_address


def test_frames_reach_who_listens_once_and_in_order(network: Network, clock: VirtualClock) -> None:
    speaker, listener = pair(network, clock)
    publish_all(speaker, numbers(100), clock, 1.0)
    assert listener.ears.frames == numbers(100)


def test_what_is_published_before_a_subscription_arrives_is_not_heard(
    network: Network, clock: VirtualClock
) -> None:
    speaker, listener = Node(network, clock, "speaker"), Node(network, clock, "listener")
    listener.transport.listen_to(speaker.feed)
    speaker.transport.publish(b"too early")
    clock.run_until(1.0)
    assert listener.ears.frames == []


def test_a_feed_that_comes_up_later_is_heard(network: Network, clock: VirtualClock) -> None:
    listener = Node(network, clock, "listener")
    listener.transport.listen_to(Endpoint("tcp://speaker:1"))
    clock.run_until(5.0)
    speaker = Node(network, clock, "speaker")
    clock.run_until(7.0)
    publish_all(speaker, [b"hello"], clock, 1.0)
    assert listener.ears.frames == [b"hello"]


def test_loss_repetition_and_reordering_happen_about_as_often_as_they_are_set(
    network: Network, clock: VirtualClock
) -> None:
    speaker, listener = pair(network, clock)
    network.conditions = Conditions(loss=0.2, repetition=0.1, reordering=0.3)
    publish_all(speaker, numbers(1000), clock, 2.0)
    heard = listener.ears.frames
    assert 750 < len(set(heard)) < 850
    assert 50 < len(heard) - len(set(heard)) < 110
    assert heard != sorted(heard, key=int)


def test_a_partition_swallows_what_is_said_across_it_and_is_noticed_late(
    network: Network, clock: VirtualClock
) -> None:
    speaker, listener = pair(network, clock)
    network.cut({speaker.id: 1})
    publish_all(speaker, [b"lost"], clock, 1.0)
    assert len(speaker.ears.listeners) == 1, "not noticed yet"
    clock.run_until(clock.time() + CUT_NOTICED_S)
    assert speaker.ears.listeners[-1] == (listener.id, False)
    network.heal()
    clock.run_until(clock.time() + 2.0)
    publish_all(speaker, [b"heard"], clock, 1.0)
    assert listener.ears.frames == [b"heard"]


def test_a_short_partition_leaves_the_connection_but_not_the_frames(
    network: Network, clock: VirtualClock
) -> None:
    speaker, listener = pair(network, clock)
    network.cut({speaker.id: 1})
    publish_all(speaker, [b"lost"], clock, 0.5)
    network.heal()
    publish_all(speaker, [b"heard"], clock, CUT_NOTICED_S + 1.0)
    assert listener.ears.frames == [b"heard"]
    assert speaker.ears.listeners == [(listener.id, True)]


def test_a_listener_that_stands_still_hears_later_and_only_what_its_queue_holds(
    network: Network, clock: VirtualClock
) -> None:
    network.high_water_mark_messages = 10
    speaker, listener = pair(network, clock)
    listener.timers.pause()
    publish_all(speaker, numbers(15), clock, 1.0)
    assert listener.ears.frames == []
    listener.timers.resume()
    clock.run_until(clock.time() + 1.0)
    assert listener.ears.frames == numbers(10)
    assert network.counts.overflowed == 5


def test_a_restarted_speaker_is_heard_again_and_told_who_listens(
    network: Network, clock: VirtualClock
) -> None:
    speaker, listener = pair(network, clock)
    speaker.timers.end()
    speaker.transport.close(0.0)
    again = Node(network, clock, "speaker")
    clock.run_until(clock.time() + 3.0)
    publish_all(again, [b"again"], clock, 1.0)
    assert listener.ears.frames == [b"again"]
    assert again.ears.listeners == [(listener.id, True)]


def test_a_speaker_learns_that_a_listener_is_gone(network: Network, clock: VirtualClock) -> None:
    speaker, listener = pair(network, clock)
    listener.timers.end()
    listener.transport.close(0.0)
    clock.run_until(clock.time() + 1.0)
    assert speaker.ears.listeners == [(listener.id, True), (listener.id, False)]


def test_a_request_is_answered_or_given_up(network: Network, clock: VirtualClock) -> None:
    asker, asked = Node(network, clock, "asker"), Node(network, clock, "asked")
    replies: list[list[bytes] | None] = []
    asker.transport.request(asked.service, b"one", timeout_s=1.0, reply=replies.append)
    clock.run_until(2.0)
    assert replies == [[b"re: one", b""]]
    asker.transport.request(Endpoint("tcp://nobody:2"), b"?", timeout_s=1.0, reply=replies.append)
    asked.timers.pause()
    asker.transport.request(asked.service, b"two", timeout_s=1.0, reply=replies.append)
    clock.run_until(4.0)
    assert replies[1:] == [None, None]
    asked.timers.resume()
    clock.run_until(5.0)
    assert asked.ears.asked == [b"one", b"two"]
    assert len(replies) == 3, "an answer that comes too late is nobody's"


def test_hanging_up_ends_what_was_asked_of_that_node_alone(
    network: Network, clock: VirtualClock
) -> None:
    asker, one, other = (Node(network, clock, name) for name in ("asker", "one", "other"))
    replies: dict[str, list[bytes] | None] = {}
    for name, asked in (("one", one), ("other", other)):
        asker.transport.request(
            asked.service, b"?", timeout_s=1.0, reply=partial(replies.__setitem__, name)
        )
    asker.transport.hang_up(one.service)
    assert replies == {"one": None}
    clock.run_until(2.0)
    assert replies == {"one": None, "other": [b"re: ?", b""]}


def test_with_keys_a_feed_is_heard_by_those_alone_whom_it_admits(
    network: Network, clock: VirtualClock
) -> None:
    speaker = Node(network, clock, "speaker", b"speaker's key")
    listener = Node(network, clock, "listener", b"listener's key")
    listener.transport.listen_to(speaker.feed)
    clock.run_until(2.0)
    assert speaker.ears.listeners == []
    assert set(speaker.ears.refused) == {"unknown_key"}
    speaker.transport.admit_key(b"listener's key")
    clock.run_until(4.0)
    assert speaker.ears.listeners == [(listener.id, True)]
    speaker.transport.revoke_key(b"listener's key")
    publish_all(speaker, [b"not for you"], clock, 1.0)
    assert listener.ears.frames == []


def test_the_same_seed_gives_the_same_fates() -> None:
    def fates() -> list[bytes]:
        clock = VirtualClock()
        network = Network(random.Random(7), clock)
        speaker, listener = pair(network, clock)
        network.conditions = Conditions(delay_s=(0.0, 1.0), loss=0.3, reordering=0.3)
        publish_all(speaker, numbers(50), clock, 5.0)
        return listener.ears.frames

    assert fates() == fates()
