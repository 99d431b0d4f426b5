"""What an account shows of its customer at a provider.

An account is not Ready before its customer exists.  Later a provider that does not answer leaves Ready as it is, since
the phone system goes on without its administrator's interface; what a person must correct does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pbx_operator.api import provider_reasons
from pbx_operator.api.conditions import ConditionType, Reason
from pbx_operator.api.meta import ConditionStatus
from pbx_operator.api.reasons import Verdict, verdict
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount, TelecomCenterProvider
from pbx_operator.domain.claims import Award, rival_name
from pbx_operator.domain.conditions import find
from pbx_operator.domain.customers.facts import (
    CustomerLook,
    CustomerSnapshot,
    customer_changes,
    customer_drift,
    customer_id,
    is_ours,
    place_of,
    settle_customer,
    shows_customer,
)
from pbx_operator.domain.customers.plan import may_show_up, needed_step
from pbx_operator.domain.deleting import Wait, waiting_for_creation, waiting_for_provider
from pbx_operator.domain.differences import described
from pbx_operator.domain.drift import reported_gone
from pbx_operator.domain.steps import FailedStep, current_failure, rejected_credentials

_REASONS = {reason.name: reason for reason in provider_reasons.REASONS}


@dataclass(frozen=True, slots=True)
class CustomerView:
    """The part of an account's status that is about its customer."""

    hindrance: Verdict | None
    """The verdict about Ready, if the customer keeps the account from it."""
    provisioned: Verdict
    facts: Mapping[str, object]
    """Fields of the status by name."""

    @property
    def exists(self) -> bool:
        """Whether the customer was created, whatever is wrong with it now.

        What a look does not find may just not be visible yet: it stays known to be ours, so that it can be deleted.
        """
        return self.facts["applied_generation"] is not None


def view_customer(s: CustomerSnapshot, now: datetime) -> CustomerView | None:
    """Return what an account shows of its customer; None for an account without one."""
    account = s.account
    place = place_of(account) if account is not None else None
    if account is None or place is None:
        return None
    award = settle_customer(s, account, place)
    look = s.attempts.look
    failure = current_failure(s.attempts, needed_step(s, now))
    applied = _applied(account, place, look) if award.holds else account.status.applied_generation
    known = shows_customer(account, place) or look is not None
    facts = {
        "customer_id": customer_id(account, place) if award.holds and known else None,
        "applied_generation": applied or account.status.applied_generation,
        "rejected_credentials": rejected_credentials(account.status.rejected_credentials, look, failure, now),
    }
    obstacle = _obstacle(account, place, award, look)
    if obstacle is not None:
        about = {
            "customer": customer_id(account, place),
            "rival": rival_name(PBXAccount.resource.kind, account.key, award),
        }
        ready = verdict("Ready", "False", obstacle, **about)
        return CustomerView(ready, verdict("Provisioned", "False", obstacle, **about), facts)
    hindrance, provisioned = _hindrance(look, failure, applied), _provisioned(account, place, look, failure, applied)
    shown = _remembered(account, "Provisioned") if look is None and failure is None else None
    if shown is None:
        return CustomerView(hindrance, provisioned, facts)
    before = _remembered(account, "Ready")
    if before is not None and (before.status, before.reason) == ("False", shown.reason):
        hindrance = before
    return CustomerView(hindrance, shown, facts)


def waiting_for_customer(s: CustomerSnapshot, account: PBXAccount, now: datetime) -> Wait:
    """Return what an account that is being deleted waits for."""
    failure = current_failure(s.attempts, needed_step(s, now))
    if failure is None and may_show_up(account, s.attempts, now):
        return waiting_for_creation("customer")
    return waiting_for_provider("customer", failure, PBXAccount.resource, account.key)


def _applied(account: PBXAccount, place: TelecomCenterProvider, look: CustomerLook | None) -> int | None:
    """Return the generation whose settings the provider has; None if it shows no customer of ours."""
    before = account.status.applied_generation
    if look is None or reported_gone(account, look.customer):
        return before
    if look.customer is None:
        return None
    done = is_ours(account, place, look.customer) and not customer_changes(account, place, look.customer)
    return account.metadata.generation if done else before


def _obstacle(
    account: PBXAccount, place: TelecomCenterProvider, award: Award, look: CustomerLook | None
) -> Reason | None:
    """Return what somebody else must change before there can be a customer."""
    if not award.holds:
        return provider_reasons.CUSTOMER_IN_USE
    if look is None:
        return None
    if look.customer is not None and not is_ours(account, place, look.customer):
        return provider_reasons.CUSTOMER_NOT_OURS
    return provider_reasons.CUSTOMER_GONE if reported_gone(account, look.customer) else None


def _told(look: CustomerLook | None, failure: FailedStep, applied: int | None) -> str:
    return failure.fault.told(answered=applied is not None or look is not None)


def _hindrance(look: CustomerLook | None, failure: FailedStep | None, applied: int | None) -> Verdict | None:
    if failure is not None and (applied is None or failure.fault.kind != "Retry"):
        return Verdict("Ready", "False", failure.fault.reason, _told(look, failure, applied))
    return verdict("Ready", "False", provider_reasons.PROVISIONING) if applied is None else None


def _provisioned(
    account: PBXAccount,
    place: TelecomCenterProvider,
    look: CustomerLook | None,
    failure: FailedStep | None,
    applied: int | None,
) -> Verdict:
    if failure is not None:
        known: ConditionStatus = "False" if applied is None else "Unknown"
        return Verdict("Provisioned", known, failure.fault.reason, _told(look, failure, applied))
    if applied != account.metadata.generation:
        return verdict("Provisioned", "False", provider_reasons.PROVISIONING)
    if look is not None and look.customer is not None and (changed := customer_drift(account, place, look.customer)):
        return verdict("Provisioned", "True", provider_reasons.DRIFTED, drift=described(changed))
    return verdict("Provisioned", "True", provider_reasons.PROVISIONED)


def _remembered(account: PBXAccount, type_: ConditionType) -> Verdict | None:
    """Return what the account shows of its provider: before this process has looked, it knows nothing better."""
    shown = find(account.status.conditions, type_)
    reason = _REASONS.get(shown.reason) if shown is not None else None
    if shown is None or reason is None or (type_, shown.status) not in reason.shown:
        return None
    return Verdict(type_, shown.status, reason, shown.message)
