"""`run_mesh.py` as a user starts it: what ends it, what it leaves, what it refuses."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from mesh.core.entries import CallFinished
from mesh.nodes.supervising.keeping import STATUS_INTERRUPTED_TWICE
from tests.e2e.running import (
    Run,
    assert_nothing_lost_or_doubled,
    copy_of,
    eventually,
    node_logs,
    node_process,
    start_run,
)

PARIS = "Paris attractions"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has ended by itself, for tests to look at."""
    directory = tmp_path_factory.mktemp("finished")
    run = start_run(directory, PARIS, "--peers", "5", "--target", "200", usual_models=True)
    assert run.wait() == 0
    return run


@pytest.fixture
def earlier(finished: Run, tmp_path: Path) -> Run:
    """The same in a directory of the test's own, to be continued there."""
    return copy_of(finished, tmp_path)


def test_a_run_ends_by_itself_at_its_target(finished: Run) -> None:
    assert len(finished.lines()) >= 200
    assert_nothing_lost_or_doubled(finished)
    assert "simulated" in finished.said.lower()
    assert "target of 200 entries reached" in finished.said
    assert finished.children() == []


def test_every_generated_entry_is_unique_duplicate_or_rejected(finished: Run) -> None:
    (unique,) = finished.query('SELECT sum("unique") FROM model_totals')[0]
    assert unique == len(finished.lines())
    calls, ended = finished.query("SELECT count(*), count(outcome) FROM calls")[0]
    assert calls == ended > 0


def test_files_of_a_run_are_readable_by_their_owner_alone(finished: Run) -> None:
    for path in finished.run_dir.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert finished.run_dir.stat().st_mode & 0o077 == 0


def test_a_run_stops_at_its_budget(tmp_path: Path) -> None:
    cheap = ("--model", "simulated:swift")
    run = start_run(tmp_path, PARIS, "--peers", "2", *cheap, "--budget-usd", "0.006")
    assert run.wait() == 0
    assert "budget of $0.006 spent but for $0.00" in run.said
    (cost,) = run.query("SELECT sum(cost_usd) FROM calls")[0]
    assert 0.002 < cost <= 0.006


def test_a_budget_that_pays_for_no_call_says_so(tmp_path: Path) -> None:
    dear = ("--model", "simulated:atlas")
    run = start_run(tmp_path, PARIS, "--peers", "2", *dear, "--budget-usd", "0.0001")
    assert run.wait() == 0
    assert "budget of $0.0001 pays for no call: one may cost $0.0" in run.said
    assert run.query("SELECT count(*) FROM calls") == [(0,)]


def test_a_run_stops_at_its_time_limit(tmp_path: Path) -> None:
    run = start_run(tmp_path, PARIS, "--peers", "1", "--time-limit", "2")
    assert run.wait() == 0
    assert "time limit of 2 s reached" in run.said


def test_a_run_ends_when_nothing_is_left_to_find(tmp_path: Path) -> None:
    catalog = tmp_path / "Small things.txt"
    catalog.write_text(
        "".join(f"Small thing {word}\n" for word in ["ant", "bee", "cat", "dog", "elk"])
    )
    run = start_run(
        tmp_path, "Small things", "--catalog", str(catalog), "--peers", "2", time_scale=50
    )
    assert run.wait() == 0
    assert "exhausted" in run.said


