"""Whichever call is the last of a process, and whenever an account is deleted: no customer is lost or created twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from simulation.customers import NAMED, Center, CustomerSite
from simulation.process import Request

DIED = 40


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


def deleted_at(call: int) -> Act:
    """Delete an account after so many calls of its first story."""

    def deleted_at_once(site: CustomerSite, place: dict[str, Any]) -> None:
        site.apply(place=place)
        site.settle(lambda task: site.calls == call)
        site.delete()

    return deleted_at_once


MOMENTS = ["before it is sent", "after it was carried out", "when the answer is lost"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", [created, renamed, deleted, deleted_early], ids=lambda act: act.__name__)
@pytest.mark.parametrize("place", [{}, NAMED], ids=["our id", "the user's id"])
def test_no_customer_is_lost_or_changed_twice_whichever_call_is_the_last(
    place: dict[str, Any], act: Act, moment: str
) -> None:
    assert any(not dies_at(last, act, place, moment) for last in range(DIED))


@pytest.mark.parametrize("call", range(8))
@pytest.mark.parametrize("place", [{}, NAMED], ids=["our id", "the user's id"])
def test_an_account_that_is_deleted_at_any_moment_leaves_nothing(place: dict[str, Any], call: int) -> None:
    for moment in MOMENTS:
        assert any(not dies_at(last, deleted_at(call), place, moment) for last in range(call, DIED))


def dies_at(last: int, act: Act, place: dict[str, Any], moment: str) -> bool:
    """Let the process die at a call and see that all ends well; return whether there was such a call."""
    center = Center()
    with closing(CustomerSite(center)) as site:
        if act in (renamed, deleted):
            site.apply(place=place)
            site.settle()
        site.calls = 0
        act(site, place)
        if not site.settle(lambda task: site.calls >= last):
            return False
        if moment != "before it is sent":
            task = site.process.requests()[0]
            assert isinstance(task.waiting, Request)
            task.waiting.arrive()
            if moment == "when the answer is lost":
                task.waiting.lose()
                task.resume()
        if moment != "when the answer is lost":
            site.restart()
        site.settle_for(timedelta(minutes=20))
        if act.__name__.startswith("deleted"):
            assert (site.account(), center.customers.ids()) == (None, [])
        else:
            assert site.shown("Ready") == ("True", "Serving")
            assert center.customers.ids() == [site.customer()]
            assert center.customers[site.customer()]["name"] == ("other" if act is renamed else "acme")
            assert center.writes.count("POST 201") == 1
    return True
