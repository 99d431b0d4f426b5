"""Dialling: who gets the call and why, answered from published slices and gates alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import account, at, interlink, linked, number, settled, sharing, snapshot
from pbx_operator.api.meta import Condition
from pbx_operator.api.v1alpha1 import Interlink, InternalNumber
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.domain.accounts.plan import AccountSnapshot
from pbx_operator.domain.dialplan.offers import EstablishedLink
from pbx_operator.domain.dialplan.reader import Answer, DialPlan, PrefixProblem, Why


def plan_of(before: AccountSnapshot, interlinks: Sequence[Interlink] | None = None) -> DialPlan:
    now = settled(before)
    assert now.account is not None
    return DialPlan(
        now.account, now.slices, [link.interlink for link in now.links] if interlinks is None else interlinks
    )


def dial(digits: str, *numbers: InternalNumber, links: tuple[EstablishedLink, ...] = (), **options: Any) -> Answer:
    return plan_of(snapshot(account(**options), *numbers, links=links)).answer(digits)


def reasons(answer: Answer) -> list[tuple[str, Why]]:
    return [(p.interlink, p.why) for p in answer.passed_over]


class TestOwnNumbers:
    def test_an_own_number(self) -> None:
        answer = dial("200", number("200", display_name="Reception"))
        assert (answer.outcome, answer.number, answer.display_name) == ("Own", "200", "Reception")
        assert answer.destination is not None
        assert answer.destination.to_json() == {"type": "Phone", "phone": {"username": "n200"}}
        assert "own number" in answer.explanation

    def test_a_private_number_rings_at_home(self) -> None:
        assert dial("200", number("200", visibility="Private")).outcome == "Own"

    def test_a_free_number_is_held_but_rings_nowhere(self) -> None:
        answer = dial("200", number("200", destination=None))
        assert (answer.outcome, answer.destination) == ("Own", None)
        assert "free" in answer.explanation

    @pytest.mark.parametrize("digits", ["20", "2000", "0200", "#200", ""])
    def test_nothing_but_the_whole_number_matches(self, digits: str) -> None:
        assert dial(digits, number("200")) == Answer(digits, "NoMatch")


class TestEmergency:
    def test_it_comes_first(self) -> None:
        answer = dial("17", links=(linked("x", "17"),), country="FR")
        assert answer == Answer("17", "Emergency")
        assert "emergency" in answer.explanation

    def test_no_prefix_spells_one(self) -> None:
        links = (linked("x", "11", "12", dial_prefix="9"),)
        assert dial("911", links=links).outcome == "Emergency"
        assert dial("912", links=links).interlink == "x"


class TestPeers:
    def test_a_peer_s_number(self) -> None:
        answer = dial("300", links=(linked("x", "300=Tim"),))
        assert (answer.outcome, answer.interlink, answer.target) == ("Peer", "x", "300@x.peers.example")
        assert (answer.number, answer.display_name, answer.destination) == ("300", "Tim", None)
        assert "Interlink x" in answer.explanation

    @pytest.mark.parametrize("visibility", ["Shared", "Private"])
    def test_the_own_number_hides_it(self, visibility: Any) -> None:
        answer = dial("300", number("300", visibility=visibility), links=(linked("x", "300"),))
        assert (answer.outcome, reasons(answer)) == ("Own", [("x", Why.HIDDEN)])
        assert "a dialPrefix on its Interlink would reach it" in answer.passed_over[0].detail

    def test_the_dial_prefix_reaches_a_hidden_number(self) -> None:
        links = (linked("x", "300", dial_prefix="8"),)
        assert "dial 8300 to reach it" in dial("300", number("300"), links=links).passed_over[0].detail
        answer = dial("8300", number("300"), links=links)
        assert (answer.outcome, answer.number, answer.target) == ("Peer", "300", "300@x.peers.example")

    def test_an_own_number_hides_prefixed_digits_too(self) -> None:
        answer = dial("8300", number("8300"), links=(linked("x", "300", dial_prefix="8"),))
        assert (answer.outcome, reasons(answer)) == ("Own", [("x", Why.HIDDEN)])
        assert "dial 300 to reach it" in answer.passed_over[0].detail

    def test_the_longest_prefix_wins(self) -> None:
        links = (linked("long", "00", dial_prefix="83"), linked("short", "300", dial_prefix="8", priority=0))
        answer = dial("8300", links=links)
        assert (answer.interlink, answer.ambiguous, reasons(answer)) == ("long", True, [("short", Why.OUTRANKED)])

    def test_a_prefix_comes_before_a_plain_number(self) -> None:
        links = (linked("plain", "8300", priority=0), linked("prefixed", "300", dial_prefix="8"))
        assert dial("8300", links=links).interlink == "prefixed"

    def test_priority_then_age_then_key_id(self) -> None:
        first = linked("first", "300", priority=1, established=at(0))
        old = linked("old", "300", established=at(-9))
        young = replace(linked("young", "300", established=at(-5)), key_id="b" * 16)
        twin = replace(linked("twin", "300", established=at(-5)), key_id="a" * 16)
        answer = dial("300", links=(young, old, first, twin))
        assert answer.interlink == "first"
        assert [name for name, _ in reasons(answer)] == ["old", "twin", "young"]

    def test_a_number_that_is_not_offered_looks_like_no_number(self) -> None:
        links = (linked("x", "300"),)
        assert replace(dial("301", links=links), digits="999") == dial("999", links=links)


class TestGates:
    def test_a_closed_gate_is_explained(self) -> None:
        calls = Condition(
            type="CallsAllowed",
            status="False",
            reason="ClosedByPeer",
            message="the peer closed its gate",
            last_transition_time=at(0),
        )
        link = linked("x", "300", status=InterlinkStatus(gate="Closed", conditions=(calls,)))
        answer = dial("300", links=(link,))
        assert (answer.outcome, reasons(answer)) == ("NoMatch", [("x", Why.CLOSED)])
        assert answer.passed_over[0].detail == "the gate of Interlink x is closed: the peer closed its gate"
        assert answer.explanation == f"no own number, and {answer.passed_over[0].detail}"
        assert "gate" not in dial("301", links=(link,)).explanation

    def test_the_next_open_gate_gets_the_call(self) -> None:
        links = (linked("shut", "300", priority=1, gate="Closed"), linked("open", "300", priority=2))
        answer = dial("300", links=links)
        assert (answer.interlink, reasons(answer)) == ("open", [("shut", Why.CLOSED)])

    @pytest.mark.parametrize(
        ("interlinks", "obstacle"),
        [
            ([], "does not exist"),
            ([interlink("x", "other", gate="Open")], "does not exist"),
            ([interlink("x", namespace="elsewhere", gate="Open")], "does not exist"),
            ([interlink("x", gate="Open", deleting=True)], "is being deleted"),
            ([interlink("x")], "is closed"),
        ],
    )
    def test_rows_need_an_interlink_that_is_there_and_open(self, interlinks: list[Interlink], obstacle: str) -> None:
        plan = plan_of(snapshot(account(), links=(linked("x", "300"),)), interlinks)
        answer = plan.answer("300")
        assert answer.outcome == "NoMatch"
        assert obstacle in answer.passed_over[0].detail


def established(name: str, *numbers: str, refused: str = "", warned: str = "", **options: Any) -> EstablishedLink:
    """Return a link as the operator shows it; `refused` or `warned` is what it says of the dialPrefix."""
    verdict = Condition(
        type="Accepted",
        status="False" if refused else "True",
        reason="DialPrefixEmergency" if refused or warned else "Accepted",
        message=refused or warned or "accepted",
        last_transition_time=at(0),
    )
    status = InterlinkStatus(state="Established", gate="Open", conditions=(verdict,))
    return linked(name, *numbers, status=status, **options)


def unheard(name: str) -> Interlink:
    """Return a link whose peer, in another cluster, has not said anything yet."""
    calls = Condition(
        type="CallsAllowed",
        status="False",
        reason="PeerNotHeard",
        message="nothing has been heard of the peer yet; wait two minutes",
        last_transition_time=at(0),
    )
    return interlink(name, status=InterlinkStatus(state="Established", gate="Closed", conditions=(calls,)))


class TestMisses:
    """An answer without a match says what was looked at, and nothing that it cannot know."""

    @pytest.mark.parametrize("links", [[], [interlink("pending")]])
    def test_without_a_link(self, links: list[Interlink]) -> None:
        answer = plan_of(snapshot(account()), links).answer("400")
        assert answer.explanation == "no own number, and no link is established"

    def test_with_one_link(self) -> None:
        answer = dial("400", links=(established("x", "300"),))
        assert answer.explanation == (
            "no own number, and the peer behind Interlink x does not share it; links are not transitive"
        )

    def test_with_several_links(self) -> None:
        links = [established("x").interlink, established("y").interlink, interlink("pending")]
        answer = plan_of(snapshot(account()), links).answer("400")
        assert (answer.outcome, answer.linked) == ("NoMatch", ("x", "y"))
        assert answer.explanation == (
            "no own number, and none of the 2 linked peers shares it; links are not transitive"
        )

    def test_a_peer_that_was_not_heard_may_share_it(self) -> None:
        answer = plan_of(snapshot(account()), [unheard("x")]).answer("400")
        assert answer.explanation == (
            "no own number, and it is not known what the peer behind Interlink x shares: "
            "nothing has been heard of the peer yet; wait two minutes (`kubectl describe interlink x -n default`)"
        )
        assert answer.linked == ()

    def test_of_several_one_is_named(self) -> None:
        known = established("w", "300").interlink
        answer = plan_of(snapshot(account(), links=(established("w", "300"),)), [known, unheard("x"), unheard("y")])
        miss = answer.answer("400")
        assert miss.explanation.startswith(
            "no own number, and it is not known what the peer behind Interlink x and 1 more shares"
            "; no other linked peer shares it: nothing has been heard"
        )
        assert (miss.linked, [offer.interlink.name for offer in miss.unknown]) == (("w",), ["x", "y"])
        assert answer.answer("300").unknown == (), "what is reached needs no excuse"

    def test_a_link_that_is_being_deleted_or_says_nothing_yet(self) -> None:
        going = interlink("x", deleting=True, status=InterlinkStatus(state="Established", gate="Open"))
        mute = interlink("x", status=InterlinkStatus(state="Established", gate="Closed"))
        plans = [plan_of(snapshot(account()), [link]).answer("400") for link in (going, mute)]
        assert [offer.detail for answer in plans for offer in answer.unknown] == [
            "Interlink x is being deleted",
            "the gate of Interlink x is closed",
        ]

    def test_of_a_peer_whose_numbers_are_published_it_is_known_whatever_its_gate(self) -> None:
        link = replace(established("x", "300"), interlink=unheard("x"))
        answer = plan_of(snapshot(account(), links=(link,))).answer("400")
        assert (answer.linked, answer.unknown) == (("x",), ())
        assert answer.explanation.endswith("Interlink x does not share it; links are not transitive")

    def test_a_peer_that_shares_nothing_is_known_by_its_open_gate(self) -> None:
        answer = plan_of(snapshot(account(), links=(established("x"),))).answer("400")
        assert (answer.linked, answer.unknown) == (("x",), ())

    def test_links_of_other_accounts_do_not_count(self) -> None:
        others = [
            established("x", account="other").interlink,
            established("y", namespace="elsewhere").interlink,
        ]
        assert plan_of(snapshot(account()), others).answer("400").linked == ()


class TestPrefixProblems:
    def test_a_refused_prefix_is_told_to_those_who_dial_it(self) -> None:
        link = established("x", "300", dial_prefix="8", refused="dialPrefix 8 is taken")
        plan = plan_of(snapshot(account()), [link.interlink])
        answer = plan.answer("8300")
        assert answer.outcome == "NoMatch"
        assert answer.prefix_problems == (PrefixProblem("x", "8", "dialPrefix 8 is taken"),)
        assert plan.answer("300").prefix_problems == ()

    def test_it_is_told_beside_a_peer_s_answer_too(self) -> None:
        links = (established("x", "300", dial_prefix="8", refused="beware"), established("y", "8300", priority=0))
        assert [p.interlink for p in dial("8300", links=links).prefix_problems] == ["x"]

    def test_what_comes_before_every_link_has_no_such_problem(self) -> None:
        links = (established("x", "12", "300", dial_prefix="1", refused="beware"),)
        own = dial("1300", number("1300"), links=links)
        assert (own.outcome, own.prefix_problems) == ("Own", ())
        assert dial("112", links=links).prefix_problems == ()

    def test_a_warning_is_told_only_if_nothing_is_reached(self) -> None:
        links = (established("x", "300", dial_prefix="1", warned="112 does not lead to the peer"),)
        assert [p.detail for p in dial("125", links=links).prefix_problems] == ["112 does not lead to the peer"]
        assert dial("1300", links=links).prefix_problems == ()

    def test_an_accepted_prefix_has_none(self) -> None:
        assert dial("8999", links=(established("x", "300", dial_prefix="8"),)).prefix_problems == ()

    def test_a_link_that_nobody_has_judged_yet_has_none(self) -> None:
        assert dial("8999", links=(linked("x", "300", dial_prefix="8"),)).prefix_problems == ()


class TestTrust:
    def test_only_slices_that_the_account_owns_count(self) -> None:
        now = settled(snapshot(account(), number("200")))
        assert now.account is not None
        recreated = account(uid="another life")
        assert DialPlan(recreated, now.slices, ()).answer("200").outcome == "NoMatch"
        elsewhere = account(namespace="elsewhere", uid=now.account.metadata.uid)
        assert DialPlan(elsewhere, now.slices, ()).answer("200").outcome == "NoMatch"

    def test_offer_slices_are_not_for_dialling(self) -> None:
        links = (linked("x", sharing=sharing("200")),)
        now = settled(snapshot(account(), number("200"), links=links))
        assert now.account is not None
        without_own = [s for s in now.slices if s.metadata.name != "a.own"]
        assert DialPlan(now.account, without_own, [links[0].interlink]).answer("200").outcome == "NoMatch"


# --- against an independent reading of the rules ----------------------------------------------------------------

NUMBERS = st.sampled_from(["1", "2", "11", "12", "112", "21", "200", "2112"])
PREFIXES = st.sampled_from([None, "1", "1", "2", "11", "*"])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[str], list[EstablishedLink]]:
    own = draw(st.sets(NUMBERS.filter(lambda n: n != "112"), max_size=3))
    links = [
        linked(
            f"l{i}",
            *sorted(draw(st.sets(NUMBERS, max_size=4))),
            dial_prefix=draw(PREFIXES),
            priority=draw(st.sampled_from([1, 2])),
            established=at(draw(st.integers(0, 2))),
            gate=draw(st.sampled_from(["Open", "Open", "Closed"])),
        )
        for i in range(draw(st.integers(0, 5)))
    ]
    return sorted(own), links


def expected(digits: str, own: list[str], links: list[EstablishedLink]) -> tuple[str, str | None, str | None]:
    """Say who gets the call by the words of the rules, without slices."""
    if digits in ("112", "911"):
        return "Emergency", None, None
    if digits in own:
        return "Own", digits, None
    by_age = sorted(links, key=lambda link: (link.established, link.key_id))
    offers = {link.interlink.metadata.name: {n.number for n in link.offer.numbers} for link in links}
    candidates: list[tuple[tuple[Any, ...], str, str]] = []
    taken: set[str] = set()
    for age, link in enumerate(by_age):
        name, prefix = link.interlink.metadata.name, link.interlink.spec.dial_prefix
        mine = prefix is not None and prefix not in taken
        taken |= {prefix} if prefix else set()
        if link.interlink.status.gate != "Open":
            continue
        if prefix and mine and digits.removeprefix(prefix) in offers[name] and digits.startswith(prefix):
            candidates.append(((0, -len(prefix), age), name, digits.removeprefix(prefix)))
        if digits in offers[name]:
            candidates.append(((1, link.interlink.spec.priority, age), name, digits))
    if not candidates:
        return "NoMatch", None, None
    _, name, reached = min(candidates)
    return "Peer", reached, name


@settings(deadline=None)
@given(worlds())
def test_slices_say_what_the_rules_say(world: tuple[list[str], list[EstablishedLink]]) -> None:
    own, links = world
    plan = plan_of(snapshot(account(), *(number(n) for n in own), links=tuple(links)))
    numbers = {"1", "2", "11", "12", "112", "21", "200", "2112", "911"}
    for digits in numbers | {p + n for p in ("1", "2", "11", "*") for n in numbers}:
        answer = plan.answer(digits)
        assert (answer.outcome, answer.number, answer.interlink) == expected(digits, own, links), digits
