"""From a call to a planned answer: the simulated models' whole mind, without I/O or clock.

Both wire formats ask here. The plan says what text will be sent, how fast, how it ends and what
it uses; delivery.py carries it out. Seeded by server seed, model, prompt and how often this model
was called before, so that the same calls in the same order get the same answers.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from mesh.config import SimulatorSettings
from mesh.simulation.books import Books
from mesh.simulation.catalog import Catalog, CatalogShelf
from mesh.simulation.drawing import Knowledge, draw, knowledge_of
from mesh.simulation.facets import NO_FACETS, entries_of_facet, proposed_facets
from mesh.simulation.faults import Fault, FaultKind, Mishap, fault_of, mishap_of
from mesh.simulation.judging import judgements
from mesh.simulation.models import SimulatedModel, load_models
from mesh.simulation.prompt_cache import CacheUse, PromptBlock, PromptCache
from mesh.simulation.prompt_reading import (
    PromptReading,
    Wanted,
    catalog_meant,
    read_prompt,
    topic_said,
)
from mesh.simulation.rate_limiting import ModelLimits, ToldLimit
from mesh.simulation.tokens import first_tokens, token_count
from mesh.simulation.writing import (
    REFUSALS,
    WrittenAnswer,
    WrittenEntry,
    lines_of,
    write_entries,
    write_list,
    write_names,
)

OUTPUT_TOKENS_DEFAULT = 16_384
FACETS_REMEMBERED_MAX = 2_000
_SPREAD = (0.75, 1.25)
"""Range around the mean of times to first token and of hidden reasoning."""


class Ending(enum.Enum):
    STOP = "stop"
    LENGTH = "length"
    FILTERED = "filtered"


class Break(enum.Enum):
    """How an answer breaks off."""

    CONNECTION = "connection"
    ERROR_EVENT = "error event"


@dataclass(frozen=True, slots=True)
class Call:
    """One request for an answer, the API's own words taken off."""

    model: SimulatedModel
    blocks: tuple[PromptBlock, ...]
    output_tokens_max: int | None = None
    streamed: bool = False
    list_name: str | None = None
    """The answer has to be JSON, an object that holds one list of texts under this name."""
    cache_key: str = ""
    """OpenAI's calls of one key go to one machine."""


@dataclass(frozen=True, slots=True)
class PlannedAnswer:
    """What will be sent in answer to a call."""

    call: Call
    topic: str
    reading: PromptReading
    text: str
    entries: tuple[WrittenEntry, ...]
    ending: Ending
    outcome: str
    first_token_s: float
    """Simulated seconds until the first token, hidden reasoning included."""
    cache_use: CacheUse
    reasoning_tokens: int = 0
    breaks: Break | None = None
    breaks_after: int = 0
    """Characters that are sent before it breaks off."""

    @property
    def output_tokens(self) -> int:
        return token_count(self.text) + self.reasoning_tokens


@dataclass(slots=True)
class _ModelState:
    """What one model's earlier calls have left behind."""

    limits: ModelLimits
    call_count: int = 0
    under_way_count: int = 0
    cache: PromptCache = field(default_factory=PromptCache)
    knowledge: dict[str, Knowledge] = field(default_factory=dict)


