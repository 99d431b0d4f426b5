"""The issuing side of an Interlink: which keys it makes, keeps, revokes and cleans up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from builders import DAY, MINUTE, NOW, at, digest, interlink, record
from link_builders import (
    BROUGHT,
    FORMER_BROUGHT,
    FORMER_ISSUER,
    ISSUER,
    LINK,
    REDEEMER,
    STRANGER,
    around,
    change,
    end,
    key_of,
    looked,
    mint_failed,
    plan,
    ready_account,
    showing,
    swept,
    todo,
    wants,
)
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer
from pbx_operator.api.v1alpha1.linkrecord import EndReason, LinkRecord, Policy
from pbx_operator.domain.links.ending import read_key
from pbx_operator.domain.plan import Action, AddFinalizer, DeleteSpentSecret, IssueOwnKey, MintKey, target_of
from pbx_operator.domain.records.machine import Revoke, SetPolicy


def test_the_finalizer_comes_before_everything() -> None:
    for link in (interlink("i", finalizers=()), interlink("r", redeem="s", finalizers=("another.example/one",))):
        assert todo(around(link)) == [AddFinalizer(target_of(link))]


class TestMinting:
    MINT: ClassVar[list[Action]] = [MintKey(ISSUER.key)]

    def test_a_new_issuer_gets_a_key(self) -> None:
        assert todo(around(ISSUER)) == self.MINT

    @pytest.mark.parametrize(
        "accounts", [[], [ready_account("a", ready=False)], [ready_account("b")], [ready_account("a", "elsewhere")]]
    )
    def test_not_before_its_account_is_ready(self, accounts: list[Any]) -> None:
        assert todo(around(ISSUER, accounts=accounts)) == []

    def test_one_key_is_enough(self) -> None:
        assert todo(around(ISSUER, record(ISSUER))) == []

    @pytest.mark.parametrize("reason", ["Revoked", "KeyExpired", "FencesFull", "DuplicateLink", "AccountDeleted"])
    def test_an_end_is_no_reason_for_another_key(self, reason: EndReason) -> None:
        assert MintKey(ISSUER.key) not in todo(around(ISSUER, record(ISSUER, end=end(reason))))

    def test_nor_is_a_record_that_is_lost(self) -> None:
        assert todo(around(showing(ISSUER, key_id=digest("k", 16), key_revision=1))) == []

    def test_nor_is_what_an_earlier_object_of_the_name_had(self) -> None:
        assert todo(around(ISSUER, record(FORMER_ISSUER, end=end("Deleted")))) == self.MINT

    @pytest.mark.parametrize("revision", [1, 2])
    def test_none_that_would_be_born_expired_is_made(self, revision: int) -> None:
        late = wants(ISSUER, expiration_time=NOW, revision=revision)
        over = record(ISSUER, policy=Policy(expiration_time=NOW), end=end("KeyExpired"))
        assert todo(around(late, *([over] if revision > 1 else []))) == []
        in_time = wants(late, expiration_time=at(1))
        assert todo(around(in_time, *([over] if revision > 1 else []))) == self.MINT

    def test_a_failed_attempt_is_repeated_when_it_is_due(self) -> None:
        s = around(ISSUER, attempts=mint_failed("WaitingForCleanup"))
        assert (todo(s, at(4)), todo(s, at(5))) == ([], self.MINT)
        assert plan(s).requeue == at(5)


class TestRevision:
    def test_raised_while_pending_the_old_key_is_revoked_first(self) -> None:
        assert todo(around(wants(ISSUER, revision=2), record(ISSUER))) == [change(record(ISSUER), Revoke())]

    def test_and_then_a_new_one_is_made(self) -> None:
        revoked = record(ISSUER, end=end("Revoked"))
        again = showing(wants(ISSUER, revision=2), key_id=key_of(revoked), key_revision=1)
        assert todo(around(again, revoked)) == [MintKey(ISSUER.key)]

    def test_raised_while_established_it_waits(self) -> None:
        raised = showing(wants(ISSUER, revision=2), key_revision=1)
        assert todo(around(raised, LINK, peers=[REDEEMER]), at(86_400)) == []

    def test_until_the_link_has_ended(self) -> None:
        over = record(ISSUER, REDEEMER, end=end("DuplicateLink", "Operator"))
        assert todo(around(wants(ISSUER, revision=2), over)) == [MintKey(ISSUER.key)]

    def test_lowered_it_is_ignored(self) -> None:
        third = record(wants(ISSUER, revision=3))
        assert todo(around(wants(ISSUER, revision=2), third)) == []
        assert todo(around(showing(wants(ISSUER, revision=2), key_revision=3))) == []

    def test_of_several_unused_keys_the_highest_revision_stays(self) -> None:
        old, new = record(ISSUER, key="old"), record(wants(ISSUER, revision=2), key="new")
        assert todo(around(wants(ISSUER, revision=2), old, new)) == [change(old, Revoke())]
        assert todo(around(ISSUER, old, new)) == [change(old, Revoke())]

    def test_a_second_key_for_the_same_wish_is_revoked(self) -> None:
        """It is the late work of a process that died, and its Secret may be gone."""
        used = record(ISSUER, REDEEMER, key="used", end=end("Deleted", "Redeemer"))
        late = record(ISSUER, key="late")
        assert todo(around(ISSUER, used, late)) == [change(late, Revoke())]
        anew = record(wants(ISSUER, revision=2), key="anew")
        assert todo(around(wants(ISSUER, revision=2), used, anew)) == []

    def test_revoking_a_key_that_leaked_does_not_wait_for_the_next_one(self) -> None:
        """Whoever raises the revision wants the old key to be void, brought along or not."""
        known = record(BROUGHT, origin="BringYourOwn")
        assert todo(around(wants(BROUGHT, revision=2), known)) == [change(known, Revoke())]


class TestDemands:
    """What a redemption must fulfil is kept in the record while the key is unused."""

    def test_of_the_account(self) -> None:
        made = record(ISSUER)
        for accounts in ([ready_account("a", ready=False)], []):
            assert todo(around(ISSUER, made, accounts=accounts)) == [change(made, SetPolicy(False, ()))]

    def test_of_the_user(self) -> None:
        made, only = record(ISSUER), (AllowedRedeemer(account="b"),)
        assert todo(around(wants(ISSUER, allowed_redeemers=only), made)) == [change(made, SetPolicy(True, only))]

    def test_not_any_more_once_the_key_is_used(self) -> None:
        choosy = wants(ISSUER, allowed_redeemers=(STRANGER,))
        assert todo(around(choosy, LINK, peers=[REDEEMER]), at(86_400)) == []


class TestBringYourOwn:
    KEY = digest("brought", 16)
    ISSUE: ClassVar[list[Action]] = [IssueOwnKey(BROUGHT.key)]

    def test_the_secret_is_read_first(self) -> None:
        assert todo(around(BROUGHT)) == [read_key(BROUGHT)]

    def test_then_its_key_is_issued(self) -> None:
        assert todo(around(BROUGHT, attempts=looked(self.KEY))) == self.ISSUE

    def test_not_if_it_would_be_issued_expired(self) -> None:
        assert todo(around(wants(BROUGHT, expiration_time=NOW), attempts=looked(self.KEY))) == []

    @pytest.mark.parametrize("attempts", [looked(None, again=3), looked(None, again=3, problem="it is empty")])
    def test_without_a_key_the_secret_is_read_again_when_it_is_due(self, attempts: Any) -> None:
        s = around(BROUGHT, attempts=attempts)
        assert (todo(s, at(2)), todo(s, at(3))) == ([], [read_key(BROUGHT)])
        assert plan(s).requeue == at(3)

    def test_a_key_that_a_record_knows_is_not_issued_again(self) -> None:
        for known in (
            record(interlink("other", "a"), key="brought"),
            record(interlink("other", "a"), REDEEMER, key="brought"),
            record(FORMER_BROUGHT, key="brought", origin="BringYourOwn", end=end("Revoked")),
        ):
            s = replace(around(BROUGHT, known, attempts=looked(self.KEY)), shown_record=known)
            assert todo(s) == []

    def test_raised_with_the_same_key_nothing_is_issued(self) -> None:
        used = record(BROUGHT, key="brought", origin="BringYourOwn", end=end("Revoked"))
        assert todo(around(wants(BROUGHT, revision=2), used, attempts=looked(self.KEY))) == []

    def test_not_even_when_its_record_was_purged(self) -> None:
        past = showing(wants(BROUGHT, revision=2), key_id=self.KEY, key_revision=1)
        assert todo(around(past, attempts=looked(self.KEY))) == []

    def test_raised_with_a_new_key_it_is_issued(self) -> None:
        used = record(BROUGHT, key="used", origin="BringYourOwn", end=end("Revoked"))
        past = showing(wants(BROUGHT, revision=2), key_id=key_of(used), key_revision=1)
        assert todo(around(past, used, attempts=looked(self.KEY))) == self.ISSUE


class TestSpentSecret:
    """A generated key that is spent or void has no Secret."""

    SECRET = ObjectKey("default", "i-key")

    @pytest.mark.parametrize(
        "over",
        [
            record(ISSUER, REDEEMER, time=NOW),
            record(ISSUER, REDEEMER, end=end("DuplicateLink", "Operator")),
            record(ISSUER, end=end("KeyExpired")),
        ],
        ids=["spent", "spent and ended", "void"],
    )
    def test_it_is_deleted(self, over: LinkRecord) -> None:
        assert todo(around(ISSUER, over, peers=[REDEEMER])) == [DeleteSpentSecret(self.SECRET, "u2", key_of(over))]

    def test_under_the_name_that_the_user_chose(self) -> None:
        link = wants(ISSUER, secret_name="chosen")
        (action,) = todo(around(link, record(ISSUER, REDEEMER, time=NOW), peers=[REDEEMER]))
        assert action == DeleteSpentSecret(ObjectKey("default", "chosen"), "u2", key_of(LINK))

    def test_once(self) -> None:
        made = record(ISSUER, REDEEMER, time=NOW)
        assert todo(swept(around(ISSUER, made, peers=[REDEEMER]))) == []

    def test_a_late_write_of_a_dead_process_is_looked_for_during_10_minutes(self) -> None:
        s = around(ISSUER, record(ISSUER, REDEEMER, time=NOW), peers=[REDEEMER])
        assert [bool(todo(s, NOW + m * MINUTE)) for m in (10, 11)] == [True, False]

    def test_and_as_long_as_the_status_tells_of_the_secret(self) -> None:
        s = around(showing(ISSUER, key_secret_name="i-key"), record(ISSUER, REDEEMER, time=NOW), peers=[REDEEMER])
        assert todo(s, NOW + DAY)

    def test_what_the_user_brought_along_is_never_touched(self) -> None:
        spent = record(BROUGHT, REDEEMER, origin="BringYourOwn", time=NOW)
        void = record(BROUGHT, origin="BringYourOwn", end=end("Revoked"))
        for over in (spent, void):
            assert todo(around(BROUGHT, over, peers=[REDEEMER], attempts=looked(None))) == []

    def test_the_secret_of_a_key_in_the_making_is_left_alone(self) -> None:
        """Its record may be on its way, and without the Secret nobody could read the key."""
        s = around(wants(ISSUER, revision=2), record(ISSUER, end=end("Revoked")), attempts=mint_failed("KeyKnown"))
        assert todo(s) == []
