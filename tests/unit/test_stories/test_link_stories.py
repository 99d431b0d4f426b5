"""Stories of links as users tell them, and each of them with a mishap at every single step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from builders import DAY, HOUR, MINUTE
from link_builders import reason_of
from pbx_operator.api.meta import SECRETS
from pbx_operator.api.v1alpha1.linkrecord import LinkRecord
from simulation.world import World, key_named

ISSUE: dict[str, object] = {"issueKey": {}}
REDEEM = {"redeemKey": {"secretRef": {"name": "s"}}}
OWN = {"issueKey": {"fromSecretRef": {"name": "own"}, "expirationTime": "2026-12-01T12:00:00Z"}}
WINDOW = {"undoWindowSeconds": 600}


@contextmanager
def accounts(*names: str) -> Iterator[World]:
    """Run a world with these accounts and one process of the operator."""
    world = World()
    try:
        for name in names:
            world.account(name)
        world.start()
        yield world
    finally:
        world.close()


@pytest.fixture
def world() -> Iterator[World]:
    with accounts("a", "b", "c") as world:
        yield world


def link(world: World, **spec: object) -> None:
    """Link a and b: the issuer i, its key carried by hand, the redeemer r."""
    world.interlink("i", "a", **{**ISSUE, **spec})
    world.settle_for(MINUTE)
    world.carry("i", "s")
    world.interlink("r", "b", **{**REDEEM, **spec})
    world.settle_for(MINUTE)


def record_of(world: World) -> LinkRecord:
    (record,) = world.records()
    return record


def states(world: World) -> dict[str, str | None]:
    return {i.metadata.name: i.status.state for i in world.interlinks()}


def writes(world: World) -> list[str]:
    """Return what the operator wrote since it was asked last."""
    written = world.processes[0].wire.written
    done, written[:] = list(written), []
    return done


class TestCost:
    """A link takes nine writes, its end four, and nothing takes none."""

    def test_of_a_link(self, world: World) -> None:
        link(world)
        assert len(writes(world)) == 9
        assert states(world) == {"i": "Established", "r": "Established"}

    def test_of_a_link_with_a_key_that_was_brought_along(self, world: World) -> None:
        world.secret("own", key_named("own"))
        world.secret("s", key_named("own"))
        world.interlink("i", "a", **OWN)
        world.settle()
        world.interlink("r", "b", **REDEEM)
        world.settle()
        assert len(writes(world)) == 7

    def test_of_its_end(self, world: World) -> None:
        link(world)
        writes(world)
        world.delete("i")
        world.settle()
        assert len(writes(world)) == 4
        assert (states(world), record_of(world).spec.state) == ({}, "Ended")

    def test_a_window_adds_two(self, world: World) -> None:
        link(world, **WINDOW)
        writes(world)
        world.delete("i")
        world.settle_for(HOUR)
        assert len(writes(world)) == 6
        assert (states(world), record_of(world).spec.state) == ({}, "Ended")

    def test_of_a_restart(self, world: World) -> None:
        link(world)
        world.wait(HOUR)
        world.crash()
        world.start()
        world.settle_for(DAY)
        assert writes(world) == []

    def test_of_the_same_manifests_again(self, world: World) -> None:
        link(world)
        writes(world)
        for _ in range(100):
            world.edit("i", **ISSUE)
            world.edit("r", **REDEEM)
            world.settle()
        assert writes(world) == []


class TestStories:
    def test_of_five_who_have_the_same_key_one_wins(self, world: World) -> None:
        world.interlink("i", "a", **ISSUE)
        world.settle()
        world.carry("i", "s")
        for n, account in enumerate("bcbcb"):
            world.interlink(f"r{n}", account, **REDEEM)
        world.settle_for(MINUTE)
        world.check_rest()
        won = [i for i in world.interlinks() if i.metadata.name != "i" and i.status.state == "Established"]
        lost = [i for i in world.interlinks() if i.metadata.name != "i" and i not in won]
        assert len(won) == 1
        assert {reason_of(i.status) for i in lost} == {"KeyAlreadyUsed"}
        assert {i.status.state for i in lost} == {"Ended"}

    def test_both_sides_from_git_at_once(self, world: World) -> None:
        """The key is brought along, and nobody knows which object comes first."""
        world.interlink("r", "b", **REDEEM)
        world.settle()
        world.secret("s", key_named("own"))
        world.settle_for(10 * MINUTE)
        assert reason_of(world.status("r")) == "KeyUnknown"
        world.interlink("i", "a", **OWN)
        world.secret("own", key_named("own"))
        world.settle()
        assert states(world) == {"i": "Established", "r": "Established"}

    def test_within_the_window_a_deletion_can_be_undone(self, world: World) -> None:
        link(world, **WINDOW)
        before = record_of(world).spec.redeemer
        world.delete("i")
        world.settle()
        assert (states(world), world.status("r").gate) == ({"r": "Established"}, "Closed")
        world.interlink("i", "a", **ISSUE, **WINDOW)
        world.settle_for(HOUR)
        assert states(world) == {"i": "Established", "r": "Established"}
        assert {i.status.gate for i in world.interlinks()} == {"Open"}
        assert record_of(world).spec.redeemer == before

    @pytest.mark.parametrize("side", ["i", "r"])
    def test_also_if_no_operator_ran_when_the_window_was_over(self, world: World, side: str) -> None:
        link(world, **WINDOW)
        world.delete(side)
        world.settle()
        world.crash()
        world.wait(5 * MINUTE)
        if side == "i":
            world.interlink("i", "a", **ISSUE, **WINDOW)
        else:
            world.interlink("r", "b", **REDEEM, **WINDOW)
        world.wait(HOUR)
        world.start()
        world.settle_for(HOUR)
        assert states(world) == {"i": "Established", "r": "Established"}
        assert {i.status.gate for i in world.interlinks()} == {"Open"}

    def test_a_key_in_another_secret_is_found_at_once(self, world: World) -> None:
        world.interlink("i", "a", **ISSUE)
        world.interlink("r", "b", redeemKey={"secretRef": {"name": "wrong"}})
        world.settle_for(HOUR)
        world.carry("i", "s")
        world.edit("r", redeemKey={"secretRef": {"name": "s"}})
        world.settle()
        assert states(world) == {"i": "Established", "r": "Established"}

    def test_afterwards_it_cannot(self, world: World) -> None:
        link(world, **WINDOW, onPeerDeletion="Retain")
        world.delete("i")
        world.settle_for(HOUR)
        world.interlink("i", "a", **ISSUE)
        world.settle()
        assert states(world) == {"i": "Pending", "r": "Ended"}
        assert reason_of(world.status("r")) == "EndedByPeer"
        world.carry("i", "s")
        world.settle_for(6 * MINUTE)
        assert states(world) == {"i": "Established", "r": "Established"}

    def test_an_account_takes_its_links_with_it(self, world: World) -> None:
        link(world, **WINDOW, onPeerDeletion="Retain")
        world.delete_account("a")
        world.settle()
        assert states(world) == {"i": "Ended", "r": "Ended"}
        assert [reason_of(world.status(n)) for n in "ir"] == ["AccountDeleted", "EndedByPeer"]
        world.account("a")
        world.settle_for(HOUR)
        assert states(world) == {"i": "Ended", "r": "Ended"}

    def test_an_account_does_not_wait_for_a_window(self, world: World) -> None:
        link(world, **WINDOW)
        world.delete("i")
        world.settle()
        world.delete_account("a")
        world.settle()
        assert record_of(world).spec.end is not None
        assert states(world) == {}

    def test_what_vanished_comes_back_within_the_hour(self, world: World) -> None:
        link(world)
        world.force("i")
        world.delete("i")
        world.settle_for(30 * MINUTE)
        assert world.status("r").gate == "Closed"
        world.interlink("i", "a", **ISSUE)
        world.settle_for(HOUR)
        assert states(world) == {"i": "Established", "r": "Established"}

    def test_or_not(self, world: World) -> None:
        link(world)
        world.force("i")
        world.delete("i")
        world.settle_for(2 * HOUR)
        assert states(world) == {}
        assert record_of(world).spec.end is not None

    def test_crossing_keys_leave_one_link(self, world: World) -> None:
        """Each side issues a key and redeems the other's, at the same moment."""
        world.interlink("i", "a", **ISSUE)
        world.interlink("j", "b", **ISSUE)
        world.settle()
        for issuer, secret, redeemer, account in (("i", "s", "r", "b"), ("j", "t", "x", "a")):
            world.carry(issuer, secret)
            world.interlink(redeemer, account, redeemKey={"secretRef": {"name": secret}})
        world.settle_for(HOUR)
        world.check_rest()
        assert sorted(r.spec.state for r in world.records()) in (["Ended", "Established"], ["Established", "Issued"])

    def test_a_spent_key_has_no_secret(self, world: World) -> None:
        link(world)
        assert [raw["metadata"]["name"] for raw in world.api.all(SECRETS)] == ["s"]


