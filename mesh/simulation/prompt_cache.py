"""Providers' prompt caches: how much of a prompt was read from one, and what it now holds.

Three rules. *Prefix* (OpenAI before 5.6): prefixes of at least 1,024 tokens match by themselves,
in steps of 128 tokens. *Breakpoints* (Anthropic): only prefixes that end at a marked block are
kept; a later prompt finds one that ends at one of its own marked blocks or up to 20 blocks before
it. *Marks* (OpenAI 5.6 and later): a later prompt finds only one that ends at one of its own marked
blocks, of which the latest 80 are looked up and the latest 4 kept.

OpenAI's calls go to the machine that their beginning and their cache key name, and to others beyond
about 15 a minute; each machine has a cache of its own. What an API calls its counts is its own
module's.

A prompt's prefixes become readable when its answer begins, not when it arrives: prompts that
start together all miss. Source: both providers' prompt caching guides.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import takewhile

from mesh.simulation.tokens import BYTES_A_TOKEN, token_count

PREFIX_STEP_TOKENS = 128
LOOKBACK_BLOCKS = 20
BREAKPOINTS_MAX = 4
MARKS_LOOKED_UP_MAX = 80
ROUTED_BY_TOKENS = 256
CALLS_A_MACHINE_MAX = 15
"""In a minute, of one beginning and key; those beyond go to the next machine, and so on."""
MINUTE_S = 60.0
ROUTES_MAX = 10_000
"""Routes whose calls are counted; all counts begin anew beyond it."""
LIFETIME_S = 300.0
LONG_LIFETIME_S = 3600.0
PREFIXES_MAX = 50_000
"""Prefixes kept for one model; the least recently used are dropped. Some 100 bytes each."""


@dataclass(frozen=True, slots=True)
class PromptBlock:
    """A piece of a prompt as the request lays it out."""

    text: str
    lifetime_s: float | None = None
    """Set: a cache breakpoint stands at its end, and how long its prefix is kept."""


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What one prompt takes from the cache and leaves in it."""

    prompt_tokens: int
    """The whole prompt's."""
    read_tokens: int = 0
    written_tokens: int = 0
    kept: tuple[tuple[bytes, float], ...] = ()
    """Prefixes to keep once the answer begins, and for how long, in simulated seconds."""


