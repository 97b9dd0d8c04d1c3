"""A made-up run for the page's bench: what its nodes said so far, and what they go on saying.

No LLM and no mesh take part. What the page's cost depends on is the program's own: run.sqlite with
entries, calls, facets, other forms and doubts, written in batches as the collector's storage thread
writes them; the plan, the counters and their history; the members and their heartbeats. Left out
is what the collector does besides (verdicts, its log, output.txt, sockets), which costs the same
with pages and without.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from bench.made_up import made_up_texts
from mesh.core.entries import CallFinished, CallStarted, FacetProposed, Found
from mesh.core.facet_ids import facet_id
from mesh.core.facets import FacetPlan
from mesh.core.items import LogId, NodeId
from mesh.core.metrics import HistoryPoint, RunMetrics
from mesh.core.normalize import item_key
from mesh.storage.database import Batch, ItemRow
from mesh.storage.name_tables import DoubtRow, OtherFormRow

MODELS = tuple(f"simulated:made-up-{number}" for number in range(1, 5))
FACETS = 60
ENTRIES_A_CALL = 40
FORMS = 200
DOUBTS = 40
FORM_EVERY_ENTRIES = 200
"""Then one of what is written is another form of an entry that is listed."""
EARLIER_S = 3600.0
"""The run was so old when the bench began."""
HISTORY_POINTS = 600
CALL_S = 8.0


@dataclass(slots=True)
class Producer:
    """One producer's log, as far as the collector has heard it."""

    log: LogId
    label: str
    model: str
    said: int = 0
    """Its last seq."""
    call: int = 0
    facet: str = ""
    left_count: int = 0
    """Entries that its call has yet to bring."""

    def next_seq(self) -> int:
        self.said += 1
        return self.said


