"""What the user asked for, as values: the result of parsing, before any file or key is looked at.

Defaults stand here and nowhere else; the help text quotes them. What a command does is in the
module of its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

COMMAND_NAMES = ("explore", "simulate", "check", "view")


class UsageError(Exception):
    """The command cannot be carried out as given.

    The message is one line for the user that says what is wrong, with the value, and what to do.
    `main` shows it and ends with `exit_status`: 2 for wrong use, 1 where something outside fails.
    """

    def __init__(self, message: str, *, exit_status: int = 2) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@dataclass(frozen=True, slots=True)
class ExploreCommand:
    """`run_mesh.py [TOPIC]`."""

    topic: str | None = None
    """Clean, 1..200 characters; None: ask, or take the default."""
    model_specs: tuple[str, ...] = ()
    """As written; empty: whatever the keys in the environment allow."""
    peers: int = 5
    target: int | None = None
    budget_usd: float | Literal["none"] | None = None
    """None: not given, so that the default cap may apply."""
    time_limit_s: float | None = None
    output: Path = Path("output.txt")
    exclude: Path | None = None
    run_dir: Path | None = None
    new: bool = False
    host: str = "127.0.0.1"
    page_host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None
    headless: bool = False
    keep_page: bool = False
    seed: int = 0
    verbosity: int = 0
    time_scale: float | None = None
    """None: not given, 1."""
    catalogs: tuple[Path, ...] = ()
    models_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SimulateCommand:
    """`run_mesh.py simulate`."""

    host: str = "127.0.0.1"
    port: int = 8100
    time_scale: float = 1.0
    seed: int = 0
    catalogs: tuple[Path, ...] = ()
    models_file: Path | None = None


@dataclass(frozen=True, slots=True)
class CheckCommand:
    """`run_mesh.py check`."""

    model_specs: tuple[str, ...] = ()
    models_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ViewCommand:
    """`run_mesh.py view RUN_DIR`."""

    run_dir: Path
    page_host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None


Command = ExploreCommand | SimulateCommand | CheckCommand | ViewCommand
