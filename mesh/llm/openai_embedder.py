"""An embedding model behind an OpenAI-compatible endpoint (`POST /v1/embeddings`).

Asks in batches, one after another, and retries nothing: whether to ask again is the caller's
decision, by the kind of the error. Prices are pricing.py's, by the usage that is returned.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import openai
import openai.resources.embeddings  # here, not in the midst of the first call

from mesh.config import ApiKey, ModelSpec
from mesh.llm.embedding import BadEmbeddings, Embeddings, unit_vectors
from mesh.llm.endpoints import base_url_of, server_name
from mesh.llm.errors import provider_error
from mesh.llm.failures import failure_of
from mesh.llm.interface import ErrorKind, ProviderError, Usage
from mesh.llm.sdk_http import (
    NO_KEY,
    CallTimeouts,
    ResponseHeaders,
    http_client_options,
    http_error_class,
    quiet_sdk_loggers,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXTS_A_CALL_MAX = 256
"""An item has 512 bytes at most: all of them stay below what any server takes in one request."""

_FAULTS = (
    openai.OpenAIError,
    http_error_class(openai.DefaultAsyncHttpxClient),
    ValueError,  # The SDK's own, for an answer that is no JSON or holds nothing.
)


class OpenAIEmbedder:
    """An `Embedder` over HTTP."""

    def __init__(self, model: ModelSpec, key: ApiKey | None, timeouts: CallTimeouts) -> None:
        quiet_sdk_loggers()
        self._model = model
        self._secrets = (key.value,) if key is not None else ()
        self._timeout = openai.Timeout(timeouts.event_s, connect=timeouts.connect_s)
        self._dimension: int | None = None
        options = http_client_options(model, key, ResponseHeaders())
        self._sdk = openai.AsyncOpenAI(
            # Never None: the SDK would then send OPENAI_API_KEY, whichever server this is.
            api_key=key.value if key is not None else NO_KEY,
            base_url=base_url_of(model),
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(**options),
        )

    @property
    def model_id(self) -> str:
        """See `Embedder.model_id`."""
        return f"{self._model.name}@{base_url_of(self._model)}"

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """See `Embedder.embed`."""
        parts = [
            await self._embed_batch(texts[start : start + TEXTS_A_CALL_MAX])
            for start in range(0, len(texts), TEXTS_A_CALL_MAX)
        ]
        if not parts:
            return Embeddings(np.zeros((0, self._dimension or 0), dtype=np.float32))
        vectors: NDArray[np.float32] = np.concatenate([part.vectors for part in parts])
        return Embeddings(vectors, _sum(part.usage for part in parts if part.usage is not None))

    async def close(self) -> None:
        await self._sdk.close()

    async def _embed_batch(self, texts: Sequence[str]) -> Embeddings:
        try:
            reply = await self._sdk.embeddings.create(
                model=self._model.name,
                input=list(texts),
                # The SDK would ask for base64, which not every server knows.
                encoding_format="float",
                timeout=self._timeout,
            )
        except _FAULTS as error:
            failure = failure_of(error)
        else:
            return self._read(reply, len(texts))
        # Outside the except clause, so that the SDK's error, which may quote the key, is not
        # chained to ours.
        raise provider_error(failure, self._model, now_s=time.time(), secrets=self._secrets)

    def _read(self, reply: Any, count: int) -> Embeddings:
        """What an answer holds; compatible servers leave out any field, or fill it with null."""
        try:
            rows = _rows(getattr(reply, "data", None) or (), count)
            vectors = unit_vectors(rows, count=count, dimension=self._dimension)
        except BadEmbeddings as error:
            said = f"{server_name(self._model)} gives no embeddings by {self._model.name}: {error}"
            raise ProviderError(ErrorKind.GIVE_UP, said) from None
        self._dimension = vectors.shape[1]
        tokens = getattr(getattr(reply, "usage", None), "prompt_tokens", None)
        usage = Usage(tokens, 0, 0) if isinstance(tokens, int) and tokens >= 0 else None
        return Embeddings(vectors, usage)


def _rows(listed: Sequence[Any], count: int) -> list[Any]:
    """The vectors by the number that each says it has."""
    placed = {getattr(each, "index", None): getattr(each, "embedding", None) for each in listed}
    if len(listed) != count or placed.keys() != set(range(count)):
        raise BadEmbeddings(f"{len(listed)} vectors for {count} texts, or not by number")
    return [placed[at] for at in range(count)]


def _sum(usages: Iterable[Usage]) -> Usage | None:
    tokens = [usage.input_tokens for usage in usages]
    return Usage(sum(tokens), 0, 0) if tokens else None
