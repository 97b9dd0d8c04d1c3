"""What happens in a run and why, in lines that stay, for `-v`.

Pure: two metrics in the shape of `/api/metrics`, one after the other, in; remarks out. What starts
and ends processes is remarked by who does it (supervising/).
"""

from __future__ import annotations

import re

from mesh.core.stopping import dollars
from mesh.nodes.run_words import Metrics, peers_words
from mesh.nodes.terminal import Remark

_STATES = {
    "starting": "starting: no producer has said anything yet",
    "running": "running: entries are coming in",
    "paused": "paused: calls under way are finished, no new ones are made",
    "draining": "ending: calls are cut off, producers hand over what they said",
    "stopped": "stopped: producers have left, all entries are written",
}
_VARYING = re.compile(r"\w*\d\w*")
"""Numbers, and identifiers of single requests: two errors that differ in them alone are one."""


def run_remarks(before: Metrics, now: Metrics) -> list[Remark]:
    """What there is to say of the way from `before`, {} at first, to `now`."""
    remarks = [] if now["state"] == before.get("state") else [_state(before, now)]
    if not before:
        return remarks
    earlier = {row["model"]: row for row in before.get("models", ())}
    for row in now.get("models", ()):
        remarks += _model(earlier.get(row["model"], {}), row)
    return remarks + _mesh(before, now) + _course(before, now)


def _state(before: Metrics, now: Metrics) -> Remark:
    if now["state"] == "running" and before.get("state") == "paused":
        return Remark("running again: calls are made")
    return Remark(_STATES.get(now["state"], str(now["state"])))


def _model(before: Metrics, row: Metrics) -> list[Remark]:
    model = row["model"]
    remarks = []
    if row["unique_total"] and not before.get("unique_total"):
        remarks.append(Remark(f"{model}: first new entries", f"first of {model}"))
    if row["calls_failed"] > before.get("calls_failed", 0):
        remarks.append(_failure(row))
    if row.get("calls_cut", 0) > before.get("calls_cut", 0):
        text = f"{model}: an answer that brought mostly repeats was ended early"
        remarks.append(Remark(text, f"cut {model}"))
    return remarks


def _failure(row: Metrics) -> Remark:
    """Each model and reason once; where reasons are not known, each model once."""
    model, reason = row["model"], row.get("last_error")
    counts = f"{row['calls_failed']:,} of {row['calls_total']:,} calls failed"
    if not reason:
        return Remark(f"{model}: {counts}", f"failed {model}")
    kind = _VARYING.sub("#", str(reason))
    return Remark(f"{model}: a call failed: {reason} ({counts} so far)", f"failed {model} {kind}")


def _mesh(before: Metrics, now: Metrics) -> list[Remark]:
    earlier, mesh = before.get("mesh", {}), now.get("mesh", {})
    remarks = []
    peers = mesh.get("peers_alive") or 0
    more = peers - (earlier.get("peers_alive") or 0)
    ending = now["state"] in ("draining", "stopped")  # Then they leave, as they should.
    if more and not ending:
        change = f"{abs(more)} {'more' if more > 0 else 'fewer'} than before"
        remarks.append(Remark(f"mesh: {peers_words(peers)} heard, {change}"))
    # Who has just come lacks entries, as it should.
    if earlier.get("converged") and mesh.get("converged") is False and more <= 0:
        missing = mesh.get("missing_entries") or 0
        remarks.append(
            Remark(
                f"mesh: {missing:,} log entries missing somewhere; who misses them asks for them"
            )
        )
    if earlier.get("converged") is False and mesh.get("converged"):
        remarks.append(Remark("mesh: converged, all know the same entries"))
    if (mesh.get("lost_entries") or 0) > (earlier.get("lost_entries") or 0):
        lost = mesh["lost_entries"]
        remarks.append(Remark(f"mesh: {lost:,} log entries are lost: no node holds them any more"))
    for reason, count in mesh.get("refused", {}).items():
        if count > earlier.get("refused", {}).get(reason, 0):
            text = f"mesh: somebody was kept out: {str(reason).replace('_', ' ')}"
            remarks.append(Remark(text, f"refused {reason}"))
    return remarks


def _course(before: Metrics, now: Metrics) -> list[Remark]:
    """How near the end is, and bounds that were moved."""
    remarks = []
    target, budget = now.get("target"), now.get("budget_usd")
    if target != before.get("target"):
        remarks.append(Remark(f"the target is now {'none' if target is None else f'{target:,}'}"))
    if budget != before.get("budget_usd"):
        remarks.append(Remark(f"the budget is now {'none' if budget is None else dollars(budget)}"))
    forecast = now.get("forecast") or {}
    if forecast.get("slowing") and not (before.get("forecast") or {}).get("slowing"):
        remarks.append(Remark("new entries are getting rarer", "slowing"))
    return remarks


def activity_remark(label: str, state: str) -> Remark | None:
    """What keeps a producer from calling; None: it does what it is there for."""
    if not state.startswith(_HINDRANCES):
        return None
    return Remark(f"{label}: {state}", f"{label} {_VARYING.sub('#', state)}")


_HINDRANCES = ("waiting", "cannot")
