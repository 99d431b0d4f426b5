"""What of a CommServer's spec is refused, or accepted with a warning, and what its table of typical numbers shows."""

from __future__ import annotations

from typing import Any

import pytest

from builders import account
from pbx_operator.api.v1alpha1.commserver import CommServerStatus
from pbx_operator.domain.servers.checks import judge_spec
from pbx_operator.domain.servers.status import in_force
from server_builders import commserver

PREFIXES = {"country": "FR", "nationalPrefix": "0", "internationalPrefix": "00", "outboundPrefix": "0"}


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


@pytest.mark.parametrize(("shown", "warned"), [(None, False), (2, False), (5, True)])
def test_a_revision_below_the_one_in_force_is_warned_about(shown: int | None, warned: bool) -> None:
    status = CommServerStatus(activation_revision=shown)
    judged = judge_spec(commserver(activation={"revision": 2}, status=status), None)
    assert (judged.refusal, judged.accepted.status) == (None, "True")
    assert (judged.accepted.reason.name == "AcceptedWithWarnings") == warned
    told = "spec.activation.revision 2 is below 5, which is in force; write 6 for a new activation code"
    assert (told in judged.accepted.message) == warned


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
            ["19", "20"],
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
    judged = judge_spec(commserver(dialing=PREFIXES, acknowledgedEmergencyNumbers=acknowledged), None)
    assert (judged.accepted.status, judged.accepted.message) == ("True", warning)


BLOCKED = "the spec is valid, but: 112 cannot be dialled: numberingRules[0] blocks it, and it is acknowledged"


@pytest.mark.parametrize(
    ("rules", "acknowledged", "warning"),
    [
        pytest.param([block("^0?112$")], ["112"], BLOCKED, id="also behind the outbound prefix"),
        pytest.param([block("^112$")], ["112"], BLOCKED, id="by itself"),
        pytest.param(
            [block("^0112$")],
            ["112"],
            "the spec is valid, but: 0112 cannot be dialled: numberingRules[0] blocks it, and 112 is acknowledged",
            id="behind the outbound prefix alone",
        ),
        pytest.param(
            [block("^1[57]$")],
            ["15", "17"],
            "the spec is valid, but: 15 and 17 cannot be dialled: numberingRules[0] blocks them, and they are"
            " acknowledged",
            id="two numbers",
        ),
        pytest.param(
            [{"match": "^112$", "action": "Rewrite", "replace": "200"}],
            ["112"],
            'the spec is valid, but: numberingRules[0] "^112$" turns the emergency number 112 into 200, and 112 is'
            " acknowledged",
            id="turned into another number",
        ),
        pytest.param(
            [],
            ["112"],
            'the spec is valid, but: acknowledgedEmergencyNumbers "112": acknowledged, but no rule touches it: remove'
            " it, or later rules pass unguarded",
            id="needed by nothing",
        ),
    ],
)
def test_what_becomes_of_an_acknowledged_number_is_told(
    rules: list[dict[str, Any]], acknowledged: list[str], warning: str
) -> None:
    server = commserver(dialing=PREFIXES, numberingRules=rules, acknowledgedEmergencyNumbers=acknowledged)
    judged = judge_spec(server, None)
    assert (judged.refusal, judged.accepted.reason.name) == (None, "AcceptedWithWarnings")
    assert judged.accepted.message == warning


def test_a_pbx_that_knows_911_itself_is_no_warning() -> None:
    usa = {"country": "US", "nationalPrefix": "1", "internationalPrefix": "011", "outboundPrefix": "9"}
    judged = judge_spec(commserver(dialing=usa, acknowledgedEmergencyNumbers=["911"]), None)
    assert (judged.refusal, judged.accepted.message) == (None, "the spec is valid")


def test_what_would_not_excuse_a_rule_does_not() -> None:
    spec: dict[str, Any] = {"dialing": dialing("FR", "0"), "numberingRules": [block("^0112$")]}
    assert judge_spec(commserver(**spec, acknowledgedEmergencyNumbers=["0112"]), None).refusal is not None
    assert judge_spec(commserver(**spec, acknowledgedEmergencyNumbers=["112"]), None).refusal is None


@pytest.mark.parametrize(
    ("country", "national", "international", "usual"),
    [
        pytest.param("FR", None, None, 'FR usually has nationalPrefix "0" and internationalPrefix "00"', id="neither"),
        pytest.param("FR", "0", "000", 'FR usually has internationalPrefix "00"', id="mistyped"),
        pytest.param("US", "1", "00", 'US usually has internationalPrefix "011"', id="of another country"),
        pytest.param("HU", "0", "00", 'HU usually has nationalPrefix "06"', id="of the neighbours"),
        pytest.param("AU", "0", "00", 'AU usually has internationalPrefix "0011"', id="the preferred of several"),
        pytest.param("AU", "0", "0014", None, id="one that chooses a carrier"),
        pytest.param("BR", "0", None, None, id="none to propose"),
        pytest.param("ES", None, "00", None, id="no national prefix"),
        pytest.param("GB", "0", "00", None, id="the usual ones"),
        pytest.param("AQ", None, None, None, id="no telephone data"),
    ],
)
def test_a_prefix_that_is_not_the_usual_one_is_warned_about(
    country: str, national: str | None, international: str | None, usual: str | None
) -> None:
    given = {"country": country, "nationalPrefix": national, "internationalPrefix": international}
    judged = judge_spec(commserver(dialing={key: value for key, value in given.items() if value}), None)
    assert judged.refusal is None
    if usual is None:
        assert judged.accepted.message == "the spec is valid"
    else:
        it = "them" if " and " in usual else "it"
        advice = f"write {it} into spec.dialing, unless this PBX differs"
        assert judged.accepted.message == f"the spec is valid, but: {usual}: {advice}"
