"""The link machine beside redemption: every change against every state, and what no change may ever do."""

from __future__ import annotations

import pytest

from builders import HOUR, INSTANCE, NOW, at, digest, identity
from link_builders import (
    FENCE,
    FORMER_ISSUER,
    FORMER_REDEEMER,
    IN_AN_HOUR,
    ISSUED,
    LINKED,
    STATES,
    STRANGER,
    closing,
    end,
    record_spec,
)
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer
from pbx_operator.api.v1alpha1.linkrecord import Closing, LinkRecordSpec, NamespacedName, Policy
from pbx_operator.domain.records.facts import Party, account_of, admits, next_timer, pair_of, sides_of
from pbx_operator.domain.records.machine import (
    MAX_FENCES,
    ORPHAN_PERIOD,
    Abandon,
    Adopt,
    Change,
    EndDuplicate,
    Leave,
    Presence,
    Revoke,
    RunTimers,
    SetPolicy,
    concerned,
    transition,
)

EXPIRED = record_spec(policy=Policy(expiration_time=at(0)))
PRESENCES: dict[str, Presence] = {
    "gone": Presence(None),
    "u1": Presence("u1"),
    "u1 going": Presence("u1", deleting=True),
    "u2": Presence("u2"),
    "u2 going": Presence("u2", deleting=True),
    "u1 alone": Presence("u1", account_absent=True),
    "u2 alone": Presence("u2", account_absent=True),
}
"""What stands at the issuer's place; `alone` is an Interlink without its account."""


def told(old: LinkRecordSpec, new: LinkRecordSpec | None) -> str:
    """Say in a word or two what became of a record."""
    if new is None:
        return "-"
    if new.end is not None:
        return f"{new.end.reason} by {new.end.by}"
    if new.policy != old.policy:
        return "policy"
    if new.fences != old.fences:
        return "fenced"
    announced = new.closing.issuer
    if announced is not None and announced != old.closing.issuer:
        return f"{announced.reason} at {announced.ends_at:%H:%M} of {announced.uid}"
    assert new.issuer.interlink is not None
    return f"adopted by {new.issuer.interlink.uid}"


def table(text: str) -> list[tuple[str, str, str]]:
    """Read a table of states by presences."""
    header, *rows = ([cell.strip() for cell in line.split("|")] for line in text.strip().splitlines())
    return [(row[0], presence, cell) for row in rows for presence, cell in zip(header[1:], row[1:], strict=True)]


def holds(change: Change, row: tuple[str, str, str]) -> None:
    state, presence, expected = row
    old = STATES[state]
    assert told(old, transition(old, change, PRESENCES[presence], NOW)) == expected, f"{state}, {presence}"


