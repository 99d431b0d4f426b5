"""Where the stories of customers play: an account with a customer at a simulated provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from simulation.customers import Center, CustomerSite


@pytest.fixture
def center() -> Center:
    return Center()


@pytest.fixture
def site(center: Center) -> Iterator[CustomerSite]:
    with closing(CustomerSite(center)) as site:
        yield site
