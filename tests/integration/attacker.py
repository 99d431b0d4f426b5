"""An installation that is no more than a key and a client of HTTP: it says whatever a test wants, to whomever.

Each has an address of its own on loopback, so that what the log says about it can be told from all else.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from integration.harness import Stage
from pbx_operator.api.meta import format_time
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import InterlinkIdentity, NamespacedName
from pbx_operator.domain.protocol.envelope import Envelope, open_envelope, payload_bytes, seal
from pbx_operator.domain.protocol.keys import Bundle, SigningKey, base64url, instance_id, key_id
from pbx_operator.domain.protocol.messages import (
    Answer,
    Cancel,
    CancelAnswer,
    CancelRequest,
    RedeemAnswer,
    RedeemRequest,
    SyncAnswer,
    SyncRequest,
)
from pbx_operator.domain.records.redemption import Redemption, cancel_bytes, sign_redemption
from pbx_operator.exchange.client import PATHS

ANSWERS: tuple[type[Answer], ...] = (RedeemAnswer, CancelAnswer, SyncAnswer)
KINDS = dict(zip((RedeemRequest.type, CancelRequest.type, SyncRequest.type), ANSWERS, strict=True))
JSON = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    body: bytes

    @property
    def error(self) -> str:
        """The text of a refusal."""
        text: str = json.loads(self.body)["error"]
        return text

    def opened(self, request: Envelope, kind: str) -> JSON:
        """Return what was signed, which must belong to this request."""
        assert self.status == 200, self.body
        message = open_envelope(Envelope.model_validate_json(self.body), KINDS[kind].type)
        assert message["re"] == base64url(hashlib.sha256(payload_bytes(request)).digest())
        return message


class Installation:
    """Somebody with an identity, an address of loopback, and an Interlink called `uid`."""

    def __init__(self, name: str, address: str) -> None:
        self.key = SigningKey(hashlib.sha256(name.encode()).digest())
        self.instance = instance_id(self.key.public)
        self.address = address
        self.account = NamespacedName(namespace=name, name="a")
        self.interlink = InterlinkIdentity(namespace=name, name="x", uid=f"uid-of-{name}")

    # --- messages -----------------------------------------------------------------------------------------------

    def seal(self, kind: str, to: str, content: JSON, **changes: Any) -> Envelope:
        """Sign a request; `changes` are to its head."""
        head = {"from": self.instance, "to": to, "at": format_time(datetime.now(UTC).replace(microsecond=0))}
        nonce = base64url(secrets.token_bytes(16))
        return seal(kind, {**head, "nonce": nonce, **changes, **content}, self.key)

    def signed(self, bundle: Bundle) -> Redemption:
        """Return the redemption of a key by our Interlink."""
        return sign_redemption(
            bundle.key, key_id(bundle.key.public), self.key, issuer_of(bundle), self.account, self.interlink
        )

    def link_id(self, bundle: Bundle) -> str:
        """Return the name of the link that our redemption of the key makes."""
        return self.signed(bundle).link_id

    def redemption(self, bundle: Bundle, **changes: Any) -> Envelope:
        """Ask for a link."""
        return self.seal("redeem", issuer_of(bundle), content_of(self.signed(bundle)), **changes)

    def statement(self, bundle: Bundle, **changes: Any) -> Envelope:
        """Say, with the key at hand, that our link may never be made."""
        issuer, key, link = issuer_of(bundle), key_id(bundle.key.public), changes.pop("linkID", self.link_id(bundle))
        cancel = Cancel(
            issuer=issuer,
            key_id=key,
            link_id=link,
            account=self.account,
            interlink=self.interlink,
            key_signature=bundle.key.sign(cancel_bytes(issuer, key, link)),
        )
        return seal(Cancel.type, cancel.to_json() | changes, self.key)

    def cancel(self, to: str, statement: Envelope, **changes: Any) -> Envelope:
        """Pass on a statement that a link may never be made."""
        return self.seal("cancel-request", to, {"cancel": statement.to_json()}, **changes)

    def sync(self, to: str, *reports: JSON, contact: JSON | None = None, **changes: Any) -> Envelope:
        """Say this about links."""
        return self.seal("sync", to, {"links": list(reports), **(contact or {})}, **changes)

    # --- sending ------------------------------------------------------------------------------------------------

    async def post(self, port: int, kind: str, envelope: Envelope) -> Reply:
        """Send an envelope, whoever made it."""
        return await self.send(port, PATHS[kind], json.dumps(envelope.to_json()).encode())

    async def send(self, port: int, path: str, body: bytes, **headers: str) -> Reply:
        """Send anything, by a connection of its own; keywords are headers, with `_` for `-`."""
        given = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=False, local_addr=(self.address, 0), force_close=True)
            ) as session,
            session.post(f"https://127.0.0.1:{port}{path}", data=body, headers=given) as answer,
        ):
            return Reply(answer.status, await answer.read())


async def records_of(*stages: Stage) -> dict[tuple[str, str], JSON]:
    """Return all records of these clusters, as their API servers have them."""
    found = {}
    for stage in stages:
        for raw in (await stage.api.cluster.list(LinkRecord.resource)).items:
            found[stage.control_plane.name, raw["metadata"]["name"]] = raw
    return found


def issuer_of(bundle: Bundle) -> str:
    """Return the installation that issued a key."""
    assert bundle.instance is not None
    return bundle.instance


def content_of(redemption: Redemption) -> JSON:
    """Return a redemption as a request has it."""
    return {
        "keyID": redemption.key_id,
        "linkID": redemption.link_id,
        "account": redemption.account.to_json(),
        "interlink": redemption.interlink.to_json(),
        "keySignature": redemption.key_signature,
        "instanceSignature": redemption.instance_signature,
    }


def report(key: str, link: str, state: str = "Live", **facts: Any) -> JSON:
    """Return what one side says of a link."""
    return {"keyID": key, "linkID": link, "state": state, **facts}


def ago(**duration: float) -> str:
    """Return a time in the past, as messages have it."""
    return format_time(datetime.now(UTC).replace(microsecond=0) - timedelta(**duration))
