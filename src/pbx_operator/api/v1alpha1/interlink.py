"""Interlink: one side of a link between two accounts."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pbx_operator.api.meta import GROUP, VERSION, Model, Resource, ResourceType, Time
from pbx_operator.api.schema import ATOMIC, Column, Definition, Rule, choice, immutable, rules, sentence
from pbx_operator.api.v1alpha1.shared import (
    NAME_IS_LABEL,
    AccountReference,
    DeletionProtection,
    DialPrefix,
    DisplayName,
    DnsLabel,
    Endpoint,
    GateState,
    HostName,
    InstanceID,
    KeyID,
    LinkID,
    NamespaceName,
    ObjectName,
    Pin,
    Revision,
    SecretKey,
    Sharing,
    Status,
    Word,
)

LinkState = Literal["Pending", "Established", "Ended"]
Role = Literal["Issuer", "Redeemer"]
EndedBy = Literal["Local", "Peer"]

FIRST_YEAR, LAST_YEAR = 2000, 8999
"""When a key may expire: a time that every reader can show in any zone, and count on from."""
_CREATE_ANOTHER = "delete the Interlink and create another one"


class SecretKeyReference(Model):
    """One entry of a Secret in the same namespace."""

    name: ObjectName
    """name is the metadata.name of the Secret, for example `from-rotterdam`."""
    key: SecretKey = "key"
    """key is the entry of the Secret's data that holds the key text; default is `key`."""


class AllowedRedeemer(Model):
    """Who may enter the key: all fields that are set must match."""

    instance: InstanceID | None = None
    """instance is the operator installation of the redeemer; default is the one that issues the key."""
    namespace: NamespaceName | None = None
    """namespace is the redeemer's namespace; default is any."""
    account: DnsLabel | None = None
    """account is the metadata.name of the redeemer's PBXAccount; default is any."""


