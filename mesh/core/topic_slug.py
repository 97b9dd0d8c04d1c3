"""A topic as part of the names of files."""

from __future__ import annotations

import re
import unicodedata

SLUG_CHARACTERS_MAX = 40


def topic_slug(topic: str) -> str:
    """`topic` as part of a file's name. Example: `paris-attractions`."""
    decomposed = unicodedata.normalize("NFKD", topic).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", decomposed.lower())
    return "-".join(words)[:SLUG_CHARACTERS_MAX].strip("-") or "topic"
