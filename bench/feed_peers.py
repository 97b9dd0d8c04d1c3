"""The processes of bench/curve.py: one node's feed and those who listen to it, nothing else.

Both are the real transport in an asyncio loop. The speaker keeps within the feed's high-water mark
by looking at how far the slowest listener has come, in memory that they share.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from mesh.core.items import NodeId
from mesh.core.membership import Endpoint
from mesh.transport.curve import CurveKeys
from mesh.transport.zmq_transport import ZmqTransport
from mesh.wire.codec import MAGIC

HOST = "127.0.0.1"
AHEAD_MESSAGES_MAX = 4_000
"""What the slowest listener may be behind so that nothing is lost: ZeroMQ counts up to half of the
high-water mark of 10,000 as still waiting when it is sent."""
SLICE_MESSAGES = 250
"""Said before the speaker looks up."""
WAIT_S = 30.0
"""A side that takes longer is broken."""
_TIME = struct.Struct(">Q")
_TIME_AT = slice(len(MAGIC), len(MAGIC) + _TIME.size)


@dataclass(frozen=True, slots=True)
class Talk:
    """What is said in one round, after a second of it that is not counted."""

    frame_bytes: int
    message_count: int
    """As fast as it goes."""
    paced_per_s: int
    paced_s: float
    """Then at this rate, for so long, for the times of single messages."""


@dataclass(slots=True)
class Hearing:
    """What one node hears; counts for the speaker to see."""

    counts: MutableSequence[int]
    listener: int
    listening: set[NodeId] = field(default_factory=set)
    one_way_ns: list[int] = field(default_factory=list)

    def feed_received(self, frame: bytes) -> None:
        self.one_way_ns.append(time.time_ns() - _TIME.unpack(frame[_TIME_AT])[0])
        self.counts[self.listener] += 1

    def feed_subscribed(self, node: NodeId, listening: bool) -> None:
        self.listening.add(node)

    def request_received(self, frame: bytes, asker_key: bytes) -> list[bytes]:
        return []

    def turned_away(self, reason: str) -> None:
        raise AssertionError(f"turned away: {reason}")


def listen(listener: int, encrypted: bool, counts: MutableSequence[int], line: Connection) -> None:
    """Process: hears one feed until told to end, then hands in its times in ns."""
    asyncio.run(_listen(listener, encrypted, counts, line))


async def _listen(
    listener: int, encrypted: bool, counts: MutableSequence[int], line: Connection
) -> None:
    keys = CurveKeys.new() if encrypted else None
    transport = ZmqTransport(NodeId(bytes([listener]) * 16), host=HOST, curve=keys)
    hearing = Hearing(counts, listener)
    try:
        transport.start(hearing)
        line.send(keys.public if keys else b"")
        transport.listen_to(line.recv())
        await _until(line.poll)
        line.recv()
        line.send(hearing.one_way_ns)
        line.recv()
    finally:
        transport.close(linger_s=0.0)


def speak(talk: Talk, encrypted: bool, counts: MutableSequence[int], line: Connection) -> None:
    """Process: says a round's frames, then hands in how long the fast part took, in s."""
    asyncio.run(_speak(talk, encrypted, counts, line))


async def _speak(
    talk: Talk, encrypted: bool, counts: MutableSequence[int], line: Connection
) -> None:
    keys = CurveKeys.new() if encrypted else None
    transport = ZmqTransport(NodeId(b"s" * 16), host=HOST, curve=keys)
    hearing = Hearing(counts, listener=-1)
    try:
        transport.start(hearing)
        for key in line.recv():
            transport.admit_key(key)
        line.send(Endpoint(transport.feed_address, keys.public if keys else b""))
        await _until(lambda: len(hearing.listening) == len(counts))
        padding = bytes(talk.frame_bytes - len(MAGIC) - _TIME.size)
        said = await _say_paced(transport, talk, 1.0, padding)
        await _until(lambda: min(counts) == said)
        started_s = time.perf_counter()
        said = await _say_fast(transport, talk, said, counts, padding)
        line.send((said - talk.message_count, time.perf_counter() - started_s))
        said += await _say_paced(transport, talk, talk.paced_s, padding)
        await _until(lambda: min(counts) == said)
        line.send(said)
        line.recv()
    finally:
        transport.close(linger_s=0.0)


async def _say_fast(
    transport: ZmqTransport,
    talk: Talk,
    said: int,
    counts: MutableSequence[int],
    padding: bytes,
) -> int:
    """Say all as fast as the slowest listener takes it in; return once everyone has."""
    ends = said + talk.message_count
    while said < ends:
        if said - min(counts) > AHEAD_MESSAGES_MAX:
            await asyncio.sleep(0.001)
            continue
        for _ in range(min(SLICE_MESSAGES, ends - said)):
            transport.publish(_frame(padding))
            said += 1
        await asyncio.sleep(0)
    await _until(lambda: min(counts) == ends)
    return ends


async def _say_paced(transport: ZmqTransport, talk: Talk, duration_s: float, padding: bytes) -> int:
    count = int(duration_s * talk.paced_per_s)
    starts_s = time.perf_counter()
    for number in range(count):
        due_s = starts_s + number / talk.paced_per_s
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        transport.publish(_frame(padding))
    return count


def _frame(padding: bytes) -> bytes:
    return MAGIC + _TIME.pack(time.time_ns()) + padding


async def _until(condition: Callable[[], object]) -> None:
    ends_s = time.perf_counter() + WAIT_S
    while not condition():
        if time.perf_counter() > ends_s:
            raise TimeoutError("the other side has not come so far in time")
        await asyncio.sleep(0.001)
