"""The mesh's network in memory: delay, loss, reordering, repetition and partition from one seed.

It behaves as the sockets do where a node can tell: a feed reaches whoever listens, once its
subscription has arrived; messages of one link keep their order unless the network is told
otherwise; a slow listener loses what its queue cannot hold; a peer that is gone is redialled; a
partition is noticed late. What is said across a partition is lost, where TCP would repeat some
of it: a node must not count on that. Nothing here knows an entry, and no time passes by itself:
each message waits on its receiver's own timers, so whoever stops these stops the node.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mesh.core.items import NodeId
from mesh.core.membership import Endpoint
from mesh.transport.interface import Reply, TransportEvents

HIGH_WATER_MARK_MESSAGES = 10_000
"""Frames under way on one link; more are dropped, as a socket's full queue drops them."""
CONNECT_TIMEOUT_S = 2.0
DIAL_S = (0.0005, 0.003)
REDIAL_S = (0.1, 1.0)
"""Between tries to reach a feed that does not answer."""
BROKEN_AFTER_S = (0.0005, 0.02)
"""Until the other side of a link learns that a process is gone."""
CUT_NOTICED_S = 3.0
"""Until both sides of a link learn that nothing passes any more."""


class Cancellable(Protocol):
    def cancel(self) -> None: ...


class Timers(Protocol):
    """A node's timers: nodes' `Clock` by another name, which is above this module."""

    def time(self) -> float: ...

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: object
    ) -> Cancellable: ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """What happens to messages on their way, on all links alike."""

    delay_s: tuple[float, float] = (0.0002, 0.002)
    loss: float = 0.0
    """Share in [0, 1] of messages that never arrive."""
    repetition: float = 0.0
    """Share that arrives twice, the second time late."""
    reordering: float = 0.0
    """Share that is overtaken by what was sent after it."""
    late_s: float = 0.3
    """How late such a message is at most."""

    @property
    def is_rough(self) -> bool:
        return bool(self.loss or self.repetition or self.reordering)


CALM = Conditions()


@dataclass(slots=True)
class NetworkCounts:
    """What the network has done so far."""

    carried: int = 0
    lost: int = 0
    cut: int = 0
    """Messages that a partition swallowed."""
    overflowed: int = 0
    """Frames dropped at a full queue."""
    repeated: int = 0
    reordered: int = 0


@dataclass(slots=True, eq=False)
class _Link:
    """One listener's connection to one feed, or its tries to get one."""

    listener: InMemoryTransport
    feed: Endpoint
    publisher: InMemoryTransport | None = None
    free_s: float = 0.0
    """When the last message in order arrives: none may arrive before it."""
    under_way: int = 0
    dialling: Cancellable | None = None
    dropped: bool = False
    """Nobody wants it any more."""


