"""An authority that signs for servers on loopback, and is trusted as the system's authorities are."""

from __future__ import annotations

import ssl

import pytest

from pbx_operator.sandbox.pki import CertificateAuthority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def served(authority: CertificateAuthority) -> ssl.SSLContext:
    """Return what a server on 127.0.0.1 shows."""
    pair = authority.issue_server(["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.fixture
def trusted(authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients that are made from now on trust the authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.files.certificate))
