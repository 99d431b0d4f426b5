"""The steps of a CommServer, with the engine's own parts, on a simulated API server and provider."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from builders import NAMESPACE, NOW
from pbx_operator.api import provider_reasons, reasons
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.commserver import CommServerStatus
from pbx_operator.domain.conditions import find
from pbx_operator.domain.faults import fault
from pbx_operator.domain.servers.equipment import record_name
from pbx_operator.domain.steps import POLL_PERIOD
from pbx_operator.providers.errors import unavailable
from server_builders import STOCK
from simulation.process import Request
from simulation.servers import Provider, Site

DOWN = unavailable("it is down", field="spec.provider.rainbow.url").fault


def shown(status: CommServerStatus, type_: str) -> tuple[str, str]:
    """Return status and reason of a condition."""
    condition = find(status.conditions, type_)
    assert condition is not None
    return condition.status, condition.reason


def test_built_to_order_declared_with_the_code_of_its_secret(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    secret = site.secret()
    assert secret is not None
    (system,) = provider.systems.values()
    assert (secret["equipmentID"], secret["activationCode"]) == (system.equipment_id, system.code)
    assert system.equipment_id.startswith("PBX")
    status = site.status()
    assert (status.state, status.system_id, status.equipment_id) == ("Pending", system.id, system.equipment_id)
    assert site.ready() == ("True", "Declared")
    assert provider.changes == ["create"]


def test_stock_needs_no_secret_and_warns_of_its_code(site: Site, provider: Provider) -> None:
    site.apply(**STOCK)
    site.settle()
    (system,) = provider.systems.values()
    assert system.equipment_id == system.code == "ALE12-1234.5678.90"
    assert site.secret() is None
    assert find(site.status().conditions, "WeakActivationCode") is not None
    assert provider.connect(site.equipment(), "ALE12-1234.5678.90")
    site.settle_for(POLL_PERIOD * 2)
    assert site.ready() == ("True", "Running")
    assert find(site.status().conditions, "WeakActivationCode") is None


def test_nothing_is_written_while_nothing_changes(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    written = len(site.process.wire.written)
    site.settle_for(timedelta(hours=2))
    assert len(site.process.wire.written) == written
    assert provider.changes == ["create"]


def test_a_new_spec_is_given_field_by_field(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    site.apply(displayName="Reception", dialing={"country": "FR", "outboundPrefix": "0"})
    site.settle()
    (system,) = provider.systems.values()
    assert (system.settings.display_name, system.settings.outbound_prefix) == ("Reception", "0")
    assert provider.changes == ["create", "update"]
    assert site.status().applied_generation == 2


@pytest.mark.parametrize("policy", ["Enforce", "Report"])
def test_drift_is_taken_back_or_reported(site: Site, provider: Provider, policy: str) -> None:
    site.apply(driftPolicy=policy)
    site.settle()
    (system,) = provider.systems.values()
    wanted, system.settings = system.settings, system.settings.__class__("renamed", "FR", web_rtc_gateway="Disabled")
    site.settle_for(POLL_PERIOD * 2)
    provisioned = find(site.status().conditions, "Provisioned")
    assert provisioned is not None
    assert site.ready() == ("True", "Declared")
    if policy == "Enforce":
        assert (system.settings, provisioned.reason) == (wanted, "Provisioned")
        (message,) = site.process.heard.messages
        assert "displayName is 'renamed', wanted is 'pbx'" in message
    else:
        assert (system.settings.display_name, provisioned.reason) == ("renamed", "Drifted")
        assert "displayName is 'renamed', wanted is 'pbx'" in provisioned.message


@pytest.mark.parametrize("policy", ["Enforce", "Report"])
def test_a_system_that_somebody_deleted_is_declared_anew_or_reported(
    site: Site, provider: Provider, policy: str
) -> None:
    site.apply(driftPolicy=policy)
    site.settle()
    provider.systems.clear()
    site.settle_for(POLL_PERIOD * 2)
    if policy == "Report":
        assert site.ready() == ("False", "SystemDeleted")
        assert not provider.systems
        site.apply(driftPolicy="Enforce")
        site.settle()
    (system,) = provider.systems.values()
    assert site.ready() == ("True", "Declared")
    assert site.secret_code() == system.code


def test_a_system_that_is_not_shown_for_a_while_stays_ours(site: Site, provider: Provider) -> None:
    site.apply(driftPolicy="Report")
    site.settle()
    assert provider.connect(site.equipment(), site.secret_code())
    hidden, provider.systems = provider.systems, {}
    site.settle_for(POLL_PERIOD * 2)
    provider.systems = hidden
    site.settle_for(POLL_PERIOD * 2)
    assert site.ready() == ("True", "Running")


def test_a_higher_revision_brings_another_code_and_the_same_id(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    first = site.secret_code()
    assert provider.connect(site.equipment(), first)
    site.apply(activation={"revision": 2})
    site.settle()
    (system,) = provider.systems.values()
    assert system.code == site.secret_code() != first
    assert (site.status().state, site.status().activation_revision) == ("Pending", 2)
    site.apply(activation={"revision": 1})
    site.settle()
    assert system.code == site.secret_code()
    assert provider.changes.count("reset") == 1
    assert shown(site.status(), "Accepted") == ("True", "AcceptedWithWarnings")
    assert site.ready() == ("True", "Declared")


def test_a_code_that_nobody_knows_any_more_is_replaced(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    site.api.delete(SECRETS, ObjectKey("default", "pbx-activation"))
    site.settle_for(POLL_PERIOD * 2)
    (system,) = provider.systems.values()
    assert site.secret_code() == system.code


def test_an_annotation_brings_a_deleted_secret_back_at_once(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    site.api.delete(SECRETS, ObjectKey(NAMESPACE, "pbx-activation"))
    site.settle()
    assert site.secret() is None
    raw = site.api.get(CommServer.resource, ObjectKey(NAMESPACE, "pbx"))
    annotations = {"pbx-operator.io/reconcile-requested-at": "now"}
    site.api._update(CommServer.resource, raw, metadata={**raw["metadata"], "annotations": annotations})
    site.settle()
    (system,) = provider.systems.values()
    assert site.secret_code() == system.code


def test_a_system_of_somebody_else_is_left_alone(site: Site, provider: Provider) -> None:
    theirs = provider.declare("ALE12-1234.5678.90", "their code")
    site.apply(**STOCK)
    site.settle_for(timedelta(minutes=5))
    assert site.ready() == ("False", "SystemNotOurs")
    assert f"&& kubectl delete equipmentrecord {record_name('ALE12-1234.5678.90')})" in site.message()
    site.delete()
    site.settle_for(timedelta(minutes=5))
    assert site.server() is None
    assert provider.systems == {"ALE12-1234.5678.90": theirs}
    assert not set(provider.changes) - {"create"}


def test_of_two_servers_for_one_box_the_older_has_it(site: Site, provider: Provider) -> None:
    site.apply("first", **STOCK)
    site.settle()
    site.apply("second", **STOCK)
    site.settle_for(timedelta(minutes=5))
    second = site.status("second")
    shown = [find(second.conditions, type_) for type_ in ("Ready", "Provisioned")]
    assert [c and (c.status, c.reason) for c in shown] == [("False", "EquipmentInUse")] * 2
    assert second.equipment_id is None
    site.delete("second")
    site.settle()
    assert list(provider.systems) == ["ALE12-1234.5678.90"]
    site.apply("second", **STOCK)
    site.delete("first")
    site.settle_for(timedelta(minutes=5))
    assert site.status("second").state == "Pending"


def test_a_box_is_followed_while_the_spec_is_refused(site: Site, provider: Provider) -> None:
    site.apply(**STOCK)
    site.settle()
    site.apply(displayName="other", numberingRules=[{"match": "^18$", "action": "Block"}])
    site.settle()
    assert site.ready() == ("False", "EmergencyCall")
    assert provider.connect("ALE12-1234.5678.90", "ALE12-1234.5678.90")
    site.settle_for(POLL_PERIOD * 2)
    assert (site.ready(), site.status().state) == (("False", "EmergencyCall"), "Running")
    assert provider.changes == ["create"], "nothing of it is given to the provider"


# --- failures ---------------------------------------------------------------------------------------------------


def test_a_provider_that_is_down_is_asked_again_and_explained(site: Site, provider: Provider) -> None:
    provider.refuses["observe"] = DOWN
    site.apply()
    site.settle_for(timedelta(minutes=10))
    assert site.ready() == ("False", "ProviderUnavailable")
    assert site.message() == f"{DOWN.message}; {DOWN.hint}"
    provider.refuses.clear()
    site.settle_for(timedelta(minutes=10))
    assert site.ready() == ("True", "Declared")
    provider.refuses["observe"] = DOWN
    site.settle_for(timedelta(minutes=30))
    assert site.ready() == ("True", "Declared"), "an outage must not fail a Git sync"
    assert site.message().endswith("; its provider does not answer as it should, see the condition Provisioned")
    provisioned = find(site.status().conditions, "Provisioned")
    assert provisioned is not None
    assert (provisioned.status, provisioned.reason) == ("Unknown", "ProviderUnavailable")
    assert provisioned.message == DOWN.message, "this URL was right a while ago"
    site.restart()
    site.settle_for(timedelta(minutes=10))
    assert site.ready() == ("True", "Declared")
    assert "does not answer" in site.message()
    provider.refuses.clear()
    site.settle_for(timedelta(minutes=10))
    assert "does not answer" not in site.message()


def test_a_clone_of_a_cluster_leaves_the_systems_of_the_original(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    unconfirmed = fault("Retry", reasons.CLUSTER_UNCONFIRMED, identity="pbx-system/pbx-operator-identity")
    provider.refuses = dict.fromkeys(("observe", "create", "update", "reset", "delete"), unconfirmed)
    site.restart()
    site.apply(displayName="other")
    site.settle_for(timedelta(minutes=5))
    assert site.ready() == ("False", "ClusterUnconfirmed")
    site.delete()
    site.settle_for(timedelta(minutes=30))
    server = site.server()
    assert server is not None
    assert "was made in another cluster" in server.status.conditions[0].message
    assert provider.changes == ["create"]


def restored(site: Site, *, status: bool) -> None:
    """Restore the CommServer from a backup, which gives it another UID, while no operator runs."""
    site.process.die()
    site.api.delete(SECRETS, ObjectKey(NAMESPACE, "pbx-activation"))
    raw = site.api.objects.pop((CommServer.resource.plural, ObjectKey(NAMESPACE, "pbx")))
    fresh = site.api.create(
        CommServer.resource, {"metadata": {"name": "pbx", "namespace": NAMESPACE}, "spec": raw["spec"]}
    )
    if status:
        site.api.put_status(CommServer.resource, {**fresh, "status": raw["status"]})
    site.start()


def test_one_that_is_restored_with_its_status_has_the_same_box(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    (system,) = provider.systems.values()
    restored(site, status=True)
    site.settle_for(timedelta(minutes=5))
    assert list(provider.systems.values()) == [system]
    assert site.ready() == ("True", "Declared")
    assert site.secret_code() == system.code
    site.delete()
    site.settle()
    assert not provider.systems


def test_one_that_is_restored_without_its_status_is_another_one(site: Site, provider: Provider) -> None:
    site.apply()
    site.settle()
    before = site.equipment()
    restored(site, status=False)
    site.settle()
    assert sorted(provider.systems) == sorted([before, site.equipment()])


def test_a_secret_name_that_is_freed_is_noticed_soon(site: Site) -> None:
    site.keep("pbx-activation", note="ours")
    site.apply()
    site.settle_for(timedelta(minutes=1))
    assert site.ready() == ("False", "SecretNameTaken")
    site.api.delete(SECRETS, ObjectKey(NAMESPACE, "pbx-activation"))
    site.settle_for(timedelta(minutes=2))
    assert site.ready() == ("True", "Declared")


@pytest.mark.parametrize("restarts", [False, True], ids=["the same process", "after a restart"])
def test_a_box_is_followed_while_the_secret_name_is_taken_and_a_new_revision_waits(
    site: Site, provider: Provider, restarts: bool
) -> None:
    site.apply()
    site.settle()
    (system,) = provider.systems.values()
    site.api.delete(SECRETS, ObjectKey(NAMESPACE, "pbx-activation"))
    site.keep("pbx-activation", note="ours")
    site.restart()
    site.settle()
    assert provider.connect(system.equipment_id, system.code)
    site.apply(activation={"revision": 2})
    if restarts:
        site.restart()
    site.settle_for(timedelta(minutes=10))
    status = site.status()
    assert (site.ready(), status.state) == (("False", "SecretNameTaken"), "Running")
    assert [channel.name for channel in status.connection] == ["csta"]
    assert shown(status, "Connected") == ("True", "Running")
    assert shown(status, "Provisioned") == ("False", "NotProvisioned")
    assert "reset" not in provider.changes
    site.api.delete(SECRETS, ObjectKey(NAMESPACE, "pbx-activation"))
    site.settle_for(timedelta(minutes=10))
    assert provider.changes.count("reset") == 1
    assert (site.ready(), site.status().activation_revision) == (("True", "Declared"), 2)
    assert site.secret_code() == system.code


def test_nobody_is_told_to_delete_the_secret_of_another_server(site: Site) -> None:
    site.apply("sn1", activation={"secretName": "pbx-activation"})
    site.settle()
    theirs = site.secret()
    site.apply()
    site.settle()
    assert site.ready() == ("False", "SecretNameTaken")
    assert site.message() == (
        "Secret pbx-activation belongs to CommServer sn1;"
        " create this object anew with another spec.activation.secretName"
    )
    assert site.secret() == theirs


def test_another_secret_name_is_not_forgotten_that_comes_while_the_taken_one_is_looked_at(site: Site) -> None:
    site.keep("pbx-activation", note="ours")
    site.apply()
    site.settle_for(timedelta(hours=1))
    due = site.process.queue.next_appointment()
    assert due is not None
    site.now = NOW + timedelta(seconds=due + 1)
    assert site.settle(lambda task: isinstance(task.waiting, Request) and task.waiting.what.startswith("GET secrets"))
    (looking,) = site.process.requests()
    assert isinstance(looking.waiting, Request)
    looking.waiting.arrive()
    site.apply(activation={"secretName": "pbx-code"})
    site.work_beside(looking)
    looking.resume()
    site.settle_for(timedelta(seconds=2))
    assert site.ready() == ("True", "Declared")


def test_a_secret_name_that_stays_taken_is_looked_at_ever_later(site: Site) -> None:
    site.keep("pbx-activation", note="ours")
    site.apply()
    site.settle_for(timedelta(hours=1))
    site.calls = 0
    site.settle_for(timedelta(hours=1))
    assert 20 <= site.calls <= 32, "the Secret and the provider every five minutes, give or take a fifth"


def test_the_log_tells_a_failure_that_lasts_once_another_one_again_and_its_end(
    site: Site, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pbx_operator.engine.steps")
    site.apply()
    site.settle()
    provider.refuses["observe"] = fault("Final", provider_reasons.PROVIDER_REFUSED, words="no", code=1)
    site.settle_for(timedelta(hours=3))
    provider.refuses["observe"] = fault("Final", provider_reasons.PROVIDER_REFUSED, words="never", code=1)
    site.settle_for(timedelta(hours=3))
    provider.refuses.clear()
    site.settle_for(timedelta(hours=3))
    told = [f"{record.levelname} {record.getMessage().partition(';')[0]}" for record in caplog.records]
    assert told == [
        "WARNING step 'look': ProviderRefused: the provider refuses: no (error 1)",
        "WARNING step 'look': ProviderRefused: the provider refuses: never (error 1)",
        "INFO step 'look' succeeds again",
    ]
