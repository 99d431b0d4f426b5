"""HTTPS with JSON, as all providers speak it; what an answer means is for each provider's client to say.

Users write the URLs, and a provider may be slow, broken or dead for hours.  So addresses are checked, answers are
bounded in time and size, redirects are not followed, cookies are not kept, and one login at one provider has one
`Account`: what that provider asks for, patience above all, holds for all objects that use the login.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Literal

import aiohttp
from yarl import URL

from pbx_operator.api import provider_reasons
from pbx_operator.domain.faults import fault
from pbx_operator.domain.protocol.endpoints import HostPort
from pbx_operator.network.addresses import (
    ForbiddenAddressError,
    Lookup,
    NetworkRules,
    SystemLookup,
    checked_addresses,
)
from pbx_operator.network.circuits import Circuit
from pbx_operator.network.dialling import (
    CheckedResolver,
    Failure,
    Part,
    answered,
    failure,
    never_resend,
    read_body,
)
from pbx_operator.network.recent import Recent
from pbx_operator.network.trouble import Trouble
from pbx_operator.providers.endpoints import ApiEndpoint
from pbx_operator.providers.errors import ProviderError, unavailable

TIMEOUT = 10.0
"""Seconds for one call, from the look-up of the name to the end of the answer."""
MAX_ANSWER = 1024 * 1024
"""Bytes of the longest answer."""
DEFAULT_PAUSE = 10.0
"""Seconds that a provider is left alone which asks for patience without saying how much."""
LONGEST_TURN = 300.0
"""Seconds that a call waits for its turn: after a restart all objects of a login look at once, and nobody waits for
them.  If the provider dies meanwhile, those that wait fail at once."""
LONGEST_PAUSE = 3600.0
"""Seconds that a provider is left alone at most, whatever it asks for."""
MAX_LOGINS = 1024
"""How many logins of one sort of provider are remembered: users write Secrets as often as they like.  With the longest
tokens they take 16 MiB.  Forgetting one costs another login and nothing else, since the status remembers refusals."""

_ADVICE: Mapping[Part, str] = {
    "Name": "see that the operator can resolve the host; it is tried again",
    "Certificate": (
        "if an authority of your own signed the certificate, name that to the operator with SSL_CERT_FILE; it is tried"
        " again"
    ),
    "Connection": "see that the operator can reach the host; it is tried again",
    "Answer": "wait: it is tried again",
}
"""What a person can do about each part of a call that went wrong."""
_CROWDED = Failure("Connection", "too many calls wait for it")
"""What is shown of a call that was not made, unless an earlier one failed."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `repr` shows neither headers nor body, which may hold secrets."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """From the root, not yet percent-encoded."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Any = field(default=None, repr=False)
    """What is sent as JSON; None: nothing."""
    media_type: str = "application/json"
    """Of what is sent and of what is accepted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the provider itself: success or refusal, never 429 or 5xx."""

    status: int
    document: Any = field(repr=False)
    """The JSON; None if there is none."""

    @property
    def ok(self) -> bool:
        """Whether the provider did what it was asked."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class NoAnswerError(Exception):
    """The provider did not answer as it should; whether it acted is not known.

    `failure` is None if the call was not even made: the provider did not answer lately, or too many calls wait.
    """

    def __init__(self, failure: Failure | None = None) -> None:
        super().__init__(failure.text if failure is not None else "the call was not made")
        self.failure = failure


class _PatienceError(Exception):
    """The provider asks to be left alone for so many seconds."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self.pause = pause


class Dialler:
    """Sends calls to the hosts that the rules allow; one for all providers of a process.

    Each call has a connection of its own, so that it goes to an address that was checked for it.  Certificates are
    verified with the authorities of the system, or those that SSL_CERT_FILE names.
    """

    def __init__(self, rules: NetworkRules, *, lookup: Lookup | None = None, timeout: float = TIMEOUT) -> None:
        self._rules = rules
        self._lookup = lookup or SystemLookup()
        self._timeout = timeout
        self._tls = ssl.create_default_context()

    async def send(self, target: HostPort, call: Call) -> Answer:
        """Send a call. Raises NoAnswerError, ForbiddenAddressError, and _PatienceError for `Account`."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._send(target, call)
        except ForbiddenAddressError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswerError(failure(error)) from error

    async def _send(self, target: HostPort, call: Call) -> Answer:
        addresses = await checked_addresses(target, self._rules, self._lookup)
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(target, addresses), use_dns_cache=False, ssl=self._tls, force_close=True
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(never_resend,),
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.request(
                call.method,
                URL.build(scheme="https", host=target.host, port=target.port, path=call.path, query=call.query),
                data=None if call.body is None else json.dumps(call.body).encode(),
                headers=_headers(call),
                allow_redirects=False,
            ) as response,
        ):
            return _read(response, await read_body(response.content, MAX_ANSWER))


