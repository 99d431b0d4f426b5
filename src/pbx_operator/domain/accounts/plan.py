"""What to do about one account: its claim on a SIP domain, its numbers, its slices, its teardown.

`plan_account` recomputes everything that belongs to an account: one account is small, and a whole recompute has
no history that could be wrong.  What it knows of other accounts is their offers over established links, and who
else wants its SIP domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pbx_operator.api import reasons
from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectKey, ObjectMeta
from pbx_operator.api.reasons import Verdict, verdict
from pbx_operator.api.v1alpha1.dialplanslice import DialPlanSlice
from pbx_operator.api.v1alpha1.internalnumber import InternalNumber
from pbx_operator.api.v1alpha1.pbxaccount import InterlinkCounts, PBXAccount
from pbx_operator.domain.accounts.domains import domain_claim, reserving_namespace, wanted_domain
from pbx_operator.domain.accounts.status import (
    COUNTER_PERIOD,
    AccountState,
    find_shadows,
    number_counts,
    number_status,
    only_counters_differ,
    shadow_counts,
    shadow_verdicts,
)
from pbx_operator.domain.claims import Award, Claim, settle
from pbx_operator.domain.conditions import Since, status_with
from pbx_operator.domain.customers.facts import CustomerSnapshot
from pbx_operator.domain.customers.plan import customer_left, orphaned_customer
from pbx_operator.domain.customers.status import view_customer, waiting_for_customer
from pbx_operator.domain.deleting import Wait, deleting
from pbx_operator.domain.dialplan import emergency
from pbx_operator.domain.dialplan.changes import SliceChanges, any_left, delete_all, diff_slices, is_ours
from pbx_operator.domain.dialplan.numbers import Resolution, protected_numbers, resolve
from pbx_operator.domain.dialplan.offers import EstablishedLink
from pbx_operator.domain.dialplan.slices import PeerDrafter, draft_peer, draft_slices
from pbx_operator.domain.faults import mention_outage
from pbx_operator.domain.plan import (
    Action,
    AddFinalizer,
    Plan,
    RemoveFinalizer,
    StatusUpdate,
    Target,
    earliest,
    target_of,
)
from pbx_operator.domain.unreadable import Unreadable, show_unreadable, waiting_to_be_readable

PUBLICATION_PERIOD = timedelta(milliseconds=100)
"""How long slices wait for further changes, unless something is taken away."""
HANDOVER_PERIOD = timedelta(seconds=1)
"""When to look again, at the latest, if somebody still shows what was awarded to somebody else."""

_Update = tuple[StatusUpdate, datetime | None]
"""A status, and when to look at it again."""


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """One account, or the place of one, and all that bears on it."""

    key: ObjectKey
    domain_suffix: str
    """The domain below which accounts without an own `spec.sipDomain` get theirs."""
    account: PBXAccount | None = None
    unreadable: ObjectMeta | None = None
    """The metadata of an account that could not be read; `account` is None then."""
    numbers: tuple[InternalNumber, ...] = ()
    """All InternalNumbers of the namespace that name this account."""
    claimed: tuple[Claim, ...] = ()
    """The claims of those that cannot be read."""
    servers: frozenset[str] = frozenset()
    """Names of the CommServers at which numbers ring, and that are there."""
    links: tuple[EstablishedLink, ...] = ()
    """The established links whose Interlink of this account exists."""
    open_gates: frozenset[str] = frozenset()
    """Names of the account's Interlinks whose status shows an open gate, also if nothing links them any more."""
    interlinks: InterlinkCounts = field(default_factory=InterlinkCounts)
    live_records: bool = False
    """Whether a record that is not Ended names this account."""
    slices: tuple[DialPlanSlice, ...] = ()
    """All slices of the namespace that name this account."""
    taken: frozenset[str] = frozenset()
    """Names that slices of this account may need, of slices that name another account or cannot be read."""
    rivals: tuple[PBXAccount | Unreadable, ...] = ()
    """The other accounts of the cluster that want, or still show, this account's `wanted_domain`."""
    customer: CustomerSnapshot = field(default_factory=CustomerSnapshot)
    """What bears on the account's customer at a provider."""
    shows_customer: bool = False
    """Whether an account that could not be read shows a customer."""
    since: Mapping[Target, Since] = field(default_factory=dict)
    published: datetime | None = None
    """When this process last wrote a slice of the account."""
    counters_written: datetime | None = None
    """When this process last wrote the account's status."""


