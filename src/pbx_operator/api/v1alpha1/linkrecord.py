"""LinkRecord: the one place where "this key was used" is decided.

Operator-only and cluster-scoped, so that records survive the deletion of namespaces.  Inside a cluster one
record serves both sides.  Decisions read `spec` alone; `status` is soft and may be lost in a restore.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pbx_operator.api.meta import GROUP, VERSION, Model, ObjectKey, Resource, ResourceType, Time
from pbx_operator.api.schema import ATOMIC, SET, Column, Definition, Rule, choice, immutable, rules, sentence
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer
from pbx_operator.api.v1alpha1.shared import SHORT, UID, DnsLabel, InstanceID, KeyID, LinkID, NamespaceName, Revision

PublicKey = Annotated[str, Field(max_length=SHORT, pattern=r"^[A-Za-z0-9_-]{43}$")]
"""An Ed25519 public key in base64url without padding."""

RecordState = Literal["Issued", "Established", "Ended"]
EndParty = Literal["Issuer", "Redeemer", "Operator"]
EndReason = Literal[
    "Deleted",
    "AccountDeleted",
    "Revoked",
    "KeyExpired",
    "Orphaned",
    "DuplicateLink",
    "FencesFull",
]

_END_INSTEAD = "a record is never edited; to end its link, delete an Interlink"


class NamespacedName(Model):
    """An object of a namespace, for good."""

    model_config = rules(immutable("namespace", _END_INSTEAD), immutable("name", _END_INSTEAD))

    namespace: NamespaceName
    """namespace is the object's namespace."""
    name: DnsLabel
    """name is the object's name."""

    @property
    def key(self) -> ObjectKey:
        """The object's place, as the Store knows it."""
        return ObjectKey(self.namespace, self.name)


class InterlinkIdentity(NamespacedName):
    """One Interlink in one of its lives."""

    uid: UID
    """uid is the metadata.uid of the Interlink; adoption replaces it when the object was re-created."""


class Issuer(Model):
    """The side that generated the key."""

    model_config = rules(immutable("instance", _END_INSTEAD), immutable("publicKey", _END_INSTEAD))

    instance: InstanceID
    """instance is the operator installation of the issuer. Immutable."""
    public_key: PublicKey
    """publicKey is that installation's identity. Immutable."""
    account: NamespacedName
    """account is the issuer's PBXAccount. Immutable."""
    interlink: InterlinkIdentity
    """interlink is the issuer's Interlink; only its uid changes."""


class Redeemer(Model):
    """The side that entered the key; set once."""

    model_config = rules(
        immutable("linkID", _END_INSTEAD),
        immutable("instance", _END_INSTEAD),
        immutable("publicKey", _END_INSTEAD),
        immutable("time", _END_INSTEAD),
    )

    link_id: LinkID = Field(alias="linkID")
    """linkID names the link; stored at redemption and never recomputed."""
    instance: InstanceID
    """instance is the operator installation of the redeemer."""
    public_key: PublicKey
    """publicKey is that installation's identity."""
    account: NamespacedName
    """account is the redeemer's PBXAccount."""
    interlink: InterlinkIdentity
    """interlink is the redeemer's Interlink; only its uid changes."""
    time: Time
    """time is when the key was redeemed, by the issuer's clock."""


class Policy(Model):
    """What the issuer demands of a redemption."""

    model_config = rules(
        Rule(
            rule="self.?expirationTime == oldSelf.?expirationTime",
            message="`expirationTime` is immutable: raise `revision` of the Interlink for a new key",
            message_expression=sentence(
                "`expirationTime` may not change"
                " from {has(oldSelf.expirationTime) ? string(oldSelf.expirationTime) : 'never'}"
                " to {has(self.expirationTime) ? string(self.expirationTime) : 'never'}:"
                " raise `revision` of the Interlink for a new key"
            ),
            field_path=".expirationTime",
            reason="FieldValueForbidden",
        )
    )

    expiration_time: Time | None = None
    """expirationTime is when an unused key expires, by the issuer's clock. Immutable."""
    allowed_redeemers: Annotated[tuple[AllowedRedeemer, ...], Field(max_length=32), ATOMIC] = ()
    """allowedRedeemers limits who may redeem; empty means whoever has the key."""
    account_ready: Literal["True", "False"] = "True"
    """accountReady is `True` while the issuer's account can take a link; kept while the key is unused."""


