"""The command line with real files, directories and processes; no run is started."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.request
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import run_mesh
from mesh.cli import main
from mesh.cli.announcement import Progress
from mesh.cli.commands import ExploreCommand, UsageError
from mesh.cli.config_file import CONFIG_BYTES_MAX, read_config_file
from mesh.cli.environment import load_environment
from mesh.cli.explore import asked_topic, progress_of, topic_unasked
from mesh.cli.models import choose_models, keys_of
from mesh.cli.offline import usual_topic
from mesh.cli.parsing import parse
from mesh.cli.ticket_source import read_ticket
from mesh.config import DEFAULT_TOPIC, ModelSpec
from mesh.core.items import NodeId
from mesh.core.membership import Endpoint
from mesh.core.metrics import ModelCounts
from mesh.storage.database import Batch, RunDatabase
from mesh.storage.run_directory import DATABASE_FILE, open_run
from mesh.wire.signing import SigningKey
from mesh.wire.tickets import JoinTicket
from tests.patience import PATIENCE_S

CHECKOUT = Path(run_mesh.__file__).parent
GPT = ModelSpec("openai:gpt-4o-mini", "openai", "gpt-4o-mini", key_variable="OPENAI_API_KEY")
ATLAS = ModelSpec("simulated:atlas", "openai", "atlas", simulated=True, price_of="gpt-4o")
KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in a directory of their own, with no key in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def birds(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`--catalog` with a small topic `Birds` for simulated models."""
    path = tmp_path_factory.mktemp("catalogs") / "Birds.txt"
    path.write_text("Heron\nKingfisher\n")
    return f"--catalog={path}"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def refused(capsys: pytest.CaptureFixture[str], *words: str, status: int = 2) -> str:
    """What `main` says on standard error when it refuses `words`."""
    assert main(words) == status
    return capsys.readouterr().err


# Environment


def test_a_dotenv_file_adds_variables_that_the_environment_lacks(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\nANTHROPIC_API_KEY=other\nBARE\n")
    environment = load_environment(tmp_path, {"ANTHROPIC_API_KEY": "mine"})
    assert environment == {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": "mine"}


def test_an_empty_variable_hides_the_one_of_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    assert load_environment(tmp_path, {"OPENAI_API_KEY": ""}) == {"OPENAI_API_KEY": ""}


def test_a_key_is_taken_as_it_stands(tmp_path: Path) -> None:
    """A dollar sign in it is no reference to another variable."""
    (tmp_path / ".env").write_text("OPENAI_API_KEY='sk-${HOME}$x'\n")
    assert load_environment(tmp_path, {"HOME": "/root"})["OPENAI_API_KEY"] == "sk-${HOME}$x"


def test_what_a_dotenv_file_holds_stays_out_of_the_process_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    code = (
        "import os; from pathlib import Path; from mesh.cli.environment import load_environment; "
        "assert load_environment(Path())['OPENAI_API_KEY']; print('OPENAI_API_KEY' in os.environ)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={"PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.stdout == "False\n", result.stderr


def test_a_dotenv_file_that_is_no_text_is_refused_without_its_content(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"OPENAI_API_KEY=sk-secret\xff\xfe\n")
    with pytest.raises(UsageError, match="not UTF-8") as refusal:
        load_environment(tmp_path, {})
    assert "secret" not in str(refusal.value)


# Config file


def test_a_config_file_is_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / "birds.toml").write_text('topic = "Birds"\npeers = 3\n')
    assert parse(["--config", "birds.toml"]) == ExploreCommand(topic="Birds", peers=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"topic = ", "is no TOML"),
        (b"\xff", "is not UTF-8"),
        (b"#" * (CONFIG_BYTES_MAX + 1), "is longer than"),
    ],
)
def test_an_unreadable_config_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_config_file(tmp_path / "bad.toml")


def test_a_missing_config_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot read --config none.toml: No such file" in refused(
        capsys, "--config", "none.toml"
    )


# Topic


def test_on_a_terminal_the_topic_is_asked_for() -> None:
    questions = Terminal()
    assert asked_topic(Terminal("Birds \n"), questions, "Fish") == "Birds"
    assert "(Enter: Fish)" in questions.getvalue()


