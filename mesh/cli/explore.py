"""`explore`, the main job: settings from what the user said, then over to the supervisor.

Everything that can be wrong is found here, before a process is started or a call paid for: topic,
models and keys, budget, catalog, files, run directory.
"""

from __future__ import annotations

import logging
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from mesh.cli import option_values
from mesh.cli.announcement import Progress, Start, announcement
from mesh.cli.commands import ExploreCommand, UsageError
from mesh.cli.environment import load_environment
from mesh.cli.models import askable_models, choose_models, keys_of
from mesh.cli.network import run_network
from mesh.cli.offline import simulator_settings, usual_topic
from mesh.config import DEFAULT_TOPIC, ApiKey, ExploreSettings, MeshSettings, ModelSpec
from mesh.llm.embedders import EmbedderUnavailable, check_embedder
from mesh.llm.estimate import estimate_line
from mesh.llm.money import BudgetCap, BudgetRefusal, budget_cap
from mesh.llm.pricing import is_priced, price_line, with_prices
from mesh.llm.selection import Selection
from mesh.nodes.run_lines import RUN_LINES
from mesh.nodes.supervising.limits import peers_warning, raise_descriptor_limit
from mesh.nodes.terminal import TerminalView, program_name
from mesh.storage.run_directory import (
    DATABASE_FILE,
    OpenedRun,
    RunDirectoryRefused,
    default_run_dir,
    open_run,
)

LOG_FILE = "supervisor.log"


def explore(command: ExploreCommand) -> int:
    """Explore until the run ends; return the exit status.

    Raises:
        UsageError: it cannot be done as asked.
    """
    environment = load_environment(Path())
    usual = usual_topic(command.catalogs)
    topic = command.topic or asked_topic(sys.stdin, sys.stdout, usual)
    # A collector asks no model: keys are for who runs producers.
    selection = choose_models(
        command.model_specs, environment, command.models_file, keys_needed=command.peers > 0
    )
    selection = replace(selection, models=with_prices(selection.models, command.prices))
    topic = topic or topic_unasked(selection.models, usual)
    askable = selection.models
    if not command.peers:
        # Its page may still want producers on this machine, of whatever it can ask.
        askable = askable_models(askable, environment)
    keys = keys_of(askable, environment)
    cap = _cap(command, selection.models)
    mesh, notices = run_network(command.network, command.peers + 1)
    selection = replace(
        selection, notices=(*notices, *limit_notices(command.peers), *selection.notices)
    )
    settings = settings_from(command, topic, selection.models, cap.cap_usd, mesh)
    _check_exclude(command.exclude)
    _check_embedder(command)
    run = _opened(settings)
    # A continued run keeps the spelling of its topic, and with it what providers have cached.
    settings = replace(settings, topic=run.identity.topic, askable=askable)
    try:
        return _explore(command, settings, run, selection, cap, keys)
    finally:
        run.close()


def asked_topic(answers: TextIO, questions: TextIO, usual: str) -> str | None:
    """What the user answers, `usual` for Enter alone; None where there is nobody to ask.

    Raises:
        UsageError: the answer is no topic, or the terminal was closed instead.
    """
    if not (answers.isatty() and questions.isatty()):
        return None
    questions.write(f"Which topic? (Enter: {usual}) ")
    questions.flush()
    answer = answers.readline()
    if not answer:
        raise UsageError(_no_topic())
    if not answer.strip():
        return usual
    try:
        return option_values.topic(answer)
    except ArgumentTypeError as error:
        raise UsageError(str(error)) from error


def topic_unasked(models: Sequence[ModelSpec], usual: str) -> str:
    """The topic of a start that names none: `usual`, if simulated models alone explore it.

    Raises:
        UsageError: a real model would be paid for a topic that nobody asked for.
    """
    if all(model.simulated for model in models):
        return usual
    raise UsageError(_no_topic())


