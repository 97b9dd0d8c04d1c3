"""The tests' relay forwards, holds back and resets real connections."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from bench.relay import Address, Relay
from tests.patience import PATIENCE_S

_NET = f"127.{os.getpid() % 250 + 1}"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What the relay leads to."""
    with socket.create_server((f"{_NET}.3.1", 0)) as listening:
        listening.settimeout(PATIENCE_S)
        yield listening


@pytest.fixture
def front(listener: socket.socket) -> Address:
    return f"{_NET}.4.1", listener.getsockname()[1]


def dial(front: Address) -> socket.socket:
    return socket.create_connection(front, timeout=PATIENCE_S)


def accept(listener: socket.socket) -> socket.socket:
    accepted, _ = listener.accept()
    accepted.settimeout(PATIENCE_S)
    return accepted


def test_what_is_sent_arrives_both_ways_and_an_end_is_passed_on(
    listener: socket.socket, front: Address
) -> None:
    with Relay({front: listener.getsockname()}), dial(front) as near, accept(listener) as far:
        near.sendall(b"there")
        assert far.recv(100) == b"there"
        far.sendall(b"back")
        assert near.recv(100) == b"back"
        near.close()
        assert far.recv(100) == b""


def test_what_is_held_arrives_when_it_is_released_and_not_before(
    listener: socket.socket, front: Address
) -> None:
    other = f"{_NET}.4.2", front[1]
    back = listener.getsockname()
    with (
        Relay({front: back, other: back}) as relay,
        dial(front) as near,
        accept(listener) as far,
        dial(other) as free_near,
        accept(listener) as free_far,
    ):
        relay.hold([front])
        near.sendall(b"held")
        # What the relay reads later has passed: it would have passed the other before.
        free_near.sendall(b"free")
        assert free_far.recv(100) == b"free"
        far.setblocking(False)
        with pytest.raises(BlockingIOError):
            far.recv(100)
        relay.release([front])
        far.settimeout(PATIENCE_S)
        assert far.recv(100) == b"held"


def test_a_connection_made_while_all_is_held_comes_through_afterwards(
    listener: socket.socket, front: Address
) -> None:
    with Relay({front: listener.getsockname()}) as relay:
        relay.hold([front])
        with dial(front) as near:
            near.sendall(b"later")
            relay.release([front])
            with accept(listener) as far:
                assert far.recv(100) == b"later"


def test_a_reset_reaches_both_ends_and_what_was_held_never_arrives(
    listener: socket.socket, front: Address
) -> None:
    with (
        Relay({front: listener.getsockname()}) as relay,
        dial(front) as near,
        accept(listener) as far,
    ):
        relay.hold([front])
        near.sendall(b"held")
        assert relay.reset([front]) == 1
        for end in (near, far):
            with pytest.raises(ConnectionResetError):
                end.recv(100)


def test_a_route_to_nobody_resets_whoever_dials_it(front: Address) -> None:
    nobody = f"{_NET}.3.2", 1
    with Relay({front: nobody}), pytest.raises(ConnectionResetError), dial(front) as end:
        end.recv(100)
