"""Made-up entries for benches: texts of 30 bytes, each with a key of its own, and their frames.

Made to cost what real names cost: a tenth has accents, a tenth signs that the key rules look at,
the rest is plain ASCII. Seeded: the same seed gives the same texts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from itertools import islice

from mesh.core.entries import Accepted, Found, LogEntry
from mesh.core.items import LogId, NodeId
from mesh.wire import codec

TEXT_BYTES = 30
RUN_ID = b"a run of a bench"
MODEL = "simulated:atlas"

_WORDS = (
    "Garden", "Museum", "Tower", "Bridge", "Chapel", "Market", "Square", "Castle", "Harbour",
    "Gallery", "Library", "Fountain", "Palace", "Arcade", "Theatre", "Observatory", "Lantern",
)  # fmt: skip
_ACCENTED = ("Musée", "Château", "Église", "Théâtre", "Français", "Plaça", "Königs")
_SIGNED = ("St. Mary's", "Notre-Dame", "Arts & Crafts", "L'Orangerie", "No. 12,", "The Old")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def made_up_texts(count: int, seed: int, *, first: int = 0) -> Iterator[str]:
    """Yield `count` clean texts of TEXT_BYTES bytes; different `first + n`, different keys."""
    choose = random.Random(seed)
    for number in range(first, first + count):
        kind = choose.random()
        words = _ACCENTED if kind < 0.1 else _SIGNED if kind < 0.2 else _WORDS
        head = f"{choose.choice(words)} {choose.choice(_WORDS)}"
        free = TEXT_BYTES - len(head.encode()) - 1
        yield f"{head} {_in_base_36(number).zfill(free)}"


def found_frames(texts: Iterator[str], log: LogId) -> Iterator[bytes]:
    """Frames of a producer's log that finds `texts`, full ones as far as they last."""
    first_seq = 1
    while part := [Found(text, 1, MODEL) for text in islice(texts, codec.FRAME_ENTRIES_MAX)]:
        yield entries_frame(part, log, first_seq)
        first_seq += len(part)


def accepted_frames(texts: Iterator[str], log: LogId, found_in: LogId) -> Iterator[bytes]:
    """Frames of the collector's log that accepts `texts` in this order."""
    ordinal = 1
    while part := list(islice(texts, codec.FRAME_ENTRIES_MAX)):
        accepted = [
            Accepted(ordinal + n, found_in.origin, found_in.epoch, ordinal + n, text)
            for n, text in enumerate(part)
        ]
        yield entries_frame(accepted, log, ordinal)
        ordinal += len(part)


def entries_frame(entries: Sequence[LogEntry], log: LogId, first_seq: int) -> bytes:
    return codec.encode_entries(
        entries, run_id=RUN_ID, log=log, first_seq=first_seq, time_us=time.time_ns() // 1000
    )


def made_up_log(number: int) -> LogId:
    return LogId(NodeId(number.to_bytes(16, "big")), 1)


def _in_base_36(number: int) -> str:
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
