"""Where the stories of servers play: a site with a provider, of either sort unless a module has its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from simulation.servers import Provider, Site


@pytest.fixture(params=[True, False], ids=["provider makes codes", "operator makes codes"])
def provider(request: pytest.FixtureRequest) -> Provider:
    return Provider(makes_codes=request.param)


@pytest.fixture
def site(provider: Provider) -> Iterator[Site]:
    with closing(Site(provider)) as site:
        yield site
