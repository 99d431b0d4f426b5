"""The link machine: what a LinkRecord may become, and who may make it so.

Redemptions go through `redemption.decide`, everything else that ever happens to a record through `transition`.
Both are pure: they get the record as it was just read, facts that were looked up after it, and the time, and
return the record's next spec or none.  The caller writes it with the resourceVersion that it read, so each
answer holds for exactly the record that it was given.  Neither knows where a request came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer
from pbx_operator.api.v1alpha1.linkrecord import (
    Closing,
    End,
    EndParty,
    EndReason,
    InterlinkIdentity,
    LinkRecordSpec,
    NamespacedName,
    Proof,
    Redeemer,
    SideClosing,
)
from pbx_operator.domain.records.facts import (
    Side,
    admits,
    closing_of,
    expired,
    first_closing,
    interlink_of,
    kept_by,
    other_side,
    wanted_policy,
)

MAX_FENCES = 8
ORPHAN_PERIOD = timedelta(hours=1)
"""How long a link waits for an object that vanished without a deletion being seen."""


# --- changes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leave:
    """The side's Interlink `uid` is being deleted, or its account is.

    Applies to every live record that names the Interlink or that it could adopt, which also voids an adoption
    in flight.  An unused key is revoked at once; a link closes now and ends after the window.
    """

    side: Side
    uid: str
    window: timedelta = timedelta(0)
    account_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Adopt:
    """The re-created Interlink `uid` takes the link up where its predecessor left it."""

    side: Side
    uid: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """The side's Interlink (or account) is gone and nobody saw its deletion."""

    side: Side


@dataclass(frozen=True, slots=True)
class Revoke:
    """The issuer withdraws an unused key."""

    side: Literal["issuer"] = "issuer"


@dataclass(frozen=True, slots=True)
class Fence:
    """The redeemer gives up: its link id may never succeed."""

    link_id: str
    instance: str
    account: NamespacedName
    interlink: InterlinkIdentity
    side: Literal["redeemer"] = "redeemer"


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """The issuer's demands changed while the key is unused."""

    account_ready: bool
    allowed_redeemers: tuple[AllowedRedeemer, ...]
    side: Literal["issuer"] = "issuer"


@dataclass(frozen=True, slots=True)
class RunTimers:
    """Something of the record may be due: the expiry of its key or the end of a closing."""

    side: Literal["issuer"] = "issuer"


@dataclass(frozen=True, slots=True)
class EndDuplicate:
    """Another live link of the same pair, or of the same Interlink, is kept instead of this one."""

    side: Side


@dataclass(frozen=True, slots=True)
class Confirm:
    """The issuer, another installation, says and proves that the key was redeemed by this link."""

    receipt: Proof
    side: None = None


@dataclass(frozen=True, slots=True)
class HearEnd:
    """The peer, another installation, says that the link is over, or will never be."""

    reason: EndReason
    side: None = None


@dataclass(frozen=True, slots=True)
class HearCancel:
    """The redeemer, of another installation, gave up this link, whatever became of its request."""

    link_id: str
    instance: str
    account: NamespacedName
    side: None = None


@dataclass(frozen=True, slots=True)
class Heal:
    """The redeemer shows our own proof of a redemption that our record does not know: it is from a backup."""

    redeemer: Redeemer
    side: None = None


FromPeer = Confirm | Heal | HearEnd | HearCancel
"""What another installation says; nothing of it is looked up in this cluster."""
Change = FromPeer | Leave | Adopt | Abandon | Revoke | Fence | SetPolicy | RunTimers | EndDuplicate


@dataclass(frozen=True, slots=True)
class Presence:
    """The side's Interlink, read from the API server after the record."""

    uid: str | None
    """The UID that the name stands for now; None if there is no such object."""
    deleting: bool = False
    account_absent: bool = False
    """The side's PBXAccount does not exist."""


