"""`view RUN_DIR`: the page of a run that is over, until Ctrl-C.

It leaves the run's directory as it is: the token of a page that other machines can reach is new
each time, and kept nowhere.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.nodes.collecting.finished_view import FinishedRunView
from mesh.nodes.supervising.own_address import address_elsewhere
from mesh.nodes.terminal import program_name
from mesh.storage.database import RunDatabase, UnusableDatabase
from mesh.storage.run_directory import DATABASE_FILE
from mesh.web.access import is_loopback
from mesh.web.server import PageServer, PageUnavailable
from mesh.web.token import new_token


def view(run_dir: Path, host: str, port: int, public_url: str | None = None) -> int:
    """Serve the page of `run_dir` until interrupted; return the exit status."""
    try:
        return asyncio.run(_serve(run_dir, host, port, public_url))
    except (UnusableDatabase, PageUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 1


async def _serve(run_dir: Path, host: str, port: int, public_url: str | None) -> int:
    path = run_dir / DATABASE_FILE
    database = RunDatabase.open_read_only(path)
    reader = DatabaseReader(path)
    run = FinishedRunView(run_dir, program_name(sys.argv[0]), database, reader)
    token = None if is_loopback(host) else new_token()
    page = await PageServer.start(
        run,
        host=host,
        port=port,
        public_url=public_url,
        host_elsewhere=address_elsewhere(host),
        token=token,
    )
    sys.stdout.write(f"{page.url}  (Ctrl-C ends)\n")
    if page.url_elsewhere is not None:
        sys.stdout.write(f"from other machines: {page.url_elsewhere}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await page.close(run.metrics(with_history=False))
    reader.close()
    database.close()
    return 0
