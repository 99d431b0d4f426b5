"""Objects that cannot be read: not absent, not in the way of others, and not held for ever once deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, account, number, planned, settled, shown, snapshot
from link_builders import ISSUER, LINK, REDEEMER, around, closing, going, ready_account
from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectMeta
from pbx_operator.api.v1alpha1 import CommServer, Interlink, PBXAccount
from pbx_operator.domain.accounts.plan import AccountSnapshot
from pbx_operator.domain.impact import WorkKey
from pbx_operator.domain.links.facts import ClusterFacts, LinkSnapshot
from pbx_operator.domain.links.plan import plan_link, plan_unreadable
from pbx_operator.domain.links.status import link_status
from pbx_operator.domain.plan import ChangeRecord, Plan, RemoveFinalizer, Target
from pbx_operator.domain.records.facts import Side
from pbx_operator.domain.records.machine import ORPHAN_PERIOD, Leave, RunTimers
from pbx_operator.domain.records.scope import Scope
from pbx_operator.domain.servers.plan import plan_unreadable as plan_unreadable_server
from pbx_operator.domain.unreadable import OpaqueStatus, Unreadable
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.planning import Planner
from pbx_operator.engine.snapshots import Snapshots
from pbx_operator.engine.store import Store
from server_builders import commserver
from simulation.world import INSTANCE

SIDES: list[tuple[Interlink, Side]] = [(ISSUER, "issuer"), (REDEEMER, "redeemer")]


def plan_of(link: Interlink, s: LinkSnapshot) -> Plan:
    """Plan the Interlink as if nothing but its metadata could be read."""
    unreadable = Unreadable(Interlink.resource, link.metadata, "spec.priority: no")
    return plan_unreadable(replace(s, interlink=None, account=None), unreadable, NOW)


class TestInterlink:
    @pytest.mark.parametrize(("link", "side"), SIDES)
    def test_its_link_goes_on(self, link: Interlink, side: Side) -> None:
        plan = plan_of(link, around(link, LINK))
        assert plan.actions == ()
        assert [shown(u.status) for u in plan.statuses] == [("False", "Unreadable")]

    @pytest.mark.parametrize(("link", "side"), SIDES)
    def test_deleted_it_closes_its_link_for_an_hour_since_nobody_knows_its_window(
        self, link: Interlink, side: Side
    ) -> None:
        leave = ChangeRecord(LINK.metadata.name, Leave(side, link.metadata.uid, ORPHAN_PERIOD))
        assert plan_of(going(link), around(link, LINK)) == Plan((leave,))

    def test_then_it_goes(self) -> None:
        closed = LINK.model_copy(update={"spec": LINK.spec.model_copy(update={"closing": closing("u2")})})
        release = RemoveFinalizer(Target(Interlink.resource, ISSUER.key, ISSUER.metadata.uid))
        assert plan_of(going(ISSUER), around(ISSUER, closed)).actions == (release,)
        assert plan_of(going(ISSUER, finalizers=()), around(ISSUER, closed)).actions == ()

    def test_a_record_of_its_predecessor_is_no_business_of_it(self) -> None:
        successor = ISSUER.model_copy(update={"metadata": ISSUER.metadata.model_copy(update={"uid": "u3"})})
        actions = plan_of(going(successor), around(ISSUER, LINK)).actions
        assert [type(a) for a in actions] == [RemoveFinalizer]

    def test_what_is_due_is_done(self) -> None:
        over = closing("v2", ends=NOW, side="redeemer")
        due = LINK.model_copy(update={"spec": LINK.spec.model_copy(update={"closing": over})})
        assert plan_of(ISSUER, around(ISSUER, due)).actions == (ChangeRecord(LINK.metadata.name, RunTimers()),)


class TestAccount:
    def gone_bad(self, *, deleting: bool = False, **facts: Any) -> AccountSnapshot:
        now = settled(snapshot(account(), number("200")))
        return replace(now, account=None, unreadable=account(deleting=deleting).metadata, **facts)

    def test_deleted_it_goes_once_its_links_and_slices_have(self) -> None:
        going_on = planned(self.gone_bad(deleting=True, live_records=True)).actions
        assert len(going_on) == 1
        assert "DeleteSlice" in str(going_on)
        release = RemoveFinalizer(Target(PBXAccount.resource, account().key, account().metadata.uid))
        assert planned(self.gone_bad(deleting=True, slices=())).actions == (release,)

    @pytest.mark.parametrize(("policy", "goes"), [("Delete", False), ("Orphan", True)])
    def test_deleted_it_waits_for_its_customer_and_says_so(self, policy: str, goes: bool) -> None:
        scope = Scope(INSTANCE)
        store = Store("pbx.example", scope)
        raw = account(deleting=True).to_json()
        raw["spec"], raw["status"] = {"country": 7, "deletionPolicy": policy}, {"customerID": "7"}
        store.accounts.put(raw)
        snapshots = Snapshots(store, Memory(), ClusterFacts(INSTANCE, started=NOW), lambda: NOW)
        plan = Planner(store, snapshots, scope).plan(WorkKey("Account", account().key), NOW)
        assert [type(action) for action in plan.actions] == ([RemoveFinalizer] if goes else [])
        (update,) = plan.statuses
        assert shown(update.status) == ("False", "Unreadable" if goes else "Deleting")
        assert goes or "customer 7" in update.status.conditions[0].message

    @pytest.mark.parametrize(("link", "side"), SIDES)
    def test_its_links_are_not_abandoned(self, link: Interlink, side: Side) -> None:
        s = replace(around(link, LINK), account=None, unreadable_account=ready_account().metadata)
        assert all(not isinstance(a, ChangeRecord) for a in plan_link(s, NOW).actions)

    @pytest.mark.parametrize(("link", "side"), SIDES)
    def test_deleted_it_ends_them(self, link: Interlink, side: Side) -> None:
        s = replace(around(link, LINK), account=None, unreadable_account=self.leaving())
        leave = Leave(side, link.metadata.uid, account_deleted=True)
        assert plan_link(s, NOW).actions == (ChangeRecord(LINK.metadata.name, leave),)

    def test_who_waits_for_it_is_told_that_it_is_not_ready(self) -> None:
        s = replace(around(ISSUER), account=None, unreadable_account=ready_account().metadata)
        status, _ = link_status(s, ISSUER, NOW)
        assert shown(status) == ("False", "AccountNotReady")

    def leaving(self) -> ObjectMeta:
        return account(deleting=True, finalizers=(TEARDOWN_FINALIZER,)).metadata


class TestServer:
    def plan(self, *, finalizers: tuple[str, ...] = (TEARDOWN_FINALIZER,), **status: Any) -> Plan:
        metadata = commserver(deleting=NOW).metadata.model_copy(update={"finalizers": finalizers})
        gone_bad = Unreadable(
            CommServer.resource, metadata, "spec.type: no", status=OpaqueStatus.model_validate(status)
        )
        return plan_unreadable_server(gone_bad, NOW)

    def test_it_is_told(self) -> None:
        gone_bad = Unreadable(CommServer.resource, commserver().metadata, "spec.type: no")
        (update,) = plan_unreadable_server(gone_bad, NOW).statuses
        assert shown(update.status) == ("False", "Unreadable")

    def test_deleted_it_goes_if_no_provider_was_asked_about_it(self) -> None:
        server = commserver()
        release = RemoveFinalizer(Target(CommServer.resource, server.key, server.metadata.uid))
        assert self.plan() == Plan((release,))
        assert self.plan(finalizers=()) == Plan()

    def test_deleted_it_waits_for_its_system_and_says_so(self) -> None:
        plan = self.plan(equipmentID="PBX1234")
        (update,) = plan.statuses
        assert (plan.actions, shown(update.status)) == ((), ("False", "Deleting"))
        ready = update.status.conditions[0]
        assert "spec.type: no" in ready.message
        assert "PBX1234" in ready.message
        assert "spec.deletionPolicy to Orphan" in ready.message

    def test_deleted_as_an_orphan_it_goes_at_once(self) -> None:
        table = Store("pbx.example", Scope(INSTANCE)).servers
        raw = {**commserver(deleting=NOW, finalizers=(TEARDOWN_FINALIZER,)).to_json()}
        raw["spec"] = {"type": 7, "deletionPolicy": "Orphan"}
        raw["status"] = {"equipmentID": "PBX1234"}
        table.put(raw)
        gone_bad = table.unreadable(commserver().key)
        assert gone_bad is not None
        (release,) = plan_unreadable_server(gone_bad, NOW).actions
        assert isinstance(release, RemoveFinalizer)
