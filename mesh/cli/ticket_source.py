"""A join ticket from where the user has it: file, standard input, environment, command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from mesh.cli.commands import UsageError
from mesh.wire.tickets import PREFIX, TICKET_CHARACTERS_MAX, BadTicket, JoinTicket

TICKET_VARIABLE = "TOPICMESH_TICKET"
_FILE_BYTES_MAX = 4 * TICKET_CHARACTERS_MAX
SEEN_BY_ALL = (
    "the ticket stands on the command line, where every user of this machine can see it: "
    f"better --join @FILE, --join -, or the variable {TICKET_VARIABLE}"
)


def read_ticket(
    join: str | None, environment: Mapping[str, str], standard_input: TextIO
) -> tuple[JoinTicket, str, list[str]]:
    """The ticket, its text, and lines to show the user.

    Args:
        join: what was given with --join.

    Raises:
        UsageError: there is none, or what is there is none; it is not repeated.
    """
    text = _text(join, environment, standard_input)
    notices = [SEEN_BY_ALL] if join is not None and join != "-" and join[0] != "@" else []
    try:
        return JoinTicket.from_text(text), text, notices
    except BadTicket as error:
        raise UsageError(f"{error}{_hint(join)}") from error


def _text(join: str | None, environment: Mapping[str, str], standard_input: TextIO) -> str:
    if join is None:
        text = environment.get(TICKET_VARIABLE, "")
        if not text.strip():
            raise UsageError(
                "which run? Give its join ticket with --join @FILE, --join -, or in the variable "
                f"{TICKET_VARIABLE}; its collector keeps it in RUN_DIR/join-ticket"
            )
        return text
    if join == "-":
        # A person types one line; a pipe may wrap what it passes on.
        read = standard_input.readline if standard_input.isatty() else standard_input.read
        return read(_FILE_BYTES_MAX)
    if join.startswith("@"):
        return _file_text(Path(join[1:]).expanduser())
    return join


def _file_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES_MAX).decode("ascii")
    except OSError as error:
        raise UsageError(f"cannot read --join @{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--join @{path} is no join ticket: one begins with {PREFIX}") from error


def _hint(join: str | None) -> str:
    """For who has written a file's name and left out the @."""
    if join is not None and not join.startswith((PREFIX, "@")) and Path(join).is_file():
        return f"; to read it from the file write --join @{join}"
    return ""
