"""Budgets under seeded faults: producers that spend, a provider that bills, in the whole mesh.

Node, purse, treasury, granting, verdict desk and run.sqlite are the real ones. The provider's
books are the truth: it bills for what it was sent and has written, whether or not the producer
lives to log it. Left out are faults that destroy what was synced to a disk: nobody can keep a
budget by what nobody knows any more, or nobody within reach. A collector restored from an old copy
among producers that it hears is tested by itself.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.config import ModelSpec
from mesh.core import entries as log
from mesh.core.budget import Purse
from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Role
from mesh.llm.interface import Usage
from mesh.llm.pricing import charge_usd, reservation_usd
from mesh.nodes.collecting.granting import Granting
from mesh.nodes.collecting.verdicts import VerdictDesk
from tests.simulation.collectors import WATCH_S, ScriptedCollector
from tests.simulation.disks import CollectorDisk, NodeDisk
from tests.simulation.producers import Script, ScriptedProducer
from tests.simulation.scenarios import FaultKind, Scenario, draw_scenario
from tests.simulation.surroundings import Surroundings, Violation
from tests.simulation.world import Slot, World

MODELS = (
    ModelSpec("openai:gpt-4o-mini", "openai", "gpt-4o-mini"),
    ModelSpec("anthropic:claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
    ModelSpec("openai:gpt-4o", "openai", "gpt-4o"),
)
PRICES_USD = {
    "openai:gpt-4o-mini": (0.15, 0.075, 0.15, 0.60),
    "anthropic:claude-haiku-4-5": (1.0, 0.1, 1.25, 5.0),
    "openai:gpt-4o": (2.5, 1.25, 2.5, 10.0),
}
"""Of a million tokens of input, of input read from a cache or written to it, of output; copied by
hand from the providers' pages, so that the prices of the ledger are checked too."""
LOOK_S = 0.1
GIVES_UP_S = 6.0
"""A producer that has waited for so long for budget counts as through."""
UNDER_WAY_TOKENS_MAX = 20
"""What a provider has written beyond what a producer has read when a call is cut."""
EXACT_USD = 1e-9
BUDGET_USD = (0.02, 0.25)
TIMES_ENTRIES = 4
"""What producers do of what they do elsewhere: many calls."""

CallPlace = tuple[NodeId, int, int]
"""(origin, epoch, seq)."""


@dataclass(slots=True)
class BilledCall:
    """One call in the provider's books."""

    model: str
    input_tokens: int
    cached_tokens: int
    written_tokens: int
    """To the cache."""
    output_tokens_max: int
    output_tokens: int = 0
    is_ended: bool = False

    def write(self, tokens: int) -> None:
        self.output_tokens = min(self.output_tokens + tokens, self.output_tokens_max)

    @property
    def billed_usd(self) -> float:
        plain, cached, written, output = PRICES_USD[self.model]
        uncached = self.input_tokens - self.cached_tokens - self.written_tokens
        dollars = uncached * plain + self.cached_tokens * cached + self.written_tokens * written
        return (dollars + self.output_tokens * output) / 1e6

    def usage(self) -> Usage:
        return Usage(self.input_tokens, self.cached_tokens, self.output_tokens, self.written_tokens)


