"""Dial prefixes: what is said about those that meet an emergency number, and what they reach."""

from __future__ import annotations

from typing import Any

import pytest

from builders import account, account_status_of, linked, number, planned, settled, shown, snapshot
from pbx_operator.api.v1alpha1.pbxaccount import Emergency, Numbering
from pbx_operator.domain.dialplan.emergency import emergency_numbers, never_routed
from pbx_operator.domain.dialplan.prefixes import prefix_verdict, usable_prefixes
from pbx_operator.domain.dialplan.reader import DialPlan

SPELLS = "followed by 2 is the emergency number 112, so it never reaches a peer's number 2"
STARTS = "starts with the emergency number 112, so dialing it may call the emergency service"
NOT_USED = "; it is not used, and the peer's numbers are dialled as they are"
USED = "; it is used all the same"


@pytest.mark.parametrize(
    ("prefix", "options", "status", "problem"),
    [
        ("112", {}, "False", f"{STARTS}: choose another dialPrefix{NOT_USED}"),
        ("112", {"emergency": Emergency(protection="Warn")}, "True", f"{STARTS}: choose another dialPrefix{USED}"),
        ("11", {}, "True", f"{SPELLS}: choose another dialPrefix if you can{USED}"),
        (
            "11",
            {"numbering": Numbering(dialing="DigitByDigit")},
            "True",
            f"{SPELLS}, nor any that starts with it: choose another dialPrefix if you can{USED}",
        ),
    ],
    ids=["refused", "tolerated", "useless for a number", "useless for the numbers behind it"],
)
def test_what_is_wrong_with_a_prefix(prefix: str, options: dict[str, Any], status: str, problem: str) -> None:
    """Refused and warned about are two things: what is refused is not used."""
    verdict = prefix_verdict(account(**options), prefix)
    assert (verdict.status, verdict.reason.name) == (status, "DialPrefixEmergency")
    assert verdict.message == f'dialPrefix "{prefix}" {problem}'
    links = [linked("x", "200", dial_prefix=prefix)]
    assert (usable_prefixes(account(**options), links) == {"x": prefix}) == (status == "True")


def test_nine_is_the_beginning_of_911_and_used_all_the_same() -> None:
    verdict = prefix_verdict(account(country="FR"), "9")
    assert (verdict.status, verdict.reason.name) == ("True", "DialPrefixEmergency")
    assert "followed by 11 is the emergency number 911" in verdict.message


def test_a_prefix_without_problems_is_accepted() -> None:
    assert prefix_verdict(account(country="FR"), "8").reason.name == "Accepted"


@pytest.mark.parametrize(
    ("digits", "en_bloc", "digit_by_digit"),
    [("112", True, True), ("1123", False, True), ("15", True, True), ("150", False, True), ("11", False, False)],
)
def test_digits_that_lead_to_no_number(digits: str, en_bloc: bool, digit_by_digit: bool) -> None:
    assert never_routed(digits, emergency_numbers("FR"), digit_by_digit=False) == en_bloc
    assert never_routed(digits, emergency_numbers("FR"), digit_by_digit=True) == digit_by_digit


@pytest.mark.parametrize(
    ("own", "options"),
    [("8200", {}), ("300", {"emergency": Emergency(additional_numbers=("8200",))})],
    ids=["by another own number", "by an emergency number"],
)
def test_a_prefix_that_is_hidden_itself_reaches_nothing(own: str, options: dict[str, Any]) -> None:
    links = (linked("x", "200", dial_prefix="8"),)
    before = snapshot(account(**options), number("200"), number(own), links=links)
    assert shown(account_status_of(planned(before)), "Conflicted") == ("True", "NumbersShadowed")
    plan = DialPlan(account(), settled(before).slices, [links[0].interlink])
    assert {plan.answer(digits).interlink for digits in ("200", "8200")} == {None}
