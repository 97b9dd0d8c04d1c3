"""The protections that keep the mesh whole, each of which can be switched off.

All are on in every run. They can be switched off so that the simulation proves each is needed:
without it, some seed loses or doubles something (tests/simulation).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Protections:
    """What a node does against loss, repetition, restarts and old copies."""

    gap_fetch: bool = True
    """Ask for entries known to exist and not held."""
    tail_check: bool = True
    """Take the last seq of a heartbeat or goodbye for a sign that entries exist."""
    vector_swaps: bool = True
    """Compare with others which logs exist and how far, and who is a member."""
    idempotent: bool = True
    """Apply an entry once however often it comes."""
    epochs: bool = True
    """Open a new epoch at each start."""
    void_ordinals: bool = True
    """Take back the ordinals that a collector no longer knows of."""


ALL_ON = Protections()
