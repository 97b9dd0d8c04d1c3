"""The names nearest in meaning to a new one: vectors by number, as core/resolve.py numbers names.

An HNSW graph (usearch) over half-precision vectors: added to one by one, the same answers for the
same vectors in the same order. Whose vectors these are and where they are kept is not known here:
llm/embedding.py's and storage/vector_file.py's. Needs the extra `semantic`.

Source: Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using
Hierarchical Navigable Small World graphs", IEEE TPAMI 42(4), 2020.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from usearch.index import Index

from mesh.core.names.nearness import NEIGHBOURS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

VECTOR_BYTES_A_DIMENSION = 2


class VectorIndex:
    """Unit vectors of one dimension; a vector of zeros, of a text that no model could read, takes
    its number and is near to nothing."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._graph = Index(ndim=dimension, metric="cos", dtype="f16")
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def byte_count(self) -> int:
        """Bytes that the graph takes in all."""
        return int(self._graph.memory_usage)

    def add(self, vector: ArrayLike) -> int:
        """Take a vector in; its number: 0, 1, 2, ..."""
        number, self._count = self._count, self._count + 1
        taken = np.asarray(vector, dtype=np.float16)
        assert taken.shape == (self.dimension,), taken.shape
        if taken.any():
            self._graph.add(number, taken, threads=1)
        return number

    def add_none(self) -> int:
        """Give a number to a name that has no vector: it is near to nothing."""
        number, self._count = self._count, self._count + 1
        return number

    def add_packed(self, vectors: Iterable[bytes]) -> None:
        """Take in vectors as `packed` made them."""
        for vector in vectors:
            self.add(np.frombuffer(vector, dtype="<f2"))

    def nearest(self, vector: ArrayLike, count: int = NEIGHBOURS) -> list[tuple[int, float]]:
        """(number, cosine) of the nearest, the nearest first; of those alike the earlier first."""
        sought = np.asarray(vector, dtype=np.float16)
        if not len(self._graph) or not sought.any():
            return []
        matches = self._graph.search(sought, count, threads=1)
        found = zip(matches.keys.tolist(), matches.distances.tolist(), strict=True)
        near = [(int(number), 1.0 - float(distance)) for number, distance in found]
        return sorted(near, key=lambda each: (-each[1], each[0]))


def packed(vector: ArrayLike) -> bytes:
    """A vector as it is kept: half-precision numbers, the lowest byte first."""
    return bytes(np.asarray(vector, dtype="<f2").tobytes())
