"""The dialling side of the exchange: one request, one connection, one signed answer.

Whatever a peer or the network between does wrong ends as PeerUnavailable: only what the peer signed for this very
request is believed.  Connections are not kept, so that each is made to an address that was checked for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

import aiohttp
from prometheus_client import Counter
from pydantic import ValidationError
from yarl import URL

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.reasons import PEER_UNAVAILABLE
from pbx_operator.api.v1alpha1 import Interlink
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.domain.plan import Target
from pbx_operator.domain.protocol.endpoints import EndpointError, parse_endpoint
from pbx_operator.domain.protocol.envelope import MAX_SEALED, Envelope, EnvelopeError, open_envelope, payload_bytes
from pbx_operator.domain.protocol.keys import base64url
from pbx_operator.domain.protocol.messages import CancelRequest, RedeemRequest, Request, SyncRequest, sign
from pbx_operator.domain.protocol.succession import speaks_for
from pbx_operator.domain.servers.equipment_messages import AssociateRequest, ReportRequest
from pbx_operator.exchange.pinning import NotPinnedError, pinned_context
from pbx_operator.links.peer import AnswerT, Draft, Mistake, PeerUnavailable, Voice
from pbx_operator.network.addresses import (
    ForbiddenAddressError,
    Lookup,
    NetworkRules,
    SystemLookup,
    checked_addresses,
)
from pbx_operator.network.circuits import Circuit
from pbx_operator.network.dialling import CheckedResolver, answered, failure, read_body
from pbx_operator.network.recent import Recent
from pbx_operator.network.trouble import Trouble

PATHS = {
    RedeemRequest.type: "/v1/redeem",
    CancelRequest.type: "/v1/cancel",
    SyncRequest.type: "/v1/sync",
    AssociateRequest.type: "/v1/associate",
    ReportRequest.type: "/v1/report",
}
TIMEOUT = 10.0
"""Seconds for one request, over all endpoints; each may take an equal share of what is left."""
MAX_BODY = MAX_SEALED
"""Bytes of the longest answer."""
MAX_LINES = 4096
"""Peers that are remembered; a forgotten one starts with a closed circuit."""

REQUESTS = Counter(
    "pbx_operator_peer_requests_total",
    "Number of requests to other installations, by path and by whether a signed answer came.",
    ("path", "result"),
)

_log = logging.getLogger(__name__)


class RefusedAnswerError(ValueError):
    """An answer is not one that we believe; the text quotes nothing of it."""


class MisdirectedError(RefusedAnswerError):
    """Whoever answers says that it is another installation (RFC 9110, section 15.5.20)."""


@dataclass(slots=True)
class _Line:
    """What is remembered of one peer at one contact.

    The contact is part of it, since anybody can write a bundle that names an honest peer and a dead address.
    """

    circuit: Circuit
    endpoints: list[str]
    """Those of the contact, the one that worked last first."""
    trouble: Trouble = field(default_factory=Trouble)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, ready to be sent to any endpoint of the peer `to`."""

    path: str
    to: str
    sealed: Envelope
    pins: tuple[str, ...]
    about: dict[str, object]
    """Fields of a log line."""


