"""Dialling with aiohttp: only checked addresses, nothing twice, no more of an answer than wanted, errors in our words.

`exchange/client` dials other installations and `providers/http` providers; neither trusts who answers.
"""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from pbx_operator.domain.protocol.endpoints import HostPort


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


Part = Literal["Name", "Certificate", "Connection", "Answer"]
"""What of a call went wrong: resolving the host, trusting who answers, reaching it, or what it answers."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed, in plain words of ours: the text of a strange error may quote what was answered.

    The text is the same from try to try while the cause is, and names no address, so that a status may show it.
    """

    part: Part
    text: str


_PLAIN: tuple[tuple[type[Exception], Failure], ...] = (
    (TimeoutError, Failure("Connection", "it does not answer in time")),
    (ConnectionRefusedError, Failure("Connection", "the connection is refused, nobody listens there")),
    (aiohttp.ServerDisconnectedError, Failure("Answer", "it closes the connection without an answer")),
    (aiohttp.ClientPayloadError, Failure("Answer", "its answer breaks off")),
    (aiohttp.ClientResponseError, Failure("Answer", "what it sends is not HTTP")),
)
"""What it means if a call fails in one of these ways."""


def failure(error: Exception) -> Failure:
    """Return what an error of aiohttp, of the operating system or of this module means."""
    if isinstance(error.__cause__, aiohttp.ClientError):
        error = error.__cause__  # see never_resend
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    for kind, meaning in _PLAIN:
        if isinstance(error, kind):
            return meaning
    if isinstance(error, TooLongError):
        return Failure("Answer", str(error))
    if isinstance(error, ssl.SSLError):
        return _untrusted(error)
    if isinstance(error, socket.gaierror):
        return Failure("Name", f"its name cannot be resolved: {error.strerror}")
    if isinstance(error, OSError) and error.errno:  # its own text has addresses
        return Failure("Connection", f"the connection fails: {os.strerror(error.errno)}")
    return Failure("Answer", f"the request fails with {type(error).__name__}")


def answered(status: int) -> str:
    """Say that an HTTP status was answered, with its name in the standard; their own words are not quoted."""
    known = status in HTTPStatus.__members__.values()
    return f"it answers with HTTP {status} {HTTPStatus(status).phrase}" if known else f"it answers with HTTP {status}"


def _untrusted(error: ssl.SSLError) -> Failure:
    """Return what OpenSSL complains about, or a check of ours in its place."""
    doubt: str = getattr(error, "verify_message", "")  # ours has none
    if doubt:
        return Failure("Certificate", f"its certificate is not trusted: {doubt.rstrip('.')}")
    reason: str | None = getattr(error, "reason", None)
    return Failure("Connection", f"TLS fails: {reason.replace('_', ' ').lower() if reason else error.strerror}")
