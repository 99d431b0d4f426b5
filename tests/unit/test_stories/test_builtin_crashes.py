"""Whatever call is the last of a process, a box of provider Builtin keeps one record and one code that works.

The engine's own parts and the provider itself, on a simulated API server.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from builders import NAMESPACE
from equipment_builders import box
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import EquipmentRecord
from pbx_operator.api.v1alpha1.equipmentrecord import EquipmentRecordSpec
from pbx_operator.domain.keys import SigningKey
from pbx_operator.domain.link_facts import ClusterFacts
from pbx_operator.domain.servers import equipment
from pbx_operator.domain.servers.equipment import Association, decide
from pbx_operator.engine.identity import Identity
from pbx_operator.providers.builtin import Builtin
from server_builders import STOCK
from simulation.crashes import (
    MOMENTS,
    SERVER_ACTS,
    Moment,
    ServerAct,
    created,
    deleted,
    renamed,
    whichever_call_is_the_last,
)
from simulation.process import NoPeer, Process, Wire
from simulation.servers import Provider, Site
from simulation.site import signing_key
from simulation.world import HOME, INSTANCE

T = TypeVar("T")


class BoxSite(Site):
    """A cluster whose CommServers connect to its own exchange."""

    def __init__(self) -> None:
        super().__init__(Provider())

    def start(self) -> None:
        identity = Identity(INSTANCE, HOME.public, HOME, confirmed=True)
        builtin = Builtin(Wire(self.api), INSTANCE, lambda: self.now)
        facts = ClusterFacts(INSTANCE, started=self.now)
        self.process = Process(self.api, identity, facts, lambda: self.now, NoPeer(), lambda _: builtin)
        self.calls = 0

    def record(self) -> EquipmentRecord | None:
        """Return the only record, if there is one."""
        records = [EquipmentRecord.model_validate(raw) for raw in self.api.all(EquipmentRecord.resource)]
        assert len(records) <= 1
        return records[0] if records else None

    def code(self) -> str:
        """Return the code that the user would enter on the box."""
        secret = self.secret()
        shown = self.status().equipment_id
        assert shown is not None
        return secret["activationCode"] if secret is not None else shown

    def connect(self) -> str:
        """Let a box connect with that code, as the exchange does."""
        record = self.record()
        assert record is not None
        spec = record.spec
        unsigned = Association(INSTANCE, spec.equipment_id, box("box").public)
        proof = equipment.code_key(spec.equipment_id, self.code()).sign(unsigned.payload())
        decision = decide(spec, Association(INSTANCE, spec.equipment_id, box("box").public, proof), self.now)
        if decision.spec is not None:
            self.put(record, decision.spec)
        return decision.result

    def put(self, record: EquipmentRecord, spec: EquipmentRecordSpec) -> None:
        raw = self.api.get(EquipmentRecord.resource, record.key)
        self.api.put(EquipmentRecord.resource, {**raw, "spec": spec.to_json()})


@pytest.fixture(autouse=True)
def _without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no event loop, and thousands of slow hashes would take minutes."""

    async def at_once(function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)

    def quick(equipment_id: str, code: str) -> SigningKey:
        return signing_key(f"{equipment_id} {code}")

    monkeypatch.setattr("pbx_operator.providers.builtin.asyncio.to_thread", at_once)
    monkeypatch.setattr("pbx_operator.providers.builtin.code_key", quick)
    monkeypatch.setattr("pbx_operator.domain.servers.equipment.code_key", quick)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", SERVER_ACTS, ids=lambda act: act.__name__)
@pytest.mark.parametrize("spec", [{}, STOCK], ids=["built to order", "stock"])
def test_nothing_is_lost_or_done_twice_whichever_call_is_the_last(
    act: ServerAct, moment: Moment, spec: dict[str, Any]
) -> None:
    def begin() -> BoxSite:
        site = BoxSite()
        site.apply(**spec)
        if act is not created:
            site.settle()
            assert site.connect() == "Associated"
            site.settle()
            assert site.status().state == "Running"
        return site

    tried = whichever_call_is_the_last(begin, act, moment, timedelta(minutes=2), lambda site: check_end(site, act))
    assert tried > 0


def check_end(site: BoxSite, act: ServerAct) -> None:
    record = site.record()
    if act is deleted:
        assert (site.server(), record) == (None, None)
        return
    server = site.server()
    assert server is not None
    assert record is not None
    assert record.spec.owner.uid == server.metadata.uid
    if act is renamed:
        assert (record.spec.settings.display_name, site.status().state) == ("other", "Running")
        return
    assert site.status().state == "Pending"
    assert site.status().activation_revision == server.spec.activation.revision
    assert site.connect() == "Associated", "the code that the user is shown opens the way in"
    site.settle()
    assert site.status().state == "Running"


def test_a_secret_that_is_lost_before_the_box_connects_is_made_again() -> None:
    with closing(BoxSite()) as site:
        site.apply()
        site.settle()
        before = site.code()
        site.api.delete(SECRETS, ObjectKey(NAMESPACE, "pbx-activation"))
        site.settle_for(timedelta(minutes=15))
        assert site.code() != before
        assert site.connect() == "Associated"
