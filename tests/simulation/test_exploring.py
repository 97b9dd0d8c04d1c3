"""Simulated models explore a whole topic by the plan, until it says that nothing is left.

Prompts, answers, parsing and decisions are those of a run; calls are made one after another and
everyone knows everything at once, as in a mesh without delays.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from mesh.config import SimulatorSettings
from mesh.core import entries as log
from mesh.core.call_sizing import CallOutcome, CallSizes
from mesh.core.entries import LogEntry
from mesh.core.facets import FacetPlan, LookIn, MoreFacets, PlanTopic, SplitFacet, Work
from mesh.core.items import LogId, NodeId
from mesh.core.normalize import item_key
from mesh.llm.facet_names import facet_names
from mesh.llm.interface import Prompt
from mesh.llm.parsing import AnswerParser, Entry, Remark, RemarkKind
from mesh.llm.prompts import (
    KnownForPrompt,
    build_prompt,
    facets_prompt,
    more_facets_prompt,
    split_facet_prompt,
)
from mesh.simulation.answering import Call, PlannedAnswer, Simulator
from mesh.simulation.drawing import knowledge_of
from mesh.simulation.prompt_cache import PromptBlock

MODELS = ("atlas", "sonata", "swift", "haiku")
TOPIC = "Paris attractions"
CALLS_MAX = 1_000
OVERHEAD_ENTRIES = 25.0


class Exploration:
    """One run, told by one producer for each model."""

    def __init__(self, seed: int, *, with_facets: bool) -> None:
        self.seed = seed
        self.plan = FacetPlan()
        self.simulator = Simulator.from_settings(SimulatorSettings(topic=TOPIC, seed=seed))
        catalog = self.simulator.shelf.find(TOPIC)
        assert catalog is not None
        self.catalog = catalog
        self.found: set[int] = set()  # Catalog indices.
        self.written_count = self.calls_count = self.planning_calls_count = 0
        self._with_facets = with_facets
        self._random = random.Random(seed)
        self._known: set[bytes] = set()
        self._accepted: list[str] = []
        self._sizes = CallSizes()
        self._seqs: Counter[str] = Counter()

    def run(self) -> None:
        """Explore until the plan says that nothing is left."""
        for model in itertools.cycle(MODELS):
            if self.plan.is_exhausted(MODELS):
                return
            assert self.calls_count < CALLS_MAX, "it goes on for ever"
            work = self._next_work(model)
            self.calls_count += 1
            if isinstance(work, LookIn):
                self._look(model, work)
            else:
                self._plan(model, work)

    def knowable(self) -> set[int]:
        """What the models know together."""
        models = self.simulator.models
        return {
            index
            for name in MODELS
            for index in knowledge_of(models[name], self.catalog, self.seed).indices
        }

    def _next_work(self, model: str) -> Work:
        if not self._with_facets:
            return LookIn(0, None)
        return self.plan.next_work(
            model,
            random=self._random,
            concurrent_count=len(MODELS),
            known_count=len(self._known),
        )

    def _say(self, model: str, entry: LogEntry) -> int:
        self._seqs[model] += 1
        self.plan.apply(_log_of(model), self._seqs[model], entry)
        return self._seqs[model]

    def _answer(self, model: str, prompt: Prompt) -> str | None:
        parts = (prompt.instructions, *prompt.known_chunks, prompt.known_fresh, prompt.task)
        blocks = tuple(PromptBlock(part) for part in parts)
        planned = self.simulator.answer(
            Call(self.simulator.models[model], blocks), float(self.calls_count)
        )
        return planned.text if isinstance(planned, PlannedAnswer) else None

    def _begin(self, model: str, asked: int, facet: str | None, purpose: str) -> int:
        now_ms = self.calls_count * 1_000
        return self._say(model, log.CallStarted(model, asked, facet, now_ms, purpose))

    def _end(self, model: str, call: int, outcome: str) -> None:
        finished = log.CallFinished(call, model, outcome, None, 0, 0, 0, 0, False, None, 0.9, None)
        self._say(model, finished)

    def _plan(self, model: str, work: PlanTopic | SplitFacet | MoreFacets) -> None:
        self.planning_calls_count += 1
        parent, name = 0, None
        match work:
            case PlanTopic():
                prompt = facets_prompt(TOPIC, work.count)
            case SplitFacet():
                prompt = split_facet_prompt(TOPIC, work.name, work.count)
                parent, name = work.facet, work.name
            case MoreFacets():
                prompt = more_facets_prompt(TOPIC, work.count, work.known)
        call = self._begin(model, work.count, name, "facets")
        text = self._answer(model, prompt)
        for proposed in facet_names([text or ""], topic=TOPIC):
            self._say(model, log.FacetProposed(proposed, parent, call, model))
        self._end(model, call, "retry" if text is None else "ok")

    def _look(self, model: str, work: LookIn) -> None:
        asked = self._sizes.ask_count(model, work.facet, OVERHEAD_ENTRIES)
        call = self._begin(model, asked, work.name, "entries")
        known = KnownForPrompt(fresh=tuple(self._listed(work.facet)))
        prompt = build_prompt(TOPIC, known, ask_count=asked, facet=work.name)
        text = self._answer(model, prompt)
        if text is None:
            self._end(model, call, "retry")
            return
        parser = AnswerParser()
        parsed = [*parser.feed(text), *parser.finish(cut=False)]
        flags = [
            self._publish(model, call, part.text, work.facet)
            for part in parsed
            if isinstance(part, Entry)
        ]
        said_dry = Remark(RemarkKind.EXHAUSTED) in parsed
        self._end(model, call, "dry" if said_dry else "ok" if flags else "empty")
        tail = flags[-12:]
        share = sum(tail) / len(tail) if tail else 0.0
        self._sizes.finished(model, work.facet, CallOutcome(asked, len(flags), share))

    def _listed(self, facet: int) -> list[str]:
        if not facet:
            return self._accepted
        members = self.plan.members(facet)
        texts = [self._accepted[n - 1] for n in (*members.related, *members.ordinals)]
        return [*texts, *members.tail]

    def _publish(self, model: str, call: int, text: str, facet: int) -> bool:
        key, log_id = item_key(text), _log_of(model)
        self.written_count += 1
        if key in self._known:
            self._say(model, log.Repeat(text, call, model, facet))
            return False
        self._known.add(key)
        self._accepted.append(text)
        seq = self._say(model, log.Found(text, call, model, facet))
        ordinal = len(self._accepted)
        accepted = log.Accepted(ordinal, log_id.origin, log_id.epoch, seq, text, facet)
        self._say("collector", accepted)
        index = self.catalog.index_of(text)
        if index is not None:
            self.found.add(index)
        return True


def _log_of(name: str) -> LogId:
    return LogId(NodeId(name.encode().ljust(16)), 1)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("with_facets", [True, False], ids=["facets", "no facets"])
def test_a_run_ends_by_itself_when_nearly_all_is_found(seed: int, with_facets: bool) -> None:
    exploration = Exploration(seed, with_facets=with_facets)
    exploration.run()
    knowable = exploration.knowable()
    assert len(exploration.found & knowable) >= 0.95 * len(knowable)


def test_planning_is_a_small_part_of_a_run() -> None:
    exploration = Exploration(1, with_facets=True)
    exploration.run()
    assert 1 <= exploration.planning_calls_count <= exploration.calls_count / 8


def test_facets_find_as_much_with_fewer_words() -> None:
    by_facets, whole = Exploration(1, with_facets=True), Exploration(1, with_facets=False)
    by_facets.run()
    whole.run()
    assert by_facets.written_count / len(by_facets.found) < whole.written_count / len(whole.found)
