"""What the run as a whole is doing, and why: running, paused, draining; its target and budget; who
is to leave it; which model for whom.

Decides on facts that the collector hands in (a finished call, the totals, a wish of the user) and
hands back the changes to carry out. What was changed while the run goes on holds until this start
of it ends, whoever is the collector. It does no I/O and holds no counters.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mesh.config import CollectorSettings
from mesh.core import entries as log
from mesh.core.entries import NOTE_CHARACTERS_MAX, LogEntry
from mesh.core.facets import FacetPlan
from mesh.core.item_cost import ItemCost
from mesh.core.items import NodeId
from mesh.core.routing import replacement_models
from mesh.core.stopping import RunProgress, StopRules
from mesh.nodes.terminal import shown

PAUSED_BY_USER = "paused by the user"
STEERING = (
    *("add_producer", "remove_producer", "set_model"),
    *("set_target", "set_budget"),
)
"""What may be asked of a run as long as it has not begun to end."""
QUOTED_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class CourseChange:
    """What follows from a decision."""

    entries: list[LogEntry] = field(default_factory=list)
    """For the collector's log."""
    meta: dict[str, str] = field(default_factory=dict)
    """For the table `meta`."""
    stop: dict[str, Any] = field(default_factory=dict)
    """For the supervisor: reason and exit status; empty when the run goes on."""


