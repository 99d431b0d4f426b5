"""An exchange on loopback, the desk behind it, and installations that ask."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

import aiohttp

from builders import NOW, digest
from pbx_operator.api.meta import format_time
from pbx_operator.domain.protocol.envelope import Envelope, open_envelope, payload_bytes, seal
from pbx_operator.domain.protocol.keys import SigningKey, base64url, instance_id
from pbx_operator.domain.protocol.messages import CancelRequest, LinkReport, RedeemRequest, SyncRequest
from pbx_operator.domain.protocol.succession import Successions
from pbx_operator.domain.servers.equipment_messages import AssociateRequest, ReportRequest
from pbx_operator.exchange.certificates import KeyPair, make_pair
from pbx_operator.exchange.server import make_app
from pbx_operator.exchange.serving import serve
from pbx_operator.exchange.tls import ServedCertificate
from pbx_operator.links.desk import RedeemReply, SyncReply
from pbx_operator.providers.association import AssociateReply, ReportReply

HOST = "127.0.0.1"
CLUE = "tell-tale"
"""Stands in every request, and may stand in no refusal and no log line."""
JSON = dict[str, Any]


class Installation:
    """Somebody with an identity; the same name has the same one."""

    def __init__(self, name: str) -> None:
        self.key = SigningKey(hashlib.sha256(name.encode()).digest())
        self.instance = instance_id(self.key.public)
        self.successions: Successions = ()


US, PEER, OTHER = Installation("us"), Installation("peer"), Installation("other")


@dataclass
class Hands:
    """The clocks of the exchange."""

    wall: datetime = NOW
    seconds: float = 0.0
    step: float = 0.0
    """How far each look moves the monotonic clock."""

    def monotonic(self) -> float:
        self.seconds += self.step
        return self.seconds


@dataclass
class FakeDesk:
    """Answers what it was told to, and remembers what it was asked."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    redeemed: RedeemReply = field(default_factory=lambda: RedeemReply("Busy", "Closing", 60))
    cancelled: Literal["Done", "Unknown"] = "Done"
    synced: SyncReply = field(default_factory=lambda: SyncReply(()))
    associated: AssociateReply = field(default_factory=lambda: AssociateReply("Associated", NOW))
    reported: ReportReply = field(default_factory=lambda: ReportReply("Heard", 7))
    is_confirmed: bool = True
    failure: Exception | None = None

    def confirmed(self) -> bool:
        return self.is_confirmed

    async def redeem(self, request: RedeemRequest, public_key: str) -> RedeemReply:
        self._note(request, public_key)
        return self.redeemed

    async def cancel(self, request: CancelRequest) -> Literal["Done", "Unknown"]:
        self._note(request)
        return self.cancelled

    async def sync(self, request: SyncRequest, *, fresh: bool) -> SyncReply:
        self._note(request, fresh)
        return self.synced

    async def associate(self, request: AssociateRequest, public_key: str) -> AssociateReply:
        self._note(request, public_key)
        return self.associated

    async def report(self, request: ReportRequest, public_key: str) -> ReportReply:
        self._note(request, public_key)
        return self.reported

    def _note(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure


class FixedSource:
    """Gives the pair that was put into it last."""

    def __init__(self, pair: KeyPair) -> None:
        self.pair = pair

    async def current(self) -> KeyPair:
        return self.pair


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The text of an answer that must be an unsigned refusal in words of ours."""
        assert set(self.json) == {"error"}
        assert self.status != HTTPStatus.OK
        assert CLUE.encode() not in self.body
        assert "Server" not in self.headers
        text = self.json["error"]
        assert isinstance(text, str)
        return text

    def opened(self, request: Envelope, kind: str, to: Installation = PEER) -> JSON:
        """Return the content of an answer of ours to this request."""
        assert self.status == HTTPStatus.OK, self.body
        envelope = Envelope.model_validate_json(self.body)
        assert envelope.by == US.key.public
        message = open_envelope(envelope, kind)
        assert message.pop("from") == US.instance
        assert message.pop("to") == to.instance
        assert message.pop("re") == base64url(hashlib.sha256(payload_bytes(request)).digest())
        return message


class Exchange:
    """A running exchange and a client that trusts its certificate."""

    def __init__(
        self, session: aiohttp.ClientSession, context: ssl.SSLContext, port: int, desk: FakeDesk, hands: Hands
    ) -> None:
        self.session = session
        self.context = context
        self.port = port
        self.desk = desk
        self.hands = hands

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection for bytes that no client of HTTP would send."""
        return await asyncio.open_connection(HOST, self.port, ssl=self.context)

    async def post(self, path: str, envelope: Envelope) -> Answer:
        return await self.send("POST", path, json.dumps(envelope.to_json()))

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send anything; keywords are headers, with `_` for `-`."""
        given = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        async with self.session.request(
            method, f"{self.url}{path}", data=body, headers=given, skip_auto_headers=("Content-Type",)
        ) as response:
            return Answer(response.status, dict(response.headers), await response.read())


def trusting(pair: KeyPair) -> ssl.SSLContext:
    """Return the context of a client that trusts this certificate and checks the name in it."""
    return ssl.create_default_context(cadata=pair.certificate.decode())


@asynccontextmanager
async def running(desk: FakeDesk, hands: Hands) -> AsyncIterator[Exchange]:
    """Serve an exchange on loopback, over TLS."""
    pair = make_pair([HOST], datetime.now(NOW.tzinfo))
    certificate = ServedCertificate(FixedSource(pair))
    await certificate.refresh()
    app = make_app(US, desk, desk, lambda: hands.wall, hands.monotonic)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve(app, certificate.context, HOST, 0))
        context = trusting(pair)
        connector = aiohttp.TCPConnector(ssl=context)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30))
        )
        yield Exchange(session, context, port, desk, hands)


def heading(**changes: Any) -> JSON:
    """Return what every request of the peer to us starts with."""
    return {
        "from": PEER.instance,
        "to": US.instance,
        "at": format_time(NOW),
        "nonce": base64url(b"\0" * 16),
        "comment": CLUE,
    } | changes


def redeem_message(**changes: Any) -> JSON:
    return (
        heading()
        | {
            "keyID": digest("key", 16),
            "linkID": digest("link", 26),
            "account": {"namespace": CLUE, "name": "b"},
            "interlink": {"namespace": CLUE, "name": "to-a", "uid": "1"},
            "keySignature": base64url(b"\0" * 64),
            "instanceSignature": base64url(b"\0" * 64),
        }
        | changes
    )


def cancel_message(**changes: Any) -> JSON:
    return heading() | {"cancel": seal("cancel", {"comment": CLUE}, PEER.key).to_json()} | changes


def sync_message(**changes: Any) -> JSON:
    return heading() | {"links": [report("1").to_json()]} | changes


def associate_message(**changes: Any) -> JSON:
    return heading() | {"equipmentID": CLUE, "proof": base64url(b"\0" * 64)} | changes


def report_message(**changes: Any) -> JSON:
    return heading() | {"equipmentID": CLUE, "rev": 7, "channels": [{"name": "sip", "state": "Up"}]} | changes


MESSAGES = {
    "redeem": redeem_message,
    "cancel-request": cancel_message,
    "sync": sync_message,
    "associate": associate_message,
    "report": report_message,
}
PATHS = {
    "redeem": "/v1/redeem",
    "cancel-request": "/v1/cancel",
    "sync": "/v1/sync",
    "associate": "/v1/associate",
    "report": "/v1/report",
}


def report(name: str, state: Literal["Live", "Unknown"] = "Live", **facts: Any) -> LinkReport:
    return LinkReport(key_id=digest(name, 16), link_id=digest(name, 26), state=state, **facts)


def later(**duration: float) -> str:
    return format_time(NOW + timedelta(**duration))
