"""What simulated models wrote in one run, entry by entry, and the truth about it.

Truth is the catalog's: an entry counts once, whatever its spelling; a second alias and what is
off topic are waste. Figures are taken at the moment at which a count of distinct entries was
reached: of a call under way then, its prompt counts whole and its answer as far as it was sent.
Prices are virtual_prices.py's.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.simulation.answering import PlannedAnswer
from mesh.simulation.tokens import token_count


@dataclass(frozen=True, slots=True)
class Written:
    """One entry, sent whole."""

    at_s: float
    call: int
    index: int | None
    """In the catalog; None: off topic."""
    output_tokens: int
    """Of its answer up to here."""


@dataclass(slots=True)
class RecordedCall:
    """One call that got an answer."""

    producer: int
    model: str
    started_s: float
    asked_count: int
    facet: str | None
    inside: frozenset[int] | None
    """Entries of that facet, as the model takes it; None: none was asked for."""
    wanted: str
    listed: frozenset[int]
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    cacheable_tokens: int
    """Of the part of the prompt that stays as it is from call to call; 0 where that is shorter
    than the model's cache takes."""
    told_before_tokens: int
    """Of these, what an earlier call had told this model already: the most that any cache holds."""
    ended_s: float | None = None
    outcome: str = ""
    output_tokens: int = 0
    written: list[Written] = field(default_factory=list)

    def output_tokens_by(self, at_s: float) -> int:
        """Sent until then, to the last whole entry of an answer under way."""
        if self.ended_s is not None and self.ended_s <= at_s:
            return self.output_tokens
        return max((each.output_tokens for each in self.written if each.at_s <= at_s), default=0)


class Waste(enum.Enum):
    """Why an entry brought nothing."""

    OFF_TOPIC = "off_topic"
    LISTED = "listed"
    """It stood in the prompt."""
    STRAY = "stray"
    """Outside of the facet asked for; written before the call started, but not in its prompt."""
    UNTOLD = "untold"
    """Written somewhere before the call started, but not in its prompt."""
    COLLISION = "collision"
    """Another call has written it since this one started."""
    AGAIN = "again"
    """Twice in one answer."""


@dataclass(slots=True)
class Record:
    """One run, as it goes."""

    calls: list[RecordedCall] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    """In order of time."""
    refused_count: int = 0
    """Calls that got an error for an answer."""
    _distinct: set[int] = field(default_factory=set)

    @property
    def distinct_count(self) -> int:
        return len(self._distinct)

    def begin(self, call: RecordedCall) -> int:
        """Enter a call whose answer has been accepted; returns its number."""
        self.calls.append(call)
        return len(self.calls) - 1

    def refused(self) -> None:
        self.refused_count += 1

    def sent(self, number: int, plan: PlannedAnswer, characters: int, now_s: float) -> None:
        """Enter what is whole of the first `characters` of the answer."""
        call = self.calls[number]
        for entry in plan.entries[len(call.written) :]:
            if entry.end > characters:
                return
            written = Written(now_s, number, entry.index, token_count(plan.text[: entry.end]))
            call.written.append(written)
            self.written.append(written)
            if entry.index is not None:
                self._distinct.add(entry.index)

    def end(self, number: int, plan: PlannedAnswer, characters: int, now_s: float) -> None:
        call = self.calls[number]
        call.ended_s = now_s
        call.outcome = "cut" if plan.breaks else plan.outcome
        if characters < len(plan.text) and not plan.breaks:
            call.outcome = "cancelled"
        reasoning_tokens = plan.reasoning_tokens if characters else 0
        call.output_tokens = token_count(plan.text[:characters]) + reasoning_tokens


