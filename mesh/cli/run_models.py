"""Which of a run's models this machine asks: by its own keys, and by its own rules.

A run must not say where another machine sends its keys. A model that the run names by an address
of its own choosing gets no key of this machine, and none at all is asked on a public server,
unless the user names that model again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mesh.cli.commands import UsageError
from mesh.cli.models import models_named
from mesh.cli.offline import simulated_models
from mesh.config import ModelSpec
from mesh.llm.endpoints import (
    base_url_of,
    is_named_by_address,
    is_official,
    is_private_host,
    server_name,
)
from mesh.llm.selection import (
    ModelSelectionError,
    Selection,
    SimulatedModels,
    models_from_specs,
)

SPECS_SHOWN_MAX = 20


def models_of_run(
    run_specs: Sequence[str],
    wanted: Sequence[str],
    environment: Mapping[str, str],
    models_file: Path | None,
) -> Selection:
    """The models to ask, and a line for each that is left out.

    Args:
        run_specs: the run's models, as it names them.
        wanted: what the user has picked; empty: all that can be asked.

    Raises:
        UsageError: a wanted model is none of the run's or lacks its key, or none is left.
    """
    if wanted:
        return Selection(_picked(run_specs, wanted, environment, models_file))
    simulated = simulated_models(models_file)
    models: dict[str, ModelSpec] = {}
    notices = []
    for spec in run_specs:
        try:
            model = _unrepeated(spec, environment, simulated)
        except ModelSelectionError as error:
            notices.append(f"left out: {spec} ({error})")
        else:
            models[model.spec] = model
    if not models:
        raise UsageError(
            "this machine can ask none of the run's models: " + "; ".join(notices[:SPECS_SHOWN_MAX])
        )
    return Selection(tuple(models.values()), tuple(notices))


def _picked(
    run_specs: Sequence[str],
    wanted: Sequence[str],
    environment: Mapping[str, str],
    models_file: Path | None,
) -> tuple[ModelSpec, ...]:
    named = models_named(wanted, environment, models_file)
    if "simulated" in wanted:
        # It means some usual ones; the run may have others of them.
        of_run = [model for model in named if model.spec in run_specs]
        named = tuple(of_run) if any(model.simulated for model in of_run) else named
    strange = [model.spec for model in named if model.spec not in run_specs]
    if strange:
        raise UsageError(
            f"--model {strange[0]} is none of the run's models: "
            + ", ".join(run_specs[:SPECS_SHOWN_MAX])
        )
    return named


def _unrepeated(spec: str, environment: Mapping[str, str], simulated: SimulatedModels) -> ModelSpec:
    """The one model that `spec` means here, the user having said nothing of it."""
    found = models_from_specs([spec], environment, simulated)
    if len(found) != 1 or found[0].spec != spec:
        raise ModelSelectionError("it is no single model")
    model = found[0]
    url = base_url_of(model)
    if not is_named_by_address(model) or is_official(model.api, url):
        return model
    if not is_private_host(url):
        raise ModelSelectionError(
            f"the run names its server, {server_name(model)}: to have this machine ask it, "
            "and send it its key, name the model again with --model"
        )
    return replace(model, key_variable=None)
