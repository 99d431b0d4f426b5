"""How links end: Interlinks that are deleted, gone or without an account, and what time alone brings.

`plan_link` puts these steps in order with those of the living side.  Each is a function from a snapshot to actions;
whether an action still applies is decided again, on the record itself, by `domain/records/machine`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectMeta
from pbx_operator.api.v1alpha1.interlink import Interlink, SecretKeyReference
from pbx_operator.api.v1alpha1.linkrecord import LinkRecord
from pbx_operator.domain.links.facts import (
    LinkSnapshot,
    account_name,
    adoptable,
    ended_by_peer,
    established_of,
    follows_peer,
    identity_of,
    key_reference,
    key_secret_name,
    live,
    mine,
    records_of_predecessors,
    side_of,
)
from pbx_operator.domain.plan import (
    ChangeRecord,
    DeleteInterlink,
    LinkAction,
    PurgeRecord,
    ReadKey,
    RemoveFinalizer,
    Target,
    target_of,
)
from pbx_operator.domain.protocol.keys import SECRET_ENTRY, link_id
from pbx_operator.domain.records.facts import (
    SIDES,
    Side,
    account_of,
    admits,
    closing_of,
    interlink_of,
    kept_by,
    next_timer,
    peer_instance,
    sides_of,
)
from pbx_operator.domain.records.machine import ORPHAN_PERIOD, Abandon, Fence, Leave, RunTimers

RETURN_PERIOD = timedelta(minutes=5)
"""How long after its start an operator leaves overdue ends alone, for all adoptions to come first."""
ACKNOWLEDGED_RETENTION = timedelta(days=1)
UNACKNOWLEDGED_RETENTION = timedelta(days=30)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
"""A record may hold a time so late that nothing can be added to it."""


# --- the object is gone -----------------------------------------------------------------------------------------


def interlink_gone(s: LinkSnapshot) -> list[LinkAction]:
    """Deal with records whose object of this place does not exist."""
    return [
        action for r in s.records if live(r) for side in sides_of(r.spec, s.key) for action in _side_gone(s, r, side)
    ]


def interlink_replaced(s: LinkSnapshot, link: Interlink) -> list[LinkAction]:
    """Deal with records that name this place for an object that this one does not succeed."""
    return [action for r, side in records_of_predecessors(s, link) for action in _side_gone(s, r, side)]


def _side_gone(s: LinkSnapshot, record: LinkRecord, side: Side) -> list[LinkAction]:
    named = interlink_of(record.spec, side)
    if named is None:
        return []
    if _account_deleting(s, record, side):
        return [ChangeRecord(record.metadata.name, Leave(side, named.uid, account_deleted=True))]
    if closing_of(record.spec, side) is None:
        return [ChangeRecord(record.metadata.name, Abandon(side))]
    return []


def _account_deleting(s: LinkSnapshot, record: LinkRecord, side: Side) -> bool:
    named = account_of(record.spec, side)
    account = s.accounts.get(named.key) if named else None
    return account is not None and account.metadata.deleting


# --- the object is going ----------------------------------------------------------------------------------------


def delete(s: LinkSnapshot, link: Interlink, now: datetime) -> list[LinkAction]:
    """Record the end on our side, then let the object go; the peer is told by the record."""
    if _must_read_key_first(s, link):
        return [read_key(link)]
    account_deleted = _own_account_deleting(s)
    leaving: list[LinkAction] = [
        ChangeRecord(
            r.metadata.name, Leave(side_of(link), link.metadata.uid, _window(s, link, r, now), account_deleted)
        )
        for r in (*mine(s, link), *adoptable(s, link))
        if live(r) and not _has_left(r, link, account_deleted)
    ]
    todo = leaving + _fence(s, link)
    if todo or TEARDOWN_FINALIZER not in link.metadata.finalizers:
        return todo
    return [RemoveFinalizer(target_of(link))]


def _window(s: LinkSnapshot, link: Interlink, record: LinkRecord, now: datetime) -> timedelta:
    """Return for how long the link may be taken up again: during a restore at least until that is over."""
    if record.spec.state in ("Issued", "Requested"):
        return timedelta(0)
    wished = timedelta(seconds=link.spec.undo_window_seconds)
    until = s.cluster.restoring_until
    return max(wished, until - now) if until is not None and s.cluster.restoring(now) else wished


def _has_left(record: LinkRecord, link: Interlink, account_deleted: bool) -> bool:
    closing = closing_of(record.spec, side_of(link))
    announced = closing is not None and closing.uid == link.metadata.uid and closing.reason == "Deleted"
    return announced and not account_deleted


def _must_read_key_first(s: LinkSnapshot, link: Interlink) -> bool:
    """A redeemer that never linked must know its key to fence it, and one that was re-created to find its link."""
    if key_reference(link) is None or s.attempts.look is not None:
        return False
    return established_of(mine(s, link)) is None


def _fence(s: LinkSnapshot, link: Interlink) -> list[LinkAction]:
    record = s.shown_record
    if link.role != "Redeemer" or record is None or record.spec.state != "Issued":
        return []
    ours = link_id(record.spec.issuer.instance, record.spec.key_id, s.cluster.instance, link.metadata.uid)
    if ours in record.spec.fences or not _may_fence(s, link, record):
        return []
    fence = Fence(ours, s.cluster.instance, account_name(link), identity_of(link))
    return [ChangeRecord(record.metadata.name, fence)]


def _may_fence(s: LinkSnapshot, link: Interlink, record: LinkRecord) -> bool:
    allowed = record.spec.policy.allowed_redeemers
    return admits(allowed, record.spec.issuer.instance, s.cluster.instance, account_name(link))


def unreadable(s: LinkSnapshot, metadata: ObjectMeta) -> list[LinkAction]:
    """Let an object go that cannot be read.

    Nobody knows its undo window, so its link closes now and ends after the time that a vanished object has.
    """
    leaving: list[LinkAction] = [
        ChangeRecord(r.metadata.name, Leave(side, metadata.uid, ORPHAN_PERIOD))
        for r in s.records
        for side in sides_of(r.spec, s.key)
        if live(r) and _names(r, side, metadata.uid) and closing_of(r.spec, side) is None
    ]
    if leaving or TEARDOWN_FINALIZER not in metadata.finalizers:
        return leaving
    return [RemoveFinalizer(Target(Interlink.resource, s.key, metadata.uid))]


def _names(record: LinkRecord, side: Side, uid: str) -> bool:
    named = interlink_of(record.spec, side)
    return named is not None and named.uid == uid


# --- the object is there, but -----------------------------------------------------------------------------------


def account_gone(s: LinkSnapshot, link: Interlink) -> list[LinkAction]:
    """End the links of a deleted account at once; let those of a missing one wait for its return."""
    side = side_of(link)
    ours = [r for r in (*mine(s, link), *adoptable(s, link)) if live(r)]
    if s.account_metadata is None:
        waiting = [r for r in ours if r.spec.state == "Established" and closing_of(r.spec, side) is None]
        return [ChangeRecord(r.metadata.name, Abandon(side)) for r in waiting]
    if not _own_account_deleting(s):
        return []
    leave = Leave(side, link.metadata.uid, account_deleted=True)
    return [ChangeRecord(r.metadata.name, leave) for r in ours]


def _own_account_deleting(s: LinkSnapshot) -> bool:
    return s.account_metadata is not None and s.account_metadata.deleting


def follow_peer(s: LinkSnapshot, link: Interlink) -> list[LinkAction]:
    """Follow the peer's deletion, which comes before any new link."""
    if not follows_peer(link):
        return []
    side = side_of(link)
    if any(ended_by_peer(r, side) for r in mine(s, link)):
        return [DeleteInterlink(target_of(link))]
    return []


