"""Producers that a page asks for: who may be added, and what becomes of one that cannot start.

Children are played by the test, at the other end of a real channel.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mesh.config import PEERS_MAX, MeshSettings, ModelSpec, RunTerms
from mesh.nodes.channel import Channel, Message
from mesh.nodes.run_lines import RUN_LINES
from mesh.nodes.supervising.children import Child
from mesh.nodes.supervising.crew import Crew, CrewSettings
from mesh.nodes.supervising.keeping import Keeper, KeptChild
from mesh.nodes.terminal import TerminalView
from tests.integration.eventually import eventually
from tests.patience import PATIENCE_S

ATLAS, SWIFT = (ModelSpec(f"simulated:{name}", "openai", name) for name in ("atlas", "swift"))
FAILURE = {"event": "failed", "message": "its identity is damaged", "status": 1}
LEFT = {"event": "left", "not_handed_over": 0, "lost": 0, "dismissed": True}
NO_PROCESS = 2**22 + 1
"""Above what Linux gives to any: a keeper kills the children that it has when it is closed."""


@dataclass
class Scene:
    """A keeper, what it says, and what its owner hears."""

    said: io.StringIO = field(default_factory=io.StringIO)
    heard: list[Message] = field(default_factory=list)
    keeper: Keeper = field(init=False)
    starts: int = 0

    def __post_init__(self) -> None:
        terminal = TerminalView(RUN_LINES, self.said)
        self.keeper = Keeper(terminal, lambda _, message: self.heard.append(message))

    def child(self, *words: Message, dispensable: bool = False) -> KeptChild:
        """One that says `words` at each start, and ends."""

        async def start() -> Child:
            self.starts += 1
            ours, theirs = socket.socketpair()
            other_end = await Channel.over(theirs)
            for word in words:
                other_end.send(word)
            other_end.close()
            return Child("producer-3", NO_PROCESS, await Channel.over(ours))

        return KeptChild("producer-3", start, dispensable=dispensable)


def crew(
    count: int = 0,
    models: tuple[ModelSpec, ...] = (ATLAS, SWIFT),
    ports: tuple[int, int] | None = None,
) -> Crew:
    """One whose producers have never been started."""
    terms = RunTerms(b"r" * 16, "Birds", ("simulated:atlas",), None, 60, 0, 0)
    settings = CrewSettings(
        run_dir=Path("run"),
        terms=terms,
        models=models,
        keys={},
        mesh=MeshSettings(ports=ports),
        simulator=None,
        count=count,
    )
    made = Crew(settings, Scene().keeper)
    made.producers += [Scene().child() for _ in range(count)]
    return made


async def test_an_added_producer_that_cannot_start_is_said_and_ends_nothing() -> None:
    scene = Scene()
    kept = scene.child(FAILURE, dispensable=True)
    scene.keeper.keep(kept)
    await eventually(lambda: kept.given_up)
    await scene.keeper.gone([kept], PATIENCE_S)
    text = "producer-3 could not be added: its identity is damaged"
    assert text in scene.said.getvalue()
    assert {"event": "given_up", "text": text} in scene.heard
    assert not scene.keeper.ending.is_set()
    assert scene.starts == 1


async def test_one_that_had_started_ends_the_run_as_any_other_does() -> None:
    scene = Scene()
    ready = {"event": "ready", "address": "", "curve_key": ""}
    scene.keeper.keep(scene.child(ready, FAILURE, dispensable=True))
    await eventually(scene.keeper.ending.is_set)
    assert scene.keeper.failure == "its identity is damaged"


async def test_a_producer_of_the_run_s_own_that_cannot_start_ends_it() -> None:
    scene = Scene()
    scene.keeper.keep(scene.child(FAILURE))
    await eventually(scene.keeper.ending.is_set)
    assert scene.keeper.status == 1


async def test_a_producer_that_was_dismissed_is_not_started_again() -> None:
    scene = Scene()
    kept = scene.child(LEFT)
    scene.keeper.keep(kept)
    await scene.keeper.gone([kept], PATIENCE_S)
    assert kept.left
    assert kept.dismissed
    assert scene.starts == 1
    assert not scene.keeper.ending.is_set()


@pytest.mark.parametrize(
    ("made", "model", "given_up", "why"),
    [
        (lambda: crew(models=()), None, [], "none of the run's models: it has no key for them"),
        (crew, None, ["simulated:atlas", "simulated:swift"], "all that it could ask are given up"),
        (crew, "openai:gpt", [], "this machine cannot ask openai:gpt: it can ask simulated:atlas"),
        (crew, "simulated:atlas", ["simulated:atlas"], "it can ask simulated:swift"),
        (lambda: crew(2, ports=(5700, 5706)), None, [], "--mesh-ports 5700-5706 are 7 ports"),
        (lambda: crew(PEERS_MAX), None, [], "250 producers run on this machine"),
    ],
)
async def test_who_cannot_be_added_is_refused_with_the_reason(
    made: Callable[[], Crew], model: str | None, given_up: list[str], why: str
) -> None:
    refusing = made()
    count = len(refusing.producers)
    reason = refusing.add(model, given_up)
    assert reason is not None
    assert why in reason
    assert len(refusing.producers) == count


async def test_nobody_is_added_while_the_run_ends() -> None:
    ending = crew()
    ending._keeper.begin_end("enough")
    assert ending.add(None, []) == "the run is ending"


async def test_who_is_added_gets_the_next_number_and_the_next_working_model_in_turn() -> None:
    adding = crew(2)
    adding.producers[1].left = True
    assert adding.add(None, []) is None
    assert adding.add("simulated:swift", []) is None
    assert adding.add(None, ["simulated:atlas"]) is None
    try:
        first, second, third = map(adding._producer, (3, 4, 5))
        assert [each.label for each in adding.producers[2:]] == [
            *("producer-3", "producer-4", "producer-5")
        ]
        assert first.directory == Path("run/nodes/producer-3")
        models = [each.model for each in (first, second, third)]
        assert models == ["simulated:atlas", "simulated:swift", "simulated:swift"]
        assert adding.present_count == 4
    finally:
        await adding._keeper.close()
        adding.end_fork_servers()


async def test_who_starts_after_a_budget_was_set_knows_of_it() -> None:
    given = crew(1)
    before = given._producer(1).terms
    given.budget_was_set()
    after = given._producer(1).terms
    assert before is not None
    assert after is not None
    assert (before.has_budget, after.has_budget) == (False, True)
