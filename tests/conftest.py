"""What all tests share: how hypothesis judges them, their event loops, a port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import HealthCheck, settings

from tests.steady_loop import SteadyEventLoop

# How long one example takes says more of what else the machine does than of the code: hypothesis
# itself leaves it alone where CI is set. What must not take long has a test of its own.
settings.register_profile(
    "whatever_the_machine_does",
    parent=settings(),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("whatever_the_machine_does")


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    is_steady = item.get_closest_marker("steady") is not None
    return {"steady": SteadyEventLoop} if is_steady else {"usual": asyncio.new_event_loop}


@pytest.fixture
def held_port() -> Iterator[int]:
    """A port of loopback that the system gives to nobody. Until a server listens there, which may
    come and go, connections are refused."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
