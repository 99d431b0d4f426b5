"""Accounts: SIP domain, readiness, counters, teardown, and what holds for every account in every world."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    NOW,
    SUFFIX,
    account,
    account_status_of,
    applied,
    at,
    interlink,
    link_between,
    linked,
    number,
    number_range,
    planned,
    settled,
    sharing,
    shown,
    snapshot,
    status_of,
)
from pbx_operator.api.v1alpha1 import Interlink, InternalNumber, PBXAccount
from pbx_operator.api.v1alpha1.pbxaccount import InterlinkCounts, Numbering, PBXAccountStatus
from pbx_operator.api.v1alpha1.shared import Sharing
from pbx_operator.domain.accounts.domains import wanted_domain
from pbx_operator.domain.accounts.plan import AccountSnapshot
from pbx_operator.domain.conditions import find
from pbx_operator.domain.plan import AddFinalizer, DeleteSlice, Plan, RemoveFinalizer, WriteSlice


def with_spec(subject: PBXAccount, **changes: Any) -> PBXAccount:
    return subject.model_copy(update={"spec": subject.spec.model_copy(update=changes)})


class TestLife:
    def test_a_new_account(self) -> None:
        fresh = account(domain=None, finalizers=(), status=PBXAccountStatus())
        plan = planned(snapshot(fresh))
        assert [type(a) for a in plan.actions] == [AddFinalizer, WriteSlice]
        status = account_status_of(plan)
        assert status.sip_domain == f"a.default.{SUFFIX}"
        assert (shown(status), shown(status, "Accepted")) == (("True", "Serving"), ("True", "Accepted"))
        assert status.observed_generation == 1

    def test_a_settled_account_needs_nothing(self) -> None:
        now = settled(snapshot(account(), number("200"), links=(linked("x", "300"),)))
        assert now.account is not None
        plan = planned(now)
        assert (plan.actions, plan.requeue) == ((), None)
        assert account_status_of(plan) == now.account.status

    def test_an_unknown_country(self) -> None:
        status = account_status_of(planned(snapshot(account(country="XX"))))
        assert (shown(status), shown(status, "Stalled")) == (("False", "UnknownCountry"), ("True", "UnknownCountry"))
        assert shown(status, "Accepted") == ("False", "UnknownCountry")
        assert '"XX"' in status.conditions[0].message

    def test_its_numbers_say_that_it_is_not_ready(self) -> None:
        plan = planned(snapshot(account(country="XX"), number("200", holds=True), number("201")))
        assert shown(status_of(plan, "n200")) == ("False", "AccountNotReady")
        assert status_of(plan, "n200").number == "200"
        assert shown(status_of(plan, "n201")) == ("False", "AccountNotReady")
        assert status_of(plan, "n201").number is None

    def test_an_unreadable_account_is_left_as_it_is(self) -> None:
        now = settled(snapshot(account(), number("200"), links=(linked("x", "300"),)))
        assert now.account is not None
        plan = planned(replace(now, account=None, unreadable=now.account.metadata))
        assert plan.actions == ()
        assert [u.target.key.name for u in plan.statuses] == ["n200"]

    def test_reconcile_request_is_echoed(self) -> None:
        assert account_status_of(planned(snapshot(account(reconcile="t1")))).last_handled_reconcile_at == "t1"


class TestTeardown:
    def leaving(self, **facts: Any) -> AccountSnapshot:
        now = settled(snapshot(account(), number("200"), links=(linked("x", "300"),)))
        return replace(now, **{"account": account(deleting=True), **facts})

    def test_the_dial_plan_goes_at_once_and_the_domain_is_free(self) -> None:
        before = self.leaving(live_records=True)
        plan = planned(before)
        assert [a.target.key.name for a in plan.actions if isinstance(a, DeleteSlice)] == ["a.own", "x.plain"]
        status = account_status_of(plan)
        assert (shown(status), status.sip_domain) == (("False", "Deleting"), None)
        assert "links" in status.conditions[0].message

    def test_it_waits_for_its_records_and_for_nothing_else(self) -> None:
        waiting = applied(self.leaving(live_records=True), planned(self.leaving(live_records=True)))
        assert planned(waiting).actions == ()
        (released,) = planned(replace(waiting, live_records=False)).actions
        assert isinstance(released, RemoveFinalizer)

    def test_it_waits_for_its_slices(self) -> None:
        before = self.leaving()
        assert not any(isinstance(a, RemoveFinalizer) for a in planned(before).actions)
        assert [type(a) for a in planned(replace(before, slices=())).actions] == [RemoveFinalizer]

    def test_the_finalizer_is_released_once(self) -> None:
        assert planned(self.leaving(slices=(), account=account(deleting=True, finalizers=()))).actions == ()

    def test_a_slice_that_is_being_deleted_is_not_deleted_again(self) -> None:
        before = self.leaving()
        going = [s.metadata.model_copy(update={"deletion_timestamp": NOW}) for s in before.slices]
        slices = [s.model_copy(update={"metadata": m}) for s, m in zip(before.slices, going, strict=True)]
        assert planned(replace(before, slices=tuple(slices))).actions == ()

    def test_somebody_else_s_slices_do_not_hold_it_up(self) -> None:
        foreign = self.leaving().slices[0]
        foreign = foreign.model_copy(update={"metadata": foreign.metadata.model_copy(update={"owner_references": ()})})
        assert [type(a) for a in planned(self.leaving(slices=(foreign,))).actions] == [RemoveFinalizer]

    def test_a_re_created_account_claims_its_numbers_anew(self) -> None:
        gone = settled(snapshot("a", number("200", holds=True)))
        assert gone.numbers[0].status.number is None
        again = settled(replace(gone, account=account(uid="second life", status=PBXAccountStatus())))
        assert again.numbers[0].status.number == "200"


class TestDomain:
    def test_it_is_kept_once_it_is_held(self) -> None:
        assert wanted_domain(account(domain="old.example"), SUFFIX) == "old.example"
        assert wanted_domain(account(domain="old.example", sip_domain="new.example"), SUFFIX) == "new.example"
        assert wanted_domain(account(domain=None), SUFFIX) == "a.default.pbx.example"

    def test_names_and_namespaces_never_run_together(self) -> None:
        one, other = account("a-b", "c", domain=None), account("a", "b-c", domain=None)
        assert wanted_domain(one, SUFFIX) != wanted_domain(other, SUFFIX)

    def test_the_holder_keeps_it(self) -> None:
        young_holder = account("b", sip_domain="x.example", domain="x.example", created=at(-1))
        status = account_status_of(planned(snapshot(account(sip_domain="x.example"), rivals=(young_holder,))))
        assert (shown(status), status.sip_domain) == (("False", "DomainConflict"), None)
        assert shown(status, "Accepted") == ("True", "Accepted")

    def test_the_message_does_not_name_the_other_account(self) -> None:
        rival = account("secretive", "elsewhere", sip_domain="x.example", domain="x.example")
        status = account_status_of(planned(snapshot(account(sip_domain="x.example"), rivals=(rival,))))
        assert not any("secretive" in c.message or "elsewhere" in c.message for c in status.conditions)
        assert "x.example" in status.conditions[0].message

    @pytest.mark.parametrize(
        ("domain", "owner"),
        [
            (f"b.elsewhere.{SUFFIX}", "elsewhere"),
            (f"a.elsewhere.{SUFFIX}", "elsewhere"),
            (f"another.default.{SUFFIX}", None),
            (f"elsewhere.{SUFFIX}", None),
            (f"x.b.elsewhere.{SUFFIX}", None),
            (SUFFIX, None),
            ("b.elsewhere.example.com", None),
            (f"b.elsewhere.not{SUFFIX}", None),
            (None, None),
        ],
    )
    def test_what_accounts_elsewhere_get_by_default_is_theirs(self, domain: str | None, owner: str | None) -> None:
        status = account_status_of(planned(snapshot(account(sip_domain=domain, domain=None))))
        assert shown(status) == (("False", "DomainReserved") if owner else ("True", "Serving"))
        assert (status.sip_domain is None) == (owner is not None)
        assert owner is None or f"namespace {owner}" in status.conditions[0].message

    def test_a_reserved_domain_is_no_rivals_concern(self) -> None:
        squatter = account("x", "elsewhere", sip_domain=f"a.default.{SUFFIX}", domain=None, created=at(-1))
        status = account_status_of(planned(snapshot(account(domain=None), rivals=(squatter,))))
        assert status.sip_domain == f"a.default.{SUFFIX}"

    def test_the_older_account_wins_a_free_domain(self) -> None:
        rival = account("b", sip_domain="x.example", domain=None, created=at(-1))
        assert account_status_of(planned(snapshot(account(sip_domain="x.example"), rivals=(rival,)))).sip_domain

    def test_it_is_taken_over_only_when_nobody_shows_it(self) -> None:
        mover = account("b", sip_domain="y.example", domain="x.example")
        plan = planned(snapshot(account(sip_domain="x.example"), rivals=(mover,)))
        status = account_status_of(plan)
        assert (shown(status), status.sip_domain) == (("False", "DomainReleasing"), None)
        assert plan.requeue is not None
        leaving = account("b", sip_domain="x.example", domain="x.example", deleting=True)
        status = account_status_of(planned(snapshot(account(sip_domain="x.example"), rivals=(leaving,))))
        assert shown(status) == ("False", "DomainReleasing")


class TestCounters:
    LINKS = (linked("x", "200", "300"), linked("y", "201", dial_prefix="8"))
    NUMBERS = (number("200"), number("201", visibility="Private"), number("202"), number("202", name="loser"))

    def test_counts(self) -> None:
        before = snapshot(
            account(), *self.NUMBERS, links=self.LINKS, interlinks=InterlinkCounts(pending=3, established=2)
        )
        status = account_status_of(planned(before))
        assert status.interlinks == InterlinkCounts(pending=3, established=2)
        assert status.internal_numbers is not None
        assert status.internal_numbers.to_json() == {"shared": 2, "private": 1, "conflicted": 1}
        assert status.shadowed_numbers is not None
        assert status.shadowed_numbers.to_json() == {"count": 2, "sample": ["200", "201"]}

    def test_conflicted_names_only_what_no_prefix_reaches(self) -> None:
        status = account_status_of(planned(snapshot(account(), *self.NUMBERS, links=self.LINKS)))
        conflicted = find(status.conditions, "Conflicted")
        assert conflicted is not None
        assert "200" in conflicted.message
        assert "201" not in conflicted.message
        assert shown(status) == ("True", "Serving")

    def test_conflicted_is_absent_when_nothing_is_hidden(self) -> None:
        status = account_status_of(planned(snapshot(account(), *self.NUMBERS, links=self.LINKS[1:])))
        assert find(status.conditions, "Conflicted") is None

    def test_the_sample_is_short(self) -> None:
        digits = [f"{n}" for n in range(200, 250)]
        before = snapshot(account(), *(number(d) for d in digits), links=(linked("x", *digits),))
        shadows = account_status_of(planned(before)).shadowed_numbers
        assert shadows is not None
        assert (shadows.count, len(shadows.sample), shadows.sample[0]) == (50, 20, "200")

    def test_counters_alone_wait_for_thirty_seconds(self) -> None:
        now = settled(snapshot(account(), number("200")))
        assert now.account is not None
        more = replace(now, interlinks=InterlinkCounts(pending=1), counters_written=NOW)
        early = planned(more, at(29))
        assert account_status_of(early) == now.account.status
        assert early.requeue == at(30)
        due = planned(more, at(30))
        assert account_status_of(due).interlinks == InterlinkCounts(pending=1)
        assert due.requeue is None

    def test_another_change_takes_the_counters_along(self) -> None:
        now = settled(snapshot(account(), number("200")))
        assert now.account is not None
        renewed = now.account.model_copy(update={"metadata": account(generation=2).metadata})
        more = replace(now, account=renewed, interlinks=InterlinkCounts(pending=1), counters_written=NOW)
        status = account_status_of(planned(more, at(1)))
        assert (status.observed_generation, status.interlinks) == (2, InterlinkCounts(pending=1))

    def test_more_hidden_numbers_are_only_a_counter(self) -> None:
        now = settled(snapshot(account(), number("200"), number("201"), links=(linked("x", "200"),)))
        assert now.account is not None
        more = replace(now, links=(linked("x", "200", "201"),), counters_written=NOW)
        assert account_status_of(planned(more, at(1))) == now.account.status
        none = replace(now, links=(linked("x"),), counters_written=NOW)
        assert find(account_status_of(planned(none, at(1))).conditions, "Conflicted") is None


# --- random worlds ----------------------------------------------------------------------------------------------

DIGITS = st.sampled_from(["0", "11", "112", "150", "200", "201", "202", "300", "1123"])
SHARINGS = st.sampled_from([Sharing(), Sharing(mode="None"), sharing("200-299"), sharing("000-999", "0-9")])
NUMBERINGS = st.sampled_from(
    [
        Numbering(),
        Numbering(ranges=(number_range("200-299"),), out_of_range="Reject"),
        Numbering(ranges=(number_range("200-299"),), dialing="DigitByDigit", reserved_prefixes=("0", "*")),
    ]
)
NAMES = ("a", "b", "c")


@st.composite
def accounts(draw: st.DrawFn, name: str) -> PBXAccount:
    return account(
        name,
        country=draw(st.sampled_from(["NL", "FR", "XX"])),
        domain=draw(st.sampled_from([None, "", "shared.example"])),
        sip_domain=draw(st.sampled_from([None, None, "shared.example"])),
        sharing=draw(SHARINGS),
        numbering=draw(NUMBERINGS),
        created=at(-draw(st.integers(0, 3))),
        finalizers=draw(st.sampled_from([(), ("pbx-operator.io/teardown",)])),
        generation=draw(st.integers(1, 3)),
    )


@st.composite
def numbers_of(draw: st.DrawFn, owner: str) -> list[InternalNumber]:
    return [
        number(
            draw(DIGITS),
            owner,
            name=f"{owner}{i}",
            holds=draw(st.none() | DIGITS) or False,
            visibility=draw(st.sampled_from(["Shared", "Private"])),
            display_name=draw(st.sampled_from([None, "Desk"])),
            created=at(-draw(st.integers(0, 3))),
            deleting=draw(st.sampled_from([False, False, False, True])),
        )
        for i in range(draw(st.integers(0, 6)))
    ]


class World:
    """Three accounts of one namespace, some of them linked."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.accounts = {name: draw(accounts(name)) for name in NAMES}
        self.numbers = {name: draw(numbers_of(name)) for name in NAMES}
        self.pairs: list[tuple[Interlink, Interlink]] = []
        for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
            if draw(st.booleans()):
                options: dict[str, Any] = {
                    "sharing": draw(st.none() | SHARINGS),
                    "dial_prefix": draw(st.sampled_from([None, "8", "1"])),
                }
                here = interlink(f"{one}-to-{other}", one, gate="Open", **options)
                there = interlink(f"{other}-to-{one}", other, gate="Open", redeem="key", **options)
                self.pairs.append((here, there))

    def snapshot(self, name: str) -> AccountSnapshot:
        links = []
        for pair in self.pairs:
            for ours, theirs in (pair, pair[::-1]):
                if ours.spec.account_ref.name == name:
                    peer = theirs.spec.account_ref.name
                    links.append(link_between(ours, theirs, self.accounts[peer], self.numbers[peer]))
        own = self.accounts[name]
        wanted = wanted_domain(own, SUFFIX)
        rivals = [
            a for n, a in self.accounts.items() if n != name and wanted in (a.spec.sip_domain, a.status.sip_domain)
        ]
        return snapshot(own, *self.numbers[name], links=tuple(links), rivals=tuple(rivals))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    return World(draw)


