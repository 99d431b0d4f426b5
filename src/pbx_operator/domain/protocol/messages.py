"""What two installations of the operator say to each other.

Requests name their audience, so that nobody can pass them on; answers name the request that they answer.  There
are no sequence numbers: every message can be repeated, or says something that only ever grows.  `docs/protocol.md`
tells who sends what, and when.  Lists end at their first fault: a stranger's list of a hundred thousand faults would
else keep us busy for seconds.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import Field, ValidationError

from pbx_operator.api.meta import Model, Time
from pbx_operator.api.v1alpha1.linkrecord import (
    EndParty,
    EndReason,
    InterlinkIdentity,
    NamespacedName,
    PublicKey,
    SharedNumber,
)
from pbx_operator.api.v1alpha1.shared import (
    SHORT,
    DisplayName,
    DnsLabel,
    Endpoint,
    GateState,
    HostName,
    InstanceID,
    KeyID,
    LinkID,
    Pin,
)
from pbx_operator.domain.protocol.envelope import Envelope, EnvelopeError, open_envelope, seal
from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.domain.protocol.succession import SuccessionList

MAX_LINKS = 500
"""Links that one sync may be about."""

Digest = Annotated[str, Field(max_length=SHORT, pattern=r"^[A-Za-z0-9_-]{43}$")]
"""A SHA-256 in base64url without padding."""
Nonce = Annotated[str, Field(max_length=SHORT, pattern=r"^[A-Za-z0-9_-]{22}$")]
"""128 random bits in base64url without padding."""


class Request(Model):
    """What every request says beside its content."""

    type: ClassVar[str]
    sender: InstanceID = Field(alias="from")
    """from is the installation that signed the request."""
    to: InstanceID
    """to is the installation that the request is for; no other may act on it."""
    at: Time
    """at is the sender's clock."""
    nonce: Nonce
    """nonce makes every request another one, so that an answer belongs to one alone."""
    successions: SuccessionList = ()
    """successions leads from the sender's first key to the one that signed; absent while that is the first."""


class Answer(Model):
    """What every answer says beside its content."""

    type: ClassVar[str]
    sender: InstanceID = Field(alias="from")
    """from is the installation that signed the answer."""
    to: InstanceID
    """to is the installation that asked."""
    re: Digest
    """re is the SHA-256 of the request's payload."""
    successions: SuccessionList = ()
    """successions leads from the sender's first key to the one that signed; absent while that is the first."""


class Statement(Model):
    """What one side says of a redemption for ever: signed on its own, it outlives the message that brings it."""

    type: ClassVar[str]
    issuer: InstanceID
    """issuer is the installation that the key is from."""
    key_id: KeyID = Field(alias="keyID")
    """keyID is the key."""
    link_id: LinkID = Field(alias="linkID")
    """linkID is the link."""
    account: NamespacedName
    """account is the redeemer's PBXAccount."""
    interlink: InterlinkIdentity
    """interlink is the redeemer's Interlink."""


StatementT = TypeVar("StatementT", bound=Statement)


class RedeemRequest(Request):
    """A key is presented: signed by the key inside, by the redeemer's installation outside."""

    type: ClassVar[str] = "redeem"
    key_id: KeyID = Field(alias="keyID")
    """keyID is the key."""
    link_id: LinkID = Field(alias="linkID")
    """linkID is the link that is to be made; it follows from the key and the redeemer's Interlink."""
    account: NamespacedName
    """account is the redeemer's PBXAccount."""
    interlink: InterlinkIdentity
    """interlink is the redeemer's Interlink."""
    key_signature: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_-]{86}$")]
    """keySignature proves the key."""
    instance_signature: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_-]{86}$")]
    """instanceSignature binds the key to the redeemer's installation."""


Outcome = Literal["Linked", "Unknown", "Refused", "Busy", "Used", "Gone"]


class RedeemAnswer(Answer):
    """What became of the key."""

    type: ClassVar[str] = "redeem-answer"
    result: Outcome
    """result is `Linked`; `Unknown` and `Busy`, which may change; or `Refused`, `Used` and `Gone`, which are final."""
    reason: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z]+$")] | None = None
    """reason says why, for Refused, Busy and Gone."""
    retry_after_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None
    """retryAfterSeconds is when to ask again, for Busy."""
    time: Time | None = None
    """time is when the key was redeemed, for Linked and Used."""
    by: InstanceID | None = None
    """by is the installation that redeemed the key, for Used."""
    receipt: Envelope | None = None
    """receipt is the issuer's proof of the redemption, for Linked."""


