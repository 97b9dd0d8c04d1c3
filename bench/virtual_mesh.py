"""A whole run in memory: N real callers, who hears what when, one real ledger.

What is real: each producer's Caller with its prompts, parser, prices, plan and known items, and
the collector's verdicts. Left out: processes, frames, sockets, disks. Who is told what, and when,
is the bench's variable: line by line, at the end of each call, or never. Time is the loop's, most
often a virtual one; whom the callers ask is handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from mesh.config import ApiKey, ModelSpec, ProducerSettings
from mesh.core import entries as log
from mesh.core.budget import Purse
from mesh.core.entries import LogEntry
from mesh.core.facets import FacetPlan
from mesh.core.items import EntryId, LogId, NodeId
from mesh.core.ledger import FoundEntry, Ledger, Waits
from mesh.core.normalize import item_key
from mesh.core.outlook import Outlook
from mesh.core.rate_limits import Allowances
from mesh.llm.interface import LLMClient
from mesh.nodes.producing.calling import Caller
from mesh.nodes.producing.orders import Orders

DELAY_S = 0.001
"""From one node to another; measured in real processes it is below that."""
EPOCH = 1
WATCH_S = 0.25
"""How often the run is checked against its end."""

COLLECTOR_LOG = LogId(NodeId(bytes([255]) * 16), EPOCH)

OpenClient = Callable[[ModelSpec, ApiKey | None], LLMClient]


class Telling(enum.Enum):
    """When the others hear what a call finds."""

    BY_LINE = "by line"
    BY_CALL = "by call"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class MeshSetup:
    """One run."""

    settings: ProducerSettings
    """Of the first producer; the others' differ in label, model and seed."""
    producer_count: int
    telling: Telling
    time_max_s: float
    budget_usd: float | None = None
    """Granted to the producers at the start, in equal parts; None: no cap."""
    drain_max_s: float = 0.0
    """How long calls under way at the end may go on; what is cut is charged by an estimate."""


class VirtualProducer:
    """One producer, number 1, 2, 3, ...: its log, what it has gathered, and whom it tells."""

    def __init__(
        self,
        settings: ProducerSettings,
        number: int,
        producer_count: int,
        tell: Callable[[Said], None],
        grant_usd: float | None = None,
    ) -> None:
        self.settings = settings
        self.number = number
        own = LogId(_origin(number), EPOCH)
        purse = Purse(own, is_bounded=grant_usd is not None, since_ms=0)
        if grant_usd is not None:
            purse.apply(COLLECTOR_LOG, 0, log.BudgetGranted(own.origin, grant_usd))
        self.outlook = Outlook(own, purse, Allowances(own.origin))
        self.activity = ""
        self.orders = Orders(settings.model)
        self.idle = asyncio.Event()
        """Set while no call of its is under way."""
        self.idle.set()
        self.out_of_money = False
        self._open_calls_count = 0
        self._producer_count = producer_count
        self._tell = tell
        self._last_seq = 0

    async def say(self, entries: Sequence[LogEntry]) -> int:
        """See mesh.nodes.producing.call_opening.Teller."""
        first_seq = self._last_seq + 1
        self._last_seq += len(entries)
        now_s = _now_s()
        timed = [_in_virtual_time(each, now_s) for each in entries]
        said = Said(self.outlook.own, first_seq, timed)
        self._note_calls(entries)
        for seq, entry in enumerate(said.entries, first_seq):
            self.outlook.said(seq, entry, now_s=now_s, now_ms=_ms(now_s))
        self._tell(said)
        return first_seq

    def _note_calls(self, entries: Sequence[LogEntry]) -> None:
        # What was granted is all there is: who asks for more makes no further call.
        self.out_of_money |= any(isinstance(each, log.BudgetAsked) for each in entries)
        self._open_calls_count += sum(isinstance(each, log.CallStarted) for each in entries)
        self._open_calls_count -= sum(isinstance(each, log.CallFinished) for each in entries)
        self.idle.clear() if self._open_calls_count else self.idle.set()

    async def stored(self) -> None:
        """Nothing is lost here."""

    def producers(self) -> list[NodeId]:
        return [_origin(number) for number in range(1, self._producer_count + 1)]

    def notice(self, text: str) -> None:
        """Nobody reads notices here."""

    def apply(self, said: Said) -> None:
        """Learn what another node said."""
        now_s = _now_s()
        for seq, entry in enumerate(said.entries, said.first_seq):
            self.outlook.apply(said.log, seq, entry, now_s=now_s, now_ms=_ms(now_s))


