"""What to do about one Interlink: issue, redeem, adopt, end, clean up.

`plan_link` owns one Interlink and its side of every record that names its place.  The engine carries the
actions out, gathers again and plans again until there is nothing left to do; only then is the status written.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1.interlink import Interlink
from pbx_operator.api.v1alpha1.linkrecord import InterlinkIdentity, LinkRecord, NamespacedName
from pbx_operator.domain.keys import link_id
from pbx_operator.domain.link_facts import (
    LinkSnapshot,
    account_ready,
    adoptable,
    ended_by_peer,
    established_of,
    issued_of,
    key_reference,
    key_secret_name,
    live,
    mine,
    named_elsewise,
    side_of,
)
from pbx_operator.domain.link_status import link_status
from pbx_operator.domain.plan import (
    Action,
    AddFinalizer,
    ChangeRecord,
    DeleteInterlink,
    DeleteSpentSecret,
    IssueOwnKey,
    MintKey,
    Plan,
    PurgeRecord,
    ReadKey,
    Redeem,
    RemoveFinalizer,
    StatusUpdate,
    Target,
)
from pbx_operator.domain.record import (
    Abandon,
    Adopt,
    Change,
    EndDuplicate,
    Fence,
    Leave,
    Revoke,
    RunTimers,
    SetPolicy,
    Side,
    account_of,
    admits,
    closing_of,
    interlink_of,
    next_timer,
    pair_of,
    sides_of,
    wanted_policy,
)
from pbx_operator.domain.redemption import Gone, Linked, Refused, Used

ACKNOWLEDGED_RETENTION = timedelta(days=1)
UNACKNOWLEDGED_RETENTION = timedelta(days=30)
SWEEP_PERIOD = timedelta(minutes=10)
"""For so long after a link came up, the write of a process that died may still bring its key Secret back."""


def plan_link(s: LinkSnapshot, now: datetime) -> Plan:
    """Return what to do about an Interlink now, what its status should show, and when to look again.

    The status counts only if there are no actions.
    """
    actions = [a for a in _actions(s, now) if not _held_back(a, s, now)]
    wake = _next_look(s, now)
    link = s.interlink
    if link is None or actions:
        return Plan(tuple(actions), (), wake)
    if link.metadata.deleting:
        return Plan((), (), wake)
    target = Target(Interlink.resource, s.key, link.metadata.uid)
    status, look_again = link_status(s, link, now)
    return Plan((), (StatusUpdate(target, status),), _earliest(wake, look_again))


def _actions(s: LinkSnapshot, now: datetime) -> list[Action]:
    link = s.interlink
    if link is None:
        return [*_forsaken(s), *_timers(s, now), *_purge(s, now)]
    if link.metadata.deleting:
        return _delete(s, link, now)
    if TEARDOWN_FINALIZER not in link.metadata.finalizers:
        return [AddFinalizer(_target(link))]
    first = _account_gone(s, link) or _adopt(s, link, now) or _strangers(s, link)
    if first:
        return first
    work = _issue(s, link, now) if link.role == "Issuer" else _redeem(s, link, now)
    return [*work, *_timers(s, now), *_purge(s, now)]


def _held_back(action: Action, s: LinkSnapshot, now: datetime) -> bool:
    """Whether the state of the installation forbids the action for now.

    During a restore no record is created or ended, or a half-restored cluster would look like deletions.  In a
    cluster that the identity does not belong to, nothing happens by itself: only what users ask for.
    """
    if isinstance(action, ChangeRecord):
        if s.cluster.restoring(now) and not isinstance(action.change, Adopt | SetPolicy):
            return True
        return not s.cluster.confirmed and isinstance(action.change, Abandon | RunTimers)
    if isinstance(action, PurgeRecord | DeleteInterlink):
        return s.cluster.restoring(now) or not s.cluster.confirmed
    if isinstance(action, MintKey | IssueOwnKey):
        return s.cluster.restoring(now) or not s.cluster.confirmed or s.cluster.identity_lost
    return isinstance(action, Redeem) and (s.cluster.restoring(now) or s.cluster.identity_lost)


# --- the object is gone or going --------------------------------------------------------------------------------


def _forsaken(s: LinkSnapshot) -> list[Action]:
    """Deal with records whose object of this place does not exist."""
    return [action for r in s.records if live(r) for side in sides_of(r.spec, s.key) for action in _forsake(s, r, side)]


def _forsake(s: LinkSnapshot, record: LinkRecord, side: Side) -> list[Action]:
    named = interlink_of(record.spec, side)
    if named is None:
        return []
    if _account_deleting(s, record, side):
        return [_change(record, Leave(side, named.uid, account_deleted=True))]
    if closing_of(record.spec, side) is None:
        return [_change(record, Abandon(side))]
    return []


def _account_deleting(s: LinkSnapshot, record: LinkRecord, side: Side) -> bool:
    named = account_of(record.spec, side)
    account = s.accounts.get(named.key) if named else None
    return account is not None and account.metadata.deleting


def _delete(s: LinkSnapshot, link: Interlink, now: datetime) -> list[Action]:
    """Record the end on our side, then let the object go; the peer is told by the record."""
    if TEARDOWN_FINALIZER not in link.metadata.finalizers:
        return []
    if _must_read_key_first(s, link):
        return [_read_key(link)]
    side = side_of(link)
    account_deleted = s.account is not None and s.account.metadata.deleting
    window = timedelta(seconds=link.spec.undo_window_seconds)
    leaving: list[Action] = [
        _change(r, Leave(side, link.metadata.uid, window, account_deleted))
        for r in (*mine(s, link), *adoptable(s, link))
        if live(r) and not _has_left(r, link, account_deleted)
    ]
    todo = leaving + _fence(s, link)
    return todo or [RemoveFinalizer(_target(link))]


def _has_left(record: LinkRecord, link: Interlink, account_deleted: bool) -> bool:
    closing = closing_of(record.spec, side_of(link))
    return closing is not None and closing.uid == link.metadata.uid and not account_deleted


def _must_read_key_first(s: LinkSnapshot, link: Interlink) -> bool:
    """A redeemer that never linked must know its key to fence it, and one that was re-created to find its link."""
    if key_reference(link) is None or s.attempts.look is not None:
        return False
    return not any(r.spec.state == "Established" for r in mine(s, link))


def _fence(s: LinkSnapshot, link: Interlink) -> list[Action]:
    record = s.shown_record
    if link.role != "Redeemer" or record is None or record.spec.state != "Issued":
        return []
    ours = link_id(record.spec.issuer.instance, record.spec.key_id, s.cluster.instance, link.metadata.uid)
    if ours in record.spec.fences or not _may_fence(s, link, record):
        return []
    here = InterlinkIdentity(namespace=s.key.namespace, name=s.key.name, uid=link.metadata.uid)
    return [_change(record, Fence(ours, s.cluster.instance, _account(link), here))]


def _may_fence(s: LinkSnapshot, link: Interlink, record: LinkRecord) -> bool:
    allowed = record.spec.policy.allowed_redeemers
    return admits(allowed, record.spec.issuer.instance, s.cluster.instance, _account(link))


# --- the object is there ----------------------------------------------------------------------------------------


def _account_gone(s: LinkSnapshot, link: Interlink) -> list[Action]:
    """End the links of a deleted account at once; let those of a missing one wait for its return."""
    side = side_of(link)
    ours = [r for r in mine(s, link) if live(r)]
    if s.account is None:
        waiting = [r for r in ours if r.spec.state == "Established" and closing_of(r.spec, side) is None]
        return [_change(r, Abandon(side)) for r in waiting]
    if not s.account.metadata.deleting:
        return []
    leave = Leave(side, link.metadata.uid, account_deleted=True)
    return [_change(r, leave) for r in (*ours, *adoptable(s, link)) if _leaves(r, side)]


def _leaves(record: LinkRecord, side: Side) -> bool:
    return record.spec.state == "Established" or side == "issuer"


def _adopt(s: LinkSnapshot, link: Interlink, now: datetime) -> list[Action]:
    """Take up the link of a predecessor, before anything is issued or redeemed."""
    if s.account is None:
        return []
    side = side_of(link)
    returned = [r for r in mine(s, link) if live(r) and closing_of(r.spec, side) is not None]
    if returned:
        return [_change(r, Adopt(side, link.metadata.uid)) for r in returned]
    if any(r.spec.state == "Established" for r in mine(s, link)):
        return []
    predecessor = any(live(r) and (i := interlink_of(r.spec, side)) is not None and i.key == s.key for r in s.records)
    if predecessor and key_reference(link) is not None and s.attempts.look is None:
        return [_read_key(link)]
    return [_change(r, Adopt(side, link.metadata.uid)) for r in adoptable(s, link)]


def _strangers(s: LinkSnapshot, link: Interlink) -> list[Action]:
    """Deal with records that name this place for an object that this one does not succeed."""
    return [
        _change(r, Abandon(side))
        for r, side in named_elsewise(s, link)
        if closing_of(r.spec, side) is None and (r.spec.state == "Established" or side == "issuer")
    ]


def _issue(s: LinkSnapshot, link: Interlink, now: datetime) -> list[Action]:
    ours = mine(s, link)
    kept = established_of(ours)
    if kept is not None:
        return _keep(s, link, kept, now)
    unused = issued_of(ours)
    if unused is not None:
        return _tend_key(s, link, unused)
    return _start(s, link, now) or _mint(s, link, now)


def _keep(s: LinkSnapshot, link: Interlink, kept: LinkRecord, now: datetime) -> list[Action]:
    """One live link per Interlink, one per pair of accounts, and no key beside it."""
    actions: list[Action] = []
    for r in mine(s, link):
        if r.spec.state == "Issued":
            actions.append(_change(r, Revoke()))
        elif r.spec.state == "Established" and (r != kept or _loses_pair(s, r)):
            actions.append(_change(r, EndDuplicate(side_of(link))))
    return actions or _sweep(s, link, kept, now)


def _loses_pair(s: LinkSnapshot, record: LinkRecord) -> bool:
    """Whether another link joins the same two accounts and has the smaller id."""
    redeemer = record.spec.redeemer
    return redeemer is not None and any(
        rival.spec.redeemer is not None
        and rival.metadata.name != record.metadata.name
        and pair_of(rival.spec) == pair_of(record.spec)
        and rival.spec.redeemer.link_id < redeemer.link_id
        for rival in s.rivals
    )


def _sweep(s: LinkSnapshot, link: Interlink, record: LinkRecord, now: datetime) -> list[Action]:
    """Delete the Secret of a spent key, if the operator made it."""
    redeemer = record.spec.redeemer
    if record.spec.origin != "Generated" or s.attempts.swept_key == record.spec.key_id or redeemer is None:
        return []
    if link.status.key_secret_name is None and now - redeemer.time > SWEEP_PERIOD:
        return []
    secret = ObjectKey(s.key.namespace, key_secret_name(link))
    return [DeleteSpentSecret(secret, link.metadata.uid, record.spec.key_id)]


def _tend_key(s: LinkSnapshot, link: Interlink, unused: LinkRecord) -> list[Action]:
    """Keep one unused key, of the wanted revision and with the wanted policy."""
    issue = link.spec.issue_key
    assert issue is not None
    superseded = [r for r in mine(s, link) if r.spec.state == "Issued" and r != unused]
    if unused.spec.revision < issue.revision and _new_key_at_hand(s, link, unused):
        superseded.append(unused)
    if superseded:
        return [_change(r, Revoke()) for r in superseded]
    ready = account_ready(s.account)
    if wanted_policy(unused.spec, ready, issue.allowed_redeemers) != unused.spec.policy:
        return [_change(unused, SetPolicy(ready, issue.allowed_redeemers))]
    return []


def _new_key_at_hand(s: LinkSnapshot, link: Interlink, unused: LinkRecord) -> bool:
    if key_reference(link) is None:
        return True
    look = s.attempts.look
    return look is not None and look.key_id not in (None, unused.spec.key_id)


def _mint(s: LinkSnapshot, link: Interlink, now: datetime) -> list[Action]:
    if not may_mint(s, link):
        return []
    if key_reference(link) is None:
        due = s.attempts.mint is None or now >= s.attempts.mint.next_try
        return [MintKey(s.key)] if due else []
    if _look_due(s, now):
        return [_read_key(link)]
    shown = s.attempts.look
    if shown is None or shown.key_id is None or s.shown_record is not None:
        return []
    due = s.attempts.mint is None or now >= s.attempts.mint.next_try
    return [IssueOwnKey(s.key)] if due else []


def may_mint(s: LinkSnapshot, link: Interlink) -> bool:
    """Whether a key may be made for this object, so that no store, old or new, ever sees two for one wish.

    No record, live or Ended, names this object with the wanted revision or a higher one, the status does not
    tell of one either, and the account is ready.
    """
    issue = link.spec.issue_key
    if issue is None or not account_ready(s.account):
        return False
    if any(r.spec.revision >= issue.revision for r in mine(s, link)):
        return False
    return link.status.key_revision is None or link.status.key_revision < issue.revision


def _redeem(s: LinkSnapshot, link: Interlink, now: datetime) -> list[Action]:
    ours = mine(s, link)
    kept = established_of(ours)
    if kept is not None:
        extra = [r for r in ours if r.spec.state == "Established" and r != kept]
        return [_change(r, EndDuplicate("redeemer")) for r in extra]
    started = _start(s, link, now)
    if started:
        return started
    if _look_due(s, now):
        return [_read_key(link)]
    shown = s.attempts.look
    if shown is None or shown.key_id is None or not account_ready(s.account) or has_ended(s, link, shown.key_id):
        return []
    return [Redeem(s.key)] if _try_due(s, shown.key_id, now) else []


def _start(s: LinkSnapshot, link: Interlink, now: datetime) -> list[Action]:
    """Follow the peer's deletion, which comes before any new link."""
    if link.spec.on_peer_deletion != "Delete":
        return []
    side = side_of(link)
    if any(ended_by_peer(r, side) for r in mine(s, link)):
        return [DeleteInterlink(_target(link))]
    return []


