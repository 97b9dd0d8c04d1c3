"""Which models a run uses when the user names none: those of the providers whose keys are there.

One table of cheap models that write without reasoning first, checked against each provider's own
list, so that a name gone out of service is passed over.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mesh.config import Api, ApiKey, ModelSpec
from mesh.llm.clients import open_client
from mesh.llm.endpoints import server_name
from mesh.llm.interface import ErrorKind, LLMClient, ProviderError
from mesh.llm.selection import (
    ModelSelectionError,
    Selection,
    SimulatedModels,
    default_simulated_models,
    key_of,
    key_variable_of,
    provider_model,
)

CHEAP_MODELS: dict[Api, tuple[str, ...]] = {
    "openai": (
        "gpt-4.1-nano",
        "gpt-4o-mini",
        "gpt-4.1-mini",
        "gpt-4o",
        "gpt-6-luna",
        "gpt-5.4-nano",
        "gpt-5-nano",
        "gpt-5-mini",
    ),
    "anthropic": (
        "claude-haiku-4-5",
        "claude-haiku-5-5",
        "claude-3-5-haiku",
        "claude-3-haiku",
        "claude-sonnet-4-5",
        "claude-sonnet-4-6",
        "claude-sonnet-5",
    ),
}
"""In order of preference: cheap, and before them all those that do not reason."""

MODELS_OF_ONLY_PROVIDER_MAX = 3
"""Of one provider alone so many models, that producers differ; of several one each."""
LIST_TIMEOUT_S = 10.0
_NAMES_SHOWN_MAX = 3

_SNAPSHOT = r"(?:-latest|-\d{8}|-\d{4}-\d{2}-\d{2})"


async def default_models(
    environment: Mapping[str, str],
    simulated: SimulatedModels,
    *,
    open_client: Callable[[ModelSpec, ApiKey | None], LLMClient] = open_client,
) -> Selection:
    """The models of a run without `--model`; simulated ones when there is no key.

    Raises:
        ModelSelectionError: every provider with a key refuses, or lists no model of the table; a
            key or an address in the environment cannot be one.
    """
    apis = [api for api in CHEAP_MODELS if key_variable_of(api, environment) is not None]
    if not apis:
        return Selection(default_simulated_models(simulated))
    count = MODELS_OF_ONLY_PROVIDER_MAX if len(apis) == 1 else 1
    firsts = [provider_model(api, CHEAP_MODELS[api][0], environment) for api in apis]
    # What cannot be a key is said before anybody is asked.
    keys = [key_of(first, environment) for first in firsts]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_choose(first, key, environment, count, open_client))
            for first, key in zip(firsts, keys, strict=True)
        ]
    return _joined([task.result() for task in tasks])


def listed_names(wanted: Sequence[str], listed: Sequence[str], count: int) -> tuple[str, ...]:
    """The first `count` of `wanted` that are in `listed`, by name or as a dated snapshot.

    Example: wanted `claude-haiku-4-5`, listed `claude-haiku-4-5-20251001`: the latter, which is
    certain to be known.
    """
    found: list[str] = []
    for name in wanted:
        if name in listed:
            found.append(name)
            continue
        snapshot = re.compile(re.escape(name) + _SNAPSHOT)
        dated = max((each for each in listed if snapshot.fullmatch(each)), default=None)
        if dated is not None:
            found.append(dated)
    return tuple(found[:count])


@dataclass(frozen=True, slots=True)
class _Choice:
    models: tuple[ModelSpec, ...]
    notice: str | None = None
    refused: bool = False
    """The provider refuses, as opposed to: lists nothing that we know."""


async def _choose(
    first: ModelSpec,
    key: ApiKey | None,
    environment: Mapping[str, str],
    count: int,
    open_client: Callable[[ModelSpec, ApiKey | None], LLMClient],
) -> _Choice:
    """One provider's models, or why there are none."""
    api = first.api
    usual = CHEAP_MODELS[api][:count]
    listed = await _listed(first, key, open_client)
    if isinstance(listed, ProviderError):
        if listed.kind is ErrorKind.GIVE_UP:
            return _Choice((), str(listed), refused=True)
        # The run waits for its network; so must its start not fail for it.
        models = tuple(provider_model(api, name, environment) for name in usual)
        return _Choice(models, f"{listed}; taking {', '.join(usual)} unasked")
    names = listed_names(CHEAP_MODELS[api], listed, count)
    if not names:
        shown = ", ".join(listed[:_NAMES_SHOWN_MAX]) or "nothing"
        server = server_name(first)
        return _Choice((), f"{server} lists {shown}: choose one with --model {api}:NAME")
    return _Choice(tuple(provider_model(api, name, environment) for name in names))


async def _listed(
    model: ModelSpec,
    key: ApiKey | None,
    open_client: Callable[[ModelSpec, ApiKey | None], LLMClient],
) -> list[str] | ProviderError:
    client = open_client(model, key)
    try:
        async with asyncio.timeout(LIST_TIMEOUT_S):
            return await client.model_names()
    except ProviderError as error:
        return error
    except TimeoutError:
        message = f"no answer from {server_name(model)}: no list of models in {LIST_TIMEOUT_S:g} s"
        return ProviderError(ErrorKind.UNREACHABLE, message)
    finally:
        await client.close()


def _joined(choices: Sequence[_Choice]) -> Selection:
    """One selection of all providers; those without a model are left out, and said."""
    models = tuple(model for choice in choices for model in choice.models)
    notices = tuple(choice.notice for choice in choices if choice.notice is not None)
    if not models:
        refused = any(choice.refused for choice in choices)
        raise ModelSelectionError("; ".join(notices), exit_status=1 if refused else 2)
    return Selection(models, notices)
