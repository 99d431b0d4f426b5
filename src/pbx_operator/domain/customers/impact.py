"""Which customers and rivals for one a change of an account touches; a part of `impact`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import PBXAccount
from pbx_operator.domain.claims import Claim, contested
from pbx_operator.domain.customers.facts import customer_claim, place_of
from pbx_operator.domain.unreadable import Observed


class CustomerIndex(Protocol):
    """The lookup that the rule needs."""

    def accounts_of_customer(self, customer: str) -> Iterable[PBXAccount]:
        """Return the accounts that want or show a customer."""


def has_customer_work(old: Observed, new: Observed) -> bool:
    """Whether something changed that the customer of an account depends on."""
    return _seen_by_customer(new) is not None and _seen_by_customer(old) != _seen_by_customer(new)


def _seen_by_customer(account: Observed) -> object:
    if not isinstance(account, PBXAccount) or place_of(account) is None:
        return None
    meta, status = account.metadata, account.status
    asked = (meta.uid, meta.generation, meta.deleting, meta.finalizers, meta.reconcile_requested_at)
    return (*asked, status.customer_id, status.applied_generation)


def customer_rivals(old: Observed, new: Observed, index: CustomerIndex) -> set[ObjectKey]:
    """Return the accounts with an interest in a customer on which the claim of an account changed."""
    changed = contested(_claim(old), _claim(new))
    return {rival.key for customer in changed for rival in index.accounts_of_customer(customer)}


def _claim(account: Observed) -> Claim | None:
    if not isinstance(account, PBXAccount):
        return None
    place = place_of(account)
    return customer_claim(account, place) if place is not None else None
