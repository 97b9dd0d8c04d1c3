"""What commands ask of the simulator before it runs: its models, its topics, its settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mesh.cli.commands import ExploreCommand, UsageError
from mesh.config import DEFAULT_TOPIC, ModelSpec, SimulatorSettings
from mesh.llm.selection import SimulatedModels
from mesh.simulation.catalog import CatalogShelf, CatalogUnusable, known_topics
from mesh.simulation.models import ModelsUnusable, model_choices

TOPICS_SHOWN_MAX = 20


def simulated_models(models_file: Path | None) -> SimulatedModels:
    """The models that `--model simulated:NAME` may name.

    Raises:
        UsageError: the file cannot be used.
    """
    try:
        return model_choices(models_file)
    except ModelsUnusable as error:
        raise UsageError(f"--models: {error}") from error


def topics(catalogs: Sequence[Path]) -> list[str]:
    """The topics that simulated models know, those of the user's own files first.

    Raises:
        UsageError: a file cannot be read.
    """
    try:
        return known_topics(catalogs)
    except CatalogUnusable as error:
        raise UsageError(f"--catalog: {error}") from error


def usual_topic(catalogs: Sequence[Path]) -> str:
    """What is explored when nobody says a topic: the user's own catalog, else the default."""
    return topics(catalogs)[0] if catalogs else DEFAULT_TOPIC


def simulator_settings(
    command: ExploreCommand, topic: str, models: Sequence[ModelSpec]
) -> SimulatorSettings | None:
    """How the simulator is to run beside a run of `models`; None where none is simulated.

    Raises:
        UsageError: the simulator does not know the topic, or its options have no use.
    """
    if not any(model.simulated for model in models):
        _refuse_useless(command)
        return None
    check_topic(topic, command.catalogs)
    return SimulatorSettings(
        topic=topic,
        catalog_files=command.catalogs,
        models_file=command.models_file,
        time_scale=command.time_scale or 1.0,
        seed=command.seed,
    )


def check_topic(topic: str, catalogs: Sequence[Path]) -> None:
    """Raise UsageError unless simulated models know `topic` and can use its catalog."""
    try:
        if CatalogShelf(catalogs).knows(topic):
            return
    except CatalogUnusable as error:
        raise UsageError(f"--catalog: {error}") from error
    names = ", ".join(f"'{each}'" for each in topics(catalogs)[:TOPICS_SHOWN_MAX])
    raise UsageError(
        f"simulated models do not know '{topic}', only {names}. For any topic set OPENAI_API_KEY "
        "or ANTHROPIC_API_KEY, or name a server with --model NAME@http://host:port/v1; "
        f"or give them --catalog FILE, which begins with the line '# topic: {topic}'"
    )


def with_address(model: ModelSpec, simulator_url: str) -> ModelSpec:
    """A simulated model as it is asked at `simulator_url`; others as they are."""
    if not model.simulated:
        return model
    suffix = "/v1" if model.api == "openai" else ""
    return replace(model, base_url=simulator_url + suffix)


def _refuse_useless(command: ExploreCommand) -> None:
    """Options for simulated models say that the user expects some."""
    given = {
        "--time-scale": command.time_scale is not None,
        "--catalog": bool(command.catalogs),
        "--models": command.models_file is not None,
    }
    useless = [name for name, is_given in given.items() if is_given]
    if useless:
        raise UsageError(
            f"{useless[0]} is for simulated models, and all models are real: "
            "leave it out, or add --model simulated"
        )
