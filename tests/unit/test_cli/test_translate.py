"""`pbx translate` against a cluster that holds a server and its account."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from builders import NAMESPACE, account
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.commserver import CommServerStatus
from pbx_operator.cli.main import main
from pbx_operator.cluster import Forbidden
from server_builders import commserver
from test_cli.clusters import FakeCluster

RULES = (
    {"match": "^2([0-9]{2})$", "action": "Rewrite", "replace": "82$1"},
    {"match": "^0?(00|[+])44", "action": "Block"},
)
GIVEN = CommServerStatus(applied_generation=1)


@pytest.fixture
def cluster(fake: FakeCluster) -> FakeCluster:
    """Return a cluster whose only server the provider knows as it is declared."""
    fake.objects = {"namespaces": [{"metadata": {"name": NAMESPACE}}], "pbxaccounts": [account("hotel").to_json()]}
    declare(fake, commserver("hotel", numberingRules=RULES, status=GIVEN))
    return fake


def declare(fake: FakeCluster, server: CommServer) -> None:
    fake.objects["commservers"] = [server.to_json()]


def pbx(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["translate", *arguments])


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("number", "code", "shown"),
    [
        ("211", 0, "rewritten"),
        ("+442079460123", 1, "blocked"),
        ("0123456789", 0, "national"),
        ("+4930123456", 0, "international"),
        ("112", 0, "112 is an emergency number"),
    ],
)
def test_answers_and_exit_codes(number: str, code: int, shown: str) -> None:
    result = pbx("hotel", number)
    assert (result.exit_code, shown in result.stdout, result.stderr) == (code, True, ""), result.output


@pytest.mark.usefixtures("cluster")
def test_json() -> None:
    assert json.loads(pbx("hotel", "211", "-o", "json").stdout) == {
        "number": "211",
        "result": "8211",
        "by": "numberingRules[0]",
        "called": "8211",
        "steps": [
            {
                "by": "numberingRules[0]",
                "effect": "Rewrite",
                "explanation": 'match "^2([0-9]{2})$" is found, and replace "82$1" makes it 8211',
            },
            {"by": "PBX", "effect": "AsItIs", "explanation": "gets 8211, and calls it"},
        ],
    }
    blocked = json.loads(pbx("hotel", "+442079460123", "-o", "json").stdout)
    assert (blocked["by"], "result" in blocked, "called" in blocked) == ("numberingRules[1]", False, False)


def test_emergency_numbers_of_the_account_count(cluster: FakeCluster) -> None:
    named = account("hotel", emergency={"additionalNumbers": ["114"]})
    cluster.objects["pbxaccounts"] = [named.to_json()]
    assert "emergencyNumber" not in json.loads(pbx("hotel", "114", "-o", "json").stdout)
    declare(cluster, commserver("hotel", accountRef={"name": "hotel"}, status=GIVEN))
    assert json.loads(pbx("hotel", "114", "-o", "json").stdout)["emergencyNumber"] == "114"


@pytest.mark.parametrize(
    ("spec", "status", "note"),
    [
        (
            {},
            CommServerStatus(applied_generation=0),
            "The provider has not got this spec yet: the settings of generation 0 stay in force at the provider. Does"
            " the operator run?\n",
        ),
        (
            {"numberingRules": [{"match": "^112$", "action": "Block"}]},
            CommServerStatus(),
            'This spec is refused, EmergencyCall: numberingRules[0] "^112$" blocks the emergency number 112: change the'
            ' rule, or add "112" to spec.acknowledgedEmergencyNumbers if this is what you want; no settings are known'
            " to be in force at the provider.\n",
        ),
        (
            {"accountRef": {"name": "nobody"}},
            GIVEN,
            "This spec is refused, RefNotFound: PBXAccount nobody (spec.accountRef.name) does not exist in this"
            " namespace; create it, or name another account; the provider was given these settings before they were"
            " refused, and they stay in force there.\n",
        ),
    ],
)
def test_that_it_is_not_in_force_is_told_beside_the_answer(
    cluster: FakeCluster, spec: dict[str, Any], status: CommServerStatus, note: str
) -> None:
    declare(cluster, commserver("hotel", status=status, **spec))
    result = pbx("hotel", "15", "-o", "json")
    assert json.loads(result.stdout)["called"] == "15"
    assert result.stderr == note


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"numberingRules": [{"match": "^(0", "action": "Block"}]},
            'InvalidNumberingRule: numberingRules[0].match "^(0": character 2: this group is not closed: add ")"',
        ),
        ({"dialing": {"country": "XX"}}, "UnknownCountry: "),
    ],
)
def test_a_spec_that_cannot_be_applied_is_refused_with_its_reason(
    cluster: FakeCluster, spec: dict[str, Any], message: str
) -> None:
    declare(cluster, commserver("hotel", **spec))
    result = pbx("hotel", "15")
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: the spec of CommServer {NAMESPACE}/hotel cannot be applied, {message}")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("number", ["", "2a", "+33 1", "1" * 65])
def test_a_number_that_nobody_dials_is_a_usage_error(number: str) -> None:
    result = pbx("hotel", number)
    assert result.exit_code == 2
    assert f"'{number}' is not dialled: write 1 to 64 characters out of 0-9, *, # and +" in result.output


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Hotel", "15"), "'Hotel' is not the name of a CommServer: write its metadata.name, for example hotel"),
        (
            ("inn", "15"),
            "CommServer default/inn does not exist: see `kubectl get commservers -n default`, or choose another"
            " namespace with -n",
        ),
        (("hotel", "15", "-n", "nowhere"), "namespace nowhere does not exist: choose another one with -n"),
    ],
)
def test_what_is_not_there_is_named(arguments: tuple[str, ...], message: str) -> None:
    result = pbx(*arguments)
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_missing_rights_are_named(cluster: FakeCluster) -> None:
    cluster.failure = Forbidden("GET /x: 403 Forbidden: user x cannot", status=403, detail="user x cannot")
    assert pbx("hotel", "15").output == (
        "Error: user x cannot: ask an administrator for get on commservers and pbxaccounts\n"
    )


def test_an_object_of_another_version_is_named(cluster: FakeCluster) -> None:
    cluster.objects["commservers"][0]["spec"]["dialing"] = ""
    result = pbx("hotel", "15")
    assert result.exit_code == 2
    assert "CommServer hotel does not fit this version of pbx" in result.output
