"""The simulator's judge for names: what it answers about one that is in doubt.

It is asked as a run asks: which of all candidates of a name, if any, is the same thing; where it
names one, a second time, about that one alone. It knows the simulator's catalogs and alias files,
and is wrong as often as a simulated model is. It never sees the labels of the pairs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.simulation.catalog import Catalog, CatalogShelf
from mesh.simulation.judging import judgements
from mesh.simulation.models import SimulatedModel, load_models
from mesh.simulation.prompt_reading import Question

MODEL = "atlas"


@dataclass(slots=True)
class SimulatedJudge:
    """One simulated model with a seed; each name is asked about once."""

    seed: int = 0
    question_count: int = 0
    _model: SimulatedModel = field(default_factory=lambda: load_models()[MODEL])
    _catalogs: list[Catalog] = field(default_factory=list)
    _answers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shelf = CatalogShelf()
        self._catalogs = [found for topic in shelf.topics() if (found := shelf.find(topic))]

    def same_as(self, name: str, candidates: Sequence[str]) -> str | None:
        """The one of `candidates` that it takes for the same thing as `name`; None: it takes
        none."""
        if name not in self._answers:
            likely = self._answer(name, candidates, "first")
            is_confirmed = likely and self._answer(name, [likely], "second")
            self._answers[name] = likely if is_confirmed else ""
        return self._answers[name] or None

    def _answer(self, name: str, candidates: Sequence[str], turn: str) -> str:
        self.question_count += 1
        question = Question(name, tuple(enumerate(candidates, 1)))
        source = random.Random(f"{self.seed} {turn} {name}")
        (answer,) = judgements(self._model, self._catalog_of(question), [question], source)
        return candidates[int(answer) - 1] if answer.isdigit() else ""

    def _catalog_of(self, question: Question) -> Catalog:
        """A run has one topic; here names of many stand together: the one that they are of."""
        names = [question.name, *(candidate for _, candidate in question.candidates)]
        known = (
            catalog
            for name in names
            for catalog in self._catalogs
            if catalog.index_of(name) is not None
        )
        return next(known, self._catalogs[0])
