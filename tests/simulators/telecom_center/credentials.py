"""One user name and password of HTTP Basic, which a test can change or lock out (RFC 7617)."""

from __future__ import annotations

import aiohttp
from aiohttp import web


class BasicCredentials:
    """The only user whom a simulated service knows."""

    def __init__(self, name: str, password: str) -> None:
        self._accepted = aiohttp.encode_basic_auth(name, password)
        self._name = name
        self._locked = False

    def identify(self, request: web.BaseRequest) -> str:
        """Return the name that the caller of a request has proved; empty if it has not, or is locked out."""
        if self._locked or request.headers.get("Authorization") != self._accepted:
            return ""
        return self._name

    def replace(self, name: str, password: str) -> None:
        """Take these credentials from now on, and the former ones no more."""
        self._accepted = aiohttp.encode_basic_auth(name, password)
        self._name = name

    def lock_out(self) -> None:
        """Refuse the right credentials, too, until they are unlocked."""
        self._locked = True

    def unlock(self) -> None:
        """End lock_out."""
        self._locked = False
