"""The API server as a judge."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING

import pytest
from kubernetes import client

from contract.admission import NAMESPACE, Admission
from contract.tenant import Tenant
from contract.vendors import write_definitions
from support import install_crds, kubectl, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pbx_operator.sandbox import ControlPlane


def administrator(control_plane: ControlPlane) -> client.Configuration:
    """Return the client's settings for the administrator; the kubeconfig names certificates by path."""
    kubeconfig = json.loads(control_plane.kubeconfig.read_text(encoding="utf-8"))
    user = kubeconfig["users"][0]["user"]
    configuration = client.Configuration(host=control_plane.url)
    configuration.ssl_ca_cert = kubeconfig["clusters"][0]["cluster"]["certificate-authority"]
    configuration.cert_file = user["client-certificate"]
    configuration.key_file = user["client-key"]
    return configuration


_NUMBERS = count(1)


@pytest.fixture(scope="session")
def admission(crds_installed: ControlPlane) -> Iterator[Admission]:
    """Return the judge, with a namespace of its own."""
    kubectl(crds_installed, "create", "namespace", NAMESPACE)
    with client.ApiClient(administrator(crds_installed)) as connection:
        yield Admission(client.CustomObjectsApi(connection))


@pytest.fixture
def tenant(crds_installed: ControlPlane) -> Tenant:
    """Return a new, empty namespace."""
    name = f"tenant-{next(_NUMBERS)}"
    kubectl(crds_installed, "create", "namespace", name)
    return Tenant(crds_installed, name)


@pytest.fixture(scope="session")
def vendors_served(crds_installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> ControlPlane:
    """Return the control plane, serving the kinds of other projects besides ours."""
    folder = tmp_path_factory.mktemp("definitions")
    write_definitions(folder, tmp_path_factory.mktemp("generated"))
    install_crds(crds_installed, folder)
    definitions = kubectl(crds_installed, "get", "crds", "--output=name").split()
    wanted = {name.partition("/")[2] for name in definitions}
    until(
        lambda: wanted <= set(kubectl(crds_installed, "api-resources", "--output=name").split()),
        "the API server serves every kind",
    )
    return crds_installed
