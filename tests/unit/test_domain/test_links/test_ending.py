"""How links end: deletion on either side, what vanished, the peer's end, timers and retention."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders import DAY, HOUR, INSTANCE, MINUTE, NOW, at, digest, identity, interlink, record
from link_builders import (
    BROUGHT,
    CLUSTER,
    FORMER_ISSUER,
    FORMER_REDEEMER,
    ISSUER,
    LINK,
    REDEEMER,
    STRANGER,
    around,
    change,
    closing,
    end,
    going,
    key_of,
    looked,
    plan,
    ready_account,
    showing,
    todo,
    wants,
    with_spec,
    without,
)
from pbx_operator.api.v1alpha1.interlink import Interlink
from pbx_operator.api.v1alpha1.linkrecord import EndParty, EndReason, LinkRecord, Policy
from pbx_operator.domain.links.ending import RETURN_PERIOD, read_key
from pbx_operator.domain.links.facts import LinkSnapshot, account_name
from pbx_operator.domain.plan import Action, DeleteInterlink, MintKey, PurgeRecord, RemoveFinalizer, target_of
from pbx_operator.domain.protocol.keys import link_id
from pbx_operator.domain.records.machine import Abandon, Adopt, Fence, Leave, RunTimers

OTHER_FINALIZER = "another.example/keeps"


class TestDeletedIssuer:
    GONE = RemoveFinalizer(target_of(ISSUER))

    def test_the_end_is_recorded_before_the_object_goes(self) -> None:
        assert todo(around(going(ISSUER), LINK, peers=[REDEEMER])) == [change(LINK, Leave("issuer", "u2"))]

    def test_an_unused_key_as_well(self) -> None:
        assert todo(around(going(ISSUER), record(ISSUER))) == [change(record(ISSUER), Leave("issuer", "u2"))]

    def test_then_it_goes(self) -> None:
        for made in (record(ISSUER, REDEEMER, end=end("Deleted")), record(ISSUER, REDEEMER, closing=closing("u2"))):
            assert todo(around(going(ISSUER), made, peers=[REDEEMER])) == [self.GONE]
        assert todo(around(going(ISSUER))) == [self.GONE]

    def test_a_window_lies_between_the_deletion_and_the_end(self) -> None:
        assert todo(around(going(ISSUER, 600), LINK)) == [change(LINK, Leave("issuer", "u2", 10 * MINUTE))]

    def test_what_it_could_have_adopted_goes_with_it(self) -> None:
        """So an adoption that is still under way finds the record changed."""
        old = record(FORMER_ISSUER, REDEEMER, key="old")
        assert todo(around(going(ISSUER), LINK, old, peers=[REDEEMER])) == [
            change(LINK, Leave("issuer", "u2")),
            change(old, Leave("issuer", "u2")),
        ]

    def test_also_within_the_window_of_its_predecessor(self) -> None:
        old = record(FORMER_ISSUER, REDEEMER, closing=closing("u1"))
        assert todo(around(going(ISSUER), old, peers=[REDEEMER])) == [change(old, Leave("issuer", "u2"))]

    def test_it_does_not_wait_for_an_hour_that_began_when_its_account_vanished(self) -> None:
        waiting = record(ISSUER, REDEEMER, closing=closing("u2", reason="Orphaned"))
        s = around(going(ISSUER), waiting, peers=[REDEEMER], accounts=[])
        assert todo(s) == [change(waiting, Leave("issuer", "u2"))]

    def test_with_its_account_deleted_there_is_no_window(self) -> None:
        account = ready_account("a", deleting=True)
        made = record(ISSUER, REDEEMER, closing=closing("u2"))
        leave = Leave("issuer", "u2", HOUR, account_deleted=True)
        assert todo(around(going(ISSUER, 3600), made, accounts=[account])) == [change(made, leave)]

    def test_finalizers_of_others_keep_the_object_and_not_the_link(self) -> None:
        kept = going(ISSUER, finalizers=(OTHER_FINALIZER,))
        assert todo(around(kept, LINK, peers=[REDEEMER])) == [change(LINK, Leave("issuer", "u2"))]
        assert todo(around(kept)) == []

    def test_and_time_goes_on_meanwhile(self) -> None:
        kept = going(ISSUER, finalizers=(OTHER_FINALIZER,))
        due = record(ISSUER, REDEEMER, closing=closing("u2", ends=at(60)))
        assert plan(around(kept, due)).requeue == at(60)
        assert todo(around(kept, due), at(60)) == [change(due, RunTimers())]

    def test_one_that_brought_its_key_looks_what_it_could_have_adopted(self) -> None:
        brought = going(BROUGHT)
        old = record(FORMER_ISSUER, origin="BringYourOwn")
        assert todo(around(brought, old)) == [read_key(brought)]
        shown = around(brought, old, attempts=looked(key_of(old)))
        assert todo(shown) == [change(old, Leave("issuer", "u2"))]


class TestDeletedRedeemer:
    GONE = RemoveFinalizer(target_of(REDEEMER))
    KEY = record(ISSUER)
    FENCE = Fence(link_id(INSTANCE, key_of(KEY), INSTANCE, "v2"), INSTANCE, account_name(REDEEMER), identity(REDEEMER))
    AWARE = looked(key_of(KEY))

    def fencing(self, made: LinkRecord) -> list[Action]:
        return todo(replace(around(going(REDEEMER), attempts=self.AWARE), shown_record=made))

    def test_a_link_ends(self) -> None:
        assert todo(around(going(REDEEMER), LINK, peers=[ISSUER])) == [change(LINK, Leave("redeemer", "v2"))]

    def test_one_that_never_linked_looks_which_key_it_had(self) -> None:
        assert todo(around(going(REDEEMER))) == [read_key(REDEEMER)]

    def test_and_fences_it_before_it_goes(self) -> None:
        """A redemption that is still under way would make a link without a redeemer."""
        assert self.fencing(self.KEY) == [change(self.KEY, self.FENCE)]

    def test_once(self) -> None:
        assert self.fencing(record(ISSUER, fences=(self.FENCE.link_id,))) == [self.GONE]

    def test_not_a_key_that_it_was_not_admitted_to(self) -> None:
        only = Policy(allowed_redeemers=(STRANGER,))
        assert self.fencing(record(ISSUER, policy=only)) == [self.GONE]

    def test_not_a_key_that_is_used_or_void(self) -> None:
        for made in (record(ISSUER, interlink("q", "c", redeem="s")), record(ISSUER, end=end("Revoked"))):
            assert self.fencing(made) == [self.GONE]

    def test_without_its_secret_it_just_goes(self) -> None:
        assert todo(around(going(REDEEMER), attempts=looked(None))) == [self.GONE]

    def test_one_that_is_linked_reads_no_secret(self) -> None:
        ending = record(ISSUER, REDEEMER, closing=closing("v2", side="redeemer"))
        assert todo(around(going(REDEEMER), ending, peers=[ISSUER])) == [self.GONE]

    def test_a_link_of_its_predecessor_goes_with_it(self) -> None:
        old = record(ISSUER, FORMER_REDEEMER)
        s = around(going(REDEEMER), old, attempts=looked(key_of(old)))
        assert todo(s) == [change(old, Leave("redeemer", "v2"))]

    def test_unless_its_secret_shows_another_key(self) -> None:
        """The predecessor's link is not its own, and may have a window that still runs."""
        old = record(ISSUER, FORMER_REDEEMER, closing=closing("v1", side="redeemer"))
        assert todo(around(going(REDEEMER), old, attempts=looked(digest("new", 16)))) == [self.GONE]


