"""The collector's way from log entries to a batch of verdicts and facts, with no waiting in it.

Entries are queued as they arrive; a batch takes as many as are there, has the ledger decide, and
holds all that is to be stored together. Who stores it, in which thread and how often it is tried,
is intake.py's; once it is stored, `publish` tells the mesh. The look-ups that the ledger needs
stand between `begin` and `decide`, so that they may be made elsewhere.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mesh.core import entries as log
from mesh.core.budget import Treasury
from mesh.core.entries import LogEntry
from mesh.core.facets import FacetPlan
from mesh.core.items import EntryId, LogId, NodeId
from mesh.core.known import DIGEST_MODULUS, digest_bytes, key_digest
from mesh.core.ledger import FoundEntry, Ledger
from mesh.core.metrics import HistoryPoint, RunMetrics
from mesh.core.normalize import item_key
from mesh.core.seqset import SeqSet
from mesh.nodes.peer.mesh_node import MeshNode, SaidFrame
from mesh.storage.database import Batch, ItemRow, OwnFrame, RunDatabase

BATCH_ENTRIES_MAX = 4096
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
            if isinstance(entry, log.Accepted):
                self._remember_past(entry)
            elif isinstance(entry, log.BudgetGranted):
                self.treasury.hear_own_past(entry)

    def _remember_past(self, accepted: log.Accepted) -> None:
        log_id, seq = LogId(NodeId(accepted.origin), accepted.epoch), accepted.seq
        if seq in self.taken_in.get(log_id, SeqSet()) or len(self._past) >= PAST_MAX:
            return
        self._past[log_id, seq] = accepted.text
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

    def say(self, *entries: LogEntry) -> None:
        """Queue entries of the collector's own log, behind the verdicts of what is queued."""
        self._to_say.extend(entries)

    def exclude(self, rows: Sequence[tuple[bytes, str]]) -> None:
        """Queue new (key, text) rows of the exclude list."""
        for key, text in rows:
            self.ledger.exclude(key)
            self._to_say.append(log.Imported(text))
        self._excluded.extend(rows)

    def remember(self, **meta: str) -> None:
        """Queue values of the table `meta`."""
        self._meta.update(meta)

    def add_history(self, point: HistoryPoint) -> None:
        """Store a point with the next batch; it is not worth one of its own."""
        self._history.append(point)

    def has_work(self) -> bool:
        return bool(self._queue or self._to_say or self._excluded or self._meta)

    def begin(self) -> BatchUnderWay:
        """Take the next entries from the queue."""
        said: list[Said] = []
        while self._queue and len(said) < BATCH_ENTRIES_MAX:
            log_id, first_seq, entries = self._queue.popleft()
            said += [Said(log_id, first_seq + n, entry) for n, entry in enumerate(entries)]
        self.waiting_count -= len(said)
        found = [
            FoundEntry(
                EntryId(each.log.origin, each.log.epoch, each.seq),
                item_key(each.entry.text),
                each.entry.text,
                each.entry.facet,
            )
            for each in said
            if isinstance(each.entry, log.Found)
        ]
        return BatchUnderWay(said, found)

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
        verdicts = self.ledger.decide(under_way.found, stored)
        keyed = iter(zip(under_way.found, verdicts, strict=True))
        t_s = round(self.run_time_s(), 3)
        unique: Counter[str] = Counter()
        for each in under_way.said:
            if isinstance(each.entry, log.Found):
                decided, verdict = next(keyed)
                if isinstance(verdict, log.Accepted):
                    unique[each.entry.model] += 1
                    self._accepted_by_call[each.log, each.entry.call] += 1
                    batch.items.append(_item_row(verdict, decided.key, each.entry, t_s))
                else:
                    self.metrics.of(each.entry.model).duplicates += 1
            else:
                self._count(each, batch)
            seqs = self.taken_in.setdefault(each.log, SeqSet())
            seqs.add_range(each.seq, each.seq)
        for model, count in unique.items():
            self.metrics.count_unique(model, count, t_s)
        batch.taken_in = {each.log: self.taken_in[each.log].ranges() for each in under_way.said}
        return list(verdicts)

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
        batch.nodes = [(m.origin, m.label) for m in self.node.membership.all()]


def _item_row(verdict: log.Accepted, key: bytes, found: log.Found, t_s: float) -> ItemRow:
    return ItemRow(
        verdict.ordinal,
        key,
        verdict.text,
        verdict.origin,
        verdict.epoch,
        verdict.seq,
        found.call,
        found.model,
        t_s,
        found.facet,
    )
