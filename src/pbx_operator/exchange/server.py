"""The HTTP side of the exchange: opens envelopes, asks a desk, signs what it answers.

A signed answer is always 200; whatever else there is to say is unsigned, and no peer may act on it.  The order of
the checks is by cost: address, size, form, signature, audience, sender.  Nothing is kept between requests but
counters, so any number of replicas may answer.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from prometheus_client import Counter

from pbx_operator.cluster import ApiError
from pbx_operator.domain.protocol.envelope import MAX_PAYLOAD, MAX_SEALED
from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.domain.protocol.messages import (
    Answer,
    CancelAnswer,
    CancelRequest,
    LinkReport,
    RedeemAnswer,
    RedeemRequest,
    SyncAnswer,
    SyncRequest,
    sign,
)
from pbx_operator.domain.protocol.succession import Successions, speaks_for
from pbx_operator.domain.servers.equipment_messages import (
    AssociateAnswer,
    AssociateRequest,
    ReportAnswer,
    ReportRequest,
)
from pbx_operator.exchange.limits import Addresses, Guesses, Strangers, source_of
from pbx_operator.exchange.openapi import document
from pbx_operator.exchange.opening import Asked, R, open_request, parse_envelope, read_body
from pbx_operator.exchange.refusals import Refusal, RefusalLog
from pbx_operator.links.desk import Desk
from pbx_operator.providers.association import AssociateReply, ReportReply

SMALL_BODY = 16 * 1024
"""Bytes of the longest request that is not a sync; a real one has about three thousand, and seven thousand more
after the last possible rotation."""
SYNC_BODY = MAX_SEALED
"""Bytes of the longest sync."""
FRESH = timedelta(minutes=5)
"""How far a sender's clock may be off for its sync to count as a sign of life."""
RETRY_SECONDS = 5.0
"""When to come back if the API server did not say."""
_HEADING = 10 * 1024
"""Bytes of an answer to a sync that are not links, at most."""

REQUESTS = Counter(
    "pbx_operator_exchange_requests_total",
    "Number of requests that the exchange answered, by path (`other` if it has no such) and status code.",
    ("path", "code"),
)

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


class Signer(Protocol):
    """Who answers."""

    @property
    def instance(self) -> str:
        """The installation."""

    @property
    def key(self) -> SigningKey:
        """Its identity."""

    @property
    def successions(self) -> Successions:
        """What leads from its first identity to this one."""


class Boxes(Protocol):
    """Answers boxes; each call may raise ApiError, and the box asks again."""

    async def associate(self, request: AssociateRequest, public_key: str) -> AssociateReply:
        """Answer a box that presents an activation code."""

    async def report(self, request: ReportRequest, public_key: str) -> ReportReply:
        """Take a report of a box."""