def plan_account(s: AccountSnapshot, now: datetime, drafter: PeerDrafter = draft_peer) -> Plan:
    """Return what to do about an account now, what it and its numbers should show, and when to look again.

    The statuses include those that are shown already.  `drafter` is as in `draft_slices`.
    """
    if s.unreadable is not None:
        actions = _release(s, s.unreadable, kept=s.shows_customer) if s.unreadable.deleting else []
        return _plan(actions, _numbers(s, resolve(None, s.numbers), "Unreadable", now))
    if s.account is not None and not s.account.metadata.deleting:
        return _serve(s, s.account, now, drafter)
    numbers = _numbers(s, resolve(None, s.numbers), "Absent", now)
    return _plan((), numbers) if s.account is None else _teardown(s, s.account, numbers, now)


def show_unreadable_account(unreadable: Unreadable, now: datetime) -> StatusUpdate:
    """Return the status of an account that cannot be read."""
    customer = unreadable.to_delete("customerID")
    if customer is None or not unreadable.metadata.deleting:
        return show_unreadable(unreadable, now)
    return show_unreadable(unreadable, now, wait=waiting_to_be_readable(unreadable, f"customer {customer}"))


# --- an account that lives --------------------------------------------------------------------------------------


def _serve(s: AccountSnapshot, account: PBXAccount, now: datetime, drafter: PeerDrafter) -> Plan:
    resolution = resolve(account, s.numbers, s.claimed, s.servers)
    protected = protected_numbers(account) | _kept_numbers(account, s.slices)
    wanted = draft_slices(account, resolution.held, s.links, protected, drafter)
    changes = diff_slices(account, wanted, _free_to_change(s), s.taken)
    award, customer = _settle_domain(s, account), view_customer(s.customer, now)
    ready = _ready(s, account, award, changes)
    serving = ready.status == "True" and (customer is None or customer.exists)
    if customer is not None and ready.status == "True":
        ready = customer.hindrance or mention_outage(ready, customer.provisioned)
    shadows = find_shadows(account, resolution, s.links, protected)
    provisioned = [customer.provisioned] if customer is not None else []
    own = _own_status(
        s,
        account,
        [ready, _accepted(account), *provisioned, *shadow_verdicts(shadows)],
        now,
        **(customer.facts if customer is not None else {}),
        sip_domain=wanted_domain(account, s.domain_suffix) if award is not None and award.holds else None,
        interlinks=s.interlinks,
        internal_numbers=number_counts(resolution),
        shadowed_numbers=shadow_counts(shadows),
    )
    finalizer = () if TEARDOWN_FINALIZER in account.metadata.finalizers else (AddFinalizer(target_of(account)),)
    numbers = _numbers(s, resolution, "Serving" if serving else "NotServing", now)
    handing_over = any(
        a is not None and a.won and not a.holds for a in (award, *(o.award for o in resolution.outcomes))
    )
    wait = _coalesce(s, changes, now)
    if wait is not None:  # a status must not tell of what is not published yet
        return _plan(finalizer, (), wait)
    again = now + HANDOVER_PERIOD if handing_over else None
    return _plan((*finalizer, *changes.actions), [*numbers, own], again)


def _free_to_change(s: AccountSnapshot) -> list[DialPlanSlice]:
    """Return the slices without the Offers of links that are over while their gate is still shown as open.

    Without its Offer slices the default applies to a link, which may be wider than what was offered.
    """
    open_ends = s.open_gates - {link.interlink.metadata.name for link in s.links}
    return [p for p in s.slices if p.spec.source.type != "Offer" or p.spec.source.interlink not in open_ends]


def _coalesce(s: AccountSnapshot, changes: SliceChanges, now: datetime) -> datetime | None:
    """Return until when the slices should wait for more changes, if at all."""
    if changes.urgent or not changes.actions or s.published is None:
        return None
    due = s.published + PUBLICATION_PERIOD
    return due if now < due else None


def _kept_numbers(account: PBXAccount, slices: tuple[DialPlanSlice, ...]) -> set[str]:
    """Return the emergency numbers to go on with when the country is not known any more: the published ones."""
    if emergency.known_country(account.spec.country):
        return set()
    return {number for s in slices if is_ours(s, account) for number in s.spec.emergency_numbers}