@dataclass(slots=True)
class Simulator:
    """All simulated models of one server. Times are simulated seconds."""

    models: Mapping[str, SimulatedModel]
    shelf: CatalogShelf
    seed: int = 0
    topic: str | None = None
    """Answer every prompt from this topic's catalog; None: from the one that the prompt means."""
    books: Books = field(default_factory=Books)
    _states: dict[str, _ModelState] = field(default_factory=dict)
    _facets: dict[tuple[str, str, float], frozenset[int]] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: SimulatorSettings) -> Simulator:
        """Raises ModelsUnusable; catalogs are read when they are asked for."""
        return cls(
            models=load_models(settings.models_file),
            shelf=CatalogShelf(settings.catalog_files),
            seed=settings.seed,
            topic=settings.topic,
        )

    def warm_up(self) -> None:
        """Read ahead what the first calls need: 50 ms for a large catalog.

        Raises:
            CatalogUnusable: a catalog file cannot be read.
        """
        self.shelf.topics()
        catalog = self.shelf.find(self.topic) if self.topic else None
        if catalog is not None:
            for model in self.models.values():
                self._knowledge(model, catalog)

    def answer(self, call: Call, now_s: float) -> PlannedAnswer | Fault:
        """Plan the answer to `call`, or say why there is none. Raises CatalogUnusable."""
        model, state = call.model, self._state(call.model)
        text = "\n".join(block.text for block in call.blocks)
        state.call_count += 1
        source = self._source(model, text, state.call_count)
        fault = fault_of(model, state.limits, token_count(text), now_s, source)
        if fault is not None:
            return fault
        cache_use = self._cache_use(call, state, now_s)
        if cache_use.prompt_tokens + (call.output_tokens_max or 0) > model.context_tokens:
            return Fault(
                FaultKind.PROMPT_TOO_LONG,
                prompt_tokens=cache_use.prompt_tokens,
                tokens_max=model.context_tokens,
            )
        catalog = self._catalog(text)
        if catalog is None:
            return Fault(FaultKind.UNKNOWN_TOPIC, detail=self._unknown_topic(text))
        return self._planned(call, read_prompt(text, catalog), cache_use, source)

    def answer_begins(self, plan: PlannedAnswer, now_s: float) -> None:
        """The first token is out: from now on other prompts find this one in the cache."""
        self._state(plan.call.model).cache.keep(plan.cache_use, now_s=now_s)

    def work_begins(self, model: SimulatedModel) -> None:
        """An answer is being made from now on."""
        self._state(model).under_way_count += 1

    def work_ends(self, model: SimulatedModel, output_tokens: int, now_s: float) -> None:
        """It has ended somehow, after so many tokens."""
        state = self._state(model)
        state.under_way_count -= 1
        state.limits.answered(output_tokens, now_s)

    def speed_share(self, model: SimulatedModel) -> float:
        """Of its speed, what each of the answers now under way gets, in (0, 1]."""
        if not model.slows_down_at:
            return 1.0
        return min(1.0, model.slows_down_at / max(1, self._state(model).under_way_count))

    def limits_told(self, model: SimulatedModel, now_s: float) -> dict[str, ToldLimit]:
        """What is left of each limit that the model has, by requests and tokens."""
        return self._state(model).limits.told(now_s)

    def _state(self, model: SimulatedModel) -> _ModelState:
        state = self._states.get(model.name)
        if state is None:
            # Not twice, should a thread that warms up ask too.
            state = self._states.setdefault(model.name, _ModelState(ModelLimits.of(model)))
        return state

    def _source(self, model: SimulatedModel, text: str, call_count: int) -> random.Random:
        prompt = blake2b(text.encode(), digest_size=8).hexdigest()
        return random.Random(f"{self.seed}/{model.name}/{prompt}/{call_count}")

    def _cache_use(self, call: Call, state: _ModelState, now_s: float) -> CacheUse:
        model, cache = call.model, state.cache
        tokens_min = model.cache_tokens_min
        if model.api == "anthropic" and model.caches_at_breakpoints:
            return cache.by_breakpoints(call.blocks, tokens_min=tokens_min, now_s=now_s)
        machine = cache.machine(call.blocks, call.cache_key, now_s)
        rule = cache.by_marks if model.caches_at_breakpoints else cache.by_prefix
        return rule(call.blocks, tokens_min=tokens_min, now_s=now_s, machine=machine)

    def _catalog(self, text: str) -> Catalog | None:
        return self.shelf.find(self.topic) if self.topic else catalog_meant(text, self.shelf)

    def _unknown_topic(self, text: str) -> str:
        topic = self.topic or topic_said(text)
        asked = f"the topic '{topic[:200]}'" if topic else "this prompt's topic"
        return (
            f"The simulator does not know {asked}. It knows: {'; '.join(self.shelf.topics())}. "
            f"Another text file of entries can be given with --catalog."
        )

    def _planned(
        self, call: Call, reading: PromptReading, cache_use: CacheUse, source: random.Random
    ) -> PlannedAnswer:
        model = call.model
        mishap = mishap_of(model, source)
        written, outcome = self._written(call, reading, mishap, source)
        reasoning_tokens = round(model.reasoning_tokens * source.uniform(*_SPREAD))
        first_token_s = model.ttft_s * source.uniform(*_SPREAD)
        cap = call.output_tokens_max or OUTPUT_TOKENS_DEFAULT
        reasoning_tokens = min(reasoning_tokens, cap)
        text, ending = first_tokens(written.text, cap - reasoning_tokens), Ending.STOP
        if model.filtered:
            text, ending, outcome = text[: len(text) // 2], Ending.FILTERED, "filtered"
        elif len(text) < len(written.text):
            ending, outcome = Ending.LENGTH, "length"
        elif outcome == "refusal" and call.list_name is not None:
            ending = Ending.FILTERED
        breaks = self._breaks(call, mishap)
        return PlannedAnswer(
            call=call,
            topic=reading.catalog.topic,
            reading=reading,
            text=text,
            entries=tuple(entry for entry in written.entries if entry.end <= len(text)),
            ending=ending,
            outcome="cut" if breaks else outcome,
            first_token_s=first_token_s + reasoning_tokens / model.tokens_per_s,
            cache_use=cache_use,
            reasoning_tokens=reasoning_tokens,
            breaks=breaks,
            breaks_after=int(len(text) * source.random()) if breaks else 0,
        )

    def _breaks(self, call: Call, mishap: Mishap | None) -> Break | None:
        if call.model.fails_in_stream and call.streamed:
            return Break.ERROR_EVENT
        return Break.CONNECTION if mishap is Mishap.CUT else None

    def _written(
        self,
        call: Call,
        reading: PromptReading,
        mishap: Mishap | None,
        source: random.Random,
    ) -> tuple[WrittenAnswer, str]:
        """The whole text, as if no cap ended it, and what to call it in the books."""
        if mishap is Mishap.REFUSAL:
            refusal = source.choice(REFUSALS)  # No list can say it: the API does then.
            return WrittenAnswer(refusal if call.list_name is None else ""), "refusal"
        if mishap is Mishap.EMPTY:
            return WrittenAnswer(""), "empty"
        if reading.wanted is Wanted.FACETS:
            return self._written_facets(call, reading)
        if reading.wanted is Wanted.JUDGEMENT:
            answers = judgements(call.model, reading.catalog, reading.questions, source)
            return _names_answer(call, answers, "\n".join(answers) + "\n"), "ok"
        return self._written_entries(call, reading, source)

    def _written_facets(self, call: Call, reading: PromptReading) -> tuple[WrittenAnswer, str]:
        names = proposed_facets(
            call.model,
            reading.catalog,
            reading.asked_count,
            self.seed,
            within=reading.facet,
            beside=reading.known_facets,
        )
        text = write_names(call.model, names).text if names else NO_FACETS
        answer = _names_answer(call, names or [NO_FACETS.strip()], text)
        return answer, "ok" if names else "dry"

    def _written_entries(
        self, call: Call, reading: PromptReading, source: random.Random
    ) -> tuple[WrittenAnswer, str]:
        model, catalog = call.model, reading.catalog
        drawn = draw(
            model,
            self._knowledge(model, catalog),
            asked_count=reading.asked_count,
            listed=reading.listed,
            inside=self._inside(model, reading),
            source=source,
        )
        other = self.shelf.smallest_other_than(catalog.topic) if model.off_topic_rate else None
        lines = lines_of(
            model,
            catalog,
            drawn.indices,
            asked_count=reading.asked_count,
            other=other,
            source=source,
        )
        answer = write_entries(
            model, catalog, lines, dry=drawn.dry, source=source, list_name=call.list_name
        )
        return answer, "dry" if drawn.dry else "ok"

    def _knowledge(self, model: SimulatedModel, catalog: Catalog) -> Knowledge:
        known = self._state(model).knowledge
        if catalog.topic not in known:
            known[catalog.topic] = knowledge_of(model, catalog, self.seed)
        return known[catalog.topic]

    def _inside(self, model: SimulatedModel, reading: PromptReading) -> frozenset[int] | None:
        if reading.facet is None:
            return None
        key = (reading.catalog.topic, reading.facet, model.facet_miss)
        if key not in self._facets:
            if len(self._facets) >= FACETS_REMEMBERED_MAX:
                self._facets.clear()
            self._facets[key] = entries_of_facet(
                reading.facet, reading.catalog, model.facet_miss, self.seed
            )
        return self._facets[key]


def _names_answer(call: Call, names: Sequence[str], text: str) -> WrittenAnswer:
    """`text`, or `names` as the list that the call wants."""
    return WrittenAnswer(text) if call.list_name is None else write_list(call.list_name, names)