class TestVanished:
    """The object is not there, and nobody saw it being deleted."""

    @pytest.mark.parametrize(("place", "side"), [(ISSUER, "issuer"), (REDEEMER, "redeemer")])
    def test_its_link_is_abandoned(self, place: Interlink, side: Any) -> None:
        assert todo(without(place, LINK)) == [change(LINK, Abandon(side))]

    def test_its_unused_key_too(self) -> None:
        assert todo(without(ISSUER, record(ISSUER))) == [change(record(ISSUER), Abandon("issuer"))]

    @pytest.mark.parametrize("reason", ["Deleted", "Orphaned"])
    def test_once(self, reason: Any) -> None:
        assert todo(without(ISSUER, record(ISSUER, REDEEMER, closing=closing("u2", reason=reason)))) == []

    def test_each_side_for_itself(self) -> None:
        made = record(ISSUER, REDEEMER, closing=closing("v2", side="redeemer"))
        assert todo(without(ISSUER, made)) == [change(made, Abandon("issuer"))]

    def test_nothing_is_left_to_be_done_when_it_has_ended(self) -> None:
        assert todo(without(ISSUER, record(ISSUER, REDEEMER, end=end("Deleted")))) == []

    @pytest.mark.parametrize(("place", "side", "account"), [(ISSUER, "issuer", "a"), (REDEEMER, "redeemer", "b")])
    def test_if_its_account_is_being_deleted_the_link_ends_at_once(
        self, place: Interlink, side: Any, account: str
    ) -> None:
        deleting = ready_account(account, deleting=True)
        for made in (LINK, record(ISSUER, REDEEMER, closing=closing(place.metadata.uid, side=side))):
            leave = Leave(side, place.metadata.uid, account_deleted=True)
            assert todo(without(place, made, accounts=[deleting])) == [change(made, leave)]

    def test_also_where_the_name_belongs_to_another_account_by_now(self) -> None:
        """Or the deletion of the account would wait for an hour."""
        newcomer, deleting = interlink("i", "z", uid="u3"), ready_account("a", deleting=True)
        s = around(newcomer, LINK, accounts=[deleting, ready_account("z")])
        assert todo(s) == [change(LINK, Leave("issuer", "u2", account_deleted=True)), MintKey(ISSUER.key)]


