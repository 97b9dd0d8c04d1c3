"""`review RUN_DIR`: what counts as one entry and what may, and how a person decides otherwise."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterator

from mesh.cli.commands import ReviewCommand, UsageError
from mesh.cli.past_run import past_run
from mesh.storage.database import RunDatabase, UnusableDatabase
from mesh.storage.name_tables import Doubt, Merge
from mesh.storage.node_directory import DamagedIdentity
from mesh.storage.output_file import UnwritableOutput
from mesh.storage.run_directory import DATABASE_FILE, AlreadyLocked, RunIdentity


def review(command: ReviewCommand, program: str) -> int:
    """Carry out the edits, then list what there is; return the exit status."""
    identity = past_run(command.run_dir)
    if command.has_edits and (moved_aside := _edited(command, identity)):
        sys.stderr.write(f"the output file was not this run's: moved to {moved_aside}\n")
    try:
        database = RunDatabase.open_read_only(command.run_dir / DATABASE_FILE)
    except UnusableDatabase as error:
        raise UsageError(str(error), exit_status=1) from error
    with contextlib.closing(database):
        text = "".join(f"{line}\n" for line in _lines(command, database, program))
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Its reader has seen enough; what is buffered must not fail at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _edited(command: ReviewCommand, identity: RunIdentity) -> str:
    """As `_edit`, what goes wrong outside in words for the user."""
    try:
        return _edit(command, identity)
    except AlreadyLocked as error:
        raise UsageError(
            f"the run in {command.run_dir} goes on: its list is written line by line. "
            "Stop it first, or look at it without changing anything",
            exit_status=1,
        ) from error
    except (UnusableDatabase, DamagedIdentity, UnwritableOutput) as error:
        raise UsageError(str(error), exit_status=1) from error
    except (OSError, sqlite3.Error) as error:
        raise UsageError(
            f"cannot change the run in {command.run_dir}: {error}", exit_status=1
        ) from error


def _edit(command: ReviewCommand, identity: RunIdentity) -> str:
    """Make the edits in order; where a file of somebody else's is now, "" where there was none."""
    # Imported here: looking needs none of it.
    from mesh.nodes.collecting.reviewing import Refused, open_review

    try:
        with open_review(command.run_dir, identity.run_id) as run:
            for text in command.apart:
                run.take_apart(text)
            for text, into in command.merges:
                run.merge(text, into)
            for text, other in command.different:
                run.keep_apart(text, other)
            return str(run.moved_aside or "")
    except Refused as error:
        raise UsageError(str(error)) from error


def _lines(command: ReviewCommand, database: RunDatabase, program: str) -> Iterator[str]:
    names, limit = database.names, command.limit
    merged_count, open_count, different_count = names.counts()
    yield f"{merged_count:,} other forms of entries"
    yield from map(_merge_line, names.merges(limit))
    yield from _more(merged_count, limit)
    yield f"{open_count:,} pairs in doubt, {different_count:,} judged different"
    yield from map(_doubt_line, names.doubts(limit))
    yield from _more(open_count + different_count, limit)
    here = f"{program} review {command.run_dir}"
    yield f'an entry of its own:  {here} --apart "TEXT"'
    yield f'one entry:            {here} --merge "TEXT" "ENTRY THAT STANDS FOR BOTH"'
    yield f'two entries:          {here} --different "ENTRY" "ENTRY"'


def _merge_line(merge: Merge) -> str:
    entry = merge.entry or "(to be left out)"
    return f"  {merge.text}  =  {entry}  [{merge.rule}]"


def _doubt_line(doubt: Doubt) -> str:
    why = doubt.reason if doubt.verdict == "open" else f"different, said {doubt.judge}"
    return f"  {doubt.text}  {'?' if doubt.verdict == 'open' else '≠'}  {doubt.other}  [{why}]"


def _more(count: int, limit: int) -> Iterator[str]:
    if count > limit:
        yield f"  … and {count - limit:,} more: --limit {count}"
