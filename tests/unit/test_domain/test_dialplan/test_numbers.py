"""Internal numbers: what an account accepts, who holds a number, and that no two ever do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    BEFORE,
    NOW,
    account,
    applied,
    at,
    number,
    number_range,
    planned,
    settled,
    shown,
    snapshot,
    status_of,
)
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import InternalNumber, PBXAccount
from pbx_operator.api.v1alpha1.internalnumber import Destination, ServerDestination
from pbx_operator.api.v1alpha1.pbxaccount import Emergency, Numbering
from pbx_operator.domain.claims import Award, Claim, settle
from pbx_operator.domain.dialplan.emergency import Dialing
from pbx_operator.domain.dialplan.numbers import Judgement, resolve

OLD, YOUNG = at(-200), at(-100)


def judged(digits: str, owner: PBXAccount, *, serving: bool = False) -> Judgement:
    outcome = resolve(owner, [number(digits, holds=serving)]).outcomes[0]
    assert outcome.judgement is not None
    return outcome.judgement


def refusal(digits: str, owner: PBXAccount, *, serving: bool = False) -> str | None:
    refused = judged(digits, owner, serving=serving).refusal
    return refused.reason.name if refused else None


def held(numbers: Sequence[InternalNumber], owner: PBXAccount | None = None) -> dict[str, str]:
    return {n.spec.number: n.metadata.name for n in resolve(owner or account(), numbers).held}


class TestClaims:
    def test_holder_comes_before_older_and_name(self) -> None:
        young_holder = number("200", name="z", created=YOUNG, holds=True)
        assert held([number("200", name="a", created=OLD), young_holder]) == {"200": "z"}

    def test_older_comes_before_name(self) -> None:
        numbers = [number("200", name="a", created=YOUNG), number("200", name="z", created=OLD)]
        assert held(numbers) == {"200": "z"}

    def test_name_decides_between_equals(self) -> None:
        assert held([number("200", name="b"), number("200", name="a")]) == {"200": "a"}

    def test_holding_another_number_is_no_advantage(self) -> None:
        mover = number("201", name="mover", created=YOUNG, holds="200")
        assert held([mover, number("201", name="older", created=OLD)]) == {"201": "older"}

    def test_what_is_being_deleted_holds_nothing(self) -> None:
        gone = number("200", name="gone", holds=True, deleting=True)
        assert held([gone, number("200", name="next", created=YOUNG)]) == {"200": "next"}

    def test_leading_zeros_count(self) -> None:
        assert held([number("7"), number("07"), number("007")]) == {"7": "n7", "07": "n07", "007": "n007"}

    def test_without_account_nobody_holds(self) -> None:
        assert resolve(None, [number("200", holds=True)]).held == ()
        assert resolve(account(deleting=True), [number("200", holds=True)]).held == ()

    def test_new_holder_waits_for_the_status_of_the_old_one(self) -> None:
        old, new = ObjectKey("ns", "old"), ObjectKey("ns", "new")
        awards = settle([Claim(old, OLD, "201", shows="200"), Claim(new, YOUNG, "200", shows=None)])
        assert awards[new] == Award(won=True, rival=old)
        assert not awards[new].holds
        assert awards[old].holds

    def test_of_two_statuses_that_show_one_number_the_older_object_keeps_it(self) -> None:
        old, new = ObjectKey("ns", "old"), ObjectKey("ns", "new")
        awards = settle([Claim(new, YOUNG, "200", shows="200"), Claim(old, OLD, "200", shows="200")])
        assert awards[old].holds
        assert awards[new] == Award(won=False, rival=old)


class TestValidity:
    def test_equal_to_an_emergency_number_is_refused_whatever_the_protection(self) -> None:
        lenient = account(emergency=Emergency(protection="Warn"))
        for owner in (account(), lenient):
            assert refusal("112", owner) == "EmergencyNumber"
            assert refusal("112", owner, serving=True) == "EmergencyNumber"

    def test_protection_warn_reports_what_enforce_refuses(self) -> None:
        assert refusal("1123", account()) == "EmergencyNumber"
        assert "112" in judged("1123", account(emergency=Emergency(protection="Warn"))).warnings[0]

    def test_additional_emergency_numbers_count(self) -> None:
        assert refusal("1999", account(emergency=Emergency(additional_numbers=("1999",)))) == "EmergencyNumber"

    def test_short_emergency_numbers_depend_on_dialing(self) -> None:
        assert refusal("150", account(country="FR")) is None
        assert judged("150", account(country="FR")).warnings
        by_digit = account(country="FR", numbering=Numbering(dialing="DigitByDigit"))
        assert refusal("150", by_digit) == "EmergencyNumber"

    @pytest.mark.parametrize("digits", ["199", "300", "20", "2000"])
    def test_ranges(self, digits: str) -> None:
        ranges = (number_range("200-299"),)
        assert refusal(digits, account(numbering=Numbering(ranges=ranges, out_of_range="Reject"))) == "NumberOutOfRange"
        warned = judged(digits, account(numbering=Numbering(ranges=ranges)))
        assert warned.refusal is None
        assert digits in warned.warnings[0]

    @pytest.mark.parametrize("digits", ["200", "250", "299"])
    def test_both_ends_belong_to_a_range(self, digits: str) -> None:
        ranges = (number_range("200-299"),)
        owner = account(numbering=Numbering(ranges=ranges, out_of_range="Reject"))
        assert judged(digits, owner) == Judgement()

    @pytest.mark.parametrize(("digits", "refused"), [("0", True), ("01", True), ("10", False)])
    def test_reserved_prefixes(self, digits: str, refused: bool) -> None:
        owner = account(numbering=Numbering(reserved_prefixes=("0", "*7")))
        assert refusal(digits, owner) == ("ReservedPrefix" if refused else None)

    @pytest.mark.parametrize(("dialing", "refused"), [("EnBloc", False), ("DigitByDigit", True)])
    def test_a_number_that_cuts_off_a_reserved_prefix(self, dialing: Dialing, refused: bool) -> None:
        owner = account(numbering=Numbering(reserved_prefixes=("90",), dialing=dialing))
        assert refusal("9", owner) == ("ReservedPrefix" if refused else None)

    @pytest.mark.parametrize(
        "tightened",
        [
            Numbering(ranges=(number_range("300-399"),), out_of_range="Reject"),
            Numbering(reserved_prefixes=("2",)),
        ],
    )
    def test_tightening_only_warns_about_numbers_that_serve(self, tightened: Numbering) -> None:
        owner = account(numbering=tightened)
        assert refusal("200", owner) is not None
        assert refusal("200", owner, serving=True) is None
        assert judged("200", owner, serving=True).warnings

    def test_tightening_the_country_only_warns_about_numbers_that_serve(self) -> None:
        owner = account(emergency=Emergency(additional_numbers=("200",)))
        assert refusal("2001", owner) == "EmergencyNumber"
        assert refusal("2001", owner, serving=True) is None
        assert refusal("200", owner, serving=True) == "EmergencyNumber"

    def test_unknown_country_keeps_what_serves_and_accepts_nothing_new(self) -> None:
        owner = account(country="XX")
        assert held([number("200", holds=True), number("201")], owner) == {"200": "n200"}

    def test_an_invalid_number_leaves_its_digits_to_others(self) -> None:
        owner = account(numbering=Numbering(ranges=(number_range("300-399"),), out_of_range="Reject"))
        numbers = [number("200", name="refused", created=OLD), number("200", name="serving", created=YOUNG, holds=True)]
        assert held(numbers, owner) == {"200": "serving"}


class TestStatus:
    def test_serving(self) -> None:
        status = status_of(planned(snapshot(account(), number("200"))), "n200")
        assert status.number == "200"
        assert [shown(status, t) for t in ("Ready", "Accepted", "ResolvedRefs")] == [
            ("True", "Serving"),
            ("True", "Accepted"),
            ("True", "ResolvedRefs"),
        ]

    def test_warnings_keep_it_ready(self) -> None:
        status = status_of(planned(snapshot(account(), number("11"))), "n11")
        assert shown(status) == ("True", "ServingWithWarnings")
        assert "112" in status.conditions[0].message

    @pytest.mark.parametrize(("servers", "ready"), [({"lyon"}, "Serving"), ({"nice"}, "ServingWithWarnings")])
    def test_a_server_that_is_not_there_is_warned_about(self, servers: set[str], ready: str) -> None:
        at_lyon = Destination(type="CommServer", comm_server=ServerDestination(name="lyon"))
        before = replace(snapshot(account(), number("200", destination=at_lyon)), servers=frozenset(servers))
        status = status_of(planned(before), "n200")
        assert (status.number, shown(status)) == ("200", ("True", ready))
        assert ("spec.destination.commServer.name" in status.conditions[0].message) == (ready != "Serving")

    def test_loser_names_the_holder_and_stalls_after_two_minutes(self) -> None:
        before = snapshot(account(), number("200", name="first", holds=True), number("200", name="second"))
        plan = planned(before)
        status = status_of(plan, "second")
        assert status.number is None
        assert shown(status) == ("False", "NumberConflict")
        assert shown(status, "Reconciling") == ("True", "NumberConflict")
        assert "first" in status.conditions[0].message
        assert plan.requeue == at(120)

        target = next(u.target for u in plan.statuses if u.target.key.name == "second")
        remembered = applied(snapshot(account(), *before.numbers, since={target: ("NumberConflict", NOW)}), plan)
        later = planned(remembered, at(120))
        assert shown(status_of(later, "second"), "Stalled") == ("True", "NumberConflict")
        assert later.requeue is None

    def test_loser_takes_over_when_the_number_is_free(self) -> None:
        before = settled(snapshot(account(), number("200", name="first"), number("200", name="second")))
        freed = snapshot(before.account or "a", *(n for n in before.numbers if n.metadata.name == "second"))
        status = status_of(planned(freed), "second")
        assert (status.number, shown(status)) == ("200", ("True", "Serving"))

    def test_a_changed_number_is_released_at_once_even_if_the_new_one_is_taken(self) -> None:
        moving, other = number("201", name="moving", holds="200"), number("201", name="other", holds=True)
        status = status_of(planned(snapshot(account(), moving, other)), "moving")
        assert status.number is None
        assert shown(status) == ("False", "NumberConflict")

    def test_refused_number_holds_nothing_and_stalls(self) -> None:
        status = status_of(planned(snapshot(account(), number("112", holds=True))), "n112")
        assert status.number is None
        assert shown(status) == ("False", "EmergencyNumber")
        assert shown(status, "Accepted") == ("False", "EmergencyNumber")
        assert shown(status, "Stalled") == ("True", "EmergencyNumber")

    @pytest.mark.parametrize("subject", ["a", account(deleting=True)])
    def test_without_account(self, subject: PBXAccount | str) -> None:
        status = status_of(planned(snapshot(subject, number("200", holds=True))), "n200")
        assert status.number is None
        assert shown(status) == ("False", "RefNotFound")
        assert shown(status, "ResolvedRefs") == ("False", "RefNotFound")
        assert "create it, or delete this object and create one" in status.conditions[0].message
        assert shown(status, "Accepted") == ("Unknown", "NotChecked")

    def test_an_unreadable_account_changes_nothing_that_is_held(self) -> None:
        unreadable = account("a").metadata
        status = status_of(planned(snapshot("a", number("200", holds=True), unreadable=unreadable)), "n200")
        assert status.number == "200"
        assert shown(status) == ("Unknown", "AccountNotReady")

    def test_reconcile_request_is_echoed(self) -> None:
        status = status_of(planned(snapshot(account(), number("200", reconcile="now-please"))), "n200")
        assert status.last_handled_reconcile_at == "now-please"


class TestSwap:
    def test_two_numbers_change_places(self) -> None:
        x, y = number("201", name="x", holds="200"), number("200", name="y", holds="201")
        before = snapshot(account(), x, y)
        plan = planned(before)
        assert [status_of(plan, n).number for n in "xy"] == [None, None], "giving up comes first"
        assert shown(status_of(plan, "x")) == ("False", "NumberReleasing")
        assert plan.requeue == at(1)
        after = applied(before, plan)
        assert [status_of(planned(after), n).number for n in "xy"] == ["201", "200"]

    def test_the_dial_plan_changes_in_one_write(self) -> None:
        before = settled(snapshot(account(), number("200", name="x"), number("201", name="y")))
        x, y = before.numbers
        swapped = snapshot(before.account or "a", renumbered(x, "201"), renumbered(y, "200"), slices=before.slices)
        first = planned(swapped)
        assert len(first.actions) == 1
        assert planned(applied(swapped, first)).actions == ()


def renumbered(n: InternalNumber, digits: str) -> InternalNumber:
    return n.model_copy(update={"spec": n.spec.model_copy(update={"number": digits})})


DIGITS = st.sampled_from(["200", "201", "202", "203"])


class Cluster:
    """The API server and the Store: specs reach the Store late, our own statuses at once, and writes may fail."""

    def __init__(self) -> None:
        self.api: dict[str, InternalNumber] = {}
        self.store: dict[str, InternalNumber] = {}
        self.version = 0

    def put(self, n: InternalNumber) -> InternalNumber:
        self.version += 1
        written = n.model_copy(
            update={"metadata": n.metadata.model_copy(update={"resource_version": str(self.version)})}
        )
        self.api[n.metadata.name] = written
        return written

    def deliver(self) -> None:
        self.store = dict(self.api)

    def write_status(self, seen: InternalNumber, update: object) -> None:
        current = self.api.get(seen.metadata.name)
        if current is None or current.metadata.resource_version != seen.metadata.resource_version:
            return
        self.store[seen.metadata.name] = self.put(seen.model_copy(update={"status": update}))
        self.check()

    def check(self) -> None:
        holders = [n.status.number for n in self.api.values() if n.status.number is not None]
        assert len(holders) == len(set(holders)), "two statuses show one number"


@settings(deadline=None)
@given(data=st.data())
def test_never_two_holders_and_permutations_converge(data: st.DataObject) -> None:
    cluster, owner, draw = Cluster(), account(), data.draw
    for i, digits in enumerate(draw(st.permutations(["200", "201", "202", "203"]), "numbers")):
        cluster.put(number(digits, name=f"n{i}", created=at(-i)))
    cluster.deliver()
    for _ in range(draw(st.integers(1, 12), "steps")):
        _edit_somewhere(cluster, data)
        if draw(st.booleans(), "the Store catches up"):
            cluster.deliver()
        _write_some_statuses(cluster, owner, data)
    _converge(cluster, owner)


def _edit_somewhere(cluster: Cluster, data: st.DataObject) -> None:
    """One user's edit: another number, a deletion, a new object; or a permutation of all numbers in one apply."""
    names = sorted(cluster.api)
    kind = data.draw(st.sampled_from(["change", "permute", "delete", "terminate", "create", "nothing"]), "edit")
    if kind == "create":
        name = f"c{cluster.version}"
        cluster.put(number(data.draw(DIGITS), name=name, uid=f"uid-{cluster.version}", created=BEFORE))
    elif kind == "permute":
        wanted = [cluster.api[n].spec.number for n in names]
        for name, digits in zip(names, data.draw(st.permutations(wanted)), strict=True):
            cluster.put(renumbered(cluster.api[name], digits))
    elif names and kind != "nothing":
        victim = cluster.api[data.draw(st.sampled_from(names))]
        if kind == "change":
            cluster.put(renumbered(victim, data.draw(DIGITS)))
        elif kind == "terminate":
            going = victim.metadata.model_copy(update={"deletion_timestamp": NOW})
            cluster.put(victim.model_copy(update={"metadata": going}))
        else:
            del cluster.api[victim.metadata.name]


def _write_some_statuses(cluster: Cluster, owner: PBXAccount, data: st.DataObject) -> None:
    """Write a random part of one plan's statuses, in random order, with users' edits in between."""
    seen = dict(cluster.store)
    updates = {u.target.key.name: u.status for u in planned(snapshot(owner, *seen.values())).statuses}
    order = data.draw(st.permutations(sorted(seen)), "order of writes")
    for name in order[: data.draw(st.integers(0, len(order)), "writes that succeed")]:
        if data.draw(st.booleans(), "a user comes in between"):
            _edit_somewhere(cluster, data)
        cluster.write_status(seen[name], updates[name])


def _converge(cluster: Cluster, owner: PBXAccount) -> None:
    for _ in range(3):
        cluster.deliver()
        seen = dict(cluster.store)
        for update in planned(snapshot(owner, *seen.values())).statuses:
            if update.target.key.name in seen:
                cluster.write_status(seen[update.target.key.name], update.status)
    cluster.deliver()
    alive = [n for n in cluster.api.values() if not n.metadata.deleting]
    holders = {n.status.number for n in alive if n.status.number is not None}
    assert holders == {n.spec.number for n in alive}, "every wanted number is held, and no other"
    assert all(n.status.number in (None, n.spec.number) for n in alive)
