"""How links end: deletion on either side, what vanished, the peer's end, timers and retention."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from builders import INSTANCE, NOW, at, digest, interlink, record
from link_builders import (
    around,
    closing,
    end,
    identity,
    looked,
    plan,
    ready_account,
    todo,
    without,
)
from pbx_operator.api.meta import TEARDOWN_FINALIZER
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer, Interlink, InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import EndParty, EndReason, LinkRecord, Policy
from pbx_operator.domain.keys import link_id
from pbx_operator.domain.link_end import read_key, target_of
from pbx_operator.domain.link_facts import ClusterFacts, LinkSnapshot, account_name
from pbx_operator.domain.plan import (
    Action,
    ChangeRecord,
    DeleteInterlink,
    IssueOwnKey,
    MintKey,
    PurgeRecord,
    Redeem,
    RemoveFinalizer,
)
from pbx_operator.domain.record import Abandon, Adopt, Change, Fence, Leave, Revoke, RunTimers

DAY = timedelta(days=1)
OTHER_FINALIZER = "another.example/keeps"
I = interlink("i", "a", uid="u2")  # noqa: E741 - the issuer of every story
R = interlink("r", "b", redeem="s", uid="v2")
I_BEFORE, R_BEFORE = interlink("i", "a", uid="u1"), interlink("r", "b", redeem="s", uid="v1")
LINK = record(I, R)


def going(link: Interlink, window: int = 0, finalizers: tuple[str, ...] = (TEARDOWN_FINALIZER,)) -> Interlink:
    metadata = link.metadata.model_copy(update={"deletion_timestamp": NOW, "finalizers": finalizers})
    return link.model_copy(
        update={"metadata": metadata, "spec": link.spec.model_copy(update={"undo_window_seconds": window})}
    )


def keeping(link: Interlink, **spec: Any) -> Interlink:
    return link.model_copy(update={"spec": link.spec.model_copy(update=spec)})


def showing(link: Interlink, **status: Any) -> Interlink:
    return link.model_copy(update={"status": InterlinkStatus(**status)})


def change(made: LinkRecord, what: Change) -> ChangeRecord:
    return ChangeRecord(made.metadata.name, what)


class TestDeletedIssuer:
    GONE = RemoveFinalizer(target_of(I))

    def test_the_end_is_recorded_before_the_object_goes(self) -> None:
        assert todo(around(going(I), LINK, peers=[R])) == [change(LINK, Leave("issuer", "u2"))]

    def test_an_unused_key_as_well(self) -> None:
        assert todo(around(going(I), record(I))) == [change(record(I), Leave("issuer", "u2"))]

    def test_then_it_goes(self) -> None:
        for made in (record(I, R, end=end("Deleted")), record(I, R, closing=closing("u2"))):
            assert todo(around(going(I), made, peers=[R])) == [self.GONE]
        assert todo(around(going(I))) == [self.GONE]

    def test_a_window_lies_between_the_deletion_and_the_end(self) -> None:
        assert todo(around(going(I, 600), LINK)) == [change(LINK, Leave("issuer", "u2", timedelta(minutes=10)))]

    def test_what_it_could_have_adopted_goes_with_it(self) -> None:
        """So an adoption that is still under way finds the record changed."""
        old = record(I_BEFORE, R, key="old")
        assert todo(around(going(I), LINK, old, peers=[R])) == [
            change(LINK, Leave("issuer", "u2")),
            change(old, Leave("issuer", "u2")),
        ]

    def test_also_within_the_window_of_its_predecessor(self) -> None:
        old = record(I_BEFORE, R, closing=closing("u1"))
        assert todo(around(going(I), old, peers=[R])) == [change(old, Leave("issuer", "u2"))]

    def test_it_does_not_wait_for_an_hour_that_began_when_its_account_vanished(self) -> None:
        waiting = record(I, R, closing=closing("u2", reason="Orphaned"))
        assert todo(around(going(I), waiting, peers=[R], accounts=[])) == [change(waiting, Leave("issuer", "u2"))]

    def test_with_its_account_deleted_there_is_no_window(self) -> None:
        account = ready_account("a", deleting=True)
        made = record(I, R, closing=closing("u2"))
        leave = Leave("issuer", "u2", timedelta(hours=1), account_deleted=True)
        assert todo(around(going(I, 3600), made, accounts=[account])) == [change(made, leave)]

    def test_finalizers_of_others_keep_the_object_and_not_the_link(self) -> None:
        kept = going(I, finalizers=(OTHER_FINALIZER,))
        assert todo(around(kept, LINK, peers=[R])) == [change(LINK, Leave("issuer", "u2"))]
        assert todo(around(kept)) == []

    def test_and_time_goes_on_meanwhile(self) -> None:
        kept = going(I, finalizers=(OTHER_FINALIZER,))
        due = record(I, R, closing=closing("u2", ends=at(60)))
        assert plan(around(kept, due)).requeue == at(60)
        assert todo(around(kept, due), at(60)) == [change(due, RunTimers())]

    def test_one_that_brought_its_key_looks_what_it_could_have_adopted(self) -> None:
        brought = going(interlink("i", "a", uid="u2", issue={"from_secret_ref": {"name": "s"}}))
        old = record(I_BEFORE, origin="BringYourOwn")
        assert todo(around(brought, old)) == [read_key(brought)]
        shown = around(brought, old, attempts=looked(old.spec.key_id))
        assert todo(shown) == [change(old, Leave("issuer", "u2"))]


class TestDeletedRedeemer:
    GONE = RemoveFinalizer(target_of(R))
    KEY = record(I)
    FENCE = Fence(link_id(INSTANCE, KEY.spec.key_id, INSTANCE, "v2"), INSTANCE, account_name(R), identity(R))
    AWARE = looked(KEY.spec.key_id)

    def fencing(self, made: LinkRecord) -> list[Action]:
        return todo(replace(around(going(R), attempts=self.AWARE), shown_record=made))

    def test_a_link_ends(self) -> None:
        assert todo(around(going(R), LINK, peers=[I])) == [change(LINK, Leave("redeemer", "v2"))]

    def test_one_that_never_linked_looks_which_key_it_had(self) -> None:
        assert todo(around(going(R))) == [read_key(R)]

    def test_and_fences_it_before_it_goes(self) -> None:
        """A redemption that is still under way would make a link without a redeemer."""
        assert self.fencing(self.KEY) == [change(self.KEY, self.FENCE)]

    def test_once(self) -> None:
        assert self.fencing(record(I, fences=(self.FENCE.link_id,))) == [self.GONE]

    def test_not_a_key_that_it_was_not_admitted_to(self) -> None:
        only = Policy(allowed_redeemers=(AllowedRedeemer(account="z"),))
        assert self.fencing(record(I, policy=only)) == [self.GONE]

    def test_not_a_key_that_is_used_or_void(self) -> None:
        for made in (record(I, interlink("q", "c", redeem="s")), record(I, end=end("Revoked"))):
            assert self.fencing(made) == [self.GONE]

    def test_without_its_secret_it_just_goes(self) -> None:
        assert todo(around(going(R), attempts=looked(None))) == [self.GONE]

    def test_one_that_is_linked_reads_no_secret(self) -> None:
        ending = record(I, R, closing=closing("v2", side="redeemer"))
        assert todo(around(going(R), ending, peers=[I])) == [self.GONE]

    def test_a_link_of_its_predecessor_goes_with_it(self) -> None:
        old = record(I, R_BEFORE)
        assert todo(around(going(R), old, attempts=looked(old.spec.key_id))) == [change(old, Leave("redeemer", "v2"))]

    def test_unless_its_secret_shows_another_key(self) -> None:
        """The predecessor's link is not its own, and may have a window that still runs."""
        old = record(I, R_BEFORE, closing=closing("v1", side="redeemer"))
        assert todo(around(going(R), old, attempts=looked(digest("new", 16)))) == [self.GONE]