@dataclass(frozen=True, slots=True)
class Said:
    """Entries of one log, in order."""

    log: LogId
    first_seq: int
    entries: Sequence[LogEntry]


@dataclass(slots=True)
class VirtualCollector:
    """Gives verdicts on what it is told, and tells them to its producers."""

    models: tuple[str, ...]
    """SPECs that its producers call."""
    tell: Callable[[Said], None]
    log: LogId = COLLECTOR_LOG
    plan: FacetPlan = field(default_factory=FacetPlan)
    _ledger: Ledger = field(default_factory=Ledger)
    _ordinals: dict[bytes, int] = field(default_factory=dict)
    _last_seq: int = 0

    @property
    def exhausted(self) -> bool:
        return self.plan.is_exhausted(self.models)

    def apply(self, said: Said) -> None:
        """Decide on what was found."""
        batch: list[FoundEntry] = []
        for seq, entry in enumerate(said.entries, said.first_seq):
            if isinstance(entry, log.Found):
                identity = EntryId(said.log.origin, said.log.epoch, seq)
                batch.append(FoundEntry(identity, item_key(entry.text), entry.text, entry.facet))
            self.plan.apply(said.log, seq, entry)
        if batch:
            self._give_verdicts(batch)

    def _give_verdicts(self, batch: Sequence[FoundEntry]) -> None:
        ordinals = self._ordinals
        stored = {found.key: ordinals[found.key] for found in batch if found.key in ordinals}
        # Nobody is asked to judge here, so that every entry gets its verdict at once.
        verdicts = [v for v in self._ledger.decide(batch, stored) if not isinstance(v, Waits)]
        first_seq = self._last_seq + 1
        self._last_seq += len(verdicts)
        for seq, (found, verdict) in enumerate(zip(batch, verdicts, strict=True), first_seq):
            if isinstance(verdict, log.Accepted):
                ordinals[found.key] = verdict.ordinal
            self.plan.apply(self.log, seq, verdict, found.key)
        self.tell(Said(self.log, first_seq, verdicts))


@dataclass(slots=True)
class _Post:
    """Delivers what one producer says, by the rule of the run."""

    telling: Telling
    others: Callable[[], Sequence[VirtualProducer]]
    collector: VirtualCollector
    _held_back: list[Said] = field(default_factory=list)

    def send(self, said: Said) -> None:
        if self.telling is Telling.BY_CALL:
            self._held_back.append(said)
            if not any(isinstance(entry, log.CallFinished) for entry in said.entries):
                return
            held, self._held_back = self._held_back, []
            for each in held:
                self._deliver(each)
        else:
            self._deliver(said)

    def _deliver(self, said: Said) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(DELAY_S, self.collector.apply, said)
        for other in self.others():
            loop.call_later(DELAY_S, other.apply, said)


