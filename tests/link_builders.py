"""Scenes for tests of links: the cast, its records, and what the operator knows when it plans one Interlink.

`gather` is the pure twin of the engine's snapshots, and the simulated world holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from builders import INSTANCE, NAMESPACE, NOW, account, at, digest, identity, interlink, record, shown
from pbx_operator.api.meta import TEARDOWN_FINALIZER, Condition, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer, InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import (
    Closing,
    End,
    EndParty,
    EndReason,
    LinkRecordSpec,
    Policy,
    SideClosing,
    record_name,
)
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccountStatus
from pbx_operator.domain.conditions import check
from pbx_operator.domain.links.facts import (
    Attempts,
    ClusterFacts,
    KeyLook,
    LinkSnapshot,
    MintTry,
    RedeemTry,
    account_name,
    ended_as_duplicate,
)
from pbx_operator.domain.links.plan import plan_link, redemption_basis
from pbx_operator.domain.plan import Action, ChangeRecord, Plan, Redeem
from pbx_operator.domain.records.facts import Party, Side, account_of, interlink_of, pair_of
from pbx_operator.domain.records.machine import Change, Fence
from pbx_operator.domain.records.redemption import Result

CLUSTER = ClusterFacts(INSTANCE)
IN_AN_HOUR = at(3600)
NOTHING_TRIED = Attempts()
SIDES: tuple[Side, Side] = ("issuer", "redeemer")


# --- the cast ---------------------------------------------------------------------------------------------------

ISSUER, REDEEMER = interlink("i", "a", uid="u2"), interlink("r", "b", redeem="s", uid="v2")
"""The two Interlinks of a link."""
FORMER_ISSUER, FORMER_REDEEMER = interlink("i", "a", uid="u1"), interlink("r", "b", redeem="s", uid="v1")
"""The objects that had their names before."""
_OWN_KEY = {"from_secret_ref": {"name": "s"}, "expiration_time": at(86_400)}
BROUGHT, FORMER_BROUGHT = (interlink("i", "a", uid=uid, issue=_OWN_KEY) for uid in ("u2", "u1"))
"""The issuer and its predecessor, with a key that the user brought along."""
LINK = record(ISSUER, REDEEMER)
STRANGER = AllowedRedeemer(account="z")
"""Where this is the only one allowed to redeem, the redeemer is not."""


def with_spec(link: Interlink, **spec: Any) -> Interlink:
    """Return the Interlink with other wishes."""
    return link.model_copy(update={"spec": link.spec.model_copy(update=spec)})


def wants(link: Interlink, **issue: Any) -> Interlink:
    """Return the issuer with other wishes for its key."""
    assert link.spec.issue_key is not None
    return with_spec(link, issue_key=link.spec.issue_key.model_copy(update=issue))


def showing(link: Interlink, **status: Any) -> Interlink:
    """Return the Interlink with this status."""
    return link.model_copy(update={"status": InterlinkStatus(**status)})


def going(link: Interlink, window: int = 0, finalizers: tuple[str, ...] = (TEARDOWN_FINALIZER,)) -> Interlink:
    """Return the Interlink as it is being deleted, with an undo window of so many seconds."""
    metadata = link.metadata.model_copy(update={"deletion_timestamp": NOW, "finalizers": finalizers})
    return with_spec(link, undo_window_seconds=window).model_copy(update={"metadata": metadata})


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


def key_of(made: LinkRecord) -> str:
    """Return the id of the key that a record is about."""
    return made.spec.key_id


# --- the record of the former pair, in every state --------------------------------------------------------------


def record_spec(*, redeemed: bool = False, **options: Any) -> LinkRecordSpec:
    """Return the record of the key of the former issuer, u1, which with `redeemed` the former redeemer, v1, has won."""
    return record(FORMER_ISSUER, FORMER_REDEEMER if redeemed else None, **options).spec


ISSUED, LINKED = record_spec(), record_spec(redeemed=True)
STATES = {
    "issued": ISSUED,
    "brought along": record_spec(origin="BringYourOwn"),
    "expiring": record_spec(policy=Policy(expiration_time=at(50_000))),
    "linked": LINKED,
    "issuer closing": record_spec(redeemed=True, closing=closing("u1")),
    "issuer orphaned": record_spec(redeemed=True, closing=closing("u1", reason="Orphaned")),
    "redeemer closing": record_spec(redeemed=True, closing=closing("v1", side="redeemer")),
    "redeemer orphaned": record_spec(redeemed=True, closing=closing("v1", side="redeemer", reason="Orphaned")),
    "closing is due": record_spec(redeemed=True, closing=closing("u1", ends=at(0))),
    "ended": record_spec(redeemed=True, end=end("Deleted", "Redeemer")),
    "void": record_spec(end=end("Revoked")),
}
FENCE = Fence(digest("a cancelled link", 26), INSTANCE, account_name(FORMER_REDEEMER), identity(FORMER_REDEEMER))
"""What keeps the former redeemer from winning the key after its deletion."""


# --- what the operator knows ------------------------------------------------------------------------------------


def looked(key_id: str | None, *, again: float = 60, problem: str = "", redeem: RedeemTry | None = None) -> Attempts:
    """Return the memory of a process that read the key Secret: the key in it, None if there is no Secret.

    With a `problem` the Secret was there and held no key.
    """
    found: Literal["Key", "Missing", "Malformed"] = "Key" if key_id else "Malformed" if problem else "Missing"
    return Attempts(look=KeyLook(found, at(again), timedelta(seconds=60), key_id, problem), redeem=redeem)


def answered(key_id: str, result: Result, *, basis: object = None, again: float = 900) -> Attempts:
    """Return the memory of a process that presented the key of the Secret and got this answer."""
    return looked(key_id, redeem=RedeemTry(key_id, result, basis, at(again)))


def mint_failed(problem: Literal["WaitingForCleanup", "SecretNameTaken", "KeyKnown"]) -> Attempts:
    """Return the memory of a process that could not issue a key."""
    return Attempts(mint=MintTry(problem, at(5)))


def swept(s: LinkSnapshot) -> LinkSnapshot:
    """Return the snapshot of a process that has also cleaned up behind the spent key."""
    key = next((key_of(r) for r in s.records if r.spec.state != "Issued"), None)
    return replace(s, attempts=replace(s.attempts, swept_key=key))


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
    seen_key = (attempts.look.key_id if attempts.look else None) or link.status.key_id
    seen = known.get(record_name(seen_key)) if seen_key else None
    facts |= {"account": owners.get(own), "attempts": attempts, "shown_record": seen}
    rivals = _rivals(here, seen, Party(cluster.instance, own), known.values())
    return LinkSnapshot(key, cluster, interlink=link, rivals=rivals, **facts)


def _rivals(
    here: tuple[LinkRecord, ...], seen: LinkRecord | None, own: Party, known: Iterable[LinkRecord]
) -> tuple[LinkRecord, ...]:
    pairs = {pair_of(r.spec) for r in here if r.spec.state == "Established" or ended_as_duplicate(r)}
    if seen is not None and seen.spec.state == "Issued" and (unused := pair_of(seen.spec)) is not None:
        pairs.add(unused | {own})
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


def change(made: LinkRecord, what: Change) -> ChangeRecord:
    """Return the action that changes a record."""
    return ChangeRecord(made.metadata.name, what)


def redeem(s: LinkSnapshot) -> Redeem:
    """Return the action that presents the key of an Interlink."""
    return Redeem(s.key, redemption_basis(s))


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
    status = status_of(s, now)
    truth, why = shown(status, type_)
    if truth == "True":
        return why
    kind = next((f" ({c.type})" for c in status.conditions if c.type in ("Reconciling", "Stalled")), "")
    return f"!{why}{kind if type_ == 'Ready' else ''}"


def reason_of(status: InterlinkStatus) -> str:
    """Return the reason of Ready."""
    return shown(status)[1]
