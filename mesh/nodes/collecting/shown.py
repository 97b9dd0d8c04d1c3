"""What the page shows of a run that goes on and of one that is over, so that both show the same.

Counts follow from run.sqlite's tables. What no table tells, how nodes were and what the run was
given, is kept as it was last shown, as JSON in the table `meta`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mesh.core.facets import FacetPlan
from mesh.core.items import NodeId
from mesh.web.interface import JsonObject

PEERS_KEPT_MAX = 256
"""Nodes whose last state is kept; some 400 bytes each."""
LEFT = "left"
"""State of every node of a run that is over."""
_KEPT = (
    *("budget_usd", "target", "max_cost_per_item_usd", "item_cost_usd"),
    *("available_models", "notices", "mesh"),
)
_NOBODY_KNOWS: JsonObject = {
    "budget_usd": None,
    "target": None,
    "max_cost_per_item_usd": None,
    "item_cost_usd": None,
    "available_models": [],
    "notices": [],
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


def to_keep(metrics: JsonObject, peers: JsonObject) -> dict[str, str]:
    """Rows of the table `meta` from which a finished run is shown like this one."""
    shown = {key: metrics.get(key) for key in _KEPT}
    return {"shown": json.dumps(shown), "peers": json.dumps(peers["peers"][:PEERS_KEPT_MAX])}


def kept_metrics(meta: Mapping[str, str]) -> JsonObject:
    """That part of /api/metrics which no table tells."""
    budget = meta.get("budget_usd", "")
    shown: JsonObject = {**_NOBODY_KNOWS, "budget_usd": float(budget) if budget else None}
    shown |= _object(meta.get("shown"))
    if meta.get("state") != "stopped":
        # It was cut off: whoever was alive then is no more.
        shown["mesh"] = {**shown["mesh"], "peers_alive": 0}
    return shown


def kept_peers(meta: Mapping[str, str]) -> JsonObject:
    """/api/peers of a run that is over: its nodes as they last were."""
    peers: list[JsonObject] = json.loads(meta.get("peers") or "[]")
    return {"peers": [{**peer, "state": LEFT} for peer in peers]}


def _object(text: str | None) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(text) if text else {}
    return kept


def reopen_command(program: str, run_dir: Path) -> str:
    return f"{program} view {run_dir}"


def facets_json(plan: FacetPlan, labels: Mapping[NodeId, str]) -> JsonObject:
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