def has_ended(s: LinkSnapshot, link: Interlink, key_id: str) -> bool:
    """Whether a link of this object with that key is over, by its record or, once that is purged, its status."""
    by_status = link.status.ended is not None and link.status.key_id == key_id
    return by_status or any(r.spec.key_id == key_id and not live(r) for r in mine(s, link))


def _look_due(s: LinkSnapshot, now: datetime) -> bool:
    return s.attempts.look is None or now >= s.attempts.look.next_look


def _try_due(s: LinkSnapshot, key_id: str, now: datetime) -> bool:
    """Whether to ask the authority: final answers are final for their key, others wait or follow an event."""
    last = s.attempts.redeem
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


def _timers(s: LinkSnapshot, now: datetime) -> list[Action]:
    """The issuer's side runs the one timer of a record."""
    return [
        _change(r, RunTimers())
        for r in s.records
        if r.spec.issuer.interlink.key == s.key and (due := next_timer(r.spec)) is not None and due <= now
    ]


def _purge(s: LinkSnapshot, now: datetime) -> list[Action]:
    return [
        PurgeRecord(r.metadata.name, r.metadata.uid)
        for r in s.records
        if r.spec.issuer.interlink.key == s.key and (due := purge_time(s, r)) is not None and due <= now
    ]


def purge_time(s: LinkSnapshot, record: LinkRecord) -> datetime | None:
    """Return when an Ended record may go: a courtesy to whoever still wants to know how it ended."""
    end = record.spec.end
    if end is None:
        return None
    acknowledged = all(_knows_end(s, record, side) for side in ("issuer", "redeemer"))
    keep = end.time + (ACKNOWLEDGED_RETENTION if acknowledged else UNACKNOWLEDGED_RETENTION)
    expiry = record.spec.policy.expiration_time
    if record.spec.origin == "BringYourOwn" and expiry is not None:
        return max(keep, expiry + ACKNOWLEDGED_RETENTION)
    return keep


