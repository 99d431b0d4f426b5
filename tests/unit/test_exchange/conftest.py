from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from test_exchange.world import Exchange, FakeDesk, Hands, running


@pytest_asyncio.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """Return an exchange of its own for each test."""
    async with running(FakeDesk(), Hands()) as exchange:
        yield exchange