def test_enter_takes_the_default_topic() -> None:
    assert asked_topic(Terminal("\n"), Terminal(), "Fish") == "Fish"


def test_nobody_is_asked_where_there_is_no_terminal() -> None:
    questions = io.StringIO()
    assert asked_topic(Terminal("Birds\n"), questions, "Fish") is None
    assert asked_topic(io.StringIO("Birds\n"), Terminal(), "Fish") is None
    assert questions.getvalue() == ""


def test_a_terminal_that_is_closed_instead_of_an_answer_is_no_topic() -> None:
    with pytest.raises(UsageError, match="no topic"):
        asked_topic(Terminal(""), Terminal(), "Fish")


def test_an_answer_that_is_no_topic_is_refused() -> None:
    with pytest.raises(UsageError, match="is no topic"):
        asked_topic(Terminal("x" * 201 + "\n"), Terminal(), "Fish")


def test_only_simulated_models_explore_the_default_topic_unasked() -> None:
    assert topic_unasked([ATLAS], "Fish") == "Fish"
    with pytest.raises(UsageError, match="no topic: say what to explore"):
        topic_unasked([ATLAS, GPT], "Fish")


def test_a_catalog_of_ones_own_is_the_usual_topic(tmp_path: Path) -> None:
    (tmp_path / "river_birds.txt").write_text("Heron\nKingfisher\n")
    assert usual_topic([tmp_path / "river_birds.txt"]) == "river birds"
    assert usual_topic([]) == DEFAULT_TOPIC


# The program


def test_a_refusal_is_one_line_and_a_hint_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = refused(capsys, "--peers", "0")
    assert re.fullmatch(r"error: --peers: '0' is no .*\nsee \S.* --help\n", text)


def test_a_wrong_provider_is_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = refused(capsys, "Birds", "--model", "opnai:gpt-4o")
    assert "did you mean openai:gpt-4o?" in text
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_its_key_is_refused_with_the_variable_to_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "set OPENAI_API_KEY" in refused(capsys, "Birds", "--model", "openai:gpt-4o-mini")


def test_real_models_without_a_topic_and_a_terminal_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    text = refused(capsys, "--model", "openai:gpt-4o-mini")
    assert "no topic" in text
    assert KEY not in text


def test_options_of_simulated_models_are_refused_with_real_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    text = refused(capsys, "Birds", "--model", "openai:gpt-4o-mini", "--time-scale", "2")
    assert "--time-scale is for simulated models" in text


def test_a_public_host_without_known_prices_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, "Birds", "--model", "odd@https://llm.example/v1")
    assert "--budget-usd none" in text


def test_an_unreadable_list_to_exclude_is_refused(
    capsys: pytest.CaptureFixture[str], birds: str
) -> None:
    text = refused(capsys, "Birds", birds, "--exclude", "none.txt", "--model", "simulated")
    assert "cannot read --exclude none.txt: No such file" in text
    (Path.cwd() / "bytes.txt").write_bytes(b"\xff\xfe")
    text = refused(capsys, "Birds", birds, "--exclude", "bytes.txt", "--model", "simulated")
    assert "--exclude bytes.txt is not UTF-8 text" in text


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--catalog=none.txt", "--catalog: cannot read catalog none.txt"),
        ("--catalog=empty.txt", "--catalog: catalog empty.txt holds no entry"),
        ("--models=none.toml", "--models: cannot read models file none.toml"),
        ("--models=empty.txt", "--models: models file empty.txt holds no [models.NAME]"),
    ],
)
def test_files_for_simulated_models_that_cannot_be_used_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str, message: str
) -> None:
    (tmp_path / "empty.txt").write_text("")
    assert message in refused(capsys, "empty", "--model", "simulated", option)


def test_an_unknown_topic_offline_is_refused_with_the_topics_there_are(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, birds: str
) -> None:
    text = refused(capsys, "Brands of chalk", birds, "--model", "simulated")
    assert "do not know 'Brands of chalk', only 'Birds'" in text
    assert f"'{DEFAULT_TOPIC}'" in text
    assert "OPENAI_API_KEY" in text
    assert "--catalog" in text
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_goes_on_is_refused_with_its_process(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, birds: str
) -> None:
    run = open_run(tmp_path / "r", topic="Birds", simulated=True, new=False, now_ms=1)
    try:
        words = ("Birds", birds, "--model", "simulated", "--run-dir", "r")
        text = refused(capsys, *words, status=1)
    finally:
        run.close()
    assert f"already going on in process {os.getpid()}" in text


