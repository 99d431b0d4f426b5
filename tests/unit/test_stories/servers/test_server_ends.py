"""The end of a CommServer: what keeps it, for how long, what it says meanwhile, and what it leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NAMESPACE
from pbx_operator.api import provider_reasons, rainbow_reasons
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.domain.faults import Fault, fault
from pbx_operator.domain.steps import StepAttempts
from pbx_operator.providers.errors import unavailable
from server_builders import STOCK
from simulation.process import Request, Task
from simulation.servers import Provider, Site, is_kept

LOGIN_MISSING = fault(
    "Retry", provider_reasons.CREDENTIALS_MISSING, secret="login", problem="does not exist", entries="'username'"
)


def test_a_deletion_waits_for_the_provider_and_says_so(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    down = unavailable("it is down", field="spec.provider.rainbow.url").fault
    provider.refuses["delete"] = provider.refuses["observe"] = down
    site.delete()
    site.settle_for(timedelta(minutes=30))
    message = site.message()
    assert f"({down.message})" in message
    assert "create another one" not in message
    assert "it goes by itself once that has passed" in message
    assert "set spec.deletionPolicy to Orphan: kubectl patch commserver pbx -n" in message
    provider.refuses.clear()
    site.settle_for(timedelta(minutes=6))
    assert site.server() is None
    assert not provider.systems


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (replace(LOGIN_MISSING, kind="Credentials"), "; if it cannot come back, as in a namespace that is being"),
        (fault("Credentials", rainbow_reasons.ROLE_MISSING, secret="login"), "; to leave the system there, set spec."),
        (fault("Final", rainbow_reasons.MEDIA_PILLAR_LINKED), "; to leave the system there, set spec."),
    ],
    ids=["no Secret", "no right", "refused"],
)
def test_a_deletion_that_waits_for_a_person_does_not_say_that_it_passes(
    site: Site, provider: Provider, refusal: Fault, told: str
) -> None:
    """Nor does it send anybody to the finalizers: without them the system would be left behind unknown."""
    site.apply()
    site.settle()
    provider.refuses["delete"] = provider.refuses["observe"] = refusal
    site.delete()
    site.settle_for(timedelta(minutes=30))
    message = site.message()
    assert told in message
    assert "by itself" not in message
    assert "finalizers" not in message


@pytest.mark.parametrize("spec", [{}, STOCK], ids=["built to order", "stock"])
@pytest.mark.parametrize(
    "refusal",
    [
        unavailable("it is down").fault,
        fault(
            "Retry",
            provider_reasons.CREDENTIALS_MISSING,
            secret="login",
            problem="does not exist",
            entries="'username'",
        ),
        fault("Final", rainbow_reasons.COMPANY_NOT_FOUND, secret="login", company="Customer"),
    ],
    ids=lambda refusal: refusal.reason.name,
)
def test_one_whose_provider_never_answered_goes_at_once(
    site: Site, provider: Provider, refusal: Fault, spec: dict[str, Any]
) -> None:
    provider.refuses["observe"] = refusal
    site.apply(**spec)
    site.settle_for(timedelta(minutes=10))
    assert site.ready() == ("False", refusal.reason.name)
    site.delete()
    site.settle()
    assert (site.server(), site.secret()) == (None, None)


def test_a_deletion_does_not_wait_for_the_first_look(site: Site) -> None:
    site.apply()
    assert site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what == "observe")
    server = site.server()
    assert server is not None
    site.delete()
    assert site.server() is None
    site.settle()
    assert site.process.memory.steps(server.metadata.uid) == StepAttempts(), "what nobody needs any more is forgotten"


@pytest.mark.parametrize("status", ["kept", "lost"])
def test_one_that_lost_its_finalizer_gets_it_again(site: Site, provider: Provider, status: str) -> None:
    site.apply()
    site.settle()
    key = ObjectKey(NAMESPACE, "pbx")
    raw = site.api.get(CommServer.resource, key)
    if status == "lost":
        raw = site.api.put_status(CommServer.resource, {**raw, "status": {}})
    site.api.put_finalizers(CommServer.resource, key, {"metadata": {**raw["metadata"], "finalizers": []}})
    provider.refuses["observe"] = unavailable("it is down").fault
    if status == "kept":
        site.restart()
    site.settle()
    assert is_kept(site.api, key)


def test_an_orphan_stays_at_the_provider(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    provider.refuses["observe"] = provider.refuses["delete"] = unavailable("it is down").fault
    site.delete()
    site.settle_for(timedelta(minutes=2))
    site.apply(deletionPolicy="Orphan")
    site.settle()
    assert site.server() is None
    (system,) = provider.systems.values()
    assert site.process.heard.messages == [
        f"EquipmentRecord {system.id}, with equipment ID {system.equipment_id}, stays, since spec.deletionPolicy is"
        f" Orphan; an administrator can delete it (kubectl annotate equipmentrecord {system.id}"
        f" pbx-operator.io/allow-deletion=true && kubectl delete equipmentrecord {system.id})"
    ]


def test_an_orphan_of_a_system_that_is_somebody_elses_leaves_nothing_to_tell(site: Site, provider: Provider) -> None:
    provider.declare("ALE12-1234.5678.90", "their code")
    site.apply(deletionPolicy="Orphan", **STOCK)
    site.settle()
    site.delete()
    site.settle()
    assert (site.server(), site.process.heard.messages) == (None, [])


def test_what_is_declared_while_its_deletion_begins_goes_as_well(site: Site, provider: Provider) -> None:
    site.apply()
    assert site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what == "create")
    (creating,) = site.process.requests()
    site.delete()
    while others := [task for task in site.process.requests() if task is not creating] or site.process.unseen():
        first = others[0]
        site.serve(first) if isinstance(first, Task) else site.process.watch(first)
    site.settle()
    assert site.server() is None
    assert not provider.systems


def test_a_system_that_is_not_found_yet_is_deleted_nevertheless(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    provider.hides = True
    site.restart()
    site.delete()
    site.settle()
    assert site.server() is None
    assert not provider.systems


def test_a_secret_of_somebody_else_does_not_keep_a_system_from_being_deleted(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    site.api.delete(SECRETS, ObjectKey(NAMESPACE, "pbx-activation"))
    site.keep("pbx-activation", note="ours")
    site.restart()
    site.settle()
    assert site.ready() == ("False", "SecretNameTaken")
    site.delete()
    site.settle()
    assert site.server() is None
    assert not provider.systems
    assert site.secret() == {"note": "ours"}


def test_one_without_its_login_waits_and_says_what_ends_that(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    provider.refuses["observe"] = provider.refuses["delete"] = LOGIN_MISSING
    site.delete()
    site.settle_for(timedelta(minutes=30))
    message = site.message()
    assert "Secret login does not exist" in message
    assert "spec.deletionPolicy to Orphan" in message
