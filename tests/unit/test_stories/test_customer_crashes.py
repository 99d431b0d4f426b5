"""Whatever call is the last of a process, an account has one customer, which is changed once and goes with it.

The engine's own parts and the operator's client, at a simulated provider.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pbx_operator.domain.conditions import check, find
from simulation.crashes import MOMENTS, Moment, whichever_call_is_the_last
from simulation.customers import Center, CustomerSite
from simulation.process import Request

Act = Callable[[CustomerSite, dict[str, Any]], None]


def created(site: CustomerSite, place: dict[str, Any]) -> None:
    site.apply(place=place)


def renamed(site: CustomerSite, place: dict[str, Any]) -> None:
    site.apply(displayName="other")


def deleted(site: CustomerSite, place: dict[str, Any]) -> None:
    site.delete()


def deleted_early(site: CustomerSite, place: dict[str, Any]) -> None:
    """Delete an account that is about to have a customer."""
    site.apply(place=place)
    site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what.startswith("POST /api"))
    site.delete()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", [created, renamed, deleted, deleted_early], ids=lambda act: act.__name__)
@pytest.mark.parametrize("place", [{}, {"customerID": "7"}], ids=["our id", "the user's id"])
def test_no_customer_is_lost_or_changed_twice_whichever_call_is_the_last(
    place: dict[str, Any], act: Act, moment: Moment
) -> None:
    def begin() -> CustomerSite:
        site = CustomerSite(Center())
        if act in (renamed, deleted):
            site.apply(place=place)
            site.settle()
        return site

    tried = whichever_call_is_the_last(
        begin, lambda site: act(site, place), moment, timedelta(minutes=20), lambda site: check_end(site, act)
    )
    assert tried > 0


def check_end(site: CustomerSite, act: Act) -> None:
    customers = site.center.customers
    if act in (deleted, deleted_early):
        assert (site.account(), customers.ids()) == (None, [])
        return
    account = site.account()
    assert account is not None
    assert not check(account.status, account.metadata.generation)
    ready = find(account.status.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("True", "Serving")
    (key,) = customers.ids()
    assert key == account.status.customer_id
    assert customers[key]["name"] == ("other" if act is renamed else "acme")
    assert site.center.writes.count("POST 201") == 1