ENTRIES_OF_CALLS = (
    "FROM calls LEFT JOIN items ON items.origin = calls.origin AND items.epoch = calls.epoch "
    "AND items.call = calls.seq"
)
HALF_ANSWERED = (
    f"SELECT count(items.ordinal) AS found {ENTRIES_OF_CALLS} WHERE outcome IS NULL "
    "AND asked_count > 30 GROUP BY calls.origin, calls.epoch, calls.seq "
    "HAVING found BETWEEN 1 AND 9"
)
"""Calls that will go on for a while."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_group_ends_the_run_with_everything_kept(
    tmp_path: Path, number: signal.Signals
) -> None:
    run = start_run(tmp_path, PARIS, "--peers", "3", time_scale=0.5)
    eventually(run.lines, "entries")
    eventually(lambda: run.query(HALF_ANSWERED), "an answer that has begun")
    run.signal_group(number)
    assert run.wait() == 0
    assert run.children() == []
    assert_nothing_lost_or_doubled(run)
    assert_cut_calls_keep_their_lines_and_their_estimated_cost(run)


def assert_cut_calls_keep_their_lines_and_their_estimated_cost(run: Run) -> None:
    cut = run.query(
        "SELECT count(items.ordinal), input_tokens, output_tokens, estimated, cost_usd "
        f"{ENTRIES_OF_CALLS} WHERE outcome = 'cancelled' GROUP BY calls.origin"
    )
    assert cut
    assert sum(row[0] for row in cut) > 0
    for _, input_tokens, output_tokens, estimated, cost_usd in cut:
        assert input_tokens > 0
        assert output_tokens >= 0
        assert estimated == 1
        assert cost_usd > 0
    assert run.query("SELECT count(*) FROM calls WHERE outcome IS NULL") == [(0,)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_same_signal_sent_again_and_again_still_keeps_everything(
    tmp_path: Path, number: signal.Signals
) -> None:
    """`timeout` and closing terminals send theirs twice; only Ctrl-C is a person in a hurry."""
    run = start_run(tmp_path, PARIS, "--peers", "3", time_scale=2)
    eventually(lambda: len(run.lines()) > 20, "entries")

    collector = node_process(run, "collector")
    collector.suspend()  # The end takes until it goes on.
    run.signal_group(number)
    eventually(lambda: "cancelled" in _outcomes(run), "the first signal to be heard")
    run.signal_group(number)
    collector.resume()
    assert run.wait() == 0
    assert_nothing_lost_or_doubled(run)


def _outcomes(run: Run) -> set[str]:
    logs = node_logs(run, "producer-*").values()
    return {entry.outcome for log in logs for entry in log if isinstance(entry, CallFinished)}


def test_ctrl_c_before_anything_runs_ends_it_too(tmp_path: Path) -> None:
    run = start_run(tmp_path, PARIS, "--peers", "3")
    eventually(run.children, "the first child")
    run.signal_group()
    assert run.wait() == 0
    eventually(lambda: run.children() == [], "no process left")


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    run = start_run(tmp_path, PARIS, "--peers", "3", "-v", time_scale=1)
    eventually(lambda: len(run.lines()) > 5, "entries")
    for child in run.children("mesh.nodes.child"):
        child.suspend()  # The collector cannot take leave: the first Ctrl-C would take long.
    run.signal_group()
    run.await_said("the end begins: stopped by Ctrl-C")
    run.signal_group()
    assert run.wait() == STATUS_INTERRUPTED_TWICE
    eventually(lambda: run.children() == [], "no process left")


def test_the_same_command_continues_the_run(earlier: Run) -> None:
    found = earlier.lines()
    target = len(found) + 60
    second = start_run(earlier.directory, PARIS, "--peers", "1", "--target", str(target))
    assert second.wait() == 0
    assert f"continuing: {len(found)} entries" in second.said
    assert second.lines()[: len(found)] == found
    assert len(second.lines()) >= target
    assert_nothing_lost_or_doubled(second)


def test_a_target_met_already_is_said_with_how_to_raise_it(earlier: Run) -> None:
    again = start_run(earlier.directory, PARIS, "--peers", "1", "--target", "200")
    assert again.wait() == 0
    assert "--target" in again.said


def test_new_starts_afresh_and_keeps_the_old_run_under_another_name(earlier: Run) -> None:
    found, directory = earlier.lines(), earlier.directory
    second = start_run(directory, PARIS, "--peers", "1", "--target", "30", "--new", "--seed", "7")
    assert second.wait() == 0
    assert_nothing_lost_or_doubled(second)
    (kept,) = directory.glob("output-*.txt")
    assert kept.read_text("utf-8").splitlines() == found
    assert len([path for path in directory.glob("run*") if path.is_dir()]) == 2


def test_another_topic_in_the_directory_is_refused(earlier: Run) -> None:
    other = start_run(earlier.directory, "Chemical elements", "--peers", "1")
    assert other.wait() == 2
    assert PARIS in other.said


def test_real_models_do_not_continue_a_simulated_run(earlier: Run) -> None:
    llama = "llama@http://127.0.0.1:9/v1"
    real = start_run(earlier.directory, PARIS, "--model", llama, "--peers", "1")
    assert real.wait() == 2
    assert "simulated" in real.said


def test_a_foreign_file_at_the_output_path_is_moved_aside_untouched(tmp_path: Path) -> None:
    (tmp_path / "output.txt").write_text("my own notes\n")
    run = start_run(tmp_path, PARIS, "--peers", "1", "--target", "20")
    assert run.wait() == 0
    (moved,) = tmp_path.glob("output-*.txt")
    assert moved.read_text() == "my own notes\n"
    assert moved.name in run.said
    assert_nothing_lost_or_doubled(run)


def test_a_torn_last_line_of_the_output_is_mended(earlier: Run) -> None:
    torn = earlier.output.read_bytes()[:-4]
    earlier.output.write_bytes(torn)
    target = str(len(earlier.accepted()) + 20)
    second = start_run(earlier.directory, PARIS, "--peers", "1", "--target", target)
    assert second.wait() == 0
    assert_nothing_lost_or_doubled(second)
    assert list(earlier.directory.glob("output-*.txt")) == []


def test_a_busy_page_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        run = start_run(tmp_path, PARIS, page_port=port)
        assert run.wait() == 1
    assert port in run.said
    assert "--port" in run.said
    assert "Traceback" not in run.said


def test_an_unwritable_output_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    run = start_run(tmp_path, PARIS, "--output", "there")
    assert run.wait() == 1
    assert "there" in run.said
    assert "--output" in run.said
    assert "Traceback" not in run.said


def test_an_unknown_provider_is_one_clear_line(tmp_path: Path) -> None:
    run = start_run(tmp_path, PARIS, "--model", "openia:gpt-4o")
    assert run.wait() == 2
    assert "openia" in run.said
    assert "Traceback" not in run.said


def test_an_unknown_topic_offline_names_the_topics_that_are_known(tmp_path: Path) -> None:
    run = start_run(tmp_path, "Kinds of blue moons")
    assert run.wait() == 2
    assert PARIS in run.said


def test_a_second_run_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    first = start_run(tmp_path, PARIS, "--peers", "1", time_scale=1)
    eventually(lambda: first.lines(), "entries")
    second = start_run(tmp_path, PARIS, "--peers", "1")
    assert second.wait() != 0
    assert str(first.process.pid) in second.said
    first.signal_group()
    assert first.wait() == 0


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"])
def test_a_wrong_key_ends_the_run_with_one_line_and_is_shown_nowhere(
    tmp_path: Path, variable: str, simulator_url: str
) -> None:
    key = "wrong-key-0123456789abcdef"
    if variable == "OPENAI_API_KEY":
        model, address = "openai:atlas", {"OPENAI_BASE_URL": f"{simulator_url}/v1"}
    else:
        model, address = "anthropic:sonata", {"ANTHROPIC_BASE_URL": simulator_url}
    run = start_run(
        tmp_path,
        PARIS,
        "--model",
        model,
        "--budget-usd",
        "none",
        "--peers",
        "2",
        environment={variable: key, **address},
    )
    assert run.wait() == 1
    assert variable in run.said
    assert "Traceback" not in run.said
    assert key not in run.said
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path


def test_one_provider_failing_does_not_stop_the_others(tmp_path: Path, simulator_url: str) -> None:
    run = start_run(
        tmp_path,
        PARIS,
        "--model",
        f"penniless@{simulator_url}/v1",
        "--model",
        f"atlas@{simulator_url}/v1",
        "--peers",
        "2",
    )
    run.await_said("credit|quota")
    eventually(lambda: len(run.lines()) > 20, "entries of the other")
    run.signal_group()
    assert run.wait() == 0
    rows = dict(run.query('SELECT model, "unique" FROM model_totals'))
    assert rows[f"atlas@{simulator_url}/v1"] == len(run.lines())