class VirtualMesh:
    """The producers and collectors of one run.

    Where nobody is told, each producer has a collector of its own: N runs that know nothing of
    one another.
    """

    def __init__(
        self,
        setup: MeshSetup,
        *,
        open_client: Callable[[VirtualProducer], OpenClient],
        is_enough: Callable[[], bool] | None = None,
        listen: Callable[[Said], None] = lambda _: None,
    ) -> None:
        """
        Args:
            open_client: how a producer opens its clients.
            is_enough: whether the run may end; None: it ends when the topic counts as exhausted.
            listen: hears everything that producers say, at once.
        """
        self._setup = setup
        self._open_client = open_client
        self._is_enough = is_enough
        self._listen = listen
        self.producers: list[VirtualProducer] = []
        self.collectors: list[VirtualCollector] = []
        self._build()

    async def run(self) -> str:
        """Explore until the setup says that it is enough; returns why it ended."""
        callers = [asyncio.ensure_future(self._caller(each).run()) for each in self.producers]
        try:
            reason = await self._watch(callers)
            await self._drain()
            return reason
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)

    def _build(self) -> None:
        first, count = self._setup.settings, self._setup.producer_count
        settings = [settings_of(first, number) for number in range(count)]
        alone = self._setup.telling is Telling.NEVER
        models = tuple(dict.fromkeys(each.model for each in settings))
        together = VirtualCollector(models, self._tell_all)
        for number, its_settings in enumerate(settings):
            collector = together
            if alone:
                collector = VirtualCollector((its_settings.model,), partial(self._tell_one, number))
            self.collectors += [collector] if alone or not number else []
            post = _Post(self._setup.telling, partial(self._others, number), collector)
            heard_count = 1 if alone else count
            budget_usd = self._setup.budget_usd
            self.producers.append(
                VirtualProducer(
                    its_settings,
                    number + 1,
                    heard_count,
                    partial(self._hear, post),
                    None if budget_usd is None else budget_usd / count,
                )
            )

    def _hear(self, post: _Post, said: Said) -> None:
        self._listen(said)
        post.send(said)

    def _caller(self, producer: VirtualProducer) -> Caller:
        return Caller(
            producer.settings,
            producer.orders,
            producer,
            open_client=self._open_client(producer),
        )

    async def _watch(self, callers: Sequence[asyncio.Future[None]]) -> str:
        ends_s = _now_s() + self._setup.time_max_s
        while True:
            await asyncio.sleep(WATCH_S)
            for caller in callers:
                if caller.done():
                    caller.result()  # Only a bug ends a caller.
            if self._is_enough is not None and self._is_enough():
                return "target"
            if self._is_enough is None and all(each.exhausted for each in self.collectors):
                return "exhausted"
            if all(producer.out_of_money for producer in self.producers):
                return "budget"
            if _now_s() >= ends_s:
                return "time"

    async def _drain(self) -> None:
        for producer in self.producers:
            producer.orders.hold("the run is over", True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._setup.drain_max_s):
                for producer in self.producers:
                    await producer.idle.wait()

    def _others(self, number: int) -> list[VirtualProducer]:
        if self._setup.telling is Telling.NEVER:
            return []
        return [each for at, each in enumerate(self.producers) if at != number]

    def _tell_all(self, said: Said) -> None:
        for number in range(len(self.producers)):
            self._tell_one(number, said)

    def _tell_one(self, number: int, said: Said) -> None:
        asyncio.get_running_loop().call_later(DELAY_S, self.producers[number].apply, said)


def settings_of(first: ProducerSettings, number: int) -> ProducerSettings:
    """Producers take the models in turn, as in a run."""
    model = first.models[number % len(first.models)].spec
    seed = first.seed * 1_000 + number
    return replace(first, label=f"producer-{number + 1}", model=model, seed=seed)


def _in_virtual_time(entry: LogEntry, now_s: float) -> LogEntry:
    """Callers write the time of day into what they say, which differs from run to run."""
    if isinstance(entry, log.CallStarted):
        return msgspec.structs.replace(entry, started_ms=_ms(now_s))
    if isinstance(entry, log.LimitSeen):
        return msgspec.structs.replace(entry, seen_ms=_ms(now_s))
    return entry


def _ms(time_s: float) -> int:
    return round(time_s * 1000)


def _origin(number: int) -> NodeId:
    """Of the producer of this number."""
    return NodeId(number.to_bytes(16, "big"))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
