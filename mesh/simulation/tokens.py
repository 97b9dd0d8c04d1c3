"""How many tokens a text is: four bytes of UTF-8 each, rounded up.

Cheap and the same on every machine, which a real tokenizer is not; close to one for English names
and high for scripts of three bytes a character, as real tokenizers are.
"""

from __future__ import annotations

BYTES_A_TOKEN = 4


def token_count(text: str | bytes) -> int:
    size_bytes = len(text.encode()) if isinstance(text, str) else len(text)
    return -(-size_bytes // BYTES_A_TOKEN)


def first_tokens(text: str, count: int) -> str:
    """The first `count` tokens of `text`; a character that they would split is left out."""
    raw = text.encode()
    if len(raw) <= count * BYTES_A_TOKEN:
        return text
    return raw[: count * BYTES_A_TOKEN].decode(errors="ignore")
