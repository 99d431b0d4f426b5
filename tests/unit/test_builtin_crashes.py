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
from pbx_operator.domain.keys import SigningKey
from pbx_operator.domain.servers import equipment
from pbx_operator.domain.servers.equipment import Association, Report, decide, hear
from pbx_operator.providers.builtin import Builtin
from server_builders import STOCK
from simulation.process import ADDRESS, Process, Request, Wire
from simulation.servers import Provider, Site
from simulation.site import signing_key
from simulation.world import INSTANCE

DIED = 60
"""More calls than any story here makes."""

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


def created(site: BoxSite) -> None:
    """Nothing more than what was applied."""


def reset(site: BoxSite) -> None:
    site.apply(activation={"revision": 2})


def renamed(site: BoxSite) -> None:
    site.apply(displayName="other")


def deleted(site: BoxSite) -> None:
    site.delete()


each_moment = pytest.mark.parametrize(
    "moment", ["before it is sent", "after it was carried out", "when the answer is lost"]
)


@each_moment
@pytest.mark.parametrize("act", [created, reset, renamed, deleted], ids=lambda act: act.__name__)
@pytest.mark.parametrize("spec", [{}, STOCK], ids=["built to order", "stock"])
def test_nothing_is_lost_or_done_twice_whichever_call_is_the_last(
    act: Callable[[BoxSite], None], moment: str, spec: dict[str, Any]
) -> None:
    assert any(not dies_at(last, act, moment, spec) for last in range(DIED))


def dies_at(last: int, act: Callable[[BoxSite], None], moment: str, spec: dict[str, Any]) -> bool:
    """Let the process die at a call and see that all ends well; return whether there was such a call."""
    with closing(BoxSite()) as site:
        site.apply(**spec)
        if act is not created:
            site.settle()
            assert site.connect() == "Associated"
            site.settle()
            assert site.status().state == "Running"
            act(site)
        if not break_off(site, last, moment):
            return False
        check_end(site, act)
    return True


def break_off(site: BoxSite, last: int, moment: str) -> bool:
    """Let the process die at a call from now on, and another one go on; return whether there was such a call."""
    site.calls = 0
    if not site.settle(lambda task: site.calls == last):
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
    site.settle_for(timedelta(minutes=2))
    return True


def check_end(site: BoxSite, act: Callable[[BoxSite], None]) -> None:
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


@each_moment
def test_a_code_that_is_not_used_yet_survives_a_move(moment: str) -> None:
    assert any(not moves_at(last, moment, connected=False) for last in range(DIED))


@each_moment
def test_a_box_that_is_in_survives_a_move(moment: str) -> None:
    assert any(not moves_at(last, moment, connected=True) for last in range(DIED))


def moves_at(last: int, moment: str, *, connected: bool) -> bool:
    """Let the exchange move and the process die at a call; return whether there was such a call."""
    with closing(BoxSite()) as site:
        site.apply()
        site.settle()
        code = site.code()
        if connected:
            assert site.connect() == "Associated"
            site.settle()
        site.address = MOVED
        site.restart()
        if not break_off(site, last, moment):
            assert site.code() == code, "nothing broke off, and the code is the same"
            return False
        if connected:
            check_moved_box(site, code)
        else:
            assert address_in(site) == MOVED
            assert site.connect() == "Associated", "the code that the user is shown opens the way in"
    return True


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
