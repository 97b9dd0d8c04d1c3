"""Vectors of the names of a list, kept beside run.sqlite so that a restart embeds none again.

One append-only file: what is in it is a matter of minutes of computing, so nothing is synced. A
record goes by its name's hash, in whatever order names come. One that is damaged ends what is
read, and the file is cut there; the caller embeds the rest. A file of another model or format is
begun anew. What vectors mean is not known here.

File: 8 bytes "TMVEC" + format version | 16 bytes digest of model and dimension, then records:
    u32 CRC-32 of what follows | 8 bytes hash of the name | vector
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mesh.storage.records import write_whole

VECTOR_FILE = "vectors.bin"
FORMAT = b"TMVEC\x00\x00\x02"

_CHECKSUM = struct.Struct(">I")
_NAME_BYTES = 8
_DIGEST_BYTES = 16
_READ_RECORDS = 1_000


class KeptVectors:
    """What a file held, by name."""

    def __init__(self, by_hash: dict[bytes, bytes]) -> None:
        self._by_hash = by_hash

    def __len__(self) -> int:
        return len(self._by_hash)

    def of(self, name: str) -> bytes | None:
        return self._by_hash.get(_name_hash(name))


@dataclass(slots=True)
class VectorFile:
    """The file, open for appending; one writer at a time, which the run's lock sees to."""

    _file: BinaryIO
    _vector_bytes: int
    _end: int

    @classmethod
    def open(cls, path: Path, model: str, vector_bytes: int) -> tuple[VectorFile, KeptVectors]:
        """Open or begin the file; with it the vectors that it holds.

        Args:
            model: what made the vectors; another one's are of no use.
            vector_bytes: of each vector.

        Raises:
            OSError: it can be neither read nor written.
        """
        head = FORMAT + _digest(model, vector_bytes)
        file = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b", buffering=0)
        try:
            vectors, record_count = _read(file, head, vector_bytes)
            if not record_count:
                file.truncate(0)
                write_whole(file.fileno(), head, 0)
            end = len(head) + record_count * _record_bytes(vector_bytes)
            file.truncate(end)
        except OSError:
            file.close()
            raise
        return cls(file, vector_bytes, end), KeptVectors(vectors)

    def append(self, vectors: Iterable[tuple[str, bytes]]) -> None:
        """Write vectors of further names.

        Raises:
            OSError: disk full or gone. The file holds what it held; what is missing is embedded
                again after a restart.
        """
        block = b"".join(_record(_name_hash(name) + vector) for name, vector in vectors)
        write_whole(self._file.fileno(), block, self._end)
        self._end += len(block)

    def close(self) -> None:
        self._file.close()


def _read(file: BinaryIO, head: bytes, vector_bytes: int) -> tuple[dict[bytes, bytes], int]:
    """Vectors by their names' hashes, and the count of records up to one torn or damaged."""
    vectors: dict[bytes, bytes] = {}
    count = 0
    if file.read(len(head)) != head:
        return vectors, count
    record_bytes = _record_bytes(vector_bytes)
    while block := file.read(_READ_RECORDS * record_bytes):
        for start in range(0, len(block), record_bytes):
            record = block[start : start + record_bytes]
            body = record[_CHECKSUM.size :]
            if len(record) < record_bytes or record != _record(body):
                return vectors, count
            vectors[body[:_NAME_BYTES]] = body[_NAME_BYTES:]
            count += 1
    return vectors, count


def _record(body: bytes) -> bytes:
    return _CHECKSUM.pack(zlib.crc32(body)) + body


def _record_bytes(vector_bytes: int) -> int:
    return _CHECKSUM.size + _NAME_BYTES + vector_bytes


def _name_hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=_NAME_BYTES).digest()


def _digest(model: str, vector_bytes: int) -> bytes:
    said = f"{vector_bytes}\n{model}".encode()
    return hashlib.blake2b(said, digest_size=_DIGEST_BYTES).digest()
