"""Everything a node may say in its log.

A producer logs what its calls brought, the collector its verdicts and its control; metrics,
costs and known items are derived from these and from nothing else. Each entry stands for itself
(a Found names its model again) because entries apply in whatever order they arrive.

The classes are msgspec structs so that the wire needs no second set: array-like and tagged with
one letter, about 25 bytes beside the text.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

ENTRY_TEXT_CHARACTERS_MAX = 512
NOTE_CHARACTERS_MAX = 400
QUESTIONS_MAX = 20
CANDIDATES_MAX = 5

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=ENTRY_TEXT_CHARACTERS_MAX)]
Note = Annotated[str, msgspec.Meta(max_length=NOTE_CHARACTERS_MAX)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
"""Bounded so that a run's sum stays an integer that the database holds."""
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
"""The bounds keep out NaN and infinity, which would stay in every sum."""
Origin = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
FacetId = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
"""core.facets.facet_id of a facet's name; 0: none, the topic as a whole."""


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of all log entries."""


class CallStarted(Entry, tag="c", frozen=True):
    """A call to an LLM is about to be made; its own seq names the call from now on."""

    model: Note
    asked_count: Count
    facet: Note | None
    started_ms: Count
    purpose: Note = "entries"
    """entries | facets | judgements: what the model is asked for."""
    reserved_usd: Amount | None = None
    """The most that it may cost; None: price unknown. A call whose end is never said counts as
    this much."""
    prompt_tokens: Tokens = 0
    """Estimated; what it takes from a limit on tokens before its end is known."""


class Found(Entry, tag="f", frozen=True):
    """A call wrote an entry that this producer did not know."""

    text: Text
    call: Count
    model: Note
    facet: FacetId = 0
    """That the call asked for."""


class Repeat(Entry, tag="r", frozen=True):
    """A call wrote an entry that this producer knew already."""

    text: Text
    call: Count
    model: Note
    facet: FacetId = 0


class FacetProposed(Entry, tag="p", frozen=True):
    """A planning call named a part of the topic, or of a facet."""

    name: Note
    parent: FacetId
    """The facet that it is a part of; 0: the topic."""
    call: Count
    model: Note


class LimitSeen(Entry, tag="l", frozen=True):
    """A provider said what it allows, by the headers of an answer or by refusing a call."""

    model: Note
    seen_ms: Count
    requests_per_minute: Count | None
    requests_left: Count | None
    tokens_per_minute: Count | None
    tokens_left: Count | None
    reset_s: Amount | None
    """Until the limit on requests is whole again."""
    refused: bool
    """A call was refused for it."""
    wait_s: Amount
    """How long the provider asks to wait; 0: not at all."""
    call: Count = 0
    """Whose answer said so: what is left is what this call left. 0: not known."""
    tokens_reset_s: Amount | None = None
    """Until the limit on tokens is whole again."""


class Rejected(Entry, tag="x", frozen=True):
    """A call wrote something in an entry's place that cannot be one."""

    reason: Note
    text: Note
    call: Count
    model: Note


class CallFinished(Entry, tag="d", frozen=True):
    """A call's end, whatever the end."""

    call: Count
    model: Note
    outcome: Note
    """ok | length | refused | empty | dry (the model said that nothing is left) | cancelled |
    cut (we ended it: it brought too little) | retry | unreachable | give_up | shorten_prompt."""
    error: Note | None
    input_tokens: Tokens
    cached_input_tokens: Tokens
    output_tokens: Tokens
    reasoning_tokens: Tokens
    estimated: bool
    """The counts are ours: the provider did not say."""
    cost_usd: Amount | None
    """None: price unknown."""
    latency_s: Amount
    first_token_s: Amount | None
    cache_write_tokens: Tokens = 0
    found_count: Count = 0
    """Entries that its producer did not know."""
    repeat_count: Count = 0


class Judged(Entry, tag="j", frozen=True):
    """A call's answers to what the collector asked this producer to judge."""

    number: Count
    """Of the JudgementAsked."""
    answers: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=-1, le=CANDIDATES_MAX)], ...],
        msgspec.Meta(max_length=QUESTIONS_MAX),
    ]
    """To each question the number of a candidate, from 1; 0: none of them; -1: no answer."""
    call: Count
    model: Note


class BudgetAsked(Entry, tag="b", frozen=True):
    """What this producer was granted does not pay for its next call: it gives back what is left
    and asks for more. On leaving it gives back alone."""

    granted_usd: Amount
    """The largest grant that it has heard of, so that one which answers this can be told."""
    returned_usd: Amount
    """Given back in all, over all its starts; the largest holds."""
    wanted_usd: Amount
    """What the next call may cost; 0: nothing is wanted."""


