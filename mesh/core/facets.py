"""The plan of a run: which facets the topic has, what each has brought, who is looking where.

Derived from the logs alone, so that all nodes come to the same plan without anyone who plans:
entries apply in any order, each once. The parts are facet_tree.py (which facets there are),
facet_calls.py (what calls have brought; leases), facet_members.py (which entries belong where),
facet_yields.py (what is rich, what is dry), facet_planning.py (when to ask for facets) and
facet_choice.py (where to look). How facets are asked for and listed is llm/prompts.py's.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

from mesh.core import entries as log
from mesh.core import facet_choice, facet_yields
from mesh.core.entries import LogEntry
from mesh.core.facet_calls import JUDGING, PLANNING, FacetCalls, Place
from mesh.core.facet_choice import PLANLESS_ASK_MAX, Chooser, LookIn, Work
from mesh.core.facet_ids import OPEN_FACET, facet_id
from mesh.core.facet_members import FacetMembers, Membership
from mesh.core.facet_planning import SPLIT_SHARE_MIN, MoreFacets, PlanTopic, SplitFacet
from mesh.core.facet_tree import FACETS_MAX, Facet, FacetTree
from mesh.core.items import LogId, NodeId
from mesh.core.normalize import item_key

__all__ = [
    "FACETS_MAX",
    "OPEN_FACET",
    "PLANLESS_ASK_MAX",
    "FacetMembers",
    "FacetPlan",
    "FacetState",
    "FacetView",
    "LookIn",
    "MoreFacets",
    "PlanTopic",
    "SplitFacet",
    "Work",
    "facet_id",
]

FacetState = Literal["open", "rich", "thin", "dry", "split"]


@dataclass(frozen=True, slots=True)
class FacetView:
    """One facet, for people."""

    id: int
    """0: the topic as a whole."""
    name: str
    """"" for the topic as a whole."""
    parent: int
    state: FacetState
    """open: not looked into yet; dry: by all models that have looked."""
    found_count: int
    calls_count: int
    leased_by: tuple[NodeId, ...]
    yield_share: float | None
    """Unique entries for each entry's worth of effort in the latest calls; None: no call yet."""


