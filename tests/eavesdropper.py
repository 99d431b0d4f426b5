"""Somebody on the way who has the exchange's private key: ends TLS, reads everything and passes it on."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
CHUNK = 65536


class Eavesdropper:
    """Listens on `port` while it is entered, for the exchange on `target`; `pem` holds its certificate and key."""

    def __init__(self, target: int, pem: Path) -> None:
        self.port = 0
        self.heard = bytearray()
        """All that both sides said, in the clear."""
        self._target = target
        self._shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._shown.load_cert_chain(pem)
        self._dialling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._dialling.check_hostname = False
        self._dialling.verify_mode = ssl.CERT_NONE
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._attend, HOST, 0, ssl=self._shown)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._server.wait_closed()

    async def _attend(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with suppress(OSError):
                answers, exchange = await asyncio.open_connection(HOST, self._target, ssl=self._dialling)
                await asyncio.gather(self._pass(reader, exchange), self._pass(answers, client))
        finally:
            self._running.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one side says; whoever ends the connection ends it for both."""
        try:
            while chunk := await reader.read(CHUNK):
                self.heard += chunk
                writer.write(chunk)
                await writer.drain()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
