"""Which models of somebody else's run this machine asks, and with which keys."""

from __future__ import annotations

import pytest

from mesh.cli.commands import UsageError
from mesh.cli.models import askable_models, keys_of, models_named
from mesh.cli.run_models import models_of_run
from mesh.config import ModelSpec

KEY = "sk-test-0123456789abcdef"
ENVIRONMENT = {"OPENAI_API_KEY": KEY}


def models(*run: str, wanted: tuple[str, ...] = (), keys: bool = True) -> dict[str, ModelSpec]:
    environment = ENVIRONMENT if keys else {}
    selection = models_of_run(run, wanted, environment, None)
    return {model.spec: model for model in selection.models}


def left_out(*run: str, keys: bool = True) -> str:
    """What is said of models that are not asked, `simulated:atlas` beside them."""
    environment = ENVIRONMENT if keys else {}
    selection = models_of_run(("simulated:atlas", *run), (), environment, None)
    assert [model.spec for model in selection.models] == ["simulated:atlas"]
    return "\n".join(selection.notices)


def test_all_models_of_the_run_that_this_machine_has_keys_for_are_asked() -> None:
    chosen = models("openai:gpt-4o-mini", "simulated:atlas")
    assert list(chosen) == ["openai:gpt-4o-mini", "simulated:atlas"]
    assert chosen["openai:gpt-4o-mini"].key_variable == "OPENAI_API_KEY"


def test_a_model_without_a_key_here_is_left_out_and_said() -> None:
    text = left_out("anthropic:claude-haiku-4-5")
    assert text.startswith("left out: anthropic:claude-haiku-4-5 (")
    assert "set ANTHROPIC_API_KEY" in text


def test_a_run_none_of_whose_models_can_be_asked_is_not_joined() -> None:
    with pytest.raises(UsageError, match=r"ask none of the run's models.*OPENAI_API_KEY") as error:
        models("openai:gpt-4o-mini", keys=False)
    assert error.value.exit_status == 2


def test_a_public_server_that_the_run_names_is_not_asked_unless_it_is_named_here_again() -> None:
    spec = "llama@https://llm.example/v1"
    text = left_out(spec)
    assert "the run names its server, llm.example" in text
    assert "--model" in text


def test_a_public_server_that_is_named_here_again_gets_the_key_named_with_it() -> None:
    spec = "llama@https://llm.example/v1"
    environment = {**ENVIRONMENT, "LAB_KEY": "lab-0123456789"}
    (model,) = models_of_run((spec,), (f"{spec},key=LAB_KEY",), environment, None).models
    assert model.spec == spec
    assert model.key_variable == "LAB_KEY"


@pytest.mark.parametrize("url", ["http://10.0.0.9:8000/v1", "http://127.0.0.1:8000/v1"])
def test_a_private_server_that_the_run_names_is_asked_without_a_key(url: str) -> None:
    """On the run's own machine the key might go there; this user has not said so."""
    spec = f"llama@{url}"
    assert models(spec)[spec].key_variable is None
    assert models(spec, wanted=(spec,))[spec].key_variable == "OPENAI_API_KEY"


def test_the_providers_own_server_is_asked_also_where_the_run_names_its_address() -> None:
    spec = "gpt-4o-mini@https://api.openai.com/v1"
    assert models(spec)[spec].key_variable == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    "spec",
    ["llama@https://llm.example/v1,key=OPENAI_API_KEY", "llama@http://10.0.0.9/v1,key=HOME"],
)
def test_a_run_cannot_name_variables_of_this_machine(spec: str) -> None:
    assert "left out" in left_out(spec)


@pytest.mark.parametrize("spec", ["nonsense", "simulated", "simulated:nobody", "x@ftp://host"])
def test_what_is_no_model_here_is_left_out(spec: str) -> None:
    assert "left out" in left_out(spec)


def test_models_are_picked_among_the_runs_own() -> None:
    run = ("simulated:atlas", "simulated:haiku")
    assert list(models(*run, wanted=("simulated:haiku",))) == ["simulated:haiku"]
    with pytest.raises(UsageError, match="is none of the run's models: simulated:atlas"):
        models("simulated:atlas", wanted=("simulated:haiku",))
    with pytest.raises(UsageError, match="is none of the run's models"):
        models("simulated:atlas", wanted=("openai:gpt-4o-mini",))


def test_simulated_picks_those_simulated_models_that_the_run_has() -> None:
    run = ("simulated:atlas", "openai:gpt-4o-mini")
    assert list(models(*run, wanted=("simulated",))) == ["simulated:atlas"]
    with pytest.raises(UsageError, match="none of the run's models"):
        models("openai:gpt-4o-mini", wanted=("simulated",))


def test_a_collector_alone_finds_out_which_of_its_models_it_could_ask() -> None:
    specs = ("simulated:atlas", "openai:gpt", "anthropic:haiku", "llama@http://127.0.0.1:9/v1")
    named = models_named(specs, ENVIRONMENT, None, keys_needed=False)
    askable = askable_models(named, ENVIRONMENT)
    assert [each.spec for each in askable] == [specs[0], specs[1], specs[3]]
    assert list(keys_of(askable, ENVIRONMENT)) == ["OPENAI_API_KEY"]


def test_a_model_whose_named_key_is_missing_is_not_asked() -> None:
    named = models_named(("llama@http://h/v1,key=LAB_KEY",), {}, None, keys_needed=False)
    assert askable_models(named, {}) == ()