def transition(spec: LinkRecordSpec, change: Change, present: Presence, now: datetime) -> LinkRecordSpec | None:
    """Return the record after the change, or None where it does not apply (any more)."""
    if spec.state == "Ended":
        return None
    match change:
        case Leave():
            return _leave(spec, change, present, now)
        case Adopt():
            return _adopt(spec, change, present)
        case Abandon():
            return _abandon(spec, change.side, present, now)
        case Revoke():
            return ended(spec, "Issuer", "Revoked", now) if spec.state == "Issued" else None
        case Fence():
            return _fence(spec, change, present, now)
        case SetPolicy():
            return _set_policy(spec, change)
        case RunTimers():
            return _run_timers(spec, now)
        case Confirm() | Heal() | HearEnd() | HearCancel():
            return _hear(spec, change, now)
        case EndDuplicate():
            return ended(spec, "Operator", "DuplicateLink", now) if spec.state == "Established" else None


def _leave(spec: LinkRecordSpec, change: Leave, present: Presence, now: datetime) -> LinkRecordSpec | None:
    recorded = interlink_of(spec, change.side)
    if recorded is None or not _may_leave(change, recorded, present):
        return None
    party = _party(change.side)
    if spec.state == "Requested":
        return ended(spec, party, "Cancelled", now)
    if spec.state == "Issued":
        return ended(spec, party, "AccountDeleted" if change.account_deleted else "Revoked", now)
    named = _with_uid(spec, change.side, change.uid)
    if change.account_deleted:
        return ended(named, party, "AccountDeleted", now)
    if not change.window:
        return ended(named, party, "Deleted", now)
    closing = closing_of(spec, change.side)
    if closing is not None and closing.uid == change.uid and closing.reason == "Deleted":
        return None
    return _close(named, change.side, change.uid, "Deleted", now, change.window)


def _may_leave(change: Leave, recorded: InterlinkIdentity, present: Presence) -> bool:
    """Whether the object that leaves is still the one at its place: a successor may have taken the link up."""
    if change.account_deleted:
        return change.uid in (recorded.uid, present.uid)
    return present.uid == change.uid and present.deleting


def _adopt(spec: LinkRecordSpec, change: Adopt, present: Presence) -> LinkRecordSpec | None:
    if interlink_of(spec, change.side) is None or spec.state == "Requested":
        return None
    if present.uid != change.uid or present.deleting or present.account_absent:
        return None
    adopted = _with_uid(spec, change.side, change.uid)
    adopted = adopted.model_copy(update={"closing": adopted.closing.model_copy(update={change.side: None})})
    return adopted if adopted != spec else None


def _abandon(spec: LinkRecordSpec, side: Side, present: Presence, now: datetime) -> LinkRecordSpec | None:
    recorded = interlink_of(spec, side)
    if recorded is None or (present.uid == recorded.uid and not present.account_absent):
        return None
    if spec.state == "Issued":
        return ended(spec, "Issuer", "Revoked", now) if present.uid != recorded.uid else None
    if spec.state == "Requested":
        return ended(spec, "Redeemer", "Cancelled", now) if present.uid != recorded.uid else None
    if closing_of(spec, side) is not None:
        return None
    return _close(spec, side, recorded.uid, "Orphaned", now, ORPHAN_PERIOD)


def _fence(spec: LinkRecordSpec, change: Fence, present: Presence, now: datetime) -> LinkRecordSpec | None:
    alive = present.uid == change.interlink.uid and not present.deleting
    return None if alive else _add_fence(spec, change.link_id, change.instance, change.account, now)


def _hear(spec: LinkRecordSpec, change: FromPeer, now: datetime) -> LinkRecordSpec | None:
    match change:
        case Confirm(receipt):
            confirmed = {"state": "Established", "receipt": receipt}
            return spec.model_copy(update=confirmed) if spec.state == "Requested" else None
        case Heal(redeemer):
            return _heal(spec, redeemer)
        case HearEnd(reason):
            return ended(spec, _party(other_side(kept_by(spec))), reason, now)
        case HearCancel():
            return _hear_cancel(spec, change, now)


