"""The collector's way from log entries to a batch of verdicts and facts, with no waiting in it.

Entries are queued as they arrive; a batch takes as many as are there, has the ledger decide, and
holds all that is to be stored together. Who stores it, in which thread and how often it is tried,
is intake.py's; once it is stored, `publish` tells the mesh. What the ledger needs to know of keys
and names stands between `begin` and `decide`, so that it may be found out elsewhere.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mesh.core import entries as log
from mesh.core.budget import Treasury
from mesh.core.doubtful import Settled
from mesh.core.entries import LogEntry
from mesh.core.facets import FacetPlan
from mesh.core.items import EntryId, FoundEntry, LogId, NodeId
from mesh.core.known import DIGEST_MODULUS, digest_bytes, key_digest
from mesh.core.ledger import Ledger, Verdict, Waits
from mesh.core.listed_names import ListedNames, NewName
from mesh.core.metrics import HistoryPoint, RunMetrics
from mesh.core.normalize import item_key
from mesh.core.seqset import SeqSet
from mesh.nodes.collecting import facts
from mesh.nodes.peer.mesh_node import MeshNode, SaidFrame
from mesh.storage.database import Batch, OwnFrame, RunDatabase
from mesh.storage.name_tables import WaitingRow

BATCH_ENTRIES_MAX = 4096
NAMED_BATCH_ENTRIES_MAX = 512
"""The same where names are looked at, a third of a millisecond each: a batch is stored and told
within a quarter of a second."""
EXCLUDED_NAMES_MAX = 50_000
"""Of the entries to leave out, so many are known under other names too."""
PAST_MAX = 1_000_000
"""Entries accepted in a forgotten past that are remembered until they come again."""
UNKNOWN_MODEL = "unknown"
"""Who is credited with an entry of which only its acceptance is left."""


def list_anew(database: RunDatabase, first_ordinal: int) -> list[LogEntry]:
    """What a collector says when its own past contradicts its list: everything from
    `first_ordinal` on once more, in the present epoch, which is the latest."""
    held = list(database.acceptances())
    before, after = held[: first_ordinal - 1], held[first_ordinal - 1 :]
    digest = sum(key_digest(item_key(text)) for *_, text, _ in before) % DIGEST_MODULUS
    opened = log.EpochOpened(len(before), digest_bytes(digest))
    return [opened, *(log.Accepted(*acceptance) for acceptance in after)]


@dataclass(frozen=True, slots=True)
class Said:
    """One entry of a producer's log, placed."""

    log: LogId
    seq: int
    entry: LogEntry


@dataclass(slots=True)
class BatchUnderWay:
    """Entries taken from the queue, with the keys of those that a call found."""

    said: list[Said]
    found: list[FoundEntry]
    to_exclude: list[str] = field(default_factory=list)
    """Names of entries to leave out that have come since the batch before."""
    named: dict[bytes, NewName] = field(default_factory=dict)
    """What the names of those keys are that are new."""

    def keys(self) -> list[bytes]:
        return [each.key for each in self.found]


