"""What the next call asks: which work, how many entries, which list, in which form.

Joins the decisions of core (plan, sizes, listing, pace) and the wording of llm into one call, and
learns from how it ended. It makes no call and says nothing.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from mesh.config import ModelSpec, Tactics
from mesh.core.call_course import AverageYield
from mesh.core.call_sizing import CallOutcome, CallSizes
from mesh.core.entries import JudgementAsked
from mesh.core.facet_calls import ENTRIES, JUDGING, PLANNING
from mesh.core.facets import FacetMembers, LookIn, MoreFacets, PlanTopic, SplitFacet, Work
from mesh.core.listing import AnswerCounts, CachedShares, Costs, Listing, RepeatRates
from mesh.core.normalize import item_key
from mesh.core.outlook import Outlook
from mesh.core.pace import ENTRY_TOKENS, ModelPace
from mesh.llm import prompts
from mesh.llm.answer_format import FormatChoice
from mesh.llm.cache_rules import cache_key, cache_key_shards
from mesh.llm.context_limits import ContextLimits, context_limits, prompt_tokens_max
from mesh.llm.interface import CallProgress, LLMClient, Prompt, Usage
from mesh.llm.judging import judging_prompt, judging_tokens_max
from mesh.llm.pricing import cost_usd
from mesh.llm.prompts import FacetEntries, PromptBuilder, prompt_tokens_estimate
from mesh.llm.usage import shown_tokens

OUTPUT_TOKENS_BESIDE = 400
"""For an introduction and a closing remark, which some models write whatever is asked."""
OUTPUT_MARGIN = 3.0
"""Times what an entry took so far: names differ in length."""
PLANNING_TOKENS_MAX = 1_500
HEAD_ENTRIES = 50
"""The first entries of a run are what comes to mind first: a facet's list begins with so many."""
KNOWN_ENTRIES_MIN = 100
LISTED_TOKENS = 6.0
"""Of one listed entry, about; only ratios follow from it."""
CACHED_RATIO_UNKNOWN = 0.5
PRICE_RATIO_UNKNOWN = 0.25
"""Price of an input token against an output token where prices are unknown: the usual one."""
LISTED_TOKENS_MAX = 12
"""The same at most, so that a prompt fits."""
_INSTRUCTIONS_TOKENS = 300
_SAMPLE_TOKENS = 1_000


@dataclass(frozen=True, slots=True)
class ComposedCall:
    """One call, ready to be made."""

    model: ModelSpec
    work: Work | JudgementAsked
    prompt: Prompt
    prompt_tokens: int
    """Estimated, rather too many."""
    ask_count: int
    output_tokens_max: int
    structured: bool = False
    listing: Listing = Listing.WHOLE
    listed_keys: frozenset[bytes] | None = None
    """None: all that was known is listed."""
    listed_count: int = 0
    overhead_entries: float = 0.0
    """What the call costs beside its entries, in entries."""

    @property
    def facet(self) -> int:
        return self.work.facet if isinstance(self.work, LookIn) else 0

    @property
    def purpose(self) -> str:
        """As CallStarted says it."""
        if isinstance(self.work, LookIn):
            return ENTRIES
        return JUDGING if isinstance(self.work, JudgementAsked) else PLANNING


@dataclass(frozen=True, slots=True)
class AnswerEnding:
    """What an answer to a call for entries has come to."""

    counts: AnswerCounts
    outcome: CallOutcome
    found_count: int


