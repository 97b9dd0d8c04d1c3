"""The sides that are compared: who is told when, which prompt, and which parts of the tactics.

`independent`, `star` and the first two `mesh_…` differ in telling and prompt alone: 100 entries
asked for, the whole list in each prompt, all producers in lockstep. Then the levers are added one
at a time; `without_…` take one away from them all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

from bench.virtual_mesh import OpenClient, Telling, VirtualProducer
from mesh.config import ApiKey, ModelSpec, Tactics
from mesh.core.known import KnownItems
from mesh.llm.interface import CallProgress, LLMClient, Prompt, StreamEvent, Usage

PLAIN_ASK_COUNT = 100
PLAIN_OUTPUT_TOKENS_MAX = 4_400

NO_TACTICS = Tactics(
    listing="whole",
    sealed_chunks=False,
    facets=False,
    ask_count=PLAIN_ASK_COUNT,
    cutting=False,
    staggered=False,
    structured=False,
)
ALL_TACTICS = Tactics()


@dataclass(frozen=True, slots=True)
class Mode:
    """One side."""

    name: str
    telling: Telling
    tactics: Tactics
    plain: bool = False
    """The prompt is "topic, all previous entries, write 100 more", without layout for caches."""


def _levers() -> list[tuple[str, Callable[[Tactics], Tactics]]]:
    """In the order in which they are added; each takes the tactics one step on."""
    return [
        ("sealed_chunks", lambda t: replace(t, sealed_chunks=True)),
        ("facets", lambda t: replace(t, facets=True)),
        ("listing", lambda t: replace(t, listing=ALL_TACTICS.listing)),
        ("ask_count", lambda t: replace(t, ask_count=None)),
        ("cutting", lambda t: replace(t, cutting=True)),
        ("staggered", lambda t: replace(t, staggered=True)),
    ]


def _without() -> list[tuple[str, Tactics]]:
    return [
        ("facets", replace(ALL_TACTICS, facets=False, listing="whole")),
        ("listing", replace(ALL_TACTICS, listing="whole")),
        ("facet_listing", replace(ALL_TACTICS, listing="facet")),
        ("sealed_chunks", replace(ALL_TACTICS, sealed_chunks=False)),
        ("ask_count", replace(ALL_TACTICS, ask_count=PLAIN_ASK_COUNT)),
        ("cutting", replace(ALL_TACTICS, cutting=False)),
        ("staggered", replace(ALL_TACTICS, staggered=False)),
    ]


def _modes() -> dict[str, Mode]:
    modes = [
        Mode("independent", Telling.NEVER, NO_TACTICS, plain=True),
        Mode("star", Telling.BY_CALL, NO_TACTICS, plain=True),
        Mode("mesh_by_call", Telling.BY_CALL, NO_TACTICS),
        Mode("mesh_by_line", Telling.BY_LINE, NO_TACTICS),
    ]
    tactics = NO_TACTICS
    for name, add in _levers():
        tactics = add(tactics)
        modes.append(Mode(f"plus_{name}", Telling.BY_LINE, tactics))
    modes.append(Mode("all", Telling.BY_LINE, ALL_TACTICS))
    modes += [Mode(f"without_{name}", Telling.BY_LINE, each) for name, each in _without()]
    modes.append(Mode("all_by_call", Telling.BY_CALL, ALL_TACTICS))
    return {mode.name: mode for mode in modes}


MODES = _modes()
BASIC_MODES = ("independent", "star", "mesh_by_call", "mesh_by_line")
LEVER_MODES = tuple(f"plus_{name}" for name, _ in _levers())
DEFAULT_MODES = (*BASIC_MODES, *LEVER_MODES, "all")


class PlainPromptClient:
    """Sends, in place of the caller's prompt, the plain one over everything its producer knows."""

    def __init__(self, client: LLMClient, topic: str, known: KnownItems) -> None:
        self._client = client
        self._topic = topic
        self._known = known

    async def stream(
        self,
        prompt: Prompt,
        *,
        output_tokens_max: int,
        structured: bool = False,
        progress: CallProgress | None = None,
    ) -> AsyncGenerator[StreamEvent, None]:
        """See `LLMClient.stream`; the prompt given tells only that it is time to ask."""
        plain = plain_prompt(self._topic, self._known)
        events = self._client.stream(
            plain, output_tokens_max=PLAIN_OUTPUT_TOKENS_MAX, progress=progress
        )
        async with aclosing(cast("AsyncGenerator[StreamEvent, None]", events)):
            async for event in events:
                yield event

    @property
    def structured_possible(self) -> bool:
        return False

    def largest_usage(
        self, prompt: Prompt, output_tokens_max: int, *, structured: bool = False
    ) -> Usage:
        return self._client.largest_usage(prompt, output_tokens_max, structured=structured)

    async def model_names(self) -> list[str]:
        return await self._client.model_names()

    async def close(self) -> None:
        await self._client.close()


def plain_prompt(topic: str, known: KnownItems) -> Prompt:
    """Topic, all previous entries in the order in which they came, how many more."""
    entries = [*known.accepted, *known.fresh()]
    listed = "\n".join(["These are known:", *entries]) if entries else ""
    return Prompt(
        instructions=f"Topic: {topic}",
        known_chunks=(),
        known_fresh=listed,
        task=f"Write up to {PLAIN_ASK_COUNT} further entries that are not among these, one a line.",
    )


def wrapped(
    mode: Mode, topic: str, open_client: Callable[[VirtualProducer], OpenClient]
) -> Callable[[VirtualProducer], OpenClient]:
    """How the clients of this side's producers are opened."""

    def opener(producer: VirtualProducer) -> OpenClient:
        opened = open_client(producer)
        if not mode.plain:
            return opened

        def open_plain(model: ModelSpec, key: ApiKey | None) -> LLMClient:
            return PlainPromptClient(opened(model, key), topic, producer.outlook.known)

        return open_plain

    return opener
