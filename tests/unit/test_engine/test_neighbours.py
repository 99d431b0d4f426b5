"""Whose namespace it is, where two installations of a cluster watch the same one."""

from __future__ import annotations

import logging
from datetime import datetime
from itertools import count

import pytest

import equipment_builders as equipment
from builders import BEFORE, INSTANCE, NOW, SUFFIX, interlink, record
from federated_builders import ELSEWHERE
from link_builders import CLUSTER
from pbx_operator.api.meta import Resource
from pbx_operator.api.v1alpha1 import EquipmentRecord, LinkRecord
from pbx_operator.api.v1alpha1.equipmentrecord import EquipmentOwner
from pbx_operator.api.v1alpha1.linkrecord import End
from pbx_operator.domain.impact import WorkKey
from pbx_operator.domain.plan import Plan
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.planning import NEIGHBOUR_PERIOD, Planner
from pbx_operator.engine.snapshots import Snapshots
from pbx_operator.engine.store import Store
from server_builders import commserver

LINK, OTHER = interlink("x", "a", "shared"), interlink("y", "a", "shared")
VERSIONS = count(1)


def kept(by: str, made: LinkRecord | EquipmentRecord, since: datetime) -> LinkRecord | EquipmentRecord:
    """Return a record as if this installation had made it then."""
    metadata = made.metadata.model_copy(update={"creation_timestamp": since, "uid": f"record of {by}", "name": by})
    spec = made.spec.model_copy(update={"instance": by})
    if isinstance(made, LinkRecord):
        spec = spec.model_copy(update={"issuer": made.spec.issuer.model_copy(update={"instance": by})})
    return made.model_copy(update={"metadata": metadata, "spec": spec})


def store(*objects: Resource) -> Store:
    """Return what this installation knows if these objects are there."""
    made = Store(SUFFIX, Scope(INSTANCE))
    for each in objects:
        see(made, each)
    return made


def see(known: Store, each: Resource) -> None:
    raw = each.to_json()
    known.tables[each.resource.plural].put(
        {**raw, "metadata": {**raw["metadata"], "resourceVersion": str(next(VERSIONS))}}
    )


THEIRS_FIRST = (kept(ELSEWHERE, record(LINK), BEFORE), kept(INSTANCE, record(OTHER), NOW))
OURS_FIRST = (kept(ELSEWHERE, record(LINK), NOW), kept(INSTANCE, record(OTHER), BEFORE))
ENDED = record(LINK, end=End(by="Issuer", reason="Deleted", time=NOW))


class TestTheRule:
    def test_whoever_has_the_oldest_record_goes_on(self) -> None:
        assert store(LINK, OTHER, *THEIRS_FIRST).neighbour("shared") == ELSEWHERE
        assert store(LINK, OTHER, *OURS_FIRST).neighbour("shared") is None

    def test_both_know_the_same_if_the_records_are_equally_old(self) -> None:
        same = (kept(ELSEWHERE, record(LINK), NOW), kept(INSTANCE, record(OTHER), NOW))
        assert (store(LINK, OTHER, *same).neighbour("shared") is None) == (INSTANCE < ELSEWHERE)

    def test_other_namespaces_are_not_concerned(self) -> None:
        assert store(LINK, OTHER, *THEIRS_FIRST).neighbour("elsewhere") is None

    def test_a_record_of_an_object_that_is_gone_is_no_claim(self) -> None:
        later = LINK.model_copy(update={"metadata": LINK.metadata.model_copy(update={"uid": "another life"})})
        assert store(OTHER, *THEIRS_FIRST).neighbour("shared") is None
        assert store(later, OTHER, *THEIRS_FIRST).neighbour("shared") is None

    def test_nor_is_one_that_has_ended(self) -> None:
        assert store(LINK, kept(ELSEWHERE, ENDED, BEFORE)).neighbour("shared") is None

    def test_a_box_is_a_claim_too(self) -> None:
        server = commserver()
        owner = EquipmentOwner(namespace=server.key.namespace, name=server.key.name, uid=server.metadata.uid)
        theirs = kept(ELSEWHERE, equipment.record(equipment.declared(owner=owner)), NOW)
        ours = kept(INSTANCE, equipment.record(equipment.declared(owner=owner)), NOW)
        assert store(server, theirs).neighbour(server.key.namespace) == ELSEWHERE
        assert store(server, ours).neighbour(server.key.namespace) is None


def test_what_is_anothers_is_left_alone_and_looked_at_again(caplog: pytest.LogCaptureFixture) -> None:
    known = store(LINK, OTHER, *THEIRS_FIRST)
    planner = Planner(known, Snapshots(known, Memory(), CLUSTER, lambda: NOW), Scope(INSTANCE))
    with caplog.at_level(logging.ERROR):
        plans = [planner.plan(WorkKey("Link", link.key), NOW) for link in (LINK, OTHER)]
    assert plans == 2 * [Plan(requeue=NOW + NEIGHBOUR_PERIOD)]
    (line,) = caplog.messages
    assert f"namespace shared is looked after by installation {ELSEWHERE}" in line
    known.records.remove(THEIRS_FIRST[0].key, THEIRS_FIRST[0].metadata.uid)
    assert planner.plan(WorkKey("Link", OTHER.key), NOW).actions, "it is ours now"
    assert planner.left == {}
