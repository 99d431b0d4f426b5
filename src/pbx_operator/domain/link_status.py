"""What an Interlink's status says: derived from the same snapshot as the plan, never an input to it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from pbx_operator.api import reasons
from pbx_operator.api.meta import ConditionStatus
from pbx_operator.api.reasons import GRACE, Reason, Verdict, verdict
from pbx_operator.api.v1alpha1.interlink import Ended, Interlink, InterlinkStatus, LinkState, Peer
from pbx_operator.api.v1alpha1.linkrecord import EndReason, LinkRecord, SideReport
from pbx_operator.api.v1alpha1.shared import GateState
from pbx_operator.domain.conditions import merge, stalled, summarize
from pbx_operator.domain.gate import closed_because
from pbx_operator.domain.link_facts import (
    LinkSnapshot,
    RedeemTry,
    account_ready,
    established_of,
    issued_of,
    issued_too_late,
    key_reference,
    key_secret_name,
    last_ended_of,
    mine,
    side_of,
)
from pbx_operator.domain.prefixes import prefix_verdict
from pbx_operator.domain.record import Side, account_of, other_side, peer_instance
from pbx_operator.domain.redemption import Busy, Gone, Linked, Refused, Unknown, Unreachable, Used

_LATER_END = "set a later spec.issueKey.expirationTime"


class _View(NamedTuple):
    """The conclusions that the parts of a status share."""

    snapshot: LinkSnapshot
    link: Interlink
    current: LinkRecord | None
    """The live record of this object."""
    ended: LinkRecord | None
    """The record of its last link, if none is live."""


def link_status(s: LinkSnapshot, link: Interlink, now: datetime) -> tuple[InterlinkStatus, datetime | None]:
    """Return the status to show, and when patience with its reason runs out."""
    ours = mine(s, link)
    current = established_of(ours) or issued_of(ours)
    view = _View(s, link, current, last_ended_of(ours) if current is None else None)
    ready = _ready(view, now)
    since = s.since[1] if s.since is not None and s.since[0] == ready.reason.name else now
    is_stalled = stalled(ready.reason, link.status.conditions, since, now)
    verdicts = [*summarize(ready, is_stalled=is_stalled), *_details(view, ready, now)]
    generation = link.metadata.generation
    status = link.status.model_copy(
        update={
            **_facts(view),
            "observed_generation": generation,
            "last_handled_reconcile_at": link.metadata.reconcile_requested_at,
            "conditions": merge(link.status.conditions, verdicts, generation, now),
        }
    )
    impatient = ready.reason.patience is reasons.Patience.GRACE and not is_stalled
    return status, since + GRACE if impatient else None


# --- Ready ------------------------------------------------------------------------------------------------------


def _ready(v: _View, now: datetime) -> Verdict:
    s, link = v.snapshot, v.link
    account = link.spec.account_ref.name
    over = _over(v)
    if over is not None:
        return over
    if s.account_metadata is None:
        return _not_ready(reasons.REF_NOT_FOUND, name=account)
    if s.account_metadata.deleting:
        return _not_ready(reasons.ACCOUNT_DELETED, name=account)
    if v.current is not None and v.current.spec.state == "Established":
        return verdict("Ready", *_linked(v.current))
    if v.current is not None:
        return _waiting_for_peer(v)
    if _record_lost(v):
        return _not_ready(reasons.RECORD_LOST, key_id=link.status.key_id, next_step=_next_key(link))
    if not account_ready(s.account):
        return _not_ready(reasons.ACCOUNT_NOT_READY, name=account)
    if s.cluster.identity_lost:
        return _not_ready(reasons.IDENTITY_LOST)
    return _starting(v, now) if link.role == "Issuer" else _redeeming(v)


def _not_ready(reason: Reason, **facts: object) -> Verdict:
    return verdict("Ready", "False", reason, **facts)


def _linked(record: LinkRecord) -> tuple[ConditionStatus, Reason]:
    """Return whether a link that we know is one for its peer, too."""
    return ("False", reasons.PEER_FORGOT) if record.status.peer_knows == "Unknown" else ("True", reasons.ESTABLISHED)


def _waiting_for_peer(v: _View) -> Verdict:
    issue = v.link.spec.issue_key
    secret = key_secret_name(v.link)
    if issue is not None and issue.ready_when == "Established":
        return _not_ready(reasons.AWAITING_PEER, secret=secret)
    return verdict("Ready", "True", reasons.KEY_ISSUED, secret=secret)


def _starting(v: _View, now: datetime) -> Verdict:
    """An issuer without a record."""
    s, attempts = v.snapshot, v.snapshot.attempts
    if not s.cluster.confirmed:
        return _not_ready(reasons.CLUSTER_UNCONFIRMED)
    if key_reference(v.link) is not None:
        problem = _key_problem(v)
        if problem is not None:
            return problem
        shown = attempts.look.key_id if attempts.look is not None else None
        if shown is not None and (s.shown_record is not None or shown == v.link.status.key_id):
            return _not_ready(reasons.KEY_ALREADY_USED, key_id=shown, secret=key_secret_name(v.link))
    if issued_too_late(v.link, now):
        return _not_ready(reasons.KEY_EXPIRED, next_step=_LATER_END)
    if attempts.mint is not None and attempts.mint.problem == "SecretNameTaken":
        return _not_ready(reasons.SECRET_NAME_TAKEN, secret=key_secret_name(v.link))
    if attempts.mint is not None and attempts.mint.problem == "WaitingForCleanup":
        return _not_ready(reasons.WAITING_FOR_CLEANUP, thing=f"Secret {key_secret_name(v.link)}")
    return _not_ready(reasons.ISSUING)


def _key_problem(v: _View) -> Verdict | None:
    look, reference = v.snapshot.attempts.look, key_reference(v.link)
    if look is None or reference is None or look.found == "Key":
        return None
    if look.found == "Missing":
        return _not_ready(reasons.SECRET_MISSING, secret=reference.name, entry=reference.key)
    return _not_ready(reasons.KEY_MALFORMED, secret=reference.name, entry=reference.key, problem=look.problem)


def _redeeming(v: _View) -> Verdict:
    """A redeemer that has not linked."""
    problem = _key_problem(v)
    if problem is not None:
        return problem
    last, look = v.snapshot.attempts.redeem, v.snapshot.attempts.look
    if v.snapshot.spent_elsewhere and look is not None:
        return _not_ready(reasons.KEY_ALREADY_USED, key_id=look.key_id, secret=key_secret_name(v.link))
    if last is None or look is None or last.key_id != look.key_id:
        return _not_ready(reasons.REDEEMING)
    return _answered(v, last)


def _answered(v: _View, last: RedeemTry) -> Verdict:
    """What the issuer's side said last."""
    facts = {"key_id": last.key_id, "secret": key_secret_name(v.link)}
    match last.result:
        case Used():
            return _not_ready(reasons.KEY_ALREADY_USED, **facts)
        case Gone(reason):
            return _not_ready(_void_key(reason), **facts, next_step=_next_key(v.link))
        case Refused():
            return _not_ready(reasons.SELF_LINK)
        case Busy("DuplicateLink"):
            return _not_ready(reasons.DUPLICATE_LINK, next_step="delete this Interlink, or the other one first")
        case Busy("RedeemerNotAllowed"):
            return _not_ready(reasons.REDEEMER_NOT_ALLOWED)
        case Busy(reason):
            return _not_ready(reasons.PEER_BUSY, detail=_BUSY[reason])
        case Unreachable():
            return _not_ready(reasons.PEER_UNAVAILABLE)
        case Unknown():
            return _not_ready(reasons.KEY_UNKNOWN, key_id=last.key_id)
        case Linked() | None:
            return _not_ready(reasons.REDEEMING)