class TestLeave:
    """The Interlink u2 (the successor of u1, whose record it is) or u1 itself is being deleted."""

    @pytest.mark.parametrize(
        "row",
        table("""
                         | gone | u1 | u1 going          | u2 | u2 going
        issued           | -    | -  | Revoked by Issuer | -  | -
        brought along    | -    | -  | Revoked by Issuer | -  | -
        linked           | -    | -  | Deleted by Issuer | -  | -
        issuer closing   | -    | -  | Deleted by Issuer | -  | -
        issuer orphaned  | -    | -  | Deleted by Issuer | -  | -
        redeemer closing | -    | -  | Deleted by Issuer | -  | -
        ended            | -    | -  | -                 | -  | -
        void             | -    | -  | -                 | -  | -
        """),
    )
    def test_without_a_window_the_link_ends_at_once(self, row: tuple[str, str, str]) -> None:
        holds(Leave("issuer", "u1"), row)

    @pytest.mark.parametrize(
        "row",
        table("""
                         | gone | u1 | u1 going               | u2 | u2 going
        issued           | -    | -  | Revoked by Issuer      | -  | -
        linked           | -    | -  | Deleted at 14:00 of u1 | -  | -
        issuer closing   | -    | -  | -                      | -  | -
        issuer orphaned  | -    | -  | Deleted at 14:00 of u1 | -  | -
        redeemer closing | -    | -  | Deleted at 14:00 of u1 | -  | -
        ended            | -    | -  | -                      | -  | -
        """),
    )
    def test_with_a_window_the_end_is_announced(self, row: tuple[str, str, str]) -> None:
        holds(Leave("issuer", "u1", 2 * HOUR), row)

    @pytest.mark.parametrize(
        "row",
        table("""
                       | gone | u1 | u1 going | u2 | u2 going
        brought along  | -    | -  | -        | -  | Revoked by Issuer
        linked         | -    | -  | -        | -  | Deleted at 14:00 of u2
        issuer closing | -    | -  | -        | -  | Deleted at 14:00 of u2
        ended          | -    | -  | -        | -  | -
        """),
    )
    def test_a_successor_that_could_adopt_the_link_closes_it_under_its_own_name(
        self, row: tuple[str, str, str]
    ) -> None:
        holds(Leave("issuer", "u2", 2 * HOUR), row)

    @pytest.mark.parametrize(
        "row",
        table("""
                         | gone                     | u1                       | u2
        issued           | AccountDeleted by Issuer | AccountDeleted by Issuer | AccountDeleted by Issuer
        linked           | AccountDeleted by Issuer | AccountDeleted by Issuer | AccountDeleted by Issuer
        issuer closing   | AccountDeleted by Issuer | AccountDeleted by Issuer | AccountDeleted by Issuer
        redeemer closing | AccountDeleted by Issuer | AccountDeleted by Issuer | AccountDeleted by Issuer
        ended            | -                        | -                        | -
        """),
    )
    def test_a_deleted_account_leaves_no_window(self, row: tuple[str, str, str]) -> None:
        holds(Leave("issuer", "u1", 2 * HOUR, account_deleted=True), row)

    def test_an_adoption_meanwhile_is_not_undone_by_the_account_of_the_predecessor(self) -> None:
        adopted = transition(LINKED, Adopt("issuer", "u2"), Presence("u2"), NOW)
        assert adopted is not None
        assert transition(adopted, Leave("issuer", "u1", account_deleted=True), Presence("u2"), NOW) is None

    def test_the_redeemer_does_not_end_a_key_that_it_did_not_redeem(self) -> None:
        assert transition(ISSUED, Leave("redeemer", "v1"), Presence("v1", deleting=True), NOW) is None

    def test_the_redeemer_ends_its_link(self) -> None:
        after = transition(LINKED, Leave("redeemer", "v1"), Presence("v1", deleting=True), NOW)
        assert told(LINKED, after) == "Deleted by Redeemer"


class TestAdopt:
    @pytest.mark.parametrize(
        "row",
        table("""
                         | gone | u1 | u1 going | u2            | u2 going | u2 alone
        issued           | -    | -  | -        | adopted by u2 | -        | -
        brought along    | -    | -  | -        | adopted by u2 | -        | -
        linked           | -    | -  | -        | adopted by u2 | -        | -
        issuer closing   | -    | -  | -        | adopted by u2 | -        | -
        issuer orphaned  | -    | -  | -        | adopted by u2 | -        | -
        redeemer closing | -    | -  | -        | adopted by u2 | -        | -
        ended            | -    | -  | -        | -             | -        | -
        void             | -    | -  | -        | -             | -        | -
        """),
    )
    def test_the_object_that_is_there_takes_the_link_up(self, row: tuple[str, str, str]) -> None:
        holds(Adopt("issuer", "u2"), row)

    @pytest.mark.parametrize(
        "row",
        table("""
                        | u1            | u1 going | u1 alone
        linked          | -             | -        | -
        issuer orphaned | adopted by u1 | -        | -
        """),
    )
    def test_an_object_whose_account_came_back_takes_its_own_link_up(self, row: tuple[str, str, str]) -> None:
        holds(Adopt("issuer", "u1"), row)

    def test_only_its_own_announcement_is_taken_back(self) -> None:
        both = Closing(issuer=closing("u1").issuer, redeemer=closing("v1", side="redeemer").redeemer)
        after = transition(record_spec(redeemed=True, closing=both), Adopt("issuer", "u2"), Presence("u2"), NOW)
        assert after is not None
        assert after.closing == Closing(redeemer=both.redeemer)


