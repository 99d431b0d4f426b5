"""What happens to a box makes its CommServer look, and silence does by time alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from builders import NAMESPACE, NOW
from equipment_builders import DOWN, UP, associated, declared, record, reported
from pbx_operator.api.meta import SECRETS, TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1 import EquipmentRecord
from pbx_operator.api.v1alpha1.commserver import CommServerStatus
from pbx_operator.api.v1alpha1.equipmentrecord import EquipmentOwner
from pbx_operator.domain.plan import ServerStep
from pbx_operator.domain.servers.equipment import REPORT_PERIOD, SILENT, record_name
from pbx_operator.domain.servers.facts import ServerLook, ServerSnapshot
from pbx_operator.domain.servers.impact import servers_of_record
from pbx_operator.domain.servers.plan import plan_server
from pbx_operator.domain.servers.systems import SystemFacts, SystemWish, settings_of
from pbx_operator.domain.steps import StepAttempts
from pbx_operator.domain.unreadable import Unreadable
from server_builders import STOCK, commserver
from simulation.process import Request, Task
from simulation.servers import Provider, Site, System
from simulation.world import INSTANCE

PLACE = ObjectKey(NAMESPACE, "pbx")
SERVER = commserver(
    finalizers=(TEARDOWN_FINALIZER,), status=CommServerStatus(equipment_id="ALE12-1234.5678.90"), **STOCK
)
FACTS = SystemFacts("e-1", True, "Running", settings_of(SERVER), "Spent")


def steps(system: SystemFacts, secret: Literal["NotNeeded", "Missing"] = "NotNeeded") -> list[str]:
    """Return the steps that are planned next for a server whose look found this system."""
    found = ServerLook(secret, system, NOW + timedelta(minutes=1))
    plan = plan_server(ServerSnapshot(PLACE, SERVER, attempts=StepAttempts(found)), NOW)
    return [action.step for action in plan.actions if isinstance(action, ServerStep)]


def test_what_an_earlier_object_declared_is_taken_up_before_anything_else() -> None:
    assert steps(FACTS) == []
    assert steps(replace(FACTS, inherited=True)) == ["create"]
    assert steps(replace(FACTS, inherited=True), secret="Missing") == ["deliver"]
    assert steps(replace(FACTS, inherited=True, ours=False)) == []


class TestImpact:
    def test_the_owner_looks(self) -> None:
        assert servers_of_record(record(declared()), record(associated())) == {PLACE}
        assert servers_of_record(None, record(declared())) == {PLACE}
        assert servers_of_record(record(associated()), None) == {PLACE}

    def test_reports_without_news_wake_nobody(self) -> None:
        later = reported(UP, time=NOW + REPORT_PERIOD, rev=2)
        assert servers_of_record(record(associated(), reported(UP)), record(associated(), later)) == set()
        down = reported(DOWN, time=NOW + REPORT_PERIOD, rev=2)
        assert servers_of_record(record(associated(), reported(UP)), record(associated(), down)) == {PLACE}

    def test_one_that_cannot_be_read_wakes_who_owned_it(self) -> None:
        unreadable = Unreadable(EquipmentRecord.resource, record(declared()).metadata, "spec")
        assert servers_of_record(record(declared()), unreadable) == {PLACE}
        assert servers_of_record(unreadable, unreadable) == set()


class BoxProvider(Provider):
    """A provider whose facts are good for a while only."""

    good_for: timedelta | None = None

    def _facts(self, system: System, wish: SystemWish, code: str | None) -> SystemFacts:
        facts = super()._facts(system, wish, code)
        return replace(facts, good_until=NOW + self.good_for if self.good_for else None)


@pytest.fixture
def provider() -> BoxProvider:
    return BoxProvider(makes_codes=False)


def put_record(site: Site) -> None:
    """Let there be a record of the server, whatever it says."""
    server = site.server()
    assert server is not None
    owner = EquipmentOwner(namespace=NAMESPACE, name="pbx", uid=server.metadata.uid)
    spec = declared(owner=owner, instance=INSTANCE)
    body = {"metadata": {"name": record_name(spec.equipment_id)}, "spec": spec.to_json()}
    site.api.create(EquipmentRecord.resource, body)


def test_a_change_of_the_record_is_seen_at_once(site: Site, provider: BoxProvider) -> None:
    site.apply()
    site.settle()
    (system,) = provider.systems.values()
    assert provider.connect(system.equipment_id, system.code)
    site.settle()
    assert site.status().state == "Pending", "nobody said that there is something to see"
    put_record(site)
    site.settle()
    assert site.status().state == "Running"


def test_a_change_during_a_look_means_another_look(site: Site, provider: BoxProvider) -> None:
    """The look may have read what was before the change."""
    site.apply()

    def looks(task: Task) -> bool:
        return isinstance(task.waiting, Request) and task.waiting.what == "observe"

    site.settle()
    put_record(site)
    assert site.settle(looks)
    looking = site.process.requests()[0]
    assert isinstance(looking.waiting, Request)
    looking.waiting.arrive()
    (system,) = provider.systems.values()
    assert provider.connect(system.equipment_id, system.code)
    site.api.delete(EquipmentRecord.resource, ObjectKey("", record_name(declared().equipment_id)))
    for unseen in site.process.unseen():
        site.process.watch(unseen)
    looking.resume()
    site.settle()
    assert site.status().state == "Running"


def test_silence_is_noticed_by_time_alone_although_the_secret_name_is_taken(site: Site, provider: BoxProvider) -> None:
    site.apply()
    site.settle()
    (system,) = provider.systems.values()
    site.api.delete(SECRETS, ObjectKey(NAMESPACE, "pbx-activation"))
    site.keep("pbx-activation", note="mine")
    provider.good_for = timedelta(hours=2)
    site.restart()
    site.settle_for(provider.good_for - timedelta(seconds=1))
    assert provider.connect(system.equipment_id, system.code)
    provider.good_for = None
    assert (site.ready(), site.status().state) == (("False", "SecretNameTaken"), "Pending")
    site.settle_for(timedelta(seconds=2))
    assert (site.ready(), site.status().state) == (("False", "SecretNameTaken"), "Running")


def test_silence_is_noticed_by_time_alone(site: Site, provider: BoxProvider) -> None:
    site.apply()
    site.settle()
    provider.good_for = SILENT
    site.restart()
    site.settle()
    (system,) = provider.systems.values()
    assert provider.connect(system.equipment_id, system.code)
    provider.good_for = None
    site.settle_for(SILENT - timedelta(seconds=1))
    assert site.status().state == "Pending"
    site.settle_for(timedelta(seconds=2))
    assert site.status().state == "Running"
