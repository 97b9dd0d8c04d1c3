"""Join tickets: one line of text that lets a producer on another machine into a run.

A ticket names up to TICKET_SEEDS_MAX nodes to join through, and the collector whom alone to obey:
whoever passes the ticket on is trusted with that, no node that is met on the way. It carries the
private half of a key whose public half all nodes know from the collector's log (TicketIssued). The
newcomer proves that it holds the ticket by a signature; the secret itself goes to nobody. Whether
a ticket still holds is core.admission's decision.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from mesh.core.items import NODE_ID_BYTES, NodeId
from mesh.core.membership import Endpoint
from mesh.wire.signing import SEED_BYTES, SigningKey

PREFIX = "topicmesh2-"
"""With the version of what follows."""
ANY_VERSION = "topicmesh"
TICKET_SEEDS_MAX = 5
TICKET_CHARACTERS_MAX = 4_000
TICKET_ID_BYTES = 8


class BadTicket(Exception):
    """The text is no ticket; the message says so without repeating it."""


class _TicketBody(msgspec.Struct, frozen=True, array_like=True):
    run_id: Annotated[bytes, msgspec.Meta(min_length=NODE_ID_BYTES, max_length=NODE_ID_BYTES)]
    collector: Annotated[bytes, msgspec.Meta(min_length=NODE_ID_BYTES, max_length=NODE_ID_BYTES)]
    ticket_id: Annotated[
        bytes, msgspec.Meta(min_length=TICKET_ID_BYTES, max_length=TICKET_ID_BYTES)
    ]
    seed: Annotated[bytes, msgspec.Meta(min_length=SEED_BYTES, max_length=SEED_BYTES)]
    expires_ms: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    services: Annotated[
        list[tuple[Annotated[str, msgspec.Meta(max_length=300)], bytes]],
        msgspec.Meta(min_length=1, max_length=TICKET_SEEDS_MAX),
    ]


@dataclass(frozen=True, slots=True)
class JoinTicket:
    """What a ticket says."""

    run_id: bytes
    collector: NodeId
    """Whom alone to take for the run's collector."""
    ticket_id: bytes
    key: SigningKey = field(repr=False)
    expires_ms: int
    """ms since 1970."""
    services: tuple[Endpoint, ...]
    """Nodes to join through, 1..TICKET_SEEDS_MAX. Keys are empty in plaintext runs."""

    @property
    def encrypted(self) -> bool:
        return all(service.curve_key for service in self.services)

    def text(self) -> str:
        """The ticket as people pass it on: one word, no spaces."""
        body = msgspec.msgpack.encode(
            _TicketBody(
                self.run_id,
                self.collector,
                self.ticket_id,
                self.key.seed,
                self.expires_ms,
                [(service.address, service.curve_key) for service in self.services],
            )
        )
        checked = body + zlib.crc32(body).to_bytes(4, "big")
        return PREFIX + base64.urlsafe_b64encode(checked).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> JoinTicket:
        """Read a ticket; spaces and line ends around and inside it do not matter.

        Raises:
            BadTicket: it is none, was cut or mistyped on the way, or is of another version.
        """
        word = "".join(text.split())
        if _is_of_another_version(word):
            raise BadTicket(
                "the join ticket is of another version of Topic Mesh: "
                "use the same version on all machines"
            )
        if not word.startswith(PREFIX) or len(word) > TICKET_CHARACTERS_MAX:
            raise BadTicket(f"this is no join ticket: one begins with {PREFIX}")
        coded = word.removeprefix(PREFIX)
        try:
            checked = base64.b64decode(
                coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True
            )
            body, checksum = checked[:-4], checked[-4:]
            if zlib.crc32(body).to_bytes(4, "big") != checksum:
                raise BadTicket("the join ticket is damaged: copy the whole of it")
            read = msgspec.msgpack.decode(body, type=_TicketBody)
        except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError) as error:
            raise BadTicket("the join ticket is damaged: copy the whole of it") from error
        return cls(
            read.run_id,
            NodeId(read.collector),
            read.ticket_id,
            SigningKey(read.seed),
            read.expires_ms,
            tuple(Endpoint(address, key) for address, key in read.services),
        )


def _is_of_another_version(word: str) -> bool:
    """Example: `topicmesh1-...`."""
    version, dash, _ = word.partition("-")
    number = version.removeprefix(ANY_VERSION)
    is_ticket = version.startswith(ANY_VERSION) and number.isdecimal() and bool(dash)
    return is_ticket and not word.startswith(PREFIX)
