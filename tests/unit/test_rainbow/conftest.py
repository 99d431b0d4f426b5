"""One authority for all tests, and a simulator that serves with its certificate."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest

from pbx_operator.sandbox.pki import CertificateAuthority
from simulators.rainbow import ManualClock, RainbowSimulator, reseller
from test_rainbow.bench import Bench


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def served(authority: CertificateAuthority) -> ssl.SSLContext:
    pair = authority.issue_server(["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.fixture
async def bench(
    authority: CertificateAuthority, served: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.files.certificate))
    clock = ManualClock()
    async with RainbowSimulator(clock=clock, tls=served) as rainbow:
        yield Bench(rainbow, reseller(rainbow.state), clock)
