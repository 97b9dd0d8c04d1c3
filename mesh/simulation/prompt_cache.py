"""Providers' prompt caches: how much of a prompt was read from one, and what it now holds.

Two rules. *Prefix* (OpenAI before 5.6): prefixes of at least 1,024 tokens match by themselves, in
steps of 128 tokens. *Breakpoints* (Anthropic; OpenAI 5.6 and later): only prefixes that end at
a marked block are kept; a later prompt finds one that ends at one of its own marked blocks or up
to 20 blocks before it. What an API calls its counts is its own module's.

A prompt's prefixes become readable when its answer begins, not when it arrives: prompts that
start together all miss. Source: both providers' prompt caching guides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from mesh.simulation.tokens import BYTES_A_TOKEN, token_count

PREFIX_STEP_TOKENS = 128
LOOKBACK_BLOCKS = 20
BREAKPOINTS_MAX = 4
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

    def by_prefix(
        self, blocks: Sequence[PromptBlock], *, tokens_min: int, now_s: float
    ) -> CacheUse:
        """The prefix rule."""
        raw = "\n".join(block.text for block in blocks).encode()
        prompt_tokens = token_count(raw)
        digests = _step_digests(raw)
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
        prompt_tokens = ends[-1][1] if ends else 0
        marked = [
            at
            for at, block in enumerate(blocks)
            if block.lifetime_s is not None and ends[at][1] >= tokens_min
        ]
        read_tokens = 0
        for mark in marked:
            for at in range(mark, max(-1, mark - LOOKBACK_BLOCKS - 1), -1):
                if self._has(ends[at][0], now_s):
                    read_tokens = max(read_tokens, ends[at][1])
                    break
        marked_tokens = ends[marked[-1]][1] if marked else 0
        kept = tuple((ends[at][0], blocks[at].lifetime_s or LIFETIME_S) for at in marked)
        return CacheUse(prompt_tokens, read_tokens, max(0, marked_tokens - read_tokens), kept)

    def keep(self, use: CacheUse, *, now_s: float) -> None:
        """Note the prefixes of a prompt whose answer has begun."""
        for digest, lifetime_s in use.kept:
            self._expires_s[digest] = max(now_s + lifetime_s, self._expires_s.get(digest, 0.0))
            self._expires_s.move_to_end(digest)
        while len(self._expires_s) > PREFIXES_MAX:
            self._expires_s.popitem(last=False)

    def _has(self, digest: bytes, now_s: float) -> bool:
        return self._expires_s.get(digest, -1.0) >= now_s


def _step_digests(raw: bytes) -> list[bytes]:
    """A digest of each prefix of 128, 256, … tokens."""
    step_bytes = PREFIX_STEP_TOKENS * BYTES_A_TOKEN
    running, digests = blake2b(digest_size=16), []
    for start in range(0, len(raw) - step_bytes + 1, step_bytes):
        running.update(raw[start : start + step_bytes])
        digests.append(running.copy().digest())
    return digests


def _block_ends(blocks: Sequence[PromptBlock]) -> list[tuple[bytes, int]]:
    """Digest and tokens of the prefix up to the end of each block."""
    running, size_bytes, ends = blake2b(digest_size=16), 0, []
    for block in blocks:
        raw = block.text.encode()
        running.update(b"%d:" % len(raw) + raw)
        size_bytes += len(raw)
        ends.append((running.copy().digest(), -(-size_bytes // BYTES_A_TOKEN)))
    return ends
