"""Whether a link is ready, and if not, the nearest reason: the one verdict that everybody looks at first.

The order of the questions is the rule: how the last link ended, what became of the account, what the live record
says, what was lost, and only then what a new link still waits for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from pbx_operator.api import reasons
from pbx_operator.api.meta import ConditionStatus, ObjectKey
from pbx_operator.api.reasons import Reason, Verdict, verdict
from pbx_operator.api.v1alpha1.interlink import Ended, Interlink
from pbx_operator.api.v1alpha1.linkrecord import EndReason, LinkRecord
from pbx_operator.domain.claims import secret_name_taken
from pbx_operator.domain.conditions import find
from pbx_operator.domain.links.facts import (
    LinkSnapshot,
    RedeemTry,
    account_ready,
    established_of,
    follows_peer,
    generated_key_lost,
    issued_of,
    issued_too_late,
    key_reference,
    key_secret_name,
    last_ended_of,
    mine,
    side_of,
)
from pbx_operator.domain.protocol.keys import SECRET_ENTRY
from pbx_operator.domain.records.facts import SIDES, Party, Side, account_of, interlink_of, pair_of
from pbx_operator.domain.records.redemption import Busy, Gone, Linked, Refused, Unknown, Unproven, Unreachable, Used

_REDEEMING = "the key is being redeemed"
_LATER_END = "set a later spec.issueKey.expirationTime"
_AFTER_RESTORE = "10 minutes after the operator was started with --after-restore"


class View(NamedTuple):
    """The conclusions that the parts of a status share."""

    snapshot: LinkSnapshot
    link: Interlink
    current: LinkRecord | None
    """The live record of this object."""
    ended: LinkRecord | None
    """The record of its last link, if none is live."""


def view_of(s: LinkSnapshot, link: Interlink) -> View:
    """Return what the parts of the object's status are made from."""
    ours = mine(s, link)
    current = established_of(ours) or issued_of(ours)
    return View(s, link, current, last_ended_of(ours) if current is None else None)


def ready_verdict(v: View, now: datetime) -> Verdict:
    """Return Ready, with the nearest reason."""
    s, link = v.snapshot, v.link
    account = link.spec.account_ref.name
    over = _over(v)
    if over is not None:
        return over
    if s.account_metadata is None:
        return _not_ready(reasons.REF_NOT_FOUND, name=account, next_step=reasons.OTHER_ACCOUNT)
    if s.account_metadata.deleting:
        return _not_ready(reasons.ACCOUNT_DELETED, name=account, next_step="delete this Interlink")
    if v.current is not None and v.current.spec.state == "Established":
        return verdict("Ready", *linked(v.current))
    if v.current is not None:
        return _waiting_for_peer(v, v.current)
    if record_lost(v):
        return _not_ready(reasons.RECORD_LOST, key_id=link.status.key_id, next_step=_next_key(link))
    if not account_ready(s.account):
        return _not_ready(reasons.ACCOUNT_NOT_READY, name=account)
    if s.cluster.identity_lost:
        return _not_ready(reasons.IDENTITY_LOST, identity=s.cluster.identity)
    return _starting(v, now) if link.role == "Issuer" else _redeeming(v, now)


def gone_with_peer() -> Verdict:
    """Return why an Interlink is deleted that follows its peer; no status shows it any more."""
    return _not_ready(reasons.ENDED_BY_PEER, next_step="spec.onPeerDeletion is Delete, so this Interlink goes, too")


def _not_ready(reason: Reason, **facts: object) -> Verdict:
    return verdict("Ready", "False", reason, **facts)


def linked(record: LinkRecord) -> tuple[ConditionStatus, Reason]:
    """Return whether a link that we know is one for its peer, too."""
    return ("False", reasons.PEER_FORGOT) if record.status.peer_knows == "Unknown" else ("True", reasons.ESTABLISHED)


def _waiting_for_peer(v: View, unused: LinkRecord) -> Verdict:
    issue = v.link.spec.issue_key
    secret = key_secret_name(v.link)
    if generated_key_lost(v.snapshot, v.link, unused):
        return _not_ready(reasons.SECRET_MISSING, secret=secret, entry=SECRET_ENTRY, next_step=_next_key(v.link))
    if issue is not None and issue.ready_when == "Established":
        return _not_ready(reasons.AWAITING_PEER, secret=secret)
    return verdict("Ready", "True", reasons.KEY_ISSUED, secret=secret)