class IssueKey(Model):
    """Generate a one-time key for the peer, or issue one that was brought along."""

    model_config = rules(
        Rule(
            rule="has(self.expirationTime) || !has(self.fromSecretRef)",
            message="`expirationTime` must be set beside `fromSecretRef`",
            message_expression=sentence(
                "`expirationTime` must be set because the key comes from Secret '{self.fromSecretRef.name}',"
                " which may lie in Git for ever"
            ),
            field_path=".expirationTime",
        ),
        Rule(
            rule=f"!has(self.expirationTime) || (self.expirationTime.getFullYear() >= {FIRST_YEAR}"
            f" && self.expirationTime.getFullYear() <= {LAST_YEAR})",
            message=f"`expirationTime` must be in the years {FIRST_YEAR} to {LAST_YEAR}",
            message_expression=sentence(
                f"`expirationTime` {{self.expirationTime}} must be in the years {FIRST_YEAR} to {LAST_YEAR}:"
                " choose another time, such as 2099-12-31T00:00:00Z"
            ),
            field_path=".expirationTime",
        ),
        Rule(
            rule="!has(self.expiresAfterSeconds) || !(has(self.expirationTime) || has(self.fromSecretRef))",
            message="`expiresAfterSeconds` may not be set beside `expirationTime` or `fromSecretRef`",
            message_expression=choice(
                "has(self.fromSecretRef)",
                "`expiresAfterSeconds` may not be set to {self.expiresAfterSeconds} beside `fromSecretRef`:"
                " use `expirationTime`",
                "`expiresAfterSeconds` may not be set to {self.expiresAfterSeconds} beside `expirationTime`:"
                " remove one of them",
            ),
            field_path=".expiresAfterSeconds",
            reason="FieldValueForbidden",
        ),
        Rule(
            rule="!has(self.secretName) || !has(self.fromSecretRef)",
            message="`secretName` may not be set beside `fromSecretRef`, which brings its own Secret",
            message_expression=sentence(
                "`secretName` may not be set to '{self.secretName}' beside `fromSecretRef`,"
                " which names Secret '{self.fromSecretRef.name}'"
            ),
            field_path=".secretName",
            reason="FieldValueForbidden",
        ),
        immutable("secretName", _CREATE_ANOTHER, optional=True),
        Rule(
            rule="has(self.fromSecretRef) == has(oldSelf.fromSecretRef)",
            message=f"the choice between a generated key and `fromSecretRef` is immutable: {_CREATE_ANOTHER}",
            message_expression=choice(
                "has(self.fromSecretRef)",
                "a generated key may not give way to `fromSecretRef` with Secret '{self.fromSecretRef.name}':"
                f" {_CREATE_ANOTHER}",
                "`fromSecretRef` with Secret '{oldSelf.fromSecretRef.name}' may not give way to a generated key:"
                f" {_CREATE_ANOTHER}",
            ),
            field_path=".fromSecretRef",
            reason="FieldValueForbidden",
        ),
    )

    secret_name: ObjectName | None = None
    """secretName is the Secret that receives the generated key; default is the Interlink's name with `-key`, for
    example `to-rotterdam-key`. Immutable: delete the Interlink and create another one."""
    from_secret_ref: SecretKeyReference | None = None
    """fromSecretRef names a Secret that already holds a key (made by `pbx key new`), so that both ends can lie
    in Git; it needs `expirationTime` and excludes `secretName` and `expiresAfterSeconds`. What it names may change;
    the choice between it and a generated key is immutable: delete the Interlink and create another one."""
    expires_after_seconds: Annotated[int, Field(ge=300, le=2_592_000)] | None = None
    """expiresAfterSeconds is the life of an unused key, 300 (5 minutes) to 2592000 (30 days), counted from its
    creation; absent means that it never expires, unless expirationTime is set. Read when the key is created, not
    later."""
    expiration_time: Time | None = None
    """expirationTime is when an unused key expires, for example `2027-01-31T12:00:00Z`, in the years 2000 to 8999;
    required with fromSecretRef, and for a generated key an alternative to expiresAfterSeconds. Read when the key is
    issued, not later."""
    revision: Revision = 1
    """revision asks for a new key when it is raised: an unused key is revoked; on an established link the new
    key waits until the link has ended, and never comes if this object goes with it, see onPeerDeletion. Lower values
    are ignored."""
    allowed_redeemers: Annotated[tuple[AllowedRedeemer, ...], Field(max_length=32), ATOMIC] = ()
    """allowedRedeemers limits who may enter the key; empty means whoever has it. Taking the linked peer off
    the list later closes the gate until it is back."""
    ready_when: Literal["KeyIssued", "Established"] = "KeyIssued"
    """readyWhen says when this object is Ready: once the key exists (default, so that two GitOps waves cannot
    wait for each other) or once the link is established."""


_PORT = "int(e.substring(e.lastIndexOf(':') + 1))"
_WRONG_PORT = f"e.matches(':[0-9]+$') && ({_PORT} < 1 || {_PORT} > 65535)"


class KeyIssuer(Model):
    """Where a key can be redeemed; nothing of it is secret."""

    model_config = rules(
        Rule(
            rule=f"!self.endpoints.exists(e, {_WRONG_PORT})",
            message="the ports of `endpoints` must be numbers from 1 to 65535",
            message_expression=sentence(
                f"`endpoints` has '{{self.endpoints.filter(e, {_WRONG_PORT})[0]}}', whose port is not a number from 1"
                " to 65535"
            ),
            field_path=".endpoints",
        )
    )

    instance: InstanceID
    """instance is the operator installation that issued the key, as its operator logs it when it starts."""
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1, max_length=4), ATOMIC]
    """endpoints is where its exchange listens, for example `https://pbx.example.com:8443` or, with an IPv6
    address, `https://[2001:db8::1]:8443`; tried in this order."""
    pin: Pin
    """pin is the SHA-256 of the SubjectPublicKeyInfo of its exchange's certificate, in base64url without padding."""


