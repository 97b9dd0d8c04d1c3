"""Which tickets hold."""

from __future__ import annotations

import pytest

from mesh.core.admission import TicketBook, TicketRefused
from mesh.core.entries import Imported, LogEntry, TicketIssued, TicketRevoked

ISSUED = TicketIssued(b"ticket-1", b"k" * 32, expires_ms=1_000)


def refusal(book: TicketBook, ticket_id: bytes, now_ms: int) -> str:
    with pytest.raises(TicketRefused) as refused:
        book.public_key(ticket_id, now_ms)
    return refused.value.reason


def test_a_ticket_holds_until_it_expires() -> None:
    book = TicketBook()
    book.apply(ISSUED)
    assert book.public_key(ISSUED.ticket_id, now_ms=1_000) == ISSUED.public_key
    assert refusal(book, ISSUED.ticket_id, now_ms=1_001) == "expired_ticket"


def test_a_revoked_ticket_lets_nobody_in_whichever_was_heard_first() -> None:
    revoked = TicketRevoked(b"ticket-1")
    orders: list[list[LogEntry]] = [[ISSUED, revoked], [revoked, ISSUED]]
    for entries in orders:
        book = TicketBook()
        for entry in entries:
            book.apply(entry)
        assert refusal(book, ISSUED.ticket_id, now_ms=1) == "revoked_ticket"


def test_no_ticket_and_an_unknown_one_are_told_apart() -> None:
    book = TicketBook()
    assert refusal(book, b"", now_ms=1) == "no_ticket"
    assert refusal(book, b"ticket-9", now_ms=1) == "unknown_ticket"


def test_other_entries_are_none_of_its_business() -> None:
    book = TicketBook()
    book.apply(Imported("Louvre"))
    assert book == TicketBook()
