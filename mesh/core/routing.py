"""Which producer calls which model: in turn at first, away from models that were given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from mesh.core.items import NodeId


def model_in_turn(models: Sequence[str], producer_number: int) -> str:
    """The model that producer `producer_number` (from 1) starts with."""
    return models[(producer_number - 1) % len(models)]


def replacement_models(
    assigned: Mapping[NodeId, str], models: Sequence[str], given_up: Collection[str]
) -> dict[NodeId, str]:
    """New models for the producers whose model was given up.

    Each gets the working model that fewest producers call, the first of `models` among equals.
    Empty when nobody must change, or when no model works.
    """
    working = [model for model in models if model not in given_up]
    if not working:
        return {}
    load = Counter(dict.fromkeys(working, 0))
    load.update(model for model in assigned.values() if model in load)
    changes: dict[NodeId, str] = {}
    for producer in sorted(origin for origin, model in assigned.items() if model in given_up):
        changes[producer] = min(working, key=lambda model: load[model])
        load[changes[producer]] += 1
    return changes
