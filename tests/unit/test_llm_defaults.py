"""Which models are used when the user names none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from mesh.config import Api, ApiKey, ModelSpec
from mesh.llm.defaults import CHEAP_MODELS, default_models, listed_names
from mesh.llm.interface import (
    CallProgress,
    ErrorKind,
    LLMClient,
    Prompt,
    ProviderError,
    StreamEvent,
    Usage,
)
from mesh.llm.pricing import is_priced
from mesh.llm.selection import ModelSelectionError, SimulatedModels

SIMULATED: SimulatedModels = {
    "atlas": ("openai", "gpt-4o"),
    "sonata": ("anthropic", "claude-sonnet-4-5"),
}
OPENAI = {"OPENAI_API_KEY": "sk-1"}
BOTH = {**OPENAI, "ANTHROPIC_API_KEY": "sk-ant-1"}
BAD_KEY = ProviderError(ErrorKind.GIVE_UP, "api.openai.com refuses the key in OPENAI_API_KEY")
DOWN = ProviderError(ErrorKind.UNREACHABLE, "no answer from api.openai.com: connection refused")


class ListingClient:
    """A client that only lists names, or fails to."""

    def __init__(self, answer: list[str] | ProviderError) -> None:
        self._answer = answer

    structured_possible = False

    def largest_usage(
        self, prompt: Prompt, output_tokens_max: int, *, structured: bool = False
    ) -> Usage:
        raise AssertionError("no call is made")

    def stream(
        self,
        prompt: Prompt,
        *,
        output_tokens_max: int,
        structured: bool = False,
        progress: CallProgress | None = None,
    ) -> AsyncIterator[StreamEvent]:
        raise AssertionError(f"a paid call: {prompt.task} {output_tokens_max}")

    async def model_names(self) -> list[str]:
        if isinstance(self._answer, ProviderError):
            raise self._answer
        return self._answer

    async def close(self) -> None:
        return None


def listing(
    answers: dict[Api, list[str] | ProviderError],
) -> Callable[[ModelSpec, ApiKey | None], LLMClient]:
    def open_client(model: ModelSpec, key: ApiKey | None) -> LLMClient:
        assert key is not None
        return ListingClient(answers[model.api])

    return open_client


async def test_without_a_key_the_models_are_simulated() -> None:
    selection = await default_models({}, SIMULATED, open_client=listing({}))
    assert [model.spec for model in selection.models] == ["simulated:atlas", "simulated:sonata"]


async def test_one_provider_alone_gives_up_to_three_models_in_the_tables_order() -> None:
    first, second, third, fourth = CHEAP_MODELS["openai"][:4]
    listed = ["whisper-1", fourth, third, first]
    selection = await default_models(OPENAI, SIMULATED, open_client=listing({"openai": listed}))
    assert [model.name for model in selection.models] == [first, third, fourth]
    assert second not in listed
    assert all(model.key_variable == "OPENAI_API_KEY" for model in selection.models)


async def test_several_providers_give_one_model_each() -> None:
    answers: dict[Api, list[str] | ProviderError] = {
        "openai": ["gpt-4o", "gpt-4o-mini"],
        "anthropic": ["claude-haiku-4-5-20251001"],
    }
    selection = await default_models(BOTH, SIMULATED, open_client=listing(answers))
    assert [model.spec for model in selection.models] == [
        "openai:gpt-4o-mini",
        "anthropic:claude-haiku-4-5-20251001",
    ]


async def test_a_provider_that_refuses_is_left_out_and_said() -> None:
    answers: dict[Api, list[str] | ProviderError] = {
        "openai": BAD_KEY,
        "anthropic": ["claude-haiku-4-5"],
    }
    selection = await default_models(BOTH, SIMULATED, open_client=listing(answers))
    assert [model.api for model in selection.models] == ["anthropic"]
    assert selection.notices == (str(BAD_KEY),)


async def test_when_every_provider_refuses_the_reason_is_given() -> None:
    with pytest.raises(ModelSelectionError, match="refuses the key in OPENAI_API_KEY") as caught:
        await default_models(OPENAI, SIMULATED, open_client=listing({"openai": BAD_KEY}))
    assert caught.value.exit_status == 1


async def test_a_network_that_is_down_does_not_stop_the_start() -> None:
    selection = await default_models(OPENAI, SIMULATED, open_client=listing({"openai": DOWN}))
    assert [model.name for model in selection.models] == list(CHEAP_MODELS["openai"][:3])
    assert "no answer from api.openai.com" in selection.notices[0]


async def test_a_server_that_lists_none_of_them_asks_for_a_name() -> None:
    environment = {**OPENAI, "OPENAI_BASE_URL": "http://127.0.0.1:8000/v1"}
    with pytest.raises(
        ModelSelectionError, match=r"127\.0\.0\.1:8000 lists llama3: choose"
    ) as caught:
        await default_models(environment, SIMULATED, open_client=listing({"openai": ["llama3"]}))
    assert caught.value.exit_status == 2


def test_a_dated_snapshot_stands_for_its_name_and_a_variant_does_not() -> None:
    listed = ["haiku-4-5-20250101", "haiku-4-5-20251001", "haiku-4-5-preview", "nano-2025-04-14"]
    assert listed_names(["haiku-4-5", "nano", "absent"], listed, 3) == (
        "haiku-4-5-20251001",
        "nano-2025-04-14",
    )


@pytest.mark.parametrize("api", list(CHEAP_MODELS))
def test_every_model_of_the_table_has_a_price(api: Api) -> None:
    """Otherwise the default budget could not be kept."""
    for name in CHEAP_MODELS[api]:
        assert is_priced(ModelSpec(f"{api}:{name}", api, name)), name


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"OPENAI_API_KEY": "sk-two\nlines"}, "OPENAI_API_KEY holds blanks"),
        ({**BOTH, "ANTHROPIC_API_KEY": "sk-é"}, "ANTHROPIC_API_KEY holds blanks"),
        ({**BOTH, "OPENAI_BASE_URL": "nonsense"}, "OPENAI_BASE_URL is no plain address"),
    ],
)
async def test_an_environment_that_cannot_be_right_is_said_before_anybody_is_asked(
    environment: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ModelSelectionError, match=complaint):
        await default_models(environment, SIMULATED, open_client=listing({}))
