"""LinkRecord: the one place where "this key was used" is decided.

Operator-only and cluster-scoped, so that records survive the deletion of namespaces.  Inside a cluster one
record serves both sides.  Between clusters the issuer keeps the record that decides (role Authority), and the
redeemer one of its own request (role Replica).  Decisions read `spec` alone; `status` is soft and may be lost in a
restore.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from pbx_operator.api.meta import GROUP, MAX_EXACT_INTEGER, VERSION, Model, ObjectKey, Resource, ResourceType, Time
from pbx_operator.api.schema import ATOMIC, SET, Column, Definition, Rule, choice, immutable, rules, sentence
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer
from pbx_operator.api.v1alpha1.linkrecord_rules import ELSEWHERE, END_INSTEAD, ISSUER, LIFE
from pbx_operator.api.v1alpha1.shared import (
    SHORT,
    UID,
    DisplayName,
    DnsLabel,
    Endpoint,
    GateState,
    HostName,
    InstanceID,
    InternalNumberDigits,
    KeyID,
    LinkID,
    NamespaceName,
    Pin,
    Revision,
)

PublicKey = Annotated[str, Field(max_length=SHORT, pattern=r"^[A-Za-z0-9_-]{43}$")]
"""An Ed25519 public key in base64url without padding."""

RecordRole = Literal["Authority", "Replica"]
RecordState = Literal["Issued", "Requested", "Established", "Ended"]
EndParty = Literal["Issuer", "Redeemer", "Operator"]
EndReason = Literal[
    "Deleted",
    "AccountDeleted",
    "Revoked",
    "KeyExpired",
    "Orphaned",
    "DuplicateLink",
    "FencesFull",
    "Cancelled",
    "AlreadyUsed",
]


class NamespacedName(Model):
    """An object of a namespace, for good."""

    model_config = rules(immutable("namespace", END_INSTEAD), immutable("name", END_INSTEAD))

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

    model_config = rules(immutable("instance", END_INSTEAD), *ISSUER)

    instance: InstanceID
    """instance is the operator installation of the issuer. Immutable."""
    public_key: PublicKey | None = None
    """publicKey is that installation's identity; absent, as what follows, only on a Replica of a bare key, which does
    not tell it. Immutable."""
    account: NamespacedName | None = None
    """account is the issuer's PBXAccount. Immutable."""
    interlink: InterlinkIdentity | None = None
    """interlink is the issuer's Interlink; only its uid changes."""


