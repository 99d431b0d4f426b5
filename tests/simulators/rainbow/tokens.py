"""JSON Web Tokens with the payload that GetBasicLogin of OPENAPI shows.

The payload carries countRenewed, maxTokenRenew, user, app, iat and exp.  [F]  The platform signs with RS256 (the
examples' header); here a random key of the simulator signs with HS256, for a client has no key to verify either.
A `jti` makes two tokens of one second differ.  [?]
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

from simulators.rainbow.errors import ApiError


class Tokens:
    """Makes and checks tokens; a token that was logged out is refused from then on.  [I]"""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._revoked: set[str] = set()

    def sign(self, payload: dict[str, Any]) -> str:
        """Return a signed token."""
        head = _encode(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
        signed = f"{head}.{_encode(json.dumps(payload | {'jti': secrets.token_hex(8)}).encode())}"
        return f"{signed}.{self._signature(signed)}"

    def payload(self, token: str, now: float) -> dict[str, Any]:
        """Return the payload of a good token.

        Raises ApiError 401: with "jwt expired" for an expired one [F: SDK, HttpService.tokenExpirationControl], with
        a text of the simulator for any other [?].  No document gives these a code, so they have none.  [?]
        """
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            raise ApiError(401, "invalid signature")
        if token in self._revoked:
            raise ApiError(401, "jwt revoked")
        payload: dict[str, Any] = json.loads(_decode(signed.partition(".")[2]))
        if payload["exp"] <= now:
            raise ApiError(401, "jwt expired")
        return payload

    def revoke(self, token: str) -> None:
        """Refuse a token from now on."""
        self._revoked.add(token)

    def _signature(self, signed: str) -> str:
        return _encode(hmac.digest(self._key, signed.encode(), hashlib.sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(data: str) -> bytes:
    return base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
