"""Which addresses may be dialled."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx_operator.domain.protocol.endpoints import HostPort
from pbx_operator.network.addresses import (
    MAX_ADDRESSES,
    ForbiddenAddressError,
    NetworkRules,
    SystemLookup,
    checked_addresses,
)

CLUSTER = NetworkRules(forbidden=(ip_network("10.244.0.0/16"), ip_network("fd00:10:96::/112")))
TARGET = HostPort("peer.example", 443)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("10.244.3.4", "in the forbidden network 10.244.0.0/16"),
        ("fd00:10:96::a", "in the forbidden network fd00:10:96::/112"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:0.0.0.0", "unspecified"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:224.0.0.1", "multicast"),
        ("::ffff:10.244.3.4", "in the forbidden network 10.244.0.0/16"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::10.244.3.4", "in the forbidden network 10.244.0.0/16"),
        ("2002:7f00:1::", "loopback"),
    ],
)
def test_forbidden_addresses(address: str, why: str) -> None:
    assert (CLUSTER.why_not(address) or "").endswith(why)


@pytest.mark.parametrize(
    "address",
    ["192.0.2.7", "10.0.0.1", "172.16.0.1", "192.168.1.1", "10.243.255.255", "2001:db8::1", "fd00:10:97::a",
     "::ffff:192.0.2.7", "64:ff9b::c000:207"],
)  # fmt: skip
def test_all_others_are_allowed(address: str) -> None:
    assert CLUSTER.why_not(address) is None


def test_an_allowed_network_overrides_what_is_forbidden() -> None:
    rules = NetworkRules(CLUSTER.forbidden, allowed=(ip_network("127.0.0.0/30"), ip_network("10.244.3.0/24")))
    assert [rules.why_not(a) for a in ("127.0.0.1", "::ffff:127.0.0.1", "10.244.3.4")] == [None, None, None]
    assert rules.why_not("127.0.0.4")
    assert rules.why_not("::1")
    assert rules.why_not("10.244.4.1")


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_gains_nothing_by_hiding(address: IPv4Address) -> None:
    hidden = [IPv6Address(f"::ffff:{address}"), IPv6Address(f"64:ff9b::{address}")]
    forbidden = CLUSTER.why_not(str(address)) is not None
    assert [CLUSTER.why_not(str(form)) is not None for form in hidden] == [forbidden, forbidden]


@given(st.ip_addresses())
def test_no_address_of_the_machine_or_its_link_passes(address: IPv4Address | IPv6Address) -> None:
    local = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    assert NetworkRules().why_not(str(address)) is not None or not local


@pytest.mark.parametrize("found", [["10.244.0.1"], ["192.0.2.7", "10.244.0.1"], ["10.244.0.1", "192.0.2.7"]])
async def test_one_forbidden_address_forbids_the_name(found: list[str]) -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return found

    with pytest.raises(ForbiddenAddressError, match=r"peer.example may not be dialled: 10\.244\.0\.1 is in"):
        await checked_addresses(TARGET, CLUSTER, lookup)


async def test_many_addresses_are_all_checked_and_few_are_tried() -> None:
    found = [f"192.0.2.{n}" for n in range(100)]

    async def lookup(host: str, port: int) -> list[str]:
        return [*found, found[0]]

    assert await checked_addresses(TARGET, CLUSTER, lookup) == tuple(found[:MAX_ADDRESSES])
    found.append("10.244.0.1")
    with pytest.raises(ForbiddenAddressError):
        await checked_addresses(TARGET, CLUSTER, lookup)


async def test_a_name_without_addresses_cannot_be_dialled() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return []

    with pytest.raises(OSError, match="no address"):
        await checked_addresses(TARGET, CLUSTER, lookup)


async def test_the_system_resolves_an_address_to_itself() -> None:
    assert await SystemLookup()("192.0.2.7", 443) == ["192.0.2.7"]
