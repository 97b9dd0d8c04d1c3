"""Nothing that must not be shown gets through, whatever a provider writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.llm.safe_text import MESSAGE_CHARACTERS_MAX, safe_line

KEY = "sk-proj-Zx81kQpLm20Vt7"


def test_the_key_in_use_is_removed_whatever_it_looks_like() -> None:
    shown = safe_line("bad key: open sesame!", secrets=["sesame"])
    assert "sesame" not in shown


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        "Incorrect API key provided: sk-pro**********Vt7. You can find your key at …",
        f"header Authorization: Bearer {KEY}",
        f'{{"api_key": "{KEY}"}}',
        "invalid gsk_abcdef0123456789abcdef0123",
        "token 8f14e45fceea167a5a36dedd4bea2543 has expired",
    ],
)
def test_what_looks_like_a_key_is_removed(text: str) -> None:
    shown = safe_line(text)
    for part in ("Zx81", "Vt7", "abcdef", "8f14"):
        assert part not in shown


@pytest.mark.parametrize(
    "text",
    [
        "The model `gpt-4o-mni` does not exist or you do not have access to it.",
        "model: claude-haiku-4-5-20251001 is overloaded",
        "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000",
        "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
    ],
)
def test_what_helps_a_person_stays(text: str) -> None:
    assert safe_line(text) == text


def test_an_echoed_prompt_is_cut_off() -> None:
    text = "Extra inputs are not permitted, 'input': {'messages': ['Louvre', 'Eiffel Tower']}"
    assert "Louvre" not in safe_line(text)


def test_controls_and_direction_overrides_become_blanks() -> None:
    assert safe_line("a\x1b[31mb\u202ec\r\nd\u2028e") == "a [31mb c d e"


@given(st.text(max_size=3_000))
def test_any_text_becomes_one_bounded_line(text: str) -> None:
    shown = safe_line(text)
    assert len(shown) <= MESSAGE_CHARACTERS_MAX
    assert len(shown.splitlines()) <= 1
