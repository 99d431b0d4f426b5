"""Interlinks that live: adoption, redeeming, and one link per Interlink and pair."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from builders import BEFORE, NOW, at, digest, interlink, record
from link_builders import (
    BROUGHT,
    FORMER_BROUGHT,
    FORMER_ISSUER,
    FORMER_REDEEMER,
    ISSUER,
    LINK,
    REDEEMER,
    answered,
    around,
    change,
    closing,
    end,
    key_of,
    looked,
    plan,
    ready_account,
    redeem,
    showing,
    swept,
    todo,
)
from pbx_operator.api.v1alpha1.interlink import Ended, Interlink
from pbx_operator.api.v1alpha1.linkrecord import LinkRecord
from pbx_operator.domain.links.ending import read_key
from pbx_operator.domain.links.facts import side_of
from pbx_operator.domain.plan import ChangeRecord, IssueOwnKey, MintKey
from pbx_operator.domain.records.machine import Abandon, Adopt, EndDuplicate, Revoke
from pbx_operator.domain.records.redemption import Busy, Gone, Refused, Result, Unknown, Used


class TestAdoption:
    """A re-created Interlink takes up the link of its predecessor, before anything is issued or redeemed."""

    LINK = record(FORMER_ISSUER, FORMER_REDEEMER)

    def test_by_the_issuer(self) -> None:
        assert todo(around(ISSUER, self.LINK)) == [change(self.LINK, Adopt("issuer", "u2"))]

    def test_also_while_the_end_is_announced(self) -> None:
        going = record(FORMER_ISSUER, REDEEMER, closing=closing("u1"))
        assert todo(around(ISSUER, going, peers=[REDEEMER])) == [change(going, Adopt("issuer", "u2"))]

    def test_the_redeemer_looks_at_its_key_first(self) -> None:
        assert todo(around(REDEEMER, self.LINK)) == [read_key(REDEEMER)]

    def test_and_takes_up_the_link_of_that_key(self) -> None:
        other = record(interlink("j", "a"), FORMER_REDEEMER)
        s = around(REDEEMER, self.LINK, other, attempts=looked(key_of(other)))
        assert change(other, Adopt("redeemer", "v2")) in todo(s)
        assert change(self.LINK, Adopt("redeemer", "v2")) not in todo(s)

    def test_with_another_key_in_the_secret_the_old_link_is_left(self) -> None:
        s = around(REDEEMER, self.LINK, attempts=looked(digest("another", 16)))
        assert todo(s) == [change(self.LINK, Abandon("redeemer")), redeem(s)]

    def test_without_a_secret_the_only_candidate_will_do(self) -> None:
        for attempts in (looked(None), looked(None, problem="it is empty")):
            assert todo(around(REDEEMER, self.LINK, attempts=attempts)) == [change(self.LINK, Adopt("redeemer", "v2"))]

    def test_but_not_one_of_two(self) -> None:
        other = record(interlink("j", "a"), FORMER_REDEEMER)
        s = around(REDEEMER, self.LINK, other, attempts=looked(None))
        assert todo(s) == [change(self.LINK, Abandon("redeemer")), change(other, Abandon("redeemer"))]

    @pytest.mark.parametrize(
        "stranger", [interlink("i", "z", uid="u2"), interlink("i", "a", uid="u2", redeem="s")], ids=["account", "role"]
    )
    def test_not_by_another_account_or_role(self, stranger: Interlink) -> None:
        s = around(stranger, self.LINK, attempts=looked(None))
        assert change(self.LINK, Abandon("issuer")) in todo(s)
        assert not [a for a in todo(s) if isinstance(a, ChangeRecord) and isinstance(a.change, Adopt)]

    def test_an_own_unused_key_gives_way(self) -> None:
        """A restore creates Interlinks before records, so a key may have been made meanwhile."""
        own = record(ISSUER, key="own")
        assert todo(around(ISSUER, self.LINK, own)) == [change(self.LINK, Adopt("issuer", "u2"))]
        adopted = record(ISSUER, FORMER_REDEEMER)
        assert todo(around(ISSUER, adopted, own)) == [change(own, Revoke())]

    def test_an_object_that_is_linked_adopts_nothing_and_lets_the_other_link_end(self) -> None:
        own = record(ISSUER, REDEEMER, key="own")
        assert change(self.LINK, Abandon("issuer")) in todo(around(ISSUER, own, self.LINK, peers=[REDEEMER]))

    def test_not_without_the_account(self) -> None:
        for link in (ISSUER, REDEEMER):
            s = around(link, self.LINK, attempts=looked(key_of(self.LINK)), accounts=[])
            assert [a.change for a in todo(s) if isinstance(a, ChangeRecord)] == [Abandon(side_of(link))]

    def test_but_as_soon_as_the_account_is_back(self) -> None:
        waiting = record(ISSUER, REDEEMER, closing=closing("u2", reason="Orphaned"))
        assert todo(around(ISSUER, waiting, peers=[REDEEMER])) == [change(waiting, Adopt("issuer", "u2"))]


class TestUnusedKeyOfAPredecessor:
    def test_a_generated_one_is_revoked(self) -> None:
        old = record(FORMER_ISSUER)
        assert todo(around(ISSUER, old)) == [change(old, Abandon("issuer")), MintKey(ISSUER.key)]

    def test_a_generated_one_that_the_restored_status_shows_is_taken_over(self) -> None:
        old = record(FORMER_ISSUER)
        restored = showing(ISSUER, key_id=key_of(old), key_revision=1)
        assert todo(around(restored, old)) == [change(old, Adopt("issuer", "u2"))]
        assert todo(around(restored, old, accounts=[])) == [], "it waits for the account"

    def test_a_generated_one_is_revoked_if_the_status_shows_another(self) -> None:
        old = record(FORMER_ISSUER)
        restored = showing(ISSUER, key_id=digest("new", 16), key_revision=1)
        assert todo(around(restored, old)) == [change(old, Abandon("issuer"))]

    def test_one_that_the_secret_still_shows_is_taken_over(self) -> None:
        known = record(FORMER_BROUGHT, origin="BringYourOwn")
        assert todo(around(BROUGHT, known)) == [read_key(BROUGHT)]
        assert todo(around(BROUGHT, known, attempts=looked(key_of(known)))) == [change(known, Adopt("issuer", "u2"))]

    def test_it_waits_for_the_account(self) -> None:
        known = record(FORMER_BROUGHT, origin="BringYourOwn")
        assert todo(around(BROUGHT, known, accounts=[])) == [read_key(BROUGHT)]
        assert todo(around(BROUGHT, known, accounts=[], attempts=looked(key_of(known)))) == []

    def test_one_that_the_secret_does_not_show_any_more_is_revoked(self) -> None:
        known = record(FORMER_BROUGHT, origin="BringYourOwn")
        s = around(BROUGHT, known, attempts=looked(digest("new", 16)))
        assert todo(s) == [change(known, Abandon("issuer")), IssueOwnKey(BROUGHT.key)]


class TestRedeeming:
    KEY = digest("key of default/i", 16)

    def test_the_secret_is_read_first(self) -> None:
        assert todo(around(REDEEMER)) == [read_key(REDEEMER)]

    def test_then_its_key_is_presented(self) -> None:
        s = around(REDEEMER, attempts=looked(self.KEY))
        assert todo(s) == [redeem(s)]

    def test_not_before_the_account_is_ready(self) -> None:
        assert todo(around(REDEEMER, accounts=[ready_account("b", ready=False)], attempts=looked(self.KEY))) == []

    @pytest.mark.parametrize("result", [Used(NOW, "i" * 26), Gone("Revoked"), Gone("Cancelled"), Refused("SelfLink")])
    def test_a_final_answer_is_final_for_that_key(self, result: Result) -> None:
        s = around(REDEEMER, attempts=answered(self.KEY, result, again=10))
        assert todo(s, at(30)) == []
        another = replace(s.attempts, look=looked(digest("another", 16)).look)
        assert todo(replace(s, attempts=another), at(30)) == [redeem(s)]

    @pytest.mark.parametrize("result", [Unknown(), Busy("IssuerAbsent"), Busy("DuplicateLink")])
    def test_other_answers_are_asked_for_again(self, result: Result) -> None:
        s = around(REDEEMER, attempts=answered(self.KEY, result, basis=(None, False), again=30))
        assert (todo(s, at(29)), todo(s, at(30))) == ([], [redeem(s)])
        assert plan(s).requeue == at(30)

    def test_at_once_when_the_record_has_changed_since(self) -> None:
        s = around(REDEEMER, attempts=answered(self.KEY, Unknown(), basis=(None, False)))
        changed = replace(s, shown_record=record(ISSUER))
        assert todo(changed) == [redeem(changed)]

    def test_at_once_when_the_pair_is_free_again(self) -> None:
        s = around(REDEEMER, attempts=answered(self.KEY, Busy("DuplicateLink"), basis=(None, True)))
        assert todo(s) == [redeem(s)]

    def test_the_secret_is_read_again_and_again_while_there_is_no_link(self) -> None:
        s = around(REDEEMER, attempts=answered(self.KEY, Used(NOW, "i" * 26), again=10))
        assert todo(s, at(60)) == [read_key(REDEEMER)]

    def test_on_an_established_link_no_secret_matters(self) -> None:
        assert todo(around(REDEEMER, LINK, peers=[ISSUER], attempts=looked(digest("another", 16), again=0))) == []

    def test_a_link_that_ended_is_not_begun_again(self) -> None:
        over = record(ISSUER, REDEEMER, end=end("DuplicateLink", "Operator"))
        assert todo(around(REDEEMER, over, attempts=looked(key_of(over)))) == []

    def test_not_even_when_its_record_was_purged(self) -> None:
        ended = Ended(by="Local", reason="DuplicateLink", time=BEFORE)
        past = showing(REDEEMER, key_id=self.KEY, ended=ended)
        assert todo(around(past, attempts=looked(self.KEY))) == []

    def test_another_key_begins_a_new_link(self) -> None:
        over = record(ISSUER, REDEEMER, end=end("DuplicateLink", "Operator"))
        s = around(REDEEMER, over, attempts=looked(digest("another", 16)))
        assert todo(s) == [redeem(s)]


class TestOneLink:
    FIRST = record(ISSUER, REDEEMER, key="first", time=at(-20))
    SECOND = record(ISSUER, interlink("q", "c", redeem="s"), key="second", time=at(-10))

    def test_of_two_links_of_an_interlink_the_earlier_stays(self) -> None:
        assert todo(around(ISSUER, self.SECOND, self.FIRST)) == [change(self.SECOND, EndDuplicate("issuer"))]

    def test_on_the_redeeming_side_as_well(self) -> None:
        second = record(interlink("j", "c"), REDEEMER, key="second", time=at(-10))
        assert todo(around(REDEEMER, second, self.FIRST)) == [change(second, EndDuplicate("redeemer"))]

    def test_of_equally_old_ones_the_smaller_link_id(self) -> None:
        twins = [record(ISSUER, REDEEMER, key=key, time=at(-20)) for key in ("x", "y")]
        small, large = sorted(twins, key=link_id_of)
        assert todo(around(ISSUER, small, large)) == [change(large, EndDuplicate("issuer"))]

    def test_of_two_links_of_a_pair_the_issuer_ends_the_one_with_the_larger_id(self) -> None:
        j, q = interlink("j", "b"), interlink("q", "a", redeem="s")
        mine, crosswise = record(ISSUER, REDEEMER, time=at(-20)), record(j, q, time=at(-10))
        small, large = sorted((mine, crosswise), key=link_id_of)
        for link, made in ((ISSUER, mine), (j, crosswise)):
            s = replace(around(link, made), rivals=(mine, crosswise))
            expected = [change(made, EndDuplicate("issuer"))] if made == large else []
            assert [a for a in todo(s) if isinstance(a, ChangeRecord)] == expected
        assert small != large

    def test_the_redeemer_leaves_that_to_the_issuer(self) -> None:
        rival = record(interlink("j", "b"), interlink("q", "a", redeem="s"))
        assert todo(replace(around(REDEEMER, LINK, peers=[ISSUER]), rivals=(LINK, rival))) == []

    def test_two_rules_never_end_both(self) -> None:
        """The earlier one has the larger id: it stays in its Interlink, and the other is gone before pairs count."""
        twins = [record(ISSUER, REDEEMER, key=key) for key in ("x", "y")]
        small, large = sorted(twins, key=link_id_of)
        assert small.spec.redeemer is not None
        later = small.model_copy(
            update={
                "spec": small.spec.model_copy(
                    update={"redeemer": small.spec.redeemer.model_copy(update={"time": at(10)})}
                )
            }
        )
        s = replace(around(ISSUER, later, large), rivals=(later, large))
        assert todo(s) == [change(later, EndDuplicate("issuer"))]


def link_id_of(made: LinkRecord) -> str:
    assert made.spec.redeemer is not None
    return made.spec.redeemer.link_id


class TestWakingUp:
    """The plan says when time alone will change it."""

    @pytest.mark.parametrize(
        ("story", "wakes"),
        [
            (around(ISSUER, record(ISSUER, policy={"expirationTime": at(100)})), at(100)),
            (
                around(
                    ISSUER,
                    record(ISSUER, REDEEMER, closing=closing("v2", ends=at(50), side="redeemer")),
                    peers=[REDEEMER],
                ),
                at(50),
            ),
            (
                around(
                    REDEEMER,
                    record(ISSUER, REDEEMER, closing=closing("v2", ends=at(50), side="issuer")),
                    peers=[ISSUER],
                ),
                None,
            ),
            (around(REDEEMER, attempts=looked(None, again=7)), at(7)),
            (around(REDEEMER, LINK, peers=[ISSUER], attempts=looked(None, again=7)), None),
        ],
        ids=["expiry", "closing", "the issuer's side runs the timer", "Secret", "Secret of an established link"],
    )
    def test_at(self, story: Any, wakes: datetime | None) -> None:
        assert plan(swept(story)).requeue == wakes
