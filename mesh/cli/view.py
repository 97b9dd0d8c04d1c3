"""`view RUN_DIR`: the page of a run that has ended."""

from __future__ import annotations

from mesh.cli.commands import UsageError, ViewCommand
from mesh.storage.run_directory import DATABASE_FILE, RunDirectoryRefused, read_run


def view(command: ViewCommand) -> int:
    """Serve the page until Ctrl-C; return the exit status."""
    run_dir = command.run_dir
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
    # Imported here: aiohttp and the page's packages.
    from mesh.nodes import viewer

    return viewer.view(run_dir, command.page_host, command.port, command.public_url)
