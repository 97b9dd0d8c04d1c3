"""Which models `--model` names, and where each key may go."""

from __future__ import annotations

import pytest

from mesh.config import ModelSpec
from mesh.llm.selection import (
    ModelSelectionError,
    SimulatedModels,
    key_of,
    may_receive,
    models_from_specs,
)

SIMULATED: SimulatedModels = {
    "atlas": ("openai", "gpt-4o"),
    "sonata": ("anthropic", "claude-sonnet-4-5"),
    "swift": ("openai", "gpt-4o-mini"),
    "haiku": ("anthropic", "claude-haiku-4-5"),
    "wild": ("openai", ""),
}
KEY = "sk-proj-Zx81kQpLm20Vt7"
KEYS = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": "sk-ant-1"}


def one(spec: str, environment: dict[str, str]) -> ModelSpec:
    (model,) = models_from_specs([spec], environment, SIMULATED)
    return model


def refusal(spec: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ModelSelectionError) as caught:
        models_from_specs([spec], environment or {}, SIMULATED)
    assert caught.value.exit_status == 2
    message = str(caught.value)
    assert KEY not in message
    assert len(message.splitlines()) == 1
    return message


def test_a_providers_model_is_asked_with_the_providers_key() -> None:
    model = one("openai:gpt-4o-mini", KEYS)
    assert model == ModelSpec(
        "openai:gpt-4o-mini", "openai", "gpt-4o-mini", key_variable="OPENAI_API_KEY"
    )
    key = key_of(model, KEYS)
    assert key is not None
    assert key.value == KEY


def test_names_may_hold_colons_and_slashes() -> None:
    assert one("openai:ft:gpt-4o-mini:org::id", KEYS).name == "ft:gpt-4o-mini:org::id"
    assert one("org/llama3:8b@http://127.0.0.1:8000/v1", {}).name == "org/llama3:8b"


def test_the_sdks_own_address_variables_keep_working() -> None:
    environment = {**KEYS, "OPENAI_BASE_URL": "https://gateway.example/v1/"}
    model = one("openai:gpt-4o", environment)
    assert model.base_url == "https://gateway.example/v1"
    assert model.key_variable == "OPENAI_API_KEY"


def test_a_server_of_ones_own_behind_the_address_variable_needs_no_key() -> None:
    model = one("openai:llama3", {"OPENAI_BASE_URL": "http://localhost:11434/v1"})
    assert model.key_variable is None


def test_anthropics_other_variable_for_a_token_works() -> None:
    model = one("anthropic:claude-haiku-4-5", {"ANTHROPIC_AUTH_TOKEN": "token"})
    assert model.key_variable == "ANTHROPIC_AUTH_TOKEN"


@pytest.mark.parametrize(
    ("spec", "variable"),
    [("openai:gpt-4o", "OPENAI_API_KEY"), ("anthropic:claude-haiku-4-5", "ANTHROPIC_API_KEY")],
)
def test_a_missing_key_is_named_with_what_to_do(spec: str, variable: str) -> None:
    message = refusal(spec, {variable: "  "})
    assert variable in message
    assert "--model simulated" in message


def test_simulated_alone_means_the_usual_four() -> None:
    models = models_from_specs(["simulated"], KEYS, SIMULATED)
    assert [model.name for model in models] == ["atlas", "sonata", "swift", "haiku"]
    assert all(model.simulated and model.key_variable is None for model in models)


def test_simulated_alone_means_all_models_of_a_file_with_other_names() -> None:
    models = models_from_specs(["simulated"], {}, {"x": ("openai", ""), "y": ("anthropic", "")})
    assert [model.spec for model in models] == ["simulated:x", "simulated:y"]


def test_a_simulated_model_speaks_and_costs_as_its_file_says() -> None:
    model = one("simulated:sonata", {})
    assert model.spec == "simulated:sonata"
    assert (model.api, model.price_of) == ("anthropic", "claude-sonnet-4-5")


def test_an_unknown_simulated_model_is_answered_with_a_near_one() -> None:
    assert "did you mean atlas?" in refusal("simulated:atls")
    assert "atlas, sonata" in refusal("simulated:zzz")


