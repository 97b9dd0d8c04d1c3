"""One peer of bare ZeroMQ in bench/propagation.py: a PUB and a SUB socket, read by poll."""

from __future__ import annotations

import contextlib
import gc
import time
from multiprocessing.connection import Connection

import zmq

from bench.talk import ARRIVALS_WAIT_S, Round, Times, say_times_s


def bare_peer(peer: int, this_round: Round, line: Connection) -> None:
    """Process: the same schedule over a PUB and a SUB socket, nothing else."""
    context = zmq.Context()
    feed, inbox = context.socket(zmq.PUB), context.socket(zmq.SUB)
    try:
        feed.bind("tcp://127.0.0.1:*")
        inbox.subscribe(b"")
        line.send(feed.getsockopt_string(zmq.LAST_ENDPOINT))
        addresses: list[str] = line.recv()
        for address in addresses[:peer] + addresses[peer + 1 :]:
            inbox.connect(address)
        times = Times()
        _greet(feed, inbox, peer, len(addresses))
        line.send("ready")
        start_s: float = line.recv()
        gc.freeze()
        _say_bare(feed, inbox, peer, this_round, start_s, times)
        line.send(len(times.said))
        while not line.poll(0):  # The others still talk.
            _hear_bare(inbox, times, until_s=time.time() + 0.02)
        expected_count: int = line.recv()
        ends_s = time.time() + ARRIVALS_WAIT_S
        while len(times.heard) < expected_count - len(times.said) and time.time() < ends_s:
            _hear_bare(inbox, times, until_s=time.time() + 0.02)
        line.send(times)
        line.recv()
    finally:
        feed.close(linger=0)
        inbox.close(linger=0)
        context.term()


def _greet(feed: zmq.Socket[bytes], inbox: zmq.Socket[bytes], peer: int, peer_count: int) -> None:
    """Return once every other peer is heard; its greetings go on until all have heard it too."""
    greeted: set[int] = set()
    quiet_s = time.time() + 1.0
    while len(greeted) < peer_count - 1 or time.time() < quiet_s:
        feed.send(bytes([peer]))
        if inbox.poll(20):
            greeted.add(inbox.recv()[0])


def _say_bare(
    feed: zmq.Socket[bytes],
    inbox: zmq.Socket[bytes],
    peer: int,
    this_round: Round,
    start_s: float,
    times: Times,
) -> None:
    origin = bytes([peer])
    padding = bytes(this_round.frame_bytes - 9)
    for number, due_s in enumerate(say_times_s(this_round, peer), start=1):
        _hear_bare(inbox, times, until_s=start_s + due_s)
        times.said[origin, number] = time.time_ns()
        feed.send(origin + number.to_bytes(8, "big") + padding)


def _hear_bare(inbox: zmq.Socket[bytes], times: Times, *, until_s: float) -> None:
    """Read everything that waits, at least once, until `until_s`."""
    while True:
        with contextlib.suppress(zmq.Again):
            while True:
                message = inbox.recv(zmq.NOBLOCK)
                if len(message) > 1:
                    number = int.from_bytes(message[1:9], "big")
                    times.heard[message[:1], number] = time.time_ns()
        wait_s = until_s - time.time()
        if wait_s <= 0:
            return
        inbox.poll(max(1, round(wait_s * 1000)))
