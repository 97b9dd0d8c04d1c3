"""`view RUN_DIR`: the page of a run that has ended."""

from __future__ import annotations

from mesh.cli.commands import ViewCommand
from mesh.cli.past_run import past_run


def view(command: ViewCommand) -> int:
    """Serve the page until Ctrl-C; return the exit status."""
    past_run(command.run_dir)
    # Imported here: aiohttp and the page's packages.
    from mesh.nodes import viewer

    return viewer.view(command.run_dir, command.page_host, command.port, command.public_url)