class Account:
    """One login at one provider: never more than a few calls at a time, and none while it is dead or wants peace.

    `monotonic` gives seconds.
    """

    def __init__(
        self, dialler: Dialler, endpoint: ApiEndpoint, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._dialler = dialler
        self._endpoint = endpoint
        self._monotonic = monotonic
        self._circuit = Circuit(monotonic, NoAnswerError, max_wait=LONGEST_TURN)
        self._quiet_until = float("-inf")
        self._trouble = Trouble()
        self._failure = _CROWDED

    async def call(self, call: Call) -> Answer:
        """Return what the provider says.

        Raises ProviderError: `Retry` if it says nothing, 429 or 5xx, `Final` if it may not be dialled.
        """
        target = self._endpoint.target
        try:
            async with self._circuit.call():
                self._keep_quiet()
                answer = await self._dialler.send(target, call)
        except NoAnswerError as error:
            raise self._unavailable(error) from error
        except ForbiddenAddressError as error:
            raise self._forbidden(target, error) from error
        except _PatienceError as wish:
            self._quiet_until = self._monotonic() + wish.pause
            self._tell("it asks for patience")
            raise _busy(wish.pause) from wish
        self._failure = _CROWDED
        if self._trouble.end():
            _log.info("provider %s answers again", self._endpoint.form)
        return answer

    def _unavailable(self, error: NoAnswerError) -> ProviderError:
        """Return what is shown; of a call that was not made, what the last one found."""
        if error.failure is not None:
            self._failure = error.failure
            self._tell(error.failure.text)
        problem, advice = f"{self._endpoint.form}: {self._failure.text}", _ADVICE[self._failure.part]
        return unavailable(problem, advice, field=self._endpoint.field, told=True)

    def _forbidden(self, target: HostPort, error: ForbiddenAddressError) -> ProviderError:
        self._tell(str(error))
        reason, field = provider_reasons.ADDRESS_FORBIDDEN, self._endpoint.field
        return ProviderError(fault("Final", reason, host=target.host, problem=error.why, field=field), told=True)

    def _tell(self, problem: str) -> None:
        """Log what is wrong for all that use this login, when that is news."""
        if self._trouble.is_news(problem, self._monotonic()):
            about = {"reason": provider_reasons.PROVIDER_UNAVAILABLE.name}
            _log.warning("provider %s cannot be used: %s", self._endpoint.form, problem, extra=about)

    def _keep_quiet(self) -> None:
        left = self._quiet_until - self._monotonic()
        if left > 0:
            raise _busy(left)


class Accounts:
    """The accounts that were used lately: calls at one place with one user name share one, whatever else they bring."""

    def __init__(self, open_account: Callable[[ApiEndpoint], Account]) -> None:
        self._open = open_account
        self._accounts: Recent[Account] = Recent(MAX_LOGINS)

    def of(self, endpoint: ApiEndpoint, username: str) -> Account:
        """Return the account of a user at an endpoint."""
        return self._accounts.get((endpoint.form, username), lambda: self._open(endpoint))


def basic(name: str, password: str) -> str:
    """Return the Authorization of RFC 7617, in UTF-8."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode("ascii")


def _busy(pause: float) -> ProviderError:
    wait = timedelta(seconds=pause)
    return ProviderError(fault("Retry", provider_reasons.PROVIDER_BUSY, retry_after=wait), told=True)


def _headers(call: Call) -> dict[str, str]:
    headers = {"User-Agent": "pbx-operator", "Accept": call.media_type, "Accept-Encoding": "identity"}
    if call.body is not None:
        headers["Content-Type"] = call.media_type
    return headers | dict(call.headers)


def _read(response: aiohttp.ClientResponse, body: bytes) -> Answer:
    """Return the answer. Raises NoAnswerError for 5xx and for what is no JSON, _PatienceError for 429."""
    status = response.status
    pause = response.headers.get("Retry-After")
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and pause is not None):
        raise _PatienceError(_seconds(pause))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        raise NoAnswerError(Failure("Answer", answered(status)))
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise NoAnswerError(Failure("Answer", f"{answered(status)}, and redirects are not followed"))
    try:
        document = json.loads(body) if body.strip() else None
    except (ValueError, RecursionError):
        if status < HTTPStatus.MULTIPLE_CHOICES:
            raise NoAnswerError(Failure("Answer", "its answer is not JSON")) from None
        document = None
    return Answer(status, document)


def _seconds(retry_after: str | None) -> float:
    """Return the pause that a Retry-After header (RFC 9110, section 10.2.3) asks for; a date is the default pause."""
    if retry_after is None or not retry_after.isdecimal():
        return DEFAULT_PAUSE
    return min(float(retry_after), LONGEST_PAUSE)
