"""How slices change: which are written and deleted, in which order, when, and whose they must be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    NOW,
    account,
    applied,
    at,
    changed,
    linked,
    meta,
    number,
    planned,
    reach,
    settled,
    sharing,
    slice_steps,
    snapshot,
    status_of,
)
from pbx_operator.api.meta import ObjectMeta, OwnerReference
from pbx_operator.api.v1alpha1 import DialPlanSlice, InternalNumber, PBXAccount
from pbx_operator.api.v1alpha1.shared import Sharing
from pbx_operator.domain.accounts.plan import PUBLICATION_PERIOD, AccountSnapshot
from pbx_operator.domain.dialplan.changes import diff_slices
from pbx_operator.domain.dialplan.numbers import resolve
from pbx_operator.domain.dialplan.offers import EstablishedLink
from pbx_operator.domain.dialplan.slices import draft_slices
from pbx_operator.domain.plan import DeleteSlice, WriteSlice


def written(before: AccountSnapshot) -> list[str]:
    return slice_steps(planned(before))


class TestChanges:
    def test_rewritten_only_where_the_content_changes(self) -> None:
        before = changed(snapshot(account(), number("200"), links=(linked("x", "300"), linked("y", "400"))))
        assert written(before) == []
        assert written(changed(before, links=(linked("x", "300"), linked("y", "401")))) == ["+y.plain"]

    def test_a_new_link_rewrites_nobody(self) -> None:
        before = changed(snapshot(account(), number("200"), links=(linked("x", "300"),)))
        older = linked("w", "300", established=at(-1e6), priority=0)
        assert written(changed(before, links=(linked("x", "300"), older))) == ["+w.plain"]

    def test_an_ended_link_takes_its_slices_along(self) -> None:
        sharing_nothing = linked("x", "300", dial_prefix="8", sharing=Sharing(mode="None"))
        before = changed(snapshot(account(), links=(sharing_nothing,)))
        assert written(changed(before, links=())) == ["-x.plain", "-x.prefixed", "-x.offer"]

    def test_a_rewrite_names_the_object_that_it_replaces(self) -> None:
        before = changed(snapshot(account()))
        existing = before.slices[0].model_copy(update={"metadata": meta_of(before.slices[0], resource_version="77")})
        plan = planned(changed(before, slices=(existing,), numbers=(number("200"),)))
        (action,) = plan.actions
        assert isinstance(action, WriteSlice)
        assert action.slice.metadata.resource_version == "77"

    def test_removals_come_first(self) -> None:
        links = (linked("z", "300", "301"),)
        before = changed(snapshot(account(), number("200"), links=links))
        more_here_less_there = changed(before, numbers=(*before.numbers, number("201")), links=(linked("z", "300"),))
        assert written(more_here_less_there) == ["+z.plain", "+a.own"]

    def test_a_number_made_private_is_a_removal(self) -> None:
        before = changed(snapshot(account(), number("200"), links=(linked("b", "300"),)))
        private = changed(before, numbers=(number("200", visibility="Private"),), links=(linked("b", "300", "301"),))
        assert written(private) == ["+a.own", "+b.plain"]

    def test_rows_that_move_are_there_before_they_vanish_here(self) -> None:
        numbers = tuple(number(f"{n}") for n in range(1950, 2050))
        before = changed(snapshot(account(), *numbers))
        split_up = changed(before, numbers=(*before.numbers, number("2050")))
        assert written(split_up) == ["+a.own.1", "+a.own.2", "+a.own"]
        merged = changed(split_up, numbers=settled(split_up).numbers[:50])
        assert written(merged)[0] == "-a.own.2", "these rows are gone for good"
        merged = changed(split_up, numbers=settled(split_up).numbers[1:])
        assert written(merged) == ["-a.own.1", "+a.own", "-a.own.2"]

    def test_a_narrower_offer_comes_before_the_numbers_that_it_keeps_away(self) -> None:
        before = changed(snapshot(account(), number("200"), links=(linked("x", "300"),)))
        narrowed = (linked("x", "300", sharing=sharing("200-299")),)
        assert written(changed(before, numbers=(number("200"), number("500")), links=narrowed)) == [
            "+x.offer",
            "+a.own",
        ]

    def test_the_end_of_a_narrower_offer_comes_last(self) -> None:
        narrowed = (linked("x", "300", sharing=sharing("200-299")),)
        before = changed(snapshot(account(), number("200"), number("500"), links=narrowed))
        secret = (number("200"), number("500", visibility="Private"))
        assert written(changed(before, numbers=secret, links=(linked("x", "300"),))) == ["+a.own", "-x.offer"]


def meta_of(part: DialPlanSlice, **changes: object) -> ObjectMeta:
    return part.metadata.model_copy(update=changes)


class TestCoalescing:
    """Several changes within a moment are one write; what takes something away waits for nothing."""

    def world(self, **facts: Any) -> AccountSnapshot:
        before = snapshot(account(), number("200"), links=(linked("x", "300"),))
        return changed(before, **{"published": NOW, **facts})

    def test_an_addition_waits_for_its_turn(self) -> None:
        more = self.world(links=(linked("x", "300", "301"),))
        early = planned(more, NOW)
        assert slice_steps(early) == []
        assert early.requeue == NOW + PUBLICATION_PERIOD
        assert slice_steps(planned(more, NOW + PUBLICATION_PERIOD)) == ["+x.plain"]

    def test_the_first_publication_does_not_wait(self) -> None:
        assert slice_steps(planned(self.world(links=(linked("x", "300", "301"),), published=None))) == ["+x.plain"]

    @pytest.mark.parametrize(
        "less",
        [
            {"links": (linked("x"),)},
            {"links": ()},
            {"numbers": ()},
            {"numbers": (number("200", visibility="Private"),)},
            {"links": (linked("x", "300", sharing=Sharing(mode="None")),)},
        ],
    )
    def test_a_removal_is_not_delayed(self, less: dict[str, Any]) -> None:
        assert planned(self.world(**less), NOW).actions != ()

    def test_no_status_tells_of_what_is_not_published_yet(self) -> None:
        more = self.world(numbers=(number("200", holds=True), number("201")))
        early = planned(more, NOW)
        assert (early.actions, early.statuses) == ((), ())
        assert early.requeue is not None
        late = planned(more, early.requeue)
        assert late.actions != ()
        assert status_of(late, "n201").number == "201"


class TestOwnership:
    def existing(self, **changes: object) -> AccountSnapshot:
        before = changed(snapshot(account()))
        part = before.slices[0]
        return changed(before, slices=(part.model_copy(update={"metadata": meta_of(part, **changes)}),))

    def test_somebody_else_s_slice_is_left_alone_and_reported(self) -> None:
        before = self.existing(owner_references=())
        plan = planned(before)
        assert plan.actions == ()
        status = next(u.status for u in plan.statuses)
        assert (status.conditions[0].status, status.conditions[0].reason) == ("False", "SliceNameTaken")
        assert "a.own" in status.conditions[0].message

    def test_a_slice_of_an_earlier_account_is_replaced(self) -> None:
        owner = OwnerReference(api_version="pbx-operator.io/v1alpha1", kind="PBXAccount", name="a", uid="earlier")
        before = self.existing(owner_references=(owner,), uid="old")
        (delete,) = planned(before).actions
        assert isinstance(delete, DeleteSlice)
        assert delete.target.uid == "old"
        assert written(applied(before, planned(before))) == ["+a.own"]

    def test_a_slice_that_is_being_deleted_is_waited_for(self) -> None:
        before = replace(self.existing(deletion_timestamp=at(0)), numbers=(number("200"),))
        assert written(before) == []
        assert written(replace(before, slices=())) == ["+a.own"]

    def test_a_foreign_name_that_is_not_wanted_does_not_matter(self) -> None:
        stray = changed(snapshot(account())).slices[0]
        stray = stray.model_copy(update={"metadata": meta("slice", "stray")})
        before = changed(snapshot(account()))
        assert written(changed(before, slices=(*before.slices, stray))) == []


# --- every moment between two writes ----------------------------------------------------------------------------

SHARINGS = st.sampled_from([None, Sharing(), Sharing(mode="None"), sharing("100-149"), sharing("150-299")])


@st.composite
def configurations(draw: st.DrawFn) -> tuple[PBXAccount, list[InternalNumber], list[EstablishedLink]]:
    owner = account(sharing=draw(SHARINGS) or Sharing())
    low, high = draw(st.integers(100, 200)), draw(st.integers(100, 260))
    private = draw(st.sets(st.integers(100, 260), max_size=30))
    numbers = [number(f"{n}", visibility="Private" if n in private else "Shared") for n in range(low, high)]
    links = [linked(name, "7000", sharing=draw(SHARINGS)) for name in ("x", "y")]
    return owner, numbers, links


@settings(deadline=None)
@given(configurations(), configurations())
def test_no_moment_lets_a_link_reach_what_neither_the_old_nor_the_new_plan_does(
    old: tuple[PBXAccount, list[InternalNumber], list[EstablishedLink]],
    new: tuple[PBXAccount, list[InternalNumber], list[EstablishedLink]],
) -> None:
    parts: dict[str, DialPlanSlice] = {}
    for owner, numbers, links in (old, new):
        before = {link: reach(parts.values(), link) for link in "xy"}
        drafts = draft_slices(owner, resolve(owner, numbers).held, links, frozenset())
        moments = [dict(parts)]
        for action in diff_slices(owner, drafts, list(parts.values())).actions:
            if isinstance(action, WriteSlice):
                parts[action.slice.metadata.name] = action.slice
            else:
                del parts[action.target.key.name]
            moments.append(dict(parts))
        assert {d.name: d.rev for d in drafts} == {name: part.spec.rev for name, part in parts.items()}
        for link in "xy":
            allowed = before[link] | reach(parts.values(), link)
            assert all(reach(moment.values(), link) <= allowed for moment in moments)