def facts_of(plan: Plan) -> object:
    return plan.actions, {u.target: u.status for u in plan.statuses}, plan.requeue


@settings(deadline=None)
@given(worlds(), st.sampled_from(NAMES))
def test_a_carried_out_plan_leaves_nothing_to_do(world: World, name: str) -> None:
    rounds = [world.snapshot(name)]
    for _ in range(3):
        rounds.append(applied(rounds[-1], planned(rounds[-1])))
    assert all(planned(done).actions == () for done in rounds[1:]), "actions are done in one round"
    assert rounds[-1] == rounds[-2], "statuses need two at most: to give up and to take over"


@settings(deadline=None)
@given(worlds(), st.sampled_from(NAMES), st.data())
def test_the_order_of_what_is_known_does_not_matter(world: World, name: str, data: st.DataObject) -> None:
    before = settled(world.snapshot(name))
    moved = replace(before, numbers=before.numbers[1:])
    shuffled = replace(
        moved,
        numbers=tuple(data.draw(st.permutations(moved.numbers))),
        links=tuple(data.draw(st.permutations(moved.links))),
        slices=tuple(data.draw(st.permutations(moved.slices))),
    )
    assert facts_of(planned(shuffled)) == facts_of(planned(moved))


def disguised(n: InternalNumber) -> InternalNumber:
    """Return another number in all but its digits, if it is private."""
    if n.spec.visibility == "Shared":
        return n
    return n.model_copy(update={"spec": n.spec.model_copy(update={"display_name": "Vault", "destination": None})})


