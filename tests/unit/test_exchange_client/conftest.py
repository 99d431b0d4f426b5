"""One certificate for all tests, and a peer that listens with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from test_exchange_client.peer import Server, certificate, server_context, serving


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the file of a certificate and its pin."""
    return certificate(tmp_path_factory.mktemp("tls"), "peer")


@pytest.fixture
async def server(identity: tuple[Path, str]) -> AsyncIterator[Server]:
    file, pin = identity
    async with serving(server_context(file), pin) as server:
        yield server


@pytest.fixture
async def second(identity: tuple[Path, str]) -> AsyncIterator[Server]:
    file, pin = identity
    async with serving(server_context(file), pin) as server:
        yield server
