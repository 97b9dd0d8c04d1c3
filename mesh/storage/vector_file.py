"""Vectors of the names of a list, kept beside run.sqlite so that a restart embeds none again.

One append-only file: what is in it is a matter of minutes of computing, so nothing is synced.
Record n is of name n. Its checksum covers the name too: a record that is damaged, or of another
name than the list's, ends what is read, and the file is cut there; the caller embeds the rest. A
file of another model or format is begun anew. What vectors mean is not known here.

File: 8 bytes "TMVEC" + format version | 16 bytes digest of model and dimension, then records:
    u32 CRC-32 of the name's UTF-8 and the vector | vector
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mesh.storage.records import write_whole

VECTOR_FILE = "vectors.bin"
FORMAT = b"TMVEC\x00\x00\x01"

_CHECKSUM = struct.Struct(">I")
_DIGEST_BYTES = 16
_READ_BYTES = 1 << 20


@dataclass(slots=True)
class VectorFile:
    """The file, open for appending; one writer at a time, which the run's lock sees to."""

    count: int
    """Vectors in it."""
    _file: BinaryIO
    _vector_bytes: int

    @classmethod
    def open(
        cls, path: Path, model: str, vector_bytes: int, names: Sequence[str]
    ) -> tuple[VectorFile, list[bytes]]:
        """Open or begin the file; with it the vectors of the first so many of `names`.

        Args:
            model: what made the vectors; another one's are of no use.
            vector_bytes: of each vector.
            names: of the list, in order.

        Raises:
            OSError: it can be neither read nor written.
        """
        head = FORMAT + _digest(model, vector_bytes)
        file = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o644), "r+b", buffering=0)
        try:
            vectors = _read(file, head, vector_bytes, names)
            if not vectors:
                file.truncate(0)
                write_whole(file.fileno(), head, 0)
            opened = cls(len(vectors), file, vector_bytes)
            file.truncate(opened._end)
        except OSError:
            file.close()
            raise
        return opened, vectors

    def append(self, vectors: Iterable[tuple[str, bytes]]) -> None:
        """Write the vectors of the next names.

        Raises:
            OSError: disk full or gone. The file holds what it held; what is missing is embedded
                again after a restart.
        """
        records = [_record(name, vector) for name, vector in vectors]
        write_whole(self._file.fileno(), b"".join(records), self._end)
        self.count += len(records)

    def close(self) -> None:
        self._file.close()

    @property
    def _end(self) -> int:
        record_bytes = _CHECKSUM.size + self._vector_bytes
        return len(FORMAT) + _DIGEST_BYTES + self.count * record_bytes


def _read(file: BinaryIO, head: bytes, vector_bytes: int, names: Sequence[str]) -> list[bytes]:
    """The vectors of the first names, up to one that is missing, torn, damaged or another's."""
    if file.read(len(head)) != head:
        return []
    record_bytes = _CHECKSUM.size + vector_bytes
    at_once = max(1, _READ_BYTES // record_bytes)
    vectors: list[bytes] = []
    while len(vectors) < len(names):
        block = file.read(at_once * record_bytes)
        records = [
            block[start : start + record_bytes] for start in range(0, len(block), record_bytes)
        ]
        before = len(vectors)
        for name, record in zip(names[before : before + at_once], records, strict=False):
            vector = record[_CHECKSUM.size :]
            if len(vector) < vector_bytes or record != _record(name, vector):
                return vectors
            vectors.append(vector)
        if len(vectors) == before:
            break
    return vectors


def _record(name: str, vector: bytes) -> bytes:
    return _CHECKSUM.pack(zlib.crc32(vector, zlib.crc32(name.encode()))) + vector


def _digest(model: str, vector_bytes: int) -> bytes:
    said = f"{vector_bytes}\n{model}".encode()
    return hashlib.blake2b(said, digest_size=_DIGEST_BYTES).digest()