def _knows_end(s: LinkSnapshot, record: LinkRecord, side: Side) -> bool:
    named = interlink_of(record.spec, side)
    if named is None:
        return True
    link = s.interlink if named.key == s.key else s.others.get(named.key)
    return (
        link is None
        or link.metadata.uid != named.uid
        or link.status.state == "Ended"
        or link.status.key_id != record.spec.key_id
    )


def _next_look(s: LinkSnapshot, now: datetime) -> datetime | None:
    """Return the next moment at which time alone changes the plan."""
    times: list[datetime | None] = []
    for r in s.records:
        if r.spec.issuer.interlink.key == s.key:
            times += [next_timer(r.spec), purge_time(s, r)]
    if s.cluster.restoring(now):
        times.append(s.cluster.restoring_until)
    link = s.interlink
    if link is not None and not link.metadata.deleting and established_of(mine(s, link)) is None:
        times += [_next_attempt(s, link)]
    return _earliest(*(t for t in times if t is not None and t > now))


def _next_attempt(s: LinkSnapshot, link: Interlink) -> datetime | None:
    attempts = s.attempts
    look = attempts.look.next_look if attempts.look and key_reference(link) is not None else None
    redeem = attempts.redeem.next_try if attempts.redeem and not isinstance(attempts.redeem.result, Linked) else None
    return _earliest(look, redeem, attempts.mint.next_try if attempts.mint else None)


def _earliest(*times: datetime | None) -> datetime | None:
    return min((t for t in times if t is not None), default=None)


# --- making actions ---------------------------------------------------------------------------------------------


def _change(record: LinkRecord, change: Change) -> ChangeRecord:
    return ChangeRecord(record.metadata.name, change)


def _target(link: Interlink) -> Target:
    return Target(Interlink.resource, link.key, link.metadata.uid)


def _account(link: Interlink) -> NamespacedName:
    return NamespacedName(namespace=link.key.namespace, name=link.spec.account_ref.name)


def _read_key(link: Interlink) -> ReadKey:
    reference = key_reference(link)
    assert reference is not None
    return ReadKey(link.key, reference)
