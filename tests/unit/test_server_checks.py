"""What of a CommServer's spec is refused, or accepted with a warning, and what its table of typical numbers shows."""

from __future__ import annotations

from typing import Any

import pytest

from builders import account
from pbx_operator.domain.servers.checks import judge_server
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
        pytest.param({"dialing": dialing("AU", "0")}, "EmergencyCall", "000", id="an outside line that swallows 000"),
        pytest.param({"dialing": dialing("US", "9")}, "EmergencyCall", "911", id="an outside line that swallows 911"),
        pytest.param(
            {"numberingRules": [block("^(")]}, "InvalidNumberingRule", "numberingRules[0].match", id="no pattern"
        ),
    ],
)
def test_refused(spec: dict[str, Any], reason: str, told: str) -> None:
    judged = judge_server(commserver(**spec), None)
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
    judged = judge_server(commserver(**spec), None)
    assert (judged.refusal, judged.accepted.status) == (None, "True")
    assert {row.kind for row in judged.translations} >= {"Internal", "National", "Emergency"}


def test_a_doubtful_rule_is_warned_about() -> None:
    judged = judge_server(commserver(numberingRules=[block(r"^\d{7}$")]), None)
    assert judged.refusal is None
    assert judged.accepted.reason.name == "AcceptedWithWarnings"
    assert "[0-9]" in judged.accepted.message


def test_the_numbers_of_the_account_are_guarded_too() -> None:
    spec: dict[str, Any] = {"accountRef": {"name": "a"}, "numberingRules": [block("^1999$")]}
    plain, guarded = account("a"), account("a", emergency={"additionalNumbers": ["1999"]})
    assert judge_server(commserver(**spec), plain).refusal is None
    refusal = judge_server(commserver(**spec), guarded).refusal
    assert refusal is not None
    assert "1999" in refusal.message


def test_an_account_that_is_not_there_is_waited_for() -> None:
    judged = judge_server(commserver(accountRef={"name": "a"}), None)
    assert judged.refusal is not None
    assert judged.refusal.reason.name == "RefNotFound"
    assert "spec.accountRef.name" in judged.refusal.message
    assert [(v.type, v.status) for v in judged.references] == [("ResolvedRefs", "False")]
    judged = judge_server(commserver(accountRef={"name": "a"}), account("a"))
    assert [(v.type, v.status) for v in judged.references] == [("ResolvedRefs", "True")]


def test_many_problems_are_counted_not_listed() -> None:
    refusal = judge_server(commserver(numberingRules=[block(f"^{n}(") for n in range(8)]), None).refusal
    assert refusal is not None
    assert refusal.message.endswith("and 3 more")
