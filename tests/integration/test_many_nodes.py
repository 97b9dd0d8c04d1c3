"""What keeps a large mesh cheap: words for one node alone, and no connection without a use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from mesh.transport.curve import CurveKeys
from mesh.wire.codec import FRAME_BYTES_MAX, MAGIC
from tests.integration.eventually import eventually
from tests.integration.transport_nodes import Node, Nodes, frame


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with contextlib.ExitStack() as closing:
        yield Nodes(closing)


async def brought_together(nodes: Nodes, *, encrypted: bool) -> tuple[Node, Node, Node]:
    """A node and two that listen to it."""
    keys = [CurveKeys.new() if encrypted else None for _ in range(3)]
    a, b, c = (nodes.start(name, keys=key) for name, key in zip("abc", keys, strict=True))
    for listener in (b, c):
        a.transport.admit_key(listener.curve_key)
        listener.listens(a)
    await eventually(lambda: a.is_heard_by(b, c))
    return a, b, c


@pytest.mark.parametrize("encrypted", [False, True], ids=["plaintext", "encrypted"])
async def test_what_is_sent_to_one_listener_reaches_it_unchanged_and_nobody_else(
    nodes: Nodes, encrypted: bool
) -> None:
    a, b, c = await brought_together(nodes, encrypted=encrypted)
    largest = MAGIC + b"x" * (FRAME_BYTES_MAX - len(MAGIC))
    a.transport.publish(frame(1), to=b.id)
    a.transport.publish(largest, to=b.id)
    a.transport.publish(frame(2))
    await eventually(lambda: frame(2) in b.heard.frames and frame(2) in c.heard.frames)
    assert b.heard.frames == [frame(1), largest, frame(2)]
    assert c.heard.frames == [frame(2)]


async def test_a_connection_that_was_asked_by_is_closed_when_it_is_no_more_used(
    nodes: Nodes,
) -> None:
    """Kept open, a hundred nodes would hold ten thousand of them, each with its pings."""
    a, b, _ = await brought_together(nodes, encrypted=False)
    replies = b.ask(a.service, frame(1))
    await eventually(lambda: bool(replies))
    assert len(b.transport._requests._asked) == 1
    await eventually(lambda: not b.transport._requests._asked)
    again = b.ask(a.service, frame(2))
    await eventually(lambda: bool(again))
    assert again == [[b"echo", frame(2)]]
