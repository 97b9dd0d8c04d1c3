"""Which addresses count as private, official and plain."""

from __future__ import annotations

import pytest

from mesh.config import ModelSpec
from mesh.llm.endpoints import (
    is_loopback_host,
    is_official,
    is_own_server,
    is_plain_url,
    is_private_host,
    same_server,
    server_name,
)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "http://127.0.0.1:8000/v1",
        "http://127.8.8.8/v1",
        "http://[::1]:8000/v1",
        "http://192.168.1.5/v1",
        "http://10.0.0.2:11434/v1",
        "http://172.16.9.9/v1",
        "http://[fd00::5]/v1",
        "http://[::ffff:10.0.0.2]/v1",
    ],
)
def test_loopback_and_private_addresses_are_private(url: str) -> None:
    assert is_private_host(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://gpu-box:8000/v1",
        "http://localhost.example.com/v1",
        "http://127.0.0.1.example.com/v1",
        "http://8.8.8.8/v1",
        "http://172.32.0.1/v1",
        "http://[2606:4700::1111]/v1",
        "http://[::ffff:8.8.8.8]/v1",
        "http://2130706433/v1",
        "http://127.0.0.1@evil.example/v1",
    ],
)
def test_every_other_host_is_public(url: str) -> None:
    assert not is_private_host(url)


def test_a_private_network_is_not_this_machine() -> None:
    assert is_loopback_host("http://127.0.0.1:1/v1")
    assert not is_loopback_host("http://192.168.1.5/v1")


@pytest.mark.parametrize(
    ("url", "official"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("http://api.openai.com/v1", False),
        ("https://api.openai.com.example.com/v1", False),
        ("https://evilapi.openai.com/v1", False),
        ("https://example.com/v1", False),
    ],
)
def test_only_the_providers_own_host_over_tls_is_official(url: str | None, official: bool) -> None:
    assert is_official("openai", url) is official


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pass@127.0.0.1/v1",
        "http://evil.example\\@127.0.0.1/v1",
        "http://127.0.0.1/v1?key=1",
        "http://127.0.0.1/v1#x",
        "http://127.0.0.1 /v1",
        "http://127.0.0.1:99999/v1",
        "http://127.0.0.1:0/v1",
        "ftp://127.0.0.1/v1",
        "http://",
        "http://bücher.example/v1",
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_not_plain(url: str) -> None:
    assert not is_plain_url(url)


def test_usual_addresses_are_plain() -> None:
    for url in ("http://127.0.0.1:8000/v1", "https://api.groq.com/openai/v1", "http://[::1]:8/v1"):
        assert is_plain_url(url)


def test_the_default_port_is_the_same_server() -> None:
    assert same_server("https://gw.example/v1", "https://GW.example:443/other")
    assert not same_server("https://gw.example/v1", "http://gw.example/v1")
    assert not same_server("https://gw.example/v1", "https://gw.example:8443/v1")


def test_messages_name_the_server_by_host_and_port() -> None:
    assert server_name(ModelSpec("openai:a", "openai", "a")) == "api.openai.com"
    assert server_name(ModelSpec("anthropic:a", "anthropic", "a")) == "api.anthropic.com"
    local = ModelSpec("a@http://127.0.0.1:8000/v1", "openai", "a", "http://127.0.0.1:8000/v1")
    assert server_name(local) == "127.0.0.1:8000"
    simulated = ModelSpec("simulated:atlas", "openai", "atlas", simulated=True)
    assert server_name(simulated) == "the simulator"


def test_a_server_on_a_private_address_is_ones_own_and_the_simulator_is_not() -> None:
    local = ModelSpec(
        "llama@http://192.168.0.7:8000/v1", "openai", "llama", "http://192.168.0.7:8000/v1"
    )
    hosted = ModelSpec("openai:gpt-4o-mini", "openai", "gpt-4o-mini")
    simulated = ModelSpec(
        "simulated:atlas", "openai", "atlas", "http://127.0.0.1:1", simulated=True
    )
    assert [is_own_server(model) for model in (local, hosted, simulated)] == [True, False, False]
