"""`producer --join TICKET`: from a ticket to producers of this machine in somebody else's run.

Everything that can be wrong is found here, before a process is started or a call paid for: the
ticket, the way to the run, models and keys, ports, the directory.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import sys
import time
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mesh.cli.announcement import guest_announcement
from mesh.cli.commands import ProducerCommand, UsageError
from mesh.cli.environment import load_environment
from mesh.cli.explore import LOG_FILE, limit_notices, log_to_file
from mesh.cli.models import keys_of
from mesh.cli.network import guest_network
from mesh.cli.offline import check_topic
from mesh.cli.run_models import models_of_run
from mesh.cli.ticket_source import read_ticket
from mesh.config import MeshSettings, RunTerms, SimulatorSettings
from mesh.llm.pricing import price_line, with_prices
from mesh.llm.selection import Selection
from mesh.nodes.guest_lines import GUEST_LINES
from mesh.nodes.supervising.crew import CrewSettings
from mesh.nodes.supervising.terms import NoTerms, ask_terms
from mesh.nodes.terminal import TerminalView, program_name
from mesh.storage.joined_directory import JoinedDirectory, default_joined_dir, open_joined
from mesh.storage.run_directory import RunDirectoryRefused
from mesh.wire.tickets import JoinTicket

TURNS = 2**31


def producer(command: ProducerCommand) -> int:
    """Take part in a run until it ends; return the exit status.

    Raises:
        UsageError: it cannot be done as asked.
    """
    environment = load_environment(Path())
    ticket, text, notices = read_ticket(command.join, environment, sys.stdin)
    terms, service_address = _terms(ticket)
    selection = models_of_run(
        terms.model_specs, command.model_specs, environment, command.models_file
    )
    mesh, network_notices = guest_network(
        command.network,
        service_address,
        encrypted=ticket.encrypted,
        node_count=command.peers,
    )
    if command.network.alone_limit_s is None:
        mesh = replace(mesh, alone_limit_s=terms.alone_limit_s)
    notices += [*network_notices, *limit_notices(command.peers)]
    directory = command.run_dir or default_joined_dir(terms.topic, terms.run_id)
    selection = replace(selection, models=with_prices(selection.models, terms.prices))
    crew = _crew(command, directory, terms, selection, mesh, environment)
    crew = replace(crew, ticket=text)
    with contextlib.closing(_opened(directory, terms)):
        return _join(command, crew, (*notices, *selection.notices))


def _terms(ticket: JoinTicket) -> tuple[RunTerms, str]:
    try:
        terms, service = ask_terms(ticket, now_ms=time.time_ns() // 1_000_000)
    except NoTerms as error:
        raise UsageError(str(error), exit_status=1) from error
    return terms, service.address


def _crew(
    command: ProducerCommand,
    directory: Path,
    terms: RunTerms,
    selection: Selection,
    mesh: MeshSettings,
    environment: Mapping[str, str],
) -> CrewSettings:
    machine = socket.gethostname()
    if command.run_dir is not None:
        # One machine may join from several directories.
        machine = f"{machine}:{directory.resolve().name}"
    return CrewSettings(
        run_dir=directory,
        terms=terms,
        models=selection.models,
        keys=keys_of(selection.models, environment),
        mesh=mesh,
        simulator=_simulator(command, terms, selection),
        count=command.peers,
        concurrency=command.concurrency,
        label_prefix=f"{machine}/",
        turn=zlib.crc32(machine.encode()) % TURNS,
        verbosity=command.verbosity,
    )


def _simulator(
    command: ProducerCommand, terms: RunTerms, selection: Selection
) -> SimulatorSettings | None:
    """Simulated models as the run has them, served here; None where none is asked."""
    if terms.simulator is None or not any(model.simulated for model in selection.models):
        return None
    check_topic(terms.topic, command.catalogs)
    return replace(terms.simulator, catalog_files=command.catalogs, models_file=command.models_file)


def _opened(directory: Path, terms: RunTerms) -> JoinedDirectory:
    try:
        return open_joined(directory, run_id=terms.run_id, topic=terms.topic)
    except RunDirectoryRefused as error:
        raise UsageError(str(error), exit_status=error.exit_status) from error


def _join(command: ProducerCommand, crew: CrewSettings, notices: tuple[str, ...]) -> int:
    log_to_file(crew.run_dir / LOG_FILE, command.verbosity)
    with TerminalView(GUEST_LINES, explaining=command.verbosity > 0) as terminal:
        for line in guest_announcement(crew, notices, price_line):
            terminal.say(line)
        # Imported here: what can be refused is refused before it.
        from mesh.nodes.supervising import guest

        return guest.join(crew, terminal, _same_command(command, crew.run_dir))


def _same_command(command: ProducerCommand, directory: Path) -> str:
    """What to type to join again from the same directory; a ticket itself is not repeated."""
    given = command.join
    is_secret = given is not None and given != "-" and not given.startswith("@")
    ticket = "" if given is None else f" --join {'TICKET' if is_secret else shlex.quote(given)}"
    where = shlex.quote(str(directory))
    return f"{program_name(sys.argv[0])} producer{ticket} --run-dir {where}"
