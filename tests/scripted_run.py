"""A run whose course a test writes: the page's RunView, without mesh or models.

Entries, states and numbers are what the test says; totals follow from the entries, as they do in a
real run, so that page and numbers can be compared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from mesh.core.downloads import DownloadFormat, header_of, lines_of
from mesh.core.item_query import ItemQuery
from mesh.web.interface import JsonObject

TOPIC = "Paris attractions"
MODELS = ("simulated:atlas", "simulated:sonata")


class ScriptedRun:
    """A run in memory; change it between requests."""

    def __init__(
        self, *, topic: str = TOPIC, models: tuple[str, ...] = MODELS, run_dir: str = "runs/paris"
    ) -> None:
        self.state = "running"
        self.stop_reason: str | None = None
        self.elapsed_s = 0.0
        self.accepted: list[JsonObject] = []
        self.history: list[JsonObject] = []
        self.refusal: str | None = None
        """What `control` answers."""
        self.wishes: list[tuple[str, JsonObject]] = []
        """What `control` was asked for."""
        self.node_state = "alive"
        self.peer_count = 1
        """Producers beside the collector."""
        self.peer_changes: dict[str, JsonObject] = {}
        """Fields of `/api/peers` to show otherwise, by node."""
        self.facet_rows: list[JsonObject] = [_facet(0, ""), _facet(7, "Museums and galleries")]
        """`/api/facets`; `add_facet` adds one."""
        self.actions = ["pause", "stop", "set_model"]
        """What is allowed while it runs."""
        self.merged_count = 1
        self.dropped: dict[str, int] = {}
        """Frames that producer-1 has dropped, by reason."""
        self.mesh_changes: JsonObject = {}
        """Fields of `mesh` to show otherwise."""
        self.changes: JsonObject = {}
        """Fields of `/api/metrics` to show otherwise."""
        self._fixed: JsonObject = {
            "topic": topic,
            "simulated": True,
            "budget_usd": 1.0,
            "target": 300,
            "notices": [],
            "available_models": list(models),
            "run_id": run_dir,
            "run_dir": run_dir,
            "reopen_command": f"python run_mesh.py view {run_dir}",
        }
        self._models = models

    def find(
        self,
        texts: Iterable[str],
        *,
        model: str = MODELS[0],
        facet: str | None = None,
        node: str = "producer-1",
    ) -> None:
        """Accept `texts` one second later, and add a point to the history."""
        self.elapsed_s += 1.0
        for text in texts:
            self.accepted.append(
                {
                    "ordinal": len(self.accepted) + 1,
                    "text": text,
                    "model": model,
                    "node": node,
                    "facet": facet,
                    "t_s": self.elapsed_s,
                    "forms": [],
                }
            )
        self.history.append(
            {
                "t_s": self.elapsed_s,
                "unique_total": len(self.accepted),
                "unique_last_minute": sum(self._last_minute().values()),
                "duplicate_rate": 0.1,
                "models": self._last_minute(),
                "cost_usd": round(0.0123 * min(1.0, self.elapsed_s / 60), 6),
            }
        )

    def merge(self, text: str, ordinal: int) -> None:
        """Make `text` another form of an entry."""
        self.accepted[ordinal - 1]["forms"].append(text)
        self.merged_count += 1

    def add_facet(self, name: str, **changes: Any) -> None:
        """Add a facet to the plan; `changes` are fields of `/api/facets` to show otherwise."""
        self.facet_rows.append(_facet(len(self.facet_rows) + 100, name, **changes))

    def end(self, reason: str) -> None:
        self.state, self.stop_reason = "stopped", reason

    # What the page asks

    def metrics(self, *, with_history: bool) -> JsonObject:
        last_minute = self._last_minute()
        unique_total = len(self.accepted)
        shown: JsonObject = {
            **self._fixed,
            "state": self.state,
            "stop_reason": self.stop_reason,
            "elapsed_s": self.elapsed_s,
            "unique_total": unique_total,
            "unique_last_minute": sum(last_minute.values()),
            "generated_total": unique_total + 10,
            "duplicates_total": 8,
            "rejected_total": 2,
            "duplicate_rate": 0.1,
            "cost_usd": 0.0123,
            "cost_complete": True,
            "models": [self._model(model, last_minute[model]) for model in self._models],
            "mesh": {
                "converged": True,
                "missing_entries": 0,
                "peers_alive": 2,
                "propagation_ms_p50": 0.4,
                "propagation_ms_p99": 2.0,
                "lost_entries": 0,
                "refused": {},
                **self.mesh_changes,
            },
            "forecast": {"target_s": 42.0, "budget_s": 600.0, "reach": None, "slowing": False},
            "actions": self._allowed(),
            **self.changes,
        }
        return {**shown, "history": self.history} if with_history else shown

    async def items(self, query: ItemQuery) -> JsonObject:
        if query.is_filtered:
            matching = [item for item in self.accepted if _matches(item, query)]
            rows = [item for item in matching if item["ordinal"] > query.after]
        else:
            matching, rows = self.accepted, self.accepted[query.after :]
        shown = rows[query.skip : query.skip + query.limit]
        more = len(rows) > query.skip + query.limit
        following = shown[-1]["ordinal"] if shown and more else None
        return {"items": shown, "next": following, "total": len(matching)}

    def facets(self) -> JsonObject:
        return {"facets": self.facet_rows}

    async def names(self, *, limit: int) -> JsonObject:
        merged = {"text": "The Louvre Museum", "entry": "Louvre", "rule": "without museum"}
        doubt = {"text": "Orsay", "other": "Quai d'Orsay", "reason": "spelling alike"}
        return {
            "merged_total": self.merged_count,
            "open_total": 1,
            "different_total": 0,
            "merged": [merged] * min(limit, self.merged_count),
            "doubts": [{**doubt, "verdict": "open", "judge": ""}],
        }

    def peers(self) -> JsonObject:
        producers = [
            (f"producer-{number}", self._models[(number - 1) % len(self._models)])
            for number in range(1, self.peer_count + 1)
        ]
        return {
            "peers": [self._peer("collector", None), *(self._peer(*each) for each in producers)]
        }

    def _peer(self, node: str, model: str | None) -> JsonObject:
        count = len(self.accepted)
        return {
            "node": node,
            "role": "producer" if model else "collector",
            "epoch": 1,
            "state": self.node_state,
            "model": model,
            "known_count": count,
            "known_digest": "00",
            "last_seq": count,
            "durable_seq": count,
            "behind": 0,
            "restarts": 0,
            "dropped": self.dropped if node == "producer-1" else {},
            "propagation_ms_p50": 0.4 if model else None,
            "propagation_ms_p99": 2.0 if model else None,
            **self.peer_changes.get(node, {}),
        }

    async def output(self, form: DownloadFormat) -> AsyncIterator[bytes]:
        yield header_of(form)
        yield lines_of(form, list(self.accepted))

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        self.wishes.append((action, arguments))
        if self.refusal is None and action in ("pause", "resume"):
            self.state = "paused" if action == "pause" else "running"
        return self.refusal

    def _allowed(self) -> list[str]:
        if self.state in ("draining", "stopped"):
            return []
        instead = {"pause": "resume"} if self.state == "paused" else {}
        return [instead.get(action, action) for action in self.actions]

    def _last_minute(self) -> dict[str, int]:
        counts = dict.fromkeys(self._models, 0)
        for item in self.accepted:
            counts[item["model"]] += item["t_s"] > self.elapsed_s - 60
        return counts

    def _model(self, model: str, last_minute: int) -> dict[str, Any]:
        unique_total = sum(item["model"] == model for item in self.accepted)
        return {
            "model": model,
            "unique_total": unique_total,
            "unique_last_minute": last_minute,
            "generated_total": unique_total + 5,
            "duplicates_total": 4,
            "rejected_total": 1,
            "calls_total": 3,
            "calls_failed": 1,
            "calls_cut": 0,
            "calls_open": 1,
            "input_tokens": 4000,
            "cached_input_tokens": 1000,
            "output_tokens": 600,
            "cost_usd": 0.006,
            "cached_share": 0.25,
            "reserved_usd": 0.0,
            "cost_per_100_unique_usd": 0.2,
            "latency_s_p50": 2.5,
            "latency_s_p95": 6.25,
            "last_error": "429: too many requests",
        }


def _facet(number: int, name: str, **changes: Any) -> JsonObject:
    return {
        "id": number,
        "name": name,
        "parent": 0,
        "state": "rich" if name else "thin",
        "found_total": 41 if name else 3,
        "calls_total": 1,
        "leased_by": ["producer-1"],
        "yield": 0.5,
        **changes,
    }


def _matches(item: JsonObject, query: ItemQuery) -> bool:
    wanted = query.containing.casefold()
    return (
        query.model in (None, item["model"])
        and query.facet in (None, item["facet"])
        and any(wanted in text.casefold() for text in (item["text"], *item["forms"]))
    )
