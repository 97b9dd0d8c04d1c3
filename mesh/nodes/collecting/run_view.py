"""A run that goes on, as the page sees it: from the collector, live."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from mesh.core.downloads import DownloadFormat
from mesh.core.forecast import PresentCourse
from mesh.core.item_query import ItemQuery
from mesh.core.membership import Liveness, Member
from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.nodes.collecting.shown import facets_json, reopen_command, to_keep
from mesh.web.interface import JsonObject

if TYPE_CHECKING:
    from mesh.nodes.collecting.collector import Collector

REFUSALS = frozenset(
    {
        *("unknown_key", "revoked_key", "handshake", "slow_asker"),
        *("join_key", "join_rate", "stale", "own", "revoked", "too_many_members"),
        *("no_ticket", "unknown_ticket", "revoked_ticket", "expired_ticket", "ticket_proof"),
        *("another_key", "another_collector", "origin", "signature", "record_signature", "role"),
        *("run", "version"),
    }
)
"""Reasons that somebody was kept out for, of all that a node counts."""
KEEP_S = 10.0
SETTLING_S = 2.0
"""While a run goes on, convergence is judged on entries older than this."""


class LiveRunView:
    """The collector's run, for page and terminal."""

    def __init__(self, collector: Collector, reader: DatabaseReader) -> None:
        self._collector = collector
        self._reader = reader
        self._applied: deque[tuple[float, int]] = deque()
        self._frozen: JsonObject | None = None
        self._present_course = PresentCourse()
        self._kept_s = 0.0

    def freeze(self) -> None:
        """The run is over: the page shows this moment from now on."""
        self._frozen = self.metrics(with_history=False)

    def to_keep_if_due(self, now_s: float) -> dict[str, str]:
        """The same every KEEP_S, else nothing: a run may be cut off."""
        if now_s - self._kept_s < KEEP_S:
            return {}
        self._kept_s = now_s
        return self.to_keep()

    def to_keep(self) -> dict[str, str]:
        """Rows of the table `meta` from which the run is shown when it is over."""
        return to_keep(self.metrics(with_history=False), self.peers())

    def metrics(self, *, with_history: bool) -> JsonObject:
        collector = self._collector
        settings = collector.settings
        counts = self._frozen or self._live_metrics()
        snapshot = {
            **counts,
            "state": collector.course.state,
            "stop_reason": collector.course.stop_reason,
            "run_id": settings.run_id.hex(),
            "run_dir": str(settings.run_dir),
            "reopen_command": reopen_command(settings.program, settings.run_dir),
        }
        if with_history:
            snapshot["history"] = collector.metrics.history_snapshot()
        return snapshot

    def _live_metrics(self) -> JsonObject:
        collector = self._collector
        settings = collector.settings
        shown: JsonObject = {
            "topic": settings.topic,
            "simulated": settings.simulated,
            **collector.metrics.snapshot(collector.run_time_s()),
            "budget_usd": collector.course.budget_usd,
            "max_cost_per_item_usd": settings.max_cost_per_item_usd,
            "item_cost_usd": collector.course.item_cost_usd,
            "target": collector.course.target,
            "actions": collector.course.actions(),
            "available_models": [model.spec for model in settings.models],
            "notices": list(collector.course.notices.values()),
            "mesh": self._mesh(),
        }
        return {**shown, "forecast": self._forecast(shown["target"], shown["budget_usd"])}

    def _forecast(self, target: int | None, budget_usd: float | None) -> JsonObject:
        collector = self._collector
        return self._present_course.forecast(
            collector.metrics.history,
            is_running=collector.course.state == "running",
            now_s=collector.run_time_s(),
            target=target,
            budget_usd=budget_usd,
        ).as_json()

    def _mesh(self) -> JsonObject:
        node = self._collector.node
        alive = node.alive()
        beats = [node.peers[origin].heartbeat for origin in alive if origin in node.peers]
        own_count, own_digest = self._collector.known_summary()
        applied = [node.replica.passed_count, *(beat.applied_count for beat in beats)]
        missing = max(0, self._settled(max(applied)) - min(applied))
        if self._collector.course.state == "stopped":
            # The producers have left: what counts is whether the collector holds all they said.
            missing = max(missing, node.replica.missing_count)
        digests = {beat.known_digest for beat in beats if beat.known_count == own_count}
        agree = digests <= {own_digest}
        latencies = [beat.propagation_ms for beat in beats if len(beat.propagation_ms) == 2]
        if own := node.propagation_ms():
            latencies.append(own)
        return {
            "converged": missing == 0 and agree,
            "missing_entries": missing,
            "peers_alive": len(beats),
            "propagation_ms_p50": _median([p50 for p50, _ in latencies]),
            "propagation_ms_p99": max((p99 for _, p99 in latencies), default=None),
            "lost_entries": node.replica.lost_count,
            "refused": {
                reason: count for reason, count in node.dropped.items() if reason in REFUSALS
            },
        }

    def _settled(self, applied_max: int) -> int:
        """The largest applied total as it stood SETTLING_S ago; at the end, as it stands."""
        if self._collector.course.state == "stopped":
            return applied_max
        now_s = time.monotonic()
        self._applied.append((now_s, applied_max))
        while len(self._applied) > 1 and self._applied[1][0] <= now_s - SETTLING_S:
            self._applied.popleft()
        first_s, settled = self._applied[0]
        return settled if first_s <= now_s - SETTLING_S else 0

    async def items(self, query: ItemQuery) -> JsonObject:
        return await self._reader.items(query)

    async def names(self, *, limit: int) -> JsonObject:
        return await self._reader.names(limit=limit)

    def output(self, form: DownloadFormat) -> AsyncIterator[bytes]:
        return self._reader.output(form)

    def peers(self) -> JsonObject:
        node = self._collector.node
        applied_max = max(
            [node.replica.passed_count]
            + [status.heartbeat.applied_count for status in node.peers.values()]
        )
        return {"peers": [self._peer(member, applied_max) for member in node.membership.all()]}

    def facets(self) -> JsonObject:
        labels = {each.origin: each.label for each in self._collector.node.membership.all()}
        return facets_json(self._collector.desk.plan, labels)

    def _peer(self, member: Member, applied_max: int) -> JsonObject:
        node = self._collector.node
        if member.origin == node.own.origin:
            known_count, digest = self._collector.known_summary()
            state, model, last_seq = self._collector.course.state, "", node.last_seq
            applied, dropped = node.replica.passed_count, dict(node.dropped)
            propagation_ms = node.propagation_ms()
        else:
            status = node.peers.get(member.origin)
            if status is None:
                # One that was told to leave before this collector started has no more to say.
                has_left = member.origin in self._collector.course.dismissed
                return _unheard_peer(member, Liveness.LEFT if has_left else Liveness.UNHEARD)
            beat = status.heartbeat
            liveness = node.liveness(member.origin)
            state = beat.state if liveness is Liveness.ALIVE else liveness.value
            known_count, digest, model = beat.known_count, beat.known_digest, beat.model
            last_seq, applied, dropped = beat.last_seq, beat.applied_count, dict(beat.dropped)
            propagation_ms = beat.propagation_ms
        p50, p99 = propagation_ms if len(propagation_ms) == 2 else (None, None)
        return {
            "node": member.label,
            "role": member.role.value,
            "epoch": member.epoch,
            "state": state,
            "model": model or None,
            "known_count": known_count,
            "known_digest": digest.hex(),
            "last_seq": last_seq,
            "durable_seq": self._collector.desk.durable.get(member.log, 0),
            "behind": max(0, applied_max - applied),
            "restarts": len(member.earlier_logs),
            "dropped": dropped,
            "propagation_ms_p50": p50,
            "propagation_ms_p99": p99,
        }

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        return await self._collector.steering.control(action, arguments)


def _unheard_peer(member: Member, state: Liveness) -> JsonObject:
    return {
        "node": member.label,
        "role": member.role.value,
        "epoch": member.epoch,
        "state": state.value,
        "model": None,
        "known_count": 0,
        "known_digest": "",
        "last_seq": 0,
        "durable_seq": 0,
        "behind": 0,
        "restarts": len(member.earlier_logs),
        "dropped": {},
        "propagation_ms_p50": None,
        "propagation_ms_p99": None,
    }


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None
