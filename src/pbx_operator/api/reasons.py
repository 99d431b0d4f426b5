"""The closed table of condition reasons: where each may stand, what it means, what to do, and how long to wait.

Messages, the reference page and the command line are all made from this table, so that a reason reads the same
wherever a person meets it.  The rules make conditions with `verdict`, which knows no rows but these.  A reason
arrives with the work that can make it true.
"""

from __future__ import annotations

from dataclasses import dataclass

from pbx_operator.api import gate_reasons, provider_reasons, rainbow_reasons
from pbx_operator.api.conditions import GRACE as GRACE
from pbx_operator.api.conditions import ConditionType as ConditionType
from pbx_operator.api.conditions import Patience as Patience
from pbx_operator.api.conditions import Place
from pbx_operator.api.conditions import Reason as Reason
from pbx_operator.api.gate_reasons import SEE_READY
from pbx_operator.api.meta import ConditionStatus


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition as the rules see it, before times are known. Raises ValueError if the table has no such row."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str

    def __post_init__(self) -> None:
        if (self.type, self.status, self.reason) not in _ROWS:
            raise ValueError(
                f"{self.type}={self.status} with reason {self.reason.name} is not in the table of reasons:"
                " add it to `shown` there, or use another reason"
            )


def verdict(type_: ConditionType, status: ConditionStatus, reason: Reason, **facts: object) -> Verdict:
    """Make a verdict whose message comes from the table.

    Raises ValueError if the table has no such row, and KeyError if the fact for a placeholder is missing.
    """
    return Verdict(type_, status, reason, reason.message(**facts))


_READY: Place = ("Ready", "True")
_NOT_READY: Place = ("Ready", "False")
_READY_UNKNOWN: Place = ("Ready", "Unknown")
_ACCEPTED: Place = ("Accepted", "True")
_REFUSED: Place = ("Accepted", "False")
_NOT_JUDGED: Place = ("Accepted", "Unknown")
_RESOLVED: Place = ("ResolvedRefs", "True")
_UNRESOLVED: Place = ("ResolvedRefs", "False")
_ISSUED: Place = ("KeyIssued", "True")
_NOT_ISSUED: Place = ("KeyIssued", "False")
_LINKED: Place = ("Established", "True")
_UNLINKED: Place = ("Established", "False")
_CLOSED: Place = ("CallsAllowed", "False")
_REACHABLE: Place = ("PeerReachable", "True")
_UNREACHABLE: Place = ("PeerReachable", "Unknown")
_CONFLICTED: Place = ("Conflicted", "True")

_UNPROVISIONED: tuple[Place, ...] = (("Provisioned", "False"), ("Provisioned", "Unknown"))
_NO_LINK = (_NOT_READY, _UNLINKED)
_BAD_SPEC = (_NOT_READY, _REFUSED)
OTHER_ACCOUNT = "delete this object and create one that names another account"
"""The next step where spec.accountRef is immutable."""

# --- all is well ------------------------------------------------------------------------------------------------
SERVING = Reason("Serving", "the {kind} is served", shown=(_READY,))
SERVING_WITH_WARNINGS = Reason("ServingWithWarnings", "served, but: {warnings}", shown=(_READY,))
KEY_ISSUED = Reason("KeyIssued", "the key is in Secret {secret}; waiting for the peer to enter it", shown=(_READY,))
ESTABLISHED = Reason("Established", "linked", shown=(_READY, _LINKED))
ACCEPTED = Reason("Accepted", "the spec is valid", shown=(_ACCEPTED,))
RESOLVED = Reason("ResolvedRefs", "all references were found", shown=(_RESOLVED,))
KEY_ISSUED_ONCE = Reason("KeyIssued", "the key was issued", shown=(_ISSUED,))
REVISION_WAITS = Reason(
    "RevisionWaits",
    "the key was issued; revision {revision} waits until the link has ended: {outcome}",
    shown=(_ISSUED,),
)

