"""Whom the dialling side connects to: only a checked address, and only a server with a pinned key."""

from __future__ import annotations

import socket
import ssl
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.domain.protocol.messages import SyncAnswer
from pbx_operator.network.addresses import NetworkRules
from support import needs_ipv6
from test_exchange_client.asking import Names, contact, refused, remote
from test_exchange_client.peer import SYNC, THEY, Server, certificate, server_context, serving

# --- TLS ---


async def test_a_server_with_another_key_hears_nothing(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, other = certificate(tmp_path, "other")
    await refused(remote(), contact(server, pins=(other,)))
    await refused(remote(), Contact(endpoints=(server.endpoint(),), pins=()))
    assert server.hellos, "it was dialled"
    assert server.connections == 0, "it finished no handshake"
    assert "TLS fails: the server's public key is not pinned" in caplog.messages[0]


async def test_any_of_the_pins_suffices(server: Server, tmp_path: Path) -> None:
    _, other = certificate(tmp_path, "other")
    await remote().ask(contact(server, pins=(other, server.pin)), THEY, SYNC, SyncAnswer)


async def test_tls_12_is_refused(identity: tuple[Path, str]) -> None:
    file, pin = identity
    async with serving(server_context(file, highest=ssl.TLSVersion.TLSv1_2), pin) as old:
        await refused(remote(), contact(old))
        assert old.connections == 0, "it finished no handshake"


async def test_the_servers_name_is_sent_and_its_certificate_need_not_have_it(server: Server) -> None:
    peer = remote(lookup=Names(["127.0.0.1"]))
    await peer.ask(contact(server, host="pbx.example.com"), THEY, SYNC, SyncAnswer)
    assert server.hellos == ["pbx.example.com"]
    assert server.calls[0].headers["Host"] == f"pbx.example.com:{server.port}"


# --- addresses ---


async def test_the_address_that_was_checked_is_the_one_that_is_dialled(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that gives another answer the second time is not asked a second time."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])

    def nobody_else_resolves(*arguments: Any, **_: Any) -> None:
        raise AssertionError(f"resolved {arguments}")

    monkeypatch.setattr("socket.getaddrinfo", nobody_else_resolves)
    rules = NetworkRules(allowed=(ip_network("127.0.0.1/32"),))
    peer = remote(rules, lookup=names)
    await peer.ask(contact(server, host="peer.example"), THEY, SYNC, SyncAnswer)
    assert names.asked == [("peer.example", server.port)]
    await refused(peer, contact(server, host="peer.example"))
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    "found",
    [["127.0.0.1"], ["0.0.0.0"], ["::ffff:127.0.0.1"], ["::1"], ["192.0.2.1", "127.0.0.1"], ["169.254.169.254"]],
)
async def test_forbidden_addresses_are_not_dialled(
    found: list[str], server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    await refused(remote(NetworkRules(), lookup=Names(found)), contact(server, host="peer.example"))
    assert server.hellos == []
    assert "peer.example may not be dialled" in caplog.messages[0]


@needs_ipv6
async def test_an_ipv6_address_is_dialled_where_that_is_allowed(identity: tuple[Path, str]) -> None:
    file, pin = identity
    async with serving(server_context(file), pin, host="::1") as server:
        there = contact(server, host="[::1]")
        await remote(NetworkRules(allowed=(ip_network("::1/128"),))).ask(there, THEY, SYNC, SyncAnswer)
        await refused(remote(), there)
        (call,) = server.calls
        assert call.headers["Host"] == f"[::1]:{server.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_forbidden_address_is_found_whatever_the_endpoint_calls_it(host: str, server: Server) -> None:
    await refused(remote(NetworkRules()), contact(server, host=host))
    assert server.hellos == []


async def test_other_forms_of_an_address_are_no_endpoints(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    await refused(remote(lookup=Names(["127.0.0.1"])), contact(server, host="2130706433"))
    assert server.hellos == []
    assert ": has a number as its host that is not an IPv4 address" in caplog.messages[0]


async def test_nobody_listens(identity: tuple[Path, str], caplog: pytest.LogCaptureFixture) -> None:
    file, pin = identity
    async with serving(server_context(file), pin) as gone:
        pass
    await refused(remote(), contact(gone))
    assert caplog.messages[0].endswith("the connection is refused, nobody listens there")


async def test_a_name_that_does_not_exist(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def lookup(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    await refused(remote(lookup=lookup), contact(server, host="peer.example"))
    assert caplog.messages[0].endswith("its name cannot be resolved: Name or service not known")


async def test_a_peer_that_only_dials_cannot_be_reached(caplog: pytest.LogCaptureFixture) -> None:
    await refused(remote(), Contact())
    assert caplog.messages == [f"Peer {THEY} cannot be reached: it names no endpoint"]
