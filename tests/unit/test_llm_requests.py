"""How a prompt is laid out for each provider: prefixes that never change, few parameters."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from mesh.llm import anthropic_messages, openai_chat
from mesh.llm.accepted_parameters import AcceptedParameters
from mesh.llm.interface import Prompt

FIRST = AcceptedParameters()
CHUNKS = ("Louvre\nSacré-Cœur", "Panthéon\nCatacombs", "Conciergerie", "Palais Garnier")
PROMPT = Prompt("Topic: Paris attractions", CHUNKS, "Arc de Triomphe", "Write up to 20 entries.")


def openai_text(prompt: Prompt, parameters: AcceptedParameters = FIRST) -> str:
    body = openai_chat.request_body("m", prompt, 100, parameters)
    return "\x00".join(message["content"] for message in body["messages"])


def test_openai_gets_the_fewest_parameters() -> None:
    body = openai_chat.request_body("gpt-4o", PROMPT, 100, FIRST)
    assert set(body) == {"model", "messages", "max_completion_tokens", "stream", "stream_options"}
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_anthropic_gets_the_fewest_parameters() -> None:
    body = anthropic_messages.request_body("claude", PROMPT, 100, FIRST)
    assert set(body) == {"model", "messages", "max_tokens", "system", "stream"}


def test_what_is_rejected_is_not_sent() -> None:
    bare = AcceptedParameters(cap_names=(), streaming=False, system_message=False)
    body = openai_chat.request_body("m", PROMPT, 100, bare)
    assert set(body) == {"model", "messages"}
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert body["messages"][0]["content"].startswith(PROMPT.instructions)


def test_for_openai_the_text_up_to_the_last_sealed_chunk_is_the_same_in_every_call() -> None:
    later = replace(
        PROMPT,
        known_chunks=(*CHUNKS, "Musée d'Orsay\nOrangerie"),
        known_fresh="Pont Neuf",
        task="Write up to 5 entries.",
    )
    shared = openai_text(PROMPT).partition("Arc de Triomphe")[0]
    assert CHUNKS[-1] in shared
    assert openai_text(later).startswith(shared)


def test_for_anthropic_the_blocks_of_sealed_chunks_are_the_same_in_every_call() -> None:
    later = replace(PROMPT, known_chunks=(*CHUNKS, "Musée d'Orsay"), known_fresh="Pont Neuf")
    texts = [
        [
            block["text"]
            for block in anthropic_messages.request_body("m", each, 9, FIRST)["messages"][0][
                "content"
            ]
        ]
        for each in (PROMPT, later)
    ]
    assert texts[0][: len(CHUNKS)] == texts[1][: len(CHUNKS)]


def long_chunks(count: int) -> tuple[str, ...]:
    """Sealed chunks of about 1,500 tokens each."""
    return tuple("\n".join(f"Musée {chunk}.{n}" for n in range(400)) for chunk in range(count))


def anthropic_marks(body: dict[str, Any]) -> list[int]:
    """Indices of the marked blocks, the instructions being block 0."""
    blocks = [*body["system"], *body["messages"][0]["content"]]
    return [at for at, block in enumerate(blocks) if "cache_control" in block]


def test_for_anthropic_the_last_four_sealed_chunks_are_marked_and_no_more() -> None:
    prompt = replace(PROMPT, known_chunks=long_chunks(7))
    body = anthropic_messages.request_body("m", prompt, 9, FIRST)
    assert anthropic_marks(body) == [4, 5, 6, 7]
    assert json.dumps(body).count("cache_control") == 4


def test_for_anthropic_no_breakpoint_is_spent_on_a_prefix_too_short_to_be_kept() -> None:
    assert anthropic_marks(anthropic_messages.request_body("m", PROMPT, 9, FIRST)) == []
    prompt = replace(PROMPT, known_chunks=long_chunks(4))
    parameters = replace(FIRST, cached_tokens_min=4_096)
    assert anthropic_marks(anthropic_messages.request_body("m", prompt, 9, parameters)) == [2, 3, 4]


def test_for_anthropic_a_call_finds_what_was_kept_before_many_chunks_were_sealed() -> None:
    """A breakpoint finds what was kept up to 20 blocks before it."""
    earlier = replace(PROMPT, known_chunks=long_chunks(3))
    later = replace(PROMPT, known_chunks=long_chunks(20))
    kept = max(anthropic_marks(anthropic_messages.request_body("m", earlier, 9, FIRST)))
    marked = anthropic_marks(anthropic_messages.request_body("m", later, 9, FIRST))
    assert min(abs(mark - kept) for mark in marked) <= 20


AT_BREAKPOINTS = replace(FIRST, cache_breakpoints=True, cached_tokens_min=1_024)


def openai_parts(prompt: Prompt) -> list[dict[str, Any]]:
    body = openai_chat.request_body("m", prompt, 9, AT_BREAKPOINTS)
    content = body["messages"][1]["content"]
    assert isinstance(content, list)
    return content


def test_openai_gets_the_same_text_with_breakpoints_as_without() -> None:
    for prompt in (PROMPT, replace(PROMPT, known_fresh=""), replace(PROMPT, known_chunks=())):
        text = "".join(part["text"] for part in openai_parts(prompt))
        assert text == openai_text(prompt).partition("\x00")[2]


def test_openai_gets_a_breakpoint_at_each_sealed_chunk_that_can_be_kept() -> None:
    """Unlike Anthropic's API it looks back at breakpoints of the same request alone."""
    parts = openai_parts(replace(PROMPT, known_chunks=long_chunks(6)))
    marked = ["prompt_cache_breakpoint" in part for part in parts]
    assert marked == [True, True, True, True, True, True, False]
    short = openai_parts(PROMPT)
    assert not any("prompt_cache_breakpoint" in part for part in short)


