"""Machines of a network of their own: a Linux network namespace each, and a switch between.

Processes in a namespace see its interfaces alone: what they reach, and whether, is decided here.
A host can be cut off as by pulling its cable, and the switch be parted as by a fault in it, when
cables stay up and nothing passes. Needs root. The namespaces are removed with the last process
in them; ending those is the caller's part.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.patience import PATIENCE_S

NAMES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
HOSTS_MAX = 200


class NoNamespaces(Exception):
    """They cannot be made here; the message says why."""


def check_namespaces() -> None:
    """Return if namespaces can be made here.

    Raises:
        NoNamespaces: no root, no `ip`, or not on Linux.
    """
    if os.geteuid() != 0:
        raise NoNamespaces("network namespaces need root")
    if shutil.which("ip") is None:
        raise NoNamespaces("network namespaces need the command ip (iproute2)")
    try:
        with Network(1):
            pass
    except subprocess.CalledProcessError as error:
        raise NoNamespaces(f"this system makes no network namespaces: {error.stderr}") from error


class Network:
    """Hosts 0, 1, 2, ... on one switch; a context manager."""

    def __init__(self, host_count: int) -> None:
        assert 0 < host_count <= HOSTS_MAX, host_count
        stem = f"mesh-{os.getpid()}-{secrets.token_hex(3)}"
        self.hosts = [f"{stem}-host{index}" for index in range(host_count)]
        """Names of their namespaces."""
        self._switch = f"{stem}-switch"

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def address(self, host: int) -> str:
        """Where the other hosts find it."""
        return f"10.77.0.{host + 1}"

    def prefix(self, host: int) -> tuple[str, ...]:
        """Words before a command that is to run on a host."""
        return ("ip", "netns", "exec", self.hosts[host])

    def cut(self, host: int) -> None:
        """Pull the host's cable; only what it says to itself still arrives."""
        self._on_switch("link", "set", _port(host), "down")

    def join(self, host: int) -> None:
        """Plug it in again."""
        self._on_switch("link", "set", _port(host), "up")

    def part(self, *groups: Sequence[int]) -> None:
        """Let each of these hosts reach those of its own group alone."""
        for number, group in enumerate(groups):
            for host in group:
                self._on_switch("link", "set", _port(host), "master", _bridge(number))

    def separate(self, first: int, second: int) -> None:
        """Keep these two apart, and no others, until `heal`."""
        for host in (first, second):
            self._isolate(host, "on")

    def heal(self) -> None:
        """Let everyone who is plugged in reach everyone."""
        everyone = range(len(self.hosts))
        self.part(everyone)
        for host in everyone:
            self._isolate(host, "off")

    @contextmanager
    def inside(self, host: int) -> Iterator[None]:
        """Have sockets that this thread makes be the host's."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(NAMES / self.hosts[host])
            try:
                yield
            finally:
                _set_namespace(own)
        finally:
            os.close(own)

    def _build(self) -> None:
        _ip("netns", "add", self._switch)
        # As many bridges as there can be groups: parted hosts hang on different ones.
        for number in range(len(self.hosts)):
            self._on_switch("link", "add", _bridge(number), "type", "bridge")
            self._on_switch("link", "set", _bridge(number), "up")
        for host, name in enumerate(self.hosts):
            _ip("netns", "add", name)
            peer = ("peer", "name", "eth0", "netns", name)
            self._on_switch("link", "add", _port(host), "type", "veth", *peer)
            _ip("-n", name, "address", "add", f"{self.address(host)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", "eth0", "up")
            self.join(host)
        self.heal()

    def _remove(self) -> None:
        """Take away what was made, as far as it was; its interfaces go with it."""
        for name in (*self.hosts, self._switch):
            if (NAMES / name).exists():
                _ip("netns", "delete", name)

    def _isolate(self, host: int, state: str) -> None:
        # Isolated ports of a bridge reach all others but one another.
        self._on_switch("link", "set", _port(host), "type", "bridge_slave", "isolated", state)

    def _on_switch(self, *words: str) -> None:
        _ip("-n", self._switch, *words)


def _port(host: int) -> str:
    return f"port{host}"


def _bridge(number: int) -> str:
    return f"bridge{number}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=PATIENCE_S)


def _enter(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _set_namespace(descriptor)
    finally:
        os.close(descriptor)


def _set_namespace(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot enter a network namespace: {os.strerror(number)}")
