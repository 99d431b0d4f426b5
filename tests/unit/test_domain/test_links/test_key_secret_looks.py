"""The Secret of an unused generated key: how rarely it is looked at, and what is said once it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import BEFORE, INSTANCE, NOW, at, digest, interlink, record
from link_builders import (
    BROUGHT,
    ISSUER,
    LINK,
    REDEEMER,
    around,
    change,
    key_of,
    looked,
    mint_failed,
    plan,
    reason,
    reason_of,
    showing,
    status_of,
    todo,
    wants,
)
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import Policy
from pbx_operator.domain.links.ending import read_key
from pbx_operator.domain.links.facts import SECRET_LOOK_PERIOD, ClusterFacts
from pbx_operator.domain.records.machine import RunTimers
from simulation.world import World

UNUSED = record(ISSUER)
KEY = key_of(UNUSED)
LOOK = [read_key(ISSUER)]
PERIOD = SECRET_LOOK_PERIOD / timedelta(seconds=1)


class TestWhen:
    """Nothing is read in the first minutes of a key, and then rarely."""

    def test_first_five_minutes_after_the_issue(self) -> None:
        s = around(ISSUER, UNUSED)
        assert PERIOD == 300
        assert (todo(s, at(PERIOD - 1)), todo(s, at(PERIOD))) == ([], LOOK)
        assert plan(s).requeue == at(PERIOD)

    def test_and_then_when_it_is_due_again(self) -> None:
        s = around(ISSUER, UNUSED, attempts=looked(KEY, again=900))
        assert (todo(s, at(899)), todo(s, at(900))) == ([], LOOK)
        assert plan(s).requeue == at(900)

    def test_after_a_start_looks_are_spread(self) -> None:
        """Old keys are looked at within the period, and not all at once."""
        started = ClusterFacts(INSTANCE, started=NOW)
        first_looks = [self.first_look(digest(str(n), 16), started) for n in range(100)]
        assert all(0 <= seconds <= PERIOD for seconds in first_looks)
        quarters = {int(seconds // (PERIOD / 4)) for seconds in first_looks}
        assert quarters == {0, 1, 2, 3}

    @staticmethod
    def first_look(key: str, cluster: ClusterFacts) -> float:
        old = record(ISSUER, key_id=key, issued_time=BEFORE)
        requeue = plan(around(ISSUER, old, cluster=cluster)).requeue
        assert requeue is not None
        return (requeue - NOW).total_seconds()

    def test_a_key_that_was_issued_after_the_start_has_its_five_minutes(self) -> None:
        s = around(ISSUER, UNUSED, cluster=ClusterFacts(INSTANCE, started=BEFORE))
        assert plan(s).requeue == at(PERIOD)

    def test_at_once_for_whoever_asks(self) -> None:
        asked = interlink("i", "a", uid="u2", reconcile="now please")
        shown = showing(asked, key_id=KEY, key_revision=1)
        assert todo(around(shown, UNUSED)) == LOOK
        assert todo(around(shown, UNUSED, attempts=looked(KEY))) == [], "once"
        handled = showing(asked, key_id=KEY, key_revision=1, last_handled_reconcile_at="now please")
        assert todo(around(handled, UNUSED)) == []

    def test_who_asked_before_there_was_a_key_waits(self) -> None:
        """Manifests may have the annotation from the beginning."""
        assert todo(around(interlink("i", "a", uid="u2", reconcile="from Git"), UNUSED)) == []

    @pytest.mark.parametrize(
        ("link", "made"),
        [(ISSUER, LINK), (BROUGHT, record(BROUGHT, origin="BringYourOwn")), (ISSUER, None)],
        ids=["used", "brought along", "not issued yet"],
    )
    def test_no_other_secret_is_looked_at(self, link: Interlink, made: LinkRecord | None) -> None:
        facts: dict[str, Any] = {"attempts": mint_failed("SecretNameTaken")} if made is None else {}
        s = around(link, *([made] if made is not None else []), peers=[REDEEMER], **facts)
        assert not [a for a in todo(s, at(PERIOD)) if a in (read_key(ISSUER), read_key(BROUGHT))]

    def test_the_end_of_a_key_does_not_wait_for_a_look(self) -> None:
        expiring = record(ISSUER, policy=Policy(expiration_time=at(PERIOD)))
        assert todo(around(ISSUER, expiring), at(PERIOD)) == [change(expiring, RunTimers())]


class TestLost:
    @pytest.mark.parametrize("found", [looked(None), looked(None, problem="it is empty"), looked(digest("x", 16))])
    @pytest.mark.parametrize("ready_when", ["KeyIssued", "Established"])
    def test_it_is_said_with_the_next_step(self, found: Any, ready_when: str) -> None:
        s = around(wants(ISSUER, ready_when=ready_when), UNUSED, attempts=found)
        assert reason(s) == "!SecretMissing (Reconciling)"
        assert status_of(s).conditions[0].message == (
            "there is no Secret i-key with the key in its entry key; raise spec.issueKey.revision for a new key"
        )
        assert reason(s, "Established") == "!SecretMissing"
        assert reason(s, "KeyIssued") == "KeyIssued"
        assert reason(replace(s, since=("SecretMissing", at(-120)))) == "!SecretMissing (Stalled)"

    def test_a_key_that_was_used_meanwhile_is_no_loss(self) -> None:
        s = around(ISSUER, LINK, peers=[REDEEMER], attempts=replace(looked(None), swept_key=key_of(LINK)))
        assert reason(s) == "Established"


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    try:
        for name in "ab":
            world.account(name)
        world.start()
        world.interlink("i", "a", issueKey={})
        world.settle()
        yield world
    finally:
        world.close()


class TestStory:
    """The same with the engine's own parts."""

    def test_nothing_is_written_while_the_secret_is_there(self, world: World) -> None:
        written = list(world.processes[0].wire.written)
        world.settle_for(timedelta(hours=1))
        assert world.processes[0].wire.written == written
        assert reason_of(world.status("i")) == "KeyIssued"

    def test_a_secret_that_is_deleted_is_noticed_and_replaced(self, world: World) -> None:
        world.lose_secret("i-key")
        world.settle_for(timedelta(minutes=4))
        assert reason_of(world.status("i")) == "KeyIssued"
        world.settle_for(timedelta(minutes=2))
        assert reason_of(world.status("i")) == "SecretMissing"
        world.edit("i", issueKey={"revision": 2})
        world.settle()
        assert reason_of(world.status("i")) == "KeyIssued"
        assert world.status("i").key_revision == 2
        assert world.carry("i", "s")

    def test_also_after_a_restart(self, world: World) -> None:
        world.settle_for(timedelta(hours=1))
        world.crash()
        world.lose_secret("i-key")
        world.start()
        world.settle_for(SECRET_LOOK_PERIOD)
        assert reason_of(world.status("i")) == "SecretMissing"

    def test_whoever_has_a_copy_can_still_link(self, world: World) -> None:
        world.carry("i", "s")
        world.lose_secret("i-key")
        world.settle_for(timedelta(minutes=10))
        world.interlink("r", "b", redeemKey={"secretRef": {"name": "s"}})
        world.settle()
        assert [reason_of(world.status(name)) for name in "ir"] == ["Established", "Established"]
