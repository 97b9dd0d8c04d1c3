"""Every way in for hostile bytes, each as a function from a Random to what became of the input.

A return value is the reason why the input was refused, "" when it was taken; anything raised is
a fault in what was attacked. An AttackedNode grows with what it is told, so it is replaced after
INPUTS_A_NODE_MAX inputs.
"""

from __future__ import annotations

import base64
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mesh.wire import codec, messages
from mesh.wire.codec import HEADER_BYTES, BadFrame, FrameHeader, FrameKind
from mesh.wire.tickets import PREFIX, BadTicket, JoinTicket
from tests.fuzz.attacked_node import AttackedNode
from tests.fuzz.cast import RUN, Cast
from tests.fuzz.mutations import from_origin, mutated, signed_again

INPUTS_A_NODE_MAX = 500
PARTS_MAX = 5
BODIES: Mapping[FrameKind, type[messages.Message]] = {
    FrameKind.HEARTBEAT: messages.Heartbeat,
    FrameKind.MEMBERS: messages.Members,
    FrameKind.DURABLE: messages.Durable,
    FrameKind.GOODBYE: messages.Goodbye,
    FrameKind.JOIN: messages.Join,
    FrameKind.WELCOME: messages.Welcome,
    FrameKind.REFUSED: messages.Refused,
    FrameKind.FETCH: messages.Fetch,
    FrameKind.FETCHED: messages.Fetched,
    FrameKind.SWAP: messages.Swap,
    FrameKind.SWAPPED: messages.Swapped,
    FrameKind.ASK_TERMS: messages.AskTerms,
    FrameKind.TERMS: messages.Terms,
}

Attack = Callable[[random.Random], str]


@dataclass(slots=True)
class Attacks:
    """All attacks on one kind of run."""

    encrypted: bool
    cast: Cast = field(init=False)
    _feed_frames: list[bytes] = field(init=False)
    _requests: list[bytes] = field(init=False)
    _replies: list[list[bytes]] = field(init=False)
    _every_frame: list[bytes] = field(init=False)
    _node: AttackedNode | None = None
    _inputs: int = 0

    def __post_init__(self) -> None:
        self.cast = Cast(self.encrypted)
        self._feed_frames = self.cast.feed_frames()
        self._requests = self.cast.requests()
        self._replies = self.cast.replies()
        self._every_frame = self.cast.every_frame()

    def all(self) -> dict[str, Attack]:
        """By name. What reads frames without a node does not depend on the kind of run."""
        on_nodes: dict[str, Attack] = {
            "feed": self.feed,
            "member": self.member,
            "service": self.service,
            "replies": self.replies,
        }
        if self.encrypted:
            return on_nodes
        return {"frames": self.frames, "tickets": self.tickets, **on_nodes}

    def frames(self, choose: random.Random) -> str:
        """The codec, and the body of whatever kind the header names."""
        return read_whole(mutated(choose, self._every_frame))

    def tickets(self, choose: random.Random) -> str:
        """Text in a ticket's place."""
        return read_ticket(_ticket_text(choose, self.cast.ticket))

    def feed(self, choose: random.Random) -> str:
        """Frames on a feed, or of a fetched log, from whoever can reach the socket."""
        frames = self._feed_frames if choose.random() < 0.8 else self._every_frame
        return self._a_node(choose).hear(mutated(choose, frames), live=choose.random() < 0.8)

    def member(self, choose: random.Random) -> str:
        """What a hostile member sends, with its own signature, mostly in its own name."""
        other = self.cast.other
        frame = mutated(choose, self._feed_frames)
        if choose.random() < 0.9:
            frame = from_origin(frame, other.log.origin)
        if other.key is not None:
            frame = signed_again(frame, other.key.sign)
        live = choose.random() < 0.8
        return self._a_node(choose).hear(frame, live=live, signer=other.log.origin)

    def service(self, choose: random.Random) -> str:
        """Requests of members, of one who holds the ticket, and of strangers."""
        key = choose.choice(
            (
                self.cast.other.member.curve_key,
                self.cast.newcomer.member.curve_key,
                b"z" * 40,
                b"",
            )
        )
        requests = self._requests if choose.random() < 0.9 else self._every_frame
        return self._a_node(choose).ask(mutated(choose, requests), key)

    def replies(self, choose: random.Random) -> str:
        """Answers to what the node has asked."""
        parts = [mutated(choose, [part]) for part in choose.choice(self._replies)]
        if choose.random() < 0.3:
            more = range(choose.randint(0, PARTS_MAX))
            parts += [mutated(choose, self._every_frame) for _ in more]
        node = self._a_node(choose)
        node.answer(choose, choose.choice((None, [], parts, parts, parts, parts)))
        return ""

    def _a_node(self, choose: random.Random) -> AttackedNode:
        self._inputs += 1
        if self._node is None or self._inputs > INPUTS_A_NODE_MAX:
            self._node = AttackedNode(self.cast, random.Random(choose.random()))
            self._inputs = 0
        elif choose.random() < 0.02:
            self._node.pass_time(choose.choice((0.02, 0.3, 2.0)))
        return self._node

    def new_node(self) -> None:
        """Attack a fresh one from here on."""
        self._node = None


def read_whole(frame: bytes) -> str:
    """Read a frame as its header says; why it is refused, "" when it is not."""
    try:
        header = codec.decode_header(frame, RUN)
        if header.kind is FrameKind.ENTRIES:
            _read_entries(frame, header)
        else:
            body = messages.decode_body(frame, header, BODIES[header.kind])
            assert messages.encode_body(body)
    except BadFrame as error:
        return error.reason
    return ""


def _read_entries(frame: bytes, header: FrameHeader) -> None:
    entries = codec.decode_entries(frame, header)
    assert len(entries) == header.count
    if codec.entries_size(entries) > len(frame) - HEADER_BYTES:
        return  # Written anew it may be longer than it came, and than any frame.
    again = codec.encode_entries(
        entries,
        run_id=RUN,
        log=header.log,
        first_seq=header.first_seq,
        time_us=header.time_us,
    )
    assert codec.decode_entries(again, codec.decode_header(again, RUN)) == entries


def read_ticket(text: str) -> str:
    """Read a ticket; "ticket" when it is none, "" when it is."""
    try:
        ticket = JoinTicket.from_text(text)
    except BadTicket:
        return "ticket"
    assert JoinTicket.from_text(ticket.text()) == ticket
    return ""


def _ticket_text(choose: random.Random, ticket: JoinTicket) -> str:
    """The ticket, mistyped, or honestly wrapped around a body that is not honest."""
    coded = ticket.text().removeprefix(PREFIX)
    checked = base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
    how = choose.randrange(3)
    if how == 0:
        return mutated(choose, [ticket.text().encode()]).decode("utf-8", "surrogateescape")
    # The mutations look for a body behind a header.
    body = mutated(choose, [bytes(HEADER_BYTES) + checked[:-4]])[HEADER_BYTES:]
    checksum = zlib.crc32(body) if how == 1 else choose.getrandbits(32)
    wrapped = base64.urlsafe_b64encode(body + checksum.to_bytes(4, "big")).decode()
    return PREFIX + choose.choice((wrapped, wrapped.rstrip("=")))