class TestAbandon:
    @pytest.mark.parametrize(
        "row",
        table("""
                         | gone                    | u1 | u1 going | u2                      | u1 alone
        issued           | Revoked by Issuer       | -  | -        | Revoked by Issuer       | -
        brought along    | Revoked by Issuer       | -  | -        | Revoked by Issuer       | -
        linked           | Orphaned at 13:00 of u1 | -  | -        | Orphaned at 13:00 of u1 | Orphaned at 13:00 of u1
        issuer closing   | -                       | -  | -        | -                       | -
        issuer orphaned  | -                       | -  | -        | -                       | -
        redeemer closing | Orphaned at 13:00 of u1 | -  | -        | Orphaned at 13:00 of u1 | Orphaned at 13:00 of u1
        ended            | -                       | -  | -        | -                       | -
        """),
    )
    def test_what_vanished_has_an_hour_to_come_back(self, row: tuple[str, str, str]) -> None:
        holds(Abandon("issuer"), row)

    def test_a_side_that_nobody_took_is_not_missing(self) -> None:
        assert transition(ISSUED, Abandon("redeemer"), Presence(None), NOW) is None


class TestOtherChanges:
    @pytest.mark.parametrize("old", STATES.values(), ids=STATES)
    def test_only_an_unused_key_is_revoked(self, old: LinkRecordSpec) -> None:
        after = transition(old, Revoke(), Presence("u1"), NOW)
        assert told(old, after) == ("Revoked by Issuer" if old.state == "Issued" else "-")

    @pytest.mark.parametrize("old", STATES.values(), ids=STATES)
    def test_only_a_link_can_be_one_too_many(self, old: LinkRecordSpec) -> None:
        after = transition(old, EndDuplicate("issuer"), Presence("u1"), NOW)
        expected = "DuplicateLink by Operator" if old.state == "Established" else "-"
        assert told(old, after) == expected

    @pytest.mark.parametrize("old", STATES.values(), ids=STATES)
    def test_demands_change_only_while_the_key_is_unused(self, old: LinkRecordSpec) -> None:
        after = transition(old, SetPolicy(False, (STRANGER,)), Presence("u1"), NOW)
        assert told(old, after) == ("policy" if old.state == "Issued" else "-")

    def test_demands_leave_the_expiry_as_it_was(self) -> None:
        after = transition(EXPIRED, SetPolicy(False, (STRANGER,)), Presence("u1"), NOW)
        assert after is not None
        assert after.policy == Policy(expiration_time=at(0), allowed_redeemers=(STRANGER,), account_ready="False")

    @pytest.mark.parametrize(
        ("state", "expected"),
        [
            ("issued", "-"),
            ("linked", "-"),
            ("issuer closing", "-"),
            ("closing is due", "Deleted by Issuer"),
            ("ended", "-"),
        ],
    )
    def test_a_closing_ends_the_link_when_it_is_due(self, state: str, expected: str) -> None:
        old = STATES[state]
        assert told(old, transition(old, RunTimers(), Presence("u1"), NOW)) == expected

    @pytest.mark.parametrize(("seconds", "expected"), [(-1, "-"), (0, "KeyExpired by Operator")])
    def test_a_key_expires(self, seconds: float, expected: str) -> None:
        assert told(EXPIRED, transition(EXPIRED, RunTimers(), Presence("u1"), at(seconds))) == expected

    def test_a_link_does_not_expire_with_its_key(self) -> None:
        old = record_spec(redeemed=True, policy=Policy(expiration_time=at(0)))
        assert transition(old, RunTimers(), Presence("u1"), at(1)) is None

    def test_the_earliest_announcement_counts_and_says_who_ended_it(self) -> None:
        first = closing("v1", ends=at(10), side="redeemer", reason="Orphaned").redeemer
        old = record_spec(redeemed=True, closing=Closing(issuer=closing("u1", ends=at(20)).issuer, redeemer=first))
        assert next_timer(old) == at(10)
        assert told(old, transition(old, RunTimers(), Presence("u1"), at(30))) == "Orphaned by Redeemer"


