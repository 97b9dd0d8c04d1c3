"""The command line's words -> commands, and what is said before a run. No file, key or process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mesh.cli.announcement import Progress, Start, announcement
from mesh.cli.commands import (
    COMMAND_NAMES,
    CheckCommand,
    Command,
    ExploreCommand,
    NetworkOptions,
    ProducerCommand,
    SimulateCommand,
    UsageError,
    ViewCommand,
)
from mesh.cli.parsing import parse
from mesh.config import ExploreSettings, MeshSettings, ModelSpec, TokenPrices

GPT = ModelSpec("openai:gpt-4o-mini", "openai", "gpt-4o-mini", key_variable="OPENAI_API_KEY")
ATLAS = ModelSpec("simulated:atlas", "openai", "atlas", simulated=True, price_of="gpt-4o")


def parse_with(table: Mapping[str, Any], *words: str) -> Command:
    """Parse `words` with a config file that holds `table`."""
    return parse(["--config", "run.toml", *words], read_config=lambda _: table)


def refusal(*words: str) -> str:
    with pytest.raises(UsageError) as error:
        parse(words)
    assert error.value.exit_status == 2
    message = str(error.value)
    assert "\n" not in message
    return message


def config_refusal(table: Mapping[str, Any]) -> str:
    with pytest.raises(UsageError) as error:
        parse_with(table)
    return str(error.value)


# Which command is meant


def test_words_without_a_command_explore() -> None:
    assert parse(["Paris attractions", "--peers", "3"]) == ExploreCommand(
        topic="Paris attractions", peers=3
    )


def test_no_words_explore_a_topic_that_is_asked_for_later() -> None:
    assert parse([]) == ExploreCommand(topic=None)


def test_the_command_explore_may_be_said() -> None:
    assert parse(["explore", "Birds"]) == ExploreCommand(topic="Birds")


def test_a_first_word_equal_to_a_command_is_the_command() -> None:
    assert parse(["check"]) == CheckCommand()
    assert parse(["simulate"]) == SimulateCommand()
    assert parse(["view", "runs/birds"]) == ViewCommand(run_dir=Path("runs/birds"))


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_topic_explores_what_is_a_command_otherwise(name: str) -> None:
    assert parse(["--topic", name]) == ExploreCommand(topic=name)
    assert parse(["explore", name]) == ExploreCommand(topic=name)


def test_a_command_after_options_is_not_taken_for_a_topic() -> None:
    assert "a command comes first: topicmesh view" in refusal("--peers", "3", "view")


def test_a_topic_may_stand_before_or_after_options() -> None:
    assert parse(["--peers", "3", "Birds"]) == parse(["Birds", "--peers", "3"])


def test_a_topic_may_begin_with_a_dash_after_the_option_topic() -> None:
    assert parse(["--topic=-40 degrees"]) == ExploreCommand(topic="-40 degrees")


def test_several_words_without_quotes_are_refused_with_the_quoted_form() -> None:
    assert 'in quotes: topicmesh "Paris attractions"' in refusal("Paris", "attractions")
    assert "in quotes" in refusal("Paris", "--peers", "3", "attractions")


def test_two_topics_are_refused() -> None:
    assert "two topics" in refusal("Birds", "--topic", "Fish")


# What options become


def test_every_option_of_an_exploration_has_its_place() -> None:
    words = (
        "Birds --peers 7 --model simulated --model openai:gpt-4o-mini --target 300 "
        "--budget-usd 2.5 --time-limit 60 --output found.txt --exclude old.txt --run-dir here "
        "--new --host 10.0.0.2 --advertise-host my.host --mesh-ports 7000-7011 --alone-limit 60 "
        "--insecure --new-ticket --ticket-expires 12 --page-host 0.0.0.0 --port 0 "
        "--public-url https://a.example/m/ --keep-page --seed 4 --time-scale 10 "
        "--catalog a.txt --catalog b.txt --models m.toml -vv"
    )
    assert parse(words.split()) == ExploreCommand(
        topic="Birds",
        model_specs=("simulated", "openai:gpt-4o-mini"),
        peers=7,
        target=300,
        budget_usd=2.5,
        time_limit_s=60,
        output=Path("found.txt"),
        exclude=Path("old.txt"),
        run_dir=Path("here"),
        new=True,
        network=NetworkOptions(
            host="10.0.0.2",
            advertise_host="my.host",
            mesh_ports=(7000, 7011),
            alone_limit_s=60,
            insecure=True,
        ),
        new_ticket=True,
        ticket_expires_h=12,
        page_host="0.0.0.0",
        port=0,
        public_url="https://a.example/m",
        keep_page=True,
        seed=4,
        verbosity=2,
        time_scale=10,
        catalogs=(Path("a.txt"), Path("b.txt")),
        models_file=Path("m.toml"),
    )


def test_every_option_of_the_simulator_has_its_place() -> None:
    words = "simulate --host ::1 --port 8200 --time-scale 0.5 --seed 3 --catalog a --models m.toml"
    assert parse(words.split()) == SimulateCommand(
        host="::1",
        port=8200,
        time_scale=0.5,
        seed=3,
        catalogs=(Path("a"),),
        models_file=Path("m.toml"),
    )


def test_check_takes_models_and_view_a_place_for_the_page() -> None:
    assert parse(["check", "--model", "openai:x"]) == CheckCommand(model_specs=("openai:x",))
    words = "view d --port 9000 --page-host localhost --public-url http://proxy/mesh"
    assert parse(words.split()) == ViewCommand(
        run_dir=Path("d"), page_host="localhost", port=9000, public_url="http://proxy/mesh"
    )


def test_a_collector_is_a_run_without_producers_of_its_own() -> None:
    words = "collector Birds --host :: --target 300 --port 0"
    assert parse(words.split()) == ExploreCommand(
        topic="Birds", peers=0, network=NetworkOptions(host="::"), target=300, port=0
    )


def test_every_option_of_a_joining_machine_has_its_place() -> None:
    words = (
        "producer --join @ticket --peers 3 --model simulated:atlas --host 10.0.0.3 "
        "--mesh-ports 7000-7005 --run-dir here --catalog a --models m.toml -v"
    )
    assert parse(words.split()) == ProducerCommand(
        join="@ticket",
        peers=3,
        model_specs=("simulated:atlas",),
        network=NetworkOptions(host="10.0.0.3", mesh_ports=(7000, 7005)),
        run_dir=Path("here"),
        catalogs=(Path("a"),),
        models_file=Path("m.toml"),
        verbosity=1,
    )


def test_a_ticket_is_not_shown_with_its_command() -> None:
    assert "topicmesh2-secret" not in repr(parse(["producer", "--join", "topicmesh2-secret"]))


def test_a_budget_may_be_none_or_carry_its_sign() -> None:
    assert parse(["--budget-usd", "none"]) == ExploreCommand(budget_usd="none")
    assert parse(["--budget-usd", "$3"]) == ExploreCommand(budget_usd=3.0)


def test_a_topic_is_cleaned() -> None:
    assert parse(["  Paris \n attractions\u202e "]) == ExploreCommand(topic="Paris attractions")


def test_localhost_means_this_machine() -> None:
    network = NetworkOptions(host="127.0.0.1")
    assert parse(["--host", "localhost"]) == ExploreCommand(network=network)


# What is refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--peers 0", "--peers: '0' is no whole number from 1 to 250"),
        ("--peers 251", "--peers: '251' is no whole number from 1 to 250"),
        ("--peers five", "--peers: 'five' is no whole number from 1 to 250"),
        ("--peers 2.5", "--peers: '2.5' is no whole number from 1 to 250"),
        ("--target 0", "--target: '0' is no whole number"),
        ("--port 65536", "--port: '65536' is no whole number from 0 to 65535"),
        ("--port -1", "--port"),
        ("--seed 1_000", "--seed: '1_000' is no whole number"),
        ("--budget-usd free", "--budget-usd: 'free' is no amount of dollars"),
        ("--budget-usd 0", "--budget-usd: '0' is no amount of dollars above 0"),
        ("--budget-usd nan", "--budget-usd: 'nan' is no amount"),
        ("--max-cost-per-item 0", "--max-cost-per-item: '0' is no amount of dollars above 0"),
        ("--concurrency 0", "--concurrency: '0' is no whole number from 1 to 64"),
        ("--time-limit 0", "--time-limit: '0' is no number above 0"),
        ("--time-limit inf", "--time-limit: 'inf' is no number above 0"),
        ("--time-scale 1e9", "--time-scale: '1e9' is more than 10000"),
        ("--host my.host", "--host: 'my.host' is no address of this machine"),
        ("--advertise-host no_name!", "'no_name!' is neither an address nor a name"),
        ("--advertise-host 0.0.0.0", "--advertise-host: '0.0.0.0' leads other machines nowhere"),
        ("--mesh-ports 7000", "--mesh-ports: '7000' is no range of ports, such as 7000-7011"),
        ("--mesh-ports 7001-7000", "is no range of ports"),
        ("--mesh-ports 0-9", "is no range of ports"),
        ("--mesh-ports 7000-70000", "is no range of ports"),
        ("--alone-limit 0", "--alone-limit: '0' is no number above 0"),
        ("--ticket-expires 9000", "--ticket-expires: '9000' is more than 8784 hours"),
        ("collector --peers 3", "unknown option --peers"),
        ("producer Birds", "one word too many: 'Birds'"),
        ("producer --join=", "--join: it is empty: write @FILE, -, or the ticket"),
        ("producer --target 3", "unknown option --target"),
        ("--page-host no_name!", "--page-host: 'no_name!' is no address"),
        ("--public-url example.org", "--public-url: 'example.org' is no address"),
        ("--public-url ftp://example.org", "is no address: write https://host/path"),
        ("--headless --keep-page", "leave out --keep-page"),
        ("--headless --public-url https://a.example", "leave one of them out"),
        ("--output=", "--output: it is empty: write a path"),
        ("--peer 3", "unknown option --peer: did you mean --peers?"),
        ("--modle simulated", "unknown option --modle: did you mean --model?"),
        ("--frobnicate", "unknown option --frobnicate"),
        ("--peers", "--peers: expected one argument"),
        ("check --peers 3", "unknown option --peers"),
        ("simulate Birds", "one word too many: 'Birds'"),
        ("view", "RUN_DIR"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_option_and_the_value(
    words: str, message: str
) -> None:
    assert message in refusal(*words.split())


@pytest.mark.parametrize("topic", ["", "  ", "\n", "x" * 201, "é" * 400, "\x1b\x00"])
def test_what_is_no_topic_is_refused(topic: str) -> None:
    assert "TOPIC" in refusal(topic)


def test_a_topic_of_200_characters_is_the_longest() -> None:
    assert parse(["東" * 100]) == ExploreCommand(topic="東" * 100)
    assert parse(["x" * 200]) == ExploreCommand(topic="x" * 200)


def test_a_wrong_value_is_not_repeated_in_full_length_or_with_its_control_characters() -> None:
    message = refusal("--peers", "\x1b[31m" + "9" * 10_000)
    assert "\x1b" not in message
    assert len(message) < 200


def test_a_public_url_with_a_password_is_refused_without_repeating_it() -> None:
    assert "s3cret" not in refusal("--public-url", "https://me:s3cret@a.example/")


def test_an_option_is_not_found_by_its_beginning() -> None:
    """Else a new option could change what an old command line means."""
    assert "did you mean --time-limit?" in refusal("--time-limi", "3")


# The config file


def test_a_config_file_sets_options_by_their_names_with_dashes_or_underscores() -> None:
    table = {
        "topic": "Birds",
        "peers": 3,
        "model": ["simulated:atlas", "simulated:haiku"],
        "time-limit": 1.5,
        "budget_usd": "none",
        "headless": True,
        "catalog": "birds.txt",
        "verbose": 2,
    }
    assert parse_with(table) == ExploreCommand(
        topic="Birds",
        peers=3,
        model_specs=("simulated:atlas", "simulated:haiku"),
        time_limit_s=1.5,
        budget_usd="none",
        headless=True,
        catalogs=(Path("birds.txt"),),
        verbosity=2,
    )


def test_the_command_line_wins_over_the_config_file() -> None:
    table = {"topic": "Birds", "peers": 3, "model": ["simulated:atlas"], "headless": True}
    words = ("Fish", "--peers", "4", "--model", "openai:x", "--no-headless")
    assert parse_with(table, *words) == ExploreCommand(
        topic="Fish", peers=4, model_specs=("openai:x",), headless=False
    )


def test_a_flag_may_be_false_in_a_config_file() -> None:
    assert parse_with({"headless": False, "verbose": False}) == ExploreCommand()


def test_a_config_file_reads_text_that_begins_with_a_dash() -> None:
    assert parse_with({"topic": "-40 degrees"}) == ExploreCommand(topic="-40 degrees")


def test_endpoints_name_the_key_of_a_server() -> None:
    table = {
        "model": ["llama@https://llm.example/v1", "other@http://127.0.0.1:1/v1"],
        "endpoints": {"https://llm.example/v1/": "LAB_KEY"},
    }
    command = parse_with(table)
    assert isinstance(command, ExploreCommand)
    assert command.model_specs == (
        "llama@https://llm.example/v1,key=LAB_KEY",
        "other@http://127.0.0.1:1/v1",
    )


def test_endpoints_hold_for_models_of_the_command_line_too() -> None:
    table = {"endpoints": {"https://llm.example/v1": "LAB_KEY"}}
    command = parse_with(table, "--model", "llama@https://llm.example/v1")
    assert isinstance(command, ExploreCommand)
    assert command.model_specs == ("llama@https://llm.example/v1,key=LAB_KEY",)


def test_prices_of_a_model_are_taken_from_the_config_file() -> None:
    table = {
        "prices": {
            "openai:x": {"input": 0.15, "cached_input": 0.075, "output": 1},
            "a@https://llm.example/v1": {"input": 0, "cache_write": 0.2, "output": 0.6},
        }
    }
    command = parse_with(table)
    assert isinstance(command, ExploreCommand)
    assert command.prices == {
        "openai:x": TokenPrices(input=0.15, cached_input=0.075, output=1),
        "a@https://llm.example/v1": TokenPrices(input=0, cache_write=0.2, output=0.6),
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"peer": 3}, "in run.toml: unknown key 'peer': did you mean peers?"),
        ({"budget": 3}, "did you mean budget-usd?"),
        ({"zzz": 3}, "unknown key 'zzz': it may hold advertise-host, "),
        ({"config": "other.toml"}, "unknown key 'config'"),
        ({"help": True}, "unknown key 'help'"),
        ({"no-headless": True}, "did you mean headless?"),
        ({"peers": 0}, "in run.toml: --peers: '0' is no whole number"),
        ({"peers": True}, "peers takes a text or a number"),
        ({"peers": {"count": 3}}, "peers takes a text or a number"),
        ({"headless": "yes"}, "headless takes true or false"),
        ({"verbose": 99}, "verbose takes"),
        ({"endpoints": ["x"]}, "endpoints is a table"),
        ({"endpoints": {"https://x": 1}}, "takes the name of a variable"),
        ({"headless": True, "keep-page": True}, "leave out --keep-page"),
        ({"prices": 0.15}, "prices is a table"),
        ({"prices": {"openai:x": 0.15}}, '[prices."openai:x"] is a table of input, output,'),
        ({"prices": {"openai:x": {"input": 0.15}}}, '[prices."openai:x"] lacks output'),
        ({"prices": {"openai:x": {"in": 1}}}, "may hold input, output, cached_input, cache_write,"),
        ({"prices": {"openai:x": {"input": -1, "output": 1}}}, "input takes dollars for a million"),
        ({"prices": {"openai:x": {"input": "1", "output": 1}}}, "input takes dollars"),
        ({"prices": {"openai:x": {"input": float("nan"), "output": 1}}}, "input takes dollars"),
        ({"concurrency": 65}, "--concurrency: '65' is no whole number from 1 to 64"),
    ],
)
def test_a_wrong_config_file_is_refused_with_what_is_wrong(
    table: Mapping[str, Any], message: str
) -> None:
    assert message in config_refusal(table)


# Help


@pytest.mark.parametrize(
    "command", [[], ["collector"], ["producer"], ["simulate"], ["check"], ["view"]]
)
def test_help_shows_how_the_program_is_called_and_an_example(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse([*command, "--help"], program="python run_mesh.py")
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert " ".join(["usage: python run_mesh.py", *command]) in text
    assert "example" in text


def test_help_names_the_true_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    defaults = ExploreCommand()
    assert f"default {defaults.peers} " in text
    assert f"default {defaults.output} " in text
    assert f"default {defaults.port}, 0: any free one" in text


# What is said before the first call


def settings(*models: ModelSpec, **changes: Any) -> ExploreSettings:
    values: dict[str, Any] = {
        "topic": "Birds",
        "run_dir": Path("runs/birds-1"),
        "output": Path("output.txt"),
        "models": models or (GPT,),
        "budget_usd": 1.0,
    }
    return ExploreSettings(**(values | changes))


def said(run: ExploreSettings, **start: Any) -> str:
    return "\n".join(announcement(run, Start(**start), lambda _: "$0.15 in / $0.60 out"))


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://llm.example/v1", "; prompts and key go UNENCRYPTED to llm.example"),
        ("https://llm.example/v1", "; prompts and key go to llm.example"),
        ("https://api.openai.com/v1", ""),
        ("http://127.0.0.1:8000/v1", ""),
    ],
)
def test_a_server_that_is_not_the_providers_own_is_named_before_the_first_call(
    url: str, where: str
) -> None:
    model = ModelSpec("openai:gpt-4o-mini", "openai", "gpt-4o-mini", base_url=url)
    (line,) = [line for line in said(settings(models=(model,))).splitlines() if "gpt-4o" in line]
    assert line.endswith(where) if where else "prompts and key" not in line


def test_before_the_first_call_topic_models_prices_cap_and_directory_are_said() -> None:
    text = said(settings(target=300, time_limit_s=60), budget_by_default=True)
    assert text.splitlines() == [
        "topic: Birds",
        "5 producers, models in turn:",
        "  openai:gpt-4o-mini  $0.15 in / $0.60 out",
        "stops at 300 entries, or at $1.00 (--budget-usd changes it), or after 60 s, "
        "or when nothing new is found; Ctrl-C stops",
        "entries: output.txt, all else: runs/birds-1 (new run)",
    ]


def test_what_entries_may_cost_is_said() -> None:
    text = said(settings(max_cost_per_item_usd=0.002), estimate="about $0.02 for each 100 entries")
    assert "about $0.02 for each 100 entries\n" in text
    assert "or when a new entry costs more than $0.002, or when nothing new is found" in text


def test_a_missing_cap_is_said() -> None:
    assert "no cap on cost; stops when nothing new is found" in said(settings(budget_usd=None))


def test_models_that_nobody_bills_for_need_no_cap() -> None:
    url = "http://192.168.1.7:8000/v1"
    text = said(settings(ModelSpec(f"llama@{url}", "openai", "llama", url), budget_usd=None))
    assert f"llama@{url}  a server of your own, no price" in text
    assert "no cap" not in text
    assert "no cap" not in said(settings(ATLAS, budget_usd=None))


def test_simulated_is_said_plainly_and_how_to_use_real_models() -> None:
    text = said(settings(ATLAS), without_keys=True)
    assert "SIMULATED models (no key found: set OPENAI_API_KEY or ANTHROPIC_API_KEY" in text
    assert "$0.15 in / $0.60 out (play money, as gpt-4o)" in text
    assert "at $1.00 of play money" in text


def test_simulated_is_said_also_where_it_was_asked_for() -> None:
    assert "SIMULATED models (no real LLM is asked)" in said(settings(ATLAS))


def test_a_run_with_one_real_model_is_not_called_simulated() -> None:
    assert "SIMULATED" not in said(settings(ATLAS, GPT))


def test_a_continued_run_says_how_far_it_is() -> None:
    text = said(settings(), progress=Progress(300, 0.12))
    assert "continuing: 300 entries, $0.12 so far; --new starts afresh" in text
    assert "(new run)" not in text


def test_a_target_or_budget_that_is_met_already_is_said_with_how_to_raise_it() -> None:
    text = said(settings(target=300), progress=Progress(312, 1.02))
    assert "the target of 300 is met already: raise it, for example --target 624" in text
    assert "the budget of $1.00 is spent already: raise it, for example --budget-usd 2.02" in text
    assert "already" not in said(settings(target=313), progress=Progress(312, 0.99))


def test_an_earlier_run_that_was_moved_aside_is_said() -> None:
    text = said(settings(), moved_aside=Path("runs/birds-1-2026-11-21-120000"))
    assert "the earlier run is kept in runs/birds-1-2026-11-21-120000" in text


def test_a_run_without_producers_of_its_own_says_so() -> None:
    text = said(settings(peers=0))
    assert "no producers here" in text
    assert "only this machine reaches 127.0.0.1: for producers of others give --host" in text
    network = MeshSettings(host="10.0.0.2", encrypted=True)
    assert "only this machine" not in said(settings(peers=0, mesh=network))
    assert "only this machine" not in said(settings())


def test_a_page_open_to_others_is_said() -> None:
    assert "the page on 0.0.0.0 opens to whoever has" in said(settings(page_host="0.0.0.0"))
    assert "the page on" not in said(settings(page_host="0.0.0.0", headless=True))
    assert "the page on" not in said(settings())


def test_who_wants_more_is_told_where_the_log_files_are() -> None:
    text = said(settings(verbosity=1, run_dir=Path("runs/birds")))
    files = "log files: runs/birds/nodes/*/messages.log, runs/birds/supervisor.log"
    assert f"{files}; -vv logs more" in text
    assert said(settings(verbosity=2, run_dir=Path("runs/birds"))).count(files) == 1
    assert "-vv" not in said(settings(verbosity=2))
    assert "log files" not in said(settings())
