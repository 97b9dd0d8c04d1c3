"""The command line: what the user typed -> settings -> whoever carries them out.

parsing.py turns words into a command, the module of the command's name carries it out. Each is
imported when its command is given: starting up must not cost what another command needs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper

from mesh.cli.commands import (
    CheckCommand,
    Command,
    ExploreCommand,
    ProducerCommand,
    ReportCommand,
    ReviewCommand,
    SimulateCommand,
    UsageError,
)
from mesh.cli.parsing import parse
from mesh.nodes.terminal import program_name


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line; return the exit status.

    0: done, or stopped by the user; 1: failed; 2: wrong use.

    Args:
        argv: the words after the program's name; None: this process's.
    """
    program = program_name(sys.argv[0])
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a name in its script shows its code instead of failing.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _carry_out(parse(sys.argv[1:] if argv is None else argv, program=program))
    except UsageError as error:
        hint = f"\nsee {program} --help" if error.exit_status == 2 else ""
        sys.stderr.write(f"error: {error}{hint}\n")
        return error.exit_status
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        return 0


def _carry_out(command: Command) -> int:
    if isinstance(command, ExploreCommand):
        from mesh.cli.explore import explore

        return explore(command)
    if isinstance(command, ProducerCommand):
        from mesh.cli.producer import producer

        return producer(command)
    if isinstance(command, SimulateCommand):
        from mesh.cli.simulate import simulate

        return simulate(command)
    if isinstance(command, CheckCommand):
        from mesh.cli.check import check

        return check(command)
    if isinstance(command, ReportCommand):
        from mesh.cli.report import report

        return report(command, program_name(sys.argv[0]))
    if isinstance(command, ReviewCommand):
        from mesh.cli.review import review

        return review(command, program_name(sys.argv[0]))
    from mesh.cli.view import view

    return view(command)
