"""The page of a run that is over, over HTTP, from a run.sqlite alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession

from mesh.core.entries import CallFinished, CallStarted, FacetProposed
from mesh.core.facet_ids import facet_id
from mesh.core.items import LogId, NodeId
from mesh.core.metrics import HistoryPoint, ModelCounts
from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.nodes.collecting.finished_view import FinishedRunView
from mesh.nodes.collecting.shown import PEERS_KEPT_MAX, to_keep
from mesh.storage.database import Batch, ItemRow, RunDatabase
from mesh.web.server import PageServer
from tests.scripted_run import ScriptedRun

A = NodeId(b"a" * 16)
LOG = LogId(A, 1)


def batch(**meta: str) -> Batch:
    """Two entries of one call; a second call that failed, a third without an end."""
    bridges = facet_id("bridges")
    return Batch(
        items=[
            ItemRow(n, text.encode(), text, A, 1, n, 1, "atlas", t_s, bridges)
            for n, text, t_s in ((1, "Pont Neuf", 30.0), (2, "Pont Marie", 95.0))
        ],
        calls_started=[(LOG, n, CallStarted("atlas", 9, "bridges", 7)) for n in (1, 2, 3)],
        calls_finished=[
            (LOG, CallFinished(1, "atlas", "ok", None, 9, 0, 9, 0, False, 0.01, 2.5, 0.5)),
            (LOG, CallFinished(2, "atlas", "retry", "429", 0, 0, 0, 0, False, None, 0.1, None)),
        ],
        facets=[(LOG, 9, FacetProposed("bridges", 0, 1, "atlas"))],
        model_totals={"atlas": ModelCounts(unique=2, calls=2, calls_failed=1, cost_usd=0.01)},
        history=[HistoryPoint(100.0, 2, 1, 0.0, {"atlas": 1})],
        nodes=[(A, "producer-1")],
        meta={"topic": "Ponts de Paris", "elapsed_s": "100.000", "budget_usd": "2.5", **meta},
    )


@asynccontextmanager
async def reopened(directory: Path, stored: Batch) -> AsyncIterator[ClientSession]:
    path = directory / "run.sqlite"
    database = RunDatabase.open(path)
    database.commit(stored)
    database.close()
    database, reader = RunDatabase.open_read_only(path), DatabaseReader(path)
    view = FinishedRunView(directory, "python run_mesh.py", database, reader)
    server = await PageServer.start(view, host="127.0.0.1", port=0)
    try:
        async with ClientSession(f"http://127.0.0.1:{server.port}") as client:
            yield client
    finally:
        await server.close(view.metrics(with_history=False))
        reader.close()
        database.close()


async def test_what_a_finished_run_was_given_and_how_its_nodes_were_is_shown(
    tmp_path: Path,
) -> None:
    live = ScriptedRun()
    live.peer_count = 2
    live.changes = {"max_cost_per_item_usd": None, "item_cost_usd": 0.002}
    kept = to_keep(live.metrics(with_history=False), live.peers())
    stored = batch(state="stopped", stop_reason="target reached", **kept)
    async with reopened(tmp_path, stored) as client:
        metrics = await (await client.get("/api/metrics")).json()
        assert (metrics["state"], metrics["stop_reason"]) == ("stopped", "target reached")
        assert (metrics["target"], metrics["budget_usd"]) == (300, 1.0)
        assert metrics["available_models"] == ["simulated:atlas", "simulated:sonata"]
        assert metrics["mesh"]["peers_alive"] == 2
        assert metrics["actions"] == []
        nothing = {"target_s": None, "budget_s": None, "reach": None, "slowing": False}
        assert metrics["forecast"] == nothing
        peers = (await (await client.get("/api/peers")).json())["peers"]
        assert peers == [{**peer, "state": "left"} for peer in live.peers()["peers"]]


async def test_a_run_from_before_any_of_that_was_kept_is_shown_as_far_as_it_tells(
    tmp_path: Path,
) -> None:
    async with reopened(tmp_path, batch()) as client:
        metrics = await (await client.get("/api/metrics")).json()
        assert metrics["stop_reason"] == "the run was cut off"
        assert (metrics["target"], metrics["budget_usd"]) == (None, 2.5)
        assert metrics["mesh"]["peers_alive"] == 0
        assert metrics["unique_last_minute"] == 1
        [model] = metrics["models"]
        assert (model["latency_s_p50"], model["latency_s_p95"]) == (2.5, 2.5)
        assert (model["last_error"], model["calls_open"]) == ("429", 1)
        assert metrics["history"][0]["cost_usd"] is None
        assert await (await client.get("/api/peers")).json() == {"peers": []}
        facets = (await (await client.get("/api/facets")).json())["facets"]
        # Whoever began the call without an end has left.
        assert [facet["leased_by"] for facet in facets] == [[] for _ in facets]


async def test_a_finished_run_is_searched_and_downloaded_like_one_that_goes_on(
    tmp_path: Path,
) -> None:
    async with reopened(tmp_path, batch()) as client:
        page = await (await client.get("/api/items?facet=bridges&q=marie")).json()
        assert ([item["ordinal"] for item in page["items"]], page["total"]) == ([2], 1)
        lines = await client.get("/output.jsonl?download")
        assert 'filename="ponts-de-paris.jsonl"' in lines.headers["Content-Disposition"]
        rows = [json.loads(line) for line in (await lines.text()).splitlines()]
        assert [(row["text"], row["node"]) for row in rows] == [
            ("Pont Neuf", "producer-1"),
            ("Pont Marie", "producer-1"),
        ]
        assert "Pont Neuf,atlas,producer-1,bridges" in await (await client.get("/output.csv")).text(
            "utf-8-sig"
        )
        async with client.ws_connect("/ws") as socket:
            kinds = [(await socket.receive_json())["type"] for _ in range(5)]
        assert kinds == ["metrics", "state", "peers", "facets", "names"]


def test_a_bounded_number_of_nodes_is_kept() -> None:
    live = ScriptedRun()
    live.peer_count = 3 * PEERS_KEPT_MAX
    kept = to_keep(live.metrics(with_history=False), live.peers())
    assert len(json.loads(kept["peers"])) == PEERS_KEPT_MAX
