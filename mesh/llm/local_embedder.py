"""A sentence-transformers model in a directory of this machine, run on its processor.

Nothing is ever downloaded or reported: the libraries beneath are told that there is no network
before they are loaded. A text with a character that the model's tokenizer does not know gets no
vector: its unknown parts look all alike to the model, so that all of them would be near.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mesh.llm.embedding import BadEmbeddings, Embeddings, unit_vectors
from mesh.llm.interface import ErrorKind, ProviderError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TEXTS_A_BATCH = 64
"""Of so many names a batch is some 100 ms of one core; more take memory and gain nothing."""
THREADS_MAX = 1
"""Of torch: the other cores are the producers'."""

_NO_NETWORK = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class LocalEmbedder:
    """An `Embedder` of this machine. Loading it (some seconds) blocks: do so before the run."""

    def __init__(self, directory: Path) -> None:
        """Load the model.

        Raises:
            OSError, ValueError: the directory holds none that can be read.
        """
        self._model = _loaded(directory)
        self.model_id = _identity(directory)
        # Of one thread, as torch gains nothing from two that share its cores.
        self._thread = ThreadPoolExecutor(1, "embedder")

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """See `Embedder.embed`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.embed_now, texts)

    def embed_now(self, texts: Sequence[str]) -> Embeddings:
        """The same, in the caller's thread."""
        if not texts:
            return Embeddings(np.zeros((0, 0), dtype=np.float32))
        rows: Any = self._model.encode(
            list(texts),
            batch_size=TEXTS_A_BATCH,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        try:
            vectors = unit_vectors(rows, count=len(texts))
        except BadEmbeddings as error:
            raise ProviderError(ErrorKind.GIVE_UP, f"the embedding model gives {error}") from None
        vectors[self._unreadable(texts)] = 0.0
        return Embeddings(vectors)

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _unreadable(self, texts: Sequence[str]) -> list[int]:
        unknown = getattr(self._model.tokenizer, "unk_token_id", None)
        if unknown is None:
            return []
        tokens = self._model.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return [at for at, ids in enumerate(tokens) if unknown in ids]


def _loaded(directory: Path) -> SentenceTransformer:
    # The libraries read these when they are imported.
    os.environ.update(_NO_NETWORK)
    import torch
    import transformers.utils.logging as loading_messages
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(THREADS_MAX)
    loading_messages.disable_progress_bar()
    return SentenceTransformer(str(directory), device="cpu", local_files_only=True)


def _identity(directory: Path) -> str:
    """By the model's files, so that a directory that holds another model now is noticed."""
    files = sorted(file for file in directory.rglob("*") if file.is_file())
    listed = "\n".join(
        f"{file.relative_to(directory)} {file.stat().st_size}"
        for file in files
        if "__pycache__" not in file.parts
    )
    return f"local:{hashlib.blake2b(listed.encode(), digest_size=16).hexdigest()}"