_BUSY = {
    "IssuerAbsent": "the Interlink that issued the key is missing",
    "Closing": "it is ending the link",
    "AccountNotReady": "its account is not ready",
    "TooManyRecords": "its namespace has too many links",
    "Restoring": "a backup is being restored",
    "Contended": "too many requests came at once",
}


def _void_key(end: EndReason | Literal["Cancelled"]) -> Reason:
    """Return what a redeemer learns about a key that nobody can use any more."""
    if end == "KeyExpired":
        return reasons.KEY_EXPIRED
    used = end in ("AlreadyUsed", "Deleted", "Orphaned", "DuplicateLink")
    return reasons.KEY_ALREADY_USED if used else reasons.KEY_REVOKED


# --- ended links ------------------------------------------------------------------------------------------------


def _over(v: _View) -> Verdict | None:
    """Return how the last link ended, by its record or, once that is purged, by the status, while nothing new began.

    It goes before whatever the account is like: links of a deleted account stay ended when it is gone.
    """
    if v.current is not None or not _is_over(v):
        return None
    ended = _ended_field(v.ended, side_of(v.link)) if v.ended is not None else v.link.status.ended
    key_id = v.ended.spec.key_id if v.ended is not None else v.link.status.key_id
    if ended is None:
        return None
    reason = _end_reason(ended)
    return _not_ready(reason, **_end_facts(v, reason, key_id))