def test_a_model_named_twice_is_taken_once() -> None:
    models = models_from_specs(["simulated:atlas", "simulated", "simulated:wild"], {}, SIMULATED)
    assert [model.name for model in models] == ["atlas", "sonata", "swift", "haiku", "wild"]


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("opnai:gpt-4o", "did you mean openai:gpt-4o?"),
        ("mistral:large", "write openai:NAME"),
        ("gpt-4o", "did you mean openai:gpt-4o?"),
        ("claude-haiku-4-5", "did you mean anthropic:claude-haiku-4-5?"),
        ("llama", "NAME@http://host:port/v1"),
        ("", "NAME@http://host:port/v1"),
        ("openai:", "lacks a model's name"),
        ("openai:two words", "lacks a model's name"),
        ("@http://127.0.0.1/v1", "lacks a model's name"),
        ("a@http://127.0.0.1/v1,price=3", ",key=VARIABLE"),
    ],
)
def test_a_wrong_spec_is_answered_with_what_to_write(spec: str, hint: str) -> None:
    assert hint in refusal(spec, KEYS)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "http://127.0.0.1:8000/v1",
        "http://192.168.1.5:8000/v1",
        "https://api.openai.com/v1",
        "https://gateway.example/other",
    ],
)
def test_openais_key_goes_to_openai_its_base_url_and_private_hosts(url: str) -> None:
    environment = {**KEYS, "OPENAI_BASE_URL": "https://gateway.example/v1"}
    assert one(f"llama@{url}", environment).key_variable == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    "url",
    [
        "https://llm.example.com/v1",
        "http://gpu-box:8000/v1",
        "http://8.8.8.8/v1",
        "https://api.openai.com.example.com/v1",
        "http://api.openai.com/v1",
    ],
)
def test_openais_key_goes_nowhere_else(url: str) -> None:
    model = one(f"llama@{url}", KEYS)
    assert model.key_variable is None
    assert key_of(model, KEYS) is None
    assert "OPENAI_API_KEY is not sent to" in refusal(f"llama@{url},key=OPENAI_API_KEY", KEYS)


def test_another_hosts_key_is_named_by_its_variable() -> None:
    environment = {**KEYS, "GROQ_API_KEY": "gsk_1"}
    model = one("llama@https://api.groq.com/openai/v1,key=GROQ_API_KEY", environment)
    assert model.spec == "llama@https://api.groq.com/openai/v1"
    key = key_of(model, environment)
    assert key is not None
    assert key.value == "gsk_1"
    assert may_receive("GROQ_API_KEY", "https://api.groq.com/openai/v1", environment)


def test_a_named_variable_that_is_empty_is_said() -> None:
    message = refusal("llama@https://api.groq.com/openai/v1,key=GROQ_API_KEY")
    assert "GROQ_API_KEY is not set" in message


@pytest.mark.parametrize(
    "spec",
    [
        f"llama@https://x.example/v1,key={KEY}",
        "llama@https://x.example/v1,key=gsk_abcdefghij",
        f"openai:gpt-4o,{KEY}@https://x.example/v1,{KEY}",
        f"llama@https://user:{KEY}@x.example/v1",
        KEY,
    ],
)
def test_a_key_written_where_none_belongs_is_refused_and_not_repeated(spec: str) -> None:
    message = refusal(spec)
    assert "gsk_abc" not in message
    assert "Zx81" not in message


@pytest.mark.parametrize("value", ["sk-two words", "sk-new\nline", "sk-ünicode"])
def test_what_cannot_be_a_key_is_refused_before_it_is_sent(value: str) -> None:
    message = refusal("openai:gpt-4o", {"OPENAI_API_KEY": value})
    assert "OPENAI_API_KEY holds" in message
    assert value not in message


def test_blanks_around_a_key_do_no_harm() -> None:
    environment = {"OPENAI_API_KEY": f" {KEY}\n"}
    key = key_of(one("openai:gpt-4o", environment), environment)
    assert key is not None
    assert key.value == KEY


def test_a_base_url_with_a_password_is_refused_and_not_repeated() -> None:
    environment = {**KEYS, "OPENAI_BASE_URL": f"http://user:{KEY}@127.0.0.1/v1"}
    assert "OPENAI_BASE_URL" in refusal("openai:gpt-4o", environment)


def test_a_key_is_not_in_any_repr() -> None:
    model = one("openai:gpt-4o", KEYS)
    assert KEY not in repr(model)
    assert KEY not in repr(key_of(model, KEYS))
