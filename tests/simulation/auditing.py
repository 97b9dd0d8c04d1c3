"""Seeds to what was billed and what the ledger says: one budgeted run in memory after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from mesh.core.accounts import CallRow
from mesh.core.items import NodeId
from tests.simulation.disks import rows
from tests.simulation.judging import why_not_converged
from tests.simulation.running import unwarned
from tests.simulation.scenarios import FaultKind, Scenario
from tests.simulation.spending import EXACT_USD, SpendingWorld, draw_spending
from tests.simulation.surroundings import Violation

SETTLE_S_MAX = 120.0
"""Virtual seconds from the healing until all is said and stored."""
LOOK_S = 0.5
SEEDS_IN_A_PART = 10
CRASHES = (FaultKind.CRASH, FaultKind.CRASH_UNTOLD, FaultKind.POWER_CUT, FaultKind.OLD_COPY)


@dataclass(frozen=True, slots=True)
class Audit:
    """One run's money."""

    seed: int
    violation: str | None
    budget_usd: float
    billed_usd: float = 0.0
    """By the provider's books."""
    ledger_usd: float = 0.0
    """What run.sqlite says in all: known costs, and what calls may have cost besides."""
    calls: int = 0
    completed_calls: int = 0
    cut_calls: int = 0
    """Whose cost is an estimate, or was never said."""
    crashes: int = 0
    largest_difference_usd: float = 0.0
    """Between ledger and books, of a completed call."""
    lost_places: int = 0
    """Log entries that nobody holds any more, their producer having left: calls among them are in
    no ledger. Of such a run the budget alone is checked."""


def audit_seed(seed: int) -> Audit:
    """Run the budgeted scenario of `seed` to its end and compare its ledger with the books."""
    return audit(*draw_spending(seed))


def audit(scenario: Scenario, budget_usd: float) -> Audit:
    """The same of any scenario."""
    with unwarned():
        world = SpendingWorld(scenario, budget_usd)
        try:
            world.run_until(scenario.heal_s)
            world.heal()
            _settle(world)
            return _audited(world, Audit(scenario.seed, None, budget_usd))
        except Violation as violation:
            return Audit(scenario.seed, str(violation), budget_usd, world.provider.billed_usd)


def audit_seeds(seeds: Iterable[int], *, processes: int = 1) -> Iterator[Audit]:
    """Audits in order of the seeds, made by `processes` at once."""
    if processes == 1:
        yield from map(audit_seed, seeds)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(audit_seed, seeds, chunksize=SEEDS_IN_A_PART)


def _settle(world: SpendingWorld) -> None:
    """Let producers spend what they can, and the collector store what they say."""
    ends_s = world.clock.time() + SETTLE_S_MAX
    while (reason := why_not_converged(world)) is not None:
        if world.clock.time() > ends_s:
            raise Violation("settles", reason)
        world.run_until(world.clock.time() + LOOK_S)


def _audited(world: SpendingWorld, audit: Audit) -> Audit:
    collector, books = world.collector, world.provider.books
    assert collector is not None
    calls = list(collector.database.calls())
    rest_usd = excess_usd = 0.0
    largest_usd, completed, cut = 0.0, 0, 0
    estimated = _estimated(world)
    for call in calls:
        billed = books.get((call.log.origin, call.log.epoch, call.seq))
        billed_usd = billed.billed_usd if billed else 0.0
        if call.is_ended and (call.log.origin, call.log.epoch, call.seq) not in estimated:
            completed += 1
            largest_usd = max(largest_usd, abs((call.cost_usd or 0.0) - billed_usd))
        else:
            cut += 1
            excess_usd += _charged(call) - billed_usd
            rest_usd += call.reserved_usd or 0.0
            if call.is_started and _charged(call) < billed_usd - EXACT_USD:
                raise Violation("ledger", f"{call} is billed ${billed_usd}")
    ledger_usd = sum(map(_charged, calls))
    lost_places = collector.node.replica.lost_count
    if not lost_places:
        _check(world, ledger_usd, largest_usd, excess_usd, rest_usd)
    return dataclasses.replace(
        audit,
        billed_usd=world.provider.billed_usd,
        ledger_usd=ledger_usd,
        calls=len(calls),
        completed_calls=completed,
        cut_calls=cut,
        crashes=sum(fault.kind in CRASHES for fault in world.injected),
        largest_difference_usd=largest_usd,
        lost_places=lost_places,
    )


def _charged(call: CallRow) -> float:
    """What the ledger counts for a call: its cost, or all that it may have cost."""
    return (call.cost_usd if call.is_ended else call.reserved_usd) or 0.0


def _estimated(world: SpendingWorld) -> set[tuple[NodeId, int, int]]:
    assert world.collector is not None
    query = "SELECT origin, epoch, seq FROM calls WHERE estimated"
    return {
        (NodeId(origin), epoch, seq)
        for origin, epoch, seq in rows(world.collector._files.connection, query)
    }


def _check(
    world: SpendingWorld, ledger_usd: float, largest_usd: float, excess_usd: float, rest_usd: float
) -> None:
    provider, collector = world.provider, world.collector
    assert collector is not None
    shown_usd = collector.desk.metrics.cost_usd + collector.desk.metrics.reserved_usd
    facts = {
        "every call that was billed is in the ledger": len(provider.books)
        <= len(list(collector.database.calls())),
        "a completed call costs what was billed": largest_usd <= EXACT_USD,
        "the ledger is not below the books": ledger_usd >= provider.billed_usd - EXACT_USD,
        "what is too much is reserved for cut calls": excess_usd <= rest_usd + EXACT_USD,
        "the ledger is within the budget": ledger_usd <= provider.budget_usd + EXACT_USD,
        "what is shown is the ledger": abs(shown_usd - ledger_usd) <= EXACT_USD,
    }
    for fact, holds in facts.items():
        if not holds:
            raise Violation("ledger", f"it does not hold that {fact}")
