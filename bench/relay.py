"""A TCP relay for tests: what is sent through it can be held back, and connections be reset.

Between machines connections break and stall; on loopback they do not. Nodes that bind one
address and tell others another, where a relay listens, have a network that can fail. Each route
leads from a front, the address that others dial, to the address that a node has bound. What
travels is not looked at. When which fault happens is the caller's decision.

The relay runs in a thread of its own; its methods may be called from any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

Address = tuple[str, int]
"""(IPv4 host, port)."""

CHUNK_BYTES = 64 * 1024
"""Read at once, and all that a held connection keeps in either direction."""
CONNECTIONS_MAX = 2_000
"""Each costs two descriptors; more are reset as they come."""
BACKLOG = 128
CONTROL_WAIT_S = 30.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for 0 s. Closing then sends RST and drops what waits to be sent."""


@dataclass(slots=True)
class _Route:
    """One front, and the connections that came by it."""

    listener: socket.socket
    back: Address
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[asyncio.Task[None]] = field(default_factory=set)


class Relay:
    """Routes that can be held and reset; a context manager."""

    def __init__(self, routes: Mapping[Address, Address]) -> None:
        """Listen at each front of `routes`, which maps it to where it leads.

        Raises:
            OSError: a front cannot be bound.
        """
        self.connected_count = 0
        """Connections forwarded so far."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._routes: dict[Address, _Route] = {}
        self._accepting: list[asyncio.Task[None]] = []
        try:
            for front, back in routes.items():
                self._routes[front] = _Route(_listener(front), back)
        except OSError:
            self._close_listeners()
            self._loop.close()
            raise

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._close_listeners()

    def hold(self, fronts: Iterable[Address]) -> None:
        """Forward nothing over `fronts` until `release`; new connections are accepted, and wait."""
        self._run(self._set_flowing(list(fronts), flowing=False))

    def release(self, fronts: Iterable[Address]) -> None:
        """Forward again, beginning with what was held."""
        self._run(self._set_flowing(list(fronts), flowing=True))

    def reset(self, fronts: Iterable[Address]) -> int:
        """Reset all connections over `fronts`, held ones too; return how many there were."""
        return self._run(self._reset(list(fronts)))

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CONTROL_WAIT_S)

    async def _start(self) -> None:
        for route in self._routes.values():
            route.flowing.set()
            self._accepting.append(asyncio.create_task(self._accept(route)))

    async def _stop(self) -> None:
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await self._reset(list(self._routes))

    async def _set_flowing(self, fronts: list[Address], *, flowing: bool) -> None:
        for front in fronts:
            event = self._routes[front].flowing
            event.set() if flowing else event.clear()

    async def _reset(self, fronts: list[Address]) -> int:
        tasks = [task for front in fronts for task in self._routes[front].connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(tasks)

    async def _accept(self, route: _Route) -> None:
        while True:
            near, _ = await self._loop.sock_accept(route.listener)
            near.setblocking(False)
            if sum(len(each.connections) for each in self._routes.values()) >= CONNECTIONS_MAX:
                _close(near, reset=True)
                continue
            task = asyncio.create_task(self._connect(near, route))
            route.connections.add(task)
            task.add_done_callback(route.connections.discard)

    async def _connect(self, near: socket.socket, route: _Route) -> None:
        """Carry one connection until a side closes it; cancelled, it is reset."""
        far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        far.setblocking(False)
        reset = True
        try:
            await route.flowing.wait()
            await self._loop.sock_connect(far, route.back)
            self.connected_count += 1
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ways = [self._carry(near, far, route), self._carry(far, near, route)]
            tasks = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                reset = any(task.done() and task.exception() is not None for task in tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass  # Nobody listens there: whoever dialled sees a reset.
        finally:
            for end in (near, far):
                _close(end, reset=reset)

    async def _carry(self, source: socket.socket, sink: socket.socket, route: _Route) -> None:
        """Forward one way until the source's end."""
        while data := await self._loop.sock_recv(source, CHUNK_BYTES):
            await route.flowing.wait()
            await self._loop.sock_sendall(sink, data)

    def _close_listeners(self) -> None:
        for route in self._routes.values():
            route.listener.close()


def _listener(front: Address) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(front)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _close(end: socket.socket, *, reset: bool) -> None:
    if reset:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    end.close()