@dataclass(slots=True)
class PromptCache:
    """One model's cache. Times are simulated seconds."""

    _expires_s: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    _calls_s: dict[bytes, list[deque[float]]] = field(default_factory=dict)

    def machine(self, blocks: Sequence[PromptBlock], key: str, now_s: float) -> bytes:
        """Where a call goes: to the first machine of its beginning and key that has room for it."""
        beginning = _joined(blocks)[: ROUTED_BY_TOKENS * BYTES_A_TOKEN]
        route = blake2b(beginning, digest_size=16, key=key.encode()[:64]).digest()
        if len(self._calls_s) >= ROUTES_MAX:
            self._calls_s.clear()
        machines = self._calls_s.setdefault(route, [])
        for calls_s in machines:
            while calls_s and calls_s[0] <= now_s - MINUTE_S:
                calls_s.popleft()
        busy = takewhile(lambda calls_s: len(calls_s) >= CALLS_A_MACHINE_MAX, machines)
        number = sum(1 for _ in busy)
        if number == len(machines):
            machines.append(deque())
        machines[number].append(now_s)
        return b"%s/%d" % (key.encode(), number)

    def by_prefix(
        self, blocks: Sequence[PromptBlock], *, tokens_min: int, now_s: float, machine: bytes = b""
    ) -> CacheUse:
        """The prefix rule."""
        raw = _joined(blocks)
        prompt_tokens = token_count(raw)
        digests = _step_digests(raw, machine)
        first = -(-tokens_min // PREFIX_STEP_TOKENS) - 1
        read_tokens = 0
        for step in range(len(digests) - 1, first - 1, -1):
            if self._has(digests[step], now_s):
                read_tokens = (step + 1) * PREFIX_STEP_TOKENS
                break
        kept = tuple((digest, LIFETIME_S) for digest in digests[max(0, first) :])
        return CacheUse(prompt_tokens, read_tokens, kept=kept)

    def by_breakpoints(
        self, blocks: Sequence[PromptBlock], *, tokens_min: int, now_s: float
    ) -> CacheUse:
        """The breakpoint rule."""
        ends = _block_ends(blocks)
        marked = _marked(blocks, ends, tokens_min)
        read_tokens = 0
        for mark in marked:
            for at in range(mark, max(-1, mark - LOOKBACK_BLOCKS - 1), -1):
                if self._has(ends[at][0], now_s):
                    read_tokens = max(read_tokens, ends[at][1])
                    break
        return _marked_use(blocks, ends, marked, read_tokens)

    def by_marks(
        self, blocks: Sequence[PromptBlock], *, tokens_min: int, now_s: float, machine: bytes = b""
    ) -> CacheUse:
        """The rule of marks."""
        ends = _block_ends(blocks, machine)
        marked = _marked(blocks, ends, tokens_min)
        found = (at for at in marked[-MARKS_LOOKED_UP_MAX:] if self._has(ends[at][0], now_s))
        read_tokens = max((ends[at][1] for at in found), default=0)
        return _marked_use(blocks, ends, marked[-BREAKPOINTS_MAX:], read_tokens)

    def keep(self, use: CacheUse, *, now_s: float) -> None:
        """Note the prefixes of a prompt whose answer has begun."""
        for digest, lifetime_s in use.kept:
            self._expires_s[digest] = max(now_s + lifetime_s, self._expires_s.get(digest, 0.0))
            self._expires_s.move_to_end(digest)
        while len(self._expires_s) > PREFIXES_MAX:
            self._expires_s.popitem(last=False)

    def _has(self, digest: bytes, now_s: float) -> bool:
        return self._expires_s.get(digest, -1.0) >= now_s


def _joined(blocks: Sequence[PromptBlock]) -> bytes:
    return "\n".join(block.text for block in blocks).encode()


def _step_digests(raw: bytes, machine: bytes) -> list[bytes]:
    """A digest of each prefix of 128, 256, … tokens, as one machine holds it."""
    step_bytes = PREFIX_STEP_TOKENS * BYTES_A_TOKEN
    running, digests = blake2b(machine, digest_size=16), []
    for start in range(0, len(raw) - step_bytes + 1, step_bytes):
        running.update(raw[start : start + step_bytes])
        digests.append(running.copy().digest())
    return digests


def _block_ends(blocks: Sequence[PromptBlock], machine: bytes = b"") -> list[tuple[bytes, int]]:
    """Digest and tokens of the prefix up to the end of each block."""
    running, size_bytes, ends = blake2b(machine, digest_size=16), 0, []
    for block in blocks:
        raw = block.text.encode()
        running.update(b"%d:" % len(raw) + raw)
        size_bytes += len(raw)
        ends.append((running.copy().digest(), -(-size_bytes // BYTES_A_TOKEN)))
    return ends


def _marked(
    blocks: Sequence[PromptBlock], ends: Sequence[tuple[bytes, int]], tokens_min: int
) -> list[int]:
    """Indices of the marked blocks at which a prefix long enough to be kept ends."""
    return [
        at
        for at, block in enumerate(blocks)
        if block.lifetime_s is not None and ends[at][1] >= tokens_min
    ]


def _marked_use(
    blocks: Sequence[PromptBlock],
    ends: Sequence[tuple[bytes, int]],
    kept_at: Sequence[int],
    read_tokens: int,
) -> CacheUse:
    marked_tokens = ends[kept_at[-1]][1] if kept_at else 0
    kept = tuple((ends[at][0], blocks[at].lifetime_s or LIFETIME_S) for at in kept_at)
    written_tokens = max(0, marked_tokens - read_tokens)
    return CacheUse(ends[-1][1] if ends else 0, read_tokens, written_tokens, kept)
