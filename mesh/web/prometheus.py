"""`/api/metrics` in the format that Prometheus reads; values only, no counting of its own.

Base units as Prometheus has them (seconds, dollars). Labels have few values: `model`, `node`, and
the `reason` of a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mesh.web.interface import JsonObject

CONTENT_TYPE = CONTENT_TYPE_LATEST
STATES = ("starting", "running", "paused", "draining", "stopped")

_MODEL_COUNTERS = (
    ("topicmesh_unique_entries", "Entries accepted as new", "unique_total"),
    ("topicmesh_generated_entries", "Entries that models wrote", "generated_total"),
    ("topicmesh_duplicate_entries", "Entries that were known already", "duplicates_total"),
    ("topicmesh_rejected_entries", "Entries that were unusable", "rejected_total"),
    ("topicmesh_calls", "Calls of models", "calls_total"),
    ("topicmesh_failed_calls", "Calls that failed", "calls_failed"),
    ("topicmesh_cut_calls", "Calls that their producer ended", "calls_cut"),
    ("topicmesh_input_tokens", "Prompt tokens, cached ones included", "input_tokens"),
    ("topicmesh_cached_input_tokens", "Prompt tokens read from a cache", "cached_input_tokens"),
    ("topicmesh_output_tokens", "Completion tokens", "output_tokens"),
    ("topicmesh_cost_usd", "Known cost in US dollars", "cost_usd"),
)
_MODEL_GAUGES = (
    ("topicmesh_unique_entries_last_minute", "Accepted in the last minute", "unique_last_minute"),
    ("topicmesh_call_latency_p50_seconds", "Median time of a call", "latency_s_p50"),
    ("topicmesh_call_latency_p95_seconds", "19 of 20 take no longer", "latency_s_p95"),
    ("topicmesh_reserved_usd", "What calls may cost whose end is not known", "reserved_usd"),
    ("topicmesh_cost_per_100_unique_usd", "Of entries accepted so far", "cost_per_100_unique_usd"),
    ("topicmesh_cached_input_ratio", "Share of input read from a cache", "cached_share"),
)


def prometheus_text(metrics: JsonObject, peers: Iterable[JsonObject]) -> bytes:
    """Return the exposition of one `/api/metrics` and the nodes of one `/api/peers`.

    What is unknown there is left out.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(metrics, list(peers)))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, metrics: JsonObject, peers: list[JsonObject]) -> None:
        self._metrics = metrics
        self._peers = peers

    def collect(self) -> Iterator[Metric]:
        models: list[JsonObject] = self._metrics.get("models", [])
        for name, help_text, key in _MODEL_COUNTERS:
            counter = CounterMetricFamily(name, help_text, labels=["model"])
            for model, value in _known_values(models, key):
                counter.add_metric([model], value)
            yield counter
        for name, help_text, key in _MODEL_GAUGES:
            gauge = GaugeMetricFamily(name, help_text, labels=["model"])
            for model, value in _known_values(models, key):
                gauge.add_metric([model], value)
            yield gauge
        yield from self._run()
        yield from self._mesh()
        yield from self._refusals()

    def _run(self) -> Iterator[Metric]:
        metrics = self._metrics
        state = GaugeMetricFamily("topicmesh_state", "1 for the run's state", labels=["state"])
        for name in STATES:
            state.add_metric([name], float(metrics.get("state") == name))
        yield state
        yield from _gauge("topicmesh_elapsed_seconds", "Run time", metrics.get("elapsed_s"))
        yield from _gauge("topicmesh_budget_usd", "Cap on the cost", metrics.get("budget_usd"))

    def _mesh(self) -> Iterator[Metric]:
        mesh: JsonObject = self._metrics.get("mesh") or {}
        yield from _gauge("topicmesh_peers_alive", "Nodes heard lately", mesh.get("peers_alive"))
        yield from _gauge(
            "topicmesh_missing_entries", "Lag of the slowest node", mesh.get("missing_entries")
        )
        # No counter: what was lost may turn up again.
        yield from _gauge(
            "topicmesh_lost_entries", "Entries nobody holds", mesh.get("lost_entries")
        )
        yield from _gauge("topicmesh_converged", "1 when all nodes agree", mesh.get("converged"))
        delay = GaugeMetricFamily(
            "topicmesh_propagation_seconds", "Entry published to known", labels=["quantile"]
        )
        for quantile, key in (("0.5", "propagation_ms_p50"), ("0.99", "propagation_ms_p99")):
            if (value := mesh.get(key)) is not None:
                delay.add_metric([quantile], float(value) / 1000)
        yield delay

    def _refusals(self) -> Iterator[Metric]:
        mesh: JsonObject = self._metrics.get("mesh") or {}
        page: JsonObject = self._metrics.get("page") or {}
        for name, help_text, counts in (
            ("topicmesh_refused_connections", "Turned away by the mesh", mesh.get("refused")),
            ("topicmesh_page_refused_requests", "Turned away by the page", page.get("refused")),
        ):
            counter = CounterMetricFamily(name, help_text, labels=["reason"])
            for reason, count in (counts or {}).items():
                counter.add_metric([reason], float(count))
            yield counter
        dropped = CounterMetricFamily(
            "topicmesh_dropped_frames", "Dropped by a node", labels=["node", "reason"]
        )
        for peer in self._peers:
            for reason, count in (peer.get("dropped") or {}).items():
                dropped.add_metric([str(peer["node"]), reason], float(count))
        yield dropped


def _known_values(models: Iterable[JsonObject], key: str) -> Iterator[tuple[str, float]]:
    for model in models:
        if (value := model.get(key)) is not None:
            yield str(model["model"]), float(value)


def _gauge(name: str, help_text: str, value: Any) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(name, help_text, value=float(value))