# --- time -------------------------------------------------------------------------------------------------------


def timers(s: LinkSnapshot, now: datetime) -> list[LinkAction]:
    """The issuer's side runs the one timer of a record."""
    return [
        ChangeRecord(r.metadata.name, RunTimers())
        for r in _kept_here(s)
        if (due := _timer(s, r)) is not None and due <= now
    ]


def _timer(s: LinkSnapshot, record: LinkRecord) -> datetime | None:
    """Return when RunTimers is due.

    What came due while no operator ran waits for a redeemer that was re-created in time: it takes its link up as
    soon as this process has looked at it.
    """
    due, started = next_timer(record.spec), s.cluster.started
    if due is None or started is None or not _redeemer_returned(s, record, due):
        return due
    return max(due, started + RETURN_PERIOD)


def _redeemer_returned(s: LinkSnapshot, record: LinkRecord, due: datetime) -> bool:
    named = interlink_of(record.spec, "redeemer")
    link = s.others.get(named.key) if named is not None else None
    if named is None or link is None or link.metadata.deleting or link.role != "Redeemer":
        return False
    created = link.metadata.creation_timestamp
    in_time = created is None or created <= due
    return in_time and link.metadata.uid != named.uid and account_name(link) == account_of(record.spec, "redeemer")


def purge(s: LinkSnapshot, now: datetime) -> list[LinkAction]:
    """Delete what ended long enough ago."""
    return [PurgeRecord(target_of(r)) for r in _kept_here(s) if (due := _purge_time(s, r)) is not None and due <= now]


def due_times(s: LinkSnapshot) -> list[datetime]:
    """Return when `timers` and `purge` will have something to do."""
    times = [time for r in _kept_here(s) for time in (_timer(s, r), _purge_time(s, r))]
    return [time for time in times if time is not None]


def _kept_here(s: LinkSnapshot) -> list[LinkRecord]:
    kept = ((r, interlink_of(r.spec, kept_by(r.spec))) for r in s.records)
    return [r for r, named in kept if named is not None and named.key == s.key]


def _purge_time(s: LinkSnapshot, record: LinkRecord) -> datetime | None:
    """Return when an Ended record may go: a courtesy to whoever still wants to know how it ended."""
    end = record.spec.end
    if end is None or record.metadata.deleting:
        return None
    acknowledged = all(_knows_end(s, record, side) for side in SIDES) and _peer_knows_end(record)
    keep = end.time + (ACKNOWLEDGED_RETENTION if acknowledged else UNACKNOWLEDGED_RETENTION)
    expiry = record.spec.policy.expiration_time
    if record.spec.origin == "BringYourOwn" and expiry is not None:
        return max(keep, expiry + min(ACKNOWLEDGED_RETENTION, _END_OF_TIME - expiry))
    return keep


def _peer_knows_end(record: LinkRecord) -> bool:
    return peer_instance(record.spec) is None or record.status.peer_knows == "End"


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


# --- making actions ---------------------------------------------------------------------------------------------


def read_key(link: Interlink) -> ReadKey:
    """Look at the Secret that the user named, or at the one that the operator put a key into."""
    generated = SecretKeyReference(name=key_secret_name(link), key=SECRET_ENTRY)
    return ReadKey(link.key, key_reference(link) or generated)
