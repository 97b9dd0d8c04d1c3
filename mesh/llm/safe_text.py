"""What of a provider's words may be shown: one bounded line without keys, prompts or controls.

Providers quote keys in their messages ("Incorrect API key provided: sk-ab***yz") and validators
quote the request. Whatever comes from outside passes through here before it becomes a message.
Which failures deserve which message is errors.py's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MESSAGE_CHARACTERS_MAX = 300
"""Longest message shown; what is longer is cut."""

_RAW_CHARACTERS_MAX = 2_000
"""Read of a provider's message at most: an HTML error page may be megabytes."""

_KEY_LIKE = re.compile(
    r"""
    (?:\b[Bb]earer\s+|\bapi[-_]?key["']?\s*[:=]\s*["']?)[^\s"',;]{6,}  # a header or a field
    | \b(?:sk|pk|rk|gsk|xai|key)[-_][-_*.A-Za-z0-9]{6,}                # usual beginnings
    | \b(?=\w{0,200}[0-9])(?=\w{0,200}[A-Za-z])\w{24,}\b               # long random words
    | [^\s"']{0,64}\*{3,}[^\s"']{0,64}                                 # what is masked already
    """,
    re.VERBOSE,
)
_ECHOED_INPUT = re.compile(r"""["']?\binput(?:_value)?["']?\s*[:=].*""", re.DOTALL)
"""Validators (pydantic's among them) add the value they reject, which may be the whole prompt."""


def safe_line(text: str, *, secrets: Iterable[str] = ()) -> str:
    """`text` as one line of at most 300 characters, with nothing in it that must not be shown.

    Args:
        text: a provider's message, or ours holding one.
        secrets: keys in use, removed wherever they occur, whatever they look like.
    """
    text = text[:_RAW_CHARACTERS_MAX]
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    text = _ECHOED_INPUT.sub("", text)
    text = "".join(" " if _is_hidden(character) else character for character in text)
    text = _KEY_LIKE.sub("[key]", text)
    return bounded(" ".join(text.split()))


def bounded(line: str, *, characters_max: int = MESSAGE_CHARACTERS_MAX) -> str:
    """`line`, cut with an ellipsis where it is longer than `characters_max`."""
    if len(line) <= characters_max:
        return line
    return line[: characters_max - 1].rstrip() + "…"


def _is_hidden(character: str) -> bool:
    """Whether it is a control, a format or direction override, or a line break of any script."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
