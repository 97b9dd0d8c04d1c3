"""Verdicts as rows of run.sqlite, what it remembers as JSON, and counters from what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mesh.core import entries as log
from mesh.core.items import FoundEntry
from mesh.core.ledger import Verdict
from mesh.core.listed_names import EXCLUDED_ORDINAL, UNDECIDED, ListedNames, NewName
from mesh.core.metrics import WINDOW_S, RunMetrics
from mesh.core.normalize import clean_text, item_key
from mesh.nodes.channel import ChildFailed
from mesh.storage.database import ItemRow, RunDatabase
from mesh.storage.name_tables import DIFFERENT, OPEN, DoubtRow, OtherFormRow


def restored_metrics(database: RunDatabase, t_s: float) -> RunMetrics:
    """Counters as they were when the run was `t_s` seconds old, as far as it is stored."""
    metrics = RunMetrics(database.model_totals(), database.history())
    for call in database.calls():
        metrics.restore_call(call)
    for ended in database.ended_calls():
        metrics.restore_end(*ended)
    for accepted_s, model, count in database.recent_unique(t_s - WINDOW_S):
        metrics.restore_window(model, count, accepted_s)
    return metrics


def entries_to_exclude(path: Path) -> dict[bytes, str]:
    """Entries of the user's list by key; raises ChildFailed where it cannot be read."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ChildFailed(f"cannot read --exclude {path}: {error}", status=2) from error
    cleaned = (clean_text(line) for line in text.splitlines())
    return {item_key(line): line for line in cleaned if line}


def item_row(verdict: log.Accepted, found: FoundEntry, t_s: float) -> ItemRow:
    return ItemRow(
        verdict.ordinal,
        _key_of(verdict, found),
        verdict.text,
        verdict.origin,
        verdict.epoch,
        verdict.seq,
        found.call,
        found.model,
        t_s,
        found.facet,
    )


def other_form_row(verdict: log.Merged, found: FoundEntry, t_s: float) -> OtherFormRow:
    return OtherFormRow(
        _key_of(verdict, found),
        verdict.text,
        verdict.ordinal,
        verdict.rule,
        verdict.origin,
        verdict.epoch,
        verdict.seq,
        found.call,
        found.model,
        found.facet,
        t_s,
    )


def doubts(names: ListedNames, ordinal: int, name: NewName, judge: str = "") -> list[DoubtRow]:
    """What an entry that counts as new may be the same as; what only vectors say and nobody has
    judged would keep a person busy for nothing.

    Args:
        judge: who has said that it is none of them; "" where nobody has.
    """
    reasons: dict[int, str] = {}
    for each in name.doubts:
        if judge or not each.by_meaning:
            reasons.setdefault(names.ordinal(each.number), each.reason)
    verdict = DIFFERENT if judge else OPEN
    return [
        DoubtRow(ordinal, other, reason, verdict, judge)
        for other, reason in reasons.items()
        if other not in (EXCLUDED_ORDINAL, UNDECIDED, ordinal)
    ]


def bridged(names: ListedNames, verdict: log.Merged, name: NewName) -> list[DoubtRow]:
    """Entries that stand apart though another form is the same as each of them."""
    if verdict.ordinal == EXCLUDED_ORDINAL:
        return []
    pairs = {
        (max(verdict.ordinal, other), min(verdict.ordinal, other))
        for other in map(names.ordinal, name.bridged)
        if other not in (EXCLUDED_ORDINAL, UNDECIDED, verdict.ordinal)
    }
    reason = f"both are {verdict.text}"
    return [DoubtRow(ordinal, other, reason) for ordinal, other in sorted(pairs)]


def ordinal_of(verdict: Verdict) -> int:
    """Of the entry that a found one is, EXCLUDED_ORDINAL where it is to be left out."""
    return getattr(verdict, "ordinal", EXCLUDED_ORDINAL)


def lost_as_json(lost: log.Lost) -> list[str | int]:
    return [lost.origin.hex(), lost.epoch, lost.first_seq, lost.last_seq]


def lost_from_json(stored: list[Any]) -> log.Lost:
    origin, epoch, first_seq, last_seq = stored
    return log.Lost(bytes.fromhex(origin), epoch, first_seq, last_seq)


def _key_of(verdict: log.Accepted | log.Merged, found: FoundEntry) -> bytes:
    """Another form than the one that was found may stand for the entry."""
    return found.key if verdict.text == found.text else item_key(verdict.text)