def _starting(v: View, now: datetime) -> Verdict:
    """Return what an issuer without a record waits for."""
    s, attempts = v.snapshot, v.snapshot.attempts
    if not s.cluster.confirmed:
        return _not_ready(reasons.CLUSTER_UNCONFIRMED, identity=s.cluster.identity)
    if key_reference(v.link) is not None:
        problem = _key_problem(v)
        if problem is not None:
            return problem
        shown = attempts.look.key_id if attempts.look is not None else None
        if shown is not None and (s.shown_record is not None or shown == v.link.status.key_id):
            next_step = f"put a new key into Secret {key_secret_name(v.link)}"
            return _not_ready(reasons.KEY_ALREADY_USED, key_id=shown, next_step=next_step)
    if issued_too_late(v.link, now):
        return _not_ready(reasons.KEY_EXPIRED, next_step=_LATER_END)
    if attempts.mint is not None and attempts.mint.problem == "SecretNameTaken":
        return secret_name_taken(key_secret_name(v.link), attempts.mint.holder, "spec.issueKey.secretName")
    if attempts.mint is not None and attempts.mint.problem == "WaitingForCleanup":
        return _not_ready(reasons.WAITING_FOR_CLEANUP, thing=f"Secret {key_secret_name(v.link)}")
    if s.cluster.restoring(now):
        return _not_ready(reasons.ISSUING, progress=f"a backup is being restored: the key is issued {_AFTER_RESTORE}")
    return _not_ready(reasons.ISSUING, progress="the key is being issued")


def _key_problem(v: View) -> Verdict | None:
    look, reference = v.snapshot.attempts.look, key_reference(v.link)
    if look is None or reference is None or look.found == "Key":
        return None
    if look.found == "Missing":
        facts = {"secret": reference.name, "entry": reference.key}
        next_step = f"{look.problem}: add it" if look.problem else "create it with the key text in it"
        return _not_ready(reasons.SECRET_MISSING, **facts, next_step=next_step)
    return _not_ready(reasons.KEY_MALFORMED, secret=reference.name, entry=reference.key, problem=look.problem)


def _redeeming(v: View, now: datetime) -> Verdict:
    """Return what a redeemer that has not linked waits for."""
    problem = _key_problem(v)
    if problem is not None:
        return problem
    last, look = v.snapshot.attempts.redeem, v.snapshot.attempts.look
    if v.snapshot.spent_elsewhere and look is not None:
        return _not_ready(reasons.KEY_ALREADY_USED, key_id=look.key_id, next_step=_next_key(v.link))
    if last is not None and look is not None and last.key_id == look.key_id:
        return _answered(v, last)
    if _asked_again(v):
        return _not_ready(reasons.PEER_UNAVAILABLE)
    if v.snapshot.cluster.restoring(now):
        progress = f"a backup is being restored: the key is redeemed {_AFTER_RESTORE}"
        return _not_ready(reasons.REDEEMING, progress=progress)
    return _not_ready(reasons.REDEEMING, progress=_REDEEMING)


def _asked_again(v: View) -> bool:
    """Whether the key is on its way to an issuer that could not be reached, say, before the operator started anew.

    What is shown stays until there is an answer, or each start would look as if the issuer were back.
    """
    asking, shown = v.snapshot.attempts.asking, find(v.link.status.conditions, "Ready")
    unavailable = shown is not None and shown.reason == reasons.PEER_UNAVAILABLE.name
    return unavailable and asking is not None and asking == v.link.status.key_id


def _answered(v: View, last: RedeemTry) -> Verdict:
    """Return what the issuer's side said last."""
    facts = {"key_id": last.key_id, "next_step": _next_key(v.link)}
    match last.result:
        case Used():
            return _not_ready(reasons.KEY_ALREADY_USED, **facts)
        case Gone(reason):
            return _not_ready(_void_key(reason), **facts)
        case Refused():
            return _not_ready(reasons.SELF_LINK, secret=key_secret_name(v.link))
        case Busy("DuplicateLink"):
            return _not_ready(reasons.DUPLICATE_LINK, other=_other_link(v))
        case Busy("RedeemerNotAllowed"):
            return _not_ready(reasons.REDEEMER_NOT_ALLOWED, instance=v.snapshot.cluster.instance)
        case Busy(reason):
            return _not_ready(reasons.PEER_BUSY, detail=_BUSY[reason])
        case Unreachable() | Unproven():
            return _not_ready(reasons.PEER_UNAVAILABLE)
        case Unknown():
            return _not_ready(reasons.KEY_UNKNOWN, key_id=last.key_id)
        case Linked():
            return _not_ready(reasons.REDEEMING, progress=_REDEEMING)


_BUSY = {
    "IssuerAbsent": "the Interlink that issued the key is missing",
    "Closing": "it is ending the link",
    "AccountNotReady": "its account is not ready",
    "TooManyRecords": "its namespace has too many links",
    "Restoring": "a backup is being restored",
    "Contended": "too many requests came at once",
}


