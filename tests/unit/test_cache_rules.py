"""What providers' caches want of a prompt, by model."""

from __future__ import annotations

import pytest

from mesh.config import Api, ModelSpec
from mesh.llm.cache_rules import (
    cache_key,
    cache_key_shards,
    cache_tokens_min,
    takes_cache_key,
    wants_breakpoints,
)


def model(api: Api, name: str, base_url: str | None = None) -> ModelSpec:
    return ModelSpec(f"{api}:{name}", api, name, base_url)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("claude-haiku-4-5-20251001", 4_096),
        ("claude-opus-4-5", 4_096),
        ("claude-opus-4-6", 4_096),
        ("claude-opus-4-7", 2_048),
        ("claude-3-5-haiku-latest", 2_048),
        ("claude-opus-4-8", 1_024),
        ("claude-opus-4-20250514", 1_024),
        ("claude-sonnet-4-5", 1_024),
        ("claude-sonnet-5", 1_024),
        ("claude-opus-5", 512),
        ("claude-something-new", 512),
    ],
)
def test_each_of_anthropics_models_has_its_shortest_prefix(name: str, tokens: int) -> None:
    assert cache_tokens_min(model("anthropic", name)) == tokens


def test_openai_keeps_prefixes_from_1024_tokens_on() -> None:
    assert cache_tokens_min(model("openai", "gpt-4o-mini")) == 1_024


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("gpt-4o-mini", False),
        ("gpt-5-mini", False),
        ("gpt-5.5", False),
        ("gpt-5.6-luna", True),
        ("gpt-5.10", True),
        ("gpt-6-sol", True),
        ("o3", False),
    ],
)
def test_openai_wants_breakpoints_from_version_5_6_on(name: str, wanted: bool) -> None:
    assert wants_breakpoints(model("openai", name)) is wanted


def test_servers_of_others_get_neither_breakpoints_nor_keys() -> None:
    url = "https://llm.example/v1"
    for there in (
        model("openai", "gpt-5.6-luna", url),
        ModelSpec(f"gpt-5.6-luna@{url}", "openai", "gpt-5.6-luna", url),
        model("anthropic", "claude-opus-5"),
    ):
        assert not wants_breakpoints(there)
        assert not takes_cache_key(there)
    assert takes_cache_key(model("openai", "gpt-4o"))


def test_a_simulated_model_is_treated_as_the_one_whose_price_it_has() -> None:
    def simulated(price_of: str) -> ModelSpec:
        return ModelSpec("simulated:x", "openai", "x", simulated=True, price_of=price_of)

    assert wants_breakpoints(simulated("gpt-5.6-luna"))
    assert not wants_breakpoints(simulated("gpt-4o"))
    assert not wants_breakpoints(simulated(""))


def test_a_key_is_the_same_at_all_producers_and_differs_by_what_it_is_for() -> None:
    run, other_run = b"r" * 16, b"s" * 16
    assert cache_key(run, "openai:a", "all", 0) == cache_key(run, "openai:a", "all", 0)
    keys = {
        cache_key(each, spec, kind, shard)
        for each in (run, other_run)
        for spec in ("openai:a", "openai:b")
        for kind in ("all", "17")
        for shard in (0, 1)
    }
    assert len(keys) == 16
    assert all(len(key) <= 64 for key in keys)


@pytest.mark.parametrize(("calls", "shards"), [(0, 1), (15, 1), (15.1, 2), (60, 4)])
def test_keys_are_as_many_as_keep_each_below_the_rate_of_one_machine(
    calls: float, shards: int
) -> None:
    assert cache_key_shards(calls) == shards
