"""The run in a directory that the user names."""

from __future__ import annotations

from pathlib import Path

from mesh.cli.commands import UsageError
from mesh.storage.run_directory import (
    DATABASE_FILE,
    RunDirectoryRefused,
    RunIdentity,
    read_run,
)


def past_run(run_dir: Path) -> RunIdentity:
    """Which run it holds.

    Raises:
        UsageError: none, one without results, or one that cannot be read.
    """
    try:
        identity = read_run(run_dir)
    except RunDirectoryRefused as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(
            f"cannot read {run_dir}: {error.strerror or error}", exit_status=1
        ) from error
    if identity is None:
        raise UsageError(f"{run_dir} holds no run: name its directory, such as runs/NAME")
    if not (run_dir / DATABASE_FILE).is_file():
        raise UsageError(
            f"the run in {run_dir} has no results yet: explore '{identity.topic}' first"
        )
    return identity