class EpochOpened(Entry, tag="O", frozen=True):
    """The collector (re)started holding this much: the first entry of each of its epochs."""

    accepted_count: Count
    accepted_digest: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class Accepted(Entry, tag="A", frozen=True):
    """Verdict: new. Carries the text, so that the collector's log alone holds the whole list."""

    ordinal: Count
    """1, 2, 3, ...: its line in output.txt."""
    origin: Origin
    epoch: Count
    seq: Count
    text: Text
    facet: FacetId = 0
    """Of the Found: with it the collector's log alone tells which entries a facet holds."""


class Duplicate(Entry, tag="D", frozen=True):
    """Verdict: stands in the list already."""

    origin: Origin
    epoch: Count
    seq: Count
    ordinal: Count


class Merged(Entry, tag="N", frozen=True):
    """Verdict: another form of an entry that stands in the list, or is to be left out. Carries its
    text, so that all know the form, whatever becomes of the log it was found in."""

    origin: Origin
    epoch: Count
    seq: Count
    ordinal: Count
    """Of the entry that stands for both; 0: it is to be left out."""
    text: Text
    rule: Note
    """Why, for a person: a rule of core.names, or who judged."""


class Excluded(Entry, tag="E", frozen=True):
    """Verdict: stands in the list of entries to leave out."""

    origin: Origin
    epoch: Count
    seq: Count


class Imported(Entry, tag="I", frozen=True):
    """An entry of the `--exclude` list: known to all, never written."""

    text: Text


class Lost(Entry, tag="L", frozen=True):
    """Entries that no node holds any more; watermarks pass them."""

    origin: Origin
    epoch: Count
    first_seq: Count
    last_seq: Count


class Question(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which of some entries, if any, is the same thing as `text`."""

    text: Text
    candidates: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=CANDIDATES_MAX)]


class JudgementAsked(Entry, tag="Q", frozen=True):
    """Control: this producer is to have its model answer these questions."""

    number: Count
    """No two of a run have the same."""
    origin: Origin
    questions: Annotated[tuple[Question, ...], msgspec.Meta(min_length=1, max_length=QUESTIONS_MAX)]


class StateChanged(Entry, tag="S", frozen=True):
    """Control: what the whole run does from now on."""

    state: Note
    """running | paused | draining | stopped."""
    reason: Note | None


class ModelAssigned(Entry, tag="M", frozen=True):
    """Control: this producer calls this model from its next call on."""

    origin: Origin
    model: Note


class ProducerDismissed(Entry, tag="P", frozen=True):
    """Control: this producer is to finish, hand over and leave, for as long as this start of the
    run lasts; what it has found stays."""

    origin: Origin


class BudgetSet(Entry, tag="G", frozen=True):
    """Control: what the whole run may cost; the latest holds."""

    total_usd: Amount | None
    """None: no cap, and no grant is needed to spend."""


class BudgetGranted(Entry, tag="B", frozen=True):
    """Control: this producer may spend so much in all, over all its starts, less what it gives
    back; the largest holds."""

    origin: Origin
    total_usd: Amount


class TicketIssued(Entry, tag="T", frozen=True):
    """Control: whoever holds the private half of `public_key` may join until then."""

    ticket_id: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
    public_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    expires_ms: Count
    """ms since 1970, on the clock of whoever checks it."""


class TicketRevoked(Entry, tag="t", frozen=True):
    """Control: nobody joins by this ticket any more; who has joined stays."""

    ticket_id: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]


class MemberRevoked(Entry, tag="m", frozen=True):
    """Control: this member's keys are worth nothing from now on; what it said stays."""

    origin: Origin


LogEntry = (
    CallStarted
    | Found
    | Repeat
    | FacetProposed
    | LimitSeen
    | Rejected
    | CallFinished
    | Judged
    | BudgetAsked
    | EpochOpened
    | Accepted
    | Duplicate
    | Merged
    | Excluded
    | Imported
    | Lost
    | JudgementAsked
    | StateChanged
    | ModelAssigned
    | ProducerDismissed
    | BudgetSet
    | BudgetGranted
    | TicketIssued
    | TicketRevoked
    | MemberRevoked
)

_PRODUCERS = (
    *(CallStarted, Found, Repeat, FacetProposed, LimitSeen, Rejected, CallFinished),
    *(Judged, BudgetAsked),
)


def is_collectors(entry: LogEntry) -> bool:
    """Whether only the collector may say this: verdicts and control."""
    return not isinstance(entry, _PRODUCERS)