class Redeemer(Model):
    """The side that entered the key; set once."""

    model_config = rules(
        immutable("linkID", END_INSTEAD),
        immutable("instance", END_INSTEAD),
        immutable("publicKey", END_INSTEAD),
        immutable("time", END_INSTEAD),
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


class Contact(Model):
    """How an installation can be reached."""

    endpoints: Annotated[tuple[Endpoint, ...], Field(max_length=4), ATOMIC] = ()
    """endpoints is where its exchange listens, for example `https://pbx.example.com:8443` or, with an IPv6
    address, `https://[2001:db8::1]:8443`; empty if it cannot be reached and only dials itself."""
    pins: Annotated[tuple[Pin, ...], Field(max_length=4), ATOMIC] = ()
    """pins are the public keys that its certificates may have."""


class Proof(Model):
    """A statement that its signer cannot deny."""

    payload: Annotated[str, Field(max_length=4096, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
    """payload is the statement, JSON in base64: the bytes that were signed."""
    by: PublicKey
    """by is the public key of the signer."""
    sig: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_-]{86}$")]
    """sig is the signature, in base64url."""


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


class LinkRecordSpec(Model):
    """The truth about one key and the link that it made."""

    model_config = rules(
        immutable("role", END_INSTEAD),
        immutable("instance", END_INSTEAD),
        immutable("keyID", END_INSTEAD),
        immutable("keyPublic", END_INSTEAD),
        immutable("origin", END_INSTEAD),
        immutable("revision", END_INSTEAD),
        immutable("issuedTime", END_INSTEAD),
        *LIFE,
        *ELSEWHERE,
    )

    role: RecordRole = "Authority"
    """role is `Authority` for the record that decides about the key, kept by its issuer, or `Replica` for what a
    redeemer of another installation keeps of its request and its link. Immutable."""
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
    """state is `Issued` (`Requested` for a Replica), `Established` or `Ended`; it never goes back."""
    redeemer: Redeemer | None = None
    """redeemer is the side that entered the key."""
    fences: Annotated[tuple[LinkID, ...], Field(max_length=8), SET] = ()
    """fences are links that may never succeed, because their redeemer cancelled; the list only grows."""
    closing: Closing = Closing()
    """closing holds announced ends; any of them closes the gate."""
    end: End | None = None
    """end tells how the record ended; set together with state `Ended`."""
    contact: Contact | None = None
    """contact is how the issuer could be reached when the key was entered; only on a Replica. Immutable."""
    cancel: Proof | None = None
    """cancel is the redeemer's word that its link may never be made, signed while the key was at hand; only on a
    Replica. Set once."""
    receipt: Proof | None = None
    """receipt is the issuer's proof of the redemption; only on a Replica, set when it is Established. Set once."""


class Replay(Model):
    """A second party that presented the key."""

    link_id: LinkID = Field(alias="linkID")
    """linkID is the link that the second party tried to make."""
    time: Time
    """time is when it tried first."""


Rev = Annotated[int, Field(ge=0, le=MAX_EXACT_INTEGER)]


class SharedNumber(Model):
    """A number that one side lets the other dial."""

    number: InternalNumberDigits
    """number is the number, as its owner knows it, in quotes, for example `"200"`."""
    display_name: DisplayName | None = None
    """displayName is its name."""


class SideReport(Model):
    """What one side of a link between installations tells the other."""

    rev: Rev = 0
    """rev numbers the reports of one side; it only rises."""
    account: DnsLabel | None = None
    """account is the metadata.name of the side's PBXAccount."""
    display_name: DisplayName | None = None
    """displayName is the account's name for people."""
    sip_domain: HostName | None = None
    """sipDomain is the domain that calls to the side go to."""
    gate: GateState = "Closed"
    """gate is whether the side lets calls pass."""
    closing: Literal["Announced", "None"] = "None"
    """closing is `Announced` while the side has announced the end of the link."""
    numbers: Annotated[tuple[SharedNumber, ...], Field(max_length=11_110), ATOMIC] = ()
    """numbers is all that the side lets the other dial."""
    interlink_uid: UID | None = None
    """interlinkUID is the metadata.uid of the Interlink that says so, and only in `told`: who takes an announced end
    back is another Interlink, and so says all anew, with a higher `rev`."""


class LinkRecordStatus(Model):
    """Soft facts about the record."""

    replay: Replay | None = None
    """replay is set once when a used key was presented again by somebody else."""
    told: SideReport | None = None
    """told is what this side says to a peer of another installation."""
    heard: SideReport | None = None
    """heard is what the peer of another installation said last."""
    contact: Contact | None = None
    """contact is how the peer's installation can be reached now, as it said itself."""
    peer_knows: Literal["Unknown", "End"] | None = None
    """peerKnows is `End` once the peer has acknowledged the end of the link, and `Unknown` while it says, signed,
    that it knows no such link."""
    peer_key: PublicKey | None = None
    """peerKey is the last identity of the peer's installation that was heard, once it was rotated; what an earlier one
    signs about this link changes nothing any more."""


class LinkRecord(Resource):
    """LinkRecord decides, once and for all, who redeemed a key. Written by the operator only; back it up."""

    resource: ClassVar[ResourceType] = ResourceType(GROUP, VERSION, "LinkRecord", "linkrecords", namespaced=False)
    definition: ClassVar[Definition] = Definition(
        singular="linkrecord",
        short_names=("lrec",),
        declared=False,
        columns=(
            Column("Role", ".spec.role", "Authority (decides about the key) or Replica.", priority=1),
            Column("State", ".spec.state", "Issued, Requested, Established or Ended."),
            Column("Issuer", ".spec.issuer.account.name", "PBXAccount that issued the key."),
            Column("Redeemer", ".spec.redeemer.account.name", "PBXAccount that redeemed it."),
            Column("End", ".spec.end.reason", "Why it ended."),
            Column("Age", ".metadata.creationTimestamp", "Time since creation.", "date"),
        ),
        selectable_fields=(".spec.state",),
        rules=(
            Rule(
                rule=(
                    "self.metadata.name == (self.spec.role == 'Replica' && has(self.spec.redeemer)"
                    " ? 'r-' + self.spec.redeemer.linkID : 'k-' + self.spec.keyID)"
                ),
                message="`metadata.name` must be `k-` and the keyID, or for a Replica `r-` and the linkID",
                message_expression=choice(
                    "self.spec.role == 'Replica' && has(self.spec.redeemer)",
                    "name '{self.metadata.name}' must be 'r-{self.spec.redeemer.linkID}'",
                    "name '{self.metadata.name}' must be 'k-{self.spec.keyID}'",
                ),
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


def replica_name(link_id: str) -> str:
    """Return the name of a redeemer's record of a link to another installation."""
    return f"r-{link_id}"


def record_manifest(name: str, spec: LinkRecordSpec) -> dict[str, Any]:
    """Return what the API server is sent to create a record."""
    resource = LinkRecord.resource
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name},
        "spec": spec.to_json(),
    }
