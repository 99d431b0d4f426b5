"""An issuer, whose desk answers, and two installations that have its key."""

from __future__ import annotations

import pytest

from simulation.redeemer import KEY, Redeemer
from simulation.site import Site


@pytest.fixture
def site() -> Site:
    site = Site("issuer")
    site.issue("i", "a", KEY)
    return site


@pytest.fixture
def redeemer(site: Site) -> Redeemer:
    return Redeemer(site, "redeemer")


@pytest.fixture
def stranger(site: Site) -> Redeemer:
    return Redeemer(site, "stranger", "uid-of-a-stranger")
