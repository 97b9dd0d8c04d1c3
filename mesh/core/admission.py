"""Which tickets hold: the collector issues and revokes them in its log, every node checks them.

Signatures are checked by the caller; this module says by which key. What becomes of the member's
record once it may come in is membership.py's decision.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mesh.core.entries import LogEntry, TicketIssued, TicketRevoked

TICKETS_MAX = 10_000


class TicketRefused(Exception):
    """A ticket that lets nobody in. `reason` is for counting, the message for a person."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


@dataclass(slots=True)
class TicketBook:
    """All tickets that this node has heard of, in whatever order it heard."""

    _issued: dict[bytes, TicketIssued] = field(default_factory=dict)
    _revoked: set[bytes] = field(default_factory=set)

    def apply(self, entry: LogEntry) -> None:
        """Take in an entry of the collector's log, if it is about tickets."""
        if isinstance(entry, TicketIssued) and len(self._issued) < TICKETS_MAX:
            self._issued[entry.ticket_id] = entry
        elif isinstance(entry, TicketRevoked) and len(self._revoked) < TICKETS_MAX:
            self._revoked.add(entry.ticket_id)

    def public_key(self, ticket_id: bytes, now_ms: int) -> bytes:
        """The key that proves who holds this ticket.

        Raises:
            TicketRefused: no_ticket | unknown_ticket | revoked_ticket | expired_ticket.
        """
        if not ticket_id:
            raise TicketRefused("no_ticket", "a newcomer needs a join ticket")
        if ticket_id in self._revoked:
            raise TicketRefused("revoked_ticket", "the join ticket was revoked: ask for a new one")
        issued = self._issued.get(ticket_id)
        if issued is None:
            raise TicketRefused("unknown_ticket", "the join ticket is not of this run")
        if issued.expires_ms < now_ms:
            raise TicketRefused("expired_ticket", "the join ticket has expired: ask for a new one")
        return issued.public_key
