"""What an Interlink does not do in a restore, in a cluster that is not confirmed, or without its identity."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import DAY, INSTANCE, NOW, at, digest, interlink, record
from link_builders import (
    BROUGHT,
    FORMER_ISSUER,
    ISSUER,
    LINK,
    REDEEMER,
    around,
    change,
    end,
    going,
    key_of,
    looked,
    plan,
    redeem,
    todo,
    wants,
    without,
)
from pbx_operator.api.v1alpha1.linkrecord import Policy
from pbx_operator.domain.links.facts import ClusterFacts, LinkSnapshot
from pbx_operator.domain.plan import ChangeRecord, DeleteInterlink, IssueOwnKey, MintKey, PurgeRecord, Redeem
from pbx_operator.domain.records.machine import Abandon, Adopt, Fence, Leave, Revoke, RunTimers

RESTORING = ClusterFacts(INSTANCE, restoring_until=at(600))
UNCONFIRMED = ClusterFacts(INSTANCE, confirmed=False)
IDENTITY_LOST = ClusterFacts(INSTANCE, identity_lost=True)
EXPIRED = record(ISSUER, policy=Policy(expiration_time=at(-1)))
FOLLOWING = around(REDEEMER, record(ISSUER, REDEEMER, end=end("Deleted")), attempts=looked(None))
FENCING = replace(around(going(REDEEMER), attempts=looked(key_of(record(ISSUER)))), shown_record=record(ISSUER))
FORGOTTEN = record(ISSUER, REDEEMER, end=end("Deleted", time=NOW - 40 * DAY))
NEW_KEY = looked(digest("new", 16))

HELD_BACK: list[tuple[str, LinkSnapshot, type, str]] = [
    # The last column says where it is held back: in a Restore, in an Unconfirmed cluster, with its identity Lost.
    ("adoption", around(ISSUER, record(FORMER_ISSUER, REDEEMER)), Adopt, "---"),
    ("deletion of an unused key", around(going(ISSUER), record(ISSUER)), Leave, "R--"),
    ("deletion by a user", around(going(ISSUER), LINK), Leave, "---"),
    ("fencing", FENCING, Fence, "R--"),
    ("revocation", around(wants(ISSUER, revision=2), record(ISSUER)), Revoke, "R--"),
    ("orphan rule", without(ISSUER, LINK), Abandon, "RU-"),
    ("timers", around(ISSUER, EXPIRED), RunTimers, "RU-"),
    ("following the peer", FOLLOWING, DeleteInterlink, "RU-"),
    ("purge", without(ISSUER, FORGOTTEN), PurgeRecord, "RU-"),
    ("minting", around(ISSUER), MintKey, "RUL"),
    ("issuing", around(BROUGHT, attempts=NEW_KEY), IssueOwnKey, "RUL"),
    ("redeeming", around(REDEEMER, attempts=NEW_KEY), Redeem, "R-L"),
]


class TestWaiting:
    """In a restore no record is made or ended; in a cluster that is not ours nothing happens by itself; and without
    its identity the installation signs nothing."""

    @pytest.mark.parametrize(("story", "s", "kind", "held"), HELD_BACK, ids=[row[0] for row in HELD_BACK])
    def test_what_waits_for_what(self, story: str, s: LinkSnapshot, kind: type, held: str) -> None:
        assert self.does(s, kind), story
        done = [self.does(replace(s, cluster=c), kind) for c in (RESTORING, UNCONFIRMED, IDENTITY_LOST)]
        assert "".join("-" if d else mark for d, mark in zip(done, "RUL", strict=True)) == held

    def does(self, s: LinkSnapshot, kind: type) -> bool:
        made = [a.change if isinstance(a, ChangeRecord) else a for a in plan(s).actions]
        return any(isinstance(a, kind) for a in made)

    def test_an_object_whose_end_waits_is_not_let_go(self) -> None:
        assert todo(replace(around(going(ISSUER), record(ISSUER)), cluster=RESTORING)) == []

    @pytest.mark.parametrize(("wished", "granted"), [(0, 600), (300, 600), (900, 900)])
    def test_a_link_that_is_deleted_during_a_restore_closes_now_and_ends_after_it(
        self, wished: int, granted: int
    ) -> None:
        s = replace(around(going(ISSUER, wished), LINK), cluster=RESTORING)
        assert todo(s) == [change(LINK, Leave("issuer", ISSUER.metadata.uid, timedelta(seconds=granted)))]

    def test_a_restore_is_over_after_its_time(self) -> None:
        s = replace(around(ISSUER), cluster=RESTORING)
        assert plan(s).requeue == at(600)
        assert todo(s, at(600)) == [MintKey(ISSUER.key)]

    def test_what_an_earlier_object_left_does_not_hold_up_the_present_one(self) -> None:
        """The orphan rule stands still in an unconfirmed cluster; redeeming does not."""
        old = record(interlink("j", "c"), interlink("r", "z", redeem="s", uid="v1"))
        s = replace(around(REDEEMER, old, attempts=looked(digest("new", 16))), cluster=UNCONFIRMED)
        assert todo(s) == [redeem(s)]