@dataclass(slots=True)
class Composer:
    """Composes one producer's calls."""

    topic: str
    run_id: bytes
    tactics: Tactics
    outlook: Outlook
    random: random.Random
    sizes: CallSizes = field(default_factory=CallSizes)
    rates: RepeatRates = field(default_factory=RepeatRates)
    cached: CachedShares = field(default_factory=CachedShares)
    formats: FormatChoice = field(default_factory=FormatChoice)
    average: AverageYield = field(default_factory=AverageYield)
    _prompts: PromptBuilder = field(init=False)
    _paces: dict[str, ModelPace] = field(default_factory=dict)
    _known_max: dict[str, int] = field(default_factory=dict)
    _context_limits: dict[str, ContextLimits] = field(default_factory=dict)
    _told_max: dict[str, int] = field(default_factory=dict)
    """Tokens of prompt and answer together, as the provider has said."""

    def __post_init__(self) -> None:
        self._prompts = PromptBuilder(self.topic)

    def pace(self, model: ModelSpec) -> ModelPace:
        return self._paces.setdefault(model.spec, ModelPace())

    def compose(
        self, model: ModelSpec, client: LLMClient, work: Work | JudgementAsked
    ) -> ComposedCall:
        """The call of `model` for `work`, with all that is known at this moment."""
        if isinstance(work, JudgementAsked):
            return self._judging(model, work)
        if not isinstance(work, LookIn):
            return self._planning(model, work)
        listing = self._listing(model, work)
        overhead = self._overhead_entries(model, self._listed_count(listing, work))
        ask_count = self.tactics.ask_count or self.sizes.ask_count(
            model.spec, work.facet, overhead_entries=overhead
        )
        if work.ask_max is not None:
            ask_count = min(ask_count, work.ask_max)
        prompt, keys, listed_count = self._listed(model, work, listing, ask_count)
        tokens = prompt_tokens_estimate(prompt)
        structured = self.tactics.structured and self.formats.choose(
            model.spec,
            structured_possible=client.structured_possible,
            cold_share=self._cold_share(model, listing, tokens, ask_count),
        )
        prefix = str(work.facet) if listing is Listing.FACET else "all"
        key = cache_key(self.run_id, model.spec, prefix, self._cache_shard(model))
        return ComposedCall(
            model=model,
            work=work,
            prompt=replace(prompt, cache_key=key),
            prompt_tokens=tokens,
            ask_count=ask_count,
            output_tokens_max=self._output_tokens_max(model, ask_count),
            structured=structured,
            listing=listing,
            listed_keys=keys,
            listed_count=listed_count,
            overhead_entries=self.pace(model).overhead_entries(
                prompt_cost_tokens=tokens * self._price_ratio(model)
            ),
        )

    def shorten(self, model: ModelSpec, tokens_max: int | None) -> None:
        """The last prompt was too long for `model`: list half as much from now on, or what it
        has said that it takes."""
        listed_max = self._known_max.get(model.spec, prompts.KNOWN_ENTRIES_MAX)
        listed_max = min(listed_max, len(self.outlook.known)) // 2
        if tokens_max is not None:
            self._told_max[model.spec] = tokens_max
        self._known_max[model.spec] = max(KNOWN_ENTRIES_MIN, listed_max)

    def ended(self, ending: AnswerEnding, composed: ComposedCall, progress: CallProgress) -> None:
        """Learn from an answer that was read to its end, or cut."""
        model, outcome = composed.model.spec, ending.outcome
        self.rates.answered(model, ending.counts)
        usage = progress.usage
        if usage is not None and not usage.estimated:
            tokens = usage.cached_input_tokens, usage.input_tokens
            self.cached.answered(model, composed.listing, *tokens)
        self.sizes.finished(model, composed.facet, outcome)
        self.average.finished(ending.found_count, outcome.written_count, composed.overhead_entries)
        self.formats.finished(
            model,
            progress.structured,
            unique_count=ending.found_count,
            output_tokens=shown_tokens(progress),
        )

    def _judging(self, model: ModelSpec, asked: JudgementAsked) -> ComposedCall:
        prompt, count = judging_prompt(self.topic, asked.questions), len(asked.questions)
        tokens = prompt_tokens_estimate(prompt)
        return ComposedCall(model, asked, prompt, tokens, count, judging_tokens_max(count))

    def _planning(self, model: ModelSpec, work: Work) -> ComposedCall:
        match work:
            case PlanTopic(count=count):
                prompt = prompts.facets_prompt(self.topic, count)
            case SplitFacet(name=name, count=count):
                prompt = prompts.split_facet_prompt(self.topic, name, count)
            case MoreFacets(count=count, known=known):
                prompt = prompts.more_facets_prompt(self.topic, count, known)
            case _:
                raise AssertionError(work)
        tokens = prompt_tokens_estimate(prompt)
        return ComposedCall(model, work, prompt, tokens, count, PLANNING_TOKENS_MAX)

    def _listing(self, model: ModelSpec, work: LookIn) -> Listing:
        wanted = self.tactics.listing
        if work.name is None or wanted in ("whole", "none"):
            return Listing.WHOLE
        if wanted == "facet":
            return Listing.FACET
        entry_tokens = self.pace(model).entry_tokens
        costs = Costs(
            entry=entry_tokens,
            listed_entry={each: self._listed_cost_tokens(model, each) for each in Listing},
            beside=self._overhead_entries(model, 0) * entry_tokens,
        )
        return self.rates.choose(
            model.spec,
            whole_count=self._listed_count(Listing.WHOLE, work),
            facet_count=self._listed_count(Listing.FACET, work),
            ask_count=self.sizes.ask_count(model.spec, work.facet, overhead_entries=0.0),
            costs=costs,
        )

    def _listed_count(self, listing: Listing, work: LookIn) -> int:
        if listing is Listing.FACET:
            entries = self._facet_entries(work)
            return len(entries.ordinals) + len(entries.tail)
        return 0 if self.tactics.listing == "none" else len(self.outlook.known)

    def _facet_entries(self, work: LookIn) -> FacetEntries:
        """What a list of this facet alone carries: the entries that models stray to most, those
        of the facets that it is a part of, its own, and what the user wants left out."""
        members = self._members(work)
        own = set(members.ordinals)
        head = range(1, min(HEAD_ENTRIES, len(self.outlook.known.accepted)) + 1)
        before = [each for each in dict.fromkeys([*head, *members.related]) if each not in own]
        tail = dict.fromkeys([*self.outlook.imported, *members.tail])
        return FacetEntries([*before, *members.ordinals], [*tail])

    def _members(self, work: LookIn) -> FacetMembers:
        return self.outlook.plan.members(work.facet, len(self.outlook.known.accepted))

    def _listed(
        self, model: ModelSpec, work: LookIn, listing: Listing, ask_count: int
    ) -> tuple[Prompt, frozenset[bytes] | None, int]:
        """The prompt, the keys that it lists (None: all that are known) and how many."""
        known = self.outlook.known
        listed_max = self._listed_max(model, ask_count)
        if listing is Listing.FACET and work.name is not None:
            entries = self._facet_entries(work)
            prompt = self._prompts.build_for_facet(
                known.accepted,
                entries,
                facet=work.name,
                ask_count=ask_count,
                known_count=len(known),
                known_entries_max=listed_max,
            )
            texts = [known.accepted[each - 1] for each in entries.ordinals]
            keys = frozenset(map(item_key, (*texts, *entries.tail)))
            return prompt, keys, len(keys)
        if self.tactics.listing == "none":
            listed_max = 0
        accepted: Sequence[str] = known.accepted
        fresh: Iterable[str] = known.fresh()
        if not self.tactics.sealed_chunks:
            accepted, fresh = [], [*known.fresh(), *reversed(known.accepted)]
        prompt = self._prompts.build(
            accepted,
            fresh,
            ask_count=ask_count,
            facet=work.name,
            known_entries_max=listed_max,
        )
        return prompt, None, min(listed_max, len(known))

    def _overhead_entries(self, model: ModelSpec, listed_count: int) -> float:
        prompt_tokens = _INSTRUCTIONS_TOKENS + LISTED_TOKENS * listed_count
        return self.pace(model).overhead_entries(
            prompt_cost_tokens=prompt_tokens * self._price_ratio(model)
        )

    def _listed_max(self, model: ModelSpec, ask_count: int) -> int:
        """Entries that a prompt may list: what the model's context holds, or what it has said."""
        said_max = self._known_max.get(model.spec, prompts.KNOWN_ENTRIES_MAX)
        if model.spec not in self._context_limits:
            self._context_limits[model.spec] = context_limits(model)
        tokens_max = prompt_tokens_max(
            self._context_limits[model.spec],
            self._output_tokens_max(model, ask_count),
            told_max=self._told_max.get(model.spec),
        )
        if tokens_max is None:
            return said_max
        room = max(0, tokens_max - _INSTRUCTIONS_TOKENS) // LISTED_TOKENS_MAX
        return max(KNOWN_ENTRIES_MIN, min(said_max, room))

    def _output_tokens_max(self, model: ModelSpec, ask_count: int) -> int:
        entry_tokens = max(self.pace(model).entry_tokens, ENTRY_TOKENS)
        return round(ask_count * entry_tokens * OUTPUT_MARGIN) + OUTPUT_TOKENS_BESIDE

    def _listed_cost_tokens(self, model: ModelSpec, listing: Listing) -> float:
        """Output tokens that cost as much as one listed entry."""
        spared = self.cached.share(model.spec, listing) * (1.0 - self._cached_ratio(model))
        return LISTED_TOKENS * self._price_ratio(model) * (1.0 - spared)

    def _cold_share(
        self, model: ModelSpec, listing: Listing, prompt_tokens: int, ask_count: int
    ) -> float:
        """What a prompt costs more that is in no cache, as a share of the answer's cost."""
        spared = self.cached.share(model.spec, listing) * (1.0 - self._cached_ratio(model))
        answer_tokens = ask_count * self.pace(model).entry_tokens
        return prompt_tokens * self._price_ratio(model) * spared / answer_tokens

    def _cache_shard(self, model: ModelSpec) -> int:
        """Producers share a cache key as far as a provider keeps it on one machine."""
        calls = self.outlook.plan.calls.calls_a_minute(model.spec)
        return int.from_bytes(self.outlook.own.origin[:4], "big") % cache_key_shards(calls)

    def _price_ratio(self, model: ModelSpec) -> float:
        """An input token's price against an output token's."""
        written = _sample_usd(model, output_tokens=_SAMPLE_TOKENS)
        return _ratio(_sample_usd(model, input_tokens=_SAMPLE_TOKENS), written, PRICE_RATIO_UNKNOWN)

    def _cached_ratio(self, model: ModelSpec) -> float:
        """The price of an input token that is read from a cache against one that is not."""
        read = _sample_usd(model, input_tokens=_SAMPLE_TOKENS, cached_tokens=_SAMPLE_TOKENS)
        return _ratio(read, _sample_usd(model, input_tokens=_SAMPLE_TOKENS), CACHED_RATIO_UNKNOWN)


@functools.cache
def _sample_usd(
    model: ModelSpec, *, input_tokens: int = 0, cached_tokens: int = 0, output_tokens: int = 0
) -> float | None:
    return cost_usd(model, Usage(input_tokens, cached_tokens, output_tokens))


def _ratio(one: float | None, other: float | None, unknown: float) -> float:
    return one / other if one is not None and other else unknown
