"""Parts of what the page shows that a live run and a finished one have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mesh.core.facets import FacetPlan
from mesh.core.items import NodeId
from mesh.web.interface import JsonObject


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
