"""Every way that a number can go is explained step by step, and the steps agree with what decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx_operator.domain.dialplan.emergency import emergency_numbers
from pbx_operator.domain.numbering.explanation import Step, explain
from pbx_operator.domain.numbering.patterns import PatternError
from pbx_operator.domain.numbering.rules import Dialing, NumberingRule, translate

FR = Dialing("FR", "0", "00", "0")
RULES = (
    NumberingRule("^9$", "Rewrite", "200", "reception"),
    NumberingRule("^2([0-9]{2})$", "Rewrite", "82$1"),
    NumberingRule("^0?(00|[+])44", "Block", None, "no calls to Britain"),
    NumberingRule("^[*]0$", "Rewrite", ""),
    NumberingRule("^666$", "Rewrite", "0112"),
    NumberingRule("^0?17$", "Rewrite", "15"),
    NumberingRule("^18$", "Rewrite", "2018"),
)


def steps(number: str, rules: tuple[NumberingRule, ...] = RULES, dialing: Dialing = FR) -> list[tuple[str, str, str]]:
    """Return the steps but for the rules that do not match."""
    told = explain(number, rules, dialing, emergency_numbers(dialing.country)).steps
    return [(step.by, step.effect, step.explanation) for step in told if step.effect != "NoMatch"]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (
            "9",
            [
                (
                    "numberingRules[0]",
                    "Rewrite",
                    'match "^9$" is found, and replace "200" makes it 200 (reception)',
                ),
                ("PBX", "AsItIs", "gets 200, and calls it"),
            ],
        ),
        (
            "+442079460123",
            [
                (
                    "numberingRules[2]",
                    "Block",
                    'match "^0?(00|[+])44" is found, and nothing is dialled (no calls to Britain)',
                )
            ],
        ),
        (
            "*0",
            [
                (
                    "numberingRules[3]",
                    "Rewrite",
                    'match "^[*]0$" is found, and replace "" leaves nothing, so nothing is dialled',
                )
            ],
        ),
        (
            "+33123456789",
            [
                (
                    "DefaultAnalysis",
                    "National",
                    'a number of FR: outboundPrefix "0", nationalPrefix "0", 123456789 make 00123456789',
                ),
                (
                    "PBX",
                    "OutsideLine",
                    'gets 00123456789, which begins with outboundPrefix "0":'
                    " takes an outside line and calls 0123456789",
                ),
            ],
        ),
        (
            "004930123456",
            [
                (
                    "DefaultAnalysis",
                    "International",
                    'a number of another country than FR: outboundPrefix "0", internationalPrefix "00", 4930123456'
                    " make 0004930123456",
                ),
                (
                    "PBX",
                    "OutsideLine",
                    'gets 0004930123456, which begins with outboundPrefix "0":'
                    " takes an outside line and calls 004930123456",
                ),
            ],
        ),
        (
            "0112",
            [
                (
                    "DefaultAnalysis",
                    "AsTyped",
                    "neither a number of FR nor one of another country, so it stays as it was typed",
                ),
                (
                    "PBX",
                    "OutsideLine",
                    'gets 0112, which begins with outboundPrefix "0": takes an outside line and calls 112',
                ),
                ("EmergencyNumber", "Called", "112 is an emergency number"),
            ],
        ),
    ],
)
def test_what_happens_is_told(number: str, expected: list[tuple[str, str, str]]) -> None:
    assert steps(number) == expected


@pytest.mark.parametrize(
    ("number", "effect", "explanation"),
    [
        ("666", "Called", "112 is an emergency number"),
        ("017", "Called", "15 is an emergency number, although 17 was dialled"),
        ("18", "NotCalled", "18 is an emergency number, and is not called"),
    ],
)
def test_what_becomes_of_emergency_numbers_comes_last(number: str, effect: str, explanation: str) -> None:
    assert steps(number)[-1] == ("EmergencyNumber", effect, explanation)


def test_a_blocked_emergency_number_is_not_called() -> None:
    blocked = explain("112", [NumberingRule("^112$", "Block")], FR, emergency_numbers("FR"))
    assert (blocked.called, blocked.emergency, blocked.steps[-1].effect) == (None, "112", "NotCalled")


def test_prefixes_that_there_are_not_are_not_told() -> None:
    assert steps("+33123456789", (), Dialing("FR", "", "", "")) == [
        ("DefaultAnalysis", "National", "a number of FR: 123456789, with no prefix"),
        ("PBX", "AsItIs", "gets 123456789, and calls it"),
    ]


def test_a_pbx_that_gets_its_prefix_alone_calls_nothing() -> None:
    told = explain("0", (), FR, emergency_numbers("FR"))
    assert (told.outcome.dialled, told.called) == ("0", None)
    assert told.steps[-1].explanation.endswith("takes an outside line and calls nothing")


def test_rules_before_the_one_that_decides_did_not_match_and_later_ones_are_not_tried() -> None:
    told = explain("211", RULES, FR, emergency_numbers("FR"))
    assert told.steps[0] == Step("numberingRules[0]", "NoMatch", 'match "^9$" is not found in 211')
    assert [step.by for step in told.steps] == ["numberingRules[0]", "numberingRules[1]", "PBX"]


@given(st.text("0123456789*#+", min_size=1, max_size=16))
def test_it_is_the_outcome_of_the_table(number: str) -> None:
    told = explain(number, RULES, FR, emergency_numbers("FR"))
    assert told.outcome == translate(number, RULES, FR)
    assert told.outcome.by in [step.by for step in told.steps]


def test_rules_that_do_not_compile_are_not_explained() -> None:
    with pytest.raises(PatternError):
        explain("1", [NumberingRule("(", "Block")], FR, emergency_numbers("FR"))