def _other_link(v: View) -> str:
    """Return, for people, the other link of the two accounts: by its Interlink of our account, in our namespace."""
    joining = v.ended or v.snapshot.shown_record
    if joining is None:
        return "the other one"
    own = ObjectKey(v.snapshot.key.namespace, v.link.spec.account_ref.name)
    pair = (pair_of(joining.spec) or frozenset()) | {Party(v.snapshot.cluster.instance, own)}
    names = [
        named.name
        for rival in v.snapshot.rivals
        for side in SIDES
        if pair_of(rival.spec) == pair and (account := account_of(rival.spec, side)) and account.key == own
        if (named := interlink_of(rival.spec, side)) is not None
    ]
    return f"Interlink {min(names)}" if names else "the other one"


def _void_key(end: EndReason | Literal["Cancelled"]) -> Reason:
    """Return what a redeemer learns about a key that nobody can use any more."""
    if end == "KeyExpired":
        return reasons.KEY_EXPIRED
    used = end in ("AlreadyUsed", "Deleted", "Orphaned", "DuplicateLink")
    return reasons.KEY_ALREADY_USED if used else reasons.KEY_REVOKED


# --- ended links ------------------------------------------------------------------------------------------------


def _over(v: View) -> Verdict | None:
    """Return how the last link ended, by its record or, once that is purged, by the status, while nothing new began.

    It goes before whatever the account is like: links of a deleted account stay ended when it is gone.
    """
    if v.current is not None or not is_over(v):
        return None
    ended = ended_field(v.ended, side_of(v.link)) if v.ended is not None else v.link.status.ended
    key_id = v.ended.spec.key_id if v.ended is not None else v.link.status.key_id
    if ended is None:
        return None
    reason = _end_reason(ended)
    return _not_ready(reason, **_end_facts(v, reason, key_id))


def is_over(v: View) -> bool:
    """Whether the wish that the last link fulfilled still stands; a new revision or key is a new wish."""
    status = v.link.status
    if v.ended is not None:
        return _same_wish(v, v.ended.spec.revision, v.ended.spec.key_id)
    return status.ended is not None and _same_wish(v, status.key_revision, status.key_id)


def _end_facts(v: View, reason: Reason, key_id: str | None) -> dict[str, object]:
    issue, next_step = v.link.spec.issue_key, _next_key(v.link)
    if reason is reasons.KEY_EXPIRED and issue is not None and issue.expiration_time is not None:
        next_step = f"{_LATER_END}, and {next_step}"
    if reason is reasons.ENDED_BY_PEER and _is_held_by_protection(v.link):
        next_step = f"set spec.deletionProtection to Disabled and delete this Interlink, or {next_step}"
    if reason is reasons.ENDED_AS_DUPLICATE:
        next_step = f"delete this Interlink; or delete {_other_link(v)}, and {next_step}"
    if reason is reasons.ACCOUNT_DELETED:
        next_step = f"delete this Interlink, or {_with_account(v)}{next_step}"
    return {
        "key_id": key_id,
        "name": v.link.spec.account_ref.name,
        "next_step": next_step,
    }


def _is_held_by_protection(link: Interlink) -> bool:
    """Whether the object would have gone with its peer's, were it not protected."""
    return link.spec.on_peer_deletion == "Delete" and not follows_peer(link)


def _with_account(v: View) -> str:
    """Return what else a new link needs where the account is gone."""
    metadata = v.snapshot.account_metadata
    missing = metadata is None or metadata.deleting
    return f"create PBXAccount {v.link.spec.account_ref.name} again and " if missing else ""


def _end_reason(ended: Ended) -> Reason:
    """Return the Ready reason of an ended link, per side."""
    if ended.reason in ("Deleted", "AccountDeleted", "Orphaned"):
        return reasons.ENDED_BY_PEER if ended.by == "Peer" else reasons.ACCOUNT_DELETED
    by_reason = {
        "KeyExpired": reasons.KEY_EXPIRED,
        "DuplicateLink": reasons.ENDED_AS_DUPLICATE,
        "AlreadyUsed": reasons.KEY_ALREADY_USED,
    }
    return by_reason.get(ended.reason, reasons.KEY_REVOKED)


def ended_field(record: LinkRecord, side: Side) -> Ended | None:
    """Return the end as this side sees it; None while the record has none."""
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
    return f"ask the issuing side for a new key and put it into Secret {key_secret_name(link)}"


def _same_wish(v: View, revision: int | None, key_id: str | None) -> bool:
    """Whether the object still asks for what this revision, or this key, was the answer to."""
    issue, look = v.link.spec.issue_key, v.snapshot.attempts.look
    if issue is not None:
        return revision is not None and revision >= issue.revision
    return look is None or look.key_id in (None, key_id)


def record_lost(v: View) -> bool:
    """Whether the status tells of a key or link that no record knows."""
    status = v.link.status
    known = status.link_id if v.link.role == "Redeemer" else status.key_id
    if known is None or status.ended is not None or mine(v.snapshot, v.link):
        return False
    return _same_wish(v, status.key_revision, status.key_id)
