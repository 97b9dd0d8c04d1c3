"""What a node answers to whom: joins, fetches, swaps, and the run's terms.

In encrypted runs an asker has proved to hold a CURVE key. A stranger may ask to be taken in or
for the terms, with a ticket; everything else is for members, in their own name. What is refused
is counted by reason.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from mesh.core.admission import TicketRefused
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Admission, Role
from mesh.core.replication import LOST_AFTER_ROUNDS
from mesh.wire import codec, messages
from mesh.wire.codec import BadFrame, FrameHeader, FrameKind
from mesh.wire.repacking import repacked
from mesh.wire.signing import is_signed

if TYPE_CHECKING:
    from mesh.nodes.peer.mesh_node import MeshNode

logger = logging.getLogger(__name__)

JOINS_PER_S_MAX = 500
"""More joins and asked terms in a second are not looked at: each costs signatures to check."""
ASKED_IN_VAIN_MAX = 10_000
"""Past it counting begins anew."""


class Server:
    """One node's service."""

    def __init__(self, node: MeshNode) -> None:
        self._node = node
        self._second = 0
        self._joins_in_second = 0
        self._asked_in_vain: Counter[tuple[NodeId, LogId, int]] = Counter()
        self._unserved: list[tuple[LogId, int, int]] = []

    def answer(self, frame: bytes, asker_key: bytes) -> list[bytes]:
        """The parts of the reply to one request; never raises."""
        node = self._node
        try:
            header = codec.decode_header(frame, node.run_id)
            if header.kind is FrameKind.JOIN:
                join = messages.decode_body(frame, header, messages.Join)
                return self._answer_join(join, header, asker_key)
            if header.kind is FrameKind.ASK_TERMS:
                asked = messages.decode_body(frame, header, messages.AskTerms)
                return self._answer_terms(asked, asker_key)
            self._check_member(header, asker_key)
            if header.kind is FrameKind.FETCH:
                fetch = messages.decode_body(frame, header, messages.Fetch)
                return self._answer_fetch(fetch, header.origin)
            if header.kind is FrameKind.SWAP:
                swap = messages.decode_body(frame, header, messages.Swap)
                return node.swapper.answer(swap)
            raise BadFrame("kind", header.kind.name)
        except BadFrame as error:
            node.drop(error, "service")
            return [node.frame(FrameKind.REFUSED, messages.Refused(f"{error}"[:300]))]

    def _check_member(self, header: FrameHeader, asker_key: bytes) -> None:
        if not self._node.is_encrypted:
            return
        member = self._node.membership.by_curve_key(asker_key)
        if member is None:
            raise BadFrame("unknown_key", "only members may ask this")
        if member.origin != header.origin:
            raise BadFrame("origin", "asked in another node's name")

    def _answer_join(
        self, join: messages.Join, header: FrameHeader, asker_key: bytes
    ) -> list[bytes]:
        node = self._node
        self._count_join()
        if header.origin != join.member.origin:
            raise BadFrame("origin", "asked in another node's name")
        if node.ending and node.membership.get(NodeId(join.member.origin)) is None:
            raise BadFrame("ending", "the run is ending")
        if node.is_encrypted:
            self._check_newcomer(join, asker_key)
        verdict = node.admit_record(join.member)
        if verdict is Admission.STALE:
            return self._answer_stale(NodeId(join.member.origin))
        if verdict not in (Admission.NEW, Admission.KNOWN):
            raise BadFrame(verdict.value, _REFUSALS.get(verdict, "not admitted"))
        if verdict is Admission.NEW:
            node.publish(FrameKind.MEMBERS, messages.Members([join.member]))
        welcome = messages.Welcome(messages.MemberRecord.of(node.own), self._collector_origin())
        return [node.frame(FrameKind.WELCOME, welcome), *node.swapper.parts()]

    def _answer_stale(self, origin: NodeId) -> list[bytes]:
        """Refuse, and show the newer start: who was restored from an old copy learns of it."""
        node = self._node
        reason = BadFrame(Admission.STALE.value, _REFUSALS[Admission.STALE])
        node.drop(reason, "service")
        known = node.membership.get(origin)
        records = [messages.MemberRecord.of(known)] if known else []
        return [
            node.frame(FrameKind.REFUSED, messages.Refused(f"{reason}")),
            node.frame(FrameKind.SWAPPED, messages.Swapped([], records)),
        ]

    def _check_newcomer(self, join: messages.Join, asker_key: bytes) -> None:
        """A member may come back as itself; a stranger needs a ticket."""
        node = self._node
        if join.member.curve_key != asker_key:
            raise BadFrame("join_key", "the join names another key than the one it comes by")
        known = node.membership.get(NodeId(join.member.origin))
        if known is None:
            claim = messages.join_claim(join.member, node.run_id)
            self._check_ticket(join.ticket_id, claim, join.ticket_proof)

    def _check_ticket(self, ticket_id: bytes, claim: bytes, proof: bytes) -> None:
        try:
            public_key = self._node.tickets.public_key(ticket_id, self._node.wall_us() // 1000)
        except TicketRefused as error:
            if not self._is_in:
                # Among many newcomers a collector asks one that has not read its welcome yet.
                raise BadFrame("not_in", "this node is not in the run itself yet") from error
            raise BadFrame(error.reason, str(error).partition(": ")[2]) from error
        if not is_signed(claim, proof, public_key):
            raise BadFrame("ticket_proof", "the asker does not hold the ticket that it names")

    @property
    def _is_in(self) -> bool:
        """Whether this node can know whom the run lets in."""
        return self._node.joiner.welcomed or self._node.own.role is Role.COLLECTOR

    def _collector_origin(self) -> bytes:
        collector = self._node.membership.collector()
        return collector.origin if collector else b""

    def _answer_terms(self, asked: messages.AskTerms, asker_key: bytes) -> list[bytes]:
        node = self._node
        self._count_join()
        if node.is_encrypted:
            if asked.curve_key != asker_key:
                raise BadFrame("join_key", "the terms are asked for by another key")
            claim = messages.terms_claim(asked.curve_key, node.run_id)
            self._check_ticket(asked.ticket_id, claim, asked.ticket_proof)
        if not node.terms:
            raise BadFrame("no_terms", "this node does not know the run's terms yet")
        return [node.frame(FrameKind.TERMS, messages.Terms(node.terms))]

    def take_unserved(self) -> list[tuple[LogId, int, int]]:
        """(log, first seq, last seq) of what others miss, and this node has applied but can serve
        to nobody: what it kept of others was lost with the power."""
        unserved, self._unserved = self._unserved, []
        return unserved

    def _answer_fetch(self, fetch: messages.Fetch, asker: NodeId) -> list[bytes]:
        node = self._node
        log = LogId(NodeId(fetch.origin), fetch.epoch)
        frames = node.shelf.read(
            log, fetch.first_seq, fetch.last_seq, messages.FETCH_REPLY_BYTES_MAX
        )
        if not frames and node.own.role is Role.COLLECTOR:
            self._note_unserved(asker, log, fetch)
        if log.origin == node.own.origin:
            sign = node.signing.sign if node.signing else None
            frames = repacked(frames, run_id=node.run_id, sign=sign)
        return [node.frame(FrameKind.FETCHED, messages.Fetched(len(frames))), *frames]

    def _note_unserved(self, asker: NodeId, log: LogId, fetch: messages.Fetch) -> None:
        """What this node passed, an asker misses. It comes once a round: who has come so often
        has asked everyone else as often, and perhaps never heard that it is lost."""
        if not self._node.replica.passed(log, fetch.first_seq):
            return
        asked = asker, log, fetch.first_seq
        if len(self._asked_in_vain) >= ASKED_IN_VAIN_MAX:
            self._asked_in_vain.clear()
        self._asked_in_vain[asked] += 1
        if self._asked_in_vain[asked] > LOST_AFTER_ROUNDS:
            del self._asked_in_vain[asked]
            self._unserved.append((log, fetch.first_seq, fetch.last_seq))

    def _count_join(self) -> None:
        second = int(self._node.clock.time())
        if second != self._second:
            self._second, self._joins_in_second = second, 0
        self._joins_in_second += 1
        if self._joins_in_second > JOINS_PER_S_MAX:
            raise BadFrame("join_rate", "too many joins at once: try again")


_REFUSALS = {
    Admission.STALE: "a newer start of this node is known: this join was sent before",
    Admission.OWN: "this is the identity of the node asked: was its directory copied?",
    Admission.ANOTHER_KEY: "this origin belongs to another key",
    Admission.ANOTHER_COLLECTOR: "this run has another collector",
    Admission.REVOKED: "this node was removed from the run",
    Admission.TOO_MANY: "the run has as many nodes as it can take",
}