def settings_from(
    command: ExploreCommand,
    topic: str,
    models: Sequence[ModelSpec],
    budget_usd: float | None,
    mesh: MeshSettings,
) -> ExploreSettings:
    """The run's settings. `topic`, models, budget and network have been decided.

    Raises:
        UsageError: the simulator does not know the topic, or its options have no use.
    """
    simulated = all(model.simulated for model in models)
    return ExploreSettings(
        topic=topic,
        run_dir=command.run_dir or default_run_dir(topic, simulated=simulated),
        output=command.output,
        models=tuple(models),
        peers=command.peers,
        target=command.target,
        budget_usd=budget_usd,
        max_cost_per_item_usd=command.max_cost_per_item_usd,
        concurrency=command.concurrency,
        time_limit_s=command.time_limit_s,
        exclude=command.exclude,
        names=command.names,
        judge=command.judge,
        semantic=command.semantic,
        embedder=command.embedder,
        mesh=mesh,
        open_to_others=command.peers == 0 or command.network.host is not None,
        new_ticket=command.new_ticket,
        ticket_expires_s=command.ticket_expires_h * 3600,
        page_host=command.page_host,
        port=command.port,
        public_url=command.public_url,
        headless=command.headless,
        keep_page=command.keep_page,
        new=command.new,
        seed=command.seed,
        verbosity=command.verbosity,
        simulator=simulator_settings(command, topic, models),
    )


def progress_of(run: OpenedRun) -> Progress | None:
    """How far a continued run has come; None for a new one."""
    path = run.directory / DATABASE_FILE
    if not run.continuing:
        return None
    if not path.is_file():
        return Progress(0, 0.0)
    # Imported here: only who continues needs it.
    from mesh.storage.database import RunDatabase, UnusableDatabase

    try:
        database = RunDatabase.open_read_only(path)
    except UnusableDatabase as error:
        raise UsageError(str(error), exit_status=1) from error
    try:
        totals = database.model_totals().values()
    finally:
        database.close()
    return Progress(sum(each.unique for each in totals), sum(each.cost_usd for each in totals))


def _explore(
    command: ExploreCommand,
    settings: ExploreSettings,
    run: OpenedRun,
    selection: Selection,
    cap: BudgetCap,
    keys: Mapping[str, ApiKey],
) -> int:
    start = Start(
        without_keys=settings.simulated and not command.model_specs,
        budget_by_default=cap.by_default,
        progress=progress_of(run),
        moved_aside=run.moved_aside,
        notices=selection.notices,
        estimate=estimate_line(settings.models),
    )
    log_to_file(run.directory / LOG_FILE, settings.verbosity)
    explaining = settings.verbosity > 0
    with TerminalView(RUN_LINES, live=not settings.headless, explaining=explaining) as terminal:
        for line in announcement(settings, start, price_line):
            terminal.say(line)
        # Imported here: what can be refused is refused before it.
        from mesh.nodes.supervising import supervisor

        return supervisor.explore(settings, run.identity.run_id, keys, terminal)


def log_to_file(path: Path, verbosity: int) -> None:
    """Keep the log of this process off the terminal; the file is made by its first line."""
    logging.basicConfig(
        level={0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        handlers=[logging.FileHandler(path, encoding="utf-8", delay=True)],
    )


def limit_notices(peers: int) -> list[str]:
    """What to say of so many producers on this machine.

    Raises:
        UsageError: they may not open as many files as they need.
    """
    trouble = raise_descriptor_limit(peers + 1)
    if trouble is not None:
        raise UsageError(trouble, exit_status=1)
    warning = peers_warning(peers)
    return [warning] if warning else []


def _cap(command: ExploreCommand, models: Sequence[ModelSpec]) -> BudgetCap:
    cap = budget_cap(
        models,
        command.budget_usd,
        is_priced=is_priced,
        max_cost_per_item_usd=command.max_cost_per_item_usd,
    )
    if isinstance(cap, BudgetRefusal):
        raise UsageError(cap.message)
    return cap


def _check_embedder(command: ExploreCommand) -> None:
    if not command.semantic:
        return
    try:
        check_embedder(command.embedder)
    except EmbedderUnavailable as error:
        raise UsageError(str(error)) from error


def _check_exclude(path: Path | None) -> None:
    """The collector reads it; that it can is better known before anything starts."""
    try:
        if path is not None:
            path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"--exclude {path} is not UTF-8 text") from error
    except OSError as error:
        raise UsageError(f"cannot read --exclude {path}: {error.strerror or error}") from error


def _opened(settings: ExploreSettings) -> OpenedRun:
    try:
        return open_run(
            settings.run_dir,
            topic=settings.topic,
            simulated=settings.simulated,
            new=settings.new,
            now_ms=time.time_ns() // 1_000_000,
        )
    except RunDirectoryRefused as error:
        raise UsageError(str(error), exit_status=error.exit_status) from error


def _no_topic() -> str:
    return f'no topic: say what to explore, such as {program_name(sys.argv[0])} "{DEFAULT_TOPIC}"'
