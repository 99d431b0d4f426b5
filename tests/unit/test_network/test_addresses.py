"""Which endpoints and addresses may be dialled."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx_operator.network.addresses import (
    MAX_ADDRESSES,
    ForbiddenAddressError,
    HostPort,
    NetworkRules,
    SystemLookup,
    checked_addresses,
    parse_endpoint,
)

CLUSTER = NetworkRules(forbidden=(ip_network("10.244.0.0/16"), ip_network("fd00:10:96::/112")))
TARGET = HostPort("peer.example", 443)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("https://pbx.example.com", "pbx.example.com", 443),
        ("https://pbx.example.com:8443", "pbx.example.com", 8443),
        ("https://pbx", "pbx", 443),
        ("https://192.0.2.7:1", "192.0.2.7", 1),
        ("https://7.example:65535", "7.example", 65535),
    ],
)
def test_an_endpoint_is_a_host_and_perhaps_a_port(text: str, host: str, port: int) -> None:
    assert parse_endpoint(text) == HostPort(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pbx.example.com",
        "http://pbx.example.com",
        "HTTPS://pbx.example.com",
        "https://",
        "https://pbx.example.com/",
        "https://pbx.example.com/path",
        "https://pbx.example.com?query",
        "https://pbx.example.com#fragment",
        "https://user@pbx.example.com",
        "https://user:word@pbx.example.com",
        "https://pbx.example.com:",
        "https://pbx.example.com:0",
        "https://pbx.example.com:65536",
        "https://pbx.example.com:x",
        "https://pbx..example.com",
        "https://pbx.example.com.",
        "https://-pbx.example.com",
        "https://pbx_1.example.com",
        "https://pbx.example.com\n",
        "https://pbx.example.com\\@evil",
        "https://bücher.example",
        "https://[::1]",
        "https://127.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://0x7f.1",
        "https://0177.0.0.1",
        "https://1.2.3.256",
        f"https://{'a' * 64}.example",
        f"https://{'a.' * 150}a",
    ],
)
def test_nothing_else_is_an_endpoint(text: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        parse_endpoint(text)


@given(st.text(max_size=300))
def test_any_text_is_an_endpoint_or_refused_in_one_way(text: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        parse_endpoint(text)


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