class SideClosing(Model):
    """One side's announcement that it will end the link."""

    uid: UID
    """uid is the Interlink that was deleted or is missing."""
    reason: Literal["Deleted", "Orphaned"]
    """reason is `Deleted` when the end was asked for, `Orphaned` when an object of the side is missing."""
    since: Time
    """since is when the gate closed."""
    ends_at: Time
    """endsAt is when the link ends unless the side takes it up again before."""


class Closing(Model):
    """The announcements of both sides; each side writes only its own."""

    issuer: SideClosing | None = None
    """issuer is the announcement of the issuing side."""
    redeemer: SideClosing | None = None
    """redeemer is the announcement of the redeeming side."""


class End(Model):
    """How the record ended; set once."""

    by: EndParty
    """by is the side that ended it, or `Operator` for a rule that neither side asked for."""
    reason: EndReason
    """reason is why."""
    time: Time
    """time is when the end was recorded."""


_LIFE = (
    Rule(
        rule="self.state == oldSelf.state || oldSelf.state == 'Issued' || self.state == 'Ended'",
        message="`state` goes from Issued to Established to Ended and never back",
        message_expression=sentence(
            "`state` may not go back from '{oldSelf.state}' to '{self.state}': a key works once"
        ),
        field_path=".state",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule="has(self.redeemer) ? self.state != 'Issued' : self.state != 'Established'",
        message="`redeemer` must be set while `state` is Established and may not be while it is Issued",
        message_expression=choice(
            "has(self.redeemer)",
            "`redeemer` of link '{self.redeemer.linkID}' may not be set because `state` is '{self.state}'",
            "`redeemer` must be set because `state` is '{self.state}'",
        ),
        field_path=".redeemer",
    ),
    Rule(
        rule="has(self.redeemer) || !has(oldSelf.redeemer)",
        message="`redeemer` is never removed: a key works once",
        message_expression=sentence(
            "`redeemer` of link '{oldSelf.redeemer.linkID}' may not be removed: a key works once"
        ),
        field_path=".redeemer",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule="has(oldSelf.redeemer) || !has(self.redeemer) || self.state == 'Established'",
        message="`redeemer` is set by establishing the link, never later",
        message_expression=sentence(
            "`redeemer` of link '{self.redeemer.linkID}' may not be added because `state` is '{self.state}'"
        ),
        field_path=".redeemer",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule=(
            "self.state != 'Established' || !has(self.redeemer) || !has(self.fences)"
            " || !(self.redeemer.linkID in self.fences)"
        ),
        message="a link in `fences` may not be Established",
        message_expression=sentence(
            "link '{self.redeemer.linkID}' may not be Established: it is in `fences`, as its redeemer cancelled"
        ),
        field_path=".redeemer",
    ),
    Rule(
        rule="!has(oldSelf.fences) || (has(self.fences) && oldSelf.fences.all(fence, fence in self.fences))",
        message="`fences` only grow",
        message_expression=sentence(
            "`fences` may not lose '{oldSelf.fences.filter(f, !has(self.fences) || !(f in self.fences))[0]}':"
            " a cancelled link stays cancelled"
        ),
        field_path=".fences",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule="has(self.end) == (self.state == 'Ended')",
        message="`end` must be set if, and only if, `state` is Ended",
        message_expression=choice(
            "has(self.end)",
            "`end` with reason '{self.end.reason}' may not be set because `state` is '{self.state}'",
            "`end` must be set because `state` is '{self.state}'",
        ),
        field_path=".end",
    ),
    Rule(
        rule="!has(oldSelf.end) || !has(self.end) || self.end == oldSelf.end",
        message="`end` never changes",
        message_expression=sentence(
            "`end` may not change: the link was ended by '{oldSelf.end.by}' with reason '{oldSelf.end.reason}'"
        ),
        field_path=".end",
        reason="FieldValueForbidden",
    ),
)
"""What keeps a used key used, whoever writes the record: the exchange, the operator, or a person."""


