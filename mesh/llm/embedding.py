"""What may be asked of a sentence embedding model, wherever it runs: the seam to its clients.

Here are the values that cross it, and the check that every answer passes. Which client a word of
the user means is embedders.py's; what vectors say of names core/names/nearness.py's. Needs the
extra `semantic`, of which the rest of the program knows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mesh.llm.interface import Usage

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

DIMENSION_MAX = 8_192


class BadEmbeddings(Exception):
    """An answer that holds no usable vectors; the message says what is wrong with it.

    The clients turn it into a `ProviderError`.
    """


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The vectors of some texts, in their order."""

    vectors: NDArray[np.float32]
    """A row a text, of length one; of zeros for a text that the model could not read."""
    usage: Usage | None = None
    """What the call used; None: nobody bills for it."""


class Embedder(Protocol):
    """One embedding model."""

    @property
    def model_id(self) -> str:
        """What tells its vectors from those of any other model; kept beside them."""
        ...

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """The vectors of `texts`, any number of them; the dimension never changes.

        Blocks nothing: what runs on this machine does so in a thread.

        Raises:
            ProviderError: no vectors could be had; its kind says whether to try again.
        """
        ...

    async def close(self) -> None: ...


def unit_vectors(
    rows: ArrayLike, *, count: int, dimension: int | None = None
) -> NDArray[np.float32]:
    """Vectors as a model gave them, checked and brought to length one.

    Args:
        rows: a row a text.
        count: texts that were asked for.
        dimension: of earlier answers; None: this is the first.

    Raises:
        BadEmbeddings: not so many rows, rows of another length, or numbers that are none.
    """
    try:
        vectors = np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadEmbeddings("vectors of unequal length, or not of numbers") from error
    if vectors.ndim != 2 or not 0 < vectors.shape[1] <= DIMENSION_MAX:
        raise BadEmbeddings(f"vectors of shape {vectors.shape}, not one of numbers a text")
    if vectors.shape[0] != count:
        raise BadEmbeddings(f"{vectors.shape[0]} vectors for {count} texts")
    if dimension is not None and vectors.shape[1] != dimension:
        raise BadEmbeddings(f"{vectors.shape[1]} dimensions, and {dimension} before")
    # In double precision: the square of a large number is still one.
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise BadEmbeddings("numbers that are not finite")
    unit: NDArray[np.float32] = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return unit
