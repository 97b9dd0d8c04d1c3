"""A node's way into the mesh: ask one who is in, until one says welcome.

Who may come in is decided by the one who is asked (serving.py). Whom to obey is not: a ticket
says who the collector is, an earlier start of this node remembers it, and only where neither does
the first welcome is believed. After the welcome members are
dialled for ever, and tables that differ are mended by swaps; only a service that is named to this
node and is no member's is still asked, now and then: two groups that know nothing of each other,
or a collector that moved while nobody looked, are found again by it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mesh.core.items import NODE_ID_BYTES, NodeId
from mesh.core.membership import Admission, Endpoint
from mesh.nodes.peer.clock import Timer
from mesh.wire import codec, messages
from mesh.wire.codec import BadFrame, FrameKind
from mesh.wire.tickets import JoinTicket

if TYPE_CHECKING:
    from mesh.nodes.peer.mesh_node import MeshNode

JOIN_TIMEOUT_S = 2.0
"""A node that a hundred newcomers ask at once takes longer than one for some."""
ASK_STRANGERS_S = 2.0
"""After the welcome, between looks at the services that were named."""
ASKED_AT_ONCE_MAX = 3
REFUSED_FOR_S = 3.0
"""Refused for so long by whoever answers, a newcomer believes it: before, the one asked may not
have heard of its ticket yet."""


class Joiner:
    """One node's joining."""

    def __init__(self, node: MeshNode) -> None:
        self.welcomed = False
        self._node = node
        self._ticket: JoinTicket | None = None
        self._seeds: Callable[[], Sequence[Endpoint]] = list
        self._timer: Timer | None = None
        self._refused_since_s: float | None = None

    def start(self, seeds: Callable[[], Sequence[Endpoint]]) -> None:
        """Ask until welcome, and whoever is no member after that.

        Args:
            seeds: services to join through, asked anew at each try, the best first.
        """
        self._seeds = seeds
        self._try()

    def take_ticket(self, ticket: JoinTicket) -> None:
        """Join with `ticket` from now on, and obey the collector that it names, none other."""
        self._ticket = ticket
        self._node.name_collector(ticket.collector)

    def look(self) -> None:
        """The seeds are others now: ask them at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._try()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _try(self) -> None:
        if self._node.closed:
            return
        for service in self._to_ask():
            self._ask(service)
        wait_s = ASK_STRANGERS_S if self.welcomed else JOIN_TIMEOUT_S
        self._timer = self._node.clock.call_later(wait_s, self._try)

    def _to_ask(self) -> list[Endpoint]:
        """The seeds, and some of the members known from an earlier start; once welcome, those
        seeds that are no member's."""
        seeds = list(self._seeds())[:ASKED_AT_ONCE_MAX]
        if self._ticket is not None:
            seeds += self._ticket.services
        if self.welcomed:
            members = {member.service for member in self._node.membership.all()}
            return [service for service in dict.fromkeys(seeds) if service not in members]
        membership = self._node.membership
        stored = [
            each.service for each in membership.others() if each.origin not in membership.revoked
        ]
        stored = self._node.random.sample(stored, min(len(stored), ASKED_AT_ONCE_MAX))
        own = self._node.own.service
        return [each for each in dict.fromkeys([*seeds, *stored]) if each != own]

    def _ask(self, service: Endpoint) -> None:
        node = self._node
        record = messages.MemberRecord.of(node.own)
        join = messages.Join(record)
        if self._ticket is not None and node.own.public_key:
            proof = self._ticket.key.sign(messages.join_claim(record, node.run_id))
            join = messages.Join(record, self._ticket.ticket_id, proof)
        node.transport.request(
            service,
            node.frame(FrameKind.JOIN, join),
            timeout_s=JOIN_TIMEOUT_S,
            reply=self._on_reply,
        )

    def _on_reply(self, parts: list[bytes] | None) -> None:
        if not parts or self._node.closed:
            return
        try:
            self._read(parts)
        except BadFrame as error:
            if not self.welcomed:
                self._refused(_explained(error, parts[0]))

    def _read(self, parts: list[bytes]) -> None:
        node = self._node
        header = codec.decode_header(parts[0], node.run_id)
        if header.kind is FrameKind.REFUSED:
            # What follows names a newer start of this very node, if that is the reason.
            node.swapper.take_in(parts[1:])
            refused = messages.decode_body(parts[0], header, messages.Refused)
            if not refused.is_passing:
                self._refused(refused.reason)
            return
        if header.kind is not FrameKind.WELCOME:
            raise BadFrame("kind", header.kind.name)
        welcome = messages.decode_body(parts[0], header, messages.Welcome)
        if welcome.collector and not self._obeys(welcome.collector):
            reason = Admission.ANOTHER_COLLECTOR.value
            node.drop(BadFrame(reason, "a welcome names one that is not obeyed"), "welcome")
            return
        node.admit_record(welcome.member)
        self.welcomed = True
        node.swapper.take_in(parts[1:])

    def _obeys(self, collector: bytes) -> bool:
        """Whether `collector` is the one that this node obeys; the first named ever is.

        A member that names another lies, or believes one that does: no reason to give up, the
        others are asked on.
        """
        if len(collector) != NODE_ID_BYTES:
            raise BadFrame("body", "the collector's origin")
        if self._node.membership.collector_origin is None:
            self._node.name_collector(NodeId(collector))
        return self._node.membership.collector_origin == collector

    def _refused(self, reason: str) -> None:
        node = self._node
        now_s = node.clock.time()
        node.dropped["join_refused"] += 1
        if self.welcomed:
            return
        if self._refused_since_s is None:
            self._refused_since_s = now_s
        elif now_s - self._refused_since_s >= REFUSED_FOR_S:
            node.owner.join_refused(reason)


def _explained(error: BadFrame, frame: bytes) -> str:
    """Why an answer cannot be read, for a person."""
    version = codec.version_of(frame)
    if error.reason == "version" and version is not None:
        return (
            f"version: the node asked speaks protocol {version}, this one "
            f"{codec.PROTOCOL_VERSION}: use the same version of Topic Mesh on all machines"
        )
    if error.reason == "run":
        return "run: the node asked takes part in another run"
    return str(error)
