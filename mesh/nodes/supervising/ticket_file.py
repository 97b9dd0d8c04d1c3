"""Where a run's join ticket is kept for its user, and how he is told to pass it on."""

from __future__ import annotations

import os
from pathlib import Path

TICKET_FILE = "join-ticket"


def write_ticket(path: Path, ticket: str) -> None:
    """Put `ticket` into a file that no other user can read, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(f"{ticket}\n")
    part.replace(path)


def invitation(ticket: str, path: Path, program: str) -> list[str]:
    """Lines that say how producers on other machines join."""
    return [
        "join ticket, good for anyone who has it:",
        ticket,
        f"on another machine: copy {path} there, and type",
        f"  {program} producer --join @{path.name}",
    ]