@dataclass(slots=True)
class Network:
    """All wires of one mesh. `timers` are the world's own: they go on when every node stops."""

    random: random.Random
    timers: Timers
    conditions: Conditions = CALM
    high_water_mark_messages: int = HIGH_WATER_MARK_MESSAGES
    """Lower, so that a listener that stands still for a second loses some."""
    counts: NetworkCounts = field(default_factory=NetworkCounts)
    _feeds: dict[str, InMemoryTransport] = field(default_factory=dict)
    _services: dict[str, InMemoryTransport] = field(default_factory=dict)
    _sides: dict[NodeId, int] = field(default_factory=dict)
    _cuts: int = 0

    def cut(self, sides: Mapping[NodeId, int]) -> None:
        """Let nothing pass between nodes of different sides; a node not named is on side 0."""
        self._sides = dict(sides)
        self._cuts += 1
        self.timers.call_later(CUT_NOTICED_S, self._notice_cut, self._cuts)

    def heal(self) -> None:
        self._sides = {}

    def separates(self, one: NodeId, other: NodeId) -> bool:
        sides = self._sides
        return bool(sides) and sides.get(one, 0) != sides.get(other, 0)

    def bind(self, transport: InMemoryTransport) -> None:
        for address, bound in (
            (transport.feed_address, self._feeds),
            (transport.service_address, self._services),
        ):
            assert address not in bound, f"{address} is taken"
            bound[address] = transport

    def unbind(self, transport: InMemoryTransport) -> None:
        for address, bound in (
            (transport.feed_address, self._feeds),
            (transport.service_address, self._services),
        ):
            if bound.get(address) is transport:
                del bound[address]

    def feed(self, address: str) -> InMemoryTransport | None:
        return self._feeds.get(address)

    def service(self, address: str) -> InMemoryTransport | None:
        return self._services.get(address)

    def publish(self, link: _Link, frame: bytes) -> None:
        """Send one frame along one link."""
        publisher, listener = link.publisher, link.listener
        if publisher is None:
            return
        if self._sides and self.separates(publisher.own_id, listener.own_id):
            self.counts.cut += 1
            return
        conditions = self.conditions
        draw = self.random.random
        low, high = conditions.delay_s
        delay_s = low + (high - low) * draw()
        if conditions.is_rough:
            if draw() < conditions.loss:
                self.counts.lost += 1
                return
            if draw() < conditions.repetition:
                self.counts.repeated += 1
                self._carry(link, delay_s + conditions.late_s * draw(), frame)
            if draw() < conditions.reordering:
                self.counts.reordered += 1
                self._carry(link, delay_s + conditions.late_s * draw(), frame)
                return
        now_s = self.timers.time()
        link.free_s = max(link.free_s, now_s + delay_s)
        self._carry(link, link.free_s - now_s, frame)

    def _carry(self, link: _Link, delay_s: float, frame: bytes) -> None:
        if link.under_way >= self.high_water_mark_messages:
            self.counts.overflowed += 1
            return
        self.counts.carried += 1
        link.under_way += 1
        link.listener.timers.call_later(delay_s, link.listener.arrive, link, frame)

    def passes(self, sender: NodeId, receiver: NodeId) -> list[float]:
        """The delays in seconds with which a request or reply arrives: none, one, or two."""
        if self.separates(sender, receiver):
            self.counts.cut += 1
            return []
        conditions = self.conditions
        low, high = conditions.delay_s
        delay_s = low + (high - low) * self.random.random()
        self.counts.carried += 1
        if not conditions.is_rough:
            return [delay_s]
        if self.random.random() < conditions.loss:
            self.counts.lost += 1
            return []
        if self.random.random() < conditions.repetition:
            self.counts.repeated += 1
            return [delay_s, delay_s + conditions.late_s * self.random.random()]
        return [delay_s]

    def _notice_cut(self, cut: int) -> None:
        if cut != self._cuts or not self._sides:
            return
        for transport in list(self._feeds.values()):
            transport.drop_links_that_are_cut()