@dataclass(frozen=True, slots=True)
class CallUse:
    """What one call had used by a moment."""

    model: str
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stood when it had found `distinct_count` entries."""

    distinct_count: int
    at_s: float
    generated_count: int
    wasted: dict[str, int]
    """Entries that brought nothing, by Waste."""
    calls: tuple[CallUse, ...]
    unique_output_tokens: int
    """Of the entries that were new, alone: what a run without any waste would have written."""
    cacheable_tokens: int
    """From the tenth call on."""
    cached_tokens: int
    """Of these, read from a cache."""
    told_before_tokens: int
    """Of these, told to the same model before."""
    cached_told_before_tokens: int
    """Of those, read from a cache."""

    @property
    def duplicate_share(self) -> float:
        return sum(self.wasted.values()) / max(1, self.generated_count)

    @property
    def limit_share(self) -> float:
        """The duplicate share with the collisions between concurrent calls taken out."""
        rest = sum(self.wasted.values()) - self.wasted.get(Waste.COLLISION.value, 0)
        return rest / max(1, self.generated_count)


CACHES_WARM_AT_CALL = 10


def standing(record: Record, distinct_count: int) -> Standing | None:
    """How it stood at that count; None when it was never reached."""
    end = _position(record.written, distinct_count)
    if end is None:
        return None
    at_s = record.written[end - 1].at_s if end else 0.0
    begun = [call for call in record.calls if call.started_s <= at_s]
    warm = begun[CACHES_WARM_AT_CALL - 1 :]
    wasted, unique_output_tokens = _judged(record, end)
    return Standing(
        distinct_count=distinct_count,
        at_s=at_s,
        generated_count=end,
        wasted=wasted,
        calls=tuple(
            CallUse(
                call.model,
                call.input_tokens,
                call.cached_tokens,
                call.cache_write_tokens,
                call.output_tokens_by(at_s),
            )
            for call in begun
        ),
        unique_output_tokens=unique_output_tokens,
        cacheable_tokens=sum(call.cacheable_tokens for call in warm),
        cached_tokens=sum(min(call.cached_tokens, call.cacheable_tokens) for call in warm),
        told_before_tokens=sum(call.told_before_tokens for call in warm),
        cached_told_before_tokens=sum(
            min(call.cached_tokens, call.told_before_tokens) for call in warm
        ),
    )


def timeline(record: Record, points: int) -> list[tuple[float, int, float]]:
    """(seconds, distinct entries, duplicate share so far) at about `points` moments."""
    step = max(1, len(record.written) // points)
    seen: set[int] = set()
    line = []
    for count, each in enumerate(record.written, 1):
        if each.index is not None:
            seen.add(each.index)
        if count % step == 0 or count == len(record.written):
            line.append((each.at_s, len(seen), 1.0 - len(seen) / count))
    return line


def _position(written: Sequence[Written], distinct_count: int) -> int | None:
    """How many entries were written when the distinct ones reached `distinct_count`."""
    seen: set[int] = set()
    for position, each in enumerate(written, 1):
        if each.index is not None:
            seen.add(each.index)
            if len(seen) == distinct_count:
                return position
    return None


def _judged(record: Record, end: int) -> tuple[dict[str, int], int]:
    """Why entries brought nothing, and the tokens of those that did not."""
    first: dict[int, Written] = {}
    wasted: Counter[str] = Counter()
    tokens_before: Counter[int] = Counter()
    unique_tokens = 0
    for each in record.written[:end]:
        tokens = each.output_tokens - tokens_before[each.call]
        tokens_before[each.call] = each.output_tokens
        earlier = None if each.index is None else first.setdefault(each.index, each)
        if earlier is each:
            unique_tokens += tokens
        else:
            wasted[_why(record.calls[each.call], each, earlier).value] += 1
    return dict(wasted), unique_tokens


def _why(call: RecordedCall, written: Written, earlier: Written | None) -> Waste:
    if earlier is None:
        return Waste.OFF_TOPIC
    if earlier.call == written.call:
        return Waste.AGAIN
    if written.index in call.listed:
        return Waste.LISTED
    if earlier.at_s > call.started_s:
        return Waste.COLLISION
    outside = call.inside is not None and written.index not in call.inside
    return Waste.STRAY if outside else Waste.UNTOLD