def make_app(
    identity: Signer,
    desk: Desk,
    equipment: Boxes,
    clock: Clock,
    monotonic: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Return the exchange as an aiohttp application."""
    exchange = _Exchange(identity, desk, equipment, clock, monotonic)
    app = web.Application(middlewares=[_counted, exchange.guard])
    app.on_response_prepare.append(_anonymous)
    for path, handler in (
        ("/v1/redeem", exchange.redeem),
        ("/v1/cancel", exchange.cancel),
        ("/v1/sync", exchange.sync),
        ("/v1/associate", exchange.associate),
        ("/v1/report", exchange.report),
    ):
        app.router.add_route("POST", path, handler, expect_handler=_continue)
    app.router.add_get("/openapi.json", exchange.describe)
    app.router.add_get("/healthz", exchange.health)
    return app


@web.middleware
async def _counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the answers; of paths that strangers make up there is no end, so these are one."""
    response = await handler(request)
    resource = request.match_info.route.resource
    REQUESTS.labels(resource.canonical if resource is not None else "other", str(response.status)).inc()
    return response


class _Exchange:
    def __init__(
        self, identity: Signer, desk: Desk, equipment: Boxes, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._identity = identity
        self._desk = desk
        self._equipment = equipment
        self._clock = clock
        self._monotonic = monotonic
        self._addresses = Addresses()
        self._strangers = Strangers(monotonic())
        self._guesses = Guesses(monotonic())
        self._refusals = RefusalLog(monotonic)
        self._document = document()

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn everything that goes wrong into an answer that gives nothing away."""
        source = source_of(request.remote)
        try:
            if request.path != "/healthz":
                self._admit(source)
            return await handler(request)
        except Refusal as refusal:
            self._refusals.note(source, refusal.status, refusal.why)
            return refusal.response()
        except web.HTTPException as refused:
            status = HTTPStatus(refused.status)
            self._refusals.note(source, status, status.phrase)
            response = Refusal(status, status.phrase).response()
            if hdrs.ALLOW in refused.headers:
                response.headers[hdrs.ALLOW] = refused.headers[hdrs.ALLOW]
            return response
        except ApiError as error:
            self._refusals.note(source, HTTPStatus.SERVICE_UNAVAILABLE, error.message)
            return _unavailable("the API server does not answer", error.retry_after).response()
        except Exception as error:
            # Not the text of the error: it may quote the request.
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("a request failed with %s:\n%s", type(error).__name__, where)
            return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of this installation").response()

    async def redeem(self, request: web.Request) -> web.Response:
        """Answer a redemption."""
        asked = await self._asked(request, RedeemRequest, SMALL_BODY)
        reply = await self._desk.redeem(asked.request, asked.public_key)
        self._judged(asked, known=reply.result != "Unknown", strange=reply.result == "Unknown")
        answer = RedeemAnswer(
            **self._heading(asked),
            result=reply.result,
            reason=reply.reason,
            retry_after_seconds=reply.retry_after_seconds,
            time=reply.time,
            by=reply.by,
            receipt=reply.receipt,
        )
        return self._signed(answer)

    async def cancel(self, request: web.Request) -> web.Response:
        """Answer a cancellation."""
        asked = await self._asked(request, CancelRequest, SMALL_BODY)
        result = await self._desk.cancel(asked.request)
        self._judged(asked, known=result != "Unknown", strange=result == "Unknown")
        return self._signed(CancelAnswer(**self._heading(asked), result=result))

    async def sync(self, request: web.Request) -> web.Response:
        """Answer a sync."""
        asked = await self._asked(request, SyncRequest, SYNC_BODY)
        fresh = abs(self._clock() - asked.request.at) <= FRESH
        reply = await self._desk.sync(asked.request, fresh=fresh)
        unknown = {link.link_id for link in reply.links if link.state == "Unknown"}
        over = {link.link_id for link in asked.request.links if link.state == "Ended"}  # told again and again
        self._judged(asked, known=len(unknown) < len(reply.links), strange=not unknown <= over)
        links = fitting(reply.links)
        if len(links) < len(reply.links):
            _log.warning("%d links do not fit into an answer to a sync", len(reply.links) - len(links))
        answer = SyncAnswer(**self._heading(asked), links=links, endpoints=reply.endpoints, pins=reply.pins)
        return self._signed(answer)

    async def associate(self, request: web.Request) -> web.Response:
        """Answer a box that presents an activation code."""
        asked = await self._asked(request, AssociateRequest, SMALL_BODY)
        source = source_of(request.remote)
        wait = self._guesses.take(source, self._monotonic())
        if wait > 0:
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong activation codes", wait)
        wrong = False
        try:
            reply = await self._equipment.associate(asked.request, asked.public_key)
            wrong = reply.result == "Unknown"
        finally:
            if not wrong:
                self._guesses.was_not_wrong(source)
        self._judged(asked, known=not wrong, strange=False)
        if wrong:
            self._refusals.note_box(source, "presents an activation code that opens nothing")
        return self._signed(AssociateAnswer(**self._heading(asked), result=reply.result, time=reply.time))

    async def report(self, request: web.Request) -> web.Response:
        """Answer a report of a box."""
        asked = await self._asked(request, ReportRequest, SMALL_BODY)
        reply = await self._equipment.report(asked.request, asked.public_key)
        self._judged(asked, known=reply.result != "Unknown", strange=False)
        if reply.result == "Unknown":
            self._refusals.note_box(source_of(request.remote), "reports as equipment that it is not, or not any more")
        return self._signed(ReportAnswer(**self._heading(asked), result=reply.result, known_rev=reply.known_rev))

    async def describe(self, _: web.Request) -> web.Response:
        """Return the OpenAPI document."""
        return web.json_response(self._document)

    async def health(self, _: web.Request) -> web.Response:
        """Tell that the process works; it says nothing of the API server."""
        return web.json_response({"status": "ok"})

    def _admit(self, source: str) -> None:
        """Refuse what must not be looked at, before a byte of the body is read."""
        wait = self._addresses.take(source, self._monotonic())
        if wait > 0:
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many requests from this address", wait)
        if not self._desk.confirmed():
            raise _unavailable("this installation waits for an administrator", 60)

    async def _asked(self, request: web.Request, model: type[R], limit: int) -> Asked[R]:
        """Read a request and check it. Raises Refusal."""
        envelope = parse_envelope(await read_body(request, limit))
        asked = open_request(envelope, model)
        if asked.request.to != self._identity.instance:
            raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, "the message is for another installation")
        if not speaks_for(asked.public_key, asked.request.sender, asked.request.successions):
            raise Refusal(HTTPStatus.FORBIDDEN, "the signer is not the sender of the message")
        wait = self._strangers.take(asked.request.sender, self._monotonic())
        if wait > 0:
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many requests about unknown keys and links", wait)
        return asked

    def _judged(self, asked: Asked[R], *, known: bool, strange: bool) -> None:
        """Take note of what the records know of what was asked: something of it, and something of it not."""
        if known:
            self._strangers.recognised(asked.request.sender)
        if strange:
            self._refusals.note_unknown(asked.request.sender)

    def _heading(self, asked: Asked[R]) -> dict[str, Any]:
        """Return what binds an answer to its request."""
        me = self._identity
        return {"sender": me.instance, "to": asked.request.sender, "re": asked.digest, "successions": me.successions}

    def _signed(self, answer: Answer) -> web.Response:
        return web.json_response(sign(answer, self._identity.key).to_json(), headers={hdrs.CACHE_CONTROL: "no-store"})


def fitting(links: tuple[LinkReport, ...]) -> tuple[LinkReport, ...]:
    """Return the links that one answer holds, in their order; the others are told about another time."""
    room = MAX_PAYLOAD - _HEADING
    fit = []
    for link in links:
        size = len(json.dumps(link.to_json(), separators=(",", ":"))) + 1
        if size <= room:
            room -= size
            fit.append(link)
    return tuple(fit)


def _unavailable(why: str, retry_after: float | None) -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, why, RETRY_SECONDS if retry_after is None else retry_after)


async def _continue(request: web.Request) -> None:
    """Ask for the body if the sender waits for that; any other expectation is not ours to quote or to meet."""
    if request.headers[hdrs.EXPECT].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _anonymous(_: web.Request, response: web.StreamResponse) -> None:
    """Do not tell strangers which software, in which version, they speak to."""
    response.headers.popall(hdrs.SERVER, None)