@dataclass(slots=True)
class VerdictDesk:
    """Queue and decision of one collector."""

    node: MeshNode
    ledger: Ledger
    metrics: RunMetrics
    taken_in: dict[LogId, SeqSet]
    """Decided entries of each log, those of the batch under way included."""
    run_time_s: Callable[[], float]
    """Seconds of the run so far, over all its starts."""
    call_finished: Callable[[LogId, log.CallFinished, int], None]
    """Told of every finished call and how many accepted entries it brought."""
    treasury: Treasury = field(default_factory=lambda: Treasury(None))
    """Told of every entry as it is heard: nothing may wait that keeps a budget."""
    plan: FacetPlan = field(default_factory=lambda: FacetPlan(holds_members=False))
    """Told of every entry as it is heard, as the producers' plans are."""
    has_judge: bool = False
    """Whether producers are asked about names in doubt."""
    durable: dict[LogId, int] = field(init=False)
    """Up to where each log is on disk."""
    heard_cost_usd: float = field(init=False)
    """Known costs of all calls heard of, those included that wait to be stored: a full disk must
    not hide what is spent."""
    stored_count: int = field(init=False)
    """Accepted entries that are on disk."""
    opened_count: int = field(init=False)
    """Accepted entries when this epoch was opened; fewer where the list was said anew since."""
    waiting_count: int = 0
    """Entries in the queue."""
    _queue: deque[tuple[LogId, int, Sequence[LogEntry]]] = field(default_factory=deque)
    _to_say: list[LogEntry] = field(default_factory=list)
    _history: list[HistoryPoint] = field(default_factory=list)
    _meta: dict[str, str] = field(default_factory=dict)
    _excluded: list[tuple[bytes, str]] = field(default_factory=list)
    _accepted_by_call: Counter[tuple[LogId, int]] = field(default_factory=Counter)
    _placed: list[SaidFrame] = field(default_factory=list)
    _past: dict[tuple[LogId, int], str] = field(default_factory=dict)
    """Texts accepted in epochs that the database does not know of, not taken in since."""
    _recovered: set[tuple[LogId, int]] = field(default_factory=set)
    _nodes: list[tuple[NodeId, str]] = field(default_factory=list)
    """As the last batch that had any stores them: they seldom change."""
    _settled: list[Settled] = field(default_factory=list)
    _to_exclude: list[str] = field(default_factory=list)
    _waited: set[tuple[LogId, int]] = field(default_factory=set)
    """Entries that waited for a judge when the collector was started again."""

    def __post_init__(self) -> None:
        self.durable = {log_id: seqs.upto for log_id, seqs in self.taken_in.items()}
        self.heard_cost_usd = self.metrics.cost_usd
        self.stored_count = self.opened_count = self.ledger.accepted_count

    def open_epoch(self) -> None:
        """Queue what each epoch begins with: how many are accepted."""
        digest = digest_bytes(self.ledger.accepted_digest)
        self.say(log.EpochOpened(self.ledger.accepted_count, digest))

    def hear_own_past(self, entries: Sequence[LogEntry], database: RunDatabase) -> None:
        """Take in what this collector said in an epoch that its database does not know of.

        It was restored from an old copy. What it said after the copy was made is void by the
        count that the present epoch opened with; but where that epoch began below it (there were
        two copies, or its clock was slow), nobody could tell which list to believe: it is said
        anew.
        """
        said = [entry.accepted_count + 1 for entry in entries if isinstance(entry, log.EpochOpened)]
        said += [entry.ordinal for entry in entries if isinstance(entry, log.Accepted)]
        first_ordinal = max(1, min(said, default=self.opened_count + 1))
        if first_ordinal <= self.opened_count:
            self.opened_count = first_ordinal - 1
            self.say(*list_anew(database, first_ordinal))
        for entry in entries:
            if isinstance(entry, (log.Accepted, log.Merged)):
                self._remember_past(entry)
            elif isinstance(entry, log.BudgetGranted):
                self.treasury.hear_own_past(entry)

    def _remember_past(self, verdict: log.Accepted | log.Merged) -> None:
        log_id, seq = LogId(NodeId(verdict.origin), verdict.epoch), verdict.seq
        if seq in self.taken_in.get(log_id, SeqSet()) or len(self._past) >= PAST_MAX:
            return
        self._past[log_id, seq] = verdict.text
        # Perhaps nobody else knows that the log went so far, or even its origin any more: then
        # nobody would look for it.
        self.node.replica.announce(log_id, seq, self.node.clock.time())
        if self.node.replica.is_lost(log_id, seq):
            self.recover(log_id, seq, seq)

    def recover(self, log_id: LogId, first_seq: int, last_seq: int) -> None:
        """Take in, of entries that nobody holds any more, those whose acceptance is known: what
        has stood in the list is not lost with the log that it was found in."""
        lost = SeqSet.of_ranges([(first_seq, last_seq)])
        places = [place for place in self._past if place[0] == log_id and place[1] in lost]
        for place in sorted(places):
            text = self._past.pop(place)
            self._recovered.add(place)
            self._queue_up(log_id, place[1], [log.Found(text, 0, UNKNOWN_MODEL)])

    def add(self, log_id: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        """Queue entries that are new to this collector."""
        if self._past or self._recovered:
            for seq, entry in enumerate(entries, first_seq):
                self._past.pop((log_id, seq), None)
                if (log_id, seq) not in self._recovered:
                    self._queue_up(log_id, seq, [entry])
        else:
            self._queue_up(log_id, first_seq, entries)

    def _queue_up(self, log_id: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        self._queue.append((log_id, first_seq, entries))
        self.waiting_count += len(entries)
        for seq, entry in enumerate(entries, first_seq):
            self.treasury.apply(log_id, seq, entry)
            self.plan.apply(log_id, seq, entry)
            if isinstance(entry, log.CallFinished):
                self.heard_cost_usd += entry.cost_usd or 0.0
            elif isinstance(entry, log.Judged):
                self._settled += self.ledger.doubtful.answered(log_id.origin, entry)

    def say(self, *entries: LogEntry) -> None:
        """Queue entries of the collector's own log, behind the verdicts of what is queued."""
        self._to_say.extend(entries)

    def exclude(self, rows: Sequence[tuple[bytes, str]]) -> None:
        """Queue new (key, text) rows of the exclude list."""
        for key, text in rows:
            self.ledger.exclude(key)
            self._to_say.append(log.Imported(text))
        self._excluded.extend(rows)
        self._to_exclude.extend(text for _, text in rows[:EXCLUDED_NAMES_MAX])

    def remember(self, **meta: str) -> None:
        """Queue values of the table `meta`."""
        self._meta.update(meta)

    def add_history(self, point: HistoryPoint) -> None:
        """Store a point with the next batch; it is not worth one of its own."""
        self._history.append(point)

    def restore_names(self, database: RunDatabase) -> None:
        """Take up the names of what is stored; a tenth of a millisecond each."""
        if self.ledger.names is not None:
            self.ledger.names.restore(
                database.accepted_texts(),
                database.excluded_texts(EXCLUDED_NAMES_MAX),
                database.names.other_forms(),
            )

    def restore_waiting(self, database: RunDatabase) -> None:
        """Look anew at what waited for a judge."""
        for waiting in database.names.waiting():
            self._waited.add((waiting.log, waiting.seq))
            self._queue.append((waiting.log, waiting.seq, [waiting.found]))
            self.waiting_count += 1

    def judge(self, producers: Sequence[NodeId], *, now_s: float, now_ms: int) -> None:
        """Have those that are in doubt judged by the models of `producers`."""
        doubtful, names = self.ledger.doubtful, self.ledger.names
        if not len(doubtful) or names is None:
            return
        if not self.has_judge:
            self._settled += doubtful.give_up()
            return
        self._settled += doubtful.overdue(now_s, set(producers).__contains__)
        self.say(*doubtful.ask(producers, names, now_s=now_s, now_ms=now_ms))

    def has_work(self) -> bool:
        waits = self._queue or self._to_say or self._excluded or self._meta or self._settled
        return bool(waits)

    def begin(self) -> BatchUnderWay:
        """Take the next entries from the queue."""
        said: list[Said] = []
        entries_max = NAMED_BATCH_ENTRIES_MAX if self.ledger.names else BATCH_ENTRIES_MAX
        while self._queue and len(said) < entries_max:
            log_id, first_seq, entries = self._queue.popleft()
            said += [Said(log_id, first_seq + n, entry) for n, entry in enumerate(entries)]
        self.waiting_count -= len(said)
        found = [
            FoundEntry(
                EntryId(each.log.origin, each.log.epoch, each.seq),
                item_key(each.entry.text),
                each.entry.text,
                each.entry.facet,
                each.entry.call,
                each.entry.model,
            )
            for each in said
            if isinstance(each.entry, log.Found)
        ]
        to_exclude, self._to_exclude = self._to_exclude, []
        return BatchUnderWay(said, found, to_exclude)

    def to_name(
        self, under_way: BatchUnderWay, stored: Mapping[bytes, int]
    ) -> dict[bytes, FoundEntry]:
        """What a batch holds whose key is new."""
        if self.ledger.names is None:
            return {}
        new: dict[bytes, FoundEntry] = {}
        for found in under_way.found:
            if found.key not in stored and self.ledger.doubtful.of_key(found.key) is None:
                new.setdefault(found.key, found)
        return new

    def name(
        self,
        under_way: BatchUnderWay,
        stored: Mapping[bytes, int],
        vectors: Mapping[str, Any] | None = None,
    ) -> None:
        """Find out what the names of a batch are whose keys are new; in any thread, while no batch
        is being decided.

        Args:
            vectors: of what names mean, by text, as far as there are any.
        """
        names = self.ledger.names
        if names is None:
            return
        vectors = vectors or {}
        for text in under_way.to_exclude:
            names.exclude(text, vectors.get(text))
        for key, found in self.to_name(under_way, stored).items():
            under_way.named[key] = names.take(found.text, vectors.get(found.text))

    def decide(self, under_way: BatchUnderWay, stored: Mapping[bytes, int]) -> Batch:
        """Decide what was begun and place the verdicts in the own log.

        Args:
            stored: ordinals of those keys that `ledger.to_look_up` named and the database holds.
        """
        batch = Batch()
        own_entries = self._decide(under_way, stored, batch) + self._to_say
        self._collect_state(batch)
        self._placed = self.node.place(own_entries)
        epoch = self.node.own.epoch
        batch.own_frames = [OwnFrame(epoch, f.first_seq, f.count, f.frame) for f in self._placed]
        return batch

    def publish(self, batch: Batch) -> None:
        """Tell the mesh what is stored now."""
        self.node.tell(self._placed)
        newly_durable = {log_id: self.taken_in[log_id].upto for log_id in batch.taken_in}
        self.durable |= newly_durable
        self.stored_count += len(batch.items)
        self.node.publish_durable(newly_durable)

    def _decide(
        self, under_way: BatchUnderWay, stored: Mapping[bytes, int], batch: Batch
    ) -> list[LogEntry]:
        """Fill `batch` with facts; return the verdicts for the own log."""
        t_s = round(self.run_time_s(), 3)
        settled = self._settle(batch, t_s)
        known = {found.key: facts.ordinal_of(verdict) for found, verdict in settled}
        verdicts = self.ledger.decide(
            under_way.found,
            {**stored, **known},
            under_way.named,
            judged_from_s=self.node.clock.time() if self.has_judge else None,
        )
        keyed = iter(zip(under_way.found, verdicts, strict=True))
        decided = []
        for each in under_way.said:
            if isinstance(each.entry, log.Found):
                found, verdict = next(keyed)
                if isinstance(verdict, Waits):
                    batch.waiting.append(WaitingRow(each.log, each.seq, each.entry))
                else:
                    decided.append((found, verdict))
                if self._waited and (each.log, each.seq) in self._waited:
                    self._waited.remove((each.log, each.seq))
                    batch.settled.append(found.id)
            else:
                self._count(each, batch)
            seqs = self.taken_in.setdefault(each.log, SeqSet())
            seqs.add_range(each.seq, each.seq)
        self._note(decided, batch, t_s)
        for found, verdict in decided:
            if isinstance(verdict, log.Accepted) and found.key in under_way.named:
                batch.doubts += facts.doubts(
                    self._names, verdict.ordinal, under_way.named[found.key]
                )
            elif isinstance(verdict, log.Merged) and found.key in under_way.named:
                batch.doubts += facts.bridged(self._names, verdict, under_way.named[found.key])
        batch.taken_in = {each.log: self.taken_in[each.log].ranges() for each in under_way.said}
        return [verdict for _, verdict in (*settled, *decided) if not isinstance(verdict, Waits)]

    @property
    def _names(self) -> ListedNames:
        assert self.ledger.names is not None
        return self.ledger.names

    def _settle(self, batch: Batch, t_s: float) -> list[tuple[FoundEntry, Verdict]]:
        """Decide what has waited for a judge and waits no more."""
        waited, self._settled = self._settled, []
        verdicts: list[tuple[FoundEntry, Verdict]] = []
        for settled in waited:
            decided = self.ledger.settle(settled)
            head = decided[0][1]
            if isinstance(head, log.Accepted):
                name = settled.held.name
                batch.doubts += facts.doubts(self._names, head.ordinal, name, settled.judge)
            batch.settled += [found.id for found, _ in decided]
            verdicts += decided
        self._note(verdicts, batch, t_s)
        return verdicts

    def _note(
        self, decided: Sequence[tuple[FoundEntry, Verdict]], batch: Batch, t_s: float
    ) -> None:
        """Put verdicts among the facts and count them."""
        unique: Counter[str] = Counter()
        for found, verdict in decided:
            if isinstance(verdict, log.Accepted):
                unique[found.model] += 1
                log_id = LogId(found.id.origin, found.id.epoch)
                self._accepted_by_call[log_id, found.call] += 1
                batch.items.append(facts.item_row(verdict, found, t_s))
                continue
            self.metrics.of(found.model).duplicates += 1
            if isinstance(verdict, log.Merged):
                batch.other_forms.append(facts.other_form_row(verdict, found, t_s))
        for model, count in unique.items():
            self.metrics.count_unique(model, count, t_s)

    def _count(self, said: Said, batch: Batch) -> None:
        entry = said.entry
        if isinstance(entry, log.Repeat):
            self.metrics.of(entry.model).duplicates += 1
        elif isinstance(entry, log.Rejected):
            self.metrics.of(entry.model).rejected += 1
        elif isinstance(entry, log.FacetProposed):
            batch.facets.append((said.log, said.seq, entry))
        elif isinstance(entry, log.CallStarted):
            self.metrics.of(entry.model)
            self.metrics.call_started((said.log, said.seq), entry.model, entry.reserved_usd)
            batch.calls_started.append((said.log, said.seq, entry))
        elif isinstance(entry, log.CallFinished):
            self.metrics.count_call(entry)
            self.metrics.call_ended((said.log, entry.call), entry.model)
            batch.calls_finished.append((said.log, entry))
            accepted_count = self._accepted_by_call.pop((said.log, entry.call), 0)
            self.call_finished(said.log, entry, accepted_count)

    def _collect_state(self, batch: Batch) -> None:
        batch.excluded, batch.meta, batch.history = self._excluded, self._meta, self._history
        self._to_say, self._excluded, self._meta, self._history = [], [], {}, []
        batch.model_totals = dict(self.metrics.models)
        batch.accounts = self.treasury.changed_rows()
        nodes = [(m.origin, m.label) for m in self.node.membership.all()]
        if nodes != self._nodes:
            batch.nodes = self._nodes = nodes
