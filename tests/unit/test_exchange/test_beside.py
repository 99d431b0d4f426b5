"""The exchange as a process has it: where it listens, whom it is known by, and what its log says at the start."""

from __future__ import annotations

import asyncio
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from unittest import mock

import pytest
from prometheus_client import REGISTRY

from builders import DAY, NOW
from pbx_operator.api.meta import format_time
from pbx_operator.api.v1alpha1.linkrecord import InterlinkIdentity, NamespacedName
from pbx_operator.domain.protocol.endpoints import parse_endpoint
from pbx_operator.domain.protocol.keys import Bundle, IssuerAddress, SigningKey, parse_key
from pbx_operator.domain.protocol.messages import SyncAnswer, SyncRequest
from pbx_operator.exchange import beside, tls
from pbx_operator.exchange.beside import ExchangeSettings, contact_of, exchange_beside, prepare_certificate
from pbx_operator.exchange.certificates import CLOCK_SKEW, LIFETIME, KeyPair, make_pair
from pbx_operator.exchange.client import RemotePeer
from pbx_operator.exchange.tls import ServedCertificate
from pbx_operator.network.addresses import NetworkRules
from pbx_operator.sandbox.ports import unused_port
from support import needs_ipv6
from test_exchange.world import PEER, US, FakeDesk, FixedSource

LOOPBACK = NetworkRules(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
SYNC = partial(SyncRequest, links=())


async def served(settings: ExchangeSettings) -> ServedCertificate:
    names = [parse_endpoint(endpoint).host for endpoint in settings.endpoints]
    certificate = ServedCertificate(FixedSource(make_pair(names, NOW)))
    await certificate.refresh()
    return certificate


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("[::1]", marks=needs_ipv6)])
async def test_whoever_has_the_bundle_reaches_it(host: str) -> None:
    """By IPv4 and by IPv6, with what a bundle says of it and nothing else."""
    port = unused_port()
    settings = ExchangeSettings((f"https://{host}:{port}",), port)
    certificate = await served(settings)
    issuer = IssuerAddress(
        public_key=US.key.public,
        account=NamespacedName(namespace="n", name="a"),
        interlink=InterlinkIdentity(namespace="n", name="x", uid="u"),
        contact=contact_of(settings, certificate),
    )
    carried = parse_key(Bundle(SigningKey(bytes(32)), US.instance, "a", issuer=issuer).text())
    assert carried.issuer == issuer
    desk = FakeDesk()
    async with exchange_beside(desk, desk, US, certificate, settings, lambda: NOW):
        peer = RemotePeer(PEER, LOOPBACK, lambda: NOW)
        answer = await peer.ask(carried.issuer.contact, US.instance, SYNC, SyncAnswer)
    assert answer.sender == US.instance
    assert len(desk.asked) == 1


async def test_mounted_files_are_shown_in_place_of_a_certificate_of_its_own(tmp_path: Path) -> None:
    pair, cluster = make_pair(["127.0.0.1"], NOW), mock.AsyncMock()
    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    port = unused_port()
    settings = ExchangeSettings((f"https://127.0.0.1:{port}",), port, certificate=tmp_path)
    certificate = await prepare_certificate(cluster, "pbx-system", settings, lambda: NOW)
    assert contact_of(settings, certificate).pins == (pair.pin,)
    async with exchange_beside(FakeDesk(), FakeDesk(), US, certificate, settings, lambda: NOW):
        await RemotePeer(PEER, LOOPBACK, lambda: NOW).ask(
            contact_of(settings, certificate), US.instance, SYNC, SyncAnswer
        )
    assert cluster.mock_calls == []


@pytest.mark.parametrize(
    ("host", "where"),
    [pytest.param("::", "[::]:{} (IPv6 and IPv4)", marks=needs_ipv6), ("0.0.0.0", "0.0.0.0:{} (IPv4)")],
)
async def test_it_says_where_it_listens_and_what_it_shows(
    host: str, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(beside, "everywhere", lambda: host)
    caplog.set_level("INFO")
    port = unused_port()
    settings = ExchangeSettings(("https://pbx.example.com:8443", "https://[2001:db8::1]:8443"), port)
    certificate = await served(settings)
    async with exchange_beside(FakeDesk(), FakeDesk(), US, certificate, settings, lambda: NOW):
        assert caplog.messages == [
            f"the exchange of installation {US.instance} listens on {where.format(port)} as "
            "https://pbx.example.com:8443, https://[2001:db8::1]:8443; its certificate has "
            f"{certificate.summary}"
        ]


@pytest.mark.parametrize("endpoints", [(), ("https://pbx.example.com:8443",)])
async def test_without_an_endpoint_or_a_port_nothing_listens(
    endpoints: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    settings = ExchangeSettings(endpoints, 0)
    certificate = await served(settings) if endpoints else None
    async with exchange_beside(FakeDesk(), FakeDesk(), US, certificate, settings, lambda: NOW):
        assert caplog.messages == []


async def test_where_others_listen_the_certificate_is_kept_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is announced here must stay true; and metrics would tell that a certificate expires that was renewed."""
    monkeypatch.setattr(tls, "REFRESH_SECONDS", 0.0)
    asked_again = asyncio.Event()

    class Renewing:
        pair = make_pair(["pbx.example.com"], NOW)

        async def current(self) -> KeyPair:
            if self.pair is renewed:
                asked_again.set()
            elif certificate.pin:
                self.pair = renewed
            return self.pair

    renewed = make_pair(["pbx.example.com"], NOW + DAY, Renewing.pair.key)
    certificate = ServedCertificate(Renewing())
    await certificate.refresh()
    settings = ExchangeSettings(("https://pbx.example.com:8443",), 0)
    async with (
        asyncio.timeout(30),
        exchange_beside(FakeDesk(), FakeDesk(), US, certificate, settings, lambda: NOW),
    ):
        await asked_again.wait()
    assert expires() == (NOW + DAY - CLOCK_SKEW + LIFETIME).timestamp()


def expires() -> float | None:
    return REGISTRY.get_sample_value("pbx_operator_exchange_certificate_expiration_timestamp_seconds")


async def test_metrics_tell_when_the_certificate_expires() -> None:
    certificate = await served(ExchangeSettings(("https://127.0.0.1:8443",)))
    end = NOW - CLOCK_SKEW + LIFETIME
    assert expires() == end.timestamp()
    assert format_time(end) in certificate.summary
