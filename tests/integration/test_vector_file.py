"""Kept vectors: what a restart finds, and what it does with a file that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.storage.vector_file import VectorFile

NAMES = [f"name {number}" for number in range(5_000)]
BYTES = 768
RECORD_BYTES = 4 + 8 + BYTES
HEAD_BYTES = 24
MODEL = "local:one"


def vector(name: str) -> bytes:
    return name.encode().ljust(BYTES, b"\x01")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.bin"
    file, vectors = VectorFile.open(path, MODEL, BYTES)
    assert len(vectors) == 0
    file.append((name, vector(name)) for name in NAMES[:3_000])
    file.append((name, vector(name)) for name in NAMES[3_000:])
    file.close()
    return path


def opened(path: Path, model: str = MODEL, size: int = BYTES) -> list[str]:
    """Names of which the file holds the vector."""
    file, vectors = VectorFile.open(path, model, size)
    file.close()
    held = [name for name in NAMES if vectors.of(name) is not None]
    assert all(vectors.of(name) == vector(name) for name in held)
    return held


def test_a_restart_finds_all_vectors_whatever_the_order_of_names(kept: Path) -> None:
    assert opened(kept) == NAMES


def test_a_name_that_has_none_yet_is_added(kept: Path) -> None:
    file, vectors = VectorFile.open(kept, MODEL, BYTES)
    assert vectors.of("one more") is None
    file.append([("one more", vector("one more"))])
    file.close()
    file, vectors = VectorFile.open(kept, MODEL, BYTES)
    file.close()
    assert vectors.of("one more") == vector("one more")


def test_a_torn_end_is_cut(kept: Path) -> None:
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-100])
    file, vectors = VectorFile.open(kept, MODEL, BYTES)
    assert len(vectors) == len(NAMES) - 1
    file.append([(NAMES[-1], vector(NAMES[-1]))])
    file.close()
    assert kept.read_bytes() == whole


def test_what_follows_a_damaged_vector_is_embedded_again(kept: Path) -> None:
    raw = bytearray(kept.read_bytes())
    raw[HEAD_BYTES + 2_000 * RECORD_BYTES + 50] ^= 1
    kept.write_bytes(raw)
    assert opened(kept) == NAMES[:2_000]
    assert kept.stat().st_size == HEAD_BYTES + 2_000 * RECORD_BYTES


@pytest.mark.parametrize(("model", "size"), [("local:two", BYTES), (MODEL, 2 * BYTES)])
def test_a_file_of_another_model_is_begun_anew(kept: Path, model: str, size: int) -> None:
    assert opened(kept, model, size) == []
    assert opened(kept) == []


@pytest.mark.parametrize("raw", [b"", b"TMVEC", b"\x00" * 5_000, b"something else" * 500])
def test_a_file_that_is_none_of_ours_is_begun_anew(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "vectors.bin"
    path.write_bytes(raw)
    assert opened(path) == []
    assert path.stat().st_size == HEAD_BYTES


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        VectorFile.open(tmp_path, MODEL, BYTES)