class RunCourse:
    """State of the run and of its models."""

    def __init__(
        self, settings: CollectorSettings, carry_out: Callable[[CourseChange], None]
    ) -> None:
        self.state = "starting"
        self.stop_reason: str | None = None
        self.stop_status = 0
        self.notices: dict[str, str] = {}
        """Lines for page and terminal, by what they are about."""
        self.target = settings.target
        self.budget_usd = settings.budget_usd
        self.dismissed: set[NodeId] = set()
        """Producers that are to leave in this start of the run, or have left."""
        self._settings = settings
        self._models = [model.spec for model in settings.models]
        self._carry_out = carry_out
        self._item_cost = ItemCost()
        self._assigned: dict[NodeId, str] = {}
        self._given_up: dict[str, str] = {}

    def start(self, remembered: str = "") -> None:
        """Begin, or go on as a collector of this start left off that has died since.

        Args:
            remembered: what it last put under `course` into the table `meta`; "" for a new start.
        """
        memory = json.loads(remembered) if remembered else {}
        self._given_up = dict(memory.get("given_up", {}))
        for model, reason in self._given_up.items():
            self.notices[model] = _given_up_notice(model, reason)
        self.target = memory.get("target", self.target)
        self.budget_usd = memory.get("budget_usd", self.budget_usd)
        self.dismissed = {NodeId(bytes.fromhex(each)) for each in memory.get("dismissed", ())}
        assigned = memory.get("assigned", {})
        self._assigned = {NodeId(bytes.fromhex(origin)): each for origin, each in assigned.items()}
        if memory.get("stop_reason") is not None:
            self.stop(memory["stop_reason"], memory["stop_status"])
        elif memory.get("state") == "paused":
            self._set_state("paused", PAUSED_BY_USER)
        else:
            self._set_state("starting", None)

    def first_entry(self) -> None:
        """Something was said: the run is under way."""
        if self.state == "starting":
            self._set_state("running", None)

    def end(self) -> None:
        """Everyone has left."""
        self._set_state("stopped", self.stop_reason)

    def pause(self) -> str | None:
        """None when done, else why not."""
        if self.state not in ("running", "starting"):
            return f"the run is {self.state}"
        self._set_state("paused", PAUSED_BY_USER)
        return None

    def resume(self) -> str | None:
        """None when done, else why not."""
        if self.state != "paused":
            return f"the run is {self.state}"
        self._set_state("running", None)
        return None

    def stop(self, reason: str, status: int = 0) -> str | None:
        """Have producers finish and leave; the first reason given stands. None when done."""
        if self.stop_reason is not None:
            return f"the run is {self.state}"
        self.stop_reason, self.stop_status = reason, status
        self.state = "draining"
        self._change(
            log.StateChanged(self.state, reason[:NOTE_CHARACTERS_MAX]),
            stop={"reason": reason, "status": status},
        )
        return None

    @property
    def is_over(self) -> bool:
        """It ends, or has ended: nothing is changed any more."""
        return self.stop_reason is not None or self.state == "stopped"

    def actions(self) -> list[str]:
        """What may be asked of the run now."""
        if self.is_over:
            return []
        return ["resume" if self.state == "paused" else "pause", "stop", *STEERING]

    def assign_model(self, producer: NodeId, model: str) -> str | None:
        """Give a producer another model from its next call on. None when done, else why not."""
        if reason := self.unusable(model):
            return reason
        self._assigned[producer] = model
        self._change(log.ModelAssigned(producer, model))
        return None

    def unusable(self, model: str) -> str | None:
        """Why no producer can be given `model`; None: one can."""
        if model not in self._models:
            return f"no such model in this run: {quoted(model)}"
        return _given_up_notice(model, self._given_up[model]) if model in self._given_up else None

    @property
    def given_up(self) -> list[str]:
        """Models that nobody is given any more."""
        return list(self._given_up)

    def dismiss(self, producer: NodeId) -> str | None:
        """Have a producer finish, hand over and leave. None when done, else why not."""
        if self.is_over:
            return f"the run is {self.state}"
        self.dismissed.add(producer)
        self._assigned.pop(producer, None)
        self._change(log.ProducerDismissed(producer))
        return None

    def set_target(self, target: int | None, accepted_count: int) -> str | None:
        """Stop at so many entries; None takes the target away. None when done, else why not."""
        if self.is_over:
            return f"the run is {self.state}"
        if target is not None and target <= accepted_count:
            return (
                f"{accepted_count:,} entries are accepted already: a target is to be above that; "
                "Stop ends the run"
            )
        self.target = target
        self._change()
        return None

    def set_budget(self, budget_usd: float, held_usd: float) -> str | None:
        """Have the whole run cost at most so much. None when done, else why not.

        Args:
            held_usd: what is spent, or bound to calls, or in the hands of producers: it may be
                spent before they hear of another budget.
        """
        if self.is_over:
            return f"the run is {self.state}"
        if budget_usd < held_usd:
            # Rounded up: what is named here is not refused again.
            least_usd = math.ceil(held_usd * 10_000) / 10_000
            return f"${least_usd:.4f} are spent or held by producers: a budget cannot be below that"
        self.budget_usd = budget_usd
        self._change(log.BudgetSet(budget_usd))
        return None

    @property
    def item_cost_usd(self) -> float | None:
        """Expected of the next new entry; None: not known yet."""
        return self._item_cost.expected_usd

    def check(
        self,
        progress: RunProgress,
        *,
        plan: FacetPlan,
        models_heard: Mapping[NodeId, str],
        left: Collection[NodeId] = (),
    ) -> None:
        """Stop when a bound is reached or nothing is left to find; forget notices of models that
        nobody calls any more.

        Args:
            progress: all but what this object knows itself.
            left: who has left the run: it ends without what their models may have found.
        """
        called = {*self._current(models_heard, left).values()}
        for model in self._models:
            if model not in called and model not in self._given_up:
                self.notices.pop(model, None)
        exhausted = None
        if plan.is_exhausted(called - self._given_up.keys()):
            exhausted = "exhausted: wherever the latest calls looked, they found nothing new"
        progress = replace(progress, item_cost_usd=self.item_cost_usd, exhausted=exhausted)
        rules = StopRules(
            self.target,
            self.budget_usd,
            self._settings.time_limit_s,
            self._settings.max_cost_per_item_usd,
        )
        reason = rules.reason_to_stop(progress)
        if reason:
            self.stop(reason)

    def call_finished(
        self, call: log.CallFinished, accepted_count: int, models_heard: Mapping[NodeId, str]
    ) -> None:
        """Watch how calls go: what has run dry, who cannot be reached, who is given up."""
        self._item_cost.call_finished(call.cost_usd, accepted_count)
        if call.outcome == "give_up":
            self._give_up(call.model, call.error or "it does not work", models_heard)
        elif call.model in self._given_up:
            return  # A call that was under way says nothing against that, whatever its end.
        elif call.outcome == "unreachable":
            self.notices[call.model] = f"{call.model}: {call.error}; waiting for it"
        elif call.outcome != "cancelled":
            self.notices.pop(call.model, None)  # Even an error is an answer: it was reached.

    def _give_up(self, model: str, reason: str, models_heard: Mapping[NodeId, str]) -> None:
        reason = self._given_up.setdefault(model, reason)
        self.notices[model] = _given_up_notice(model, reason)
        changes = replacement_models(self._current(models_heard), self._models, self._given_up)
        for producer, replacement in changes.items():
            self.assign_model(producer, replacement)
        if all(spec in self._given_up for spec in self._models):
            reasons = dict.fromkeys(f"{name}: {why}" for name, why in self._given_up.items())
            self.stop(f"no model works: {'; '.join(reasons)}", status=1)

    def _current(
        self, models_heard: Mapping[NodeId, str], left: Collection[NodeId] = ()
    ) -> dict[NodeId, str]:
        """Which model each producer calls, without those that are to leave or have left."""
        gone = self.dismissed.union(left)
        models = {**models_heard, **self._assigned}
        return {origin: model for origin, model in models.items() if origin not in gone}

    def _set_state(self, state: str, reason: str | None) -> None:
        self.state = state
        note = reason[:NOTE_CHARACTERS_MAX] if reason else None
        self._change(log.StateChanged(state, note))

    def _change(self, *entries: LogEntry, stop: dict[str, Any] | None = None) -> None:
        """Carry out one change, and remember all that a successor must know."""
        memory = {
            "state": self.state,
            "stop_reason": self.stop_reason,
            "stop_status": self.stop_status,
            "given_up": self._given_up,
            "assigned": {origin.hex(): model for origin, model in self._assigned.items()},
            "target": self.target,
            "budget_usd": self.budget_usd,
            "dismissed": sorted(origin.hex() for origin in self.dismissed),
        }
        meta = {
            "state": self.state,
            "stop_reason": self.stop_reason or "",
            "budget_usd": "" if self.budget_usd is None else str(self.budget_usd),
            "course": json.dumps(memory),
        }
        self._carry_out(CourseChange(list(entries), meta, stop or {}))


def quoted(value: object) -> str:
    """What a stranger sent, as an answer may repeat it."""
    text = shown(value)
    if len(text) > QUOTED_CHARACTERS_MAX:
        text = f"{text[: QUOTED_CHARACTERS_MAX - 1]}…"
    return text


def _given_up_notice(model: str, reason: str) -> str:
    return f"{model} is given up: {reason}"