@dataclass(slots=True)
class Provider:
    """Bills for everything that is asked of it, as it is written."""

    budget_usd: float
    books: dict[CallPlace, BilledCall] = field(default_factory=dict)

    @property
    def billed_usd(self) -> float:
        return sum(call.billed_usd for call in self.books.values())

    def check(self) -> None:
        if self.billed_usd > self.budget_usd + EXACT_USD:
            raise Violation("budget", f"${self.billed_usd} is billed of ${self.budget_usd}")


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that a producer wants to make."""

    model: ModelSpec
    prompt_tokens: int
    """As it estimates them."""
    output_tokens_max: int
    lines: int

    @property
    def reserved_usd(self) -> float | None:
        return reservation_usd(self.model, self.prompt_tokens, self.output_tokens_max)


class SpendingProducer(ScriptedProducer):
    """Makes no call that its purse does not pay for."""

    def __init__(
        self,
        around: Surroundings,
        disk: NodeDisk,
        script: Script,
        provider: Provider,
        *,
        host: str,
    ) -> None:
        self._purse: Purse | None = None
        self._provider = provider
        self._planned: PlannedCall | None = None
        self._call: BilledCall | None = None
        self._reserved_usd: float | None = None
        self._read_tokens = 0
        self._waits_since_s: float | None = None
        self._newcomer = not any(disk.logs.values())
        super().__init__(around, disk, script, host=host)

    @property
    def purse(self) -> Purse:
        # Its node opens the log and hears others before a constructor could make it.
        if self._purse is None:
            self._purse = Purse(self.node.own.log, is_bounded=True, since_ms=0)
        return self._purse

    def apply(self, log_id: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        super().apply(log_id, first_seq, entries)
        for seq, entry in enumerate(entries, first_seq):
            self.purse.apply(log_id, seq, entry)
            if isinstance(entry, log.Lost) and entry.origin == self.origin:
                self.purse.forfeit()

    def written(self, first_seq: int, entries: Sequence[LogEntry]) -> None:
        for seq, entry in enumerate(entries, first_seq):
            self.purse.apply(self.node.own.log, seq, entry)

    def end(self) -> None:
        """Whatever ends the process, what is under way is billed."""
        super().end()
        self._cut()

    def _cut(self) -> None:
        if self._call is not None and not self._call.is_ended:
            self._call.write(self.around.dice.randint(0, UNDER_WAY_TOKENS_MAX))
            self._call.is_ended = True

    @property
    def is_through(self) -> bool:
        return super().is_through or (self._gives_up and not self._unsaid)

    @property
    def _gives_up(self) -> bool:
        now_s = self.timers.time()
        return self._waits_since_s is not None and now_s - self._waits_since_s > GIVES_UP_S

    # The script

    def _work(self) -> None:
        if self._script.entries_left <= 0 or (self._script.leaves and self._gives_up):
            self._script.entries_left = 0
            asked = self.purse.give_back() if self._script.leaves else None
            self._say([asked] if asked else [], super()._work)
        elif self.node.replica.missing_of(self.origin):
            self._look_again()
        else:
            self._try_to_call()

    def _try_to_call(self) -> None:
        self._planned = self._planned or self._plan()
        amount = self._planned.reserved_usd
        if self.purse.reserve(amount):
            self._waits_since_s = None
            planned, self._planned = self._planned, None
            call = self.disk.last_seq + 1
            now_ms = self.around.wall_us() // 1000
            spec, tokens = planned.model.spec, planned.prompt_tokens
            started = log.CallStarted(spec, 40, None, now_ms, "entries", amount, tokens)
            self._say([started], self._begin, planned, call)
            return
        if self._waits_since_s is None:
            self._waits_since_s = self.timers.time()
        asked = self.purse.ask(amount)
        self._say([asked] if asked else [], self._look_again)

    def _look_again(self) -> None:
        self.timers.call_later(LOOK_S, self._work)

    def _plan(self) -> PlannedCall:
        dice = self.around.dice
        lines = min(dice.randint(5, 15), self._script.entries_left)
        return PlannedCall(
            dice.choice(MODELS), dice.randint(300, 5_000), dice.randint(100, 600), lines
        )

    def _begin(self, planned: PlannedCall, call: int) -> None:
        """Send the request, now that a power cut would not make this node forget it."""
        self.disk.sync()
        dice = self.around.dice
        tokens = int(planned.prompt_tokens * dice.uniform(0.6, 1.2))
        cached = int(tokens * dice.random() * dice.choice((0, 1)))
        written = int((tokens - cached) * dice.random())
        self._call = BilledCall(
            planned.model.spec, tokens, cached, written, planned.output_tokens_max
        )
        self._reserved_usd, self._read_tokens = planned.reserved_usd, 0
        self._provider.books[self.origin, self.node.own.epoch, call] = self._call
        self._provider.check()
        self._stream(planned.model.spec, call, planned.lines)

    def _find(self, model: str, call: int, lines_left: int) -> None:
        assert self._call is not None
        self._call.write(self.around.dice.randint(8, 60))
        self._read_tokens = self._call.output_tokens
        self._provider.check()
        super()._find(model, call, lines_left)

    def _finish(self, model: str, call: int, _: int) -> None:
        """The answer is complete, or this producer has seen enough of it."""
        assert self._call is not None
        billed = self._call
        outcome = self.around.dice.choice(("ok", "ok", "ok", "length", "cut", "retry"))
        is_estimate = outcome in ("cut", "retry")
        if is_estimate:
            self._cut()
            output_tokens = self._read_tokens + UNDER_WAY_TOKENS_MAX
            usage = Usage(int(billed.input_tokens * 1.1), 0, output_tokens, estimated=True)
        else:
            billed.is_ended = True
            usage = billed.usage()
        self._provider.check()
        spec = next(each for each in MODELS if each.spec == model)
        finished = log.CallFinished(
            call,
            model,
            outcome,
            None,
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.output_tokens,
            0,
            is_estimate,
            charge_usd(spec, usage, self._reserved_usd),
            0.5,
            0.1,
            usage.cache_write_tokens,
        )
        self._say([finished], self._work)


class SpendingCollector(ScriptedCollector):
    """Grants budget to producers."""

    def __init__(
        self, around: Surroundings, disk: CollectorDisk, world: SpendingWorld, *, host: str
    ) -> None:
        self.granting = Granting(world.provider.budget_usd)
        excluded = world.scenario.excluded
        super().__init__(around, disk, world.database, excluded, host=host)
        self.desk.say(log.BudgetSet(world.provider.budget_usd))
        self.timers.call_later(WATCH_S, self._grant_again)

    def _restore(self, own_epochs: Sequence[tuple[int, int]]) -> VerdictDesk:
        desk = super()._restore(own_epochs)
        self.granting.restore(self.database)
        for call in self.database.calls():
            desk.metrics.restore_call(call)
        desk.treasury = self.granting.treasury
        return desk

    def apply(self, log_id: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        super().apply(log_id, first_seq, entries)
        if any(isinstance(entry, log.BudgetAsked) for entry in entries):
            self._grant()

    def _grant(self) -> None:
        alive = self.node.alive()
        members = self.node.membership.others()
        producers = [m.origin for m in members if m.role is Role.PRODUCER and m.origin in alive]
        self.desk.say(*self.granting.grants(self.node, producers))
        self._wake()

    def _grant_again(self) -> None:
        self._grant()
        self.timers.call_later(WATCH_S, self._grant_again)


class SpendingWorld(World):
    """A scenario whose producers pay for what they ask."""

    __slots__ = ("provider",)

    def __init__(self, scenario: Scenario, budget_usd: float, *, keeps_trace: bool = False) -> None:
        self.provider = Provider(budget_usd)
        super().__init__(scenario, keeps_trace=keeps_trace)

    def collector_on(self, slot: Slot, disk: CollectorDisk) -> ScriptedCollector:
        return SpendingCollector(slot.around, disk, self, host=slot.host)

    def producer_on(self, slot: Slot, script: Script) -> ScriptedProducer:
        return SpendingProducer(slot.around, slot.disk, script, self.provider, host=slot.host)


def draw_spending(seed: int) -> tuple[Scenario, float]:
    """The scenario of `seed` and its budget: some pay for everything, most do not."""
    scenario = draw_scenario(seed)
    dice = random.Random(f"budget/{seed}")
    faults = tuple(
        dataclasses.replace(fault, kind=FaultKind.CRASH, amount=0.0)
        if fault.kind in (FaultKind.LOST_LOG, FaultKind.OLD_COPY)
        else fault
        for fault in scenario.faults
    )
    producers = tuple(
        dataclasses.replace(
            work, entries=TIMES_ENTRIES * work.entries, pace_s=work.pace_s / TIMES_ENTRIES
        )
        for work in scenario.producers
    )
    scenario = dataclasses.replace(scenario, faults=faults, producers=producers)
    return scenario, dice.uniform(*BUDGET_USD)
