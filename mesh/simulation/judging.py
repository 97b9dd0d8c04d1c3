"""A simulated model as a judge: which candidate, if any, is the same thing as an entry.

Catalog and alias files (known_names.py) know the truth; the model is right as often as its
`judge_accuracy` says.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from mesh.simulation.catalog import Catalog
from mesh.simulation.folding import folded
from mesh.simulation.known_names import known_as_one
from mesh.simulation.models import SimulatedModel
from mesh.simulation.prompt_reading import Question

NONE = "none"


def judgements(
    model: SimulatedModel, catalog: Catalog, questions: Sequence[Question], source: random.Random
) -> list[str]:
    """An answer to each question: the number of a candidate, or "none"."""
    return [_judgement(model, catalog, question, source) for question in questions]


def _judgement(
    model: SimulatedModel, catalog: Catalog, question: Question, source: random.Random
) -> str:
    right = NONE
    for number, name in question.candidates:
        if _same(catalog, question.name, name):
            right = str(number)
            break
    if source.random() < model.judge_accuracy:
        return right
    wrong = [NONE, *(str(number) for number, _ in question.candidates)]
    return source.choice([answer for answer in wrong if answer != right])


def _same(catalog: Catalog, one: str, other: str) -> bool:
    index = catalog.index_of(one)
    if index is not None and index == catalog.index_of(other):
        return True
    return folded(one) == folded(other) or known_as_one(one, other)
