"""One question to one service, over real sockets: answered, or why it is not."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterator

import pytest

from mesh.core.items import NodeId
from mesh.core.membership import Endpoint
from mesh.transport.asking import Silence, ask
from mesh.transport.curve import CurveKeys
from mesh.transport.zmq_transport import ZmqTransport
from tests.patience import PATIENCE_S

NODE = NodeId(b"n" * 16)
GIVEN_UP_S = 3.0
"""A node that proves the wrong thing has been reached long before."""


class Answering:
    """A node that answers every question with it, twice, or not at all."""

    def __init__(self, *, silent: bool = False) -> None:
        self.askers: list[bytes] = []
        self._silent = silent

    def feed_received(self, frame: bytes) -> None: ...

    def feed_subscribed(self, node: NodeId, listening: bool) -> None: ...

    def turned_away(self, reason: str) -> None: ...

    def request_received(self, frame: bytes, asker_key: bytes) -> list[bytes]:
        self.askers.append(asker_key)
        return [] if self._silent else [frame, frame]


@contextlib.contextmanager
def serving(node: Answering, keys: CurveKeys | None = None) -> Iterator[Endpoint]:
    transport = ZmqTransport(NODE, host="127.0.0.1", curve=keys)
    transport.start(node)
    try:
        yield Endpoint(transport.service_address, keys.public if keys else b"")
    finally:
        transport.close(0.0)


async def answer(
    service: Endpoint, curve: CurveKeys | None = None, timeout_s: float = PATIENCE_S
) -> list[bytes] | Silence:
    """Ask from a thread: the loop is the asked node's."""
    return await asyncio.to_thread(ask, service, b"?", curve=curve, timeout_s=timeout_s)


async def test_a_service_answers_in_all_its_parts() -> None:
    with serving(Answering()) as service:
        assert await answer(service) == [b"?", b"?"]


async def test_an_encrypted_service_knows_the_askers_key() -> None:
    node, mine = Answering(), CurveKeys.new()
    with serving(node, CurveKeys.new()) as service:
        assert await answer(service, mine) == [b"?", b"?"]
    assert node.askers == [mine.public]


async def test_a_service_that_proves_another_key_is_not_trusted() -> None:
    with serving(Answering(), CurveKeys.new()) as service:
        other = Endpoint(service.address, CurveKeys.new().public)
        assert await answer(other, CurveKeys.new(), GIVEN_UP_S) is Silence.NOT_TRUSTED


async def test_a_plain_service_is_not_trusted_where_a_key_is_expected() -> None:
    with serving(Answering()) as service:
        keyed = Endpoint(service.address, CurveKeys.new().public)
        assert await answer(keyed, CurveKeys.new(), GIVEN_UP_S) is Silence.NOT_TRUSTED


async def test_another_program_is_not_trusted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        service = Endpoint(f"tcp://127.0.0.1:{other.getsockname()[1]}")
        assert await answer(service, timeout_s=GIVEN_UP_S) is Silence.NOT_TRUSTED


async def test_a_node_that_says_nothing_is_told_from_one_that_is_not_there(held_port: int) -> None:
    with serving(Answering(silent=True)) as service:
        assert await answer(service, timeout_s=GIVEN_UP_S) is Silence.NO_ANSWER
    gone = Endpoint(f"tcp://127.0.0.1:{held_port}")
    assert await answer(gone, timeout_s=GIVEN_UP_S) is Silence.NOT_REACHED


@pytest.mark.parametrize("address", ["tcp://", "nonsense", "tcp://127.0.0.1:x", ""])
def test_what_is_no_address_is_said_at_once(address: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(address))):
        ask(Endpoint(address), b"?", curve=None, timeout_s=10)


def test_what_is_no_key_is_said_at_once() -> None:
    service = Endpoint("tcp://127.0.0.1:9", b"short")
    with pytest.raises(ValueError, match="key"):
        ask(service, b"?", curve=CurveKeys.new(), timeout_s=10)