def _settle_domain(s: AccountSnapshot, account: PBXAccount) -> Award | None:
    """Return None if the account may not have the domain that it asks for, whoever else does."""
    claims = (domain_claim(each, s.domain_suffix) for each in (account, *s.rivals))
    return settle(tuple(claims)).get(s.key)


def _accepted(account: PBXAccount) -> Verdict:
    if emergency.known_country(account.spec.country):
        return verdict("Accepted", "True", reasons.ACCEPTED)
    return verdict("Accepted", "False", reasons.UNKNOWN_COUNTRY, field="spec.country", country=account.spec.country)


def _ready(s: AccountSnapshot, account: PBXAccount, award: Award | None, changes: SliceChanges) -> Verdict:
    domain = wanted_domain(account, s.domain_suffix)
    if not emergency.known_country(account.spec.country):
        return verdict("Ready", "False", reasons.UNKNOWN_COUNTRY, field="spec.country", country=account.spec.country)
    if award is None:
        owner = reserving_namespace(account, s.domain_suffix)
        return verdict("Ready", "False", reasons.DOMAIN_RESERVED, domain=domain, owner=owner)
    if not award.won:
        return verdict("Ready", "False", reasons.DOMAIN_CONFLICT, domain=domain)
    if not award.holds:
        return verdict("Ready", "False", reasons.DOMAIN_RELEASING, domain=domain)
    if changes.blocked:
        return verdict("Ready", "False", reasons.SLICE_NAME_TAKEN, slice=changes.blocked[0])
    return verdict("Ready", "True", reasons.SERVING, kind="account")


# --- an account that goes ---------------------------------------------------------------------------------------


def _teardown(s: AccountSnapshot, account: PBXAccount, numbers: list[_Update], now: datetime) -> Plan:
    wait = Wait("its links to end" if s.live_records else "its dial plan to be removed")
    if not s.live_records and customer_left(s.customer, now):
        wait = waiting_for_customer(s.customer, account, now)
    customer = view_customer(s.customer, now)
    own = _own_status(
        s,
        account,
        [deleting(wait), _accepted(account)],
        now,
        sip_domain=None,
        interlinks=s.interlinks,
        rejected_credentials=customer.facts["rejected_credentials"] if customer is not None else None,
    )
    actions = _release(s, account.metadata, kept=customer_left(s.customer, now))
    if RemoveFinalizer(target_of(account)) in actions:
        actions += orphaned_customer(s.customer)
    return _plan(actions, [*numbers, own])


def _release(s: AccountSnapshot, metadata: ObjectMeta, *, kept: bool) -> list[Action]:
    """Take the dial plan away at once; let the account go once its links have ended and its customer is gone."""
    actions: list[Action] = [*delete_all(s.key.name, s.slices)]
    held = kept or s.live_records or any_left(s.key.name, s.slices)
    if not held and TEARDOWN_FINALIZER in metadata.finalizers:
        actions.append(RemoveFinalizer(Target(PBXAccount.resource, s.key, metadata.uid)))
    return actions


# --- statuses ---------------------------------------------------------------------------------------------------


def _numbers(s: AccountSnapshot, resolution: Resolution, state: AccountState, now: datetime) -> list[_Update]:
    updates = []
    for outcome in resolution.outcomes:
        target = target_of(outcome.number)
        status, again = number_status(outcome, state, s.since.get(target), now)
        updates.append((StatusUpdate(target, status), again))
    return updates


def _own_status(
    s: AccountSnapshot, account: PBXAccount, verdicts: list[Verdict], now: datetime, **facts: object
) -> _Update:
    """Return the account's status; if nothing but counters changed lately, the one that it shows already."""
    target = target_of(account)
    status, again = status_with(account.status, account.metadata, verdicts, s.since.get(target), now, **facts)
    due = s.counters_written + COUNTER_PERIOD if s.counters_written is not None else now
    if now < due and only_counters_differ(account.status, status):
        return StatusUpdate(target, account.status), min(again or due, due)
    return StatusUpdate(target, status), again


def _plan(actions: Iterable[Action], updates: Sequence[_Update], again: datetime | None = None) -> Plan:
    return Plan(tuple(actions), tuple(update for update, _ in updates), earliest(again, *(time for _, time in updates)))
