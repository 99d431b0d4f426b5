"""The closed table of condition reasons: what each means, what to do, and how patient the operator is.

Messages, the reference page and the command line are all made from this table, so that a reason reads the same
wherever a person meets it.  A reason arrives with the work that can make it true.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pbx_operator.api.meta import ConditionStatus

GRACE = timedelta(minutes=2)
"""How long a reason with `Patience.GRACE` counts as progress before a person must act."""

ConditionType = Literal[
    "Ready",
    "Reconciling",
    "Stalled",
    "Accepted",
    "ResolvedRefs",
    "KeyIssued",
    "Established",
    "CallsAllowed",
    "Conflicted",
]


class Patience(StrEnum):
    """What a Ready=False reason means to a tool that waits (kstatus, Argo CD)."""

    PROGRESS = "Reconciling"
    """The operator expects this to pass."""
    GRACE = "Reconciling, Stalled after 2 minutes"
    """It may pass by itself, for example while two manifests are applied; later a person must act."""
    PERSON = "Stalled"
    """A person must change some object; the operator reacts when that happens."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of the table.

    `what` describes the situation, with `{placeholders}` for the facts; `fix` is the next step, empty where
    nothing needs to be done.
    """

    name: str
    what: str
    fix: str = ""
    patience: Patience | None = None

    def message(self, **facts: object) -> str:
        """Return the text for people; every placeholder of `what` and `fix` must be given."""
        text = f"{self.what}; {self.fix}" if self.fix else self.what
        return text.format(**facts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition as the rules see it, before times are known."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str


def verdict(type_: ConditionType, status: ConditionStatus, reason: Reason, **facts: object) -> Verdict:
    """Make a verdict whose message comes from the table."""
    return Verdict(type_, status, reason, reason.message(**facts))


# --- all is well ------------------------------------------------------------------------------------------------
SERVING = Reason("Serving", "the {kind} is served")
SERVING_WITH_WARNINGS = Reason("ServingWithWarnings", "served, but: {warnings}")
KEY_ISSUED = Reason("KeyIssued", "the key is in Secret {secret}; waiting for the peer to enter it")
ESTABLISHED = Reason("Established", "linked")
ACCEPTED = Reason("Accepted", "the spec is valid")
RESOLVED = Reason("ResolvedRefs", "all references were found")
GATE_OPEN = Reason("GateOpen", "calls may pass in both directions")

# --- the operator goes on by itself -----------------------------------------------------------------------------
REF_NOT_FOUND = Reason(
    "RefNotFound",
    "PBXAccount {name} does not exist in this namespace",
    "create it, or delete this object and name another account",
    Patience.PROGRESS,
)
ACCOUNT_NOT_READY = Reason("AccountNotReady", "PBXAccount {name} is not ready", "see its conditions", Patience.PROGRESS)
NUMBER_RELEASING = Reason(
    "NumberReleasing", "number {number} is being released by InternalNumber {holder}", patience=Patience.PROGRESS
)
DOMAIN_RELEASING = Reason(
    "DomainReleasing",
    "SIP domain {domain} is being released by another PBXAccount of this cluster",
    patience=Patience.PROGRESS,
)
DELETING = Reason("Deleting", "being deleted; waiting for {waiting}", patience=Patience.PROGRESS)
WAITING_FOR_CLEANUP = Reason(
    "WaitingForCleanup", "{thing} of an earlier object is still being deleted", patience=Patience.PROGRESS
)
CLUSTER_UNCONFIRMED = Reason(
    "ClusterUnconfirmed",
    "the operator's identity was made in another cluster",
    "an administrator confirms it as the operator's log explains",
    Patience.PROGRESS,
)
AWAITING_PEER = Reason(
    "AwaitingPeer",
    "the key is in Secret {secret}; waiting for the peer to enter it",
    patience=Patience.PROGRESS,
)
ISSUING = Reason("Issuing", "the key is being issued", patience=Patience.PROGRESS)
REDEEMING = Reason("Redeeming", "the key is being redeemed", patience=Patience.PROGRESS)

# --- it may pass by itself, but not for ever --------------------------------------------------------------------
NUMBER_CONFLICT = Reason(
    "NumberConflict",
    "number {number} is held by InternalNumber {holder}",
    "choose another number or free that one",
    Patience.GRACE,
)
DOMAIN_CONFLICT = Reason(
    "DomainConflict",
    "SIP domain {domain} is held by another PBXAccount of this cluster",
    "choose another spec.sipDomain",
    Patience.GRACE,
)
DUPLICATE_LINK = Reason(
    "DuplicateLink",
    "the two accounts are linked already",
    "delete this Interlink, or the other one first",
    Patience.GRACE,
)
KEY_UNKNOWN = Reason(
    "KeyUnknown",
    "no issuer knows the key {key_id}",
    "check that the issuing Interlink exists, or enter a new key",
    Patience.GRACE,
)
PEER_BUSY = Reason(
    "PeerBusy", "the issuing side cannot take the link now: {detail}", "it is tried again", Patience.GRACE
)
REDEEMER_NOT_ALLOWED = Reason(
    "RedeemerNotAllowed",
    "the issuer does not admit this account",
    "ask the issuer to add it to allowedRedeemers",
    Patience.GRACE,
)
SECRET_MISSING = Reason(
    "SecretMissing",
    "Secret {secret} with the entry {entry} does not exist",
    "create it with the key text in it",
    Patience.GRACE,
)
SECRET_NAME_TAKEN = Reason(
    "SecretNameTaken",
    "Secret {secret} belongs to somebody else",
    "delete it, or create the Interlink anew with another secretName",
    Patience.GRACE,
)

SLICE_NAME_TAKEN = Reason(
    "SliceNameTaken",
    "DialPlanSlice {slice} was not made by the operator for this account",
    "delete it",
    Patience.GRACE,
)

# --- a person must act ------------------------------------------------------------------------------------------
KEY_MALFORMED = Reason(
    "KeyMalformed",
    "the entry {entry} of Secret {secret} is not a key: {problem}",
    "copy the whole key text again",
    Patience.PERSON,
)
KEY_ALREADY_USED = Reason(
    "KeyAlreadyUsed",
    "the key {key_id} was used before and cannot be used again",
    "put a new key into Secret {secret}",
    Patience.PERSON,
)
KEY_REVOKED = Reason(
    "KeyRevoked",
    "the issuer withdrew the key {key_id}",
    "ask for a new one and put it into Secret {secret}",
    Patience.PERSON,
)
KEY_EXPIRED = Reason("KeyExpired", "the key {key_id} expired unused", "{next_step}", Patience.PERSON)
SELF_LINK = Reason(
    "SelfLink",
    "the key was issued by the same account",
    "enter a key from another account",
    Patience.PERSON,
)
ENDED_BY_PEER = Reason("EndedByPeer", "the peer ended the link", "{next_step}", Patience.PERSON)
ACCOUNT_DELETED = Reason(
    "AccountDeleted",
    "PBXAccount {name} was deleted, which ended the link",
    "delete this Interlink",
    Patience.PERSON,
)
RECORD_LOST = Reason(
    "RecordLost",
    "the LinkRecord of key {key_id} is gone",
    "restore it from a backup, or {next_step}",
    Patience.PERSON,
)
IDENTITY_LOST = Reason(
    "IdentityLost",
    "the Secret with the operator's identity is gone",
    "restore it from a backup; links that exist go on",
    Patience.PERSON,
)
UNKNOWN_COUNTRY = Reason(
    "UnknownCountry",
    'spec.country "{country}" is not a code of ISO 3166-1 alpha-2, so the emergency numbers are not known',
    'correct it, for example to "FR" or "GB"',
    Patience.PERSON,
)
UNREADABLE = Reason("Unreadable", "the object cannot be read: {problem}", "correct it", Patience.PERSON)
EMERGENCY_NUMBER = Reason("EmergencyNumber", "{finding}", patience=Patience.PERSON)
NUMBER_OUT_OF_RANGE = Reason(
    "NumberOutOfRange",
    "number {number} is in none of the account's ranges",
    "choose another number or add a range to spec.numbering of PBXAccount {account}",
    Patience.PERSON,
)
RESERVED_PREFIX = Reason(
    "ReservedPrefix",
    "{value} collides with the reserved prefix {prefix} of PBXAccount {account}",
    "choose another one",
    Patience.PERSON,
)

# --- beside Ready -----------------------------------------------------------------------------------------------
DIAL_PREFIX_CONFLICT = Reason(
    "DialPrefixConflict",
    "dialPrefix {prefix} is used by the older Interlink {holder}",
    "choose another prefix; the link works without one",
)
DIAL_PREFIX_EMERGENCY = Reason(
    "DialPrefixEmergency",
    "dialPrefix {prefix} with a number of the peer would spell an emergency number ({emergency})",
    "choose another prefix; those numbers are not routed",
)
NOT_ESTABLISHED = Reason("NotEstablished", "there is no link yet")
CLOSED_HERE = Reason("ClosedHere", "spec.gate is Closed")
CLOSED_BY_PEER = Reason("ClosedByPeer", "the peer closed its gate")
PEER_DELETING = Reason("PeerDeleting", "the peer is ending the link")
ORPHANED = Reason("Orphaned", "an object of the link is missing", "re-create it within the hour to keep the link")
SHADOWED = Reason(
    "NumbersShadowed",
    "{count} number(s) of peers are hidden by own numbers: {sample}",
    "set a dialPrefix on the link to reach them",
)
KEY_ISSUED_ONCE = Reason("KeyIssued", "the key was issued")
CALLS_UNCONFIRMED = Reason(
    "ClusterUnconfirmed",
    "the operator's identity was made in another cluster",
    "an administrator confirms it as the operator's log explains",
)
CALLS_NOT_ADMITTED = Reason(
    "RedeemerNotAllowed", "the issuer took the redeemer off allowedRedeemers", "put it back to open the gate"
)
NOT_CHECKED = Reason("NotChecked", "the account cannot tell yet which numbers it accepts")
NO_KEY_YET = Reason("NoKey", "no key has been issued yet")
NOT_LINKED = Reason("NotLinked", "the key has not been redeemed")
ENDED = Reason("Ended", "the link has ended")
