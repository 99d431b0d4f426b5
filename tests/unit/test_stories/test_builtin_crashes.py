"""Whatever call is the last of a process, a box of provider Builtin keeps one record and one code that works.

The engine's own parts and the provider itself, on a simulated API server.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any, Literal, TypeVar

import pytest

from builders import NAMESPACE
from equipment_builders import box
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import CommServer, EquipmentRecord
from pbx_operator.api.v1alpha1.commserver import Channel
from pbx_operator.api.v1alpha1.equipmentrecord import EquipmentRecordSpec
from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.domain.servers import equipment
from pbx_operator.domain.servers.equipment import Association, Report, decide, hear
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
from simulation.process import ADDRESS, Process, Wire
from simulation.servers import Provider, Site
from simulation.site import signing_key
from simulation.world import INSTANCE

T = TypeVar("T")


class BoxSite(Site):
    """A cluster whose CommServers connect to its own exchange."""

    def __init__(self) -> None:
        super().__init__(Provider())

    def begin(self) -> Process:
        builtin = Builtin(Wire(self.api), INSTANCE, lambda: self.now)
        return self.new_process(lambda _: builtin)

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

    def connect(self, *channels: Channel) -> str:
        """Let a box connect with that code and report its channels, as the exchange does."""
        record = self.record()
        assert record is not None
        spec = record.spec
        unsigned = Association(INSTANCE, spec.equipment_id, box("box").public)
        proof = equipment.code_key(spec.equipment_id, self.code()).sign(unsigned.payload())
        decision = decide(spec, Association(INSTANCE, spec.equipment_id, box("box").public, proof), self.now)
        if decision.spec is not None:
            self.put(record, decision.spec)
            self.settle()
            self.report(*channels)
        return decision.result

    def report(self, *channels: Channel) -> None:
        """Let the box say how its channels are."""
        record = self.record()
        assert record is not None
        status = hear(record, Report(box("box").public, int(self.now.timestamp()), channels), self.now)
        assert status is not None
        raw = self.api.get(EquipmentRecord.resource, record.key)
        self.api.put_status(EquipmentRecord.resource, {**raw, "status": status.to_json()})

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


@pytest.mark.parametrize(("line", "state"), [("Up", "Running"), ("Down", "Degraded")])
def test_what_a_box_is_like_is_shown_once_it_is_known(line: Literal["Up", "Down"], state: str) -> None:
    """A box whose line is dead is not said to run first."""
    with closing(BoxSite()) as site:
        site.apply()
        site.settle()
        assert site.connect(Channel(name="sip", state=line)) == "Associated"
        site.settle()
        events = site.api.events[CommServer.resource.plural]
        shown = [event.raw.get("status", {}).get("state") for event in events]
        assert list(dict.fromkeys(shown)) == [None, "Pending", state]


# --- an exchange that has moved ---------------------------------------------------------------------------------

MOVED = {**ADDRESS, "endpoint": "https://elsewhere.example:8443"}


def moved(site: BoxSite) -> None:
    site.address = MOVED
    site.restart()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("connected", [False, True], ids=["a code that is not used yet", "a box that is in"])
def test_nothing_is_lost_when_the_exchange_moves(moment: Moment, connected: bool) -> None:
    def begin() -> BoxSite:
        site = BoxSite()
        site.apply()
        site.settle()
        if connected:
            assert site.connect() == "Associated"
            site.settle()
        codes.append(site.code())
        return site

    def check(site: BoxSite) -> None:
        if connected:
            check_moved_box(site, codes[-1])
        else:
            assert address_in(site) == MOVED
            assert site.connect() == "Associated", "the code that the user is shown opens the way in"

    codes: list[str] = []
    assert whichever_call_is_the_last(begin, moved, moment, timedelta(minutes=2), check) > 0


def test_a_code_stays_when_the_exchange_moves_and_nothing_breaks_off() -> None:
    with closing(BoxSite()) as site:
        site.apply()
        site.settle()
        code = site.code()
        moved(site)
        site.settle()
        assert (site.code(), address_in(site)) == (code, MOVED)


def check_moved_box(site: BoxSite, code: str) -> None:
    """Its Secret says the code that it used, or there is none, and a higher revision brings one."""
    assert site.status().state == "Running"
    if site.secret() is None:
        assert site.status().activation_secret_name is None
        site.apply(activation={"revision": 2})
        site.settle_for(timedelta(minutes=2))
        assert site.connect() == "Associated"
    else:
        assert site.code() == code
    assert address_in(site) == MOVED


def address_in(site: BoxSite) -> dict[str, str]:
    secret = site.secret()
    assert secret is not None
    return {name: value for name, value in secret.items() if name in ADDRESS}
