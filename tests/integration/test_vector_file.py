"""Kept vectors: what a restart finds, and what it does with a file that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.storage.vector_file import VectorFile

NAMES = [f"name {number}" for number in range(5_000)]
BYTES = 768
MODEL = "local:one"


def vector(name: str) -> bytes:
    return name.encode().ljust(BYTES, b"\x01")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.bin"
    file, vectors = VectorFile.open(path, MODEL, BYTES, NAMES)
    assert vectors == []
    file.append((name, vector(name)) for name in NAMES[:3_000])
    file.append((name, vector(name)) for name in NAMES[3_000:])
    assert file.count == len(NAMES)
    file.close()
    return path


def opened(path: Path, names: list[str], model: str = MODEL, size: int = BYTES) -> list[bytes]:
    file, vectors = VectorFile.open(path, model, size, names)
    assert file.count == len(vectors)
    file.close()
    return vectors


def test_a_restart_finds_all_vectors(kept: Path) -> None:
    assert opened(kept, NAMES) == [vector(name) for name in NAMES]


def test_a_file_that_is_shorter_than_the_list_is_completed(kept: Path) -> None:
    more = [*NAMES, "one more"]
    file, vectors = VectorFile.open(kept, MODEL, BYTES, more)
    assert len(vectors) == len(NAMES)
    file.append([("one more", vector("one more"))])
    file.close()
    assert opened(kept, more)[-1] == vector("one more")


def test_a_torn_end_is_cut(kept: Path) -> None:
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-100])
    file, vectors = VectorFile.open(kept, MODEL, BYTES, NAMES)
    assert len(vectors) == len(NAMES) - 1
    file.append([(NAMES[-1], vector(NAMES[-1]))])
    file.close()
    assert kept.read_bytes() == whole


def test_what_follows_a_damaged_vector_is_embedded_again(kept: Path) -> None:
    raw = bytearray(kept.read_bytes())
    raw[24 + 2_000 * (BYTES + 4) + 50] ^= 1
    kept.write_bytes(raw)
    assert len(opened(kept, NAMES)) == 2_000
    assert kept.stat().st_size == 24 + 2_000 * (BYTES + 4)


def test_vectors_of_another_list_end_where_the_lists_part(kept: Path) -> None:
    assert len(opened(kept, [*NAMES[:10], "another", *NAMES[11:]])) == 10


def test_a_list_that_lost_its_end_loses_the_vectors_too(kept: Path) -> None:
    assert len(opened(kept, NAMES[:7])) == 7
    assert len(opened(kept, NAMES)) == 7


@pytest.mark.parametrize(("model", "size"), [("local:two", BYTES), (MODEL, 2 * BYTES)])
def test_a_file_of_another_model_is_begun_anew(kept: Path, model: str, size: int) -> None:
    assert opened(kept, NAMES, model, size) == []
    assert opened(kept, NAMES) == []


@pytest.mark.parametrize("raw", [b"", b"TMVEC", b"\x00" * 5_000, b"something else" * 500])
def test_a_file_that_is_none_of_ours_is_begun_anew(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "vectors.bin"
    path.write_bytes(raw)
    assert opened(path, NAMES) == []
    assert path.stat().st_size == 24


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        VectorFile.open(tmp_path, MODEL, BYTES, NAMES)
