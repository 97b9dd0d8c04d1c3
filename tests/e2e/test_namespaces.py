"""Four machines on one network: joined, parted, cut off and back, with nothing lost.

Each is a network namespace, a switch between them; addresses that are no loopback ones, so all of
it is encrypted. Everything here happens in one run, as it would to one.
"""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.fault_machines import Node
from bench.fault_networks import NamespaceNetwork
from bench.fault_runs import FaultRun, Layout, await_that, started_run
from tests.e2e.namespaces import NoNamespaces, check_namespaces
from tests.patience import PATIENCE_S

ENTRIES = 40_000
"""Of the catalog, which each machine reads: several times what so short a run finds."""
COLLECTOR, FIRST, SECOND, THIRD = range(4)
"""The hosts."""


@pytest.fixture
def network() -> Iterator[NamespaceNetwork]:
    try:
        check_namespaces()
    except NoNamespaces as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    with NamespaceNetwork(4) as four_hosts:
        yield four_hosts


def test_four_machines_lose_nothing_when_the_network_between_them_fails(
    tmp_path: Path, network: NamespaceNetwork
) -> None:
    switch = network.namespaces
    layout = Layout(producers=(1, 1, 1), time_scale=10, catalog_entries=ENTRIES)
    with started_run(tmp_path, layout, network) as run:
        first, second, third = run.producers
        await_that(lambda: all_have_said_more(run, {}), "entries of each", PATIENCE_S)

        switch.separate(FIRST, SECOND)
        await_that_they_go_on(run)
        await_converged(run)  # Each hears of the other through the rest.
        switch.heal()

        switch.part([COLLECTOR, FIRST], [SECOND, THIRD])
        await_that_they_go_on(run)
        await_that(lambda: not run.only_held_by(third), "its side to hear", PATIENCE_S)
        assert run.lacking(run.said_positions()).keys() >= {first, second, third}
        switch.heal()
        await_converged(run)

        switch.cut(COLLECTOR)
        await_that_they_go_on(run)
        assert run.collector in run.lacking(run.said_positions())
        switch.join(COLLECTOR)
        await_converged(run)
        await_that(lambda: page_of(run, network)["converged"], "the page to say so", 30)
        assert page_of(run, network)["lost_entries"] == 0

        run.end()
        assert [machine.statuses for machine in run.machines] == [[0]] * 4
        verdict = run.verdict()
        assert verdict.said_count >= verdict.unique_count > 100
        assert (verdict.lost_count, verdict.doubled_count, verdict.differing_count) == (0, 0, 0)


def all_have_said_more(run: FaultRun, before: dict[Node, int]) -> bool:
    """Whether each producer has found entries since it had found `before`."""
    counts = said_counts(run)
    return all(count > before.get(node, 0) for node, count in counts.items())


def said_counts(run: FaultRun) -> dict[Node, int]:
    run.look()
    return dict(zip(run.producers, (len(disk.said) for disk in run.producer_disks()), strict=True))


def await_that_they_go_on(run: FaultRun) -> None:
    """Return when every producer has found more than it has now."""
    before = {node: count + 20 for node, count in said_counts(run).items()}
    await_that(lambda: all_have_said_more(run, before), "more entries of each", PATIENCE_S)


def await_converged(run: FaultRun) -> None:
    """Return when everyone holds what anyone has said until now."""
    said = run.said_positions()
    await_that(lambda: not run.lacking(said), "all to know what all said", PATIENCE_S)


def page_of(run: FaultRun, network: NamespaceNetwork) -> Any:
    """What the collector's page says of the mesh, asked on its own machine."""
    url = re.search(r"page: (http://\S+)", run.machines[0].console())
    assert url is not None
    with (
        network.namespaces.inside(COLLECTOR),
        urllib.request.urlopen(f"{url[1]}/api/metrics", timeout=PATIENCE_S) as answer,
    ):
        return json.load(answer)["mesh"]
