"""The simulator's books: what was called, what it used, and the truth about what was written.

Tests and benches read them over HTTP and compare them with what the mesh recorded. An entry
counts as written once all of it was sent. Prices are no concern here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mesh.config import Api
from mesh.simulation.writing import WrittenEntry

CALLS_KEPT_MAX = 50_000
"""Calls kept one by one; the oldest are dropped then. The sums keep counting."""
CALLS_LISTED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call, ended."""

    id: str
    """As the answer named itself; of a call that failed, its request id."""
    model: str
    api: Api
    status: int
    outcome: str
    """`ok`, `length`, `dry`, `refusal`, `empty`, `filtered`, `cut`, `cancelled`, or a failure."""
    topic: str = ""
    facet: str | None = None
    streamed: bool = False
    asked_count: int = 0
    listed_count: int = 0
    entry_count: int = 0
    input_tokens: int = 0
    """The whole prompt's, cached ones included, whatever the API's own rule."""
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    number: int = 0
    """1, 2, 3, … in order of ending."""


@dataclass(slots=True)
class ModelBooks:
    """Sums of one model's calls."""

    calls: int = 0
    calls_failed: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    entries_written: int = 0
    repeats_of_listed: int = 0
    """Entries written although the prompt listed them."""
    off_topic: int = 0
    distinct: int = 0
    """Catalog entries written at least once."""


@dataclass(slots=True)
class Books:
    """Everything since the server started."""

    _models: dict[str, ModelBooks] = field(default_factory=dict)
    _written: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    """Topic -> model -> indices of entries written."""
    _calls: deque[CallRecord] = field(default_factory=lambda: deque(maxlen=CALLS_KEPT_MAX))
    _call_count: int = 0

    def record(
        self,
        call: CallRecord,
        written: Sequence[WrittenEntry] = (),
        listed: frozenset[int] = frozenset(),
    ) -> None:
        """Enter one ended call and the entries that were sent whole."""
        self._call_count += 1
        self._calls.append(replace(call, number=self._call_count, entry_count=len(written)))
        sums = self._models.setdefault(call.model, ModelBooks())
        sums.calls += 1
        sums.calls_failed += call.status != 200 or call.outcome == "cut"
        sums.input_tokens += call.input_tokens
        sums.cached_input_tokens += call.cached_input_tokens
        sums.cache_write_tokens += call.cache_write_tokens
        sums.output_tokens += call.output_tokens
        sums.reasoning_tokens += call.reasoning_tokens
        self._enter_entries(call, sums, written, listed)

    def summary(self) -> dict[str, Any]:
        """The sums by model and in all, and how much of each topic was written."""
        models = {name: asdict(sums) for name, sums in sorted(self._models.items())}
        names = asdict(ModelBooks())
        totals = {name: sum(each[name] for each in models.values()) for name in names}
        written = self._written.items()
        topics = {topic: len(_union(by_model.values())) for topic, by_model in written if topic}
        totals["distinct"] = sum(topics.values())
        return {"models": models, "totals": totals, "topics": topics}

    def written_indices(self, topic: str, model: str | None = None) -> set[int]:
        """Entries of `topic` written so far, by anyone or by one model."""
        by_model = self._written.get(topic, {})
        return _union(by_model.values()) if model is None else set(by_model.get(model, ()))

    def calls(self, after: int, limit: int) -> dict[str, Any]:
        """Calls with a number above `after`, in order; `next` goes on, null at the end."""
        dropped_count = self._call_count - len(self._calls)
        start = max(0, after - dropped_count)
        listed = [self._calls[at] for at in range(start, min(start + limit, len(self._calls)))]
        more = start + len(listed) < len(self._calls)
        return {
            "calls": [asdict(call) for call in listed],
            "next": listed[-1].number if listed and more else None,
            "dropped": dropped_count,
        }

    def _enter_entries(
        self,
        call: CallRecord,
        sums: ModelBooks,
        written: Iterable[WrittenEntry],
        listed: frozenset[int],
    ) -> None:
        known = self._written.setdefault(call.topic, {}).setdefault(call.model, set())
        for entry in written:
            sums.entries_written += 1
            if entry.index is None:
                sums.off_topic += 1
                continue
            sums.repeats_of_listed += entry.index in listed
            sums.distinct += entry.index not in known
            known.add(entry.index)


def _union(sets: Iterable[set[int]]) -> set[int]:
    return set().union(*sets)