@dataclass(slots=True)
class MadeUpRun:
    """What was said, as batches to store; the counters follow as it is stored."""

    producers: list[Producer]
    seed: int
    metrics: RunMetrics = field(default_factory=RunMetrics)
    plan: FacetPlan = field(default_factory=lambda: FacetPlan(holds_members=False))
    ordinal: int = 0
    """Of the last entry that was said."""
    _texts: Iterator[str] = field(init=False)
    _random: random.Random = field(init=False)
    _form_numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _facet_names: list[str] = field(default_factory=list)
    _turn: int = 0

    def __post_init__(self) -> None:
        self._texts = made_up_texts(10**9, self.seed)
        self._random = random.Random(self.seed)
        self._facet_names = [f"Made-up facet {number}" for number in range(1, FACETS + 1)]

    def planned(self) -> Batch:
        """Who takes part, and the plan: six planning calls of one producer name all facets."""
        batch = Batch(nodes=[(each.log.origin, each.label) for each in self.producers])
        planner = self.producers[0]
        for first in range(0, FACETS, 10):
            parent = self._facet_names[first // 10 - 1] if first else ""
            started = _started(planner.model, parent or None, "facets", first)
            call = planner.next_seq()
            batch.calls_started.append((planner.log, call, started))
            for name in self._facet_names[first : first + 10]:
                parent_id = facet_id(parent) if parent else 0
                proposed = FacetProposed(name, parent_id, call, planner.model)
                batch.facets.append((planner.log, planner.next_seq(), proposed))
            batch.calls_finished.append((planner.log, self._finished(planner, call, 10)))
        self._hear(batch)
        return batch

    def said(self, entries_count: int, t_s: float) -> Batch:
        """The next entries, at most one call's from each producer in turn, with the ends of calls
        and the beginnings of others; at the run's second `t_s`."""
        batch = Batch()
        while entries_count > 0:
            producer = self.producers[self._turn % len(self.producers)]
            self._turn += 1
            part = min(entries_count, max(1, ENTRIES_A_CALL // 10))
            entries_count -= part
            for _ in range(part):
                self._say_entry(producer, batch, t_s)
        self._hear(batch)
        batch.taken_in = {each.log: [(1, each.said)] for each in self.producers}
        return batch

    def _say_entry(self, producer: Producer, batch: Batch, t_s: float) -> None:
        if producer.left_count == 0:
            self._begin_call(producer, batch, t_s)
        producer.left_count -= 1
        self.ordinal += 1
        text = next(self._texts)
        facet = facet_id(producer.facet)
        seq = producer.next_seq()
        batch.items.append(
            ItemRow(
                *(self.ordinal, item_key(text), text, *producer.log, seq),
                *(producer.call, producer.model, t_s, facet),
            )
        )
        if self.ordinal % FORM_EVERY_ENTRIES == 0:
            batch.other_forms.append(self.other_form(producer, self.ordinal, t_s))
        if producer.left_count == 0:
            finished = self._finished(producer, producer.call, ENTRIES_A_CALL)
            batch.calls_finished.append((producer.log, finished))

    def _begin_call(self, producer: Producer, batch: Batch, t_s: float) -> None:
        producer.facet = self._random.choice(self._facet_names)
        producer.call = producer.next_seq()
        producer.left_count = ENTRIES_A_CALL
        started = _started(producer.model, producer.facet, "entries", round(t_s * 1000))
        batch.calls_started.append((producer.log, producer.call, started))

    def _finished(self, producer: Producer, call: int, found: int) -> CallFinished:
        cached = self._random.randrange(500, 2500)
        return CallFinished(
            call=call,
            model=producer.model,
            outcome="ok" if self._random.random() > 0.01 else "retry",
            error=None,
            input_tokens=cached + 500,
            cached_input_tokens=cached,
            output_tokens=12 * found,
            reasoning_tokens=0,
            estimated=False,
            cost_usd=0.0004,
            latency_s=CALL_S * (0.5 + self._random.random()),
            first_token_s=0.6,
            found_count=found,
            repeat_count=found // 10,
        )

    def other_form(self, producer: Producer, ordinal: int, t_s: float) -> OtherFormRow:
        text = f"The other form {next(self._form_numbers)}"
        place = (*producer.log, producer.next_seq(), producer.call)
        return OtherFormRow(
            item_key(text), text, ordinal, "surface", *place, producer.model, 0, t_s
        )

    def doubts(self) -> list[DoubtRow]:
        """Pairs among the first entries."""
        return [DoubtRow(2 * n + 2, 2 * n + 1, "made-up doubt") for n in range(DOUBTS)]

    def _hear(self, batch: Batch) -> None:
        """The plan follows what is heard, not what is stored."""
        for log, seq, started in batch.calls_started:
            self.plan.call_started(log, seq, started)
            self.metrics.call_started((log, seq), started.model, started.reserved_usd)
        for log, seq, proposed in batch.facets:
            self.plan.proposed(log, seq, proposed)
        for item in batch.items:
            log = LogId(NodeId(item.origin), item.epoch)
            found = Found(item.text, item.call, item.model, item.facet)
            self.plan.wrote(log, found, item.key)
        for log, finished in batch.calls_finished:
            self.plan.call_finished(log, finished)
            self.metrics.call_ended((log, finished.call), finished.model)

    def stored(self, batch: Batch) -> None:
        """Count what is on disk now: what the page tells is never ahead of the database."""
        for model in MODELS:
            found = sum(item.model == model for item in batch.items)
            if found:
                self.metrics.count_unique(model, found, batch.items[-1].t_s)
                self.metrics.of(model).duplicates += found // 8
                self.metrics.of(model).rejected += found // 50
        for _, finished in batch.calls_finished:
            self.metrics.count_call(finished)

    def earlier_history(self, entries_count: int) -> list[HistoryPoint]:
        """Points of a run in which `entries_count` came evenly in EARLIER_S."""
        last_minute = round(entries_count * 60 / EARLIER_S)
        each = dict.fromkeys(MODELS, last_minute // len(MODELS))
        return [
            HistoryPoint(
                t_s=round(EARLIER_S * n / HISTORY_POINTS, 1),
                unique_total=entries_count * n // HISTORY_POINTS,
                unique_last_minute=last_minute + n % 7,
                duplicate_rate=0.1 + 0.02 * n / HISTORY_POINTS,
                models={**each, MODELS[n % len(MODELS)]: each[MODELS[0]] + n % 7},
                cost_usd=round(entries_count * n / HISTORY_POINTS * 1e-5, 6),
            )
            for n in range(HISTORY_POINTS)
        ]


def made_up_producers(producers_count: int, epoch: int) -> list[Producer]:
    return [
        Producer(
            LogId(NodeId((number + 1).to_bytes(16, "big")), epoch),
            f"producer-{number + 1}",
            MODELS[number % len(MODELS)],
        )
        for number in range(producers_count)
    ]


def _started(model: str, facet: str | None, purpose: str, started_ms: int) -> CallStarted:
    return CallStarted(model, ENTRIES_A_CALL, facet, started_ms, purpose, 0.002)
