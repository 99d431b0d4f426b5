"""What an account's last plan drafted is there for the next one, and nothing else is."""

from __future__ import annotations

from itertools import count

import pytest

from builders import NAMESPACE, NOW, SUFFIX, interlink, number, record
from link_builders import CLUSTER, ready_account
from pbx_operator.api.meta import ObjectKey, Resource
from pbx_operator.domain.accounts.plan import plan_account
from pbx_operator.domain.dialplan.slices import Draft, PeerFacts, draft_peer
from pbx_operator.domain.impact import WorkKey
from pbx_operator.domain.plan import Plan, WriteSlice
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine import drafts
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.planning import Planner
from pbx_operator.engine.snapshots import Snapshots
from pbx_operator.engine.store import Store

HERE = WorkKey("Account", ObjectKey(NAMESPACE, "south"))


class World:
    """Account `south`, linked with `north` and `west`, whose plan is made again and again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drafts, "draft_peer", self._draft)
        self.drafted: list[str] = []
        scope = Scope(CLUSTER.instance)
        self.store = Store(SUFFIX, scope)
        self.snapshots = Snapshots(self.store, Memory(), CLUSTER, lambda: NOW)
        self._planner = Planner(self.store, self.snapshots, scope)
        self._versions = count(1)
        for peer in ("north", "west"):
            ours, theirs = interlink(f"to-{peer}", "south"), interlink("to-south-" + peer, peer, redeem="s")
            self.show(ready_account(peer), ours, theirs, record(ours, theirs), number("200", peer, name=f"n-{peer}"))
        self.show(ready_account("south"))

    def _draft(self, facts: PeerFacts) -> tuple[Draft, ...]:
        self.drafted.append(facts.interlink)
        return draft_peer(facts)

    def show(self, *shown: Resource) -> None:
        for known in shown:
            raw = known.to_json()
            raw["metadata"]["resourceVersion"] = str(next(self._versions))
            self.store.tables[known.resource.plural].put(raw)

    def call(self, name: str) -> None:
        """Let `north` call its number otherwise."""
        self.show(number("200", "north", name="n-north", display_name=name))

    def plan(self) -> Plan:
        self.drafted.clear()
        return self._planner.plan(HERE, NOW)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_only_the_peer_that_changed_is_drafted_again(world: World) -> None:
    world.plan()
    assert sorted(world.drafted) == ["to-north", "to-west"]
    world.plan()
    assert world.drafted == []
    world.call("Reception")
    world.plan()
    assert world.drafted == ["to-north"]


def test_what_was_offered_earlier_is_forgotten(world: World) -> None:
    for name in ("Reception", "Porter", "Reception"):
        world.call(name)
        world.plan()
        assert "to-north" in world.drafted


def test_nothing_stays_of_a_link_or_an_account_that_is_gone(world: World) -> None:
    world.plan()
    owner = world.store.accounts.get(HERE.key)
    assert owner is not None
    world.store.accounts.forget(HERE.key, owner.metadata.uid)
    world.plan()
    world.show(owner)
    world.plan()
    assert sorted(world.drafted) == ["to-north", "to-west"]


def test_the_plan_is_what_it_would_be_without_a_memory(world: World) -> None:
    for name in ("Reception", "Porter", "Reception"):
        world.call(name)
        fresh = plan_account(world.snapshots.account(HERE.key), NOW)
        assert any(isinstance(action, WriteSlice) for action in fresh.actions)
        assert world.plan() == fresh
