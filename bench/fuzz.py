"""Hostile input by the million: what tests/fuzz does for seconds, at length and counted.

Real frames of every kind, mutated by bytes, header fields and msgpack values, go into everything
that reads them: codec and messages, tickets, and a whole node's feed, service and awaited
replies, in plaintext and in encrypted runs, a hostile member among the attackers. The oracle
stands in tests/fuzz/attacked_node.py. A fault is anything raised but a refusal by reason; it is
printed with what repeats it, and makes the exit status 1. An input that takes longer than HANG_S
ends the bench with the stack that hangs.
"""

from __future__ import annotations

import faulthandler
import logging
import random
import resource
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.reporting import Report, parse_options
from tests.fuzz.attacks import Attack, Attacks

INPUTS = 1_000_000
INPUTS_QUICK = 40_000
WEIGHTS = {"frames": 30, "tickets": 10, "feed": 10, "member": 10, "service": 8, "replies": 2}
"""Shares of the inputs. A node's attacks count twice: in plaintext and in encrypted runs."""
BLOCK_INPUTS = 500
"""Seeded anew, so that a fault is repeated by its block alone."""
HANG_S = 20.0
FAULTS_PRINTED_MAX = 2


@dataclass(slots=True)
class Outcome:
    """What became of one attack's inputs."""

    reasons: Counter[str] = field(default_factory=Counter)
    inputs_count: int = 0
    faults_count: int = 0
    slowest_s: float = 0.0
    taken_s: float = 0.0


def attack(name: str, attacks: Attacks, inputs_count: int, seed: int) -> Outcome:
    """Run one attack, block after block."""
    outcome = Outcome()
    for block in range(inputs_count // BLOCK_INPUTS):
        block_seed = f"{seed}/{name}/{attacks.encrypted}/{block}"
        attacks.new_node()
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        started_s = time.perf_counter()
        try:
            _run_block(attacks.all()[name], random.Random(block_seed), outcome)
        except Exception:  # Every kind of fault is counted: that is what the bench is for.
            outcome.faults_count += 1
            if outcome.faults_count <= FAULTS_PRINTED_MAX:  # Of each attack.
                print(f"fault in block {block_seed}:", file=sys.stderr)
                traceback.print_exc()
        outcome.taken_s += time.perf_counter() - started_s
    faulthandler.cancel_dump_traceback_later()
    return outcome


def _run_block(one: Attack, choose: random.Random, outcome: Outcome) -> None:
    for _ in range(BLOCK_INPUTS):
        started_s = time.perf_counter()
        outcome.inputs_count += 1
        reason = one(choose)
        outcome.slowest_s = max(outcome.slowest_s, time.perf_counter() - started_s)
        outcome.reasons[reason or "taken"] += 1


def resident_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> int:
    options = parse_options(__doc__ or "")
    logging.disable(logging.CRITICAL)  # Each node logs each reason once.
    inputs_count = INPUTS_QUICK if options.quick else INPUTS
    sides = [(encrypted, Attacks(encrypted)) for encrypted in (False, True)]
    shares = sum(WEIGHTS[name] for _, attacks in sides for name in attacks.all())
    report = Report("fuzz", {"inputs": inputs_count, "seed": options.seed, "weights": WEIGHTS})
    total = Outcome()
    for encrypted, attacks in sides:
        for name in attacks.all():
            blocks = max(1, round(inputs_count * WEIGHTS[name] / shares / BLOCK_INPUTS))
            outcome = attack(name, attacks, blocks * BLOCK_INPUTS, options.seed)
            side = "encrypted" if encrypted else "plaintext"
            label = name if name in ("frames", "tickets") else f"{side}_{name}"
            report.add(f"{label}_inputs_per_s", outcome.inputs_count / outcome.taken_s)
            report.add(f"{label}_slowest_input_ms", outcome.slowest_s * 1000)
            # Code, corpus and allocator are warm from the first attack on.
            report.add(f"resident_after_{label}_mb", resident_peak_mb())
            total.reasons += outcome.reasons
            total.inputs_count += outcome.inputs_count
            total.faults_count += outcome.faults_count
            total.taken_s += outcome.taken_s
    report.add("inputs_count", total.inputs_count, target=">= 1,000,000")
    report.add("inputs_per_s", total.inputs_count / total.taken_s)
    report.add("faults_count", total.faults_count, target="0")
    for reason, count in sorted(total.reasons.items()):
        report.add(f"{reason.replace(' ', '_and_')}_count", count)
    report.print(as_json=options.as_json)
    return 1 if total.faults_count else 0


if __name__ == "__main__":
    sys.exit(main())