def test_openai_is_told_to_keep_nothing_beyond_the_breakpoints() -> None:
    body = openai_chat.request_body("m", PROMPT, 9, AT_BREAKPOINTS)
    assert body["prompt_cache_options"] == {"mode": "explicit"}
    assert "prompt_cache_options" not in openai_chat.request_body("m", PROMPT, 9, FIRST)


def test_openai_is_sent_the_cache_key_where_there_is_one_and_it_is_taken() -> None:
    keyed = replace(PROMPT, cache_key="9f2c")
    assert openai_chat.request_body("m", keyed, 9, FIRST)["prompt_cache_key"] == "9f2c"
    refused = replace(FIRST, cache_key=False)
    assert "prompt_cache_key" not in openai_chat.request_body("m", keyed, 9, refused)
    assert "prompt_cache_key" not in openai_chat.request_body("m", PROMPT, 9, FIRST)


def test_a_schema_is_sent_where_it_is_wanted_and_taken() -> None:
    refused = replace(FIRST, structured=False)
    for request_body, name in (
        (openai_chat.request_body, "response_format"),
        (anthropic_messages.request_body, "output_config"),
    ):
        assert name in request_body("m", PROMPT, 9, FIRST, structured=True)
        assert name not in request_body("m", PROMPT, 9, FIRST)
        assert name not in request_body("m", PROMPT, 9, refused, structured=True)


def test_for_anthropic_no_block_is_empty() -> None:
    """The API refuses empty blocks."""
    body = anthropic_messages.request_body("m", replace(PROMPT, known_fresh=""), 9, FIRST)
    assert all(block["text"].strip() for block in body["messages"][0]["content"])


def test_a_call_without_known_entries_holds_its_task_alone() -> None:
    first = replace(PROMPT, known_chunks=(), known_fresh="")
    assert openai_text(first).split("\x00") == [PROMPT.instructions, PROMPT.task]
    body = anthropic_messages.request_body("m", first, 9, FIRST)
    assert [block["text"] for block in body["messages"][0]["content"]] == [PROMPT.task]


def test_a_cap_is_raised_after_hidden_reasoning_used_it_up() -> None:
    body = openai_chat.request_body("m", PROMPT, 100, replace(FIRST, output_cap_factor=4))
    assert body["max_completion_tokens"] == 400
