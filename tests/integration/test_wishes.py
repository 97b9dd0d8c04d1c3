"""What a collector asks of its supervisor, over a real channel whose other end the test holds."""

from __future__ import annotations

import asyncio
import socket

from mesh.nodes.channel import Channel
from mesh.nodes.collecting.steering import UNANSWERED_MAX, Wishes
from tests.integration.eventually import eventually

WISH = {"event": "add_producer", "model": None}


async def line() -> tuple[Channel, Channel]:
    ours, theirs = socket.socketpair()
    return await Channel.over(ours), await Channel.over(theirs)


async def test_answers_find_their_wishes_in_whatever_order_they_come() -> None:
    ours, theirs = await line()
    wishes = Wishes(ours)
    first, second = (asyncio.create_task(wishes.ask(WISH)) for _ in range(2))
    asked = [await theirs.receive(), await theirs.receive()]
    assert [each["event"] for each in asked if each] == ["add_producer"] * 2
    numbers = [each["number"] for each in asked if each]
    wishes.answered(numbers[1], "no room")
    wishes.answered(numbers[0], None)
    assert (await first, await second) == (None, "no room")


async def test_a_silence_is_a_reason_and_a_late_answer_is_nobody_s() -> None:
    ours, theirs = await line()
    wishes = Wishes(ours, answer_s=0.01)
    reason = await wishes.ask(WISH)
    assert reason is not None
    assert "has not answered within 0.01 s" in reason
    asked = await theirs.receive()
    assert asked is not None
    wishes.answered(asked["number"], None)


async def test_only_so_many_wishes_wait_at_once() -> None:
    ours, _ = await line()
    wishes = Wishes(ours, answer_s=30.0)
    waiting = [asyncio.create_task(wishes.ask(WISH)) for _ in range(UNANSWERED_MAX)]
    await eventually(lambda: len(wishes._unanswered) == UNANSWERED_MAX)
    assert await wishes.ask(WISH) == "too many wishes at once: try again"
    for number in list(wishes._unanswered):
        wishes.answered(number, None)
    assert await asyncio.gather(*waiting) == [None] * UNANSWERED_MAX
