"""Which spellings of an address are one place."""

from __future__ import annotations

import pytest

from mesh.transport.addresses import Place, host_and_port, tcp_address


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%eth0", "mesh.example"])
def test_an_address_gives_back_what_it_was_made_of(host: str) -> None:
    assert host_and_port(tcp_address(host, 7000)) == (host, 7000)


@pytest.mark.parametrize(
    "address", ["", "tcp://", "tcp://:7000", "tcp://host", "tcp://host:*", "ipc://host:7000"]
)
def test_what_is_no_address_has_no_host(address: str) -> None:
    assert host_and_port(address) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [("127.0.0.1", "::ffff:127.0.0.1"), ("::1", "0:0:0:0:0:0:0:1"), ("FE80::1", "fe80::1")],
)
def test_two_spellings_of_one_address_are_one_place(one: str, other: str) -> None:
    assert Place.of(one, 7000) == Place.of(other, 7000) is not None
    assert Place.of(one, 7000) != Place.of(other, 7001)


def test_a_name_is_no_place_and_another_address_another_one() -> None:
    assert Place.of("mesh.example", 7000) is None
    assert Place.of("127.0.0.1", 7000) != Place.of("127.0.0.2", 7000)
