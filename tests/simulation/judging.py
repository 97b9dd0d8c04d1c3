"""Whether a healed mesh has converged, and whether all of what was said is where it belongs.

The measure is taken from the disks, not from what any node believes: whatever a frame on the disk
of a present node holds was not destroyed, so every node must know it and the database hold it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from operator import attrgetter

from mesh.core import entries as log
from mesh.core.entries import LogEntry
from mesh.core.item_query import ItemQuery
from mesh.core.items import LogId
from mesh.core.metrics import ModelCounts
from mesh.core.normalize import item_key
from mesh.core.seqset import SeqSet
from mesh.nodes.collecting.verdicts import UNKNOWN_MODEL
from mesh.nodes.peer.hearing import RECORDS_EPOCH
from mesh.storage.database import RunDatabase
from mesh.storage.node_log import StoredFrame
from mesh.wire.codec import decode_entries, decode_header
from tests.simulation.collectors import ScriptedCollector
from tests.simulation.disks import CollectorDisk, rows
from tests.simulation.producers import ScriptedProducer
from tests.simulation.surroundings import RUN, ScriptedProcess, Violation
from tests.simulation.watching import taken_in
from tests.simulation.world import Slot, World

Place = tuple[LogId, int]


_figures_of = attrgetter(*(each.name for each in fields(ModelCounts)))
_VERDICTS = (log.Accepted, log.Duplicate, log.Merged, log.Excluded)


def why_not_converged(world: World) -> str | None:
    """What still differs between nodes, or is still to be done; None: nothing."""
    processes: list[ScriptedProcess] = []
    for slot in world.present():
        if slot.process is None:
            return f"{slot.label} is down"
        processes.append(slot.process)
    if not all(producer.is_through for producer in world.producers()):
        return "producers have more to say"
    if any(slot.script is not None and slot.script.leaves for slot in world.present()):
        return "the leaver cannot hand over"
    collector = world.collector
    assert collector is not None
    if not collector.is_idle:
        return "the collector is at work"
    return _what_differs(processes) or _what_passes_for_lost(world, processes)


def _what_passes_for_lost(world: World, processes: list[ScriptedProcess]) -> str | None:
    """A node may take for lost what another can still serve, but not for long."""
    if not any(process.node.replica.lost_count for process in processes):
        return None
    held = held_on_disks(world.present())
    for process in processes:
        for log_id, seqs in held.logs.items():
            for first, last in seqs.ranges():
                if any(process.node.replica.is_lost(log_id, n) for n in range(first, last + 1)):
                    return f"{process.around.label} takes {log_id} {first}..{last} for lost"
    return None


def _what_differs(processes: list[ScriptedProcess]) -> str | None:
    for process in processes:
        missing_count = process.node.replica.missing_count
        if missing_count:
            return f"{process.around.label} misses {missing_count} entries"
    for name, of in _FIGURES.items():
        figures = {process.around.label: of(process) for process in processes}
        if any(figure != next(iter(figures.values())) for figure in figures.values()):
            return f"{name} differ: {figures}"
    return None


def _known(process: ScriptedProcess) -> object:
    count, digest = process.node.owner.known_summary()
    return count, digest.hex()[:8]


def _vector(process: ScriptedProcess) -> object:
    return [(str(log_id), seq) for log_id, seq in process.node.replica.vector()]


_FIGURES: dict[str, Callable[[ScriptedProcess], object]] = {
    "passed counts": lambda process: process.node.replica.passed_count,
    "known entries": _known,
    "members": lambda process: process.node.membership.digest().hex()[:8],
    "vectors": _vector,
}


@dataclass(slots=True)
class Held:
    """All log entries on the disks of present nodes."""

    entries: dict[Place, LogEntry] = field(default_factory=dict)
    logs: dict[LogId, SeqSet] = field(default_factory=dict)
    keys: set[bytes] = field(default_factory=set)
    """Of everything that any of the entries names."""

    def add(self, log_id: LogId, first_seq: int, entries: list[LogEntry]) -> None:
        self.logs.setdefault(log_id, SeqSet()).add_range(first_seq, first_seq + len(entries) - 1)
        for seq, entry in enumerate(entries, first_seq):
            self.entries[log_id, seq] = entry
            if isinstance(entry, (log.Found, log.Accepted, log.Merged, log.Imported)):
                self.keys.add(item_key(entry.text))

    def of_producers(self, collector: bytes) -> Iterator[tuple[Place, LogEntry]]:
        for place, entry in self.entries.items():
            if place[0].origin != collector:
                yield place, entry


def held_on_disks(slots: list[Slot]) -> Held:
    """Read every frame that any of these nodes has on its disk."""
    frames: dict[tuple[LogId, int], StoredFrame] = {}
    for slot in slots:
        for log_id, stored in [*slot.disk.own_frames(), *slot.disk.spool.frames()]:
            frames[log_id, stored.first_seq] = stored
        if isinstance(slot.disk, CollectorDisk):
            query = "SELECT epoch, first_seq, count, frame FROM own_log"
            for epoch, first_seq, count, frame in rows(slot.disk.connection, query):
                log_id = LogId(slot.disk.origin, epoch)
                frames[log_id, first_seq] = StoredFrame(first_seq, count, frame)
    held = Held()
    for (log_id, first_seq), stored in frames.items():
        if log_id.epoch != RECORDS_EPOCH:
            entries = decode_entries(stored.frame, decode_header(stored.frame, RUN))
            held.add(log_id, first_seq, entries)
    return held


def judge(world: World) -> bool:
    """Check all that must hold once a mesh has converged; Violation names what does not.

    Returns whether the metrics could be counted anew.
    """
    slots = world.present()
    held = held_on_disks(slots)
    collector = world.collector
    assert collector is not None
    for slot in slots:
        assert slot.process is not None
        _nothing_held_is_missing(slot.label, slot.process, held)
    _database_holds_everything(collector, held)
    _lists_are_equal(world, collector)
    _verdicts_are_single(collector, held)
    return _metrics_equal_the_logs(collector, held)


def _nothing_held_is_missing(label: str, process: ScriptedProcess, held: Held) -> None:
    for log_id, seqs in held.logs.items():
        progress = process.node.replica._logs.get(log_id)
        applied = progress.passed.without(progress.lost) if progress else SeqSet()
        for first, last in seqs.ranges():
            missing = SeqSet.of_ranges([(first, last)]).without(applied).ranges()
            if missing:
                raise Violation("nothing_lost", f"{label} lacks {log_id} {missing}")
    if isinstance(process, ScriptedProducer):
        unknown = [key for key in held.keys if key not in process.known]
        if unknown:
            raise Violation("nothing_lost", f"{label} does not know {unknown}")


def _database_holds_everything(collector: ScriptedCollector, held: Held) -> None:
    """Whatever a producer said and is held anywhere has its place in the final list."""
    connection = collector._files.connection
    stored = taken_in(connection)
    keys = {key for (key,) in rows(connection, "SELECT key FROM items")}
    keys |= {key for (key,) in rows(connection, "SELECT key FROM excluded")}
    keys |= {key for (key,) in rows(connection, "SELECT key FROM other_forms")}
    for (log_id, seq), entry in held.of_producers(collector.origin):
        if seq not in stored.get(log_id, SeqSet()):
            raise Violation("nothing_lost", f"{log_id} {seq} was not taken in: {entry}")
        if isinstance(entry, log.Found) and item_key(entry.text) not in keys:
            raise Violation("nothing_lost", f"{entry} is not in the final list")


def _lists_are_equal(world: World, collector: ScriptedCollector) -> None:
    """The database, output.txt and every producer have the same entries in the same order."""
    stored = rows(
        collector._files.connection, "SELECT ordinal, key, text FROM items ORDER BY ordinal"
    )
    if [ordinal for ordinal, _, _ in stored] != list(range(1, len(stored) + 1)):
        raise Violation("ordinals", f"{[ordinal for ordinal, _, _ in stored]}")
    if [key for _, key, _ in stored] != world.database.accepted:
        raise Violation("accepted_stay", "accepted entries have changed")
    texts = [text for _, _, text in stored]
    if collector._files.output.lines != texts:
        raise Violation("output", f"output.txt is not what the database holds: {texts}")
    for producer in world.producers():
        accepted = list(producer.known.accepted)
        if accepted != texts:
            differing = _first_difference(accepted, texts)
            raise Violation("equal_lists", f"{producer.around.label} has another list: {differing}")
        if len(producer.known) != len(set(map(item_key, texts))) + _beside(collector):
            raise Violation("equal_lists", f"{producer.around.label} knows what is in no list")


def _beside(collector: ScriptedCollector) -> int:
    """Excluded entries and other forms: known, in no list."""
    query = "SELECT (SELECT count(*) FROM excluded) + (SELECT count(*) FROM other_forms)"
    return int(rows(collector._files.connection, query)[0][0])


def _first_difference(one: list[str], other: list[str]) -> str:
    for ordinal, (mine, theirs) in enumerate(zip(one, other, strict=False), 1):
        if mine != theirs:
            return f"{ordinal} is {mine!r}, not {theirs!r}"
    return f"{len(one)} entries, not {len(other)}"


def _verdicts_are_single(collector: ScriptedCollector, held: Held) -> None:
    """The collector's own log, as its database has it, decides each found entry once."""
    decided: Counter[tuple[bytes, int, int]] = Counter()
    ordinal_of: dict[tuple[bytes, int, int], int] = {}
    database = collector.database
    for epoch, last_seq in database.own_epochs():
        for frame in database.own_frames(epoch, 1, last_seq, 1 << 30):
            for entry in decode_entries(frame, decode_header(frame, RUN)):
                if not isinstance(entry, _VERDICTS):
                    continue
                place = entry.origin, entry.epoch, entry.seq
                ordinal = entry.ordinal if isinstance(entry, log.Accepted) else 0
                # A collector that was overtaken says its list anew: that is the same verdict.
                decided[place] += not (ordinal and ordinal_of.get(place) == ordinal)
                if ordinal:
                    ordinal_of[place] = ordinal
    twice = [place for place, count in decided.items() if count > 1]
    if twice:
        raise Violation("decided_once", f"{twice}")
    if sorted(ordinal_of.values()) != list(range(1, len(ordinal_of) + 1)):
        raise Violation("ordinals", f"the collector's log gives {sorted(ordinal_of.values())}")
    for (log_id, seq), entry in held.of_producers(collector.origin):
        if isinstance(entry, log.Found) and (log_id.origin, log_id.epoch, seq) not in decided:
            raise Violation("decided_once", f"{log_id} {seq} has no verdict: {entry}")


