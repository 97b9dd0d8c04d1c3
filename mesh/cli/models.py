"""Which models a command uses: `--model` and the keys, with the simulator's models beside them.

The rules are llm.selection's and llm.defaults'; here they are asked, and their refusals become
the command line's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from mesh.cli.commands import UsageError
from mesh.cli.offline import simulated_models
from mesh.config import ApiKey, ModelSpec
from mesh.llm.endpoints import base_url_of, is_named_by_address, is_private_host
from mesh.llm.selection import (
    ModelSelectionError,
    Selection,
    key_of,
    models_from_specs,
)


def choose_models(
    specs: Sequence[str],
    environment: Mapping[str, str],
    models_file: Path | None,
    *,
    keys_needed: bool = True,
) -> Selection:
    """The models that `specs` name; without any, those that the keys allow.

    Asks the providers for their lists where keys are there and no model is named.

    Args:
        keys_needed: whether models that are named will be asked from this machine.

    Raises:
        UsageError: a wrong SPEC, a missing or refused key.
    """
    if specs:
        return Selection(models_named(specs, environment, models_file, keys_needed=keys_needed))
    simulated = simulated_models(models_file)
    try:
        # Imported here: with it comes what speaks to providers.
        from mesh.llm.defaults import default_models

        return asyncio.run(default_models(environment, simulated))
    except ModelSelectionError as error:
        raise UsageError(str(error), exit_status=error.exit_status) from error


def models_named(
    specs: Sequence[str],
    environment: Mapping[str, str],
    models_file: Path | None,
    *,
    keys_needed: bool = True,
) -> tuple[ModelSpec, ...]:
    """The models that `specs`, at least one, name.

    Raises:
        UsageError: a wrong SPEC, a missing key.
    """
    simulated = simulated_models(models_file)
    try:
        return models_from_specs(specs, environment, simulated, keys_needed=keys_needed)
    except ModelSelectionError as error:
        raise UsageError(str(error), exit_status=error.exit_status) from error


def askable_models(
    models: Sequence[ModelSpec], environment: Mapping[str, str]
) -> tuple[ModelSpec, ...]:
    """Those of `models` that calls from this machine reach: with a key where one is wanted."""
    return tuple(model for model in models if _is_askable(model, environment))


def _is_askable(model: ModelSpec, environment: Mapping[str, str]) -> bool:
    if model.key_variable is None:
        no_key_wanted = model.simulated or is_named_by_address(model)
        return no_key_wanted or is_private_host(base_url_of(model))
    try:
        key_of(model, environment)
    except ModelSelectionError:
        return False
    return True


def keys_of(models: Sequence[ModelSpec], environment: Mapping[str, str]) -> dict[str, ApiKey]:
    """The keys that calls to `models` may carry, by the variable that holds them.

    Raises:
        UsageError: a variable is empty, or holds what cannot be a key.
    """
    keys = {}
    for model in models:
        try:
            key = key_of(model, environment)
        except ModelSelectionError as error:
            raise UsageError(str(error), exit_status=error.exit_status) from error
        if key is not None and model.key_variable is not None:
            keys[model.key_variable] = key
    return keys
