"""Conditions: when their times move, how patience runs out, and what kubectl, kstatus and Argo CD may rely on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, at
from pbx_operator.api import reasons
from pbx_operator.api.meta import Condition, ConditionStatus
from pbx_operator.api.reasons import Verdict, verdict
from pbx_operator.api.v1alpha1.shared import Status
from pbx_operator.domain.conditions import check, find, is_true, merge, stalled, summarize

ESTABLISHED = verdict("Ready", "True", reasons.ESTABLISHED)
ACCEPTED = verdict("Accepted", "True", reasons.ACCEPTED)
ISSUING = verdict("Ready", "False", reasons.ISSUING, progress="soon")
DUPLICATE = verdict("Ready", "False", reasons.DUPLICATE_LINK, other="Interlink x")
UNKNOWN_KEY = verdict("Ready", "False", reasons.KEY_UNKNOWN, key_id="k")
EXPIRED = verdict("Ready", "False", reasons.KEY_EXPIRED, key_id="k", next_step="ask")
READY = (ESTABLISHED, ISSUING, DUPLICATE, UNKNOWN_KEY, EXPIRED)


def condition(type_: str, status: ConditionStatus = "True", reason: str = "R", generation: int = 1) -> Condition:
    return Condition(
        type=type_, status=status, reason=reason, message="", observed_generation=generation, last_transition_time=NOW
    )


def summed(ready: Verdict, late: bool) -> list[Verdict]:
    """Return the summary of a reason that is new, or was seen three minutes ago."""
    return summarize(ready, is_stalled=stalled(ready.reason, (), at(-180 if late else 0), NOW))


class TestMerge:
    def test_a_time_moves_with_the_status_alone(self) -> None:
        first = merge((), [*summarize(ISSUING, is_stalled=False), ACCEPTED], 1, at(0.5))
        second = merge(first, [*summarize(DUPLICATE, is_stalled=False), ACCEPTED], 2, at(10))
        third = merge(second, [ESTABLISHED, ACCEPTED], 2, at(20))
        times = [{c.type: c.last_transition_time for c in merged} for merged in (first, second, third)]
        assert times[0] == times[1] == {"Ready": NOW, "Reconciling": NOW, "Accepted": NOW}
        assert times[2] == {"Ready": at(20), "Accepted": NOW}

    def test_a_new_reason_and_generation_are_shown_all_the_same(self) -> None:
        first = merge((), [ISSUING], 1, NOW)
        (second,) = merge(first, [DUPLICATE], 2, at(10))
        assert (second.reason, second.observed_generation) == ("DuplicateLink", 2)
        assert second.message == DUPLICATE.message

    def test_what_is_not_said_any_more_is_gone(self) -> None:
        stuck = merge((), summarize(EXPIRED, is_stalled=True), 1, NOW)
        assert [c.type for c in merge(stuck, [ESTABLISHED], 1, NOW)] == ["Ready"]

    def test_ready_comes_first_and_the_rest_by_name(self) -> None:
        resolved = verdict("ResolvedRefs", "True", reasons.RESOLVED)
        merged = merge((), [resolved, ACCEPTED, *summarize(EXPIRED, is_stalled=True)], 1, NOW)
        assert [c.type for c in merged] == ["Ready", "Stalled", "Accepted", "ResolvedRefs"]

    @given(st.sampled_from(READY), st.sampled_from(READY), st.booleans())
    def test_merging_again_changes_nothing(self, old: Verdict, new: Verdict, late: bool) -> None:
        before = merge((), summed(old, late), 1, NOW)
        once = merge(before, summed(new, late), 2, at(10))
        assert merge(once, summed(new, late), 2, at(99)) == once


class TestPatience:
    @pytest.mark.parametrize(
        ("ready", "seconds", "expected"),
        [
            (ISSUING, 0, False),
            (ISSUING, 86_400, False),
            (UNKNOWN_KEY, 0, False),
            (UNKNOWN_KEY, 119, False),
            (UNKNOWN_KEY, 120, True),
            (EXPIRED, 0, True),
        ],
    )
    def test_how_long_it_lasts(self, ready: Verdict, seconds: float, expected: bool) -> None:
        assert stalled(ready.reason, (), NOW, at(seconds)) is expected

    def test_what_was_stalled_stays_so_when_the_operator_restarts(self) -> None:
        shown = merge((), summarize(UNKNOWN_KEY, is_stalled=True), 1, NOW)
        assert stalled(UNKNOWN_KEY.reason, shown, NOW, NOW)

    def test_another_reason_gets_its_own_time(self) -> None:
        shown = merge((), summarize(DUPLICATE, is_stalled=True), 1, NOW)
        assert not stalled(UNKNOWN_KEY.reason, shown, NOW, NOW)


class TestContract:
    @given(st.sampled_from(READY), st.booleans())
    def test_what_is_summarised_and_merged_is_sound(self, ready: Verdict, late: bool) -> None:
        conditions = merge((), [*summed(ready, late), ACCEPTED], 3, NOW)
        assert check(Status(observed_generation=3, conditions=conditions), 3) == []

    def test_an_object_that_nobody_has_seen_yet_is_sound(self) -> None:
        assert check(Status(), 1) == []

    @pytest.mark.parametrize(
        ("conditions", "problem"),
        [
            ([], "Ready is absent"),
            ([condition("Ready"), condition("Ready")], "a condition type occurs twice"),
            ([condition("Ready"), condition("Reconciling")], "Ready=True stands with ['Reconciling']"),
            ([condition("Ready"), condition("Stalled")], "Ready=True stands with ['Stalled']"),
            ([condition("Ready", "False")], "Ready=False stands with neither Reconciling nor Stalled"),
            (
                [condition("Ready", "False"), condition("Reconciling"), condition("Stalled")],
                "Ready=False stands with ['Reconciling', 'Stalled']",
            ),
            ([condition("Ready", "Unknown"), condition("Stalled")], "Ready=Unknown stands with ['Stalled']"),
            ([condition("Ready"), condition("Conflicted", "False")], "Conflicted is present though it is not True"),
            ([condition("Ready", generation=0)], "Ready has another observedGeneration than the status"),
        ],
    )
    def test_what_is_not(self, conditions: list[Condition], problem: str) -> None:
        assert problem in check(Status(observed_generation=1, conditions=tuple(conditions)), 1)

    def test_a_status_cannot_be_ahead_of_its_object(self) -> None:
        ahead = Status(observed_generation=2, conditions=(condition("Ready", generation=2),))
        assert check(ahead, 1) == ["status.observedGeneration is ahead of metadata.generation"]

    def test_what_is_being_deleted_need_not_be_summed_up(self) -> None:
        gone = Status(observed_generation=1, conditions=(condition("Accepted"),))
        assert (check(gone, 1, deleting=True), check(gone, 1)) == ([], ["Ready is absent"])


def test_looking_for_a_condition() -> None:
    conditions = [condition("Ready"), condition("Accepted", "False")]
    assert find(conditions, "Accepted") is conditions[1]
    assert find(conditions, "Established") is None
    assert [is_true(conditions, t) for t in ("Ready", "Accepted", "Established")] == [True, False, False]