# --- mishaps ----------------------------------------------------------------------------------------------------


def never_arrives(world: World) -> None:
    world.crash()
    world.late.clear()
    world.start()


def arrives_before_the_restart(world: World) -> None:
    world.crash()
    arrive_all(world)
    world.start()


def arrives_afterwards(world: World) -> None:
    world.crash()
    world.start()


def answer_is_lost(world: World) -> None:
    lose(world, arrives=True)


def call_is_lost(world: World) -> None:
    lose(world, arrives=False)


def lose(world: World, *, arrives: bool) -> None:
    for task in world.processes[0].requests()[:1]:
        world.lose(task, arrives=arrives)


def arrive_all(world: World) -> None:
    for request in list(world.late):
        request.arrive()
    world.late.clear()


def plain(world: World) -> None:
    link(world)


def undone(world: World) -> None:
    link(world, **WINDOW)
    for name, account, side in (("i", "a", ISSUE), ("r", "b", REDEEM)):
        world.delete(name)
        world.settle_for(MINUTE)
        world.interlink(name, account, **side, **WINDOW)
        world.settle_for(MINUTE)


def revised(world: World) -> None:
    world.interlink("i", "a", **ISSUE)
    world.settle_for(MINUTE)
    world.edit("i", issueKey={"revision": 2})
    world.settle_for(MINUTE)
    world.carry("i", "s")
    world.interlink("r", "b", **REDEEM)
    world.settle_for(MINUTE)


