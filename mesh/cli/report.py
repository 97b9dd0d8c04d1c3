"""`report RUN_DIR`: a run as one HTML file."""

from __future__ import annotations

import sys

from mesh.cli.commands import ReportCommand, UsageError
from mesh.cli.past_run import past_run
from mesh.storage.database import UnusableDatabase


def report(command: ReportCommand, program: str) -> int:
    """Write the file and say where it is; return the exit status."""
    past_run(command.run_dir)
    # Imported here: aiohttp and the page's packages.
    from mesh.nodes.reporting import REPORT_FILE, write_report

    file = command.file or command.run_dir / REPORT_FILE
    try:
        count = write_report(command.run_dir, file, program)
    except UnusableDatabase as error:
        raise UsageError(str(error), exit_status=1) from error
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"cannot write {file}: {reason}; name another file with --to", exit_status=1
        ) from error
    sys.stdout.write(f"{count:,} entries are in {file}: any browser opens it\n")
    return 0
