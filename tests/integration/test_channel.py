"""The line between supervisor and child, over a real socket pair: how it ends."""

from __future__ import annotations

import asyncio
import socket

from mesh.nodes.channel import Channel

LEFT = {"event": "left", "lost": 0}
STOP = {"command": "stop"}


async def line() -> tuple[Channel, Channel]:
    ours, theirs = socket.socketpair()
    return await Channel.over(ours), await Channel.over(theirs)


async def test_last_words_are_heard_by_who_writes_before_it_reads_them() -> None:
    supervisor, child = await line()
    reading = supervisor._reader._transport  # type: ignore[attr-defined]
    reading.pause_reading()
    child.send(LEFT)
    finishing = asyncio.create_task(child.finish())
    for _ in range(10):  # Enough turns for an end that waits for nobody.
        await asyncio.sleep(0)
    supervisor.send(STOP)
    reading.resume_reading()
    assert await supervisor.receive() == LEFT
    assert await supervisor.receive() is None
    assert not finishing.done()
    supervisor.close()
    await finishing


async def test_who_is_alone_finishes_at_once() -> None:
    supervisor, child = await line()
    supervisor.close()
    child.send(LEFT)
    await child.finish()
    assert await child.receive() is None


async def test_what_is_longer_than_the_line_holds_arrives_whole() -> None:
    supervisor, child = await line()
    long = {"event": "metrics", "text": "x" * 4_000_000}
    child.send(long)
    finishing = asyncio.create_task(child.finish())
    assert await supervisor.receive() == long
    assert await supervisor.receive() is None
    supervisor.close()
    await finishing
