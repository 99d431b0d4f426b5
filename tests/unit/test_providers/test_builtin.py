"""Provider Builtin and the desk for boxes, on a simulated API server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from builders import INSTANCE, NOW, at
from equipment_builders import CODE, DOWN, EQUIPMENT, PLACE, UP, box, derived, wish
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import EquipmentRecord
from pbx_operator.api.v1alpha1.commserver import Channel, NumberingRule
from pbx_operator.cluster import Conflict, Unavailable
from pbx_operator.domain.protocol.keys import base64url, instance_id
from pbx_operator.domain.servers.equipment import REPORT_PERIOD, SILENT, code_key, record_name
from pbx_operator.domain.servers.equipment_messages import AssociateRequest, ReportRequest
from pbx_operator.domain.servers.systems import SystemFacts, SystemOwner, SystemSettings, SystemWish, differences
from pbx_operator.providers.association import AssociateReply, EquipmentDesk, ReportReply
from pbx_operator.providers.builtin import MAX_ATTEMPTS, Builtin
from pbx_operator.providers.errors import ProviderError
from simulation.api import JSON, Api
from simulation.site import Direct

NAME = record_name(EQUIPMENT)
SETTINGS = SystemSettings("Hotel", "FR", "0", "00", "0", (NumberingRule(match="^1", action="Block"),), "Disabled")
WISH = SystemWish(SystemOwner(PLACE, "uid of pbx"), EQUIPMENT, "OXOConnect", SETTINGS)


class Bench:
    """A provider, and any number of exchange servers beside each other."""

    def __init__(self) -> None:
        self.now = NOW
        self.api = Api(lambda: self.now, lambda *_: None)
        self.cluster = Direct(self.api)
        self.provider = Builtin(self.cluster, INSTANCE, lambda: self.now)
        self.desk = self.replica()

    def replica(self) -> EquipmentDesk:
        return EquipmentDesk(Direct(self.api), INSTANCE, lambda: self.now)

    def record(self) -> EquipmentRecord:
        return EquipmentRecord.model_validate(self.api.get(EquipmentRecord.resource, ObjectKey("", NAME)))

    async def facts(self, code: str | None = CODE, of: SystemWish = WISH) -> SystemFacts:
        found = await self.provider.observe(of, code)
        assert found is not None
        return found

    async def associate(self, name: str = "box", code: str = CODE, desk: EquipmentDesk | None = None) -> AssociateReply:
        request = AssociateRequest(**heading(name), equipment_id=EQUIPMENT, proof=wish(name, code).proof)
        return await (desk or self.desk).associate(request, box(name).public)

    async def report(self, rev: int, *channels: Channel, name: str = "box") -> ReportReply:
        request = ReportRequest(**heading(name), equipment_id=EQUIPMENT, rev=rev, channels=channels)
        return await self.desk.report(request, box(name).public)


def heading(name: str) -> dict[str, Any]:
    return {"sender": instance_id(box(name).public), "to": INSTANCE, "at": NOW, "nonce": base64url(b"\0" * 16)}


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestProvider:
    async def test_declares_what_is_wished_and_finds_it_again(self, bench: Bench) -> None:
        assert await bench.provider.observe(WISH, CODE) is None
        created = await bench.provider.create(WISH, CODE)
        assert created == await bench.facts()
        assert (created.system_id, created.ours, created.state, created.code) == (NAME, True, "Pending", "Current")
        assert differences(created.settings, SETTINGS) == ()

    async def test_creating_again_changes_nothing(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        await bench.provider.create(WISH, CODE)
        assert bench.cluster.written == ["create"]

    @pytest.mark.parametrize("code", [None, "lost and made again"])
    async def test_a_code_that_opens_nothing_is_told(self, bench: Bench, code: str | None) -> None:
        await bench.provider.create(WISH, CODE)
        assert (await bench.facts(code)).code == "Changed"

    async def test_the_slow_hash_is_made_at_the_second_look_of_a_process_and_never_again(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        created = await bench.provider.create(WISH, CODE)
        known, made = replace(WISH, system_id=created.system_id), mock.Mock(side_effect=code_key)
        monkeypatch.setattr("pbx_operator.providers.builtin.code_key", made)
        bench.provider = Builtin(bench.cluster, INSTANCE, lambda: bench.now)
        counts = []
        for _ in range(4):
            assert (await bench.facts(of=known)).code == "Current"
            counts.append(made.call_count)
        assert counts == [0, 1, 1, 1]

    async def test_a_record_that_was_replaced_is_found_out_at_the_second_look(self, bench: Bench) -> None:
        created = await bench.provider.create(WISH, "former")
        known = replace(WISH, system_id=created.system_id)
        bench.provider = Builtin(bench.cluster, INSTANCE, lambda: bench.now)
        assert [(await bench.facts(of=known)).code for _ in range(3)] == ["Current", "Changed", "Changed"]

    async def test_while_a_backup_is_restored_the_first_look_makes_sure(self, bench: Bench) -> None:
        created = await bench.provider.create(WISH, "former")
        known = replace(WISH, system_id=created.system_id)
        bench.provider = Builtin(bench.cluster, INSTANCE, lambda: bench.now, NOW + timedelta(minutes=10))
        assert (await bench.facts(of=known)).code == "Changed"

    async def test_gives_only_what_differs(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        other = replace(SETTINGS, display_name="Motel", outbound_prefix="", numbering_rules=())
        found = await bench.facts()
        await bench.provider.update(replace(WISH, settings=other), NAME, differences(found.settings, other)[:1])
        left = await bench.facts()
        assert left.settings == replace(SETTINGS, display_name="Motel")
        await bench.provider.update(replace(WISH, settings=other), NAME, differences(left.settings, other))
        assert (await bench.facts()).settings == other

    async def test_another_code_puts_the_box_out(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        await bench.associate()
        assert (await bench.facts()).code == "Spent"
        assert await bench.provider.current_code(WISH, NAME) is None
        assert await bench.provider.reset(WISH, NAME, "new") == "new"
        facts = await bench.facts("new")
        assert (facts.state, facts.code, bench.record().spec.revision) == ("Pending", "Current", 2)
        assert await bench.report(1, UP) == ReportReply("Unknown")

    async def test_deletes_as_often_as_it_is_asked(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        await bench.provider.delete(WISH, NAME)
        await bench.provider.delete(WISH, NAME)
        assert await bench.provider.observe(WISH, CODE) is None

    async def test_what_another_commserver_declared_is_left_alone(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        rival = replace(WISH, owner=SystemOwner(ObjectKey("other", "pbx"), "uid of a rival"), system_id=NAME)
        assert not (await bench.facts(of=rival)).ours
        before = bench.record()
        for attempt in (
            bench.provider.create(rival, CODE),
            bench.provider.update(rival, NAME, ()),
            bench.provider.reset(rival, NAME, "new"),
        ):
            with pytest.raises(ProviderError, match="another CommServer has it by now"):
                await attempt
        await bench.provider.delete(rival, NAME)
        assert bench.record() == before

    async def test_a_commserver_that_was_made_again_takes_its_box_up(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        await bench.associate()
        await bench.report(1, UP)
        again = replace(WISH, owner=SystemOwner(PLACE, "another uid"))
        found = await bench.facts(of=again)
        assert (found.ours, found.inherited, found.state) == (True, True, "Running")
        taken = await bench.provider.create(again, CODE)
        assert (taken.inherited, taken.state, bench.record().spec.owner.uid) == (False, "Running", "another uid")

    async def test_reports_that_come_in_between_do_not_stop_it(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        await bench.associate()
        reports = iter(range(1, MAX_ATTEMPTS))

        def busy_line(what: str) -> None:
            rev = next(reports, None)
            if what == "put" and rev is not None:
                raw = bench.api.get(EquipmentRecord.resource, ObjectKey("", NAME))
                status = {"report": {"time": "2026-06-01T12:00:00Z", "rev": rev}}
                bench.api.put_status(EquipmentRecord.resource, {**raw, "status": status})

        bench.cluster.before = busy_line
        await bench.provider.reset(WISH, NAME, "new")
        assert bench.record().spec.revision == 2

    async def test_while_a_backup_is_restored_no_record_is_made(self, bench: Bench) -> None:
        provider = Builtin(bench.cluster, INSTANCE, lambda: bench.now, restoring_until=at(600))
        with pytest.raises(ProviderError, match="ProviderBusy"):
            await provider.create(WISH, CODE)
        bench.now = at(600)
        assert (await provider.create(WISH, CODE)).ours

    async def test_who_is_overtaken_each_time_says_so(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)

        def always(what: str) -> None:
            raise Conflict("overtaken", status=409)

        bench.cluster.before = always
        for attempt in (bench.provider.reset(WISH, NAME, "new"), bench.provider.delete(WISH, NAME)):
            with pytest.raises(Conflict):
                await attempt


class TestDesk:
    async def test_a_box_gets_in_once_and_its_life_is_followed(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        assert await bench.associate() == AssociateReply("Associated", NOW)
        facts = await bench.facts()
        assert (facts.state, facts.code) == ("Pending", "Spent"), "nobody knows yet how its lines are"
        assert await bench.report(1, UP) == ReportReply("Heard", 1)
        facts = await bench.facts()
        assert (facts.state, facts.connection, facts.good_until) == ("Running", (UP,), NOW + SILENT)
        bench.now = at(30)
        assert await bench.report(2, DOWN) == ReportReply("Heard", 2)
        facts = await bench.facts()
        assert (facts.state, facts.silent, facts.good_until) == ("Degraded", False, bench.now + SILENT)
        bench.now += SILENT
        facts = await bench.facts()
        assert (facts.state, facts.silent) == ("Degraded", True)

    async def test_reports_without_news_cost_no_write(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        await bench.associate()
        for rev in range(1, 20):
            bench.now = NOW + REPORT_PERIOD * rev / 10
            await bench.report(rev, UP)
        desk_writes = len(bench.api.events[EquipmentRecord.resource.plural]) - 2
        assert desk_writes == 2
        assert await bench.report(3, DOWN) == ReportReply("Heard", 11)

    @pytest.mark.parametrize("exists", [True, False])
    async def test_a_wrong_code_and_no_equipment_look_the_same(self, bench: Bench, exists: bool) -> None:
        if exists:
            await bench.provider.create(WISH, CODE)
        assert await bench.associate(code="wrong") == AssociateReply("Unknown")
        assert await bench.report(1, UP) == ReportReply("Unknown")

    async def test_of_two_boxes_at_two_replicas_one_wins(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        first, second = Racing(bench.api), Racing(bench.api)
        desks = [EquipmentDesk(cluster, INSTANCE, lambda: bench.now) for cluster in (first, second)]
        calls = [bench.associate(name, desk=desk) for name, desk in zip("ab", desks, strict=True)]
        replies = await asyncio.gather(*calls)
        assert sorted(reply.result for reply in replies) == ["Associated", "Used"]
        winner = "ab"[[reply.result for reply in replies].index("Associated")]
        device = bench.record().spec.device
        assert device is not None
        assert device.public_key == box(winner).public

    @pytest.mark.parametrize("arrives", [True, False])
    async def test_a_lost_answer_of_the_api_server_loses_nothing(self, bench: Bench, arrives: bool) -> None:
        await bench.provider.create(WISH, CODE)
        cluster = Losing(bench.api, arrives=arrives)
        desk = EquipmentDesk(cluster, INSTANCE, lambda: bench.now)
        assert await bench.associate(desk=desk) == AssociateReply("Associated", NOW)
        assert bench.record().spec.state == "Associated"

    async def test_while_the_api_server_is_down_nothing_is_said(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        cluster = Losing(bench.api, arrives=False, times=1000)
        with pytest.raises(Unavailable):
            await bench.associate(desk=EquipmentDesk(cluster, INSTANCE, lambda: bench.now))
        assert bench.record().spec.state == "Declared"

    async def test_no_record_and_no_answer_holds_the_code(self, bench: Bench) -> None:
        await bench.provider.create(WISH, CODE)
        reply = await bench.associate()
        assert CODE not in f"{bench.api.objects} {reply}"
        assert derived().seed.hex() not in repr(derived())


class Racing(Direct):
    """Reads, then lets the others read as well."""

    async def get(self, resource: ResourceType, key: ObjectKey) -> JSON:
        raw = await super().get(resource, key)
        await asyncio.sleep(0)
        return raw


class Losing(Direct):
    """Loses the answers to its first writes, which arrive or not."""

    def __init__(self, api: Api, *, arrives: bool, times: int = 1) -> None:
        super().__init__(api)
        self._arrives, self._left = arrives, times

    async def put(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        if self._left:
            self._left -= 1
            if self._arrives:
                self._api.put(resource, body)
            raise Unavailable("no answer")
        return await super().put(resource, body)


def test_silence_is_longer_than_two_reports() -> None:
    assert 2 * REPORT_PERIOD + timedelta(seconds=30) < SILENT
