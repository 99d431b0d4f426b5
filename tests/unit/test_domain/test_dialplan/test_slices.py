"""Slices: what is published, how it is cut, and in which order it changes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    account,
    at,
    changed,
    interlink,
    link_between,
    linked,
    number,
    planned,
    reach,
    settled,
    sharing,
    slice_steps,
    snapshot,
)
from pbx_operator.api.meta import OwnerReference
from pbx_operator.api.v1alpha1 import DialPlanSlice
from pbx_operator.api.v1alpha1.pbxaccount import Emergency, Numbering
from pbx_operator.api.v1alpha1.shared import Sharing
from pbx_operator.domain.accounts.plan import AccountSnapshot
from pbx_operator.domain.dialplan.emergency import Dialing, Protection
from pbx_operator.domain.dialplan.slices import OwnLine, split


def published(before: AccountSnapshot) -> dict[str, DialPlanSlice]:
    return {s.metadata.name: s for s in settled(before).slices}


def rows(part: DialPlanSlice) -> list[dict[str, object]]:
    return [row.to_json() for row in part.spec.rows]


def written(before: AccountSnapshot) -> list[str]:
    return slice_steps(planned(before))


class TestOwn:
    def test_an_account_without_numbers_publishes_its_emergency_numbers(self) -> None:
        parts = published(snapshot(account(country="FR")))
        assert list(parts) == ["a.own"]
        assert parts["a.own"].spec.emergency_numbers == ("112", "15", "17", "18", "911")
        assert parts["a.own"].spec.rows == ()

    def test_own_rows(self) -> None:
        numbers = (
            number("200", display_name="Reception"),
            number("201", visibility="Private"),
            number("42", destination=None),
        )
        own = published(snapshot(account(), *numbers))["a.own"]
        assert own.spec.source.to_json() == {"type": "Own"}
        assert rows(own) == [
            {
                "number": "200",
                "displayName": "Reception",
                "destination": {"type": "Phone", "phone": {"username": "n200"}},
                "offered": "All",
            },
            {
                "number": "201",
                "destination": {"type": "Phone", "phone": {"username": "n201"}},
                "offered": "None",
            },
            {"number": "42", "offered": "All"},
        ]

    def test_offered_follows_the_account_s_sharing(self) -> None:
        own = published(snapshot(account(sharing=sharing("200-299")), number("200"), number("300")))["a.own"]
        assert [(r.number, r.offered) for r in own.spec.rows] == [("200", "All"), ("300", "None")]

    def test_slices_belong_to_the_account(self) -> None:
        own = published(snapshot(account()))["a.own"]
        assert own.key.namespace == "default"
        assert own.metadata.owner_references == (
            OwnerReference(
                api_version="pbx-operator.io/v1alpha1", kind="PBXAccount", name="a", uid="account-default-a"
            ),
        )
        assert own.spec.account_ref.name == "a"

    def test_an_unknown_country_keeps_the_published_emergency_numbers(self) -> None:
        before = changed(snapshot(account(country="FR"), number("200")))
        assert before.account is not None
        spec = before.account.spec.model_copy(update={"country": "XX"})
        after = changed(before, account=before.account.model_copy(update={"spec": spec}))
        assert written(after) == []


class TestPeer:
    def test_plain_rows(self) -> None:
        parts = published(snapshot(account(), links=(linked("x", "300=Tim", "301", peer="tim"),)))
        assert sorted(parts) == ["a.own", "x.plain"]
        plain = parts["x.plain"]
        assert plain.spec.source.to_json() == {"type": "Peer", "interlink": "x", "class": "Plain"}
        assert rows(plain) == [
            {"number": "300", "displayName": "Tim", "dialed": "300", "target": "300@tim.peers.example"},
            {"number": "301", "dialed": "301", "target": "301@tim.peers.example"},
        ]

    def test_prefixed_rows(self) -> None:
        parts = published(snapshot(account(), links=(linked("x", "300", dial_prefix="8"),)))
        assert sorted(parts) == ["a.own", "x.plain", "x.prefixed"]
        prefixed = parts["x.prefixed"]
        assert prefixed.spec.source.to_json() == {"type": "Peer", "interlink": "x", "class": "Prefixed"}
        assert rows(prefixed) == [{"number": "300", "dialed": "8300", "target": "300@x.peers.example"}]

    def test_peers_numbers_equal_to_an_emergency_number_are_never_routed(self) -> None:
        owner = account(emergency=Emergency(additional_numbers=("1999",)))
        parts = published(snapshot(owner, links=(linked("x", "112", "999", "200", dial_prefix="1"),)))
        assert [r.number for r in parts["x.plain"].spec.rows] == ["200", "999"]
        assert [r.dialed for r in parts["x.prefixed"].spec.rows] == ["1112", "1200"]

    @pytest.mark.parametrize(
        ("dialing", "protection", "plain", "prefixed"),
        [
            ("EnBloc", "Enforce", ["1125", "25", "3"], ["1125", "111125", "113"]),
            ("DigitByDigit", "Enforce", ["25", "3"], ["111125", "113"]),
            ("DigitByDigit", "Warn", ["1125", "25", "3"], ["1125", "111125", "113"]),
        ],
    )
    def test_nor_are_digits_that_call_one_before_they_are_complete(
        self, dialing: Dialing, protection: Protection, plain: list[str], prefixed: list[str]
    ) -> None:
        """As own numbers they are refused or warned about in the same way."""
        numbering, emergency = Numbering(dialing=dialing), Emergency(protection=protection)
        owner = account(numbering=numbering, emergency=emergency)
        parts = published(snapshot(owner, links=(linked("x", "25", "3", "1125", dial_prefix="11"),)))
        assert sorted(r.number for r in parts["x.plain"].spec.rows) == plain
        assert {r.dialed for r in parts["x.prefixed"].spec.rows} == set(prefixed)

    def test_rows_are_published_whatever_the_gate(self) -> None:
        assert "x.plain" in published(snapshot(account(), links=(linked("x", "300", gate="Closed"),)))

    def test_a_link_without_numbers_needs_no_slice(self) -> None:
        assert list(published(snapshot(account(), links=(linked("x", dial_prefix="8"),)))) == ["a.own"]

    @pytest.mark.parametrize(
        ("prefix", "usable"), [("0", False), ("*", False), ("01", False), ("8", True), ("9", True)]
    )
    def test_a_prefix_may_not_collide_with_a_reserved_one(self, prefix: str, usable: bool) -> None:
        owner = account(numbering=Numbering(reserved_prefixes=("0", "*7")))
        parts = published(snapshot(owner, links=(linked("x", "300", dial_prefix=prefix),)))
        assert ("x.prefixed" in parts) == usable
        assert "x.plain" in parts

    @pytest.mark.parametrize(("older", "younger"), [("p", "q"), ("q", "p")])
    def test_of_equal_prefixes_the_older_link_keeps_it(self, older: str, younger: str) -> None:
        first = linked(older, "300", dial_prefix="8", established=at(-20))
        second = linked(younger, "400", dial_prefix="8", established=at(-10))
        parts = published(snapshot(account(), links=(second, first)))
        assert sorted(parts) == sorted(["a.own", f"{older}.plain", f"{older}.prefixed", f"{younger}.plain"])
        assert f"{younger}.prefixed" in published(snapshot(account(), links=(second,)))

    def test_ranks(self) -> None:
        """Own numbers, then longer prefixes, then priority, link age and key id; comparing text is enough."""
        links = (
            linked("long", "1", dial_prefix="88", priority=1000),
            linked("short", "2", dial_prefix="8", priority=1000),
            linked("first", "3", priority=7, established=at(-10)),
            linked("older", "4", established=at(-20)),
            linked("younger", "5", established=at(-10)),
        )
        parts = published(snapshot(account(), links=links))
        order = ["a.own", "long.prefixed", "short.prefixed", "first.plain", "older.plain", "younger.plain"]
        assert all(parts[low].spec.rank < parts[high].spec.rank for low, high in pairwise(order))


class TestOffer:
    def test_only_a_link_with_another_sharing_has_an_offer_slice(self) -> None:
        owner = account(sharing=sharing("200-299"))
        links = (
            linked("default", "1"),
            linked("same", "1", sharing=sharing("200-299")),
            linked("wide", "1", sharing=Sharing()),
            linked("closed", "1", sharing=Sharing(mode="None")),
        )
        numbers = (number("200"), number("300"), number("201", visibility="Private"))
        parts = published(snapshot(owner, *numbers, links=links))
        offers = {n: part for n, part in parts.items() if part.spec.source.type == "Offer"}
        assert {n: rows(part) for n, part in offers.items()} == {
            "closed.offer": [],
            "wide.offer": [{"number": "200"}, {"number": "300"}],
        }
        assert offers["wide.offer"].spec.source.interlink == "wide"

    def test_it_outlives_the_link_until_the_gate_is_shown_as_closed(self) -> None:
        """Without it the default applies, which may be more."""
        before = settled(snapshot(account(), number("200"), links=(linked("x", "1", sharing=sharing("300-399")),)))
        over = replace(before, links=(), open_gates=frozenset({"x"}))
        assert "-x.offer" not in slice_steps(planned(over))
        assert "-x.offer" in slice_steps(planned(replace(over, open_gates=frozenset())))


def lines(digits: Iterable[str]) -> list[OwnLine]:
    return [OwnLine(d) for d in sorted(digits)]


class TestSplit:
    def test_up_to_a_hundred_rows_are_one_group(self) -> None:
        assert [group for group, _ in split(lines(f"{n:03}" for n in range(100)))] == [""]

    def test_more_are_split_by_leading_digits(self) -> None:
        groups = {group: len(part) for group, part in split(lines(f"{n:03}" for n in range(150)))}
        assert groups == {"0": 100, "1": 50}

    def test_a_number_that_is_a_group_itself(self) -> None:
        digits = ["2", *(f"2{n}" for n in range(10)), *(f"2{n:02}" for n in range(100))]
        assert dict(split(lines(digits)))["2x"] == [OwnLine("2")]

    @settings(deadline=None)
    @given(st.sets(st.from_regex(r"[0-9]{1,4}", fullmatch=True), max_size=1500))
    def test_every_number_is_in_exactly_one_small_group_that_is_named_for_it(self, digits: set[str]) -> None:
        groups = list(split(lines(digits)))
        assert sorted(line.number for _, part in groups for line in part) == sorted(digits)
        assert all(0 < len(part) <= 100 for _, part in groups)
        names = [group for group, _ in groups]
        assert len(names) == len(set(names))
        assert all(re.fullmatch("[0-9]*x?", name) for name in names)
        assert all(f"{line.number}x".startswith(group) for group, part in groups for line in part)

    def test_all_numbers_fit(self) -> None:
        everything = [f"{n:0{length}}" for length in (1, 2, 3, 4) for n in range(10**length)]
        assert max(len(part) for _, part in split(lines(everything))) <= 100

    def test_one_more_number_rewrites_one_slice(self) -> None:
        numbers = [number(f"{n}") for n in range(1000, 1400)]
        before = changed(snapshot(account(), *numbers))
        after = changed(before, numbers=(*before.numbers, number("1450")))
        assert written(after) == ["+a.own.14"]
        again = changed(after, numbers=(*settled(after).numbers, number("1451")))
        assert written(again) == ["+a.own.14"]

    def test_the_first_own_slice_keeps_the_emergency_numbers(self) -> None:
        parts = published(snapshot(account(), *(number(f"{n}") for n in range(2000, 2101))))
        assert parts["a.own"].spec.rows == ()
        assert [n for n, part in parts.items() if part.spec.emergency_numbers] == ["a.own"]


def test_what_one_side_publishes_the_other_side_answers() -> None:
    """Every row that a peer publishes about us is one that our slices let its link reach."""
    ours = account("a", sharing=sharing("200-299"))
    numbers = [number("200"), number("201", visibility="Private"), number("300"), number("310")]
    there, here = interlink("there", "b", redeem="key"), interlink("here", "a", sharing=sharing("300-309"))
    seen_there = link_between(there, here, ours, numbers)
    seen_here = link_between(here, there, account("b"), [])
    plan_b = published(snapshot(account("b"), links=(seen_there,)))
    plan_a = published(snapshot(ours, *numbers, links=(seen_here,)))
    assert {r.number for r in plan_b["there.plain"].spec.rows} == reach(plan_a.values(), "here") == {"300"}