def _is_over(v: _View) -> bool:
    """Whether the wish that the last link fulfilled still stands; a new revision or key is a new wish."""
    if v.ended is not None:
        return _same_key_still(v, v.ended)
    return v.link.status.ended is not None and _same_key_shown(v)


def _end_facts(v: _View, reason: Reason, key_id: str | None) -> dict[str, object]:
    issue, next_step = v.link.spec.issue_key, _next_key(v.link)
    if reason is reasons.KEY_EXPIRED and issue is not None and issue.expiration_time is not None:
        next_step = f"{_LATER_END}, and {next_step}"
    if reason is reasons.DUPLICATE_LINK:
        next_step = f"delete this Interlink; or end the other link, and {next_step}"
    return {
        "key_id": key_id,
        "secret": key_secret_name(v.link),
        "name": v.link.spec.account_ref.name,
        "next_step": next_step,
    }


def _end_reason(ended: Ended) -> Reason:
    """Return the Ready reason of an ended link, per side."""
    if ended.reason in ("Deleted", "AccountDeleted", "Orphaned"):
        return reasons.ENDED_BY_PEER if ended.by == "Peer" else reasons.ACCOUNT_DELETED
    by_reason = {
        "KeyExpired": reasons.KEY_EXPIRED,
        "DuplicateLink": reasons.DUPLICATE_LINK,
        "AlreadyUsed": reasons.KEY_ALREADY_USED,
    }
    return by_reason.get(ended.reason, reasons.KEY_REVOKED)


def _ended_field(record: LinkRecord, side: Side) -> Ended | None:
    end = record.spec.end
    if end is None:
        return None
    own = "Issuer" if side == "issuer" else "Redeemer"
    return Ended(by="Local" if end.by in (own, "Operator") else "Peer", reason=end.reason, time=end.time)


def _next_key(link: Interlink) -> str:
    if link.role == "Issuer" and key_reference(link) is None:
        return "raise spec.issueKey.revision for a new key"
    if link.role == "Issuer":
        return f"put a new key into Secret {key_secret_name(link)} and raise spec.issueKey.revision"
    return f"ask for a new key and put it into Secret {key_secret_name(link)}"


def _same_key_still(v: _View, ended: LinkRecord) -> bool:
    issue = v.link.spec.issue_key
    if issue is not None:
        return ended.spec.revision >= issue.revision
    look = v.snapshot.attempts.look
    return look is None or look.key_id in (None, ended.spec.key_id)


def _same_key_shown(v: _View) -> bool:
    issue, status = v.link.spec.issue_key, v.link.status
    if issue is not None:
        return status.key_revision is not None and status.key_revision >= issue.revision
    look = v.snapshot.attempts.look
    return look is None or look.key_id in (None, status.key_id)


def _record_lost(v: _View) -> bool:
    """Whether the status tells of a key or link that no record knows."""
    status = v.link.status
    known = status.link_id if v.link.role == "Redeemer" else status.key_id
    if known is None or status.ended is not None or mine(v.snapshot, v.link):
        return False
    return _same_key_shown(v)


# --- the other conditions ---------------------------------------------------------------------------------------


def _details(v: _View, ready: Verdict, now: datetime) -> list[Verdict]:
    verdicts = [_accepted(v), _resolved(v, ready), _established(v, ready), _calls_allowed(v)]
    if v.link.role == "Issuer":
        verdicts.append(_key_issued(v))
    return [*verdicts, *_reachable(v)]


def _reachable(v: _View) -> list[Verdict]:
    reachable = v.snapshot.peer_reachable
    if reachable is None or v.current is None or peer_instance(v.current.spec) is None:
        return []
    if reachable:
        return [verdict("PeerReachable", "True", reasons.PEER_REACHABLE)]
    return [verdict("PeerReachable", "Unknown", reasons.PEER_UNREACHABLE)]


def _accepted(v: _View) -> Verdict:
    s, prefix = v.snapshot, v.link.spec.dial_prefix
    if s.account is not None and prefix is not None:
        problem = prefix_verdict(s.account, prefix)
        if problem is not None:
            return problem
        if s.older_prefix_holder is not None:
            facts = {"prefix": prefix, "holder": s.older_prefix_holder}
            return verdict("Accepted", "False", reasons.DIAL_PREFIX_CONFLICT, **facts)
    return verdict("Accepted", "True", reasons.ACCEPTED)


