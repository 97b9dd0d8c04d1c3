"""When the collector grants budget to producers, and when it takes the budget for spent.

How much each gets is core.budget's decision. What is here waits for certainty: a collector that
was restored from an old copy first hears what it has granted, and what seems spent must stay so
for a while. What it granted to producers that are cut off from all it hears, no wait tells it: by
that much a run can be overspent whose run.sqlite was replaced by an older one.
"""

from __future__ import annotations

from collections.abc import Collection

from mesh.core.budget import Treasury
from mesh.core.entries import BudgetGranted
from mesh.core.items import NodeId
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.storage.database import RunDatabase

OWN_PAST_HEARD_S = 2.0
"""Two heartbeats: by then a collector knows of all that others have heard of its past."""
SPENT_FOR_S = 1.0
"""A producer whose call has just ended may be about to ask for less, or to need nothing."""


class Granting:
    """One collector's treasury. Times are of the node's clock."""

    def __init__(self, budget_usd: float | None) -> None:
        self.treasury = Treasury(budget_usd)
        self._opened_s: float | None = None
        self._unpaid_since_s: float | None = None

    def restore(self, database: RunDatabase) -> None:
        """Take up what producers may spend, have spent, and may be spending."""
        for row in database.accounts():
            self.treasury.restore(row)
        for call in database.calls():
            self.treasury.restore_call(call)

    def grants(self, node: MeshNode, producers: Collection[NodeId]) -> list[BudgetGranted]:
        """Grants to say now; none while this collector may not know all that it has granted."""
        return self.treasury.grants(producers) if self.knows_its_past(node) else []

    def unpaid_call_usd(self, node: MeshNode, producers: Collection[NodeId]) -> float | None:
        """What the cheapest next call may cost, where for a while now nobody could be granted one
        more; None: somebody could."""
        now_s = node.clock.time()
        unpaid_usd = self.treasury.unpaid_call_usd(producers)
        if unpaid_usd is None or not self.knows_its_past(node):
            self._unpaid_since_s = None
        elif self._unpaid_since_s is None:
            self._unpaid_since_s = now_s
        elif now_s - self._unpaid_since_s >= SPENT_FOR_S:
            return unpaid_usd
        return None

    def knows_its_past(self, node: MeshNode) -> bool:
        """Whether this collector has heard of all that it has granted."""
        now_s = node.clock.time()
        if self._opened_s is None:
            self._opened_s = now_s
        if not node.own.earlier_logs:
            return True
        is_heard = now_s - self._opened_s >= OWN_PAST_HEARD_S
        return is_heard and not node.replica.missing_of(node.own.origin)