class RemotePeer:
    """Asks installations in other clusters; implements `links.peer.Peer`.

    `voice` is ours; while its key is lost, nobody can be asked.  `clock` gives the time for messages, `monotonic`
    the seconds for pauses.  `called` is what the log calls those who are asked, before the name of their installation.
    """

    def __init__(
        self,
        voice: Voice,
        rules: NetworkRules,
        clock: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        lookup: Lookup | None = None,
        timeout: float = TIMEOUT,
        called: str = "Peer",
    ) -> None:
        self._voice = voice
        self._rules = rules
        self._clock = clock
        self._monotonic = monotonic
        self._lookup = lookup or SystemLookup()
        self._timeout = timeout
        self._called = called
        self._lines: Recent[_Line] = Recent(MAX_LINES)

    async def ask(self, contact: Contact, to: str, draft: Draft, answer: type[AnswerT]) -> AnswerT:
        """Send a request to the installation `to` and return its signed answer.

        It takes at most 10 s, and 10 s more if it has to wait for its turn.  Raises PeerUnavailable, and ValueError
        if the request itself breaks the rules of its type or is too long.
        """
        if self._voice.key is None:
            raise PeerUnavailable
        request = draft(
            sender=self._voice.instance,
            to=to,
            at=self._clock(),
            nonce=base64url(secrets.token_bytes(16)),
            successions=self._voice.successions,
        )
        sealed = sign(request, self._voice.key)
        line = self._line(to, contact)
        async with line.circuit.call():
            return await self._call(line, _Call(PATHS[request.type], to, sealed, contact.pins, _about(request)), answer)

    async def _call(self, line: _Line, call: _Call, answer: type[AnswerT]) -> AnswerT:
        """Try one endpoint after the other."""
        problems: list[str] = []
        mistakes: list[Mistake | None] = []
        now = asyncio.get_running_loop().time
        deadline = now() + self._timeout
        endpoints = tuple(line.endpoints)
        for tried, endpoint in enumerate(endpoints):
            try:
                async with asyncio.timeout((deadline - now()) / (len(endpoints) - tried)):
                    body = await self._post(endpoint, call)
                read = self._read(body, call, answer)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                problems.append(f"{endpoint}: {_describe(error)}")
                mistakes.append(_mistake(error))
            else:
                line.endpoints.sort(key=lambda other: other != endpoint)
                REQUESTS.labels(call.path, "answered").inc()
                self._tell_answer(line, call, endpoint)
                return read
        REQUESTS.labels(call.path, "unanswered").inc()
        self._tell_problem(line, call, "; ".join(problems) or "it names no endpoint")
        raise PeerUnavailable(mistakes[0] if mistakes and None not in mistakes else None)

    async def _post(self, endpoint: str, call: _Call) -> bytes:
        """Send the request to one endpoint and return the body of the answer.

        Raises aiohttp.ClientError, OSError (also TimeoutError) and ValueError.
        """
        target = parse_endpoint(endpoint)
        addresses = await checked_addresses(target, self._rules, self._lookup)
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(target, addresses),
            use_dns_cache=False,
            ssl=pinned_context(call.pins),
            force_close=True,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "pbx-operator", "Accept": "application/json", "Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.post(
                URL.build(scheme="https", host=target.host, port=target.port, path=call.path),
                data=call.sealed.model_dump_json(by_alias=True).encode(),
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            ) as response,
        ):
            if response.status == HTTPStatus.MISDIRECTED_REQUEST:
                raise MisdirectedError(answered(response.status))
            if response.status != HTTPStatus.OK:
                raise RefusedAnswerError(answered(response.status))
            if "Content-Encoding" in response.headers:
                raise RefusedAnswerError("its answer is encoded, although we asked for identity")
            return await read_body(response.content, MAX_BODY)

    def _read(self, body: bytes, call: _Call, answer: type[AnswerT]) -> AnswerT:
        """Return the answer if the peer signed it for this request. Raises ValueError."""
        # By the names of the protocol only: two names for one field could have two values.
        envelope = Envelope.model_validate_json(body, by_alias=True, by_name=False)
        message = open_envelope(envelope, answer.type)
        read = answer.model_validate(message, by_alias=True, by_name=False)
        if not speaks_for(envelope.by, call.to, read.successions):
            raise RefusedAnswerError("its answer is signed by somebody else")
        if (read.sender, read.to) != (call.to, self._voice.instance):
            raise RefusedAnswerError("its answer is between two others")
        if read.re != base64url(hashlib.sha256(payload_bytes(call.sealed)).digest()):
            raise RefusedAnswerError("its answer belongs to another request")
        return read

    def _line(self, to: str, contact: Contact) -> _Line:
        return self._lines.get(
            (to, contact), lambda: _Line(Circuit(self._monotonic, PeerUnavailable), list(contact.endpoints))
        )

    def _tell_problem(self, line: _Line, call: _Call, problem: str) -> None:
        if line.trouble.is_news(problem, self._monotonic()):
            _log.warning("%s %s cannot be reached: %s", self._called, call.to, problem, extra=call.about)

    def _tell_answer(self, line: _Line, call: _Call, endpoint: str) -> None:
        if line.trouble.end():
            _log.info("%s %s answers again: %s", self._called, call.to, endpoint, extra=call.about)


def _about(request: Request) -> dict[str, object]:
    """Return the fields of log lines about a request: a redemption is one of an Interlink, all else of many."""
    fields: dict[str, object] = {"reason": PEER_UNAVAILABLE.name}
    if isinstance(request, RedeemRequest):
        link = request.interlink
        fields["object"] = Target(Interlink.resource, ObjectKey(link.namespace, link.name), link.uid)
    return fields


def _mistake(error: Exception) -> Mistake | None:
    """Return what does not fit together, if an endpoint failed in such a way."""
    if isinstance(error, MisdirectedError):
        return "Instance"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, NotPinnedError):
        return "Pin"
    return None


def _describe(error: Exception) -> str:
    """Say what went wrong in plain words of ours: the text of a strange error may quote what the peer sent."""
    if isinstance(error, RefusedAnswerError | EnvelopeError | ForbiddenAddressError):
        return str(error)
    if isinstance(error, EndpointError):
        return error.problem
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        return f"its answer has a wrong {'.'.join(map(str, first['loc'])) or 'form'}"
    return failure(error).text
