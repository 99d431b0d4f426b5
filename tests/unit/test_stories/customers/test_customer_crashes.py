"""Whichever call is the last of a process, and whenever an account is deleted: it has one customer, which goes with it.

The engine's own parts and the operator's client, at a simulated provider.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from simulation.crashes import MOMENTS, Moment, whichever_call_is_the_last
from simulation.customers import NAMED, Center, CustomerSite
from simulation.process import Request

RECOVERY = timedelta(minutes=20)
Act = Callable[[CustomerSite, dict[str, Any]], None]
each_place = pytest.mark.parametrize("place", [{}, NAMED], ids=["our id", "the user's id"])


def created(site: CustomerSite, place: dict[str, Any]) -> None:
    site.apply(place=place)


def renamed(site: CustomerSite, place: dict[str, Any]) -> None:
    site.apply(displayName="other")


def deleted(site: CustomerSite, place: dict[str, Any]) -> None:
    site.delete()


def deleted_while_created(site: CustomerSite, place: dict[str, Any]) -> None:
    site.apply(place=place)
    site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what.startswith("POST /api"))
    site.delete()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", [created, renamed, deleted, deleted_while_created], ids=lambda act: act.__name__)
@each_place
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
        begin, lambda site: act(site, place), moment, RECOVERY, lambda site: check_end(site, act)
    )
    assert tried > 0


@pytest.mark.parametrize("call", range(8))
@each_place
def test_an_account_that_is_deleted_at_any_moment_leaves_nothing(place: dict[str, Any], call: int) -> None:
    def deleted_early(site: CustomerSite) -> None:
        site.apply(place=place)
        site.settle(lambda task: site.calls == call)
        site.delete()

    for moment in MOMENTS:
        whichever_call_is_the_last(
            lambda: CustomerSite(Center()),
            deleted_early,
            moment,
            RECOVERY,
            lambda site: check_end(site, deleted),
            first=call,
        )


def check_end(site: CustomerSite, act: Act) -> None:
    customers = site.center.customers
    if act in (deleted, deleted_while_created):
        assert (site.account(), customers.ids()) == (None, [])
        return
    assert site.shown("Ready") == ("True", "Serving")
    assert customers.ids() == [site.customer()]
    assert customers[site.customer()]["name"] == ("other" if act is renamed else "acme")
    assert site.center.writes.count("POST 201") == 1
