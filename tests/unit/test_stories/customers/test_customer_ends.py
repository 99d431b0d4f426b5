"""The end of an account with a customer: what keeps it, what it says meanwhile, and what it leaves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from builders import NAMESPACE
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.domain.steps import POLL_PERIOD, RELOOK, SETTLING, StepAttempts
from simulation.customers import DOWN, NAMED, Center, CustomerSite
from simulation.process import Request


def test_a_deletion_waits_for_the_provider_and_says_so(site: CustomerSite, center: Center) -> None:
    site.apply()
    site.settle()
    center.fails = DOWN
    site.delete()
    site.settle_for(timedelta(minutes=30))
    message = site.status().conditions[0].message
    assert "it is down" in message
    assert "it goes by itself once that has passed" in message
    assert "Orphan" in message
    center.fails = None
    site.settle_for(timedelta(minutes=6))
    assert site.account() is None
    assert not center.customers.ids()


def test_an_orphan_stays_at_the_provider(site: CustomerSite, center: Center) -> None:
    site.apply()
    site.settle()
    center.fails = DOWN
    site.delete()
    site.settle_for(timedelta(minutes=2))
    site.apply(deletionPolicy="Orphan")
    site.settle()
    assert site.account() is None
    (left,) = center.customers.ids()
    assert site.process.heard.messages == [
        f"customer {left} at https://api.telecom.center stays, since spec.deletionPolicy is Orphan;"
        " it can be deleted there"
    ]


@pytest.mark.parametrize("place", [{}, NAMED], ids=["our id", "the user's id"])
def test_an_orphan_without_a_customer_of_its_own_leaves_nothing_to_tell(
    site: CustomerSite, center: Center, place: dict[str, Any]
) -> None:
    center.customers.put("7", name="theirs")
    site.apply(place=place, deletionPolicy="Orphan", displayName=" ")
    site.settle()
    site.delete()
    site.settle()
    assert (site.account(), site.process.heard.messages) == (None, [])


def test_a_customer_that_is_not_found_yet_is_deleted_nevertheless(site: CustomerSite, center: Center) -> None:
    center.customers.read_lag = 5
    site.apply()
    site.settle()
    site.restart()
    site.delete()
    site.settle()
    assert site.account() is None
    assert not center.customers.ids()


def test_a_customer_of_a_chosen_id_that_a_look_misses_is_not_forgotten(site: CustomerSite, center: Center) -> None:
    center.customers.read_lag = 1_000
    site.apply(place=NAMED)
    site.settle()
    site.restart()
    site.settle()
    assert site.shown("Provisioned")[0] == "False", "it was looked for, and is missed"
    site.delete()
    site.settle_for(POLL_PERIOD)
    assert site.account() is None
    assert not center.customers.ids()


@pytest.mark.parametrize("place", [{}, NAMED], ids=["our id", "the user's id"])
def test_an_account_whose_provider_never_answered_goes_at_once(
    site: CustomerSite, center: Center, place: dict[str, Any]
) -> None:
    center.fails = DOWN
    site.apply(place=place)
    site.settle_for(timedelta(minutes=10))
    assert (site.shown("Ready"), site.status().customer_id) == (("False", "ProviderUnavailable"), None)
    site.delete()
    site.settle()
    assert site.account() is None
    assert not center.asked


def test_a_deletion_does_not_wait_for_the_first_look(site: CustomerSite, center: Center) -> None:
    site.apply()
    assert site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what.startswith("GET /api"))
    (looking,) = site.process.requests()
    account = site.account()
    assert account is not None
    uid = account.metadata.uid
    site.delete()
    site.work_beside(looking)
    assert site.account() is None
    site.settle()
    assert center.asked == ["GET 404"]
    assert site.process.memory.steps(uid) == StepAttempts(), "what nobody needs any more is forgotten"


def test_an_account_whose_login_vanished_waits_and_says_what_ends_that(site: CustomerSite, center: Center) -> None:
    site.apply()
    site.settle()
    site.api.delete(SECRETS, ObjectKey(NAMESPACE, "login"))
    site.delete()
    site.settle_for(timedelta(minutes=30))
    message = site.condition("Ready").message
    assert "Secret login (spec.provider.telecomCenter.credentialsSecretRef) does not exist" in message
    assert "if it cannot come back, as in a namespace that is being deleted, set spec.deletionPolicy" in message
    patch = f"kubectl patch pbxaccount acme -n {NAMESPACE} --type=merge"
    assert message.endswith(f"""Orphan: {patch} -p '{{"spec":{{"deletionPolicy":"Orphan"}}}}'""")
    assert "by itself" not in message
    assert "finalizers" not in message
    site.apply(deletionPolicy="Orphan")
    site.settle()
    assert site.account() is None
    assert len(center.customers) == 1


@pytest.mark.parametrize("dies", [False, True], ids=["the process lives", "the process dies"])
@pytest.mark.parametrize("lag", [1, 5])
def test_a_customer_of_a_chosen_id_whose_creation_was_never_answered_is_not_left_behind(
    site: CustomerSite, center: Center, lag: int, dies: bool
) -> None:
    """The account is deleted meanwhile, and the provider takes its time to show the customer."""
    center.customers.read_lag = lag
    site.apply(place=NAMED)
    assert site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what.startswith("POST /api"))
    (creating,) = site.process.requests()
    assert isinstance(creating.waiting, Request)
    creating.waiting.arrive()
    site.delete()
    if dies:
        site.restart()
    else:
        creating.waiting.lose()
        creating.resume()
    site.settle_for(RELOOK / 2)
    assert "whether the customer was created" in site.status().conditions[0].message
    site.settle_for(SETTLING + RELOOK)
    assert (site.account(), center.customers.ids()) == (None, [])


def test_a_customer_of_somebody_else_that_shows_up_late_is_left_alone(site: CustomerSite, center: Center) -> None:
    site.apply(place=NAMED)
    assert site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what.startswith("POST /api"))
    site.delete()
    site.restart()
    site.settle()
    center.customers.put("7", name="Somebody")
    site.settle_for(SETTLING + RELOOK)
    assert (site.account(), center.customers.ids()) == (None, ["7"])
