"""Many short texts in one block of memory, read by position.

A Python str of 30 characters costs about 90 bytes in a list; here it costs its UTF-8 bytes and
eight more, which is what lets a producer know a million entries.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload


class TextColumn(Sequence[str]):
    """Texts in order; grows and is cut at its end."""

    __slots__ = ("_bytes", "_ends")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])

    def append(self, text: str) -> None:
        self._bytes += text.encode()
        self._ends.append(len(self._bytes))

    def cut(self, count: int) -> list[str]:
        """Keep the first `count` texts; return the others."""
        rest = self[count:]
        del self._bytes[self._ends[count] :]
        del self._ends[count + 1 :]
        return rest

    @property
    def byte_count(self) -> int:
        """Memory of the texts."""
        return len(self._bytes) + self._ends.itemsize * len(self._ends)

    def at(self, places: Iterable[int]) -> list[str]:
        """The texts at several places at once, each 0 or more; sooner than one after another."""
        texts, ends = self._bytes, self._ends
        return [texts[ends[place] : ends[place + 1]].decode() for place in places]

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        ends = self._ends
        if index < 0:
            index += len(ends) - 1
        if not 0 <= index < len(ends) - 1:
            raise IndexError(index)
        return self._bytes[ends[index] : ends[index + 1]].decode()

    def __iter__(self) -> Iterator[str]:
        return (self[place] for place in range(len(self)))
