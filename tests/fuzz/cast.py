"""Who takes part in the fuzzed mesh, and one real frame of every kind that they say.

Three members: the collector, a producer that is the node under attack, another producer. In an
encrypted run the second producer may be hostile: it signs whatever it likes, with its own key.
Keys are fixed: the same seed gives the same frames.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field

from mesh.core import entries as log
from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Endpoint, Member, Role
from mesh.wire import codec, messages
from mesh.wire.codec import FrameKind, Sign
from mesh.wire.messages import MemberRecord
from mesh.wire.signing import SigningKey
from mesh.wire.tickets import JoinTicket

RUN = b"the run of fuzz!"
TIME_US = 1_700_000_000_000_000
EPOCH = 1_700_000_000_000
TICKET_ID = b"ticket 1"
EXPIRES_MS = EPOCH * 2
DIGEST = b"d" * 16


@dataclass(frozen=True, slots=True)
class Player:
    """One member, and the key it signs with where the run is encrypted."""

    member: Member
    key: SigningKey | None

    @property
    def log(self) -> LogId:
        return self.member.log

    @property
    def record(self) -> MemberRecord:
        return MemberRecord.of(self.member)

    @property
    def sign(self) -> Sign | None:
        return self.key.sign if self.key else None


@dataclass(slots=True)
class Cast:
    """The members of one run and what they may say."""

    encrypted: bool
    collector: Player = field(init=False)
    victim: Player = field(init=False)
    other: Player = field(init=False)
    newcomer: Player = field(init=False)
    """No member yet; it holds the ticket."""
    ticket: JoinTicket = field(init=False)

    def __post_init__(self) -> None:
        self.collector = self._player("collector", Role.COLLECTOR)
        self.victim = self._player("victim", Role.PRODUCER)
        self.other = self._player("other", Role.PRODUCER)
        self.newcomer = self._player("newcomer", Role.PRODUCER)
        services = (self.collector.member.service, self.other.member.service)
        key = SigningKey(_bytes("ticket", 32))
        collector = self.collector.member.origin
        self.ticket = JoinTicket(RUN, collector, TICKET_ID, key, EXPIRES_MS, services)

    def _player(self, name: str, role: Role) -> Player:
        key = SigningKey(_bytes(f"sign {name}", 32)) if self.encrypted else None
        member = Member(
            origin=NodeId(_bytes(f"origin {name}", 16)),
            label=name,
            role=role,
            epoch=EPOCH,
            feed_address=f"tcp://{name}:1",
            service_address=f"tcp://{name}:2",
            host="host/boot",
            earlier_logs=((EPOCH - 5, 3),),
            public_key=key.public_key if key else b"",
            curve_key=_bytes(f"curve {name}", 20).hex().encode() if key else b"",
        )
        if key is None:
            return Player(member, None)
        claim = messages.record_claim(MemberRecord.of(member), RUN)
        return Player(dataclasses.replace(member, signature=key.sign(claim)), key)

    def feed_frames(self) -> list[bytes]:
        """One of each kind that travels on feeds, and log entries of every class."""
        found: list[LogEntry] = [
            log.CallStarted("openai:gpt", 40, None, 5, "entries", 0.002, 1_500),
            log.Found("Musée d’Orsay", 1, "openai:gpt"),
            log.Repeat("東京", 1, "openai:gpt"),
            log.Rejected("chatter", "Sure! Here are\nsome", 1, "openai:gpt"),
            log.CallFinished(1, "m", "ok", None, 10, 5, 7, 0, False, 0.001, 1.5, 0.25),
            log.FacetProposed("museums", 0, 1, "openai:gpt"),
            log.LimitSeen("openai:gpt", 5, 60, 59, None, None, 1.0, False, 0.0),
            log.Judged(5, (1, 0, -1), 1, "openai:gpt"),
            log.BudgetAsked(0.25, 0.01, 0.02),
        ]
        origin, epoch = self.other.log.origin, self.other.log.epoch
        verdicts: list[LogEntry] = [
            log.EpochOpened(0, DIGEST),
            log.Accepted(1, origin, epoch, 2, "Musée d’Orsay"),
            log.Duplicate(origin, epoch, 3, 1),
            log.Merged(origin, epoch, 5, 1, "Orsay Museum", "abbreviation"),
            log.JudgementAsked(5, origin, (log.Question("Louvre", ("Musée du Louvre",)),)),
            log.Excluded(origin, epoch, 4),
            log.Imported("C++"),
            log.Lost(origin, epoch - 5, 1, 3),
            log.StateChanged("running", None),
            log.ModelAssigned(origin, "anthropic:haiku"),
            log.ProducerDismissed(origin),
            log.BudgetSet(1.0),
            log.BudgetGranted(origin, 0.25),
            log.TicketRevoked(b"ticket 0"),
            log.MemberRevoked(b"a stranger's id "),
        ]
        return [
            self.entries(self.other, found, 1),
            self.entries(self.other, [log.Found("Louvre", 1, "m")] * 3, 9),
            self.entries(self.collector, verdicts, 2),
            self.said(self.other, FrameKind.HEARTBEAT, _heartbeat(8)),
            self.said(self.collector, FrameKind.HEARTBEAT, _heartbeat(11)),
            self.said(self.other, FrameKind.MEMBERS, messages.Members([self.newcomer.record])),
            self.said(
                self.collector,
                FrameKind.DURABLE,
                messages.Durable([(origin, epoch, 5), (self.victim.log.origin, EPOCH, 1)]),
            ),
            self.said(self.other, FrameKind.GOODBYE, messages.Goodbye(8)),
        ]

    def tickets_said(self) -> list[bytes]:
        """The beginning of the collector's log: who holds the ticket may join."""
        issued = log.TicketIssued(TICKET_ID, self.ticket.key.public_key, EXPIRES_MS)
        return [self.entries(self.collector, [issued], 1)]

    def requests(self) -> list[bytes]:
        """What a node's service is asked, by members and by one that comes with a ticket."""
        record = self.newcomer.record
        proof = self.ticket.key.sign(messages.join_claim(record, RUN))
        terms_key = self.newcomer.member.curve_key
        terms_proof = self.ticket.key.sign(messages.terms_claim(terms_key, RUN))
        origin, epoch = self.victim.log.origin, self.victim.log.epoch
        swap = messages.Swap([(origin, epoch, 1)], [self.other.record, self.newcomer.record])
        return [
            self.said(
                self.newcomer, FrameKind.JOIN, messages.Join(record, TICKET_ID, proof), signed=False
            ),
            self.said(
                self.newcomer,
                FrameKind.ASK_TERMS,
                messages.AskTerms(TICKET_ID, terms_key, terms_proof),
                signed=False,
            ),
            self.said(
                self.other, FrameKind.FETCH, messages.Fetch(origin, epoch, 1, 9), signed=False
            ),
            self.said(self.other, FrameKind.SWAP, swap, signed=False),
        ]

    def replies(self) -> list[list[bytes]]:
        """What a node is answered."""
        welcome = messages.Welcome(self.collector.record, self.collector.log.origin)
        swapped = messages.Swapped(
            [(self.other.log.origin, EPOCH, 12)], [self.other.record, self.newcomer.record]
        )
        parts = self.said(self.collector, FrameKind.SWAPPED, swapped, signed=False)
        fetched = self.said(self.other, FrameKind.FETCHED, messages.Fetched(2), signed=False)
        refused = messages.Refused("expired_ticket: ask for a new one")
        return [
            [self.said(self.collector, FrameKind.WELCOME, welcome, signed=False), parts],
            [parts],
            [fetched, *self.feed_frames()[:2]],
            [self.said(self.collector, FrameKind.REFUSED, refused, signed=False)],
            [self.said(self.collector, FrameKind.TERMS, messages.Terms(b"{}"), signed=False)],
        ]

    def every_frame(self) -> list[bytes]:
        replies = [part for parts in self.replies() for part in parts]
        return [*self.feed_frames(), *self.requests(), *replies]

    def entries(self, player: Player, entries: list[LogEntry], first_seq: int) -> bytes:
        return codec.encode_entries(
            entries,
            run_id=RUN,
            log=player.log,
            first_seq=first_seq,
            time_us=TIME_US,
            sign=player.sign,
        )

    def said(
        self, player: Player, kind: FrameKind, message: messages.Message, *, signed: bool = True
    ) -> bytes:
        return codec.encode_frame(
            kind,
            messages.encode_body(message),
            run_id=RUN,
            log=player.log,
            time_us=TIME_US,
            sign=player.sign if signed else None,
        )


def stranger() -> Endpoint:
    """Some service that takes part in nothing."""
    return Endpoint("tcp://stranger:2")


def _heartbeat(last_seq: int) -> messages.Heartbeat:
    return messages.Heartbeat(
        last_seq, 12, 3, DIGEST, DIGEST, 0.5, "generating", "m", [0.5, 2.5], {"magic": 1}
    )


def _bytes(name: str, size: int) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:size]