@pytest.mark.parametrize(("topic", "simulated"), [("Fish", True), ("Birds", False)])
def test_another_topic_or_kind_of_models_in_the_run_directory_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, birds: str, topic: str, simulated: bool
) -> None:
    open_run(tmp_path / "r", topic=topic, simulated=simulated, new=False, now_ms=1).close()
    text = refused(capsys, "Birds", birds, "--model", "simulated", "--run-dir", "r")
    assert "start afresh with --new" in text


def test_a_directory_of_others_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, birds: str
) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "thesis.tex").write_text("mine")
    text = refused(capsys, "Birds", birds, "--model", "simulated", "--run-dir", "r")
    assert "thesis.tex" in text


def test_viewing_what_is_no_run_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "holds no run" in refused(capsys, "view", "nowhere")
    open_run(tmp_path / "r", topic="Birds", simulated=True, new=False, now_ms=1).close()
    assert "no results yet" in refused(capsys, "view", "r")


def test_a_continued_run_says_how_far_it_has_come(tmp_path: Path) -> None:
    new = open_run(tmp_path, topic="Birds", simulated=True, new=False, now_ms=1)
    assert progress_of(new) is None
    new.close()
    database = RunDatabase.open(tmp_path / DATABASE_FILE)
    totals = {
        "a": ModelCounts(unique=200, cost_usd=0.1),
        "b": ModelCounts(unique=100, cost_usd=0.02),
    }
    database.commit(Batch(model_totals=totals))
    database.close()
    again = open_run(tmp_path, topic="Birds", simulated=True, new=False, now_ms=2)
    again.close()
    progress = progress_of(again)
    assert progress is not None
    assert progress.unique_total == 300
    assert progress.cost_usd == pytest.approx(0.12)


def test_a_run_that_was_stopped_before_its_database_was_made_has_come_nowhere(
    tmp_path: Path,
) -> None:
    open_run(tmp_path, topic="Birds", simulated=True, new=False, now_ms=1).close()
    again = open_run(tmp_path, topic="Birds", simulated=True, new=False, now_ms=2)
    again.close()
    assert progress_of(again) == Progress(0, 0.0)


def test_the_keys_of_a_run_are_those_that_its_models_name() -> None:
    environment = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": "other"}
    keys = keys_of([GPT, ATLAS], environment)
    assert {name: key.value for name, key in keys.items()} == {"OPENAI_API_KEY": KEY}
    assert KEY not in repr(keys)
    with pytest.raises(UsageError, match="OPENAI_API_KEY is not set"):
        keys_of([GPT], {})


# Join tickets

TICKET = JoinTicket(
    b"r" * 16,
    NodeId(b"c" * 16),
    b"t" * 8,
    SigningKey(b"s" * 32),
    2**40,
    (Endpoint("tcp://10.0.0.1:7001"),),
)


def test_a_ticket_is_read_from_a_file_standard_input_the_environment_or_the_command_line(
    tmp_path: Path,
) -> None:
    text = TICKET.text()
    (tmp_path / "ticket").write_text(f"{text[:40]}\n{text[40:]}\n")
    for join, environment, standard_input in (
        ("@ticket", {}, ""),
        ("-", {}, f"{text[:40]}\n {text[40:]}\n"),
        (None, {"TOPICMESH_TICKET": text}, ""),
    ):
        ticket, _, notices = read_ticket(join, environment, io.StringIO(standard_input))
        assert ticket == TICKET
        assert notices == []
    ticket, _, notices = read_ticket(text, {}, io.StringIO())
    assert ticket == TICKET
    assert "every user of this machine can see it" in notices[0]


def test_a_ticket_that_a_person_types_is_one_line() -> None:
    answers = Terminal(f"{TICKET.text()}\nwhat follows is not read")
    assert read_ticket("-", {}, answers)[0] == TICKET


def test_without_a_ticket_the_ways_to_give_one_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOPICMESH_TICKET", raising=False)
    text = refused(capsys, "producer")
    assert "--join @FILE, --join -, or in the variable TOPICMESH_TICKET" in text
    assert "RUN_DIR/join-ticket" in text


