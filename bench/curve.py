"""What keys cost: CURVE on the sockets and Ed25519 signatures on the frames, beside plaintext.

One feed speaks to four listeners, each a process with its real transport, in alternating rounds of
plaintext and CURVE: as fast as the slowest listener takes the frames in, and at a pace at which
none waits, for how long a single frame is under way. No node, log or known items take part, so
that what is compared is the transport. Signing and verifying are measured by themselves, on frames
of the same size: an encrypted run signs a frame once and verifies it in every other node.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.feed_peers import Talk, listen, speak
from bench.reporting import Report, parse_options, percentile
from mesh.wire.signing import SigningKey, is_signed

LISTENERS = 4
FRAME_BYTES = 110
"""One item of usual length in a plaintext run."""
PACED_PER_S = 500
SIGNATURES_COUNT = 2_000
"""Signed, and verified, one after the other in each round."""
SETTLE_S = 60.0
SIDES = {"plaintext": False, "curve": True}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round of one side."""

    messages_per_s: float
    """Said, and heard by every listener."""
    one_way_ms: list[float]
    """At the pace, a value for each frame and listener."""


def run_round(talk: Talk, encrypted: bool) -> Outcome:
    spawn = multiprocessing.get_context("spawn")
    counts = spawn.Array("Q", LISTENERS, lock=False)
    with _started(spawn, encrypted, counts, talk) as (speaker, listeners):
        speaker.send([_hear(line) for line in listeners])
        feed = _hear(speaker)
        for line in listeners:
            line.send(feed)
        before, taken_s = _hear(speaker)
        said = _hear(speaker)
        for line in listeners:
            line.send("end")
        paced_from = before + talk.message_count
        one_way_ms = []
        for line in listeners:
            times_ns: Sequence[int] = _hear(line)
            assert len(times_ns) == said, "a frame was lost or heard twice"
            one_way_ms += [time_ns / 1e6 for time_ns in times_ns[paced_from:]]
        for line in (speaker, *listeners):
            line.send("done")
    return Outcome(talk.message_count / taken_s, one_way_ms)


@contextmanager
def _started(
    spawn: Any, encrypted: bool, counts: Any, talk: Talk
) -> Iterator[tuple[Connection, list[Connection]]]:
    """The line to the speaker, and those to the listeners."""
    lines, processes = [], []
    sides: list[tuple[Callable[..., None], Any]] = [(speak, talk)]
    sides += [(listen, listener) for listener in range(LISTENERS)]
    try:
        for side, first in sides:
            ours, theirs = spawn.Pipe()
            process = spawn.Process(
                target=side, args=(first, encrypted, counts, theirs), daemon=True
            )
            process.start()
            theirs.close()  # Its death then ends our `recv`.
            lines.append(ours)
            processes.append(process)
        yield lines[0], lines[1:]
        for process in processes:
            process.join(5.0)
    finally:
        for process in processes:
            process.kill()


def _hear(line: Connection) -> Any:
    if not line.poll(SETTLE_S):
        raise TimeoutError(f"a process said nothing for {SETTLE_S} s")
    return line.recv()


def signature_costs_us() -> tuple[float, float]:
    """(signing, verifying), each the mean over SIGNATURES_COUNT frames."""
    key = SigningKey.new()
    frames = [number.to_bytes(FRAME_BYTES, "big") for number in range(SIGNATURES_COUNT)]
    started_s = time.perf_counter()
    signatures = [key.sign(frame) for frame in frames]
    signed_s = time.perf_counter()
    verified = [
        is_signed(frame, signature, key.public_key)
        for frame, signature in zip(frames, signatures, strict=True)
    ]
    verified_s = time.perf_counter()
    assert all(verified)
    to_us = 1e6 / SIGNATURES_COUNT
    return (signed_s - started_s) * to_us, (verified_s - signed_s) * to_us


def main() -> None:
    options = parse_options(__doc__ or "")
    round_count = 2 if options.quick else 5
    talk = Talk(
        FRAME_BYTES,
        message_count=40_000 if options.quick else 200_000,
        paced_per_s=PACED_PER_S,
        paced_s=2.0 if options.quick else 6.0,
    )
    report = Report(
        "curve",
        {
            "listeners": LISTENERS,
            "frame_bytes": FRAME_BYTES,
            "rounds": round_count,
            "messages": talk.message_count,
            "paced_per_s": PACED_PER_S,
            "paced_s": talk.paced_s,
            "seed": options.seed,
        },
    )
    for _ in range(round_count):
        _add_round(report, {name: run_round(talk, keys) for name, keys in SIDES.items()})
        sign_us, verify_us = signature_costs_us()
        report.add("sign_us", sign_us)
        report.add("verify_us", verify_us)
    report.print(as_json=options.as_json)


def _add_round(report: Report, outcomes: dict[str, Outcome]) -> None:
    for name, outcome in outcomes.items():
        report.add(f"{name}_messages_per_s", outcome.messages_per_s)
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            report.add(f"{name}_one_way_{label}_ms", percentile(outcome.one_way_ms, share))
    plain, curve = outcomes["plaintext"], outcomes["curve"]
    report.add("curve_to_plaintext_messages_ratio", curve.messages_per_s / plain.messages_per_s)
    p50 = [percentile(outcome.one_way_ms, 0.5) for outcome in (curve, plain)]
    report.add("curve_to_plaintext_one_way_p50_ratio", p50[0] / p50[1])


if __name__ == "__main__":
    main()
