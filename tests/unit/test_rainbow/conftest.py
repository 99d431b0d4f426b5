"""A simulator that serves HTTPS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest

from simulators.rainbow import ManualClock, RainbowSimulator, reseller
from test_rainbow.bench import Bench


@pytest.fixture
async def bench(served: ssl.SSLContext, trusted: None) -> AsyncIterator[Bench]:
    clock = ManualClock()
    async with RainbowSimulator(clock=clock, tls=served) as rainbow:
        yield Bench(rainbow, reseller(rainbow.state), clock)
