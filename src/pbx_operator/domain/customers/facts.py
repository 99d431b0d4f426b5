"""The customer behind an account, in words that no provider owns, and the first conclusions from what is known of it.

A provider says what there is (`CustomerFacts`) and decides nothing; `plan` says what to do, and `status` what the
account shows.  A customer bears no mark of its owner.  Its id alone tells, if it was made of the account's UID; one
that the user chose may name somebody else's customer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount, TelecomCenterProvider
from pbx_operator.domain.claims import Award, Claim, created, settle
from pbx_operator.domain.differences import Difference, every_difference
from pbx_operator.domain.drift import drifted, to_apply
from pbx_operator.domain.protocol.endpoints import one_form
from pbx_operator.domain.steps import StepAttempts

_FIRST_ID, _IDS = 10**18, 2**63 - 10**18
"""Ids that are made here have 19 digits: no provider that counts its customers comes near them."""

CustomerStepName = Literal["look", "create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class CustomerSettings:
    """What may change on a customer during its life; a limit of None is none."""

    display_name: str
    language: str
    capacity_limit: int | None = None
    sip_account_limit: int | None = None


@dataclass(frozen=True, slots=True)
class CustomerWish:
    """The customer that an account asks for."""

    owner: ObjectKey
    customer_id: str
    settings: CustomerSettings
    rejected_credentials: str | None = None
    """The version of the credentials that were refused the last time; they must not be tried again."""


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """A customer as its provider just showed it."""

    customer_id: str
    settings: CustomerSettings


@dataclass(frozen=True, slots=True)
class CustomerLook:
    """What the last look at the provider found."""

    customer: CustomerFacts | None
    next_look: datetime
    deleted: bool = False
    """We deleted it ourselves; a provider that is slow to find a new customer may have shown none before."""


CustomerAttempts = StepAttempts[CustomerLook]


@dataclass(frozen=True, slots=True)
class CustomerSnapshot:
    """One account, or the place of one, and all that bears on its customer."""

    account: PBXAccount | None = None
    rivals: tuple[Claim, ...] = ()
    """The claims of the other accounts of the cluster on the same customer."""
    attempts: CustomerAttempts = field(default_factory=StepAttempts)


def place_of(account: PBXAccount) -> TelecomCenterProvider | None:
    """Return where the account's customer is; None if it has none."""
    return account.spec.provider.telecom_center


def customer_id(account: PBXAccount, place: TelecomCenterProvider) -> str:
    """Return the id that the customer has or will have: the same one whoever asks, so that none is created twice."""
    if place.customer_id is not None:
        return place.customer_id
    digest = hashlib.sha256(account.metadata.uid.encode()).digest()
    return str(_FIRST_ID + int.from_bytes(digest) % _IDS)


def customer_claim(account: PBXAccount, place: TelecomCenterProvider) -> Claim:
    """Return the claim of an account on its customer, which it keeps until it is gone."""
    shown = account.status.customer_id
    wants, shows = _at(place, customer_id(account, place)), _at(place, shown) if shown is not None else None
    return Claim(account.key, created(account.metadata), wants, shows)


def settle_customer(s: CustomerSnapshot, account: PBXAccount, place: TelecomCenterProvider) -> Award:
    """Decide which account may have the customer."""
    return settle([customer_claim(account, place), *s.rivals])[account.key]


def shows_customer(account: PBXAccount, place: TelecomCenterProvider) -> bool:
    """Whether the status shows the customer: it is this account's, and a look at the provider was answered once."""
    return account.status.customer_id == customer_id(account, place)


def claimed_customers(account: PBXAccount) -> set[str]:
    """Return the customers that an account wants or shows, as its claim has them."""
    place = place_of(account)
    return customer_claim(account, place).things if place is not None else set()


def _at(place: TelecomCenterProvider, identifier: str) -> str:
    return f"{one_form(place.url)}/{identifier}"


def customer_settings(account: PBXAccount, place: TelecomCenterProvider) -> CustomerSettings:
    """Return the settings that an account asks for."""
    return CustomerSettings(
        display_name=account.spec.display_name or account.metadata.name,
        language=place.language,
        capacity_limit=place.capacity_limit,
        sip_account_limit=place.sip_account_limit,
    )


def customer_wish(account: PBXAccount, place: TelecomCenterProvider) -> CustomerWish:
    """Return what a provider is asked for."""
    return CustomerWish(
        owner=account.key,
        customer_id=customer_id(account, place),
        settings=customer_settings(account, place),
        rejected_credentials=account.status.rejected_credentials,
    )


def surely_ours(account: PBXAccount, place: TelecomCenterProvider) -> bool:
    """Whether a customer of this id can only be the account's own."""
    return place.customer_id is None or account.status.applied_generation is not None


def is_ours(account: PBXAccount, place: TelecomCenterProvider, customer: CustomerFacts) -> bool:
    """Whether a customer may be changed and deleted for the account.

    One that is exactly as wanted was created by us, or by somebody who knew what to write.
    """
    return surely_ours(account, place) or customer.settings == customer_settings(account, place)


def customer_drift(
    account: PBXAccount, place: TelecomCenterProvider, customer: CustomerFacts
) -> tuple[Difference, ...]:
    """Return the settings that somebody changed at the provider."""
    return drifted(account, every_difference(customer.settings, customer_settings(account, place)))


def customer_changes(
    account: PBXAccount, place: TelecomCenterProvider, customer: CustomerFacts
) -> tuple[Difference, ...]:
    """Return the settings to give to the provider."""
    return to_apply(account, every_difference(customer.settings, customer_settings(account, place)))
