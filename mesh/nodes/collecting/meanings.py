"""What the names of one run mean: vectors of an embedding model, asked for once and kept.

Joins the model (llm/embedding.py), the file of vectors and their index. Without the model, for a
while or for good, names go by their letters: an entry never waits for it for long. Needs the extra
`semantic`, which is imported when a run asks for it and not before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.core.listed_names import ListedNames, Vectors
from mesh.llm.embedders import open_embedder
from mesh.llm.interface import ProviderError
from mesh.storage.vector_file import VECTOR_FILE, KeptVectors, VectorFile

if TYPE_CHECKING:
    from mesh.core.vector_index import VectorIndex
    from mesh.llm.embedding import Embedder

logger = logging.getLogger(__name__)

TEXTS_AT_ONCE = 512
ANSWER_S_MAX = 20.0
"""For the names of one batch; then they go by their letters."""
RETRY_S = 30.0
"""After a failure the model is left alone for so long."""


@dataclass(slots=True)
class Meanings:
    """The embedding model of one collector."""

    embedder: Embedder
    path: Path
    trouble: Callable[[str | None], None]
    """Told why there are no vectors, and None when there are again."""
    answer_s_max: float = ANSWER_S_MAX
    retry_s: float = RETRY_S
    _file: VectorFile | None = None
    _resting_until_s: float = field(default=0.0)

    @classmethod
    def open(
        cls, spec: str | None, run_dir: Path, trouble: Callable[[str | None], None]
    ) -> Meanings:
        """Open the model that `spec` names (None: the packaged one); a local one takes seconds.

        Raises:
            EmbedderUnavailable: it cannot be used; the message says what to do.
        """
        return cls(open_embedder(spec, {}), run_dir / VECTOR_FILE, trouble)

    async def take_up(self, names: ListedNames) -> Vectors | None:
        """An index of the vectors of all names there are; None: the model does not answer, or
        vectors cannot be kept."""
        # Imported here: only who has the extra gets so far.
        from mesh.core.vector_index import VECTOR_BYTES_A_DIMENSION, VectorIndex

        probe = await self._asked(["a name"])
        if probe is None:
            return None
        dimension = probe.shape[1]
        vector_bytes = VECTOR_BYTES_A_DIMENSION * dimension
        model_id = self.embedder.model_id
        try:
            # In threads, all of this: hearts must beat meanwhile.
            self._file, kept = await asyncio.to_thread(
                VectorFile.open, self.path, model_id, vector_bytes
            )
        except OSError as error:
            self.trouble(f"names go by their letters alone: cannot keep {self.path}: {error}")
            return None
        index = VectorIndex(dimension)
        texts = [names.text(number) for number in range(len(names))]
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part = texts[start : start + TEXTS_AT_ONCE]
            new = await self.of([text for text in part if kept.of(text) is None])
            await asyncio.to_thread(_add_all, index, part, kept, new)
        return index

    async def of(self, texts: Sequence[str]) -> Mapping[str, Any]:
        """The vectors of `texts`, as far as they can be had; they are kept."""
        if not texts or self._file is None:
            return {}
        rows = await self._asked(texts)
        if rows is None:
            return {}
        await asyncio.to_thread(self._keep, texts, rows)
        return dict(zip(texts, rows, strict=True))

    async def close(self) -> None:
        if self._file is not None:
            self._file.close()
        await self.embedder.close()

    async def _asked(self, texts: Sequence[str]) -> Any | None:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._resting_until_s:
            return None
        try:
            async with asyncio.timeout(self.answer_s_max):
                answer = await self.embedder.embed(texts)
        except (ProviderError, TimeoutError) as error:
            self._resting_until_s = asyncio.get_running_loop().time() + self.retry_s
            why = str(error) or f"no answer within {self.answer_s_max:g} s"
            logger.warning("event=no_vectors error=%s", why)
            self.trouble(f"names go by their letters alone for a while: {why}")
            return None
        self.trouble(None)
        return answer.vectors

    def _keep(self, texts: Sequence[str], rows: Any) -> None:
        from mesh.core.vector_index import packed

        assert self._file is not None
        try:
            self._file.append((text, packed(row)) for text, row in zip(texts, rows, strict=True))
        except OSError as error:
            logger.warning("event=vectors_not_kept error=%s", error)


def _add_all(
    index: VectorIndex, texts: Sequence[str], kept: KeptVectors, new: Mapping[str, Any]
) -> None:
    """Give each of `texts` its number."""
    for text in texts:
        stored = kept.of(text)
        if stored is not None:
            index.add_packed([stored])
        elif text in new:
            index.add(new[text])
        else:
            index.add_none()