class TestAccountOfTheSide:
    def test_deleted_everything_ends(self) -> None:
        deleting = [ready_account("a", deleting=True)]
        orphaned = record(ISSUER, REDEEMER, closing=closing("u2", reason="Orphaned"))
        for made in (LINK, record(ISSUER), record(FORMER_ISSUER, REDEEMER), orphaned):
            leave = Leave("issuer", "u2", account_deleted=True)
            assert todo(around(ISSUER, made, accounts=deleting)) == [change(made, leave)]

    def test_missing_the_link_has_an_hour(self) -> None:
        assert todo(around(ISSUER, LINK, accounts=[])) == [change(LINK, Abandon("issuer"))]
        assert todo(around(REDEEMER, LINK, accounts=[])) == [change(LINK, Abandon("redeemer"))]

    def test_missing_a_link_that_could_be_adopted_has_an_hour_too(self) -> None:
        """Its peer must not wait for ever for an account that never comes."""
        old = record(FORMER_ISSUER, REDEEMER)
        assert todo(around(ISSUER, old, accounts=[])) == [change(old, Abandon("issuer"))]

    def test_once(self) -> None:
        waiting = record(ISSUER, REDEEMER, closing=closing("u2", reason="Orphaned"))
        assert todo(around(ISSUER, waiting, accounts=[])) == []