class LinkRecordSpec(Model):
    """The truth about one key and the link that it made."""

    model_config = rules(
        immutable("instance", _END_INSTEAD),
        immutable("keyID", _END_INSTEAD),
        immutable("keyPublic", _END_INSTEAD),
        immutable("origin", _END_INSTEAD),
        immutable("revision", _END_INSTEAD),
        immutable("issuedTime", _END_INSTEAD),
        *_LIFE,
    )

    instance: InstanceID
    """instance is the operator installation that keeps this record. Immutable."""
    key_id: KeyID = Field(alias="keyID")
    """keyID is the public name of the key. Immutable."""
    key_public: PublicKey
    """keyPublic is the public half of the key; the private half lives only in a Secret. Immutable."""
    origin: Literal["Generated", "BringYourOwn"] = "Generated"
    """origin tells whether the operator generated the key or a user brought it along. Immutable."""
    revision: Revision
    """revision is the `spec.issueKey.revision` that the key was made for. Immutable."""
    issued_time: Time
    """issuedTime is when the key was issued. Immutable."""
    issuer: Issuer
    """issuer is the side that generated the key."""
    policy: Policy = Policy()
    """policy is what a redemption must fulfil."""
    state: RecordState = "Issued"
    """state is `Issued`, `Established` or `Ended`; it never goes back."""
    redeemer: Redeemer | None = None
    """redeemer is the side that entered the key."""
    fences: Annotated[tuple[LinkID, ...], Field(max_length=8), SET] = ()
    """fences are links that may never succeed, because their redeemer cancelled; the list only grows."""
    closing: Closing = Closing()
    """closing holds announced ends; any of them closes the gate."""
    end: End | None = None
    """end tells how the record ended; set together with state `Ended`."""


class Replay(Model):
    """A second party that presented the key."""

    link_id: LinkID = Field(alias="linkID")
    """linkID is the link that the second party tried to make."""
    time: Time
    """time is when it tried first."""


class LinkRecordStatus(Model):
    """Soft facts about the record."""

    replay: Replay | None = None
    """replay is set once when a used key was presented again by somebody else."""


class LinkRecord(Resource):
    """LinkRecord decides, once and for all, who redeemed a key. Written by the operator only; back it up."""

    resource: ClassVar[ResourceType] = ResourceType(GROUP, VERSION, "LinkRecord", "linkrecords", namespaced=False)
    definition: ClassVar[Definition] = Definition(
        singular="linkrecord",
        short_names=("lrec",),
        columns=(
            Column("State", ".spec.state", "Issued, Established or Ended."),
            Column("Issuer", ".spec.issuer.account.name", "PBXAccount that issued the key."),
            Column("Redeemer", ".spec.redeemer.account.name", "PBXAccount that redeemed it."),
            Column("End", ".spec.end.reason", "Why it ended."),
            Column("Age", ".metadata.creationTimestamp", "Time since creation.", "date"),
        ),
        selectable_fields=(".spec.state",),
        rules=(
            Rule(
                rule="self.metadata.name == 'k-' + self.spec.keyID",
                message="`metadata.name` must be `k-` and the keyID, so that one key has one record",
                message_expression=sentence("name '{self.metadata.name}' must be 'k-{self.spec.keyID}'"),
                field_path=".metadata.name",
            ),
        ),
    )

    spec: LinkRecordSpec
    """spec is the truth about one key and its link."""
    status: LinkRecordStatus = LinkRecordStatus()
    """status holds soft facts that may be lost."""


def record_name(key_id: str) -> str:
    """Return the name of the record that decides about a key."""
    return f"k-{key_id}"