class TestVanished:
    """The object is not there, and nobody saw it being deleted."""

    @pytest.mark.parametrize(("place", "side"), [(I, "issuer"), (R, "redeemer")])
    def test_its_link_is_abandoned(self, place: Interlink, side: Any) -> None:
        assert todo(without(place, LINK)) == [change(LINK, Abandon(side))]

    def test_its_unused_key_too(self) -> None:
        assert todo(without(I, record(I))) == [change(record(I), Abandon("issuer"))]

    @pytest.mark.parametrize("reason", ["Deleted", "Orphaned"])
    def test_once(self, reason: Any) -> None:
        assert todo(without(I, record(I, R, closing=closing("u2", reason=reason)))) == []

    def test_each_side_for_itself(self) -> None:
        made = record(I, R, closing=closing("v2", side="redeemer"))
        assert todo(without(I, made)) == [change(made, Abandon("issuer"))]

    def test_nothing_is_left_to_be_done_when_it_has_ended(self) -> None:
        assert todo(without(I, record(I, R, end=end("Deleted")))) == []

    @pytest.mark.parametrize(("place", "side", "account"), [(I, "issuer", "a"), (R, "redeemer", "b")])
    def test_if_its_account_is_being_deleted_the_link_ends_at_once(
        self, place: Interlink, side: Any, account: str
    ) -> None:
        deleting = ready_account(account, deleting=True)
        for made in (LINK, record(I, R, closing=closing(place.metadata.uid, side=side))):
            leave = Leave(side, place.metadata.uid, account_deleted=True)
            assert todo(without(place, made, accounts=[deleting])) == [change(made, leave)]

    def test_also_where_the_name_belongs_to_another_account_by_now(self) -> None:
        """Or the deletion of the account would wait for an hour."""
        newcomer, deleting = interlink("i", "z", uid="u3"), ready_account("a", deleting=True)
        s = around(newcomer, LINK, accounts=[deleting, ready_account("z")])
        assert todo(s) == [change(LINK, Leave("issuer", "u2", account_deleted=True)), MintKey(I.key)]


