"""The metrics of what is: they count what objects show, and which installations answer."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from builders import INSTANCE, SUFFIX, account, digest, interlink
from federated_builders import ELSEWHERE, authority, replica
from pbx_operator.api.meta import Resource
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.domain.protocol.keys import SEED_BYTES, SigningKey
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.identity import Identity
from pbx_operator.engine.memory import MISSED, Memory
from pbx_operator.engine.state_metrics import StateMetrics
from pbx_operator.engine.store import Store

VERSIONS = count(1)


class Bench:
    """The metrics of a Store that can be filled."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.store, self.memory = Store(SUFFIX, Scope(INSTANCE)), Memory()
        self.identity = Identity(INSTANCE, "", SigningKey(bytes(SEED_BYTES)), confirmed=True)
        self.left: dict[str, str] = {}
        self.registry.register(StateMetrics(self.store, self.memory, self.identity, self.left))

    def put(self, one: Resource, **conditions: str) -> None:
        """Put an object that shows these conditions."""
        raw: dict[str, Any] = one.model_dump(mode="json", by_alias=True, exclude_none=True)
        raw["metadata"] |= {"resourceVersion": str(next(VERSIONS)), "uid": raw["metadata"]["uid"] or one.key.name}
        if conditions:
            time = "2027-01-31T12:00:00Z"
            rest = {"reason": "Any", "message": "", "lastTransitionTime": time}
            shown = [{"type": type_, "status": status, **rest} for type_, status in conditions.items()]
            raw["status"] = {**raw.get("status", {}), "conditions": shown}
        self.store.tables[one.resource.plural].put(raw)

    def objects(self, kind: str, condition: str, status: str) -> float | None:
        labels = {"kind": kind, "condition": condition, "status": status}
        return self.registry.get_sample_value("pbx_operator_objects", labels)

    def standing_back(self) -> set[str]:
        reasons = ("ClusterUnconfirmed", "IdentityLost", "AnotherInstallation")
        name = "pbx_operator_standing_back"
        return {reason for reason in reasons if self.registry.get_sample_value(name, {"reason": reason})}

    def reachable(self, instance: str = ELSEWHERE) -> float | None:
        return self.registry.get_sample_value("pbx_operator_peer_reachable", {"peer": instance})


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("kind", ["PBXAccount", "Interlink", "InternalNumber", "CommServer"])
@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_readiness_is_counted_from_the_start(kind: str, status: str, bench: Bench) -> None:
    assert bench.objects(kind, "Ready", status) == 0


def test_each_object_counts_for_each_of_its_conditions(bench: Bench) -> None:
    bench.put(interlink("x"), Ready="True", CallsAllowed="False")
    bench.put(interlink("y"), Ready="False", Stalled="True", CallsAllowed="False")
    bench.put(account("a"), Ready="True")
    assert bench.objects("Interlink", "Ready", "True") == bench.objects("Interlink", "Ready", "False") == 1
    assert bench.objects("Interlink", "CallsAllowed", "False") == 2
    assert bench.objects("Interlink", "Stalled", "True") == 1
    assert bench.objects("PBXAccount", "Ready", "True") == 1


def test_a_change_and_a_deletion_are_counted_at_once(bench: Bench) -> None:
    link = interlink("x", uid="u")
    bench.put(link, Ready="False", Reconciling="True")
    bench.put(link, Ready="True")
    assert bench.objects("Interlink", "Ready", "True") == 1
    assert bench.objects("Interlink", "Reconciling", "True") is None
    bench.store.interlinks.remove(link.key, "u")
    assert bench.objects("Interlink", "Ready", "True") == 0


def test_an_object_that_cannot_be_read_counts_by_what_it_shows(bench: Bench) -> None:
    link = interlink("x", uid="u")
    bench.put(link, Ready="False", Stalled="True")
    raw = {"metadata": {"name": "x", "namespace": link.key.namespace, "uid": "u", "resourceVersion": "99999"}}
    status = {"type": "Stalled", "status": "True", "reason": "Unreadable", "message": ""}
    status["lastTransitionTime"] = "2027-01-31T12:00:00Z"
    bench.store.interlinks.put({**raw, "spec": {}, "status": {"conditions": [status]}})
    assert bench.objects("Interlink", "Stalled", "True") == 1
    assert bench.objects("Interlink", "Ready", "False") == 0


def test_links_and_servers_are_counted_by_state(bench: Bench) -> None:
    bench.put(interlink("x", status=InterlinkStatus(state="Established")))
    bench.put(interlink("y"))
    shown = {
        (sample.labels["kind"], sample.labels["state"]): sample.value
        for family in bench.registry.collect()
        for sample in family.samples
        if family.name == "pbx_operator_object_states"
    }
    assert shown == {
        ("Interlink", "Pending"): 0,
        ("Interlink", "Established"): 1,
        ("Interlink", "Ended"): 0,
        **{("CommServer", state): 0 for state in ("Pending", "Running", "Degraded", "Activated")},
    }


def test_a_peer_is_shown_once_it_is_known_whether_it_answers(bench: Bench) -> None:
    bench.put(authority())
    assert bench.reachable() is None
    bench.memory.note_reach(ELSEWHERE, answered=True)
    assert bench.reachable() == 1
    for _ in range(MISSED):
        bench.memory.note_reach(ELSEWHERE, answered=False)
    assert bench.reachable() == 0


@pytest.mark.parametrize("asked", [replica(requested=True), authority(redeemer=None)], ids=["Requested", "Issued"])
def test_whoever_can_be_named_in_a_key_makes_no_series(asked: LinkRecord, bench: Bench) -> None:
    """Only links do: anybody can write any number of installations into bundles."""
    bench.put(asked)
    bench.memory.note_reach(ELSEWHERE, answered=False)
    bench.memory.note_reach(digest("a stranger", 26), answered=True)
    assert b"peer=" not in generate_latest(bench.registry)


def test_why_the_operator_stands_back_is_shown_while_it_does(bench: Bench) -> None:
    assert bench.standing_back() == set()
    bench.identity.confirmed = False
    bench.left["shared"] = ELSEWHERE
    assert bench.standing_back() == {"ClusterUnconfirmed", "AnotherInstallation"}
    bench.identity.confirmed, bench.identity.key = True, None
    bench.left.clear()
    assert bench.standing_back() == {"IdentityLost"}


def test_an_identity_whose_secret_goes_while_the_operator_runs_is_shown(bench: Bench) -> None:
    bench.identity.kept = False
    assert bench.standing_back() == {"IdentityLost"}
