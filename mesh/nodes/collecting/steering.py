"""What the page may ask of a run, and how it is carried out.

Arguments come from the network: their types and bounds are checked here, what of them is quoted is
bounded. Whether a wish may be granted as the run stands is run_course.py's decision; producers are
started by the supervisor, which is asked over the channel and answers by number.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mesh.config import TARGET_MAX
from mesh.core.entries import MemberRevoked
from mesh.core.membership import MEMBERS_MAX, Liveness, Member, Role
from mesh.llm.money import BudgetRefusal, budget_cap
from mesh.llm.pricing import is_priced
from mesh.nodes.channel import Channel, Message, pack
from mesh.nodes.collecting.run_course import quoted
from mesh.nodes.supervising.limits import raise_descriptor_limit
from mesh.web.interface import JsonObject

if TYPE_CHECKING:
    from mesh.nodes.collecting.collector import Collector

ANSWER_S = 5.0
"""How long the supervisor is waited for: it answers at once, or it is gone or stopped."""
UNANSWERED_MAX = 32
"""Wishes that wait for it at once; more are refused."""
BUDGET_USD_MAX = 1e9
NO_MODEL = "model must be the name of one of the run's models"


class Wishes:
    """What the supervisor is asked to do, until it answers."""

    def __init__(self, channel: Channel, *, answer_s: float = ANSWER_S) -> None:
        self._channel = channel
        self._answer_s = answer_s
        self._numbers = itertools.count(1)
        self._unanswered: dict[int, asyncio.Future[str | None]] = {}

    async def ask(self, wish: Message) -> str | None:
        """None when it is done or begun, else why not, for a person; a silence is a reason too."""
        if len(self._unanswered) >= UNANSWERED_MAX:
            return "too many wishes at once: try again"
        number = next(self._numbers)
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._unanswered[number] = answer
        try:
            self._channel.send({**wish, "number": number})
            async with asyncio.timeout(self._answer_s):
                return await answer
        except TimeoutError:
            return (
                "the program that started this run has not answered within "
                f"{self._answer_s:g} s: it may still do it"
            )
        finally:
            del self._unanswered[number]

    def answered(self, number: int, reason: str | None) -> None:
        """Nobody may wait for it any more."""
        answer = self._unanswered.get(number)
        if answer is not None and not answer.done():
            answer.set_result(reason)


class Steering:
    """One collector's obedience to its page."""

    def __init__(self, collector: Collector, channel: Channel) -> None:
        self._collector = collector
        self._channel = channel
        self._supervisor = Wishes(channel)

    async def control(self, action: str, arguments: JsonObject) -> str | None:
        """Do what is asked; None when it is done or begun, else why not, for a person."""
        course, model = self._collector.course, arguments.get("model")
        node, budget_usd = arguments.get("node"), arguments.get("budget_usd")
        if action == "add_producer":
            return await self._add_producer(model)
        if action == "set_budget":
            return await self._set_budget(budget_usd)
        wishes: dict[str, Callable[[], str | None]] = {
            "pause": course.pause,
            "resume": course.resume,
            "stop": lambda: course.stop("stopped from the page"),
            "remove_producer": lambda: self._remove_producer(node),
            "set_model": lambda: self._set_model(node, model),
            "set_target": lambda: self._set_target(arguments),
            "renew_ticket": self._collector.tickets.renew,
            "revoke_member": lambda: self._revoke_member(node),
        }
        wish = wishes.get(action)
        return f"unknown action: {quoted(action)}" if wish is None else wish()

    def answered(self, number: int, reason: str | None) -> None:
        """The supervisor's word on what it was asked."""
        self._supervisor.answered(number, reason)

    # Producers

    async def _add_producer(self, model: object) -> str | None:
        course, node = self._collector.course, self._collector.node
        if course.is_over:
            return f"the run is {course.state}"
        if model is not None and not isinstance(model, str):
            return NO_MODEL
        if model is not None and (reason := course.unusable(model)):
            return reason
        node_count = len(node.membership) + 1
        if node_count > MEMBERS_MAX:
            return f"the run has as many nodes as it can take: {MEMBERS_MAX:,}"
        if trouble := raise_descriptor_limit(node_count):
            return trouble
        wish = {"event": "add_producer", "model": model, "given_up": course.given_up}
        if self._collector.orphaned:
            return "the program that started this run is gone: nobody could start a producer"
        return await self._supervisor.ask(wish)

    def _remove_producer(self, label: object) -> str | None:
        course, node = self._collector.course, self._collector.node
        if course.is_over:
            return f"the run is {course.state}"
        if label == node.own.label:
            return "the collector stays until the run ends: Stop ends it"
        members = self._producers(label)
        if not members:
            return f"no such producer: {quoted(label)}"
        reasons = {member.origin: self._why_not_heard(member) for member in members}
        here = [origin for origin, reason in reasons.items() if reason is None]
        if not here:
            return reasons[members[0].origin]
        return course.dismiss(here[0])

    def _why_gone(self, member: Member) -> str | None:
        """Why nothing can be told to a producer any more; None: something can."""
        node = self._collector.node
        is_left = node.liveness(member.origin) is Liveness.LEFT
        if is_left or member.origin in node.membership.revoked:
            return f"{quoted(member.label)} has left already"
        if member.origin in self._collector.course.dismissed:
            return f"{quoted(member.label)} has been told to leave already"
        return None

    def _why_not_heard(self, member: Member) -> str | None:
        """Why a producer cannot be removed; None: it takes part.

        One of an earlier start that nobody has heard in this one is nowhere to be removed from:
        dismissed, it could not be started again as long as this start lasts.
        """
        if self._collector.node.liveness(member.origin) is Liveness.UNHEARD:
            return f"{quoted(member.label)} has not been heard since this collector started"
        return self._why_gone(member)

    def _set_model(self, label: object, model: object) -> str | None:
        members = self._producers(label)
        if not members:
            return f"no such producer: {quoted(label)}"
        if not isinstance(model, str):
            return NO_MODEL
        course = self._collector.course
        if course.is_over:
            return f"the run is {course.state}"
        reasons = {member.origin: self._why_gone(member) for member in members}
        here = [origin for origin, reason in reasons.items() if reason is None]
        return course.assign_model(here[0], model) if here else reasons[members[0].origin]

    def _revoke_member(self, label: object) -> str | None:
        """Remove a producer from the run for good, with its keys."""
        node, intake = self._collector.node, self._collector.intake
        members = [member for member in node.membership.others() if member.label == label]
        if not members:
            return f"no such producer: {quoted(label)}"
        node.revoke(members[0].origin)
        intake.say(MemberRevoked(members[0].origin))
        revoked = [origin.hex() for origin in sorted(node.membership.revoked)]
        intake.remember(revoked=json.dumps(revoked))
        return None

    def _producers(self, label: object) -> list[Member]:
        """Those of this name: machines may be named alike."""
        members = self._collector.node.membership.others()
        return [each for each in members if each.label == label and each.role is Role.PRODUCER]

    # Bounds

    def _set_target(self, arguments: JsonObject) -> str | None:
        target = arguments.get("target", "")  # Taken away only by a null that is there.
        if reason := no_target(target):
            return reason
        accepted_count = self._collector.ledger.accepted_count
        return self._collector.course.set_target(target, accepted_count)

    async def _set_budget(self, budget_usd: Any) -> str | None:
        collector = self._collector
        course, granting = collector.course, collector.granting
        if reason := no_budget(budget_usd):
            return reason
        if course.budget_usd is None and (reason := await asyncio.to_thread(self._unpriced)):
            return reason
        if not granting.knows_its_past(collector.node):
            return "what producers hold is not known yet: try again in a moment"
        held_usd = max(granting.treasury.held_usd, collector.desk.heard_cost_usd)
        reason = course.set_budget(float(budget_usd), held_usd)
        if reason is None:
            self._tell_newcomers_of_budget()
        return reason

    def _unpriced(self) -> str | None:
        """Why a budget could not be kept, as at the start of a run; None: it can."""
        cap = budget_cap(self._collector.settings.models, 1.0, is_priced=is_priced)
        return cap.message if isinstance(cap, BudgetRefusal) else None

    def _tell_newcomers_of_budget(self) -> None:
        """Who starts from now on makes no call that was not granted, whenever it hears the log."""
        collector = self._collector
        terms = collector.settings.terms
        if terms is not None:
            collector.node.terms = json.dumps(pack(replace(terms, has_budget=True))).encode()
        self._channel.send({"event": "has_budget"})


def no_target(value: object) -> str | None:
    """Why this is no target; None: it is one, or none at all."""
    if value is None or _is_number(value, int, 1, TARGET_MAX):
        return None
    return (
        f"target must be a whole number from 1 to {TARGET_MAX:,}, or null for none, "
        f"not {quoted(json.dumps(value))}"
    )


def no_budget(value: object) -> str | None:
    """Why this is no budget; None: it is one."""
    if value is None:
        return "a budget is not taken away here: start the run again with --budget-usd none"
    if _is_number(value, (int, float), math.ulp(0.0), BUDGET_USD_MAX):
        return None
    return (
        f"budget_usd must be dollars above 0, at most {BUDGET_USD_MAX:,.0f}, "
        f"not {quoted(json.dumps(value))}"
    )


def _is_number(value: object, kind: type | tuple[type, ...], least: float, most: float) -> bool:
    """JSON's true is no number here, though it is Python's 1."""
    if not isinstance(value, kind) or isinstance(value, bool):
        return False
    number: Any = value
    return bool(least <= number <= most)
