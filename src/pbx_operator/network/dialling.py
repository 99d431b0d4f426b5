"""Dialling with aiohttp: only checked addresses, nothing twice, no more of an answer than wanted, errors in our words.

`exchange/client` dials other installations and `providers/http` providers; neither trusts who answers.
"""

from __future__ import annotations

import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from pbx_operator.network.addresses import HostPort


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


def described(error: Exception) -> str:
    """Say what went wrong in words of ours: the text of a strange error may quote what was answered."""
    if isinstance(error.__cause__, aiohttp.ClientError):
        error = error.__cause__  # see never_resend
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return type(error).__name__
