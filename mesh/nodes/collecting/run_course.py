"""What the run as a whole is doing, and why: running, paused, draining; which model for whom.

Decides on facts that the collector hands in (a finished call, the totals, a wish of the user) and
hands back the changes to carry out. It does no I/O and holds no counters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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

PAUSED_BY_USER = "paused by the user"


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
        self._models = [model.spec for model in settings.models]
        self._carry_out = carry_out
        self._rules = StopRules(
            settings.target,
            settings.budget_usd,
            settings.time_limit_s,
            settings.max_cost_per_item_usd,
        )
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

    def assign_model(self, producer: NodeId, model: str) -> str | None:
        """Give a producer another model from its next call on. None when done, else why not."""
        if model not in self._models:
            return f"no such model in this run: {model}"
        if model in self._given_up:
            return f"{model} is given up: {self._given_up[model]}"
        self._assigned[producer] = model
        self._change(log.ModelAssigned(producer, model))
        return None

    @property
    def item_cost_usd(self) -> float | None:
        """Expected of the next new entry; None: not known yet."""
        return self._item_cost.expected_usd

    def check(
        self, progress: RunProgress, *, plan: FacetPlan, models_heard: Mapping[NodeId, str]
    ) -> None:
        """Stop when a bound is reached or nothing is left to find; forget notices of models that
        nobody calls any more.

        Args:
            progress: all but what this object knows itself.
        """
        called = {*{**models_heard, **self._assigned}.values()}
        for model in self._models:
            if model not in called and model not in self._given_up:
                self.notices.pop(model, None)
        exhausted = None
        if plan.is_exhausted(called - self._given_up.keys()):
            exhausted = "exhausted: wherever the latest calls looked, they found nothing new"
        progress = replace(progress, item_cost_usd=self.item_cost_usd, exhausted=exhausted)
        reason = self._rules.reason_to_stop(progress)
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
        current = {**models_heard, **self._assigned}
        changes = replacement_models(current, self._models, self._given_up)
        for producer, replacement in changes.items():
            self.assign_model(producer, replacement)
        if all(spec in self._given_up for spec in self._models):
            reasons = dict.fromkeys(f"{name}: {why}" for name, why in self._given_up.items())
            self.stop(f"no model works: {'; '.join(reasons)}", status=1)

    def _set_state(self, state: str, reason: str | None) -> None:
        self.state = state
        note = reason[:NOTE_CHARACTERS_MAX] if reason else None
        self._change(log.StateChanged(state, note))

    def _change(self, entry: LogEntry, stop: dict[str, Any] | None = None) -> None:
        """Carry out one change, and remember all that a successor must know."""
        memory = {
            "state": self.state,
            "stop_reason": self.stop_reason,
            "stop_status": self.stop_status,
            "given_up": self._given_up,
            "assigned": {origin.hex(): model for origin, model in self._assigned.items()},
        }
        meta = {
            "state": self.state,
            "stop_reason": self.stop_reason or "",
            "course": json.dumps(memory),
        }
        self._carry_out(CourseChange([entry], meta, stop or {}))


def _given_up_notice(model: str, reason: str) -> str:
    return f"{model} is given up: {reason}"