class RedeemKey(Model):
    """Enter a key that the peer generated."""

    secret_ref: SecretKeyReference
    """secretRef names the Secret that holds the key text or bundle received from the peer."""
    issuer: KeyIssuer | None = None
    """issuer is where a bare key of another installation can be redeemed; a bundle says so itself, unless it was made
    before its issuer was known. It has no effect on an established link."""


class InterlinkSpec(Model):
    """The link that is wanted; exactly one of issueKey and redeemKey."""

    model_config = rules(
        Rule(
            rule="has(self.issueKey) != has(self.redeemKey)",
            message="exactly one of `issueKey` and `redeemKey` must be set; for the defaults write `issueKey: {}`",
            message_expression=choice(
                "has(self.issueKey)",
                "`issueKey` may not be set beside `redeemKey`: one side of a link issues the key, the other redeems it",
                "`issueKey` or `redeemKey` must be set; for a key with all defaults write `issueKey: {}`"
                " (nothing after the colon counts as absent)",
            ),
            field_path=".issueKey",
        ),
        Rule(
            rule="has(self.issueKey) == has(oldSelf.issueKey)",
            message=f"the choice between `issueKey` and `redeemKey` is immutable: {_CREATE_ANOTHER}",
            message_expression=choice(
                "has(oldSelf.issueKey)",
                f"`issueKey` may not give way to `redeemKey`: {_CREATE_ANOTHER}",
                f"`redeemKey` may not give way to `issueKey`: {_CREATE_ANOTHER}",
            ),
            field_path=".issueKey",
            reason="FieldValueForbidden",
        ),
    )

    account_ref: Annotated[AccountReference, immutable("name", _CREATE_ANOTHER)]
    """accountRef is the PBXAccount on this side. Immutable: delete the Interlink and create another one."""
    display_name: DisplayName | None = None
    """displayName is the name of the link on this side, for example `Tim Andrews`; it may change at any time."""
    issue_key: IssueKey | None = None
    """issueKey generates the key; write `issueKey: {}` for the defaults. The choice between issueKey and redeemKey
    is immutable: delete the Interlink and create another one."""
    redeem_key: RedeemKey | None = None
    """redeemKey enters the peer's key. The choice between issueKey and redeemKey is immutable: delete the
    Interlink and create another one."""
    sharing: Sharing | None = None
    """sharing is what the peer may dial; default is the account's own `spec.sharing`."""
    dial_prefix: DialPrefix | None = None
    """dialPrefix reaches the peer's numbers even where an own number hides them: 1 to 4 of `0-9*#`, in quotes; with
    `"8"`, 8200 is the peer's 200. The longest prefix wins; one that two links want belongs to the link that was
    established first."""
    priority: Annotated[int, Field(ge=0, le=1000)] = 100
    """priority decides when two peers offer the same number: the lower value wins; 0 to 1000, default 100."""
    gate: GateState = "Open"
    """gate `Closed` stops calls in both directions and keeps the link; default `Open`."""
    on_peer_deletion: Literal["Delete", "Retain"] = "Delete"
    """onPeerDeletion says what becomes of this object when the peer deletes its side: `Delete` (default) removes
    it too, `Retain` keeps it as ended (recommended when a GitOps tool applies it)."""
    undo_window_seconds: Annotated[int, Field(ge=0, le=604_800)] = 0
    """undoWindowSeconds keeps the link for so many seconds after this object was deleted, with the gate closed, so
    that re-creating the object takes it up again; 0 (default: the link ends at once) to 604800 (7 days)."""
    deletion_protection: DeletionProtection = "Disabled"
    """deletionProtection `Enabled` lets the API server refuse to delete this object until it is `Disabled` (default)
    again, if the cluster has the policies of `examples/install/policies.yaml`. The
    operator does not delete it either: it outlives the peer as with onPeerDeletion `Retain`."""