class TestAccountOfTheSide:
    def test_deleted_everything_ends(self) -> None:
        deleting = [ready_account("a", deleting=True)]
        for made in (LINK, record(I), record(I_BEFORE, R), record(I, R, closing=closing("u2", reason="Orphaned"))):
            leave = Leave("issuer", "u2", account_deleted=True)
            assert todo(around(I, made, accounts=deleting)) == [change(made, leave)]

    def test_missing_the_link_has_an_hour(self) -> None:
        assert todo(around(I, LINK, accounts=[])) == [change(LINK, Abandon("issuer"))]
        assert todo(around(R, LINK, accounts=[])) == [change(LINK, Abandon("redeemer"))]

    def test_missing_a_link_that_could_be_adopted_has_an_hour_too(self) -> None:
        """Its peer must not wait for ever for an account that never comes."""
        old = record(I_BEFORE, R)
        assert todo(around(I, old, accounts=[])) == [change(old, Abandon("issuer"))]

    def test_once(self) -> None:
        waiting = record(I, R, closing=closing("u2", reason="Orphaned"))
        assert todo(around(I, waiting, accounts=[])) == []


class TestPeerEnded:
    """While an end that the other side made names this very object, it starts nothing and is deleted."""

    DELETE = DeleteInterlink(target_of(R))

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
        s = around(R, record(I, R, end=end(reason, by)), attempts=looked(None))
        assert todo(s) == ([self.DELETE] if follows else [])

    @pytest.mark.parametrize("reason", ["Revoked", "KeyExpired"])
    def test_never_for_a_key_that_was_not_used(self, reason: EndReason) -> None:
        assert DeleteInterlink(target_of(I)) not in todo(around(I, record(I, end=end(reason, "Redeemer"))))

    def test_the_issuer_follows_its_redeemer(self) -> None:
        assert todo(around(I, record(I, R, end=end("Deleted", "Redeemer")))) == [DeleteInterlink(target_of(I))]

    def test_not_if_the_user_wants_to_keep_it(self) -> None:
        kept = keeping(R, on_peer_deletion="Retain")
        assert todo(around(kept, record(I, R, end=end("Deleted")), attempts=looked(None))) == []

    def test_not_a_successor_of_the_name(self) -> None:
        s = around(R, record(I, R_BEFORE, end=end("Deleted")), attempts=looked(None))
        assert todo(s) == []

    def test_it_starts_nothing_new_meanwhile(self) -> None:
        over = record(I, R, end=end("Deleted"))
        assert todo(around(R, over, attempts=looked(digest("new", 16)))) == [self.DELETE]


class TestTime:
    DUE = record(I, R, closing=closing("v2", ends=at(60), side="redeemer"))

    def test_the_issuers_side_runs_the_timer_whoever_closes(self) -> None:
        run = [change(self.DUE, RunTimers())]
        assert (todo(around(I, self.DUE, peers=[R]), at(59)), todo(around(I, self.DUE, peers=[R]), at(60))) == ([], run)
        assert todo(around(R, self.DUE, peers=[I]), at(60)) == [change(self.DUE, Adopt("redeemer", "v2"))]
        assert todo(without(R, self.DUE), at(60)) == []

    def test_even_if_there_is_no_issuer(self) -> None:
        both = record(I, R, closing=closing("u2", ends=at(60)))
        assert todo(without(I, both), at(60)) == [change(both, RunTimers())]

    def test_a_key_expires(self) -> None:
        made = record(I, policy=Policy(expiration_time=at(60)))
        assert todo(around(I, made), at(60)) == [change(made, RunTimers())]


