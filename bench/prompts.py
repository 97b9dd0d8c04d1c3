"""How long it takes to decide on a call and to build its prompt, as the list grows.

A producer that knows so many entries, a plan of forty facets, every third entry accepted for none
of them. Each call is built after some entries have come in, as in a run.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.made_up import made_up_texts
from bench.reporting import Options, Report, percentile
from mesh.config import ModelSpec, Tactics
from mesh.core import entries as log
from mesh.core.budget import Purse
from mesh.core.entries import LogEntry
from mesh.core.facets import OPEN_FACET, LookIn, facet_id
from mesh.core.items import LogId, NodeId
from mesh.core.outlook import Outlook
from mesh.core.rate_limits import Allowances
from mesh.llm.clients import open_client
from mesh.nodes.producing.composing import Composer

OWN = LogId(NodeId(b"o" * 16), 1)
FINDER = LogId(NodeId(b"f" * 16), 1)
COLLECTOR = LogId(NodeId(b"c" * 16), 1)
FACETS = 40
BETWEEN_ENTRIES = 50
"""Come in between two calls."""
CALLS = 200
TARGET_MS = 20.0
MODEL = ModelSpec("openai:gpt-4o-mini", "openai", "gpt-4o-mini")


class Growing:
    """A producer's outlook that hears one entry after another."""

    def __init__(self, seed: int) -> None:
        self.outlook = Outlook(
            OWN, Purse(OWN, is_bounded=False, since_ms=0), Allowances(OWN.origin)
        )
        self._random = random.Random(seed)
        self._ordinal = 0
        self._hear(FINDER, 1, log.CallStarted(MODEL.spec, FACETS, None, 1, "facets"))
        for number in range(FACETS):
            self._hear(FINDER, 2 + number, log.FacetProposed(_name(number), 0, 1, MODEL.spec))

    def learn(self, names: list[str]) -> None:
        for name in names:
            self._ordinal += 1
            number = self._random.randrange(FACETS * 3 // 2)
            facet = facet_id(_name(number)) if number < FACETS else OPEN_FACET
            place = FINDER.origin, FINDER.epoch, 1_000 + self._ordinal
            accepted = log.Accepted(self._ordinal, *place, name, facet)
            self._hear(COLLECTOR, self._ordinal, accepted)

    def _hear(self, log_id: LogId, seq: int, entry: LogEntry) -> None:
        self.outlook.apply(log_id, seq, entry, now_s=0.0, now_ms=1)


def _name(number: int) -> str:
    return f"Facet number {number}"


def measure(report: Report, known_count: int, listing: str, seed: int) -> None:
    """Build calls around a list of `known_count` entries."""
    growing = Growing(seed)
    names = list(made_up_texts(known_count + CALLS * BETWEEN_ENTRIES, seed))
    growing.learn(names[:known_count])
    tactics = Tactics(listing="whole" if listing == "whole" else "facet")
    composer = Composer("Made-up names", b"run", tactics, growing.outlook, random.Random(seed))
    client = open_client(MODEL, None)
    times_ms = []
    for call in range(CALLS):
        start = known_count + call * BETWEEN_ENTRIES
        growing.learn(names[start : start + BETWEEN_ENTRIES])
        number = call % FACETS
        began_s = time.perf_counter()
        growing.outlook.plan.next_work(
            MODEL.spec, random=random.Random(call), concurrent_count=5, known_count=start
        )
        composer.compose(MODEL, client, LookIn(facet_id(_name(number)), _name(number)))
        times_ms.append((time.perf_counter() - began_s) * 1000)
    for share, label in ((0.5, "p50"), (0.99, "p99")):
        target = f"target <= {TARGET_MS:g}" if label == "p99" else ""
        name = f"{listing}_{known_count}_{label}_ms"
        report.add(name, percentile(times_ms, share), target=target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=0, help="of the entries")
    given = parser.parse_args()
    options = Options(given.quick, given.json, given.seed)
    counts = [1_000, 20_000] if options.quick else [1_000, 5_000, 20_000, 100_000]
    report = Report("prompts", {"known": counts, "facets": FACETS, "calls": CALLS})
    for known_count in counts:
        for listing in ("facet", "whole"):
            measure(report, known_count, listing, options.seed)
    report.print(as_json=options.as_json)


if __name__ == "__main__":
    main()
