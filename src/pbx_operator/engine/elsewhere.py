"""Redeeming keys of other installations: our own record first, then the question, then what the answer changes.

The record is there before the first request leaves, and names the link by what both sides can compute.  So whatever
dies in between, the same request is asked again, and its answer is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, get_args

from pydantic import ValidationError

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    EndReason,
    InterlinkIdentity,
    Issuer,
    LinkRecordSpec,
    NamespacedName,
    Proof,
    record_manifest,
    replica_name,
)
from pbx_operator.cluster import AlreadyExists, Cluster
from pbx_operator.domain.protocol.envelope import proof_of
from pbx_operator.domain.protocol.keys import Bundle, SigningKey, key_id
from pbx_operator.domain.protocol.messages import Cancel, RedeemAnswer, RedeemRequest, read_receipt, sign
from pbx_operator.domain.protocol.succession import extends, position
from pbx_operator.domain.records.facts import peer_contact
from pbx_operator.domain.records.machine import Confirm, HearEnd
from pbx_operator.domain.records.redemption import (
    Busy,
    BusyReason,
    Gone,
    Linked,
    Redemption,
    Refused,
    Result,
    Unknown,
    Unproven,
    Unreachable,
    Used,
    cancel_bytes,
    sign_redemption,
)
from pbx_operator.engine.identity import Identity
from pbx_operator.engine.intake import Intake
from pbx_operator.links.authority import Authority
from pbx_operator.links.peer import Peer, PeerUnavailable


@dataclass(frozen=True, slots=True)
class Question:
    """A redemption that is recorded and not answered yet."""

    request: Redemption
    spec: LinkRecordSpec
    """Our record of it."""
    contact: Contact

    @property
    def issuer(self) -> str:
        """The installation that is asked."""
        return self.spec.issuer.instance


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Redeems at other installations."""

    cluster: Cluster
    authority: Authority
    identity: Identity
    intake: Intake
    clock: Callable[[], datetime]
    peer: Peer

    async def prepare(self, account: NamespacedName, interlink: InterlinkIdentity, bundle: Bundle) -> Question | Result:
        """Record that the key is going to be presented, unless its answer is known already. Raises ApiError."""
        contact = bundle.contact or (bundle.issuer.contact if bundle.issuer is not None else None)
        identity = self.identity.key
        if contact is None or bundle.instance is None or identity is None:
            return Unknown()
        if not self.identity.confirmed:
            return Unreachable()
        request = sign_redemption(
            bundle.key,
            key_id(bundle.key.public),
            identity,
            bundle.instance,
            account,
            interlink,
            self.identity.successions,
        )
        issuer = _issuer(bundle, bundle.instance)
        cancel = _presigned_cancel(request, bundle.key, bundle.instance, identity)
        spec = await self._requested(request, bundle.key, issuer, contact, cancel)
        if spec.state == "Ended":
            return Gone(spec.end.reason if spec.end is not None else "Cancelled")
        if spec.state == "Established" and spec.redeemer is not None:
            return Linked(spec.redeemer)
        return Question(request, spec, contact)

    async def ask(self, question: Question) -> Result:
        """Present the key to its issuer and record what it answers. Raises ApiError."""
        if question.request.public_key != self.identity.public_key:
            return Unreachable()  # our identity was rotated since it was signed
        try:
            answer = await self.peer.ask(question.contact, question.issuer, _draft(question.request), RedeemAnswer)
        except PeerUnavailable:
            return Unreachable()
        if not extends(answer.successions, question.issuer, question.spec.issuer.public_key):
            return Unproven("does not answer by the identity that the key's bundle names")
        return await self._conclude(question.request, question.spec, answer)

    async def _requested(
        self, request: Redemption, key: SigningKey, issuer: Issuer, contact: Contact, cancel: Proof
    ) -> LinkRecordSpec:
        """Record the request, or find the record of the same request."""
        name = ObjectKey("", replica_name(request.link_id))
        now = self.clock().replace(microsecond=0)
        spec = LinkRecordSpec(
            role="Replica",
            state="Requested",
            instance=self.identity.instance,
            key_id=request.key_id,
            key_public=key.public,
            revision=1,
            issued_time=now,
            issuer=issuer,
            redeemer=request.redeemer(now),
            contact=contact,
            cancel=cancel,
        )
        try:
            raw = await self.cluster.create(LinkRecord.resource, record_manifest(name.name, spec))
        except AlreadyExists:
            raw = await self.cluster.get(LinkRecord.resource, name)
        self.intake.saw(LinkRecord.resource, raw)
        record = LinkRecord.model_validate(raw)
        if contact != peer_contact(record):
            await self.authority.reach(name.name, contact)
        return record.spec

    async def _conclude(self, request: Redemption, spec: LinkRecordSpec, answer: RedeemAnswer) -> Result:
        name = replica_name(request.link_id)
        result = _result(answer, spec)
        match result:
            case Linked():
                receipt = _receipt(answer, spec)
                if receipt is None:
                    return Unproven("says that it linked the key, but does not prove it")
                await self.authority.change(name, Confirm(receipt))
            case Used():
                await self.authority.change(name, HearEnd("AlreadyUsed"))
            case Gone(reason):
                await self.authority.change(name, HearEnd(reason))
        return result


