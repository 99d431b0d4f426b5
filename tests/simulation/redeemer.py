"""A redeemer in another cluster, word by word: what it sends to the desk of an issuer."""

from __future__ import annotations

from typing import Any, Literal

from builders import NOW
from pbx_operator.api.v1alpha1.linkrecord import Contact, InterlinkIdentity, NamespacedName, SharedNumber
from pbx_operator.domain.protocol.envelope import Envelope, seal
from pbx_operator.domain.protocol.keys import SigningKey, base64url, key_id
from pbx_operator.domain.protocol.messages import Cancel, CancelRequest, LinkReport, RedeemRequest, SyncRequest
from pbx_operator.domain.records.redemption import Redemption, cancel_bytes, sign_redemption
from pbx_operator.links.desk import RedeemReply, SyncReply
from simulation.site import Site, signing_key

KEY = signing_key("the key")
KEY_ID = key_id(KEY.public)
ACCOUNT = NamespacedName(namespace="far", name="b")
NUMBERS = (SharedNumber(number="300"),)
HEAD: dict[str, Any] = {"at": NOW, "nonce": base64url(b"\0" * 16)}


class Redeemer:
    """An Interlink of another installation, and what it sends."""

    def __init__(self, desk: Site, name: str, uid: str = "far-uid") -> None:
        self.desk = desk
        self.site = Site(name)
        self.uid = uid
        self.interlink = InterlinkIdentity(namespace="far", name="to-a", uid=uid)

    @property
    def key(self) -> SigningKey:
        assert self.site.identity.key is not None
        return self.site.identity.key

    @property
    def head(self) -> dict[str, Any]:
        me = self.site.identity
        return {**HEAD, "sender": me.instance, "to": self.desk.instance, "successions": me.successions}

    def signed(self, key: SigningKey = KEY) -> Redemption:
        successions = self.site.identity.successions
        return sign_redemption(key, KEY_ID, self.key, self.desk.instance, ACCOUNT, self.interlink, successions)

    @property
    def link_id(self) -> str:
        return self.signed().link_id

    async def redeem(self, key: SigningKey = KEY, **changes: Any) -> RedeemReply:
        signed = self.signed(key)
        request = RedeemRequest(
            **self.head,
            key_id=signed.key_id,
            link_id=signed.link_id,
            account=signed.account,
            interlink=signed.interlink,
            key_signature=signed.key_signature,
            instance_signature=signed.instance_signature,
        )
        return await self.desk.desk.redeem(request.model_copy(update=changes), self.key.public)

    def cancel_of(self, key: SigningKey = KEY, signer: SigningKey | None = None, **changes: Any) -> Envelope:
        signature = key.sign(cancel_bytes(self.desk.instance, KEY_ID, self.link_id))
        cancel = Cancel(
            issuer=self.desk.instance,
            key_id=KEY_ID,
            link_id=self.link_id,
            account=ACCOUNT,
            interlink=self.interlink,
            key_signature=signature,
        )
        return seal("cancel", {**cancel.to_json(), **changes}, signer or self.key)

    async def cancel(self, cancel: Envelope | None = None) -> Literal["Done", "Unknown"]:
        request = CancelRequest(**self.head, cancel=cancel or self.cancel_of())
        return await self.desk.desk.cancel(request)

    def report(self, **facts: Any) -> LinkReport:
        return LinkReport(**{"key_id": KEY_ID, "link_id": self.link_id, "state": "Live", **facts})

    async def sync(self, *reports: LinkReport, contact: Contact | None = None, fresh: bool = True) -> SyncReply:
        reached = contact or Contact()
        request = SyncRequest(**self.head, links=reports, endpoints=reached.endpoints, pins=reached.pins)
        return await self.desk.desk.sync(request, fresh=fresh)

    async def says(self, **facts: Any) -> LinkReport:
        """Say this about the link and return the answer."""
        (answer,) = (await self.sync(self.report(**facts))).links
        return answer
