"""Which customers, and which rivals for one, are planned anew when an account changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from builders import account
from pbx_operator.api.v1alpha1 import PBXAccount
from pbx_operator.api.v1alpha1.pbxaccount import AccountProvider, PBXAccountStatus
from pbx_operator.domain.customers.facts import claimed_customers, customer_id, place_of
from pbx_operator.domain.customers.impact import customer_rivals, has_customer_work

PLACE = "api.telecom.center:443"


def with_customer(
    name: str = "a", identifier: str | None = "7", holds: str | None = None, **options: Any
) -> PBXAccount:
    center = {"credentialsSecretRef": {"name": "login"}, **({"customerID": identifier} if identifier else {})}
    provider = AccountProvider.model_validate({"type": "TelecomCenter", "telecomCenter": center})
    return account(name, provider=provider, status=PBXAccountStatus(customer_id=holds), **options)


class Index:
    def __init__(self, *accounts: PBXAccount) -> None:
        self._accounts = accounts

    def accounts_of_customer(self, customer: str) -> Iterable[PBXAccount]:
        return [a for a in self._accounts if customer in claimed_customers(a)]


A, B, ELSEWHERE = with_customer("a"), with_customer("b"), with_customer("c", "8")
INDEX = Index(A, B, ELSEWHERE)


@pytest.mark.parametrize(
    "after",
    [
        with_customer(generation=2),
        with_customer(reconcile="now"),
        with_customer(deleting=True),
        with_customer(holds="7"),
        with_customer(uid="another life"),
    ],
)
def test_what_the_next_step_depends_on_makes_work(after: PBXAccount) -> None:
    assert has_customer_work(A, after)


def test_counters_and_accounts_without_a_customer_make_none() -> None:
    assert not has_customer_work(A, with_customer(resource_version="2"))
    assert not has_customer_work(None, account("a"))
    assert not has_customer_work(A, None)


def test_rivals_hear_of_a_customer_that_is_asked_for_or_let_go() -> None:
    assert customer_rivals(None, A, INDEX) == customer_rivals(A, None, INDEX) == {A.key, B.key}
    assert customer_rivals(A, with_customer(holds="7"), INDEX) == {A.key, B.key}, "B may have been awarded it, too"
    assert not customer_rivals(A, with_customer(generation=2), INDEX)
    assert not customer_rivals(None, account("a"), INDEX)


def test_an_id_of_ours_belongs_to_one_life_of_one_account() -> None:
    ids = set()
    for one in (with_customer(identifier=None), with_customer("b", None), with_customer(identifier=None, uid="next")):
        place = place_of(one)
        assert place is not None
        ids.add(customer_id(one, place))
        assert customer_id(one, place) == customer_id(one.model_copy(), place)
    assert len(ids) == 3
    assert all(10**18 <= int(each) < 2**63 for each in ids)
    assert claimed_customers(A) == {f"{PLACE}/7"}
    assert claimed_customers(with_customer(identifier="7", holds="6")) == {f"{PLACE}/6", f"{PLACE}/7"}
