"""An installation that has issued keys and answers as a test wants: over real TLS, with a pin that bundles name."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from integration.attacker import JSON, KINDS
from integration.keys import new_key
from integration.process import DEADLINE
from pbx_operator.api.meta import format_time
from pbx_operator.api.v1alpha1.linkrecord import Contact, InterlinkIdentity, NamespacedName
from pbx_operator.domain.protocol.envelope import Envelope, open_envelope, payload_bytes, seal
from pbx_operator.domain.protocol.keys import Bundle, IssuerAddress, SigningKey, base64url, instance_id, parse_key
from pbx_operator.domain.protocol.messages import Receipt
from pbx_operator.exchange.certificates import KeyPair, make_pair
from pbx_operator.exchange.client import PATHS

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Call:
    """One request that came."""

    kind: str
    envelope: Envelope

    @property
    def message(self) -> JSON:
        return open_envelope(self.envelope, self.kind)

    @property
    def digest(self) -> str:
        return base64url(hashlib.sha256(payload_bytes(self.envelope)).digest())


class FalseIssuer:
    """Listens while `listening` is entered; `calls` are the requests that came."""

    def __init__(self, name: str, behaviour: Callable[[FalseIssuer, Call], web.StreamResponse]) -> None:
        self.name = name
        self.key = SigningKey(hashlib.sha256(name.encode()).digest())
        self.instance = instance_id(self.key.public)
        self.behaviour = behaviour
        self.calls: list[Call] = []
        self.port = 0
        self.contact = Contact()
        self._news = asyncio.Condition()

    def bundle(self, contact: Contact | None = None) -> Bundle:
        """Return a new key of ours, as a person carries it."""
        place = NamespacedName(namespace=self.name, name="a")
        issuer = IssuerAddress(
            public_key=self.key.public,
            account=place,
            interlink=InterlinkIdentity(namespace=self.name, name="x", uid=f"uid-of-{self.name}"),
            contact=contact or self.contact,
        )
        return Bundle(parse_key(new_key()).key, self.instance, "a", issuer=issuer)

    def answer(self, call: Call, key: SigningKey | None = None, kind: str = "", **content: Any) -> bytes:
        """Return a signed answer to a request, or to one of another kind; `content` may change its head, too."""
        head = {"from": self.instance, "to": call.message["from"], "re": call.digest}
        envelope = seal(KINDS[kind or call.kind].type, {**head, **content}, key or self.key)
        return envelope.model_dump_json().encode()

    def receipt(self, call: Call, **changes: Any) -> JSON:
        """Return the proof that this redemption succeeded, or another proof."""
        asked = call.message
        facts = {
            "issuer": self.instance,
            "keyID": asked["keyID"],
            "linkID": asked["linkID"],
            "redeemer": asked["from"],
            "redeemerKey": call.envelope.by,
            "account": asked["account"],
            "interlink": asked["interlink"],
            "time": format_time(datetime.now(UTC).replace(microsecond=0)),
        }
        return seal(Receipt.type, facts | changes, self.key).to_json()

    def linked(self, call: Call, **changes: Any) -> bytes:
        """Return the answer that the key is redeemed."""
        return self.answer(call, result="Linked", receipt=self.receipt(call), **changes)

    async def asked(self, times: int) -> None:
        """Wait until so many more requests have come."""
        wanted = len(self.calls) + times
        async with asyncio.timeout(DEADLINE), self._news:
            await self._news.wait_for(lambda: len(self.calls) >= wanted)

    @asynccontextmanager
    async def listening(self, directory: Path, host: str = HOST, pair: KeyPair | None = None) -> AsyncIterator[None]:
        """Answer until the test is over, with a certificate of our own or a stolen one."""
        pair = pair or make_pair([HOST], datetime.now(UTC))
        pem = directory / f"{self.name}.pem"
        pem.write_bytes(pair.certificate + pair.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._attend)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, 0, ssl_context=context)
            await site.start()
            self.port = runner.addresses[0][1]
            self.contact = Contact(endpoints=(f"https://{host}:{self.port}",), pins=(pair.pin,))
            yield
        finally:
            await runner.cleanup()

    async def _attend(self, request: web.Request) -> web.StreamResponse:
        kind = {path: kind for kind, path in PATHS.items()}[request.path]
        call = Call(kind, Envelope.model_validate_json(await request.read()))
        async with self._news:
            self.calls.append(call)
            self._news.notify_all()
        return self.behaviour(self, call)


def json_response(body: bytes, **headers: str) -> web.Response:
    """Return an answer with these bytes; keywords are headers, with `_` for `-`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(body=body, content_type="application/json", headers=given)
