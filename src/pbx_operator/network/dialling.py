"""Dialling with aiohttp: only checked addresses, nothing twice, no more of an answer than wanted, errors in our words.

`exchange/client` dials other installations and `providers/http` providers; neither trusts who answers.
"""

from __future__ import annotations

import socket
import ssl

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from pbx_operator.domain.endpoints import HostPort


class TooLongError(ValueError):
    """An answer has more bytes than are read."""


class CheckedResolver(AbstractResolver):
    """Gives aiohttp the addresses that were checked, and no others."""

    def __init__(self, target: HostPort, addresses: tuple[str, ...]) -> None:
        self._target = target
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses; raise OSError if it is about another host."""
        if HostPort(host, port) != self._target:
            raise OSError("no other host may be dialled")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def never_resend(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending GET, PUT and DELETE again when a connection breaks.

    The first PUT may have landed, and a second login counts as a second attempt.  aiohttp does so for these two errors
    only, so they leave as their common base class.
    """
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(f"{type(error).__name__}: {error}") from error


async def read_body(content: aiohttp.StreamReader, limit: int) -> bytes:
    """Return what is answered. Raises TooLongError beyond `limit` bytes, and what aiohttp raises."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > limit:
            raise TooLongError(f"its answer has more than {limit} bytes")
    return bytes(body)


_PLAIN: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "it does not answer in time"),
    (ConnectionRefusedError, "the connection is refused, nobody listens there"),
    (aiohttp.ServerDisconnectedError, "it closes the connection without an answer"),
    (aiohttp.ClientPayloadError, "its answer breaks off"),
    (aiohttp.ClientResponseError, "what it sends is not HTTP"),
)
"""What it means if a call fails in one of these ways."""


def described(error: Exception) -> str:
    """Say what went wrong in plain words of ours: the text of a strange error may quote what was answered."""
    if isinstance(error.__cause__, aiohttp.ClientError):
        error = error.__cause__  # see never_resend
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    for kind, meaning in _PLAIN:
        if isinstance(error, kind):
            return meaning
    if isinstance(error, OSError) and error.strerror:
        return f"{_failing(error)}: {error.strerror}"
    return f"the request fails with {type(error).__name__}"


def _failing(error: OSError) -> str:
    """Return what it is that the operating system or OpenSSL complains about."""
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    return "TLS fails" if isinstance(error, ssl.SSLError) else "the connection fails"
