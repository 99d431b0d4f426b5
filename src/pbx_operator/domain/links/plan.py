"""What to do about one Interlink: adopt, issue, redeem, keep; and in which order all of it happens.

`plan_link` owns one Interlink and its side of every record that names its place.  The engine carries the
actions out, gathers again and plans again until there is nothing left to do; only then is the status written.
How links end is in `ending`, what a status says in `status`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1.interlink import Interlink
from pbx_operator.api.v1alpha1.linkrecord import LinkRecord
from pbx_operator.domain.links import ending
from pbx_operator.domain.links.ending import read_key
from pbx_operator.domain.links.facts import (
    LinkSnapshot,
    account_ready,
    adoptable,
    established_of,
    issued_of,
    issued_too_late,
    key_reference,
    key_secret_name,
    last_ended_of,
    live,
    mine,
    next_secret_look,
    side_of,
)
from pbx_operator.domain.links.status import link_status
from pbx_operator.domain.links.told import tell_peer
from pbx_operator.domain.plan import (
    AddFinalizer,
    ChangeRecord,
    DeleteInterlink,
    DeleteSpentSecret,
    IssueOwnKey,
    LinkAction,
    MintKey,
    Plan,
    PurgeRecord,
    ReadKey,
    Redeem,
    RemoveFinalizer,
    StatusUpdate,
    TellPeer,
    earliest,
    target_of,
)
from pbx_operator.domain.records.facts import closing_of, interlink_of, pair_of, wanted_policy
from pbx_operator.domain.records.machine import Abandon, Adopt, EndDuplicate, Leave, Revoke, RunTimers, SetPolicy
from pbx_operator.domain.records.redemption import Gone, Linked, Refused, Used
from pbx_operator.domain.records.reports import link_seniority
from pbx_operator.domain.unreadable import Unreadable, show_unreadable

SWEEP_PERIOD = timedelta(minutes=10)
"""For so long after a key was spent, the write of a process that died may still bring its Secret back."""
DELETION_PERIOD = timedelta(seconds=10)
"""How long the deletion of an object whose peer ended the link may take before its gate is shown as closed."""


def plan_link(s: LinkSnapshot, now: datetime) -> Plan:
    """Return what to do about an Interlink now, what its status should show, and when to look again.

    The status counts only if there are no actions.
    """
    actions = tuple(a for a in _actions(s, now) if not _held_back(a, s, now))
    wake = _next_look(s, now)
    link = s.interlink
    if link is None or link.metadata.deleting or (actions and not _must_close_first(s, link, actions, now)):
        return Plan(actions, (), wake)
    status, look_again = link_status(s, link, now)
    return Plan((), (StatusUpdate(target_of(link), status),), earliest(wake, look_again))


def plan_unreadable(s: LinkSnapshot, unreadable: Unreadable, now: datetime) -> Plan:
    """Return what can be done about an Interlink that cannot be read: say so, let it go, and run its timers."""
    metadata = unreadable.metadata
    end = ending.unreadable(s, metadata) if metadata.deleting else []
    actions = tuple(a for a in [*end, *ending.timers(s, now)] if not _held_back(a, s, now))
    statuses = () if actions or metadata.deleting else (show_unreadable(unreadable, now),)
    return Plan(actions, statuses, _next_look(s, now))


def _must_close_first(s: LinkSnapshot, link: Interlink, actions: tuple[LinkAction, ...], now: datetime) -> bool:
    """Whether the status still shows the gate of a link that is over, and what is to be done next may never succeed.

    Beginning a new link may fail again and again.  An object that follows its peer is normally gone at once, and
    needs no last status; after a while somebody seems to refuse its deletion.  One whose account is deleted stays, and
    its peer learns of the end at once.
    """
    if link.status.gate != "Open":
        return False
    if any(isinstance(a, ChangeRecord) and isinstance(a.change, Leave) for a in actions):
        return True
    if any(isinstance(a, DeleteInterlink) for a in actions):
        over = last_ended_of(mine(s, link))
        return over is not None and over.spec.end is not None and now - over.spec.end.time > DELETION_PERIOD
    return all(isinstance(a, MintKey | IssueOwnKey | ReadKey | Redeem) for a in actions)


def _actions(s: LinkSnapshot, now: datetime) -> list[LinkAction]:
    link = s.interlink
    clock = [*ending.timers(s, now), *ending.purge(s, now)]
    if link is None:
        return [*ending.interlink_gone(s), *clock]
    if link.metadata.deleting:
        return [*ending.delete(s, link, now), *clock]
    if TEARDOWN_FINALIZER not in link.metadata.finalizers:
        return [AddFinalizer(target_of(link))]
    first = ending.account_gone(s, link) or _adopt(s, link)
    if first:
        return first
    work = _issue(s, link, now) if link.role == "Issuer" else _redeem(s, link, now)
    return [*ending.interlink_replaced(s, link), *work, *clock] or _look_after_secret(s, link, now)


def _held_back(action: LinkAction, s: LinkSnapshot, now: datetime) -> bool:
    """Whether the state of the installation forbids the action for now.

    During a restore no record is created or ended, or a half-restored cluster would look like deletions; what users
    delete closes at once and ends when the restore is over.  In a cluster that the identity does not belong to,
    nothing happens by itself: only what users ask for.
    """
    restoring, confirmed = s.cluster.restoring(now), s.cluster.confirmed
    match action:
        case ChangeRecord(_, Adopt() | SetPolicy()):
            return False
        case ChangeRecord(_, Leave(window=window, account_deleted=False)) if window:
            return False
        case ChangeRecord(_, Abandon() | RunTimers()) | PurgeRecord() | DeleteInterlink():
            return restoring or not confirmed
        case ChangeRecord():
            return restoring
        case MintKey() | IssueOwnKey():
            return restoring or not confirmed or s.cluster.identity_lost
        case Redeem():
            return restoring or s.cluster.identity_lost
        case AddFinalizer() | RemoveFinalizer() | ReadKey() | TellPeer() | DeleteSpentSecret():
            return False


def _adopt(s: LinkSnapshot, link: Interlink) -> list[LinkAction]:
    """Take up the link of a predecessor, before anything is issued or redeemed; not without the account."""
    side = side_of(link)
    ours = [r for r in mine(s, link) if live(r)]
    returned = [r for r in ours if closing_of(r.spec, side) is not None]
    if not returned and established_of(tuple(ours)) is not None:
        return []
    if not returned and _has_predecessor(s, link) and key_reference(link) is not None and s.attempts.look is None:
        return [read_key(link)]
    if s.account is None:
        return []
    return [ChangeRecord(r.metadata.name, Adopt(side, link.metadata.uid)) for r in returned or adoptable(s, link)]


def _has_predecessor(s: LinkSnapshot, link: Interlink) -> bool:
    """Whether a live record names this place, on our side, for another object."""
    named = (interlink_of(r.spec, side_of(link)) for r in s.records if live(r))
    return any(i.key == s.key and i.uid != link.metadata.uid for i in named if i is not None)


# --- the issuing side -------------------------------------------------------------------------------------------


def _issue(s: LinkSnapshot, link: Interlink, now: datetime) -> list[LinkAction]:
    ours = mine(s, link)
    kept = established_of(ours)
    if kept is not None:
        return _keep(s, link, kept) or _sweep(s, link, kept, now)
    unused = issued_of(ours)
    if unused is not None:
        return _tend_key(s, link, unused)
    following = ending.follow_peer(s, link)
    if following or _wants_key(s, link):
        return following or _mint(s, link, now)
    over = last_ended_of(ours)
    return _sweep(s, link, over, now) if over is not None else []


def _keep(s: LinkSnapshot, link: Interlink, kept: LinkRecord) -> list[LinkAction]:
    """One live link per Interlink, no key beside it, and then one link per pair of accounts."""
    beside = [r for r in mine(s, link) if live(r) and r != kept]
    if beside:
        return [
            ChangeRecord(r.metadata.name, Revoke() if r.spec.state == "Issued" else EndDuplicate("issuer"))
            for r in beside
        ]
    if _loses_pair(s, kept):
        return [ChangeRecord(kept.metadata.name, EndDuplicate("issuer"))]
    return [*tell_peer(s, link, kept)]


def _loses_pair(s: LinkSnapshot, record: LinkRecord) -> bool:
    """Whether an older link joins the same two accounts; of two of the same second, the one with the smaller id."""
    rivals = [r for r in s.rivals if r.spec.redeemer is not None and pair_of(r.spec) == pair_of(record.spec)]
    return any(link_seniority(rival) < link_seniority(record) for rival in rivals)


def _sweep(s: LinkSnapshot, link: Interlink, record: LinkRecord, now: datetime) -> list[LinkAction]:
    """Delete the Secret of a spent or void key, if the operator made it."""
    spec = record.spec
    spent = spec.end or spec.redeemer
    if spent is None or spec.origin != "Generated" or s.attempts.swept_key == spec.key_id:
        return []
    if link.status.key_secret_name is None and now - spent.time > SWEEP_PERIOD:
        return []
    secret = ObjectKey(s.key.namespace, key_secret_name(link))
    return [DeleteSpentSecret(secret, link.metadata.uid, spec.key_id)]


def _tend_key(s: LinkSnapshot, link: Interlink, unused: LinkRecord) -> list[LinkAction]:
    """Keep one unused key, of the wanted revision and with the wanted policy.

    One whose wish was fulfilled by a link before is the late work of a process that died.
    """
    issue = link.spec.issue_key
    assert issue is not None
    ours = mine(s, link)
    fulfilled = max((r.spec.revision for r in ours if not live(r)), default=0)
    needed = max(issue.revision, fulfilled + 1)
    superseded = [r for r in ours if r.spec.state == "Issued" and (r != unused or r.spec.revision < needed)]
    if superseded:
        return [ChangeRecord(r.metadata.name, Revoke()) for r in superseded]
    ready = account_ready(s.account)
    if wanted_policy(unused.spec, ready, issue.allowed_redeemers) == unused.spec.policy:
        return []
    return [ChangeRecord(unused.metadata.name, SetPolicy(ready, issue.allowed_redeemers))]


def _look_after_secret(s: LinkSnapshot, link: Interlink, now: datetime) -> list[LinkAction]:
    """See whether somebody deleted the Secret of an unused key."""
    due = next_secret_look(s, link)
    return [read_key(link)] if due is not None and due <= now else []


def _wants_key(s: LinkSnapshot, link: Interlink) -> bool:
    """Whether the object still waits for a key of the wanted revision.

    No record, live or Ended, names this object with that revision or a higher one, and the status does not tell
    of one either: so no store, old or new, ever sees two keys for one wish.
    """
    issue = link.spec.issue_key
    if issue is None or any(r.spec.revision >= issue.revision for r in mine(s, link)):
        return False
    return link.status.key_revision is None or link.status.key_revision < issue.revision


def _mint(s: LinkSnapshot, link: Interlink, now: datetime) -> list[LinkAction]:
    if not account_ready(s.account):
        return []
    due = (s.attempts.mint is None or now >= s.attempts.mint.next_try) and not issued_too_late(link, now)
    if key_reference(link) is None:
        return [MintKey(s.key)] if due else []
    if _look_due(s, now):
        return [read_key(link)]
    shown = s.attempts.look
    if shown is None or shown.key_id in (None, link.status.key_id) or s.shown_record is not None:
        return []
    return [IssueOwnKey(s.key)] if due else []


# --- the redeeming side -----------------------------------------------------------------------------------------


def _redeem(s: LinkSnapshot, link: Interlink, now: datetime) -> list[LinkAction]:
    ours = mine(s, link)
    kept = established_of(ours)
    if kept is not None:
        extra = [r for r in ours if r.spec.state == "Established" and r != kept]
        return [ChangeRecord(r.metadata.name, EndDuplicate("redeemer")) for r in extra] or [*tell_peer(s, link, kept)]
    following = ending.follow_peer(s, link)
    if following:
        return following
    if _look_due(s, now):
        return [read_key(link)]
    shown = s.attempts.look
    if shown is None or shown.key_id is None or not account_ready(s.account) or s.spent_elsewhere:
        return []
    if _has_ended(s, link, shown.key_id):
        return []
    return [Redeem(s.key, redemption_basis(s))] if _try_due(s, shown.key_id, now) else []


def _has_ended(s: LinkSnapshot, link: Interlink, key_id: str) -> bool:
    """Whether a link of this object with that key is over, by its record or, once that is purged, its status."""
    by_status = link.status.ended is not None and link.status.key_id == key_id
    return by_status or any(r.spec.key_id == key_id and not live(r) for r in mine(s, link))


def _look_due(s: LinkSnapshot, now: datetime) -> bool:
    return s.attempts.look is None or now >= s.attempts.look.next_look


def _try_due(s: LinkSnapshot, key_id: str, now: datetime) -> bool:
    """Whether to ask the authority: final answers are final for their key, others wait or follow an event."""
    last = s.attempts.redeem
    if s.attempts.asking == key_id:
        return False
    if last is None or last.key_id != key_id:
        return True
    if isinstance(last.result, Used | Gone | Refused):
        return False
    return now >= last.next_try or last.basis != redemption_basis(s)


def redemption_basis(s: LinkSnapshot) -> object:
    """Return what an answer of the authority rests on, as far as this cluster can see it."""
    record = s.shown_record
    return (record.metadata.resource_version if record else None, bool(s.rivals))


# --- time -------------------------------------------------------------------------------------------------------


def _next_look(s: LinkSnapshot, now: datetime) -> datetime | None:
    """Return the next moment at which time alone changes the plan."""
    times: list[datetime | None] = [*ending.due_times(s)]
    if s.cluster.restoring(now):
        times.append(s.cluster.restoring_until)
    link = s.interlink
    if link is not None and not link.metadata.deleting and established_of(mine(s, link)) is None:
        times += _next_tries(s, link)
    return earliest(*(t for t in times if t is not None and t > now))


def _next_tries(s: LinkSnapshot, link: Interlink) -> list[datetime | None]:
    attempts = s.attempts
    users_key = attempts.look.next_look if attempts.look and key_reference(link) is not None else None
    redeem = attempts.redeem.next_try if attempts.redeem and not isinstance(attempts.redeem.result, Linked) else None
    return [users_key, next_secret_look(s, link), redeem, attempts.mint.next_try if attempts.mint else None]
