"""The loop of virtual time: what sleeps is due at once, in its order."""

from __future__ import annotations

import asyncio
import time

import pytest

from bench.virtual_loop import Deadlock, run


def test_hours_pass_in_no_time_and_in_their_order() -> None:
    seen: list[tuple[str, float]] = []

    async def sleep_twice(name: str, first_s: float, second_s: float) -> None:
        loop = asyncio.get_running_loop()
        for wait_s in (first_s, second_s):
            await asyncio.sleep(wait_s)
            seen.append((name, loop.time()))

    async def both() -> None:
        await asyncio.gather(sleep_twice("slow", 3600.0, 7200.0), sleep_twice("quick", 1.0, 3600.5))

    started_s = time.monotonic()
    run(both())
    assert seen == [("quick", 1.0), ("slow", 3600.0), ("quick", 3601.5), ("slow", 10800.0)]
    assert time.monotonic() - started_s < 60.0


def test_a_timeout_ends_what_would_wait_longer() -> None:
    async def wait() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(wait()) == pytest.approx(5.0)


def test_waiting_for_what_can_never_come_is_an_error() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run(wait())


def test_every_run_begins_at_zero() -> None:
    async def now_s() -> float:
        await asyncio.sleep(7.0)
        return asyncio.get_running_loop().time()

    assert [run(now_s()), run(now_s())] == [7.0, 7.0]