class TestPeerEnded:
    """While an end that the other side made names this very object, it starts nothing and is deleted."""

    DELETE = DeleteInterlink(target_of(REDEEMER))

    @pytest.mark.parametrize(
        ("reason", "by", "follows"),
        [
            ("Deleted", "Issuer", True),
            ("AccountDeleted", "Issuer", True),
            ("Orphaned", "Issuer", True),
            ("Deleted", "Redeemer", False),
            ("AccountDeleted", "Redeemer", False),
            ("Orphaned", "Redeemer", False),
            ("DuplicateLink", "Operator", False),
        ],
    )
    def test_whose_end_and_why(self, reason: EndReason, by: EndParty, follows: bool) -> None:
        s = around(REDEEMER, record(ISSUER, REDEEMER, end=end(reason, by)), attempts=looked(None))
        assert todo(s) == ([self.DELETE] if follows else [])

    @pytest.mark.parametrize("reason", ["Revoked", "KeyExpired"])
    def test_never_for_a_key_that_was_not_used(self, reason: EndReason) -> None:
        over = record(ISSUER, end=end(reason, "Redeemer"))
        assert DeleteInterlink(target_of(ISSUER)) not in todo(around(ISSUER, over))

    def test_the_issuer_follows_its_redeemer(self) -> None:
        over = record(ISSUER, REDEEMER, end=end("Deleted", "Redeemer"))
        assert todo(around(ISSUER, over)) == [DeleteInterlink(target_of(ISSUER))]

    def test_not_if_the_user_wants_to_keep_it(self) -> None:
        kept = with_spec(REDEEMER, on_peer_deletion="Retain")
        assert todo(around(kept, record(ISSUER, REDEEMER, end=end("Deleted")), attempts=looked(None))) == []

    def test_not_if_nobody_may_delete_it(self) -> None:
        """The plan does not try what would be refused; it goes as soon as the protection does."""
        over = record(ISSUER, REDEEMER, end=end("Deleted"))
        held = with_spec(REDEEMER, deletion_protection="Enabled")
        assert todo(around(held, over, attempts=looked(None))) == []
        released = with_spec(held, deletion_protection="Disabled")
        assert todo(around(released, over, attempts=looked(None))) == [self.DELETE]

    def test_one_that_nobody_may_delete_takes_up_a_new_key(self) -> None:
        """As with Retain: it stays, so a new wish counts."""
        over = record(ISSUER, REDEEMER, end=end("Deleted", "Redeemer"))
        held = with_spec(wants(ISSUER, revision=2), deletion_protection="Enabled")
        assert todo(around(held, over)) == [MintKey(held.key)]

    def test_not_a_successor_of_the_name(self) -> None:
        s = around(REDEEMER, record(ISSUER, FORMER_REDEEMER, end=end("Deleted")), attempts=looked(None))
        assert todo(s) == []

    def test_it_starts_nothing_new_meanwhile(self) -> None:
        over = record(ISSUER, REDEEMER, end=end("Deleted"))
        assert todo(around(REDEEMER, over, attempts=looked(digest("new", 16)))) == [self.DELETE]


class TestTime:
    DUE = record(ISSUER, REDEEMER, closing=closing("v2", ends=at(60), side="redeemer"))

    def test_the_issuers_side_runs_the_timer_whoever_closes(self) -> None:
        run = [change(self.DUE, RunTimers())]
        s = around(ISSUER, self.DUE, peers=[REDEEMER])
        assert (todo(s, at(59)), todo(s, at(60))) == ([], run)
        assert todo(around(REDEEMER, self.DUE, peers=[ISSUER]), at(60)) == [change(self.DUE, Adopt("redeemer", "v2"))]
        assert todo(without(REDEEMER, self.DUE), at(60)) == []

    def test_even_if_there_is_no_issuer(self) -> None:
        both = record(ISSUER, REDEEMER, closing=closing("u2", ends=at(60)))
        assert todo(without(ISSUER, both), at(60)) == [change(both, RunTimers())]

    def test_what_came_due_while_nobody_ran_waits_for_a_redeemer_that_is_back(self) -> None:
        """It takes the link up as soon as it has been looked at."""
        started = replace(CLUSTER, started=at(HOUR.total_seconds()))
        lost = record(ISSUER, FORMER_REDEEMER, closing=closing("v1", ends=at(60), side="redeemer"))
        s = around(ISSUER, lost, peers=[REDEEMER], cluster=started)
        assert todo(s, NOW + HOUR) == []
        assert plan(s, NOW + HOUR).requeue == NOW + HOUR + RETURN_PERIOD
        assert todo(s, NOW + HOUR + RETURN_PERIOD) == [change(lost, RunTimers())]

    @pytest.mark.parametrize(
        "peers",
        [
            [],
            [FORMER_REDEEMER],
            [going(REDEEMER)],
            [interlink("r", "z", redeem="s", uid="v2")],
            [interlink("r", "b", uid="v2")],
        ],
        ids=["nobody", "itself", "going", "another account", "another role"],
    )
    def test_and_for_nobody_else(self, peers: list[Interlink]) -> None:
        started = replace(CLUSTER, started=at(HOUR.total_seconds()))
        lost = record(ISSUER, FORMER_REDEEMER, closing=closing("v1", ends=at(60), side="redeemer"))
        s = around(ISSUER, lost, peers=peers, cluster=started)
        assert todo(s, NOW + HOUR) == [change(lost, RunTimers())]

    def test_a_key_expires(self) -> None:
        made = record(ISSUER, policy=Policy(expiration_time=at(60)))
        assert todo(around(ISSUER, made), at(60)) == [change(made, RunTimers())]


