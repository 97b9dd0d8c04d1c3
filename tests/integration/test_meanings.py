"""A collector's embedding model: what it is asked, what is kept, what happens without it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from mesh.core.listed_names import ListedNames
from mesh.llm.embedders import EmbedderUnavailable, check_embedder
from mesh.llm.embedding import Embeddings
from mesh.llm.interface import ErrorKind, ProviderError
from mesh.nodes.collecting.meanings import ANSWER_S_MAX, RETRY_S, Meanings
from mesh.storage.vector_file import VECTOR_FILE

DIMENSION = 16
SAME = {"Siam": "Thailand"}
"""Names to which the model gives one vector."""


class HashEmbedder:
    """An `Embedder` whose vectors follow from names."""

    def __init__(self, model_id: str = "local:hash") -> None:
        self.model_id = model_id
        self.asked: list[str] = []
        self.fails = False
        self.hangs = False

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        if self.fails:
            raise ProviderError(ErrorKind.UNREACHABLE, "nobody listens there")
        if self.hangs:
            await asyncio.Event().wait()
        self.asked += texts
        rows = [self._vector(SAME.get(text, text)) for text in texts]
        return Embeddings(np.array(rows, dtype=np.float32))

    async def close(self) -> None: ...

    def _vector(self, text: str) -> list[float]:
        digest = hashlib.blake2b(text.encode(), digest_size=DIMENSION).digest()
        row = np.frombuffer(digest, dtype=np.uint8).astype(np.float32) - 127.5
        return [float(value) for value in row / np.linalg.norm(row)]


@asynccontextmanager
async def opened(
    directory: Path,
    embedder: HashEmbedder,
    troubles: list[str | None] | None = None,
    *,
    answer_s_max: float = ANSWER_S_MAX,
    retry_s: float = RETRY_S,
) -> AsyncIterator[Meanings]:
    told = troubles if troubles is not None else []
    path = directory / VECTOR_FILE
    opening = Meanings(embedder, path, told.append, answer_s_max, retry_s)
    try:
        yield opening
    finally:
        await opening.close()


async def names_of(its: Meanings, *texts: str) -> ListedNames:
    """A restored list."""
    names = ListedNames()
    names.restore(texts, [], [])
    names.vectors = await its.take_up(names)
    return names


async def test_a_name_near_in_meaning_is_in_doubt(tmp_path: Path) -> None:
    async with opened(tmp_path, HashEmbedder()) as its:
        names = await names_of(its, "Thailand", "Portugal")
        vectors = await its.of(["Siam"])
        (doubt,) = names.take("Siam", vectors["Siam"]).doubts
        assert names.text(doubt.number) == "Thailand"
        assert doubt.by_meaning


async def test_what_was_embedded_is_not_asked_again_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path, HashEmbedder()) as its:
        await names_of(its, "Thailand")
        await its.of(["Portugal"])
    again = HashEmbedder()
    async with opened(tmp_path, again) as its:
        # In whatever order: other forms come after entries when a list is restored.
        names = await names_of(its, "Portugal", "Thailand", "Chile")
        assert again.asked == ["a name", "Chile"]
        vectors = await its.of(["Siam"])
        assert [names.text(doubt.number) for doubt in names.take("Siam", vectors["Siam"]).doubts]


async def test_another_model_embeds_all_anew(tmp_path: Path) -> None:
    async with opened(tmp_path, HashEmbedder()) as its:
        await names_of(its, "Thailand")
    other = HashEmbedder("local:other")
    async with opened(tmp_path, other) as its:
        await names_of(its, "Thailand")
        assert "Thailand" in other.asked


async def test_without_an_answer_names_go_by_their_letters_and_the_user_is_told(
    tmp_path: Path,
) -> None:
    troubles: list[str | None] = []
    embedder = HashEmbedder()
    async with opened(tmp_path, embedder, troubles, retry_s=0.0) as its:
        names = await names_of(its, "Thailand")
        embedder.fails = True
        assert await its.of(["Siam"]) == {}
        assert "nobody listens there" in str(troubles[-1])
        assert names.take("Siam").doubts == ()
        embedder.fails = False
        vectors = await its.of(["Portugal"])
        assert troubles[-1] is None
        assert names.take("Portugal", vectors["Portugal"]).number == 2


async def test_a_model_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    embedder = HashEmbedder()
    async with opened(tmp_path, embedder, answer_s_max=0.01) as its:
        await names_of(its, "Thailand")
        embedder.hangs = True
        assert await its.of(["Siam"]) == {}
        embedder.hangs = False
        assert await its.of(["Siam"]) == {}  # It is left alone for a while.


async def test_a_model_that_never_answers_leaves_the_list_without_vectors(tmp_path: Path) -> None:
    embedder = HashEmbedder()
    embedder.fails = True
    async with opened(tmp_path, embedder) as its:
        names = await names_of(its, "Thailand")
        assert names.vectors is None
        assert names.take("Portugal").number == 1


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("openai:text-embedding-3-small", "public server"),
        ("e5@https://example.com/v1", "public server"),
        ("/no/such/model", "no such directory"),
    ],
)
def test_a_run_says_what_it_cannot_use(spec: str, why: str) -> None:
    with pytest.raises(EmbedderUnavailable, match=why):
        check_embedder(spec)


def test_a_server_of_this_machine_may_be_used() -> None:
    check_embedder("e5@http://127.0.0.1:8000/v1")
