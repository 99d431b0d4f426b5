"""A proxy between the operator that redeems and the exchange that issued: it fails as networks do.

TLS goes through untouched.  The proxy tells records of TLS apart (RFC 8446, section 5.1) and never sees what is in
them; that is enough to know when a request begins and when its answer does.  So it cannot repeat or reorder requests:
TLS refuses records that come twice or in another order.  Requests that come twice are made by losing an answer, after
which the redeemer asks again; late ones by holding a request until its sender is gone.

    async with TcpProxy(exchange_port) as proxy:
        proxy.mode = "drop-answer"
        ...                                   # the exchange has decided, and nobody heard of it
        proxy.mode = "pass"                   # the next request gets its answer
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Self

HOST = "127.0.0.1"
DEADLINE = 30.0
"""Seconds after which waiting for a connection fails the test."""
HEADER = 5
"""Bytes before the content of a TLS record: its type, a version, and the length of the content."""
APPLICATION_DATA = 23
"""Type of encrypted records.  The client's first one ends its handshake, and its request begins with the second."""
WHOLE_REQUEST = 400
"""Bytes: the headers of a request have fewer, its signed body has more and is one record."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on and 0 seconds, so that closing resets the connection."""

Mode = Literal["pass", "refuse", "drop-before", "drop-answer", "hold", "corrupt-request", "corrupt-answer"]
"""What becomes of a connection.

* pass: nothing.
* refuse: it is reset at once, as where nobody listens.
* drop-before: it is closed when the client begins to speak; the exchange hears nothing.
* drop-answer: the request goes through, and the connection is closed when its answer comes, which nobody gets.
* hold: the request waits here until `release`; TLS is up, so the client waits for an answer.
* corrupt-request, corrupt-answer: a byte of the request, or of its answer, is another.
"""


@dataclass(eq=False)
class Connection:
    """One connection of a client, and what went over it."""

    mode: Mode
    client: asyncio.StreamWriter
    sent: bytearray = field(default_factory=bytearray)
    """All that came from the client, as it came."""
    received: bytearray = field(default_factory=bytearray)
    """All that the exchange said, whether or not it was passed on."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """A whole request has come."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """The exchange has begun to answer it; then its decision is made."""
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        """Break the client's side; a request that is held is still under way."""
        self.client.transport.abort()

    def release(self) -> None:
        """Let a request go that is held, to the exchange that may wait 10 s for it."""
        self._released.set()

    async def requests(self, reader: asyncio.StreamReader, exchange: asyncio.StreamWriter) -> None:
        """Pass on what the client says, until it ends."""
        encrypted = size = 0
        while record := await _record(reader):
            self.sent += record
            encrypted += record[0] == APPLICATION_DATA
            if encrypted > 1:
                size += len(record)
                if size >= WHOLE_REQUEST:
                    self.asked.set()
                if self.mode == "hold" and size >= WHOLE_REQUEST:
                    await self._released.wait()
                if self.mode == "corrupt-request":
                    record = _corrupted(record)
            exchange.write(record)
            await exchange.drain()

    async def answers(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the exchange says, until it ends, or its answer is dropped."""
        while record := await _record(reader):
            self.received += record
            if self.asked.is_set():
                self.answered.set()
                if self.mode == "drop-answer":
                    return
                if self.mode == "corrupt-answer":
                    record = _corrupted(record)
            if not self.client.is_closing():
                self.client.write(record)
                await self.client.drain()


class TcpProxy:
    """Listens on `port` while it is entered, for what listens on `target`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.mode: Mode = "pass"
        """For the connections that come from now on."""
        self.connections: list[Connection] = []
        self._news = asyncio.Condition()
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._attend, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._server.wait_closed()

    async def idle(self) -> None:
        """Wait until every connection so far has ended."""
        async with asyncio.timeout(DEADLINE), self._news:
            await self._news.wait_for(lambda: not self._running)

    async def connection(self, number: int) -> Connection:
        """Wait for the connection of this number, from 0, to have brought a whole request, and return it."""
        async with asyncio.timeout(DEADLINE):
            async with self._news:
                await self._news.wait_for(lambda: len(self.connections) > number)
            await self.connections[number].asked.wait()
        return self.connections[number]

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        connection = Connection(self.mode, writer)
        async with self._news:
            self.connections.append(connection)
            self._news.notify_all()
        try:
            with suppress(ConnectionError):
                await self._serve(connection, reader)
        finally:
            await _close(writer)
            self._running.discard(task)
            async with self._news:
                self._news.notify_all()

    async def _serve(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        if connection.mode == "refuse":
            connection.client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        if connection.mode == "drop-before":
            connection.sent += await _record(reader)
            return
        answers, exchange = await asyncio.open_connection(HOST, self.target)
        requests = asyncio.create_task(connection.requests(reader, exchange))
        answering = asyncio.create_task(connection.answers(answers))
        try:
            await asyncio.wait((requests, answering), return_when=asyncio.FIRST_COMPLETED)
            if connection.mode == "hold":  # the exchange may answer a client that is gone
                await answering
        finally:
            for task in (requests, answering):
                task.cancel()
            await asyncio.gather(requests, answering, return_exceptions=True)
            await _close(exchange)


async def _record(reader: asyncio.StreamReader) -> bytes:
    """Return the next record; nothing if there is none, or its sender broke off."""
    try:
        header = await reader.readexactly(HEADER)
        return header + await reader.readexactly(int.from_bytes(header[3:]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _corrupted(record: bytes) -> bytes:
    return record[:-1] + bytes([record[-1] ^ 1])


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
