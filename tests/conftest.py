"""A real control plane, shared by all tests that need one; it starts with the first of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from pbx_operator.api.meta import API_VERSION
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.sandbox import ControlPlane
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
