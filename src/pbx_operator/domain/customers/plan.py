"""What to do about the customer behind an account: one step after the other, until the provider has it as wanted.

The order is like that of `domain/servers/plan`: look, create, update, and delete in the end.  This plan writes no
status: the account's own plan, its only writer, shows what came of the steps (`status`).

`status.customerID` is shown once a look was answered, and nothing but looks happens before: an account whose provider
never answered has nothing there, and goes without asking it.
"""

from __future__ import annotations

from datetime import datetime

from pbx_operator.api.meta import TEARDOWN_FINALIZER
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount, TelecomCenterProvider
from pbx_operator.domain.customers.facts import (
    CustomerAttempts,
    CustomerLook,
    CustomerSnapshot,
    CustomerStepName,
    customer_changes,
    customer_id,
    is_ours,
    place_of,
    settle_customer,
    shows_customer,
    surely_ours,
)
from pbx_operator.domain.dialplan.emergency import known_country
from pbx_operator.domain.drift import reported_gone
from pbx_operator.domain.plan import CustomerStep, Plan, TellOrphan, target_of
from pbx_operator.domain.steps import look_due, may_try, next_due, settled_at


def plan_customer(s: CustomerSnapshot, now: datetime) -> Plan:
    """Return the next step of an account's customer, if it may be tried now, and when there may be another one."""
    account = s.account
    if account is None or place_of(account) is None:
        return Plan()
    needed = needed_step(s, now)
    if needed is not None and may_try(s.attempts, needed, now):
        return Plan((CustomerStep(account.key, needed),))
    return Plan(requeue=next_due(s.attempts, needed, now))


def needed_step(s: CustomerSnapshot, now: datetime) -> CustomerStepName | None:
    """Return the next step towards what is wanted, whether it may be tried now or not.

    Nobody creates or changes a customer before the account's status shows that it is this account's, and its finalizer
    keeps it.
    """
    account = s.account
    place = place_of(account) if account is not None else None
    if account is None or place is None:
        return None
    if account.metadata.deleting:
        return _last_step(account, place, s.attempts.look, now) if shows_customer(account, place) else None
    kept = TEARDOWN_FINALIZER in account.metadata.finalizers and known_country(account.spec.country)
    if not kept or not settle_customer(s, account, place).holds:
        return None
    return _next_step(account, place, s.attempts.look, now)


def _next_step(
    account: PBXAccount, place: TelecomCenterProvider, look: CustomerLook | None, now: datetime
) -> CustomerStepName | None:
    if look is None or look_due(look, now):
        return "look"
    if not shows_customer(account, place):
        return None
    if look.customer is None:
        return None if reported_gone(account, look.customer) else "create"
    if not is_ours(account, place, look.customer):
        return None
    return "update" if customer_changes(account, place, look.customer) else None


def _last_step(
    account: PBXAccount, place: TelecomCenterProvider, look: CustomerLook | None, now: datetime
) -> CustomerStepName | None:
    """Return the next step before the account may go.

    What can only be ours is deleted without a look, which might not find a customer that was just created.
    """
    if account.spec.deletion_policy == "Orphan" or (look is not None and look.deleted):
        return None
    if surely_ours(account, place):
        return "delete"
    if look is None or look_due(look, now):
        return "look"
    return "delete" if look.customer is not None and is_ours(account, place, look.customer) else None


def orphaned_customer(s: CustomerSnapshot) -> tuple[TellOrphan, ...]:
    """Return what to tell of a customer that an account which goes leaves behind."""
    account, look = s.account, s.attempts.look
    place = place_of(account) if account is not None else None
    if account is None or place is None or account.spec.deletion_policy != "Orphan":
        return ()
    if look is not None and look.customer is not None:
        left_there = is_ours(account, place, look.customer)
    else:
        left_there = account.status.applied_generation is not None and not (look is not None and look.deleted)
    if not left_there:
        return ()
    left = f"customer {customer_id(account, place)} at {place.url}"
    return (TellOrphan(target_of(account), left, "it can be deleted there"),)


def customer_left(s: CustomerSnapshot, now: datetime) -> bool:
    """Whether an account that is being deleted must stay for its customer; what is under way might create one."""
    account = s.account
    place = place_of(account) if account is not None else None
    if account is None or place is None or not shows_customer(account, place):
        return False
    return s.attempts.busy or needed_step(s, now) is not None or may_show_up(account, s.attempts, now)


def may_show_up(account: PBXAccount, attempts: CustomerAttempts, now: datetime) -> bool:
    """Whether a customer that the last look did not find may have been created for an account that is being deleted.

    A creation whose answer was lost leaves no trace but the customer itself, which a provider may be slow to show.
    """
    place, deleted, look = place_of(account), account.metadata.deletion_timestamp, attempts.look
    if place is None or deleted is None or not shows_customer(account, place):
        return False
    if account.spec.deletion_policy == "Orphan" or surely_ours(account, place):
        return False
    missed = look is not None and look.customer is None and not look.deleted
    return missed and now < settled_at(deleted, attempts)
