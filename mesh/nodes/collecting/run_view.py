"""A run as the page sees it: live from the collector, or finished from its database alone."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.core.facets import FacetPlan
from mesh.core.items import NodeId
from mesh.core.membership import Liveness, Member
from mesh.core.metrics import RunMetrics
from mesh.storage.database import RunDatabase
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
SETTLING_S = 2.0
"""While a run goes on, convergence is judged on entries older than this."""


def reopen_command(program: str, run_dir: Path) -> str:
    return f"{program} view {run_dir}"


class DatabaseReader:
    """Reads run.sqlite for the page from a thread and connection of its own."""

    def __init__(self, path: Path) -> None:
        self._database = RunDatabase.open_read_only(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="page-queries")

    async def items(self, *, after: int, limit: int, containing: str) -> JsonObject:
        def query() -> list[dict[str, Any]]:
            return self._database.items(after=after, limit=limit + 1, containing=containing)

        rows = await asyncio.get_running_loop().run_in_executor(self._thread, query)
        more = len(rows) > limit
        return {"items": rows[:limit], "next": rows[limit - 1]["ordinal"] if more else None}

    async def names(self, *, limit: int) -> JsonObject:
        def query() -> JsonObject:
            names = self._database.names
            forms_total, open_total, different_total = names.counts()
            return {
                "merged_total": forms_total,
                "open_total": open_total,
                "different_total": different_total,
                "merged": [asdict(each) for each in names.merges(limit)],
                "doubts": [asdict(each) for each in names.doubts(limit)],
            }

        return await asyncio.get_running_loop().run_in_executor(self._thread, query)

    async def output_text(self) -> bytes:
        def query() -> bytes:
            return "".join(f"{text}\n" for text in self._database.accepted_texts()).encode()

        return await asyncio.get_running_loop().run_in_executor(self._thread, query)

    def close(self) -> None:
        self._thread.shutdown()
        self._database.close()


class LiveRunView:
    """The collector's run, for page and terminal."""

    def __init__(self, collector: Collector, reader: DatabaseReader) -> None:
        self._collector = collector
        self._reader = reader
        self._applied: deque[tuple[float, int]] = deque()
        self._frozen: JsonObject | None = None

    def freeze(self) -> None:
        """The run is over: the page shows this moment from now on."""
        self._frozen = self.metrics(with_history=False)

    def metrics(self, *, with_history: bool) -> JsonObject:
        collector = self._collector
        settings = collector.settings
        counts = self._frozen or self._live_metrics()
        snapshot = {
            **counts,
            "state": collector.course.state,
            "stop_reason": collector.course.stop_reason,
            "run_dir": str(settings.run_dir),
            "reopen_command": reopen_command(settings.program, settings.run_dir),
        }
        if with_history:
            snapshot["history"] = collector.metrics.history_snapshot()
        return snapshot

    def _live_metrics(self) -> JsonObject:
        collector = self._collector
        settings = collector.settings
        return {
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

    async def items(self, *, after: int, limit: int, containing: str) -> JsonObject:
        return await self._reader.items(after=after, limit=limit, containing=containing)

    async def names(self, *, limit: int) -> JsonObject:
        return await self._reader.names(limit=limit)

    async def output_text(self) -> bytes:
        return await self._reader.output_text()

    def peers(self) -> JsonObject:
        node = self._collector.node
        applied_max = max(
            [node.replica.passed_count]
            + [status.heartbeat.applied_count for status in node.peers.values()]
        )
        return {"peers": [self._peer(member, applied_max) for member in node.membership.all()]}

    def facets(self) -> JsonObject:
        labels = {each.origin: each.label for each in self._collector.node.membership.all()}
        return _facets(self._collector.desk.plan, labels)

    def _peer(self, member: Member, applied_max: int) -> JsonObject:
        node = self._collector.node
        if member.origin == node.own.origin:
            known_count, digest = self._collector.known_summary()
            state, model, last_seq = self._collector.course.state, "", node.last_seq
            applied, dropped = node.replica.passed_count, dict(node.dropped)
        else:
            status = node.peers.get(member.origin)
            if status is None:
                return _unheard_peer(member)
            beat = status.heartbeat
            liveness = node.liveness(member.origin)
            state = beat.state if liveness is Liveness.ALIVE else liveness.value
            known_count, digest, model = beat.known_count, beat.known_digest, beat.model
            last_seq, applied, dropped = beat.last_seq, beat.applied_count, dict(beat.dropped)
        return {
            "node": member.label,
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
        }

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        return await self._collector.steering.control(action, arguments)


class FinishedRunView:
    """A run that is over, from run.sqlite alone."""

    def __init__(
        self, run_dir: Path, program: str, database: RunDatabase, reader: DatabaseReader
    ) -> None:
        self._run_dir = run_dir
        self._program = program
        self._reader = reader
        self._meta = database.meta()
        self._metrics = RunMetrics(database.model_totals(), database.history())
        for call in database.calls():
            self._metrics.restore_call(call)
        self._facets = _facets(database.plan(), {})

    def metrics(self, *, with_history: bool) -> JsonObject:
        elapsed_s = float(self._meta.get("elapsed_s", "0"))
        budget = self._meta.get("budget_usd", "")
        snapshot: JsonObject = {
            "topic": self._meta.get("topic", ""),
            "state": "stopped",
            "stop_reason": self._meta.get("stop_reason") or "the run was cut off",
            "simulated": self._meta.get("simulated") == "1",
            **self._metrics.snapshot(elapsed_s),
            "budget_usd": float(budget) if budget else None,
            "max_cost_per_item_usd": None,
            "item_cost_usd": None,
            "target": None,
            "actions": [],
            "notices": [],
            "run_dir": str(self._run_dir),
            "reopen_command": reopen_command(self._program, self._run_dir),
            "mesh": {
                "converged": True,
                "missing_entries": 0,
                "peers_alive": 0,
                "propagation_ms_p50": None,
                "propagation_ms_p99": None,
                "lost_entries": 0,
                "refused": {},
            },
        }
        if with_history:
            snapshot["history"] = self._metrics.history_snapshot()
        return snapshot

    async def items(self, *, after: int, limit: int, containing: str) -> JsonObject:
        return await self._reader.items(after=after, limit=limit, containing=containing)

    async def names(self, *, limit: int) -> JsonObject:
        return await self._reader.names(limit=limit)

    def peers(self) -> JsonObject:
        return {"peers": []}

    def facets(self) -> JsonObject:
        return self._facets

    async def output_text(self) -> bytes:
        return await self._reader.output_text()

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        return "the run is over; start it again to go on"


def _facets(plan: FacetPlan, labels: Mapping[NodeId, str]) -> JsonObject:
    return {
        "facets": [
            {
                "id": facet.id,
                "name": facet.name,
                "parent": facet.parent,
                "state": facet.state,
                "found_total": facet.found_count,
                "calls_total": facet.calls_count,
                "leased_by": [labels.get(origin, origin.hex()[:8]) for origin in facet.leased_by],
                "yield": None if facet.yield_share is None else round(facet.yield_share, 4),
            }
            for facet in plan.facets()
        ]
    }


def _unheard_peer(member: Member) -> JsonObject:
    return {
        "node": member.label,
        "epoch": member.epoch,
        "state": Liveness.UNHEARD.value,
        "model": None,
        "known_count": 0,
        "known_digest": "",
        "last_seq": 0,
        "durable_seq": 0,
        "behind": 0,
        "restarts": len(member.earlier_logs),
        "dropped": {},
    }


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None
