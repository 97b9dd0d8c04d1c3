"""Where this machine's nodes bind, what others are told, and when they encrypt."""

from __future__ import annotations

import pytest

from mesh.cli.commands import NetworkOptions, UsageError
from mesh.cli.network import guest_network, run_network
from mesh.config import MeshSettings
from mesh.nodes.supervising.own_address import Outward, address_elsewhere

HERE = "tcp://127.0.0.1:7001"
THERE = "tcp://10.0.0.1:7001"


def routes(found: str | None) -> Outward:
    """Stands for this machine's routes: every way leads out by `found`."""
    return lambda *_, **__: found


def refusal(options: NetworkOptions, node_count: int = 1, found: str | None = None) -> str:
    with pytest.raises(UsageError) as error:
        run_network(options, node_count, outward=routes(found))
    return str(error.value)


def test_a_run_is_on_this_machine_alone_and_plain_unless_told_otherwise() -> None:
    settings, notices = run_network(NetworkOptions(), 6)
    assert (settings.host, settings.advertise_host, settings.encrypted) == (
        "127.0.0.1",
        None,
        False,
    )
    assert settings.alone_limit_s == 600
    assert notices == []


@pytest.mark.parametrize("host", ["10.0.0.2", "fd00::2"])
def test_what_others_can_reach_is_encrypted(host: str) -> None:
    settings, notices = run_network(NetworkOptions(host=host), 1)
    assert settings.encrypted
    assert notices == []


def test_a_loopback_address_that_others_are_led_to_is_encrypted_too() -> None:
    """A forwarded port brings the network to it."""
    options = NetworkOptions(host="127.0.0.1", advertise_host="my.host")
    assert run_network(options, 1)[0].encrypted
    options = NetworkOptions(host="127.0.1.1", advertise_host="127.0.2.1")
    assert not run_network(options, 1)[0].encrypted


def test_insecure_on_a_network_is_said_loudly() -> None:
    settings, notices = run_network(NetworkOptions(host="10.0.0.2", insecure=True), 1)
    assert not settings.encrypted
    assert notices[0].startswith("INSECURE: everyone who can reach 10.0.0.2 can read")


def test_insecure_on_this_machine_alone_changes_nothing_and_says_nothing() -> None:
    assert run_network(NetworkOptions(insecure=True), 1) == run_network(NetworkOptions(), 1)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_are_advertised_as_the_one_that_leads_outward(host: str) -> None:
    outward = routes("10.0.0.2")
    settings, notices = run_network(NetworkOptions(host=host), 1, outward=outward)
    assert (settings.host, settings.advertise_host) == (host, "10.0.0.2")
    assert settings.encrypted
    assert "find this one at 10.0.0.2 (--advertise-host changes it)" in notices[0]


def test_all_addresses_without_a_way_outward_need_a_name() -> None:
    assert "name it with --advertise-host" in refusal(NetworkOptions(host="0.0.0.0"))
    options = NetworkOptions(host="0.0.0.0", advertise_host="my.host")
    settings, notices = run_network(options, 1, outward=routes(None))
    assert settings.advertise_host == "my.host"
    assert notices == []


def test_two_ports_are_needed_for_each_node() -> None:
    options = NetworkOptions(mesh_ports=(7000, 7010))
    assert run_network(options, 5)[0].ports == (7000, 7010)
    message = refusal(options, 6)
    assert "--mesh-ports 7000-7010 are 11 ports, and 6 nodes on this machine need 12" in message
    assert "7000-7011" in message


def guest(
    options: NetworkOptions, service: str, *, encrypted: bool, found: str | None
) -> tuple[MeshSettings, list[str]]:
    outward = routes(found)
    return guest_network(options, service, encrypted=encrypted, node_count=1, outward=outward)


def test_a_joining_machine_is_where_its_way_to_the_run_begins() -> None:
    settings, _ = guest(NetworkOptions(), THERE, encrypted=True, found="10.0.0.3")
    assert (settings.host, settings.encrypted) == ("10.0.0.3", True)


def test_a_joining_machine_without_a_way_there_is_told_so() -> None:
    with pytest.raises(UsageError, match=r"no way leads from this machine to 10\.0\.0\.1"):
        guest(NetworkOptions(), THERE, encrypted=True, found=None)
    with pytest.raises(UsageError, match="--advertise-host"):
        guest(NetworkOptions(host="0.0.0.0"), THERE, encrypted=True, found=None)


def test_an_unencrypted_run_is_joined_over_a_network_only_when_that_is_wanted() -> None:
    with pytest.raises(UsageError, match="this run is not encrypted"):
        guest(NetworkOptions(), THERE, encrypted=False, found="10.0.0.3")
    options = NetworkOptions(insecure=True)
    _, notices = guest(options, THERE, encrypted=False, found="10.0.0.3")
    assert notices[0].startswith("INSECURE")


def test_an_unencrypted_run_on_this_machine_is_joined_without_ado() -> None:
    settings, notices = guest(NetworkOptions(), HERE, encrypted=False, found="127.0.0.1")
    assert not settings.encrypted
    assert notices == []


def test_insecure_takes_no_encryption_from_a_run_that_has_it() -> None:
    settings, notices = guest(
        NetworkOptions(insecure=True), THERE, encrypted=True, found="10.0.0.3"
    )
    assert settings.encrypted
    assert notices == []


@pytest.mark.parametrize(("host", "is_ipv6"), [("0.0.0.0", False), ("::", True)])
def test_what_is_bound_to_all_addresses_is_found_by_the_one_that_routes_tell(
    host: str, is_ipv6: bool
) -> None:
    def outward(*, ipv6: bool) -> str:
        return "fd00::2" if ipv6 else "10.0.0.2"

    assert address_elsewhere(host, outward=outward) == outward(ipv6=is_ipv6)
    assert address_elsewhere(host, "my.host", outward=outward) == "my.host"
    assert address_elsewhere(host, outward=routes(None)) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.2", "localhost"])
def test_what_is_bound_to_one_address_is_found_by_that_one(host: str) -> None:
    assert address_elsewhere(host, "my.host", outward=routes("10.0.0.9")) is None