# --- the operator goes on by itself -----------------------------------------------------------------------------
REF_NOT_FOUND = Reason(
    "RefNotFound",
    "PBXAccount {name} (spec.accountRef.name) does not exist in this namespace",
    "create it, or {next_step}",
    Patience.PROGRESS,
    shown=(*_NO_LINK, _UNRESOLVED),
)
ACCOUNT_NOT_READY = Reason(
    "AccountNotReady",
    "PBXAccount {name} is not ready",
    "see its conditions",
    Patience.PROGRESS,
    shown=(*_NO_LINK, _READY_UNKNOWN),
)
NUMBER_RELEASING = Reason(
    "NumberReleasing",
    "number {number} is being released by InternalNumber {holder}",
    "this one takes it then; see that object if it lasts",
    patience=Patience.PROGRESS,
    shown=(_NOT_READY,),
)
DOMAIN_RELEASING = Reason(
    "DomainReleasing",
    "SIP domain {domain} is being released by another PBXAccount of this cluster",
    "this one takes it then; choose another spec.sipDomain if it lasts",
    patience=Patience.PROGRESS,
    shown=(_NOT_READY,),
)
DELETING = Reason(
    "Deleting",
    "being deleted, and waiting for {waiting}",
    "{next_step}",
    Patience.PROGRESS,
    shown=(_NOT_READY,),
)
WAITING_FOR_CLEANUP = Reason(
    "WaitingForCleanup",
    "{thing} of an earlier object is still being deleted",
    "Kubernetes does that by itself; if it lasts, delete it",
    Patience.PROGRESS,
    shown=_NO_LINK,
)
CLUSTER_UNCONFIRMED = Reason(
    "ClusterUnconfirmed",
    "the operator's identity, in Secret {identity}, was made in another cluster",
    "an administrator confirms it as the operator's log explains",
    Patience.PROGRESS,
    shown=(*_NO_LINK, _CLOSED, *_UNPROVISIONED),
)
AWAITING_PEER = Reason(
    "AwaitingPeer",
    "the key is in Secret {secret}; waiting for the peer to enter it",
    "carry it to that side",
    Patience.PROGRESS,
    shown=_NO_LINK,
)
ISSUING = Reason(
    "Issuing",
    "the key is being issued, or waits until the time to restore a backup is over",
    patience=Patience.PROGRESS,
    shown=_NO_LINK,
    text="{progress}",
)
REDEEMING = Reason(
    "Redeeming",
    "the key is being redeemed, or waits until the time to restore a backup is over",
    patience=Patience.PROGRESS,
    shown=_NO_LINK,
    text="{progress}",
)

# --- it may pass by itself, but not for ever --------------------------------------------------------------------
NUMBER_CONFLICT = Reason(
    "NumberConflict",
    "number {number} is held by InternalNumber {holder}",
    "choose another number or free that one",
    Patience.GRACE,
    shown=(_NOT_READY,),
)
DOMAIN_CONFLICT = Reason(
    "DomainConflict",
    "SIP domain {domain} is held by another PBXAccount of this cluster",
    "choose another spec.sipDomain; the column DOMAIN of kubectl get pbxaccounts --all-namespaces shows the holder",
    Patience.GRACE,
    shown=(_NOT_READY,),
)
DUPLICATE_LINK = Reason(
    "DuplicateLink",
    "another link joins the two accounts",
    "delete this Interlink, or {other} first",
    Patience.GRACE,
    shown=_NO_LINK,
)
KEY_UNKNOWN = Reason(
    "KeyUnknown",
    "no issuer knows the key {key_id}",
    "check that the issuing Interlink exists; name the issuer of a bare key from another cluster in"
    " spec.redeemKey.issuer; or enter a new key",
    Patience.GRACE,
    shown=_NO_LINK,
)
PEER_UNAVAILABLE = Reason(
    "PeerUnavailable",
    "the issuer's installation cannot be reached",
    "it is tried again; the operator's log says why",
    Patience.PROGRESS,
    shown=_NO_LINK,
)
PEER_BUSY = Reason(
    "PeerBusy",
    "the issuing side cannot take the link now: {detail}",
    "it is tried again; ask that side if this lasts",
    Patience.GRACE,
    shown=_NO_LINK,
)
PEER_FORGOT = Reason(
    "PeerForgot",
    "the peer's installation knows no such link",
    "ask that side to restore its LinkRecords; if it cannot, delete this Interlink and link anew",
    Patience.GRACE,
    shown=(*_NO_LINK, _CLOSED),
)
REDEEMER_NOT_ALLOWED = Reason(
    "RedeemerNotAllowed",
    "the issuer does not admit this account",
    "ask that side to add it, with instance {instance}, to its spec.issueKey.allowedRedeemers",
    Patience.GRACE,
    shown=_NO_LINK,
)
SECRET_MISSING = Reason(
    "SecretMissing",
    "there is no Secret {secret} with the key in its entry {entry}",
    "{next_step}",
    Patience.GRACE,
    shown=(*_NO_LINK, _UNRESOLVED),
)
SECRET_NAME_TAKEN = Reason(
    "SecretNameTaken",
    "Secret {secret} belongs to {holder}",
    "{next_step}",
    Patience.GRACE,
    shown=_NO_LINK,
)
SLICE_NAME_TAKEN = Reason(
    "SliceNameTaken",
    "DialPlanSlice {slice} was not made by the operator for this account",
    "delete it",
    Patience.GRACE,
    shown=(_NOT_READY,),
)

