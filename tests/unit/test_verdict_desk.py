"""What a collector makes of its own past: it was restored from an old copy of its directory.

The database is SQLite's in memory; nothing waits, nothing is sent.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from mesh.core.entries import Accepted, Duplicate, EpochOpened, Found, LogEntry
from mesh.core.item_query import ItemQuery
from mesh.core.items import LogId, NodeId
from mesh.core.known import DIGEST_MODULUS, digest_bytes, key_digest
from mesh.core.ledger import Ledger
from mesh.core.membership import Member, Role
from mesh.core.metrics import RunMetrics
from mesh.core.normalize import item_key
from mesh.core.seqset import SeqSet
from mesh.nodes.collecting.verdicts import UNKNOWN_MODEL, VerdictDesk
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.storage.database import RunDatabase
from mesh.wire import codec
from tests.fuzz.attacked_node import MemoryShelf, SilentTransport
from tests.simulation.disks import new_database
from tests.simulation.virtual_clock import VirtualClock

RUN = b"the run of tests"
COLLECTOR = NodeId(b"c" * 16)
LOG = LogId(NodeId(b"p" * 16), 1)
MODEL = "simulated:atlas"
EPOCH = 100
PLACES = "Louvre", "Orsay", "Panthéon"


@dataclass
class Restored:
    """A collector that has accepted PLACES, seqs 1..3 of LOG, and was then started again."""

    database: RunDatabase = field(default_factory=lambda: RunDatabase(new_database()))
    desk: VerdictDesk = field(init=False)
    node: MeshNode = field(init=False)

    def __post_init__(self) -> None:
        self._start(EPOCH)
        self.desk.add(LOG, 1, [Found(place, 1, MODEL) for place in PLACES])
        self.settle()
        self._start(EPOCH + 1)

    def _start(self, epoch: int) -> None:
        clock = VirtualClock()
        own = Member(COLLECTOR, "collector", Role.COLLECTOR, epoch, "", "", "here")
        self.node = MeshNode(own, RUN, self, MemoryShelf(own.log), random.Random(1), clock)
        self.node.attach(SilentTransport(clock))
        ledger = Ledger()
        ledger.restore(self.database.accepted_keys(), self.database.beside_keys())
        taken_in = self.database.taken_in()
        for log, seqs in taken_in.items():
            self.node.replica.restore(log, SeqSet.of_ranges(seqs.ranges()))
        self.desk = VerdictDesk(
            node=self.node,
            ledger=ledger,
            metrics=RunMetrics(self.database.model_totals(), self.database.history()),
            taken_in=taken_in,
            run_time_s=clock.time,
            call_finished=lambda *_: None,
        )

    def hear_past(self, *entries: LogEntry) -> list[LogEntry]:
        """Hear that it said `entries` in an epoch that it forgot; return what it says to that."""
        self.desk.hear_own_past(entries, self.database)
        return self.settle()

    def settle(self) -> list[LogEntry]:
        """Decide and store what is queued; return what it says in its own log."""
        said: list[LogEntry] = []
        while self.desk.has_work():
            under_way = self.desk.begin()
            stored = self.database.ordinals_of(self.desk.ledger.to_look_up(under_way.keys()))
            batch = self.desk.decide(under_way, stored)
            self.database.commit(batch)
            self.desk.publish(batch)
            for own in batch.own_frames:
                said += codec.decode_entries(own.frame, codec.decode_header(own.frame, RUN))
        return said

    @property
    def models(self) -> dict[str, str]:
        """Who is credited, by accepted text."""
        rows = self.database.pages.items(ItemQuery(limit=99))["items"]
        return {row["text"]: row["model"] for row in rows}

    # What the node asks of its owner

    def apply(self, log: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None: ...

    def durable(self, log: LogId, last_seq: int) -> None: ...

    def members_changed(self) -> None: ...

    def known_summary(self) -> tuple[int, bytes]:
        return 0, bytes(16)

    def activity_and_model(self) -> tuple[str, str]:
        return "", ""

    def join_refused(self, reason: str) -> None: ...

    def overtaken(self, epoch: int) -> None: ...


@pytest.fixture
def restored() -> Restored:
    return Restored()


def accepted(ordinal: int, seq: int, text: str, log: LogId = LOG) -> Accepted:
    return Accepted(ordinal, log.origin, log.epoch, seq, text)


def opened(*texts: str) -> EpochOpened:
    """What an epoch begins with when `texts` are accepted."""
    digest = sum(key_digest(item_key(text)) for text in texts) % DIGEST_MODULUS
    return EpochOpened(len(texts), digest_bytes(digest))


# The list, where the past contradicts it


def test_a_past_beyond_the_list_is_void_and_nothing_is_said_of_it(restored: Restored) -> None:
    past = opened(*PLACES), accepted(4, 4, "Sacré-Cœur")
    assert restored.hear_past(*past) == []
    assert restored.desk.opened_count == 3


@pytest.mark.parametrize("past", [opened("Louvre"), accepted(2, 9, "Another copy's second")])
def test_a_past_that_began_below_the_list_has_the_rest_of_it_said_anew(
    restored: Restored, past: LogEntry
) -> None:
    assert restored.hear_past(past) == [
        opened("Louvre"),
        accepted(2, 2, "Orsay"),
        accepted(3, 3, "Panthéon"),
    ]
    assert restored.desk.opened_count == 1


def test_what_was_said_anew_is_not_said_again_unless_an_earlier_past_turns_up(
    restored: Restored,
) -> None:
    restored.hear_past(accepted(2, 9, "Another copy's second"))
    assert restored.hear_past(accepted(3, 10, "Another copy's third")) == []
    said = restored.hear_past(accepted(1, 8, "Another copy's first"))
    assert said == [opened(), *(accepted(n, n, text) for n, text in enumerate(PLACES, 1))]


# What had been accepted and is found nowhere any more


def test_what_had_been_accepted_is_looked_for(restored: Restored) -> None:
    elsewhere = LogId(NodeId(b"e" * 16), 5)
    restored.hear_past(accepted(4, 4, "Sacré-Cœur"), accepted(5, 2, "Moulin Rouge", elsewhere))
    assert restored.node.replica.vector() == [(elsewhere, 2), (LOG, 4)]
    assert restored.node.replica.missing_count == 3


def test_what_had_been_accepted_and_nobody_holds_is_taken_in_from_the_past(
    restored: Restored,
) -> None:
    restored.hear_past(accepted(4, 4, "Sacré-Cœur"), accepted(5, 6, "Moulin Rouge"))
    restored.desk.recover(LOG, 4, 6)
    assert restored.settle() == [accepted(4, 4, "Sacré-Cœur"), accepted(5, 6, "Moulin Rouge")]
    assert restored.models["Sacré-Cœur"] == UNKNOWN_MODEL
    assert restored.models["Louvre"] == MODEL


def test_only_what_is_lost_is_taken_in_from_the_past(restored: Restored) -> None:
    another = LogId(LOG.origin, 2)
    restored.hear_past(accepted(4, 4, "Sacré-Cœur"), accepted(5, 6, "Moulin Rouge"))
    restored.desk.recover(another, 1, 9)
    restored.desk.recover(LOG, 5, 6)
    assert restored.settle() == [accepted(4, 6, "Moulin Rouge")]


def test_what_was_lost_before_its_acceptance_is_heard_is_taken_in_at_once(
    restored: Restored,
) -> None:
    restored.node.replica.declare_lost(LOG, 4, 4, now_s=0.0)
    assert restored.hear_past(accepted(4, 4, "Sacré-Cœur")) == [accepted(4, 4, "Sacré-Cœur")]


def test_what_came_of_itself_is_not_taken_in_from_the_past_too(restored: Restored) -> None:
    restored.hear_past(accepted(4, 4, "Sacré-Cœur"))
    restored.desk.add(LOG, 4, [Found("Sacré-Cœur", 2, MODEL)])
    restored.desk.recover(LOG, 4, 4)
    assert restored.settle() == [accepted(4, 4, "Sacré-Cœur")]
    assert restored.models["Sacré-Cœur"] == MODEL


def test_what_turns_up_after_it_was_taken_in_from_the_past_is_no_duplicate(
    restored: Restored,
) -> None:
    restored.hear_past(accepted(4, 4, "Sacré-Cœur"))
    restored.desk.recover(LOG, 4, 4)
    restored.settle()
    restored.desk.add(LOG, 4, [Found("Sacré-Cœur", 2, MODEL), Found("Orsay", 2, MODEL)])
    assert restored.settle() == [Duplicate(LOG.origin, LOG.epoch, 5, ordinal=2)]


def test_what_the_database_holds_is_not_taken_in_from_the_past(restored: Restored) -> None:
    restored.hear_past(*(accepted(n, n, text) for n, text in enumerate(PLACES, 1)))
    restored.desk.recover(LOG, 1, 3)
    assert restored.settle() == []
