"""The nearest names to a name, by a real embedding model, among a list of names."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.llm.embedders import EmbedderUnavailable, open_embedder
from mesh.llm.interface import ProviderError


@dataclass(slots=True)
class Neighbours:
    """Of every name of a list, found before anything is judged."""

    embedding_s: float = 0.0
    entry_bytes: float = 0.0
    """Memory of the index for each name."""
    near: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def of(self, text: str) -> list[tuple[int, float]]:
        """(number, cosine) of the names nearest to `text`, itself not among them; [] where
        vectors are not used."""
        return self.near.get(text, [])


def neighbours_by_model(
    names: Sequence[str], sought: Sequence[str], spec: str | None
) -> Neighbours:
    """The neighbours of those of `names` that are `sought`, by position in `names`.

    Raises SystemExit with one line where there is no such model, or it does not answer.
    """
    try:
        return asyncio.run(_found(names, sought, spec))
    except (EmbedderUnavailable, ProviderError) as error:
        raise SystemExit(f"names: {error}") from None


async def _found(names: Sequence[str], sought: Sequence[str], spec: str | None) -> Neighbours:
    embedder = open_embedder(spec, os.environ)
    from mesh.core.names.nearness import NEIGHBOURS
    from mesh.core.vector_index import VectorIndex

    try:
        started = time.perf_counter()
        vectors = (await embedder.embed(names)).vectors
        found = Neighbours(time.perf_counter() - started)
    finally:
        await embedder.close()
    index = VectorIndex(vectors.shape[1])
    numbers = {text: index.add(vector) for text, vector in zip(names, vectors, strict=True)}
    found.entry_bytes = index.byte_count / len(index)
    for text in sought:
        own = numbers[text]
        near = index.nearest(vectors[own], NEIGHBOURS + 1)
        found.near[text] = [each for each in near if each[0] != own][:NEIGHBOURS]
    return found
