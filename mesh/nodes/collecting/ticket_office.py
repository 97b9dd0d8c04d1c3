"""The collector's join tickets: issued once, kept over restarts, revoked on wish.

The public half of a ticket is said in the collector's log, where every node learns it; the secret
half stays in a file of the collector's own directory and in the ticket that the user passes on.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from typing import TYPE_CHECKING

from mesh.core.entries import LogEntry, TicketIssued, TicketRevoked
from mesh.storage.node_log import write_json
from mesh.wire.signing import SigningKey
from mesh.wire.tickets import TICKET_ID_BYTES, TICKET_SEEDS_MAX, JoinTicket

if TYPE_CHECKING:
    from mesh.nodes.collecting.collector import Collector

TICKET_FILE = "ticket.json"
FORMAT_VERSION = 1


class TicketOffice:
    """One collector's tickets. At any time one is current."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._key: SigningKey | None = None
        self._ticket_id = b""
        self._expires_ms = 0
        self._earlier: list[bytes] = []
        """Tickets that are revoked; said again by every epoch, so that a copy of the directory
        that does not know better revokes them still."""
        self._told: str | None = None

    def take_up(self) -> None:
        """Say which ticket holds: the one of the last start, or a new one where it has expired,
        was never made, or is to be replaced."""
        self._read()
        now_ms = self._collector.node.wall_us() // 1000
        if self._key is None or self._expires_ms <= now_ms or self._collector.settings.new_ticket:
            self.renew()
        else:
            self._say()

    def renew(self) -> None:
        """Revoke the current ticket and issue another."""
        if self._ticket_id:
            self._earlier.append(self._ticket_id)
        expires_s = self._collector.settings.ticket_expires_s
        self._key = SigningKey.new()
        self._ticket_id = secrets.token_bytes(TICKET_ID_BYTES)
        self._expires_ms = self._collector.node.wall_us() // 1000 + int(expires_s * 1000)
        self._write()
        self._say()

    def text(self) -> str:
        """The ticket: the collector, and some members for when it is away."""
        assert self._key is not None
        node = self._collector.node
        alive = node.alive()
        services = [node.own.service]
        services += [
            member.service for member in node.membership.others() if member.origin in alive
        ]
        ticket = JoinTicket(
            node.run_id,
            node.own.origin,
            self._ticket_id,
            self._key,
            self._expires_ms,
            tuple(services[:TICKET_SEEDS_MAX]),
        )
        self._told = ticket.text()
        return self._told

    def changed(self) -> bool:
        """Whether the ticket would now read otherwise than it was last told."""
        return self._told is not None and self._told != self.text()

    def _say(self) -> None:
        assert self._key is not None
        issued = TicketIssued(self._ticket_id, self._key.public_key, self._expires_ms)
        entries: list[LogEntry] = [issued, *(TicketRevoked(each) for each in self._earlier)]
        for entry in entries:
            self._collector.node.tickets.apply(entry)
        self._collector.intake.say(*entries)

    def _read(self) -> None:
        path = self._collector.settings.directory / TICKET_FILE
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            stored = json.loads(path.read_text("utf-8"))
            self._earlier = [bytes.fromhex(each) for each in stored["revoked"]]
            self._ticket_id = bytes.fromhex(stored["ticket_id"])
            self._expires_ms = int(stored["expires_ms"])
            self._key = SigningKey(bytes.fromhex(stored["seed"]))

    def _write(self) -> None:
        assert self._key is not None
        write_json(
            self._collector.settings.directory / TICKET_FILE,
            {
                "format_version": FORMAT_VERSION,
                "ticket_id": self._ticket_id.hex(),
                "seed": self._key.seed.hex(),
                "expires_ms": self._expires_ms,
                "revoked": [each.hex() for each in self._earlier],
            },
        )