def _resolved(v: _View, ready: Verdict) -> Verdict:
    if ready.reason in (reasons.REF_NOT_FOUND, reasons.SECRET_MISSING):
        return Verdict("ResolvedRefs", "False", ready.reason, ready.message)
    return verdict("ResolvedRefs", "True", reasons.RESOLVED)


def _established(v: _View, ready: Verdict) -> Verdict:
    if v.current is not None and v.current.spec.state == "Established":
        return verdict("Established", *_linked(v.current))
    if v.current is not None:
        return verdict("Established", "False", reasons.AWAITING_PEER, secret=key_secret_name(v.link))
    return Verdict("Established", "False", ready.reason, ready.message)


def _calls_allowed(v: _View) -> Verdict:
    closed = closed_because(v.snapshot, v.link, v.current)
    return verdict("CallsAllowed", "False", closed) if closed else verdict("CallsAllowed", "True", reasons.GATE_OPEN)


def _key_issued(v: _View) -> Verdict:
    issue = v.link.spec.issue_key
    if v.current is not None and issue is not None and v.current.spec.revision < issue.revision:
        return verdict("KeyIssued", "True", reasons.REVISION_WAITS, revision=issue.revision)
    if v.current is not None:
        return verdict("KeyIssued", "True", reasons.KEY_ISSUED_ONCE)
    return verdict("KeyIssued", "False", reasons.ENDED if v.ended is not None else reasons.NO_KEY_YET)


# --- facts ------------------------------------------------------------------------------------------------------


def _facts(v: _View) -> dict[str, object]:
    """Return the status fields beside the conditions; what is not known any more keeps its last value."""
    s, link = v.snapshot, v.link
    record = v.current or (v.ended if _is_over(v) else None)
    facts: dict[str, object] = {"role": link.role, "state": _state(v), "gate": _gate(v)}
    if record is not None:
        facts |= _record_facts(v, record)
    elif s.attempts.look is not None and s.attempts.look.key_id is not None and not _record_lost(v):
        facts |= _pending_redeemer_facts(v, s.attempts.look.key_id)
    return facts


def _pending_redeemer_facts(v: _View, key_id: str) -> dict[str, object]:
    if v.link.role == "Issuer" or key_id == v.link.status.key_id:
        return {}
    old = ("issued_time", "expiration_time", "established_time", "link_id", "peer", "ended")
    return {**dict.fromkeys(old), "key_id": key_id, "key_secret_name": key_secret_name(v.link)}


def _record_facts(v: _View, record: LinkRecord) -> dict[str, object]:
    s, link, spec = v.snapshot, v.link, record.spec
    spent = spec.state != "Issued" and spec.origin == "Generated" and link.role == "Issuer"
    return {
        "key_id": spec.key_id,
        "key_revision": spec.revision if link.role == "Issuer" else None,
        "key_secret_name": None if spent else key_secret_name(link),
        "issued_time": spec.issued_time,
        "expiration_time": spec.policy.expiration_time,
        "established_time": spec.redeemer.time if spec.redeemer else None,
        "link_id": spec.redeemer.link_id if spec.redeemer else None,
        "peer": _peer(s, record, side_of(link)),
        "ended": _ended_field(record, side_of(link)),
    }


def _peer(s: LinkSnapshot, record: LinkRecord, side: Side) -> Peer | None:
    """Return the other end; the issuer learns it at redemption."""
    redeemer = record.spec.redeemer
    if redeemer is None:
        return None
    other, heard = other_side(side), record.status.heard
    instance = redeemer.instance if side == "issuer" else record.spec.issuer.instance
    if peer_instance(record.spec) is not None:
        told = heard or SideReport()
        return Peer(account=told.account, display_name=told.display_name, sip_domain=told.sip_domain, instance=instance)
    owner = account_of(record.spec, other)
    account = s.accounts.get(owner.key) if owner else None
    return Peer(
        account=owner.name if owner else None,
        display_name=account.spec.display_name if account else None,
        sip_domain=account.status.sip_domain if account else None,
        instance=instance,
    )


def _state(v: _View) -> LinkState:
    if v.current is not None:
        return "Established" if v.current.spec.state == "Established" else "Pending"
    last = v.snapshot.attempts.redeem
    spent = last is not None and isinstance(last.result, Used | Gone) and not _key_changed(v, last.key_id)
    return "Ended" if spent or _is_over(v) else "Pending"


def _key_changed(v: _View, key_id: str) -> bool:
    look = v.snapshot.attempts.look
    return look is not None and look.key_id not in (None, key_id)


def _gate(v: _View) -> GateState:
    return "Closed" if closed_because(v.snapshot, v.link, v.current) else "Open"