class Receipt(Statement):
    """The issuer's proof that a key was redeemed by this link. Signed as type `receipt`."""

    type: ClassVar[str] = "receipt"
    redeemer: InstanceID
    """redeemer is the installation of the redeemer."""
    redeemer_key: PublicKey
    """redeemerKey is that installation's identity."""
    time: Time
    """time is when the key was redeemed, by the issuer's clock."""


class Cancel(Statement):
    """The redeemer's word that this link may never be made, or is over. Signed as type `cancel`."""

    type: ClassVar[str] = "cancel"
    key_signature: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_-]{86}$")]
    """keySignature proves that the sender had the key."""


class CancelRequest(Request):
    """A redeemer gives up, whatever became of its request."""

    type: ClassVar[str] = "cancel-request"
    cancel: Envelope
    """cancel is the Cancel, signed when the key was still at hand."""


class CancelAnswer(Answer):
    """Whether the link can still be made."""

    type: ClassVar[str] = "cancel-answer"
    result: Literal["Done", "Unknown"]
    """result is `Done` once the link can never be made; `Unknown` is no acknowledgement."""


class EndNotice(Model):
    """How a link ended."""

    by: EndParty
    """by is the side that ended it."""
    reason: EndReason
    """reason is why."""
    time: Time
    """time is when its end was recorded."""


class LinkReport(Model):
    """One side of a link, as it tells the other."""

    key_id: KeyID = Field(alias="keyID")
    """keyID is the key of the link."""
    link_id: LinkID = Field(alias="linkID")
    """linkID is the link."""
    state: Literal["Live", "Closing", "Ended", "Unknown"]
    """state is `Live`; `Closing` while its end is announced; `Ended`; or `Unknown` where there is no such record."""
    rev: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0
    """rev numbers what this side says of itself; it only rises."""
    known_rev: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0
    """knownRev is the last rev of the other side that this one has."""
    account: DnsLabel | None = None
    """account is the name of this side's PBXAccount."""
    display_name: DisplayName | None = None
    """displayName is the name of the account for people."""
    sip_domain: HostName | None = None
    """sipDomain is where calls to this side go."""
    gate: GateState | None = None
    """gate is whether this side lets calls pass."""
    numbers: Annotated[tuple[SharedNumber, ...], Field(max_length=11_110, fail_fast=True)] | None = None
    """numbers is all that the other side may dial; absent if the other side has this rev already."""
    end: EndNotice | None = None
    """end says how the link ended."""
    receipt: Envelope | None = None
    """receipt is the issuer's proof, where the issuer may have lost its own."""


class SyncRequest(Request):
    """All links between two installations, or a part of them; a link that is not listed means nothing."""

    type: ClassVar[str] = "sync"
    links: Annotated[tuple[LinkReport, ...], Field(max_length=MAX_LINKS, fail_fast=True)]
    """links is what the sender has to say."""
    endpoints: Annotated[tuple[Endpoint, ...], Field(max_length=4, fail_fast=True)] = ()
    """endpoints is where the sender's exchange listens now; none if it cannot be reached."""
    pins: Annotated[tuple[Pin, ...], Field(max_length=4, fail_fast=True)] = ()
    """pins are the public keys of its certificates."""


class SyncAnswer(Answer):
    """The other side of each link that was asked about."""

    type: ClassVar[str] = "sync-answer"
    links: Annotated[tuple[LinkReport, ...], Field(max_length=MAX_LINKS, fail_fast=True)]
    """links is what the receiver has to say about the same links."""
    endpoints: Annotated[tuple[Endpoint, ...], Field(max_length=4, fail_fast=True)] = ()
    """endpoints is where the receiver's exchange listens now."""
    pins: Annotated[tuple[Pin, ...], Field(max_length=4, fail_fast=True)] = ()
    """pins are the public keys of its certificates."""


def sign(message: Request | Answer | Statement, key: SigningKey) -> Envelope:
    """Seal a message as one of its type."""
    return seal(message.type, message.to_json(), key)


def read_statement(envelope: Envelope, kind: type[StatementT]) -> StatementT | None:
    """Return what `by` stated; None if it did not sign this, or if it is nothing of this kind.

    Who `by` is, and whether it may say so, is for the caller to judge.
    """
    try:
        return kind.model_validate(open_envelope(envelope, kind.type))
    except (EnvelopeError, ValidationError):
        return None


def read_receipt(envelope: Envelope, *, issuer: str, key_id: str, link_id: str, redeemer: str) -> Receipt | None:
    """Return a receipt of this very redemption; None if the envelope holds none. As `read_statement` does."""
    receipt = read_statement(envelope, Receipt)
    if receipt is None:
        return None
    about = (receipt.issuer, receipt.key_id, receipt.link_id, receipt.redeemer)
    return receipt if about == (issuer, key_id, link_id, redeemer) else None
