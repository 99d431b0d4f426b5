"""Connections of the exchange: bounded in number, and cut when the other side is slow.

aiohttp reads and writes HTTP; what it leaves open is closed here.  Connections beyond the bound wait in the kernel's
queue, TLS handshakes count from their first byte, and whoever sends its headers or takes its answer too slowly
loses its connection.  (Bodies have a limit of their own in `opening`.)
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from aiohttp import web

from pbx_operator.exchange.limits import source_of
from pbx_operator.exchange.refusals import RefusalLog

MAX_CONNECTIONS = 128
"""Connections at a time. Each may hold one body, so this bounds memory: 128 times 360 KiB are 45 MiB."""
PATIENCE = 10.0
"""Seconds for a TLS handshake, for the headers of a request, until the next request, and to take what is left of an
answer when the connection is closed."""
GRACE = 20.0
"""Seconds for requests in progress when the exchange stops; Kubernetes gives 30 in all."""
_LINGER = 1.0
"""Seconds for the sender of a refused body to read why, and for goodbyes of TLS when the exchange stops."""
_RETRY = 1.0
"""Seconds without accepting when the process has no file descriptor left."""
_BACKLOG = 128

_NOT_HTTP_BODY = json.dumps({"error": "the request is not HTTP as it should be"}).encode()
_NOT_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b"
) % (len(_NOT_HTTP_BODY), _NOT_HTTP_BODY)

_log = logging.getLogger(__name__)


@asynccontextmanager
async def serve(app: web.Application, context: ssl.SSLContext, host: str, port: int) -> AsyncIterator[int]:
    """Serve the application while the context is entered; yields the port, which the kernel chooses if it is 0.

    `host` is an address of this machine; `::` stands for all of them, of IPv4 too, and `0.0.0.0` for those of IPv4.
    On leaving, nothing new is accepted, and requests in progress have GRACE seconds.  Raises OSError if the address
    cannot be used.
    """
    runner = web.AppRunner(app, shutdown_timeout=GRACE)
    await runner.setup()
    reception = _Reception(runner, context)
    try:
        with _listen(host, port) as listener:
            accepting = asyncio.create_task(reception.accept(listener))
            try:
                yield listener.getsockname()[1]
            finally:
                accepting.cancel()
                with suppress(asyncio.CancelledError):
                    await accepting
    finally:
        await runner.cleanup()
        await reception.close()


def everywhere() -> str:
    """Return the address that stands for all of this machine: `::`, or `0.0.0.0` where there is no IPv6."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::"
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    listener.setblocking(False)
    return listener


class _Reception:
    """Lets connections in, as many as there are places."""

    def __init__(self, runner: web.AppRunner, context: ssl.SSLContext) -> None:
        self._runner = runner
        self._context = context
        self._refusals = RefusalLog()
        self._places = asyncio.Semaphore(MAX_CONNECTIONS)
        self._connections: set[asyncio.Task[None]] = set()

    async def accept(self, listener: socket.socket) -> None:
        """Accept connections for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._places.acquire()
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:
                self._places.release()
                _log.error("the exchange cannot accept connections: %s", error.strerror)
                await asyncio.sleep(_RETRY)
                continue
            connection = asyncio.create_task(self._attend(accepted))
            self._connections.add(connection)
            connection.add_done_callback(self._left)

    async def close(self) -> None:
        """End the connections that are still open: those that never became HTTP, or do not say goodbye."""
        if self._connections:
            await asyncio.wait(self._connections, timeout=_LINGER)
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _attend(self, accepted: socket.socket) -> None:
        """Keep one connection until it is lost."""
        server = self._runner.server
        if server is None:  # stopped meanwhile
            accepted.close()
            return
        connection = _Connection(server, self._refusals)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=PATIENCE,
                ssl_shutdown_timeout=PATIENCE,
            )
        except OSError as error:
            _log.debug("a connection ended before TLS was up: %s", type(error).__name__)
            return
        try:
            await connection.lost.wait()
        finally:
            if connection.transport is not None:
                connection.transport.abort()

    def _left(self, connection: asyncio.Task[None]) -> None:
        self._connections.discard(connection)
        self._places.release()


class _Connection(web.RequestHandler):
    """One connection; aiohttp's own, except that it tells of its end and does not quote what is not HTTP."""

    def __init__(self, server: web.Server, refusals: RefusalLog) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=PATIENCE,
            lingering_time=_LINGER,
            auto_decompress=False,
        )
        self.lost = asyncio.Event()
        self._refusals = refusals

    def connection_lost(self, exc: BaseException | None) -> None:
        """Free the place."""
        super().connection_lost(exc)
        self.lost.set()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP; aiohttp's words would quote it, and its headers name versions."""
        self._refusals.note(source_of(request.remote), HTTPStatus.BAD_REQUEST, f"not HTTP ({type(exc).__name__})")
        if self.transport is not None:
            self.transport.write(_NOT_HTTP)
        self.force_close()
        return web.Response(status=400)  # goes nowhere: the connection is closing