def _issuer(bundle: Bundle, instance: str) -> Issuer:
    """Return the issuer as far as the key tells."""
    known = bundle.issuer
    if known is None:
        return Issuer(instance=instance)
    return Issuer(instance=instance, public_key=known.public_key, account=known.account, interlink=known.interlink)


def _draft(request: Redemption) -> partial[RedeemRequest]:
    return partial(
        RedeemRequest,
        key_id=request.key_id,
        link_id=request.link_id,
        account=request.account,
        interlink=request.interlink,
        key_signature=request.key_signature,
        instance_signature=request.instance_signature,
    )


def _presigned_cancel(request: Redemption, key: SigningKey, issuer: str, identity: SigningKey) -> Proof:
    """Sign, while the key is at hand, that this link may never be made: nobody can do so later."""
    cancel = Cancel(
        issuer=issuer,
        key_id=request.key_id,
        link_id=request.link_id,
        account=request.account,
        interlink=request.interlink,
        key_signature=key.sign(cancel_bytes(issuer, request.key_id, request.link_id)),
    )
    return proof_of(sign(cancel, identity))


def _result(answer: RedeemAnswer, spec: LinkRecordSpec) -> Result:
    retry = timedelta(seconds=answer.retry_after_seconds or 900)
    match answer.result:
        case "Linked" if spec.redeemer is not None:
            return Linked(spec.redeemer)
        case "Used":
            return Used(answer.time or spec.issued_time, answer.by or "")
        case "Gone":
            return Gone(_known(EndReason, answer.reason) or "Revoked")
        case "Refused":
            return Refused("SelfLink")
        case "Busy":
            return Busy(_known(BusyReason, answer.reason) or "Contended", retry)
    return Unknown()


def _known(words: Any, word: str | None) -> Any:
    """Return the word if it is one of those that we know; another version may have others."""
    return word if word in get_args(words) else None


def _receipt(answer: RedeemAnswer, spec: LinkRecordSpec) -> Proof | None:
    """Return the issuer's proof, if it is one of this very redemption."""
    envelope, redeemer = answer.receipt, spec.redeemer
    if envelope is None or redeemer is None:
        return None
    issuer = spec.issuer.instance
    if position(envelope.by, issuer, answer.successions) is None:
        return None
    about = {"key_id": spec.key_id, "link_id": redeemer.link_id, "redeemer": redeemer.instance}
    if read_receipt(envelope, issuer=issuer, **about) is None:
        return None
    try:
        return proof_of(envelope)
    except ValidationError:  # longer than a record holds
        return None
