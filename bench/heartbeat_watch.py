"""Listens to every node's heartbeats from outside, over a socket of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import zmq

from bench.made_up import RUN_ID
from mesh.wire.codec import MAGIC, FrameKind, decode_header

LISTEN_MS = 50


@dataclass(slots=True)
class HeartbeatWatch:
    """The longest silence between two heartbeats of each node, as a plain listener hears them."""

    longest_gap_s: dict[bytes, float] = field(default_factory=dict)
    """By origin."""
    heard_count: int = 0
    _last_s: dict[bytes, float] = field(default_factory=dict)
    _to_connect: list[str] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def listen_to(self, addresses: Sequence[str]) -> None:
        self._to_connect.extend(addresses)

    def start(self) -> None:
        """Listen in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def await_nodes(self, count: int, wait_s: float) -> None:
        """Return when so many have been heard, or raise TimeoutError: who has just come beats
        once a second."""
        deadline_s = time.monotonic() + wait_s
        while len(self._last_s) < count:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{len(self._last_s)} of {count} nodes heard in {wait_s} s")
            self._ending.wait(LISTEN_MS / 1000)

    def stop(self) -> None:
        """End; the silence since the last heartbeat counts too."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        for origin, last_s in self._last_s.items():
            self._note(origin, time.monotonic() - last_s)

    def _listen(self) -> None:
        context = zmq.Context()
        inbox = context.socket(zmq.SUB)
        inbox.setsockopt(zmq.RCVHWM, 0)
        inbox.subscribe(MAGIC)
        try:
            while not self._ending.is_set():
                while self._to_connect:
                    inbox.connect(self._to_connect.pop())
                if inbox.poll(LISTEN_MS):
                    self._drain(inbox)
        finally:
            inbox.close(linger=0)
            context.term()

    def _drain(self, inbox: zmq.Socket[bytes]) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                frame = inbox.recv(zmq.NOBLOCK)
                if frame[5] == FrameKind.HEARTBEAT:
                    self._hear(decode_header(frame, RUN_ID).origin)

    def _hear(self, origin: bytes) -> None:
        now_s = time.monotonic()
        self.heard_count += 1
        if origin in self._last_s:
            self._note(origin, now_s - self._last_s[origin])
        self._last_s[origin] = now_s

    def _note(self, origin: bytes, gap_s: float) -> None:
        self.longest_gap_s[origin] = max(gap_s, self.longest_gap_s.get(origin, 0.0))