class InMemoryTransport:
    """One node's place in the network.

    Args:
        curve_key: the key that this node holds; with b"" all of the run is plaintext, and
            nobody is asked for one.
    """

    def __init__(
        self, network: Network, own_id: NodeId, timers: Timers, *, host: str, curve_key: bytes = b""
    ) -> None:
        self.own_id = own_id
        self.timers = timers
        self.feed_address = f"tcp://{host}:1"
        self.service_address = f"tcp://{host}:2"
        self._network = network
        self._events: TransportEvents
        self.curve_key = curve_key
        self._admitted: set[bytes] = set()
        self._revoked: set[bytes] = set()
        self._links: dict[Endpoint, _Link] = {}
        self._listeners: dict[_Link, None] = {}
        """Links whose subscription has arrived here, oldest first."""
        self._waiting: dict[int, tuple[Endpoint, Reply, Cancellable]] = {}
        self._numbers = itertools.count(1)
        self._closed = False
        network.bind(self)

    def start(self, events: TransportEvents) -> None:
        """Begin to listen; `events` hears what comes."""
        self._events = events

    def admit_key(self, curve_key: bytes) -> None:
        self._admitted.add(curve_key)

    def revoke_key(self, curve_key: bytes) -> None:
        self._revoked.add(curve_key)
        for link in list(self._listeners):
            if link.listener.curve_key == curve_key:
                self.unsubscribe(link)

    def publish(self, frame: bytes, to: NodeId | None = None) -> None:
        for link in list(self._listeners):
            if to is None or link.listener.own_id == to:
                self._network.publish(link, frame)

    def listen_to(self, feed: Endpoint) -> None:
        if feed not in self._links:
            link = self._links[feed] = _Link(self, feed)
            self.dial_in(link, DIAL_S)

    def stop_listening_to(self, feed: Endpoint) -> None:
        link = self._links.pop(feed, None)
        if link is not None:
            link.dropped = True
            self._hang_up(link)

    def request(self, service: Endpoint, frame: bytes, *, timeout_s: float, reply: Reply) -> None:
        number = next(self._numbers)
        timer = self.timers.call_later(timeout_s, self.replied, number, None)
        self._waiting[number] = (service, reply, timer)
        asked = self._network.service(service.address)
        if asked is None:
            return  # Nobody is there: the time-out says so.
        for delay_s in self._network.passes(self.own_id, asked.own_id):
            asked.timers.call_later(delay_s, asked.answer, self, number, frame)

    def hang_up(self, service: Endpoint) -> None:
        numbers = [number for number, (asked, *_) in self._waiting.items() if asked == service]
        for number in numbers:
            self.replied(number, None)

    def close(self, linger_s: float = 0.0) -> None:
        """Leave, also when the process is gone already. What was sent still arrives."""
        if self._closed:
            return
        self._closed = True
        self._network.unbind(self)
        for link in self._links.values():
            link.dropped = True
            self._hang_up(link)
        for link in list(self._listeners):
            delay_s = self._network.random.uniform(*BROKEN_AFTER_S)
            link.listener.timers.call_later(delay_s, link.listener.broken, link, self)
        for _, _, timer in self._waiting.values():
            timer.cancel()

    # What the network does to it

    def arrive(self, link: _Link, frame: bytes) -> None:
        """A frame has come along one of its links."""
        link.under_way -= 1
        if not (link.dropped or self._closed):
            self._events.feed_received(frame)

    def answer(self, asker: InMemoryTransport, number: int, frame: bytes) -> None:
        """A request has arrived."""
        if self._closed or asker.curve_key in self._revoked:
            return
        parts = self._events.request_received(frame, asker.curve_key)
        if parts:
            for delay_s in self._network.passes(self.own_id, asker.own_id):
                asker.timers.call_later(delay_s, asker.replied, number, parts)

    def broken(self, link: _Link, publisher: InMemoryTransport) -> None:
        """The other side of one of its links is gone, or cannot be reached any more."""
        if link.publisher is publisher:
            link.publisher = None
            self.dial_in(link, REDIAL_S)

    def drop_links_that_are_cut(self) -> None:
        for link in list(self._listeners):
            if self._network.separates(self.own_id, link.listener.own_id):
                self.timers.call_later(0.0, self.unsubscribe, link)
                link.listener.timers.call_later(0.0, link.listener.broken, link, self)

    def replied(self, number: int, parts: list[bytes] | None) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None and not self._closed:
            _, reply, timer = waiting
            timer.cancel()
            reply(parts)

    def dial_in(self, link: _Link, delays_s: tuple[float, float]) -> None:
        if link.dialling is not None:
            link.dialling.cancel()
        delay_s = self._network.random.uniform(*delays_s)
        link.dialling = self.timers.call_later(delay_s, self._dial, link)

    def _dial(self, link: _Link) -> None:
        if link.dropped or self._closed or link.publisher is not None:
            return
        publisher = self._network.feed(link.feed.address)
        if publisher is None or self._network.separates(self.own_id, publisher.own_id):
            self.dial_in(link, REDIAL_S)
            return
        self.dial_in(link, (CONNECT_TIMEOUT_S, CONNECT_TIMEOUT_S))
        delay_s = self._network.random.uniform(*DIAL_S)
        publisher.timers.call_later(delay_s, publisher.subscribe, link)

    def subscribe(self, link: _Link) -> None:
        """A listener's subscription has arrived, if its key lets it in."""
        if self._closed or link.dropped:
            return
        key = link.listener.curve_key
        if key in self._revoked:
            self._events.turned_away("revoked_key")
        elif self.curve_key and key not in self._admitted:
            self._events.turned_away("unknown_key")
            link.listener.dial_in(link, REDIAL_S)
        elif link.publisher is None:
            link.publisher = self
            self._listeners[link] = None
            self._events.feed_subscribed(link.listener.own_id, True)

    def unsubscribe(self, link: _Link) -> None:
        if link in self._listeners and not self._closed:
            del self._listeners[link]
            self._events.feed_subscribed(link.listener.own_id, False)

    def _hang_up(self, link: _Link) -> None:
        if link.publisher is not None:
            publisher, link.publisher = link.publisher, None
            delay_s = self._network.random.uniform(*BROKEN_AFTER_S)
            publisher.timers.call_later(delay_s, publisher.unsubscribe, link)
