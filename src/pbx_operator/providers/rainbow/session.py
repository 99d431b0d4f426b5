"""Logins at Rainbow that last: a JSON Web Token, renewed as often as Rainbow allows, then a new login.

A login sends two headers: the user's login and password, and the application's id with a proof that knows both its
secret and the password.  The token says in its payload until when it is good and whether it can be renewed; nobody but
Rainbow can verify it, and nobody else has to.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from pbx_operator.api import rainbow_reasons
from pbx_operator.domain.faults import fault
from pbx_operator.network.recent import Recent
from pbx_operator.providers.credentials import Credentials, Login, SecretEntries
from pbx_operator.providers.endpoints import ApiEndpoint
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.http import MAX_LOGINS, Account, Accounts, Answer, Call, basic
from pbx_operator.providers.rainbow.refusals import MEMBER, login_refused, unreadable

LOGIN_ENTRIES = ("username", "password")
APPLICATION_ENTRIES = ("id", "secret")
RENEW_AFTER = 0.75
"""The part of a token's life, or of what is left of it after a failure, after which it is renewed."""
MAX_TOKEN = 16 * 1024
"""Characters of the longest token that is kept; one of a real login has about one thousand."""
_ROOT = "/api/rainbow/authentication/v1.0"


def secrets_of(login: str, application: str) -> tuple[SecretEntries, SecretEntries]:
    """Return the two Secrets that a login needs, by their names."""
    return (
        SecretEntries(login, f"{MEMBER}.credentialsSecretRef", LOGIN_ENTRIES),
        SecretEntries(application, f"{MEMBER}.applicationSecretRef", APPLICATION_ENTRIES),
    )


@dataclass(frozen=True, slots=True)
class Token:
    """What Rainbow knows us by for a while; the times are seconds of our monotonic clock."""

    text: str = field(repr=False)
    renewable: bool
    stale_at: float
    expires_at: float


class Session:
    """One login in this process, shared by all CommServers whose Secrets say the same."""

    def __init__(self, account: Account, monotonic: Callable[[], float]) -> None:
        self._account = account
        self._monotonic = monotonic
        self._login = Login(monotonic)
        self._token: Token | None = None
        self._changing = asyncio.Lock()

    async def call(self, call: Call, credentials: Credentials, rejected: str | None) -> Answer:
        """Make a call as this login; a token that Rainbow does not know any more is replaced once.

        `rejected` is the version of the Secrets that was refused before this process.  Raises ProviderError.
        """
        token = await self._good_token(credentials, rejected)
        answer = await self._account.call(_authorized(call, token))
        if answer.status != HTTPStatus.UNAUTHORIZED:
            return answer
        if self._token is not None and self._token.text == token.text:
            self._token = None
        answer = await self._account.call(_authorized(call, await self._good_token(credentials, rejected)))
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise ProviderError(fault("Credentials", rainbow_reasons.SESSION_REFUSED, secret=credentials.secret))
        return answer

    async def _good_token(self, credentials: Credentials, rejected: str | None) -> Token:
        async with self._changing:
            token = self._token
            if token is None or self._monotonic() >= token.stale_at:
                token = self._token = await self._fresh_token(token, credentials, rejected)
            return token

    async def _fresh_token(self, token: Token | None, credentials: Credentials, rejected: str | None) -> Token:
        """Return another token, or the same one for a while longer if Rainbow gives none now and it is still good."""
        try:
            return await self._renew(token) or await self._log_in(credentials, rejected)
        except ProviderError as error:
            now = self._monotonic()
            if token is None or now >= token.expires_at or error.fault.kind != "Retry":
                raise
            return replace(token, stale_at=now + RENEW_AFTER * (token.expires_at - now))

    async def _renew(self, token: Token | None) -> Token | None:
        """Return a renewed token; None if there is nothing to renew, or Rainbow does not want to."""
        if token is None or not token.renewable or self._monotonic() >= token.expires_at:
            return None
        answer = await self._account.call(_authorized(Call("GET", f"{_ROOT}/renew"), token))
        return self._read(answer) if answer.ok else None

    async def _log_in(self, credentials: Credentials, rejected: str | None) -> Token:
        async with self._login.attempt(credentials, rejected):
            answer = await self._account.call(Call("GET", f"{_ROOT}/login", headers=_login_headers(credentials)))
            if not answer.ok:
                raise login_refused(answer)
            return self._read(answer)

    def _read(self, answer: Answer) -> Token:
        """Return the token of an answer. Raises ProviderError if there is none."""
        try:
            text = answer.document["token"]
            payload = _payload(text)
            if len(text) > MAX_TOKEN:
                raise ValueError("too long")
            life = float(payload["exp"] - payload["iat"])
            renewable = payload["countRenewed"] < payload["maxTokenRenew"]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, binascii.Error) as error:
            raise unreadable("the token of the login cannot be read") from error
        now = self._monotonic()
        return Token(text, renewable, now + RENEW_AFTER * life, now + life)


class Sessions:
    """The logins that a process used lately."""

    def __init__(self, accounts: Accounts, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._monotonic = monotonic
        self._sessions: Recent[Session] = Recent(MAX_LOGINS)

    def of(self, endpoint: ApiEndpoint, credentials: Credentials) -> Session:
        """Return the session of a login at an endpoint."""
        account = self._accounts.of(endpoint, credentials.values["username"])
        return self._sessions.get(credentials.digest, lambda: Session(account, self._monotonic))


def _login_headers(credentials: Credentials) -> dict[str, str]:
    values = credentials.values
    proof = hashlib.sha256((values["secret"] + values["password"]).encode()).hexdigest()
    return {
        "Authorization": basic(values["username"], values["password"]),
        "x-rainbow-app-auth": basic(values["id"], proof),
    }


def _authorized(call: Call, token: Token) -> Call:
    return replace(call, headers={"Authorization": f"Bearer {token.text}"})


def _payload(token: str) -> dict[str, Any]:
    """Return the payload of a JSON Web Token (RFC 7519), unverified."""
    part = token.split(".")[1]
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return payload
