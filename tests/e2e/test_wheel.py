"""The built wheel: only `mesh` with the page inside it, and it runs far from a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.e2e.running import ROOT, clean_environment, eventually
from tests.patience import PATIENCE_S


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"),
            *("-w", str(directory), str(ROOT)),
        ],
        check=True,
        timeout=PATIENCE_S,
    )
    (built,) = directory.glob("topicmesh-*.whl")
    return built


def test_the_wheel_installs_only_mesh_with_the_page_and_data_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"mesh"}
    for inside in ("web/ui/index.html", "storage/schema.sql", "simulation/simulated_models.toml"):
        assert f"mesh/{inside}" in names


def test_the_installed_program_runs_outside_a_checkout(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", installed, wheel],
        check=True,
        timeout=PATIENCE_S,
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    process = subprocess.Popen(
        [installed / "bin" / "topicmesh", "Paris attractions", "--peers", "1", "--port", "0"],
        cwd=elsewhere,
        env=clean_environment() | {"PYTHONPATH": str(installed)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = eventually(lambda: _page_line(process), "the page's address")
    with urllib.request.urlopen(said, timeout=PATIENCE_S) as page:
        assert b"<title>" in page.read()
    output = elsewhere / "output.txt"
    eventually(lambda: output.exists() and output.read_text("utf-8"), "entries")
    os.killpg(process.pid, 2)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def _page_line(process: subprocess.Popen[str]) -> str | None:
    assert process.stdout is not None
    line = process.stdout.readline()
    return line.split()[1] if line.startswith("page: ") else None
