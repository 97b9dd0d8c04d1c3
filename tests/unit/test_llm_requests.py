"""How a prompt is laid out for each provider: prefixes that never change, few parameters."""

from __future__ import annotations

import json
from dataclasses import replace

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


def test_for_anthropic_at_most_four_breakpoints_mark_instructions_and_last_chunks() -> None:
    body = anthropic_messages.request_body("m", PROMPT, 9, FIRST)
    blocks = body["messages"][0]["content"]
    cached = [block["text"].strip() for block in blocks if "cache_control" in block]
    assert cached == list(CHUNKS[-3:])
    assert "cache_control" in body["system"][0]
    assert json.dumps(body).count("cache_control") <= 4


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
