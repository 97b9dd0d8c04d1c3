"""What a facet is called in the log: a number that follows from its name."""

from __future__ import annotations

import mmh3

from mesh.core.normalize import clean_text, item_key

OPEN_FACET = 0
"""The topic as a whole."""

_SEED = 0xFACE7


def facet_id(name: str) -> int:
    """32 bits of the name's key, never 0: spellings of one name are one facet."""
    return mmh3.hash(item_key(clean_text(name) or name), _SEED, signed=False) or 1