@settings(deadline=None)
@given(worlds())
def test_a_private_number_leaves_no_trace_with_anybody_else(world: World) -> None:
    """What is planned for b and c is the same whatever a's private numbers are, and without them."""
    taken: set[str] = set()
    for n in list(world.numbers["a"]):
        if n.spec.number in taken or (n.status.number or "") in taken:
            world.numbers["a"].remove(n)
        taken |= {n.spec.number, n.status.number or n.spec.number}
    before = {name: facts_of(planned(world.snapshot(name))) for name in ("b", "c")}
    everything = world.numbers["a"]
    for variant in (map(disguised, everything), (n for n in everything if n.spec.visibility == "Shared")):
        world.numbers["a"] = list(variant)
        assert {name: facts_of(planned(world.snapshot(name))) for name in ("b", "c")} == before


def test_links_are_not_transitive() -> None:
    """B and C are both linked to A and see A's numbers, never each other's."""
    numbers = {"a": [number("100", "a")], "b": [number("200", "b")], "c": [number("300", "c")]}
    a_b, b_a = interlink("a-b", "a"), interlink("b-a", "b", redeem="key")
    a_c, c_a = interlink("a-c", "a"), interlink("c-a", "c", redeem="key")
    seen = {
        "a": [link_between(a_b, b_a, account("b"), numbers["b"]), link_between(a_c, c_a, account("c"), numbers["c"])],
        "b": [link_between(b_a, a_b, account("a"), numbers["a"])],
        "c": [link_between(c_a, a_c, account("a"), numbers["a"])],
    }
    reached = {
        name: {
            row.number
            for part in settled(snapshot(account(name), *numbers[name], links=tuple(seen[name]))).slices
            for row in part.spec.rows
        }
        for name in NAMES
    }
    assert reached == {"a": {"100", "200", "300"}, "b": {"100", "200"}, "c": {"100", "300"}}


@pytest.mark.parametrize("seconds", [0, 119, 120])
def test_the_clock_moves_nothing_but_patience(seconds: int) -> None:
    before = settled(snapshot(account(), number("200"), links=(linked("x", "300"),)))
    moments = [applied(before, planned(before, at(s))) for s in (0, seconds)]
    assert all(one == other for one, other in pairwise([before, *moments]))