# --- a person must act ------------------------------------------------------------------------------------------
DOMAIN_RESERVED = Reason(
    "DomainReserved",
    "SIP domain {domain} is reserved for accounts of namespace {owner}, who get such domains by default",
    "choose another spec.sipDomain, or leave it out",
    Patience.PERSON,
    shown=(_NOT_READY,),
)
KEY_MALFORMED = Reason(
    "KeyMalformed",
    "the entry {entry} of Secret {secret} is not a key: {problem}",
    "copy the whole key text into it again, or correct the field of the spec that this names",
    Patience.PERSON,
    shown=_NO_LINK,
)
KEY_ALREADY_USED = Reason(
    "KeyAlreadyUsed",
    "the key {key_id} was used before and cannot be used again",
    "{next_step}",
    Patience.PERSON,
    shown=_NO_LINK,
)
KEY_REVOKED = Reason(
    "KeyRevoked", "the key {key_id} was withdrawn by its issuer", "{next_step}", Patience.PERSON, shown=_NO_LINK
)
KEY_EXPIRED = Reason(
    "KeyExpired", "the time to enter the key has passed", "{next_step}", Patience.PERSON, shown=_NO_LINK
)
SELF_LINK = Reason(
    "SelfLink",
    "the key was issued by the same account",
    "put a key of another account into Secret {secret}",
    Patience.PERSON,
    shown=_NO_LINK,
)
ENDED_BY_PEER = Reason("EndedByPeer", "the peer ended the link", "{next_step}", Patience.PERSON, shown=_NO_LINK)
ENDED_AS_DUPLICATE = Reason(
    "EndedAsDuplicate",
    "the link has ended, since there was an older one of the same accounts or Interlink",
    "{next_step}",
    Patience.PERSON,
    shown=_NO_LINK,
)
ACCOUNT_DELETED = Reason(
    "AccountDeleted",
    "PBXAccount {name} was deleted, or missing for an hour, which ends its links",
    "{next_step}",
    Patience.PERSON,
    shown=_NO_LINK,
)
RECORD_LOST = Reason(
    "RecordLost",
    "the LinkRecord of key {key_id} is gone",
    "restore it from a backup, or {next_step}",
    Patience.PERSON,
    shown=_NO_LINK,
)
IDENTITY_LOST = Reason(
    "IdentityLost",
    "Secret {identity}, without which the operator issues and redeems no key, is gone",
    "restore it from a backup, or start the operator with the right --namespace; links that exist go on",
    Patience.PERSON,
    shown=_NO_LINK,
)
UNKNOWN_COUNTRY = Reason(
    "UnknownCountry",
    '{field} "{country}" is not a code of ISO 3166-1 alpha-2, so the emergency numbers are not known',
    'correct it, for example to "FR" or "GB"',
    Patience.PERSON,
    shown=_BAD_SPEC,
)
UNREADABLE = Reason(
    "Unreadable", "the object cannot be read: {problem}", "correct it", Patience.PERSON, shown=_BAD_SPEC
)
EMERGENCY_NUMBER = Reason(
    "EmergencyNumber",
    "the number is an emergency number, or starts with one",
    "choose another number",
    Patience.PERSON,
    shown=_BAD_SPEC,
    text="{finding}",
)
NUMBER_OUT_OF_RANGE = Reason(
    "NumberOutOfRange",
    "number {number} is in none of the account's ranges",
    "choose another number or add a range to spec.numbering of PBXAccount {account}",
    Patience.PERSON,
    shown=_BAD_SPEC,
)
RESERVED_PREFIX = Reason(
    "ReservedPrefix",
    "{value} collides with the reserved prefix {prefix} of PBXAccount {account}",
    "choose another one",
    Patience.PERSON,
    shown=_BAD_SPEC,
)

# --- beside Ready -----------------------------------------------------------------------------------------------
NOT_CHECKED = Reason("NotChecked", "the account cannot judge the number yet", SEE_READY, shown=(_NOT_JUDGED,))
DIAL_PREFIX_CONFLICT = Reason(
    "DialPrefixConflict",
    "dialPrefix {prefix} belongs to Interlink {holder}, which was linked first",
    "choose another prefix; the link works without one",
    shown=(_REFUSED,),
)
DIAL_PREFIX_EMERGENCY = Reason(
    "DialPrefixEmergency",
    "the dialPrefix collides with an emergency number: it is not used (False), or used with this warning (True)",
    "choose another prefix",
    shown=(_REFUSED, _ACCEPTED),
    text="{finding}",
)
NO_KEY_YET = Reason("NoKey", "no key has been issued yet", SEE_READY, shown=(_NOT_ISSUED,))
ENDED = Reason("Ended", "the link has ended", SEE_READY, shown=(_NOT_ISSUED,))
PEER_REACHABLE = Reason("PeerAnswers", "the peer's installation answers", shown=(_REACHABLE,))
PEER_UNREACHABLE = Reason(
    "PeerSilent",
    "the peer's installation has not answered several times in a row",
    "the operator's log says why; what is known of the peer stays as it is",
    shown=(_UNREACHABLE,),
)
SHADOWED = Reason(
    "NumbersShadowed",
    "{count} number(s) of peers are hidden by own numbers: {sample}",
    "set spec.dialPrefix on the Interlinks to these peers to reach them",
    shown=(_CONFLICTED,),
)

# --- told by an Event alone -------------------------------------------------------------------------------------
KEY_REPLAY = Reason(
    "KeyReplay",
    "somebody else presented the used key {key_id}",
    "nothing was linked; if the text of the key may have leaked, see that the linked peer is the one you meant",
    shown=(),
)

REASONS = (
    *(value for value in globals().values() if isinstance(value, Reason)),
    *gate_reasons.REASONS,
    *provider_reasons.REASONS,
    *rainbow_reasons.REASONS,
)
"""Every row, in the order of this page; then those of gates, and of servers and providers."""
_ROWS = frozenset((type_, status, reason) for reason in REASONS for type_, status in reason.places)
