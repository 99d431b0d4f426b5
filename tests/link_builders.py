"""Scenes for tests of links: a handful of objects, and what the operator knows when it plans one Interlink.

`gather` is the pure twin of the engine's snapshots, and the simulated world holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from builders import INSTANCE, NAMESPACE, NOW, account, at
from pbx_operator.api.meta import Condition, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import (
    Closing,
    End,
    EndParty,
    EndReason,
    InterlinkIdentity,
    SideClosing,
    record_name,
)
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccountStatus
from pbx_operator.domain.conditions import check, find
from pbx_operator.domain.interlink import plan_link
from pbx_operator.domain.link_facts import Attempts, ClusterFacts, KeyLook, LinkSnapshot, MintTry, RedeemTry
from pbx_operator.domain.plan import Action, Plan
from pbx_operator.domain.record import Side, account_of, interlink_of, pair_of
from pbx_operator.domain.redemption import Result

CLUSTER = ClusterFacts(INSTANCE)
IN_AN_HOUR = at(3600)
NOTHING_TRIED = Attempts()
SIDES: tuple[Side, Side] = ("issuer", "redeemer")


# --- objects ----------------------------------------------------------------------------------------------------


def ready_account(name: str = "a", namespace: str = NAMESPACE, *, ready: bool = True, **options: Any) -> PBXAccount:
    """Return an account that takes links, or one that does not (yet)."""
    condition = Condition(
        type="Ready", status="True" if ready else "False", last_transition_time=at(0), reason="Serving", message=""
    )
    status = PBXAccountStatus(sip_domain=f"{name}.{namespace}.example", conditions=(condition,))
    return account(name, namespace, **{"status": status, **options})


def closing(
    uid: str, *, ends: datetime = IN_AN_HOUR, reason: Literal["Deleted", "Orphaned"] = "Deleted", side: Side = "issuer"
) -> Closing:
    """Return the announcement of one side."""
    return Closing(**{side: SideClosing(uid=uid, reason=reason, since=NOW, ends_at=ends)})


def end(reason: EndReason, by: EndParty = "Issuer", time: datetime = NOW) -> End:
    """Return how a record ended."""
    return End(by=by, reason=reason, time=time)


# --- what the operator knows ------------------------------------------------------------------------------------


def looked(key_id: str | None, *, again: float = 60, problem: str = "", redeem: RedeemTry | None = None) -> Attempts:
    """Return the memory of a process that read the key Secret: the key in it, None if there is no Secret.

    With a `problem` the Secret was there and held no key.
    """
    found: Literal["Key", "Missing", "Malformed"] = "Key" if key_id else "Malformed" if problem else "Missing"
    return Attempts(look=KeyLook(found, at(again), timedelta(seconds=60), key_id, problem), redeem=redeem)


def answered(key_id: str, result: Result | None, *, basis: object = None, again: float = 900) -> Attempts:
    """Return the memory of a process that presented the key of the Secret and got this answer."""
    return looked(key_id, redeem=RedeemTry(key_id, result, basis, at(again)))


def mint_failed(problem: Literal["WaitingForCleanup", "SecretNameTaken", "KeyKnown", "NoAnswer"]) -> Attempts:
    """Return the memory of a process that could not issue a key."""
    return Attempts(mint=MintTry(problem, at(5)))


def gather(
    key: ObjectKey,
    interlinks: Iterable[Interlink],
    accounts: Iterable[PBXAccount],
    records: Iterable[LinkRecord],
    attempts: Attempts = NOTHING_TRIED,
    cluster: ClusterFacts = CLUSTER,
    **facts: Any,
) -> LinkSnapshot:
    """Return what a process that knows these objects would plan the Interlink of this place on."""
    links, owners = {i.key: i for i in interlinks}, {a.key: a for a in accounts}
    known = {r.metadata.name: r for r in records}
    link = links.get(key)
    here = tuple(r for r in known.values() if any((i := interlink_of(r.spec, s)) and i.key == key for s in SIDES))
    sides = [(r, s) for r in here for s in SIDES]
    named = [i for r, s in sides if (i := interlink_of(r.spec, s)) is not None]
    wanted = [a for r, s in sides if (a := account_of(r.spec, s)) is not None]
    facts |= {
        "records": here,
        "others": {i.key: links[i.key] for i in named if i.key != key and i.key in links},
        "accounts": {a.key: owners[a.key] for a in wanted if a.key in owners},
    }
    if link is None:
        return LinkSnapshot(key, cluster, **facts)
    own = ObjectKey(key.namespace, link.spec.account_ref.name)
    shown_key = (attempts.look.key_id if attempts.look else None) or link.status.key_id
    shown = known.get(record_name(shown_key)) if shown_key else None
    facts |= {"account": owners.get(own), "attempts": attempts, "shown_record": shown}
    return LinkSnapshot(key, cluster, interlink=link, rivals=_rivals(here, shown, own, known.values()), **facts)


def _rivals(
    here: tuple[LinkRecord, ...], shown: LinkRecord | None, own: ObjectKey, known: Iterable[LinkRecord]
) -> tuple[LinkRecord, ...]:
    pairs = {pair_of(r.spec) for r in here if r.spec.state == "Established"}
    if shown is not None and shown.spec.state == "Issued":
        pairs.add(pair_of(shown.spec) | {own})
    return tuple(r for r in known if r.spec.state == "Established" and pair_of(r.spec) in pairs)


def around(
    link: Interlink,
    *records: LinkRecord,
    peers: Iterable[Interlink] = (),
    accounts: Iterable[PBXAccount] | None = None,
    **facts: Any,
) -> LinkSnapshot:
    """Return the snapshot of an Interlink; the accounts that anything names exist and are ready unless given."""
    interlinks = (link, *peers)
    names = {ObjectKey(i.key.namespace, i.spec.account_ref.name) for i in interlinks}
    names |= {a.key for r in records for s in SIDES if (a := account_of(r.spec, s)) is not None}
    owners = [ready_account(n.name, n.namespace) for n in sorted(names)] if accounts is None else accounts
    return gather(link.key, interlinks, owners, records, **facts)


def without(place: Interlink, *records: LinkRecord, **options: Any) -> LinkSnapshot:
    """Return the snapshot of a place whose Interlink is gone."""
    peers: tuple[Interlink, ...] = tuple(options.pop("peers", ()))
    accounts = options.pop("accounts", None)
    whole = around(place, *records, peers=peers, accounts=accounts)
    owners = whole.accounts.values() if accounts is None else accounts
    return gather(place.key, peers, owners, records, **options)


# --- what it does and says --------------------------------------------------------------------------------------


def plan(s: LinkSnapshot, now: datetime = NOW) -> Plan:
    """Plan, and hold what is shown against the conditions contract."""
    planned = plan_link(s, now)
    for update in planned.statuses:
        assert s.interlink is not None
        problems = check(update.status, s.interlink.metadata.generation)
        assert not problems, problems
    return planned


def todo(s: LinkSnapshot, now: datetime = NOW) -> list[Action]:
    """Return what is to be done."""
    return list(plan(s, now).actions)


def status_of(s: LinkSnapshot, now: datetime = NOW) -> InterlinkStatus:
    """Return the status that is shown; there must be nothing left to do."""
    planned = plan(s, now)
    assert not planned.actions, planned.actions
    (update,) = planned.statuses
    assert isinstance(update.status, InterlinkStatus)
    return update.status


def reason(s: LinkSnapshot, type_: str = "Ready", now: datetime = NOW) -> str:
    """Return the reason of a condition, with `!` before it where the condition is not True, and how Ready=False is
    to be understood: `!RefNotFound (Reconciling)`."""
    conditions = status_of(s, now).conditions
    condition = find(conditions, type_)
    assert condition is not None, f"there is no condition {type_}"
    if condition.status == "True":
        return condition.reason
    kind = next((f" ({c.type})" for c in conditions if c.type in ("Reconciling", "Stalled")), "")
    return f"!{condition.reason}{kind if type_ == 'Ready' else ''}"


def identity(link: Interlink) -> InterlinkIdentity:
    """Return how records name an Interlink."""
    return InterlinkIdentity(namespace=link.key.namespace, name=link.key.name, uid=link.metadata.uid)


def reason_of(status: InterlinkStatus) -> str:
    """Return the reason of Ready."""
    ready = find(status.conditions, "Ready")
    assert ready is not None, "nothing is shown yet"
    return ready.reason
