"""The line between supervisor and child: JSON objects, one a line, over a socket pair.

Its end of file is the one reliable sign that the other side is gone, or about to go: the kernel
closes it with the process, whatever killed that, and no third process holds it. Settings with keys
travel here, where no process list shows them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any, TypeVar

import msgspec

LINE_BYTES_MAX = 16 * 1024 * 1024

Message = dict[str, Any]


class ChildFailed(Exception):
    """Nothing a restart could mend: bad settings, a busy port, no permission. The message is for
    the user and says what to do."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Channel:
    """One end of the line, on an event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        end.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=LINE_BYTES_MAX)
        return cls(reader, writer)

    def send(self, message: Message) -> None:
        """Queue one message; one that nobody can receive any more is dropped."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def receive(self) -> Message | None:
        """The next message; None when the other side is gone."""
        try:
            line = await self._reader.readline()
        except (OSError, ValueError):
            return None
        if not line.endswith(b"\n"):
            return None
        message: Message = json.loads(line)
        return message

    async def finish(self) -> None:
        """Say no more, and close once the other side has: it may be writing, and what it has not
        read of an end that is closed meanwhile it never hears."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()
        while await self.receive() is not None:
            continue
        self.close()

    def close(self) -> None:
        self._writer.close()


def pack(settings: Any) -> Any:
    """A settings dataclass as plain JSON values."""
    return msgspec.to_builtins(settings, enc_hook=_pack_path)


T = TypeVar("T")


def unpack(packed: Any, kind: type[T]) -> T:
    """The settings that `pack` made plain."""
    return msgspec.convert(packed, kind, dec_hook=_unpack_path)


def _pack_path(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))


def _unpack_path(kind: type, value: Any) -> Any:
    if issubclass(kind, Path):
        return Path(value)
    raise NotImplementedError(kind)