def _metrics_equal_the_logs(collector: ScriptedCollector, held: Held) -> bool:
    """Counting all logs anew gives what the collector counted as it went; False where this
    cannot be told.

    Where an entry that was taken in is on no disk any more, the logs cannot be counted anew; nor
    where one was taken in by its acceptance alone and its log turned up later.
    """
    stored = taken_in(collector._files.connection)
    if UNKNOWN_MODEL in collector.desk.metrics.models or any(
        (log_id, seq) not in held.entries for log_id, seq in _places(stored)
    ):
        return False
    counted = collector.desk.metrics.models
    recounted = _recount(collector.database, collector, held)
    for name, totals in (("memory", counted), ("database", collector.database.model_totals())):
        if _plain(totals) != _plain(recounted):
            raise Violation("metrics", f"{name}: {_plain(totals)} where logs: {_plain(recounted)}")
    return True


def _places(stored: dict[LogId, SeqSet]) -> Iterator[Place]:
    for log_id, seqs in stored.items():
        for first, last in seqs.ranges():
            for seq in range(first, last + 1):
                yield log_id, seq


def _plain(totals: dict[str, ModelCounts]) -> dict[str, tuple[object, ...]]:
    """Only models of which something was counted."""
    return {
        model: figures
        for model, counts in sorted(totals.items())
        if any(figures := _figures_of(counts))
    }


def _recount(
    database: RunDatabase, collector: ScriptedCollector, held: Held
) -> dict[str, ModelCounts]:
    models: dict[str, ModelCounts] = {}
    for _, entry in held.of_producers(collector.origin):
        if isinstance(entry, (log.Found, log.Repeat, log.Rejected, log.CallFinished)):
            counts = models.setdefault(entry.model, ModelCounts())
            counts.duplicates += isinstance(entry, (log.Found, log.Repeat))
            counts.rejected += isinstance(entry, log.Rejected)
            if isinstance(entry, log.CallFinished):
                counts.count_call(entry)
    for item in database.pages.items(ItemQuery(limit=1_000_000))["items"]:
        models[item["model"]].unique += 1
        models[item["model"]].duplicates -= 1
    return models