def _heal(spec: LinkRecordSpec, redeemer: Redeemer) -> LinkRecordSpec | None:
    """Only an unused key can have been used after the backup; a fence says that its redeemer has given up since."""
    if spec.state != "Issued" or redeemer.link_id in spec.fences:
        return None
    return spec.model_copy(update={"state": "Established", "redeemer": redeemer})


def _hear_cancel(spec: LinkRecordSpec, change: HearCancel, now: datetime) -> LinkRecordSpec | None:
    if spec.redeemer is not None:
        same = (spec.redeemer.link_id, spec.redeemer.instance) == (change.link_id, change.instance)
        return ended(spec, "Redeemer", "Deleted", now) if same else None
    return _add_fence(spec, change.link_id, change.instance, change.account, now)


def _add_fence(
    spec: LinkRecordSpec, link_id: str, instance: str, account: NamespacedName, now: datetime
) -> LinkRecordSpec | None:
    admitted = admits(spec.policy.allowed_redeemers, spec.issuer.instance, instance, account)
    if not admitted or spec.state != "Issued" or link_id in spec.fences:
        return None
    if len(spec.fences) == MAX_FENCES:
        return ended(spec, "Operator", "FencesFull", now)
    return spec.model_copy(update={"fences": (*spec.fences, link_id)})


def _set_policy(spec: LinkRecordSpec, change: SetPolicy) -> LinkRecordSpec | None:
    policy = wanted_policy(spec, change.account_ready, change.allowed_redeemers)
    if spec.state != "Issued" or policy == spec.policy:
        return None
    return spec.model_copy(update={"policy": policy})


def _run_timers(spec: LinkRecordSpec, now: datetime) -> LinkRecordSpec | None:
    if spec.state == "Issued":
        return ended(spec, "Operator", "KeyExpired", now) if expired(spec, now) else None
    due = first_closing(spec)
    if due is None or due[1].ends_at > now:
        return None
    side, closing = due
    return ended(spec, _party(side), closing.reason, now)


def _party(side: Side) -> EndParty:
    return "Issuer" if side == "issuer" else "Redeemer"


def concerned(spec: LinkRecordSpec, change: Change) -> InterlinkIdentity | None:
    """Return the Interlink that must be looked at before the change is judged; None if there is none of ours."""
    match change:
        case Fence():
            return change.interlink
        case RunTimers():
            return interlink_of(spec, kept_by(spec))
        case Confirm() | Heal() | HearEnd() | HearCancel():
            return None
    return interlink_of(spec, change.side)


def ended(spec: LinkRecordSpec, by: EndParty, reason: EndReason, now: datetime) -> LinkRecordSpec:
    """Return the record with its end; nothing but `status.replay` changes after that."""
    end = End(by=by, reason=reason, time=now.replace(microsecond=0))
    return spec.model_copy(update={"state": "Ended", "end": end})


def _close(
    spec: LinkRecordSpec,
    side: Side,
    uid: str,
    reason: Literal["Deleted", "Orphaned"],
    now: datetime,
    period: timedelta,
) -> LinkRecordSpec:
    since = now.replace(microsecond=0)
    closing = SideClosing(uid=uid, reason=reason, since=since, ends_at=since + period)
    return spec.model_copy(update={"closing": Closing(**{**dict(spec.closing), side: closing})})


def _with_uid(spec: LinkRecordSpec, side: Side, uid: str) -> LinkRecordSpec:
    if side == "issuer":
        if spec.issuer.interlink is None:
            return spec
        interlink = spec.issuer.interlink.model_copy(update={"uid": uid})
        return spec.model_copy(update={"issuer": spec.issuer.model_copy(update={"interlink": interlink})})
    if spec.redeemer is None:
        return spec
    interlink = spec.redeemer.interlink.model_copy(update={"uid": uid})
    return spec.model_copy(update={"redeemer": spec.redeemer.model_copy(update={"interlink": interlink})})
