"""What accounts are planned on: the Store as it is, with objects of others and objects that cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from builders import NOW, SUFFIX, account, interlink, number, record, sharing, shown, slice_steps
from link_builders import CLUSTER
from pbx_operator.api.meta import ObjectKey, Resource
from pbx_operator.api.v1alpha1 import KINDS, DialPlanSlice
from pbx_operator.api.v1alpha1.shared import Status
from pbx_operator.domain.impact import WorkKey, affected
from pbx_operator.domain.plan import Plan
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.planning import Planner
from pbx_operator.engine.queue import WorkQueue
from pbx_operator.engine.snapshots import Snapshots
from pbx_operator.engine.store import Store
from pbx_operator.engine.store_index import StoreIndex

JSON = dict[str, Any]
NOT_A_LABEL = {"accountRef": {"name": "Not A Label"}}


class World:
    """A process that is up, without an API server."""

    def __init__(self, *objects: Resource | JSON) -> None:
        scope = Scope(CLUSTER.instance)
        self.store = Store(SUFFIX, scope)
        memory, queue = Memory(), WorkQueue[WorkKey](lambda: 0.0)
        self.intake = Intake(self.store, queue, memory, lambda _: None)
        snapshots = Snapshots(self.store, memory, CLUSTER, lambda: NOW)
        self._planner = Planner(self.store, snapshots, scope)
        self._versions: Iterator[int] = count(1)
        for shown_object in objects:
            self.see(shown_object)

    def see(self, shown_object: Resource | JSON) -> None:
        """Take an object as a watch shows it."""
        raw = shown_object if isinstance(shown_object, dict) else manifest(shown_object)
        raw = {**raw, "metadata": {**raw["metadata"], "resourceVersion": str(next(self._versions))}}
        resource = next(k.resource for k in KINDS if k.resource.kind == raw["kind"])
        self.intake.saw(resource, raw)

    def plan(self, account: str, namespace: str = "default") -> Plan:
        """Plan an account."""
        return self._planner.plan(WorkKey("Account", ObjectKey(namespace, account)), NOW)

    def status(self, name: str, account: str = "a", namespace: str = "default") -> Status:
        """Return the status that an object gets when its account is planned."""
        statuses = {u.target.key.name: u.status for u in self.plan(account, namespace).statuses}
        return statuses[name]

    def woken(self, key: ObjectKey) -> set[WorkKey]:
        """Return the work that the appearance of a slice makes."""
        return affected(None, self.store.slices.find(key), StoreIndex(self.store))


def manifest(known: Resource) -> JSON:
    """Return an object as the API server shows it."""
    return known.to_json() | {"kind": known.resource.kind}


def broken(known: Resource, **spec: Any) -> JSON:
    """Return an object with something in its spec that cannot be read."""
    raw = manifest(known)
    return raw | {"spec": raw["spec"] | spec}


def somebody_elses(name: str, account: str) -> JSON:
    """Return a slice that a user made."""
    spec = {"accountRef": {"name": account}, "source": {"type": "Own"}, "rank": "0", "rev": "a" * 26}
    metadata = {"name": name, "namespace": "default", "uid": f"uid of {name}"}
    return {"kind": "DialPlanSlice", "metadata": metadata, "spec": spec}


class TestSliceOfSomebodyElse:
    """Whatever account it names: its name is not free, and the account that needs it says so."""

    @pytest.mark.parametrize("named", ["a", "another"])
    def test_is_not_written_over(self, named: str) -> None:
        world = World(account(), somebody_elses("a.own", named))
        assert slice_steps(world.plan("a")) == []
        assert shown(world.status("a")) == ("False", "SliceNameTaken")

    def test_may_have_the_name_of_a_link(self) -> None:
        links = interlink("x", "a"), interlink("r", "b", redeem="s")
        offering = account("b"), number("300", "b", holds=True)
        world = World(account(), *offering, *links, record(*links), somebody_elses("x.plain", "another"))
        assert slice_steps(world.plan("a")) == ["+a.own"]

    def test_that_cannot_be_read_either(self) -> None:
        world = World(account(), somebody_elses("a.own", "a") | {"spec": {}})
        assert slice_steps(world.plan("a")) == []
        assert shown(world.status("a")) == ("False", "SliceNameTaken")

    @pytest.mark.parametrize("name", ["a.own", "a.own.2", "x.plain", "x.prefixed", "x.offer.12"])
    def test_wakes_the_account_when_it_comes_and_goes(self, name: str) -> None:
        world = World(account(), interlink("x", "a"), somebody_elses(name, "another"))
        assert WorkKey("Account", account().key) in world.woken(ObjectKey("default", name))
        world.see(somebody_elses(name, "another") | {"spec": {}})
        assert world.woken(ObjectKey("default", name)) == {WorkKey("Account", account().key)}

    def test_of_another_name_is_none_of_its_business(self) -> None:
        world = World(account(), somebody_elses("b.own", "b"), somebody_elses("b.own.2", "b") | {"spec": {}})
        assert slice_steps(world.plan("a")) == ["+a.own"]


class TestUnreadableNumber:
    HOLDER = number("200", holds=True, name="first")

    def test_keeps_the_number_that_it_holds(self) -> None:
        world = World(account(), broken(self.HOLDER, visibility="Sometimes"), number("200", name="second"))
        assert shown(world.status("first")) == ("False", "Unreadable")
        assert world.status("first").to_json()["number"] == "200"
        assert shown(world.status("second")) == ("False", "NumberConflict")
        assert "number" not in world.status("second").to_json()

    def test_is_in_no_offer_and_neither_is_its_rival(self) -> None:
        world = World(account(), interlink("i", "a"), broken(self.HOLDER, visibility="Sometimes"))
        world.see(number("200", name="second"))
        links = interlink("i", "a"), interlink("r", "b", redeem="s")
        for known in (account("b"), *links, record(*links)):
            world.see(known)
        offered = [s for s in slices(world.plan("b")) if s.spec.source.type == "Peer" and s.spec.rows]
        assert offered == []

    def test_that_is_being_deleted_lets_it_go(self) -> None:
        leaving = number("200", holds=True, name="first", deleting=True)
        world = World(account(), broken(leaving, visibility="Sometimes"), number("200", name="second"))
        assert shown(world.status("second")) == ("False", "NumberReleasing")

    def test_that_held_nothing_keeps_nobody_away(self) -> None:
        world = World(account(), broken(number("200", name="first"), visibility="Sometimes"))
        world.see(number("200", name="second"))
        assert world.status("second").to_json()["number"] == "200"

    def test_whose_account_cannot_be_told_has_a_status_too(self) -> None:
        lost = broken(number("200", name="lost"), **NOT_A_LABEL)
        world = World(account(), lost)
        found = world.store.numbers.find(ObjectKey("default", "lost"))
        (work,) = affected(None, found, StoreIndex(world.store))
        assert shown(world.status("lost", work.key.name)) == ("False", "Unreadable")


def slices(plan: Plan) -> list[DialPlanSlice]:
    return [a.slice for a in plan.actions if hasattr(a, "slice")]


class TestDomain:
    WANTED = "x.example"

    def test_an_unreadable_account_keeps_its_own(self) -> None:
        holder = broken(account("a", sip_domain=self.WANTED, domain=self.WANTED), country=5)
        world = World(holder, account("c", "other", sip_domain=self.WANTED, domain=None))
        status = world.status("c", "c", "other")
        assert (shown(status), status.to_json().get("sipDomain")) == (("False", "DomainConflict"), None)

    def test_it_is_free_when_that_account_is_gone(self) -> None:
        holder = account("a", sip_domain=self.WANTED, domain=self.WANTED)
        world = World(broken(holder, country=5), account("c", "other", sip_domain=self.WANTED, domain=None))
        seen = world.store.accounts.find(holder.key)
        world.store.accounts.remove(holder.key, holder.metadata.uid)
        woken = affected(seen, None, StoreIndex(world.store))
        assert WorkKey("Account", ObjectKey("other", "c")) in woken
        assert world.status("c", "c", "other").to_json()["sipDomain"] == self.WANTED

    def test_one_made_of_a_name_is_wanted_like_any_other(self) -> None:
        """Two new accounts: only one of them may show it, at any moment."""
        named = account("paris", "paris", domain=None)
        copycat = account("c", "paris", domain=None, sip_domain=f"paris.paris.{SUFFIX}", created=NOW)
        world = World(named, copycat)
        assert world.status("paris", "paris", "paris").to_json()["sipDomain"] == f"paris.paris.{SUFFIX}"
        assert shown(world.status("c", "c", "paris")) == ("False", "DomainConflict")


def test_what_cannot_be_read_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    world = World(broken(number("200"), visibility="Sometimes"))
    world.see(broken(number("200"), visibility="Never"))
    assert [r.getMessage() for r in caplog.records] == [
        "InternalNumber default/n200 cannot be read: spec.visibility: not as this version of the operator expects"
    ]


def test_a_new_name_reaches_a_peer_that_is_offered_the_number_by_its_own_choice_only() -> None:
    links = interlink("i", "a", sharing=sharing(mode="All"), gate="Open"), interlink("r", "b", redeem="s", gate="Open")
    owner = account("a", sharing=sharing(mode="None"))
    world = World(owner, account("b"), *links, record(*links), number("200", holds=True, display_name="Old"))
    published = {part.metadata.name: part for part in slices(world.plan("a"))}
    for part in published.values():
        world.see(manifest(with_uid(part)))
    world.see(number("200", holds=True, display_name="New"))
    renamed = next(part for part in slices(world.plan("a")) if part.metadata.name == "a.own")
    assert WorkKey("Account", account("b").key) in affected(published["a.own"], renamed, StoreIndex(world.store))


def with_uid(part: DialPlanSlice) -> DialPlanSlice:
    metadata = part.metadata.model_copy(update={"uid": f"uid of {part.metadata.name}"})
    return part.model_copy(update={"metadata": metadata})
