"""The structure that the README describes holds in the code."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES_MAX = 450


def _modules() -> list[Path]:
    return sorted((ROOT / "mesh").rglob("*.py"))


def test_imports_point_down_and_siblings_are_strangers() -> None:
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert linter is not None
    result = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_no_module_imports_itself_through_others() -> None:
    graph = grimp.build_graph("mesh", cache_dir=None, exclude_type_checking_imports=True)
    cycles = [
        (module, chain)
        for module in sorted(graph.modules)
        for imported in graph.find_modules_directly_imported_by(module)
        if (chain := graph.find_shortest_chain(imported, module))
    ]
    assert cycles == []


CORE = sorted((ROOT / "mesh" / "core").glob("*.py"))


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_core_touches_no_clock_socket_file_or_global_randomness(path: Path) -> None:
    impure = {"asyncio", "io", "os", "pathlib", "socket", "sqlite3", "subprocess", "threading"}
    impure |= {"time", "datetime", "zmq", "aiohttp", "secrets", "logging", "tempfile"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not {name.split(".")[0] for name in names} & impure, f"{path.name} imports {names}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            is_global = node.value.id == "random" and node.attr != "Random"
            assert not is_global, f"{path.name} uses random.{node.attr}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "open", f"{path.name} opens a file"


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is_and_stays_readable_in_one_sitting(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MODULE_LINES_MAX
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