def test_a_ticket_that_cannot_be_read_is_refused_without_being_repeated(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "cannot read --join @none: No such file" in refused(
        capsys, "producer", "--join", "@none"
    )
    (tmp_path / "image").write_bytes(b"\x89PNG")
    assert "is no join ticket" in refused(capsys, "producer", "--join", "@image")
    text = refused(capsys, "producer", "--join", TICKET.text()[:-5])
    assert "the join ticket is damaged: copy the whole of it" in text
    assert TICKET.text()[20:40] not in text


def test_a_file_named_without_its_sign_is_explained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "ticket").write_text(TICKET.text())
    assert "write --join @ticket" in refused(capsys, "producer", "--join", "ticket")


def test_all_addresses_without_enough_ports_are_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, birds: str
) -> None:
    words = ("Birds", birds, "--model", "simulated", "--peers", "3", "--mesh-ports", "7000-7003")
    assert "4 nodes on this machine need 8: write, for example, 7000-7007" in refused(
        capsys, *words
    )
    assert list(tmp_path.iterdir()) == []


def test_a_collector_needs_no_keys_for_the_models_that_others_ask() -> None:
    models = choose_models(("openai:gpt-4o-mini",), {}, None, keys_needed=False).models
    assert [(model.spec, model.key_variable) for model in models] == [("openai:gpt-4o-mini", None)]
    with pytest.raises(UsageError, match="set OPENAI_API_KEY"):
        choose_models(("openai:gpt-4o-mini",), {}, None)


# Simulated models alone, and the check


def test_the_simulator_serves_until_it_is_stopped(tmp_path: Path, birds: str) -> None:
    words = [sys.executable, str(CHECKOUT / "run_mesh.py"), "simulate", "--port", "0", birds]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as simulator:
        try:
            assert simulator.stdout is not None
            address = simulator.stdout.readline().split()[-1]
            with urllib.request.urlopen(f"{address}/v1/models", timeout=PATIENCE_S) as answer:
                assert "atlas" in {each["id"] for each in json.load(answer)["data"]}
            simulator.send_signal(signal.SIGINT)
            assert simulator.wait(timeout=PATIENCE_S) == 0
        finally:
            simulator.kill()


def test_the_simulator_says_when_its_port_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = refused(capsys, "simulate", "--port", str(port), status=1)
    assert str(port) in text
    assert "--port" in text


def test_check_reports_on_each_model_and_fails_when_one_cannot_be_used(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "--model", "simulated:atlas"]) == 0
    report = capsys.readouterr().out
    assert "simulated:atlas: ok" in report
    assert "price: $" in report
    assert main(["check", "--model", "simulated:atlas", "--model", "simulated:penniless"]) == 1
    assert "simulated:penniless: not usable: no credit" in capsys.readouterr().out


def test_check_without_a_key_says_so_and_checks_simulated_models(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check"]) == 0
    assert "no key found: set OPENAI_API_KEY" in capsys.readouterr().out


# run_mesh.py


def test_run_mesh_knows_every_package_that_the_project_needs() -> None:
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["dependencies"]
    needed = {re.split(r"[<>=\[ ;]", each)[0].lower() for each in declared}
    providers = packages_distributions()
    checked = {providers[name][0].lower() for name in run_mesh.PACKAGES_NEEDED}
    assert checked == needed


def test_run_mesh_without_its_packages_says_the_command_that_installs_them() -> None:
    # -S and -I: no site-packages, which is a fresh machine.
    result = subprocess.run(
        [sys.executable, "-S", "-I", str(CHECKOUT / "run_mesh.py"), "--help"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.endswith("environment with: python -m pip install -e .\n")


def test_run_mesh_is_the_command_line_from_any_directory(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(CHECKOUT / "run_mesh.py"), "--peers", "0"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 2
    assert "see python run_mesh.py --help" in result.stderr


def test_parsing_imports_neither_sdk_nor_server_nor_sockets() -> None:
    """Or every `--help` and every refusal would take seconds."""
    code = (
        "import sys; from mesh.cli import main; main(['--peers', '0']); "
        "print(sorted({'openai', 'anthropic', 'aiohttp', 'zmq', 'rich'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.stdout == "[]\n", result.stderr