@dataclass(slots=True)
class FacetPlan:
    """The plan as one node knows it."""

    calls: FacetCalls = field(default_factory=FacetCalls)
    holds_members: bool = True
    """False: which entries belong to which facet is not asked here, and costs nothing."""
    _tree: FacetTree = field(init=False)
    _members: Membership = field(default_factory=Membership)
    _judging: set[Place] = field(default_factory=set)
    """Calls under way that ask for judgements: the plan has nothing to do with them."""

    def __post_init__(self) -> None:
        self._tree = FacetTree(self.calls.is_over)

    def apply(
        self,
        log_id: LogId,
        seq: int,
        entry: LogEntry,
        key: bytes | None = None,
        *,
        accepted: Sequence[str] = (),
    ) -> None:
        """Take in one entry of any log; those that say nothing about facets are passed over.

        Args:
            key: the text's, where the caller has it.
            accepted: all accepted texts by ordinal - 1, as known before this entry; needed with
                EpochOpened alone.
        """
        match entry:
            case log.Found() | log.Repeat():
                self.wrote(log_id, entry, key)
            case log.Accepted(ordinal=ordinal, text=text, facet=facet):
                self.accepted(ordinal, facet, key or item_key(text), log_id.epoch)
            case log.CallStarted():
                self.call_started(log_id, seq, entry)
            case log.CallFinished():
                self.call_finished(log_id, entry)
            case log.FacetProposed():
                self.proposed(log_id, seq, entry)
            case log.EpochOpened(accepted_count=accepted_count):
                self.open_epoch(log_id.epoch, accepted_count, accepted)

    def call_started(self, log_id: LogId, seq: int, entry: log.CallStarted) -> None:
        place = (log_id, seq)
        if entry.purpose == JUDGING:
            heard = self.calls.withdraw(place)
            if heard is None or heard.outcome is None:
                self._judging.add(place)
            return
        facet = facet_id(entry.facet) if entry.facet else OPEN_FACET
        if entry.purpose != PLANNING:
            self.calls.started(place, entry, facet)
            return
        self.epoch_opened(*log_id)
        self._tree.started(place, entry, facet)
        heard = self.calls.withdraw(place)
        if heard is not None and heard.outcome is not None:
            self._tree.finished(place, heard.outcome, heard.latency_s)

    def call_finished(self, log_id: LogId, entry: log.CallFinished) -> None:
        place: Place = (log_id, entry.call)
        if place in self._judging:
            self._judging.remove(place)
        elif self._tree.holds(place):
            self._tree.finished(place, entry.outcome, entry.latency_s)
        else:
            self.calls.finished(log_id, entry)

    def wrote(self, log_id: LogId, entry: log.Found | log.Repeat, key: bytes | None = None) -> None:
        """A call wrote an entry: it belongs to the call's facet, found there or not."""
        self.calls.wrote(log_id, entry)
        if entry.facet and self.holds_members:
            self._members.wrote(entry.facet, key or item_key(entry.text), entry.text)

    def restore_call(
        self,
        place: Place,
        started: log.CallStarted | None,
        finished: log.CallFinished | None,
    ) -> None:
        """Take up a call as it was stored, with the counts that its end told."""
        log_id, seq = place
        if started is not None:
            self.call_started(log_id, seq, started)
        if finished is None:
            return
        if started is not None and started.purpose not in (PLANNING, JUDGING):
            facet = facet_id(started.facet) if started.facet else OPEN_FACET
            self.calls.restore(place, facet, finished)
        self.call_finished(log_id, finished)

    def proposed(self, log_id: LogId, seq: int, entry: log.FacetProposed) -> None:
        self._tree.proposed((log_id, entry.call), seq, entry)

    def accepted(self, ordinal: int, facet: int, key: bytes, epoch: int = 0) -> None:
        """The collector accepted, in its `epoch`, what a call for `facet` found."""
        self._members.accepted(ordinal, facet, key, epoch)

    def open_epoch(self, epoch: int, accepted_count: int, accepted: Sequence[str] = ()) -> None:
        """The collector restarted holding `accepted_count`: what earlier epochs accepted beyond
        is void, and its texts, which stand in `accepted` by ordinal - 1, are fresh again."""
        self._members.open_epoch(epoch, accepted_count, accepted)

    def node_gone(self, origin: NodeId) -> None:
        """A node is taken for dead: what it leases is free, until it is back."""
        self.calls.node_gone(origin)
        self._tree.stale()

    def node_back(self, origin: NodeId) -> None:
        self.calls.node_back(origin)
        self._tree.stale()

    def nodes_gone(self, origins: Set[NodeId]) -> None:
        """Take these nodes for dead, and no others."""
        for origin in origins - self.calls.gone:
            self.node_gone(origin)
        for origin in self.calls.gone - origins:
            self.node_back(origin)

    def epoch_opened(self, origin: NodeId, epoch: int) -> None:
        """An origin was heard in `epoch`: its calls of earlier epochs are over."""
        self.calls.epoch_opened(origin, epoch)
        self._tree.stale()

    def members(self, facet: int, upto: int | None = None) -> FacetMembers:
        """The entries of a facet; none for the topic as a whole, to which all belong.

        Args:
            upto: the last ordinal known without a hole before it.
        """
        related: list[int] = []
        for above in self._tree.lineage(facet):
            related += self._members.ordinals(above, upto)
        return FacetMembers(self._members.ordinals(facet, upto), self._members.tail(facet), related)

    def lineage(self, facet: int) -> tuple[int, ...]:
        """The facets that `facet` is a part of, the largest first, without itself."""
        return self._tree.lineage(facet)

    def name(self, facet: int) -> str | None:
        """None for the topic as a whole and for what is not in the plan."""
        held = self._tree.facets().get(facet)
        return held.name if held is not None else None

    def facets(self) -> list[FacetView]:
        """All facets, the topic as a whole first, parents before their parts."""
        leases = self.calls.leases()
        everything = Facet(OPEN_FACET, "", OPEN_FACET, 0)
        held = [everything, *self._tree.facets().values()]
        return [self._view(facet, leases.get(facet.id, ())) for facet in held]

    def next_work(
        self,
        model: str,
        *,
        random: random.Random,
        concurrent_count: int,
        known_count: int,
        may_plan: bool = True,
    ) -> Work:
        """What a call of `model` does best now.

        Args:
            concurrent_count: calls for entries that all producers together make at once.
            known_count: entries known in all.
            may_plan: False: the call must be one for entries.
        """
        chooser = Chooser(self._tree, self.calls, model, concurrent_count, known_count, random)
        return chooser.choose(may_plan=may_plan)

    @property
    def is_first_being_made(self) -> bool:
        """Whether a call for the first plan is under way."""
        return facet_choice.is_first_being_made(self._tree)

    def place_in_turn(
        self, own: NodeId, producers: Collection[NodeId], concurrency: int
    ) -> LookIn | None:
        """Where a call of `own` looks while the first plan is being made; None: nowhere yet.

        Args:
            producers: those alive, `own` among them.
            concurrency: calls that each makes at once.
        """
        return facet_choice.place_in_turn(self._tree, self.calls, own, producers, concurrency)

    def is_exhausted(self, models: Iterable[str]) -> bool:
        """Whether nothing is left to find for those models of the run that work."""
        return facet_yields.is_exhausted(self._tree, self.calls, tuple(models))

    def _view(self, facet: Facet, leased_by: Sequence[NodeId]) -> FacetView:
        share = facet_yields.lately_share(self.calls, facet.id)
        return FacetView(
            id=facet.id,
            name=facet.name,
            parent=facet.parent,
            state=self._state(facet.id, share),
            found_count=self.calls.found_count(facet.id),
            calls_count=self.calls.calls_count(facet.id),
            leased_by=tuple(dict.fromkeys(leased_by)),
            yield_share=share,
        )

    def _state(self, facet: int, share: float | None) -> FacetState:
        if facet and self._tree.is_split(facet):
            return "split"
        if share is None:
            return "open"
        arms = [arm for arm in self.calls.arms(facet).values() if arm.recent]
        if all(facet_yields.is_dry(facet, arm) for arm in arms):
            return "dry"
        return "rich" if share >= SPLIT_SHARE_MIN else "thin"
