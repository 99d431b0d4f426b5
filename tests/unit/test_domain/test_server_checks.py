"""What of a CommServer's spec is refused, or accepted with a warning, and what its table of typical numbers shows."""

from __future__ import annotations

from typing import Any

import pytest

from builders import account
from pbx_operator.domain.servers.checks import judge_spec
from pbx_operator.domain.servers.status import in_force
from server_builders import commserver


def block(match: str) -> dict[str, Any]:
    return {"match": match, "action": "Block"}


def dialing(country: str, outbound: str | None = None) -> dict[str, Any]:
    return {"country": country, **({"outboundPrefix": outbound} if outbound else {})}


@pytest.mark.parametrize(
    ("spec", "reason", "told"),
    [
        pytest.param({"dialing": dialing("XX")}, "UnknownCountry", 'spec.dialing.country "XX"', id="no country"),
        pytest.param(
            {"numberingRules": [block("^18$")]},
            "EmergencyCall",
            "blocks the emergency number 18",
            id="the vendor's own example in France",
        ),
        pytest.param(
            {"dialing": dialing("FR", "0"), "numberingRules": [block("^0112$")]},
            "EmergencyCall",
            'blocks the emergency number 112 behind the outboundPrefix "0"',
            id="an emergency number behind the outside line",
        ),
        pytest.param(
            {"numberingRules": [{"match": "^1", "action": "Rewrite", "replace": "one"}]},
            "InvalidNumberingRule",
            '"e" cannot be dialled',
            id="letters",
        ),
        pytest.param({"dialing": dialing("AU", "0")}, "EmergencyCall", "000", id="an outside line that swallows 000"),
        pytest.param({"dialing": dialing("US", "9")}, "EmergencyCall", "911", id="an outside line that swallows 911"),
        pytest.param(
            {"numberingRules": [block("^(")]}, "InvalidNumberingRule", "numberingRules[0].match", id="no pattern"
        ),
    ],
)
def test_refused(spec: dict[str, Any], reason: str, told: str) -> None:
    judged = judge_spec(commserver(**spec), None)
    assert judged.refusal is not None
    assert (judged.refusal.type, judged.refusal.status, judged.refusal.reason.name) == ("Ready", "False", reason)
    assert (judged.accepted.status, judged.accepted.message) == ("False", judged.refusal.message)
    assert told in judged.refusal.message


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"dialing": dialing("NL"), "numberingRules": [block("^18$")]}, id="18 is no emergency in NL"),
        pytest.param(
            {"numberingRules": [block("^18$")], "acknowledgedEmergencyNumbers": ["18"]}, id="blocked on purpose"
        ),
        pytest.param({"dialing": dialing("FR", "0")}, id="the usual outside line"),
    ],
)
def test_accepted(spec: dict[str, Any]) -> None:
    judged = judge_spec(commserver(**spec), None)
    assert (judged.refusal, judged.accepted.status) == (None, "True")
    assert {row.kind for row in judged.translations} >= {"Internal", "National", "Emergency"}


def test_a_doubtful_rule_is_warned_about() -> None:
    judged = judge_spec(commserver(numberingRules=[block(r"^\d{7}$")]), None)
    assert judged.refusal is None
    assert judged.accepted.reason.name == "AcceptedWithWarnings"
    assert "[0-9]" in judged.accepted.message


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "no settings are known to be in force at the provider"),
        ({"applied_generation": 3, "state": "Running"}, "the settings of generation 3 stay in force at the provider"),
        (
            {"applied_generation": 4, "state": "Running"},
            "the provider was given these settings before they were refused, and they stay in force there",
        ),
        (
            {"state": "Running"},
            "earlier settings, of a generation that is not known, stay in force at the provider",
        ),
    ],
)
def test_what_is_in_force_follows_from_the_status(facts: dict[str, Any], text: str) -> None:
    server = commserver(generation=4)
    assert in_force(server, server.status.model_copy(update=facts)) == text


def test_the_numbers_of_the_account_are_guarded_too() -> None:
    spec: dict[str, Any] = {"accountRef": {"name": "a"}, "numberingRules": [block("^1999$")]}
    plain, guarded = account("a"), account("a", emergency={"additionalNumbers": ["1999"]})
    assert judge_spec(commserver(**spec), plain).refusal is None
    refusal = judge_spec(commserver(**spec), guarded).refusal
    assert refusal is not None
    assert "1999" in refusal.message


def test_an_account_that_is_not_there_is_waited_for() -> None:
    judged = judge_spec(commserver(accountRef={"name": "a"}), None)
    assert judged.refusal is not None
    assert judged.refusal.reason.name == "RefNotFound"
    assert judged.refusal.message == (
        "PBXAccount a (spec.accountRef.name) does not exist in this namespace; create it, or name another account"
    )
    assert [(v.type, v.status) for v in judged.references] == [("ResolvedRefs", "False")]
    judged = judge_spec(commserver(accountRef={"name": "a"}), account("a"))
    assert [(v.type, v.status) for v in judged.references] == [("ResolvedRefs", "True")]


def test_many_problems_are_counted_not_listed() -> None:
    refusal = judge_spec(commserver(numberingRules=[block("^" + "1" * n + "(") for n in range(8)]), None).refusal
    assert refusal is not None
    assert refusal.message.endswith("; and 3 more")


@pytest.mark.parametrize(
    ("acknowledged", "warning"),
    [
        (
            ["19"],
            'the spec is valid, but: acknowledgedEmergencyNumbers "19": no emergency number, since FR has 112, 15, 17, '
            "18 and 911: correct or remove it",
        ),
        (
            ["18", "19", "20"],
            'the spec is valid, but: acknowledgedEmergencyNumbers "19" and "20": no emergency numbers, since FR has '
            "112, 15, 17, 18 and 911: correct or remove them",
        ),
        (
            ["0112"],
            'the spec is valid, but: acknowledgedEmergencyNumbers "0112": write "112", which also stands for 0112',
        ),
    ],
)
def test_acknowledging_what_is_no_emergency_number_is_warned_about(acknowledged: list[str], warning: str) -> None:
    judged = judge_spec(commserver(dialing=dialing("FR", "0"), acknowledgedEmergencyNumbers=acknowledged), None)
    assert (judged.accepted.status, judged.accepted.message) == ("True", warning)


def test_what_would_not_excuse_a_rule_does_not() -> None:
    spec: dict[str, Any] = {"dialing": dialing("FR", "0"), "numberingRules": [block("^0112$")]}
    assert judge_spec(commserver(**spec, acknowledgedEmergencyNumbers=["0112"]), None).refusal is not None
    assert judge_spec(commserver(**spec, acknowledgedEmergencyNumbers=["112"]), None).refusal is None
