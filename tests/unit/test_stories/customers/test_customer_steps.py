"""The steps of a customer, with the engine's own parts and the operator's client, at a simulated provider."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from builders import NAMESPACE, NOW
from pbx_operator.api import provider_reasons
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import InternalNumber, PBXAccount
from pbx_operator.api.v1alpha1.pbxaccount import NumberCounts
from pbx_operator.domain.conditions import find
from pbx_operator.domain.faults import fault
from pbx_operator.domain.steps import POLL_PERIOD
from simulation.customers import DOWN, NAMED, Center, CustomerSite
from simulation.process import Request

ACME = {"name": "acme", "language": "EN", "capacity_limit": None, "sip_account_limit": None, "trm_mode": "operator"}


@pytest.fixture(params=[409, 422])
def center(request: pytest.FixtureRequest) -> Center:
    return Center(taken_id=request.param)


# --- all is well ------------------------------------------------------------------------------------------------


def test_a_customer_is_created_with_an_id_of_ours(site: CustomerSite, center: Center) -> None:
    site.apply(place={"language": "LT", "capacityLimit": 10, "sipAccountLimit": 5}, displayName="Acme Ltd")
    site.settle()
    (key,) = center.customers.ids()
    expected = {**ACME, "name": "Acme Ltd", "language": "LT", "capacity_limit": 10, "sip_account_limit": 5}
    assert center.customers[key] == expected
    assert (site.customer(), len(key)) == (key, 19)
    assert (site.shown("Ready"), site.shown("Provisioned")) == (("True", "Serving"), ("True", "Provisioned"))
    assert site.status().applied_generation == 1


def test_a_customer_has_the_id_that_the_user_chose(site: CustomerSite, center: Center) -> None:
    site.apply(place=NAMED)
    site.settle()
    assert center.customers["7"] == ACME
    assert (site.customer(), center.asked) == ("7", ["GET 404", "POST 201"])


def test_nothing_is_written_while_nothing_changes(site: CustomerSite, center: Center) -> None:
    site.apply()
    site.settle()
    written, asked = len(site.process.wire.written), len(center.asked)
    site.settle_for(timedelta(hours=2))
    assert len(site.process.wire.written) == written
    assert set(center.asked[asked:]) == {"GET 200"}
    assert len(center.asked[asked:]) >= 2 * timedelta(hours=1) / (POLL_PERIOD * 1.2) - 1


def test_a_restart_changes_nothing(site: CustomerSite, center: Center) -> None:
    site.apply(driftPolicy="Report")
    site.settle()
    center.customers.put(site.customer(), name="Changed by somebody else")
    site.settle_for(POLL_PERIOD * 2)
    before = site.account()
    site.restart()
    site.settle_for(timedelta(minutes=1))
    assert site.account() == before
    assert center.writes == ["POST 201"]


def test_only_what_differs_is_sent(site: CustomerSite, center: Center) -> None:
    site.apply()
    site.settle()
    key = site.customer()
    center.customers.put(key, trm_mode="system")
    site.apply(displayName="Acme Ltd")
    site.settle()
    assert center.customers[key] == {**ACME, "name": "Acme Ltd", "trm_mode": "system"}
    assert center.writes == ["POST 201", "PATCH 200"]
    assert site.status().applied_generation == 2
    site.apply(sharing={"mode": "None"})
    site.settle()
    assert center.writes == ["POST 201", "PATCH 200"], "it is nothing to the customer"
    assert site.status().applied_generation == 3


def test_a_limit_can_be_taken_back(site: CustomerSite, center: Center) -> None:
    site.apply(place={"capacityLimit": 10})
    site.settle()
    site.apply(place={})
    site.settle()
    assert center.customers[site.customer()] == ACME


def test_without_a_provider_nothing_is_asked_or_shown(site: CustomerSite, center: Center) -> None:
    site.apply(provider={"type": "Builtin"})
    site.settle_for(timedelta(hours=1))
    assert not center.asked
    assert (site.shown("Ready"), find(site.status().conditions, "Provisioned")) == (("True", "Serving"), None)


# --- drift ------------------------------------------------------------------------------------------------------


def test_drift_is_taken_back_and_told_field_by_field(site: CustomerSite, center: Center) -> None:
    site.apply()
    site.settle()
    center.customers.put(site.customer(), language="RU", capacity_limit=3)
    site.settle_for(POLL_PERIOD * 2)
    assert center.customers[site.customer()] == ACME
    assert site.shown("Provisioned") == ("True", "Provisioned")
    (message,) = site.process.heard.messages
    assert "language is 'RU', wanted is 'EN'; capacityLimit is 3, wanted is none" in message


def test_drift_is_reported_and_left(site: CustomerSite, center: Center) -> None:
    site.apply(driftPolicy="Report")
    site.settle()
    center.customers.put(site.customer(), name="theirs")
    site.settle_for(POLL_PERIOD * 2)
    assert center.writes == ["POST 201"]
    assert (site.shown("Ready"), site.shown("Provisioned")) == (("True", "Serving"), ("True", "Drifted"))
    assert "displayName is 'theirs', wanted is 'acme'" in site.condition("Provisioned").message
    site.apply(driftPolicy="Enforce")
    site.settle()
    assert center.customers[site.customer()] == ACME


def test_an_annotation_makes_it_look_at_once(site: CustomerSite, center: Center) -> None:
    site.apply()
    site.settle()
    center.customers.put(site.customer(), name="theirs")
    raw = site.api.get(PBXAccount.resource, ObjectKey(NAMESPACE, "acme"))
    annotations = {"pbx-operator.io/reconcile-requested-at": "now"}
    metadata = {**raw["metadata"], "annotations": annotations}
    site.api._update(PBXAccount.resource, raw, metadata=metadata)
    site.settle()
    assert center.customers[site.customer()] == ACME
    assert site.status().last_handled_reconcile_at == "now"


@pytest.mark.parametrize("policy", ["Enforce", "Report"])
def test_a_customer_that_somebody_deleted(site: CustomerSite, center: Center, policy: str) -> None:
    site.apply(driftPolicy=policy)
    site.settle()
    center.customers.remove(site.customer())
    site.settle_for(POLL_PERIOD * 2)
    if policy == "Enforce":
        assert center.customers[site.customer()] == ACME
        assert site.shown("Ready") == ("True", "Serving")
        return
    assert center.writes == ["POST 201"]
    assert (site.shown("Ready"), site.shown("Provisioned")) == (("False", "CustomerGone"), ("False", "CustomerGone"))
    site.apply(driftPolicy="Enforce")
    site.settle()
    assert center.customers[site.customer()] == ACME


# --- whose customer it is ---------------------------------------------------------------------------------------


def test_a_customer_of_somebody_else_is_left_alone(site: CustomerSite, center: Center) -> None:
    center.customers.put("7", name="theirs")
    site.apply(place=NAMED)
    site.settle_for(timedelta(minutes=5))
    assert site.shown("Ready") == ("False", "CustomerNotOurs")
    assert site.shown("Stalled") == ("True", "CustomerNotOurs")
    site.delete()
    site.settle_for(timedelta(minutes=5))
    assert site.account() is None
    assert (center.customers["7"]["name"], center.writes) == ("theirs", [])


def test_an_existing_customer_is_taken_over_if_the_spec_is_as_it_is(site: CustomerSite, center: Center) -> None:
    center.customers.put("7", name="theirs", capacity_limit=3)
    site.apply(place={**NAMED, "capacityLimit": 3}, displayName="theirs")
    site.settle()
    assert (site.shown("Ready"), center.writes) == (("True", "Serving"), [])
    site.apply(displayName="ours")
    site.settle()
    assert center.customers["7"]["name"] == "ours"


def test_an_id_that_is_taken_out_of_our_sight(site: CustomerSite, center: Center) -> None:
    """As a customer of another operator might be."""
    center.customers.read_lag = 1_000
    center.customers.create("7", ACME)
    site.apply(place=NAMED)
    site.settle_for(timedelta(minutes=5))
    assert site.shown("Ready") == ("False", "CustomerNotOurs")
    assert set(center.writes) == {"POST 409"} or set(center.writes) == {"POST 422"}


def test_of_two_accounts_for_one_customer_the_older_has_it(site: CustomerSite, center: Center) -> None:
    site.apply("first", place=NAMED)
    site.settle()
    site.apply("second", place=NAMED)
    site.settle_for(timedelta(minutes=5))
    assert site.shown("Ready", "second") == ("False", "CustomerInUse")
    assert site.status("second").customer_id is None
    site.delete("second")
    site.settle()
    assert (center.customers.ids(), center.writes) == (["7"], ["POST 201"])
    site.apply("second", place=NAMED)
    site.delete("first")
    site.settle_for(timedelta(minutes=5))
    assert (site.account("first"), site.shown("Ready", "second")) == (None, ("True", "Serving"))
    assert center.writes == ["POST 201", "DELETE 204", "POST 201"]


def test_a_place_in_two_spellings_is_one_place(site: CustomerSite) -> None:
    for name, port in (("first", ""), ("second", ":443")):
        site.apply(name, place={**NAMED, "url": f"https://api.telecom.center{port}"})
        site.settle()
    assert site.shown("Ready", "second") == ("False", "CustomerInUse")


def test_a_customer_elsewhere_is_another_one(site: CustomerSite) -> None:
    site.apply("first", place=NAMED)
    sandbox = "https://api.sandbox.telecom.center"
    site.keep("sandbox", username="operator", password="correct horse", url=sandbox)
    site.apply("second", place={**NAMED, "url": sandbox, "credentialsSecretRef": {"name": "sandbox"}})
    site.settle()
    assert site.status("first").customer_id == site.status("second").customer_id == "7"


# --- failures ---------------------------------------------------------------------------------------------------


def test_a_provider_that_is_down_is_asked_again_and_explained(site: CustomerSite, center: Center) -> None:
    center.fails = DOWN
    site.apply()
    site.settle_for(timedelta(minutes=10))
    assert site.shown("Ready") == ("False", "ProviderUnavailable")
    assert site.condition("Ready").message == f"{DOWN.message}; {DOWN.hint}"
    center.fails = None
    site.settle_for(timedelta(minutes=10))
    assert site.shown("Ready") == ("True", "Serving")
    center.fails = DOWN
    site.settle_for(timedelta(minutes=30))
    assert site.shown("Ready") == ("True", "Serving"), "an outage must not fail a Git sync"
    outage = "the account is served; its provider does not answer as it should, see the condition Provisioned"
    assert site.condition("Ready").message == outage
    assert site.shown("Provisioned") == ("Unknown", "ProviderUnavailable")
    assert site.condition("Provisioned").message == DOWN.message, "this URL was right a while ago"
    site.restart()
    site.settle_for(timedelta(minutes=10))
    assert site.condition("Ready").message == outage
    center.fails = None
    site.settle_for(timedelta(minutes=10))
    assert site.shown("Provisioned") == ("True", "Provisioned")
    assert site.condition("Ready").message == "the account is served"


def test_a_failure_that_turned_out_to_be_none_is_forgotten(site: CustomerSite) -> None:
    site.apply()
    assert site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what.startswith("POST /api"))
    (creating,) = site.process.requests()
    assert isinstance(creating.waiting, Request)
    creating.waiting.arrive()
    creating.waiting.lose()
    creating.resume()
    site.settle_for(timedelta(minutes=1))
    assert site.shown("Provisioned") == ("True", "Provisioned")
    due = site.process.queue.next_appointment()
    assert due is not None
    site.now = NOW + timedelta(seconds=due + 1)
    assert site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what.startswith("GET /api"))
    (looking,) = site.process.requests()
    add_number(site)
    site.work_beside(looking)
    assert site.status().internal_numbers == NumberCounts(shared=1)
    assert site.shown("Provisioned") == ("True", "Provisioned")
    site.settle()


def test_an_edit_is_not_forgotten_that_comes_while_a_call_is_refused(site: CustomerSite, center: Center) -> None:
    center.fails = fault("Final", provider_reasons.PROVIDER_REFUSED, words="no", code=1)
    site.apply()
    assert site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what.startswith("GET /api"))
    (looking,) = site.process.requests()
    assert isinstance(looking.waiting, Request)
    looking.waiting.arrive()
    center.fails = None
    site.apply(displayName="Acme Ltd")
    site.work_beside(looking)
    looking.resume()
    site.settle_for(timedelta(seconds=2))
    assert site.shown("Ready") == ("True", "Serving")


def add_number(site: CustomerSite) -> None:
    metadata = {"name": "n200", "namespace": NAMESPACE}
    site.api.create(
        InternalNumber.resource, {"metadata": metadata, "spec": {"accountRef": {"name": "acme"}, "number": "200"}}
    )


def test_a_wrong_password_is_tried_once_until_the_secret_changes() -> None:
    center = Center()
    with closing(CustomerSite(center, password="wrong")) as site:
        site.apply()
        site.settle_for(timedelta(hours=2))
        assert (site.shown("Ready"), site.shown("Stalled")) == (
            ("False", "CredentialsRejected"),
            ("True", "CredentialsRejected"),
        )
        assert center.refused_logins == 1
        site.restart()
        site.settle_for(timedelta(hours=2))
        assert center.refused_logins == 1, "the status remembers it for the next process"
        correct(site)
        site.settle_for(timedelta(minutes=10))
        assert (site.shown("Ready"), site.status().rejected_credentials) == (("True", "Serving"), None)
        assert center.refused_logins == 1


def correct(site: CustomerSite) -> None:
    site.api.delete(SECRETS, ObjectKey(NAMESPACE, "login"))
    site.keep("login", username="operator", password="correct horse")


def test_a_login_that_is_locked_later_makes_the_account_wait_for_a_person(site: CustomerSite, center: Center) -> None:
    site.apply()
    add_number(site)
    site.settle()
    center.credentials.lock_out()
    site.settle_for(timedelta(hours=1))
    assert site.shown("Ready") == ("False", "CredentialsRejected")
    assert site.shown("Provisioned") == ("Unknown", "CredentialsRejected")
    assert center.refused_logins == 1
    raw = site.api.get(InternalNumber.resource, ObjectKey(NAMESPACE, "n200"))
    ready = find(InternalNumber.model_validate(raw).status.conditions, "Ready")
    assert ready is not None
    assert ready.status == "True", "the phones still ring"


def test_a_login_that_is_not_there_yet(site: CustomerSite, center: Center) -> None:
    site.apply(place={"credentialsSecretRef": {"name": "later"}})
    site.settle_for(timedelta(minutes=3))
    assert site.shown("Stalled") == ("True", "CredentialsMissing")
    assert "'username' and 'password'" in site.condition("Ready").message
    site.keep("later", username="operator", password="correct horse")
    site.settle_for(timedelta(minutes=6))
    assert site.shown("Ready") == ("True", "Serving")


def test_what_the_provider_refuses_is_told_by_the_field(site: CustomerSite, center: Center) -> None:
    site.apply(displayName=" ")
    site.settle_for(timedelta(minutes=1))
    assert site.shown("Stalled") == ("True", "SettingsRefused")
    assert "spec.displayName: name - can't be blank" in site.condition("Ready").message
    site.apply(displayName="Acme")
    site.settle()
    assert site.shown("Ready") == ("True", "Serving")
