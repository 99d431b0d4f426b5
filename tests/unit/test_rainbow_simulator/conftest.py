"""A simulator with a reseller in it, on a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from simulators.rainbow import ManualClock, RainbowSimulator, reseller
from test_rainbow_simulator.client import Client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def anonymous(clock: ManualClock) -> AsyncIterator[Client]:
    """Return a client without a token; it never repeats a call, as aiohttp does on connections that it reuses."""
    async with (
        RainbowSimulator(clock=clock) as rainbow,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        yield Client(rainbow, session, reseller(rainbow.state))


@pytest.fixture
async def client(anonymous: Client) -> Client:
    """Return a client that the administrator has logged in with; the journal is empty again."""
    await anonymous.login()
    anonymous.rainbow.journal.clear()
    return anonymous