class TestRetention:
    OVER = record(I, R, end=end("Deleted", time=NOW))
    PURGE = PurgeRecord(OVER.metadata.name, OVER.metadata.uid)

    def purged(self, s: LinkSnapshot) -> datetime | None:
        """Return when the record goes; the plan must have announced that."""
        due = plan(s).requeue
        if due is not None:
            kinds = [[type(a) for a in todo(s, moment)] for moment in (due - timedelta(seconds=1), due)]
            assert kinds == [[], [PurgeRecord]]
        return due

    def test_a_day_when_both_sides_are_gone(self) -> None:
        assert self.purged(without(I, self.OVER)) == NOW + DAY

    @pytest.mark.parametrize(
        ("peer", "kept"),
        [
            (showing(R, state="Ended", key_id=OVER.spec.key_id), DAY),
            (showing(R, state="Pending", key_id=digest("new", 16)), DAY),
            (showing(R_BEFORE, state="Established", key_id=OVER.spec.key_id), DAY),
            (showing(R, state="Established", key_id=OVER.spec.key_id), 30 * DAY),
        ],
        ids=["shows the end", "has begun another link", "is another object", "does not know yet"],
    )
    def test_longer_while_the_peer_does_not_know(self, peer: Interlink, kept: timedelta) -> None:
        assert self.purged(without(I, self.OVER, peers=[peer])) == NOW + kept

    def test_a_key_that_was_brought_along_stays_known_until_it_has_expired(self) -> None:
        policy = Policy(expiration_time=NOW + 40 * DAY)
        over = record(I, R, origin="BringYourOwn", policy=policy, end=end("Deleted", time=NOW))
        assert self.purged(without(I, over)) == NOW + 41 * DAY

    def test_the_issuers_side_does_it(self) -> None:
        assert plan(without(R, self.OVER)).requeue is None


RESTORING = ClusterFacts(INSTANCE, restoring_until=at(600))
UNCONFIRMED = ClusterFacts(INSTANCE, confirmed=False)
IDENTITY_LOST = ClusterFacts(INSTANCE, identity_lost=True)
RAISED = interlink("i", "a", uid="u2", issue={"revision": 2})
BROUGHT = interlink("i", "a", uid="u2", issue={"from_secret_ref": {"name": "s"}})
EXPIRED = record(I, policy=Policy(expiration_time=at(-1)))
FOLLOWING = around(R, record(I, R, end=end("Deleted")), attempts=looked(None))
FENCING = replace(around(going(R), attempts=TestDeletedRedeemer.AWARE), shown_record=TestDeletedRedeemer.KEY)
FORGOTTEN = record(I, R, end=end("Deleted", time=NOW - 40 * DAY))
NEW_KEY = looked(digest("new", 16))

HELD_BACK: list[tuple[str, LinkSnapshot, type, str]] = [
    # The last column says where it is held back: in a Restore, in an Unconfirmed cluster, with its identity Lost.
    ("adoption", around(I, record(I_BEFORE, R)), Adopt, "---"),
    ("deletion by a user", around(going(I), LINK), Leave, "R--"),
    ("fencing", FENCING, Fence, "R--"),
    ("revocation", around(RAISED, record(I)), Revoke, "R--"),
    ("orphan rule", without(I, LINK), Abandon, "RU-"),
    ("timers", around(I, EXPIRED), RunTimers, "RU-"),
    ("following the peer", FOLLOWING, DeleteInterlink, "RU-"),
    ("purge", without(I, FORGOTTEN), PurgeRecord, "RU-"),
    ("minting", around(I), MintKey, "RUL"),
    ("issuing", around(BROUGHT, attempts=NEW_KEY), IssueOwnKey, "RUL"),
    ("redeeming", around(R, attempts=NEW_KEY), Redeem, "R-L"),
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
        assert todo(replace(around(going(I), LINK), cluster=RESTORING)) == []

    def test_a_restore_is_over_after_its_time(self) -> None:
        s = replace(around(I), cluster=RESTORING)
        assert plan(s).requeue == at(600)
        assert todo(s, at(600)) == [MintKey(I.key)]

    def test_what_an_earlier_object_left_does_not_hold_up_the_present_one(self) -> None:
        """The orphan rule stands still in an unconfirmed cluster; redeeming does not."""
        old = record(interlink("j", "c"), interlink("r", "z", redeem="s", uid="v1"))
        s = replace(around(R, old, attempts=looked(digest("new", 16))), cluster=UNCONFIRMED)
        assert todo(s) == [Redeem(R.key)]