class TestRetention:
    OVER = record(ISSUER, REDEEMER, end=end("Deleted", time=NOW))
    PURGE = PurgeRecord(target_of(OVER))

    def purged(self, s: LinkSnapshot) -> datetime | None:
        """Return when the record goes; the plan must have announced that."""
        due = plan(s).requeue
        if due is not None:
            kinds = [[type(a) for a in todo(s, moment)] for moment in (due - timedelta(seconds=1), due)]
            assert kinds == [[], [PurgeRecord]]
        return due

    def test_a_day_when_both_sides_are_gone(self) -> None:
        assert self.purged(without(ISSUER, self.OVER)) == NOW + DAY

    @pytest.mark.parametrize(
        ("peer", "kept"),
        [
            (showing(REDEEMER, state="Ended", key_id=key_of(OVER)), DAY),
            (showing(REDEEMER, state="Pending", key_id=digest("new", 16)), DAY),
            (showing(FORMER_REDEEMER, state="Established", key_id=key_of(OVER)), DAY),
            (showing(REDEEMER, state="Established", key_id=key_of(OVER)), 30 * DAY),
        ],
        ids=["shows the end", "has begun another link", "is another object", "does not know yet"],
    )
    def test_longer_while_the_peer_does_not_know(self, peer: Interlink, kept: timedelta) -> None:
        assert self.purged(without(ISSUER, self.OVER, peers=[peer])) == NOW + kept

    def test_a_key_that_was_brought_along_stays_known_until_it_has_expired(self) -> None:
        policy = Policy(expiration_time=NOW + 40 * DAY)
        over = record(ISSUER, REDEEMER, origin="BringYourOwn", policy=policy, end=end("Deleted", time=NOW))
        assert self.purged(without(ISSUER, over)) == NOW + 41 * DAY

    def test_one_that_expires_when_time_ends_can_be_deleted_like_any_other(self) -> None:
        policy = Policy(expiration_time=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
        over = record(ISSUER, REDEEMER, origin="BringYourOwn", policy=policy, end=end("Deleted", time=NOW))
        assert [type(a) for a in todo(around(going(ISSUER), over))] == [RemoveFinalizer]

    def test_one_that_somebody_else_holds_back_is_not_deleted_again(self) -> None:
        metadata = self.OVER.metadata.model_copy(update={"deletion_timestamp": NOW + DAY})
        s = without(ISSUER, self.OVER.model_copy(update={"metadata": metadata}))
        assert (plan(s).requeue, todo(s, NOW + 2 * DAY)) == (None, [])

    def test_the_issuers_side_does_it(self) -> None:
        assert plan(without(REDEEMER, self.OVER)).requeue is None
