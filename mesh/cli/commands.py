"""What the user asked for, as values: the result of parsing, before any file or key is looked at.

Defaults stand here and nowhere else; the help text quotes them. What a command does is in the
module of its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mesh.config import TICKET_EXPIRES_S, TokenPrices

COMMAND_NAMES = (
    "explore",
    "collector",
    "producer",
    "simulate",
    "check",
    "view",
    "report",
    "review",
)


class UsageError(Exception):
    """The command cannot be carried out as given.

    The message is one line for the user that says what is wrong, with the value, and what to do.
    `main` shows it and ends with `exit_status`: 2 for wrong use, 1 where something outside fails.
    """

    def __init__(self, message: str, *, exit_status: int = 2) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """Where nodes of this machine are found by others, and how they speak."""

    host: str | None = None
    """None: not given."""
    advertise_host: str | None = None
    mesh_ports: tuple[int, int] | None = None
    """First and last."""
    alone_limit_s: float | None = None
    """None: not given, so that a run's own may apply."""
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class ExploreCommand:
    """`run_mesh.py [TOPIC]`, and `run_mesh.py collector TOPIC`."""

    topic: str | None = None
    """Clean, 1..200 characters; None: ask, or take the default."""
    model_specs: tuple[str, ...] = ()
    """As written; empty: whatever the keys in the environment allow."""
    peers: int = 5
    """0: a collector for producers of other machines."""
    concurrency: int = 1
    """Calls of each producer at once."""
    target: int | None = None
    budget_usd: float | Literal["none"] | None = None
    """None: not given, so that the default cap may apply."""
    max_cost_per_item_usd: float | None = None
    time_limit_s: float | None = None
    output: Path = Path("output.txt")
    exclude: Path | None = None
    names: bool = True
    judge: bool = True
    semantic: bool = False
    embedder: str | None = None
    run_dir: Path | None = None
    new: bool = False
    network: NetworkOptions = NetworkOptions()
    new_ticket: bool = False
    ticket_expires_h: float = TICKET_EXPIRES_S / 3600
    page_host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None
    headless: bool = False
    keep_page: bool = False
    prices: dict[str, TokenPrices] = field(default_factory=dict)
    """The user's own, by the spec of a model."""
    seed: int = 0
    verbosity: int = 0
    time_scale: float | None = None
    """None: not given, 1."""
    catalogs: tuple[Path, ...] = ()
    models_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ProducerCommand:
    """`run_mesh.py producer --join TICKET`."""

    join: str | None = field(default=None, repr=False)
    """The ticket, @FILE or -; None: it is in the environment."""
    peers: int = 1
    concurrency: int = 1
    model_specs: tuple[str, ...] = ()
    """As written; empty: all of the run's that this machine can ask."""
    network: NetworkOptions = NetworkOptions()
    run_dir: Path | None = None
    verbosity: int = 0
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


@dataclass(frozen=True, slots=True)
class ReportCommand:
    """`run_mesh.py report RUN_DIR`."""

    run_dir: Path
    file: Path | None = None
    """None: report.html in the run's directory."""


@dataclass(frozen=True, slots=True)
class ReviewCommand:
    """`run_mesh.py review RUN_DIR`."""

    run_dir: Path
    apart: tuple[str, ...] = ()
    """Other forms that are to be entries of their own."""
    merges: tuple[tuple[str, str], ...] = ()
    """(entry, the entry that is to stand for both)."""
    different: tuple[tuple[str, str], ...] = ()
    """Pairs of entries that are two."""
    limit: int = 50

    @property
    def has_edits(self) -> bool:
        return bool(self.apart or self.merges or self.different)


Command = (
    ExploreCommand
    | ProducerCommand
    | SimulateCommand
    | CheckCommand
    | ViewCommand
    | ReportCommand
    | ReviewCommand
)
