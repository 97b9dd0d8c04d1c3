"""The words of the command line, over those of a config file -> a command.

Decides which command is meant and whether its options go together. Whether files exist, which
models there are and what they cost is found out later, by the command's own module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mesh import __version__
from mesh.cli.commands import (
    COMMAND_NAMES,
    CheckCommand,
    Command,
    ExploreCommand,
    NetworkOptions,
    ProducerCommand,
    ReportCommand,
    ReviewCommand,
    SimulateCommand,
    UsageError,
    ViewCommand,
)
from mesh.cli.config_file import Config, config_from, read_config_file, with_endpoint_key
from mesh.cli.option_parser import OptionParser
from mesh.cli.options import (
    check_parser,
    collector_parser,
    explore_parser,
    producer_parser,
    simulate_parser,
)
from mesh.cli.past_run_options import report_parser, review_parser, view_parser

WORDS_MAX = 10_000
"""More words than that on one command line are refused."""


def parse(
    words: Sequence[str],
    *,
    program: str = "topicmesh",
    read_config: Callable[[Path], Mapping[str, Any]] = read_config_file,
) -> Command:
    """The command that `words` ask for.

    Args:
        words: of the command line, the program's name not among them.
        program: how the user calls it, for help.
        read_config: the table of a config file; raises UsageError.

    Raises:
        UsageError: wrong use; the message says what to do.
        SystemExit: help or version was asked for and has been printed.
    """
    if len(words) > WORDS_MAX:
        raise UsageError(f"{len(words)} words are too many: put a topic in quotes")
    name, rest = _command_name(words)
    if name == "producer":
        return ProducerCommand(**_with_network(producer_parser(program).given(rest)))
    if name == "simulate":
        return SimulateCommand(**_tuples(simulate_parser(program).given(rest)))
    if name == "check":
        return CheckCommand(**_tuples(check_parser(program).given(rest)))
    if name == "view":
        return ViewCommand(**view_parser(program).given(rest))
    if name == "report":
        return ReportCommand(**report_parser(program).given(rest))
    if name == "review":
        return ReviewCommand(**_pairs(_tuples(review_parser(program).given(rest))))
    if name == "collector":
        parser = collector_parser(program, __version__)
        return replace(_explore(parser, rest, program, read_config), peers=0)
    return _explore(explore_parser(program, __version__), rest, program, read_config)


def _command_name(words: Sequence[str]) -> tuple[str, list[str]]:
    """A first word equal to a command is the command."""
    if words and words[0] in COMMAND_NAMES:
        return words[0], list(words[1:])
    return "explore", list(words)


def _explore(
    parser: OptionParser,
    words: list[str],
    program: str,
    read_config: Callable[[Path], Mapping[str, Any]],
) -> ExploreCommand:
    given = parser.given(words)
    _take_topic(given, words, program)
    config = Config()
    path = given.pop("config", None)
    if path is not None:
        from_file, config = _config(path, parser, read_config)
        given = from_file | given
    command = ExploreCommand(**_with_network(given))
    specs = tuple(with_endpoint_key(spec, config.endpoints) for spec in command.model_specs)
    _check_together(command)
    return replace(command, model_specs=specs, prices=dict(config.prices))


def _take_topic(given: dict[str, Any], words: Sequence[str], program: str) -> None:
    """Move what stands without an option to `topic`."""
    topics = given.pop("words", [])
    if len(topics) > 1:
        raise UsageError(f'put a topic of several words in quotes: {program} "{" ".join(topics)}"')
    if topics and "topic" in given:
        raise UsageError(f"two topics: '{topics[0]}' and --topic '{given['topic']}'")
    if topics and topics[0] in COMMAND_NAMES and words[0] != topics[0]:
        raise UsageError(
            f"a command comes first: {program} {topics[0]} …; "
            f"to explore that topic write --topic {topics[0]}"
        )
    if topics:
        given["topic"] = topics[0]


def _config(
    path: Path, parser: OptionParser, read_config: Callable[[Path], Mapping[str, Any]]
) -> tuple[dict[str, Any], Config]:
    """What the file gives: by field, and as a whole."""
    table = read_config(path)
    try:
        config = config_from(table, parser.option_names())
        given = parser.given([word for _, words in config.words for word in words])
    except UsageError as error:
        raise UsageError(f"in {path}: {error}") from error
    given.pop("words", None)
    return given, config


def _check_together(command: ExploreCommand) -> None:
    if command.headless and command.keep_page:
        raise UsageError("--headless has no page to keep: leave out --keep-page")
    if command.semantic and not command.names:
        raise UsageError("--semantic compares names, --no-names does not: leave one of them out")
    if command.embedder and not command.semantic:
        raise UsageError("--embedder is for --semantic: give both, or neither")
    if command.headless and command.public_url:
        raise UsageError("--headless has no page to show at --public-url: leave one of them out")


def _tuples(given: dict[str, Any]) -> dict[str, Any]:
    """Repeated options as commands hold them."""
    return {key: tuple(each) if isinstance(each, list) else each for key, each in given.items()}


def _pairs(given: dict[str, Any]) -> dict[str, Any]:
    """Options that take two words, as commands hold them."""
    pairs = ("merges", "different")
    return {key: tuple(map(tuple, each)) if key in pairs else each for key, each in given.items()}


def _with_network(given: dict[str, Any]) -> dict[str, Any]:
    """The same, with the options about the network in one value."""
    names = {each.name for each in fields(NetworkOptions)}
    network = {name: value for name, value in given.items() if name in names}
    rest = {name: value for name, value in given.items() if name not in names}
    return _tuples(rest) | {"network": NetworkOptions(**network)}