def begun_anew(world: World) -> None:
    link(world)
    world.delete("i")
    world.settle_for(MINUTE)
    link(world)


@pytest.mark.parametrize(
    "mishap", [never_arrives, arrives_before_the_restart, arrives_afterwards, answer_is_lost, call_is_lost]
)
@pytest.mark.parametrize("story", [plain, undone, revised, begun_anew])
def test_a_mishap_at_any_step_changes_nothing_in_the_end(
    story: Callable[[World], None], mishap: Callable[[World], None]
) -> None:
    """Whatever is interrupted, the story ends as it would have: with one link between two objects."""
    steps, at = 1, 0
    while at < steps:
        with accounts("a", "b") as world:
            steps = _play(world, story, mishap, at)
            arrive_all(world)
            world.settle_for(7 * MINUTE)
            world.check_rest()
            assert states(world) == {"i": "Established", "r": "Established"}, f"after a mishap at step {at}"
            assert {i.status.gate for i in world.interlinks()} == {"Open"}
            assert [r.spec.state for r in world.records()].count("Established") == 1
        at += 1


def _play(world: World, story: Callable[[World], None], mishap: Callable[[World], None], at: int) -> int:
    """Play a story with a mishap at one step; return how many steps it took."""
    taken = 0

    def count() -> None:
        nonlocal taken
        if taken == at:
            mishap(world)
        taken += 1

    world.after_step = count
    story(world)
    return taken