class Peer(Model):
    """The account at the other end."""

    account: DnsLabel | None = None
    """account is the metadata.name of the peer's PBXAccount."""
    display_name: DisplayName | None = None
    """displayName is the peer's own name for its account."""
    sip_domain: HostName | None = None
    """sipDomain is the domain that calls to the peer go to."""
    instance: InstanceID | None = None
    """instance is the operator installation that serves the peer."""


class Ended(Model):
    """How the link ended."""

    by: EndedBy
    """by is the side that ended the link: `Local` or `Peer`."""
    reason: Word
    """reason is why, in one word, for example `Deleted`."""
    time: Time
    """time is when the end was recorded."""


class InterlinkStatus(Status):
    """The link as it is."""

    state: LinkState | None = None
    """state is the link in one word, derived from the conditions: `Pending` (grey), `Established` (green) or
    `Ended`. It is `Ended` if and only if the reason of Ready is KeyAlreadyUsed, KeyRevoked, KeyExpired, EndedByPeer,
    EndedAsDuplicate or AccountDeleted."""
    gate: GateState | None = None
    """gate is whether calls may pass now; the condition CallsAllowed says why not."""
    role: Role | None = None
    """role is `Issuer` for the side that generated the key, `Redeemer` for the side that entered it."""
    key_id: KeyID | None = Field(default=None, alias="keyID")
    """keyID is the public name of the key; both sides show the same one."""
    key_revision: Revision | None = None
    """keyRevision is the `spec.issueKey.revision` that the key was made for."""
    key_secret_name: ObjectName | None = None
    """keySecretName is the Secret that holds, or held, the key."""
    issued_time: Time | None = None
    """issuedTime is when the key was issued."""
    expiration_time: Time | None = None
    """expirationTime is when the unused key expires."""
    established_time: Time | None = None
    """establishedTime is when the key was redeemed."""
    link_id: LinkID | None = Field(default=None, alias="linkID")
    """linkID is the name of the link; both sides show the same one."""
    peer: Peer | None = None
    """peer is the account at the other end."""
    ended: Ended | None = None
    """ended tells how the last link of this object ended."""


class Interlink(Resource):
    """Interlink is one side of a link between two PBXAccounts, which can then dial each other's numbers."""

    resource: ClassVar[ResourceType] = ResourceType(GROUP, VERSION, "Interlink", "interlinks")
    definition: ClassVar[Definition] = Definition(
        singular="interlink",
        short_names=("ilk",),
        columns=(
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether the link is as wanted."),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', "Why, in one word."),
            Column("State", ".status.state", "Pending (grey), Established (green) or Ended."),
            Column("Gate", ".status.gate", "Whether calls may pass."),
            Column("Account", ".spec.accountRef.name", "PBXAccount on this side."),
            Column("Peer", ".status.peer.account", "PBXAccount on the other side."),
            Column("Age", ".metadata.creationTimestamp", "Time since creation.", "date"),
            Column(
                "Accepted",
                '.status.conditions[?(@.type=="Accepted")].reason',
                "Whether the dialPrefix is accepted, and if not, or with a warning, why.",
                priority=1,
            ),
            Column(
                "Calls",
                '.status.conditions[?(@.type=="CallsAllowed")].reason',
                "Why calls may pass or not, in one word.",
                priority=1,
            ),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', "What to do.", priority=1),
        ),
        selectable_fields=(
            ".spec.accountRef.name",
            ".spec.issueKey.fromSecretRef.name",
            ".spec.redeemKey.secretRef.name",
        ),
        rules=(NAME_IS_LABEL,),
    )

    spec: InterlinkSpec
    """spec is the link that is wanted."""
    status: InterlinkStatus = InterlinkStatus()
    """status is the link as the operator last saw it."""

    @property
    def role(self) -> Role:
        """Which side of the link this object is."""
        return "Issuer" if self.spec.issue_key is not None else "Redeemer"
