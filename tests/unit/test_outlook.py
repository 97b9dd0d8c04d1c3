"""What a producer gathers from all logs, whatever order they come in."""

from __future__ import annotations

from mesh.core import entries as log
from mesh.core.budget import Purse
from mesh.core.entries import LogEntry
from mesh.core.facets import facet_id
from mesh.core.items import LogId, NodeId
from mesh.core.normalize import item_key
from mesh.core.outlook import Outlook
from mesh.core.rate_limits import Allowances

OWN = LogId(NodeId(b"o" * 16), 1)
OTHER = LogId(NodeId(b"p" * 16), 1)
COLLECTOR = LogId(NodeId(b"c" * 16), 1)
MUSEUMS = facet_id("Museums")


def outlook() -> Outlook:
    return Outlook(OWN, Purse(OWN, is_bounded=False, since_ms=0), Allowances(OWN.origin))


def hear(listener: Outlook, log_id: LogId, *entries: LogEntry, first_seq: int = 1) -> None:
    for seq, entry in enumerate(entries, first_seq):
        listener.apply(log_id, seq, entry, now_s=0.0, now_ms=0)


def found(text: str, facet: int = MUSEUMS) -> log.Found:
    return log.Found(text, 1, "atlas", facet)


def accepted(ordinal: int, text: str, facet: int = MUSEUMS) -> log.Accepted:
    return log.Accepted(ordinal, OTHER.origin, OTHER.epoch, ordinal, text, facet)


def texts_of(listener: Outlook, facet: int) -> list[str]:
    known = listener.known.accepted
    members = listener.plan.members(facet, len(known))
    return [*(known[ordinal - 1] for ordinal in members.ordinals), *members.tail]


def test_what_others_find_is_known_and_belongs_to_the_facet_that_was_asked_for() -> None:
    listener = outlook()
    hear(listener, OTHER, found("Louvre"))
    assert item_key("louvre") in listener.known
    assert texts_of(listener, MUSEUMS) == ["Louvre"]


def test_members_stand_in_the_collector_s_order_however_they_were_heard() -> None:
    listener = outlook()
    hear(listener, COLLECTOR, accepted(2, "Orsay"), accepted(1, "Louvre"))
    hear(listener, OTHER, found("Orsay"), found("Louvre"))
    assert texts_of(listener, MUSEUMS) == ["Louvre", "Orsay"]


def test_what_a_restored_collector_no_longer_holds_stays_a_member() -> None:
    listener = outlook()
    hear(listener, COLLECTOR, accepted(1, "Louvre"), accepted(2, "Orsay"))
    later = LogId(COLLECTOR.origin, 2)
    hear(listener, later, log.EpochOpened(1, b"d" * 16))
    assert len(listener.known.accepted) == 1
    assert texts_of(listener, MUSEUMS) == ["Louvre", "Orsay"]


def test_an_entry_that_a_call_of_its_own_wrote_is_counted_once() -> None:
    listener = outlook()
    listener.known.add(item_key("Louvre"), "Louvre")
    started = log.CallStarted("atlas", 40, "Museums", 0)
    said: list[LogEntry] = [started, found("Louvre")]
    for seq, entry in enumerate(said, 1):
        listener.said(seq, entry, now_s=0.0, now_ms=0)
    hear(listener, COLLECTOR, accepted(1, "Louvre"))
    assert texts_of(listener, MUSEUMS) == ["Louvre"]
    assert len(listener.known) == 1


def test_what_is_learned_while_a_call_is_under_way_is_told_apart() -> None:
    listener = outlook()
    hear(listener, OTHER, found("Louvre"))
    with listener.watching() as arrivals:
        hear(listener, OTHER, found("Louvre"), found("Orsay"), first_seq=2)
    hear(listener, OTHER, found("Rodin"), first_seq=4)
    assert arrivals.keys == {item_key("Orsay")}
    assert arrivals.found_count == {MUSEUMS: 1}


def test_a_call_under_way_leases_its_facet() -> None:
    listener = outlook()
    hear(listener, OTHER, log.CallStarted("atlas", 40, "Museums", 0))
    assert listener.plan.calls.leases() == {MUSEUMS: [OTHER.origin]}


def test_what_the_user_wants_left_out_is_known_and_kept_for_every_list() -> None:
    listener = outlook()
    hear(listener, COLLECTOR, log.Imported("Eiffel Tower"))
    assert item_key("eiffel tower") in listener.known
    assert [*listener.imported] == ["Eiffel Tower"]


def test_a_plan_that_streams_in_shows_that_its_model_answers() -> None:
    listener = outlook()
    hear(listener, OTHER, log.CallStarted("atlas", 30, None, 0, "facets"))
    assert listener.allowances.wait_s("atlas", 100, 0.0) > 0.0
    hear(listener, OTHER, log.FacetProposed("Museums", 0, 1, "atlas"), first_seq=2)
    assert listener.allowances.wait_s("atlas", 100, 0.0) == 0.0
