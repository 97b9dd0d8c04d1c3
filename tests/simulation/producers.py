"""A producer by script: calls that find, repeat and fail, on the real node.

It does with its log what the real one does: write, then publish; wait where it cannot write; hand
over before it leaves. What its calls bring is chance, drawn from names that all producers share,
so that many find the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mesh.core import entries as log
from mesh.core.entries import LogEntry
from mesh.core.items import LogId
from mesh.core.known import KnownItems, digest_bytes
from mesh.core.membership import Role
from mesh.core.normalize import item_key
from mesh.storage.node_log import StoredFrame
from tests.simulation.disks import NodeDisk, ProducerShelf
from tests.simulation.naming import AGAIN, PERHAPS, judgement
from tests.simulation.surroundings import ScriptedProcess, Surroundings

SYNC_S = 0.5
WRITE_RETRY_S = 1.0
GOODBYE_S = 0.25
JUDGING_S = (0.01, 0.2)
_FORMS = ("", AGAIN, PERHAPS)
_FORM_SHARES_SUMMED = tuple(itertools.accumulate((0.92, 0.05, 0.03)))
MODELS = ("openai:a", "anthropic:b", "simulated:c")
CENT_FRACTION = 1 / 1024
"""Costs are multiples of a power of two: sums are exact in whatever order they are made."""


@dataclass(slots=True)
class Script:
    """What a producer still has to do, kept over its restarts."""

    names: Sequence[str]
    entries_left: int
    pace_s: float
    """Mean time between two lines of an answer."""
    leaves: bool = False
    said_count: int = 0
    """Found and repeated entries that were written to its log."""
    """It hands over and goes when it is through."""


class ScriptedProducer(ScriptedProcess):
    """One process of one producer."""

    role = Role.PRODUCER

    def __init__(self, around: Surroundings, disk: NodeDisk, script: Script, *, host: str) -> None:
        super().__init__(around, disk)
        self.known = KnownItems(void_ordinals=around.protections.void_ordinals)
        self.dies_before_telling = False
        self._script = script
        self._unsaid: list[LogEntry] = []
        self._durable_seq = 0
        self._judged: set[int] = set()
        epoch = disk.open_epoch(
            around.wall_us() // 1000, around.dice, new=around.protections.epochs
        )
        earlier = [
            (each, frames[-1].last_seq)
            for each, frames in disk.logs.items()
            if each != epoch and frames
        ]
        self.open_node(ProducerShelf(disk), earlier, host, self)
        if disk.collector is not None:
            self.node.name_collector(disk.collector)
        self.node.dial_members(disk.members)
        self.node.load(stored.frame for _, stored in list(disk.own_frames()))
        self.node.last_seq = disk.last_seq
        self.node.load(stored.frame for _, stored in disk.spool.frames())
        self.node.start(around.seeds)
        self.node.when_ready(self._work)
        self.timers.call_later(SYNC_S, self._sync)

    # What the node asks of its owner

    def apply(self, log_id: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        self.note_applied(log_id, first_seq, entries)
        known = self.known
        for entry in entries:
            if isinstance(entry, (log.Found, log.Imported)):
                known.add(item_key(entry.text), entry.text)
            elif isinstance(entry, log.Accepted):
                known.accept(entry.ordinal, item_key(entry.text), entry.text, log_id.epoch)
            elif isinstance(entry, log.Merged):
                known.add(item_key(entry.text), entry.text)
                known.merged(item_key(entry.text))
            elif isinstance(entry, log.EpochOpened):
                known.open_epoch(log_id.epoch, entry.accepted_count)
            elif isinstance(entry, log.JudgementAsked) and entry.origin == self.origin:
                self.timers.call_later(self.around.dice.uniform(*JUDGING_S), self._judge, entry)
            elif isinstance(entry, log.Judged) and log_id.origin == self.origin:
                self._judged.add(entry.number)

    def durable(self, log_id: LogId, last_seq: int) -> None:
        if log_id == self.node.own.log:
            self._durable_seq = last_seq

    def known_summary(self) -> tuple[int, bytes]:
        return len(self.known), digest_bytes(self.known.digest)

    def activity_and_model(self) -> tuple[str, str]:
        return "generating", MODELS[0]

    # The script

    @property
    def is_through(self) -> bool:
        return self._script.entries_left <= 0 and not self._unsaid

    def _work(self) -> None:
        """Begin a call, or end when there is nothing left to say."""
        if self._script.entries_left > 0:
            dice = self.around.dice
            model = dice.choice(MODELS)
            call = self.disk.last_seq + 1
            started = log.CallStarted(model, 40, None, self.around.wall_us() // 1000)
            lines = min(dice.randint(5, 15), self._script.entries_left)
            self._say([started], self._stream, model, call, lines)
        elif self._script.leaves:
            self.disk.sync()
            self._hand_over()

    def _stream(self, model: str, call: int, lines_left: int) -> None:
        """Publish what the call brings, a few lines at a time."""
        wait_s = self.around.dice.expovariate(1 / self._script.pace_s)
        step = self._find if lines_left > 0 else self._finish
        self.timers.call_later(wait_s, step, model, call, lines_left)

    def _find(self, model: str, call: int, lines_left: int) -> None:
        dice, names = self.around.dice, self._script.names
        said: list[LogEntry] = []
        count = min(dice.randint(1, 6), lines_left)
        for _ in range(count):
            # The square makes some names common: they are found by several at once.
            text = names[int(len(names) * dice.random() ** 2)]
            text = text.upper() if dice.random() < 0.1 else text
            text += dice.choices(_FORMS, cum_weights=_FORM_SHARES_SUMMED)[0]
            if self.known.add(item_key(text), text):
                said.append(log.Found(text, call, model))
            else:
                said.append(log.Repeat(text, call, model))
        if dice.random() < 0.1:
            said.append(log.Rejected("too_long", "no name", call, model))
        self._script.entries_left -= count
        self._say(said, self._stream, model, call, lines_left - count)

    def _finish(self, model: str, call: int, _: int) -> None:
        dice = self.around.dice
        outcome = dice.choice(("ok", "ok", "ok", "length", "retry", "cancelled"))
        cost_usd = dice.randint(0, 50) * CENT_FRACTION if dice.random() < 0.9 else None
        tokens = dice.randint(10, 1000), dice.randint(0, 10), dice.randint(10, 500)
        finished = log.CallFinished(
            call, model, outcome, None, *tokens, 0, False, cost_usd, 0.5, 0.1
        )
        self._say([finished], self._work)

    def _judge(self, asked: log.JudgementAsked) -> None:
        """Answer once, in whichever start."""
        if asked.number not in self._judged:
            self._judged.add(asked.number)
            answers = tuple(map(judgement, asked.questions))
            self._say([log.Judged(asked.number, answers, 0, MODELS[0])], lambda: None)

    def _say(
        self, entries: Sequence[LogEntry], then: Callable[..., None], *arguments: object
    ) -> None:
        """Write and publish, then go on; generate nothing while it cannot be written."""
        self._unsaid.extend(entries)
        self._try_to_say(then, arguments)

    def _try_to_say(self, then: Callable[..., None], arguments: tuple[object, ...]) -> None:
        if self._say_unsaid():
            then(*arguments)
        elif not self.timers.is_held:
            self.timers.call_later(WRITE_RETRY_S, self._try_to_say, then, arguments)

    def _say_unsaid(self) -> bool:
        trace = self.around.trace
        try:
            for said in self.node.place(self._unsaid):
                self.disk.append(StoredFrame(said.first_seq, said.count, said.frame))
                if trace.is_kept:
                    said_now = self._unsaid[: said.count]
                    trace.note(self.around.label, "writes", said.first_seq, said_now)
                self._script.said_count += sum(
                    isinstance(entry, (log.Found, log.Repeat))
                    for entry in self._unsaid[: said.count]
                )
                self.written(said.first_seq, self._unsaid[: said.count])
                if self.dies_before_telling:
                    self.around.ended("died")
                    return False
                self.node.tell([said])
                del self._unsaid[: said.count]
        except OSError:
            trace.note(self.around.label, "cannot write")
            self.node.last_seq = self.disk.last_seq
            return False
        return True

    def written(self, first_seq: int, entries: Sequence[LogEntry]) -> None:
        """These entries are in the own log from now on."""

    def _sync(self) -> None:
        self.disk.sync()
        self.save_members()
        self.timers.call_later(SYNC_S, self._sync)

    def _hand_over(self) -> None:
        """Repeat the goodbye until the collector holds everything."""
        if self._durable_seq >= self.disk.last_seq:
            self.node.say_goodbye()
            self.node.close()
            self.around.ended("left")
            return
        self.node.beat()
        self.node.say_goodbye()
        self.timers.call_later(GOODBYE_S, self._hand_over)