class TestFence:
    GOING = Presence("v1", deleting=True)

    @pytest.mark.parametrize("old", STATES.values(), ids=STATES)
    def test_only_an_unused_key_is_fenced(self, old: LinkRecordSpec) -> None:
        after = transition(old, FENCE, self.GOING, NOW)
        assert told(old, after) == ("fenced" if old.state == "Issued" else "-")

    @pytest.mark.parametrize(
        ("present", "expected"),
        [(Presence("v1"), "-"), (Presence(None), "fenced"), (Presence("v2"), "fenced"), (GOING, "fenced")],
    )
    def test_not_by_an_object_that_lives(self, present: Presence, expected: str) -> None:
        assert told(ISSUED, transition(ISSUED, FENCE, present, NOW)) == expected

    def test_not_by_somebody_who_could_not_redeem(self) -> None:
        old = record_spec(policy=Policy(allowed_redeemers=(STRANGER,)))
        assert transition(old, FENCE, self.GOING, NOW) is None

    def test_not_twice(self) -> None:
        assert transition(record_spec(fences=(FENCE.link_id,)), FENCE, self.GOING, NOW) is None

    def test_the_ninth_ends_the_key(self) -> None:
        old = record_spec(fences=tuple(digest(str(n), 26) for n in range(MAX_FENCES)))
        assert told(old, transition(old, FENCE, self.GOING, NOW)) == "FencesFull by Operator"


class TestReading:
    def test_who_is_looked_at_before_a_change_is_judged(self) -> None:
        assert concerned(LINKED, Abandon("issuer")) == identity(FORMER_ISSUER)
        assert concerned(LINKED, Abandon("redeemer")) == identity(FORMER_REDEEMER)
        assert concerned(ISSUED, Abandon("redeemer")) is None
        assert concerned(ISSUED, FENCE) == identity(FORMER_REDEEMER)

    def test_what_a_record_names(self) -> None:
        assert sides_of(LINKED, FORMER_ISSUER.key) == ("issuer",)
        assert sides_of(LINKED, FORMER_REDEEMER.key) == ("redeemer",)
        assert sides_of(ISSUED, FORMER_REDEEMER.key) == ()
        assert account_of(ISSUED, "redeemer") is None
        issuer, redeemer = (Party(INSTANCE, ObjectKey("default", name)) for name in "ab")
        assert pair_of(ISSUED) == frozenset({issuer})
        assert pair_of(LINKED) == frozenset({issuer, redeemer})

    def test_when_the_timer_runs(self) -> None:
        assert [next_timer(s) for s in (ISSUED, EXPIRED, LINKED)] == [None, at(0), None]
        assert next_timer(STATES["issuer closing"]) == IN_AN_HOUR
        assert next_timer(record_spec(redeemed=True, closing=closing("u1"), end=end("Deleted"))) is None
        assert ORPHAN_PERIOD == HOUR


class TestAllowedRedeemers:
    HERE, ELSEWHERE = ISSUED.issuer.instance, digest("elsewhere", 26)

    @pytest.mark.parametrize(
        ("entries", "admitted"),
        [
            ([], True),
            ([{}], True),
            ([{"account": "b"}], True),
            ([{"account": "c"}], False),
            ([{"namespace": "ns"}], True),
            ([{"namespace": "other"}], False),
            ([{"namespace": "ns", "account": "c"}], False),
            ([{"namespace": "other", "account": "b"}], False),
            ([{"account": "c"}, {"account": "b"}], True),
            ([{"instance": ELSEWHERE}], False),
            ([{"instance": ELSEWHERE, "account": "b"}], False),
            ([{"instance": HERE, "account": "b"}], True),
        ],
    )
    def test_one_entry_must_match_in_all_its_fields(self, entries: list[dict[str, str]], admitted: bool) -> None:
        allowed = tuple(AllowedRedeemer.model_validate(e) for e in entries)
        account = NamespacedName(namespace="ns", name="b")
        assert admits(allowed, self.HERE, self.HERE, account) is admitted

    def test_an_entry_without_an_instance_means_this_one(self) -> None:
        account = NamespacedName(namespace="ns", name="b")
        assert not admits((AllowedRedeemer(account="b"),), self.HERE, self.ELSEWHERE, account)
        assert admits((AllowedRedeemer(instance=self.ELSEWHERE),), self.HERE, self.ELSEWHERE, account)
