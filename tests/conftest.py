"""What many tests share: a real control plane that starts with the first of them, and an authority for HTTPS."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from pbx_operator.api.meta import API_VERSION
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.pki import CertificateAuthority
from support import install_crds, kubectl, until

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("project", deadline=None)  # a slow machine is no failure
settings.load_profile("project")


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """Return etcd, API server and garbage collector, empty."""
    with ControlPlane.start() as control_plane:
        yield control_plane


@pytest.fixture(scope="session")
def crds_installed(control_plane: ControlPlane) -> ControlPlane:
    """Return the control plane, serving our kinds."""
    install_crds(control_plane)
    wanted = {kind.resource.plural for kind in KINDS}

    def served() -> bool:
        listing = json.loads(kubectl(control_plane, "get", "--raw", f"/apis/{API_VERSION}"))
        return wanted <= {resource["name"] for resource in listing["resources"]}

    until(served, "the API server serves every kind")
    return control_plane


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Return an authority that nobody trusts who is not told to."""
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
    """Let clients that are made from now on trust the authority as one of the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.files.certificate))
