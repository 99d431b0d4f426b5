"""`pbx dial` against a cluster that holds what an account's plan publishes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from builders import NAMESPACE, account, linked, number, settled, snapshot
from pbx_operator.cli.main import main
from pbx_operator.cluster import Forbidden, Unavailable
from pbx_operator.cluster.errors import Answer, api_error
from test_cli.clusters import KUBECONFIG, FakeCluster


@pytest.fixture
def cluster(fake: FakeCluster) -> FakeCluster:
    links = (
        linked("to-tim", "300=Tim", account="amsterdam"),
        linked("shut", "400", account="amsterdam", gate="Closed"),
    )
    now = settled(snapshot(account("amsterdam"), number("200", "amsterdam"), links=links))
    assert now.account is not None
    fake.objects = {
        "namespaces": [{"metadata": {"name": NAMESPACE}}, {"metadata": {"name": "other"}}],
        "pbxaccounts": [now.account.to_json(), account("fresh").to_json()],
        "dialplanslices": [s.to_json() for s in now.slices],
        "interlinks": [link.interlink.to_json() for link in now.links],
    }
    fake.objects["internalnumbers"] = [number("200", "amsterdam").to_json()]
    for one in (one for plural in ("pbxaccounts", "interlinks", "internalnumbers") for one in fake.objects[plural]):
        one.setdefault("status", {})["observedGeneration"] = one["metadata"].get("generation", 0)
    return fake


def pbx(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["dial", *arguments])


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("digits", "code", "shown"),
    [
        ("200", 0, "phone n200"),
        ("300", 0, "300@to-tim.peers.example via to-tim"),
        ("112", 0, "the emergency service"),
        ("400", 1, "the gate of Interlink shut is closed"),
        ("999", 1, "no match"),
    ],
)
def test_answers_and_exit_codes(digits: str, code: int, shown: str) -> None:
    result = pbx("amsterdam", digits)
    assert (result.exit_code, shown in result.output) == (code, True), result.output


@pytest.mark.parametrize(
    ("plural", "thing"),
    [
        ("pbxaccounts", "PBXAccount amsterdam"),
        ("interlinks", "Interlink shut"),
        ("internalnumbers", "InternalNumber n200"),
    ],
)
@pytest.mark.parametrize("change", [{"generation": 7}, {"deletionTimestamp": "2026-06-01T12:00:00Z"}], ids=str)
def test_what_is_under_way_is_told_beside_the_answer(
    cluster: FakeCluster, plural: str, thing: str, change: dict[str, Any]
) -> None:
    assert pbx("amsterdam", "200").stderr == ""
    (changed,) = [o for o in cluster.objects[plural] if o["metadata"]["name"] == thing.split()[1]]
    changed["metadata"].update(change)
    result = pbx("amsterdam", "200", "-o", "json")
    assert json.loads(result.stdout)[0]["outcome"] == "Own"
    assert result.stderr == f"A change is under way, so this may change: {thing}. Does the operator run?\n"


def test_of_many_changes_some_are_named(cluster: FakeCluster) -> None:
    cluster.objects["internalnumbers"] += [number(f"{n}", "amsterdam").to_json() for n in range(301, 309)]
    for one in cluster.objects["internalnumbers"]:
        one["metadata"]["generation"] = 7
    assert "InternalNumber n304 and 4 more. Does the operator run?" in pbx("amsterdam", "200").stderr


@pytest.mark.usefixtures("cluster")
def test_json() -> None:
    (answer,) = json.loads(pbx("amsterdam", "300", "-o", "json").output)
    assert answer == {
        "digits": "300",
        "outcome": "Peer",
        "explanation": "300 (Tim) of the peer behind Interlink to-tim",
        "number": "300",
        "displayName": "Tim",
        "interlink": "to-tim",
        "target": "300@to-tim.peers.example",
        "passedOver": [],
        "prefixProblems": [],
    }
    (closed,) = json.loads(pbx("amsterdam", "400", "-o", "json").output)
    assert [(p["interlink"], p["why"]) for p in closed["passedOver"]] == [("shut", "GateClosed")]


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("digits", ["", "2a", "123456789", "+31"])
def test_wrong_digits_are_a_usage_error(digits: str) -> None:
    result = pbx("amsterdam", digits)
    assert result.exit_code == 2
    assert "0-9, * and #" in result.output


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("a/b", "200"), "'a/b' is not the name of a PBXAccount: write its metadata.name, for example paris"),
        (("Paris", "200"), "'Paris' is not the name of a PBXAccount: write"),
        (("amsterdam", "200", "-n", "../x"), "'../x' is not the name of a namespace: write"),
    ],
)
def test_what_cannot_be_a_name_is_a_usage_error(arguments: tuple[str, ...], problem: str) -> None:
    result = pbx(*arguments)
    assert result.exit_code == 2
    assert problem in result.output


def test_the_namespace_is_that_of_the_context(cluster: FakeCluster, kubeconfig: Path) -> None:
    assert pbx("amsterdam", "200").exit_code == 0
    kubeconfig.write_text(KUBECONFIG.replace("current-context: plain", "current-context: elsewhere"))
    assert "PBXAccount other/amsterdam does not exist" in pbx("amsterdam", "200").output
    assert cluster.credentials.host == "https://other.example"
    assert pbx("amsterdam", "200", "-n", NAMESPACE).exit_code == 0


def test_a_context_and_a_kubeconfig_can_be_given(
    cluster: FakeCluster, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    given = pbx("amsterdam", "200", "--kubeconfig", str(kubeconfig), "--context", "elsewhere")
    assert "PBXAccount other/amsterdam does not exist" in given.output
    assert cluster.credentials.host == "https://other.example"


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("rotterdam", "200"),
            "PBXAccount default/rotterdam does not exist: see `kubectl get pbxaccounts -n default`, "
            "or choose another namespace with -n",
        ),
        (("amsterdam", "200", "-n", "nowhere"), "namespace nowhere does not exist: choose another one with -n"),
        (
            ("fresh", "200"),
            "no dial plan is published for PBXAccount default/fresh: look why with "
            "`kubectl describe pbxaccount fresh -n default`, and whether the operator runs",
        ),
        (
            ("amsterdam", "200", "--kubeconfig", "/nowhere/config"),
            "kubeconfig /nowhere/config: no such file; give its path with --kubeconfig or KUBECONFIG",
        ),
    ],
)
def test_what_is_not_there_is_named(arguments: tuple[str, ...], message: str) -> None:
    result = pbx(*arguments)
    assert (result.exit_code, result.output) == (2, f"Error: {message}\n")


def test_a_namespace_that_may_not_be_read_is_not_called_missing(cluster: FakeCluster) -> None:
    cluster.namespaces_failure = Forbidden("GET namespaces: 403", status=403)
    assert "PBXAccount nowhere/amsterdam does not exist: see" in pbx("amsterdam", "200", "-n", "nowhere").output


def test_an_unknown_context_is_named(cluster: FakeCluster, kubeconfig: Path) -> None:
    result = pbx("amsterdam", "200", "--context", "nope")
    assert result.exit_code == 2
    assert f"Error: kubeconfig {kubeconfig} has no context 'nope': choose one that `" in result.output


def unanswered() -> Unavailable:
    """Return what the client raises when nobody listens."""
    refused = ConnectionRefusedError("Connect call failed")
    around = OSError("ClientConnectorError: Cannot connect: Connect call failed")
    around.__cause__ = refused
    error = Unavailable("GET /x: ClientConnectionError: ClientConnectorError: Connect call failed")
    error.__cause__ = around
    return error


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            unanswered(),
            "https://api.example cannot be reached (Connect call failed): check that it runs and that the kubeconfig "
            "is right, or choose another cluster with --context or --kubeconfig",
        ),
        (
            api_error("GET /x", Answer(404, {}, b"404 page not found\n"), confidential=False),
            "https://api.example does not serve pbx-operator.io/v1alpha1, its CustomResourceDefinitions are missing: "
            "install them with `kubectl apply --server-side -f crds/` in the repository of pbx-operator, "
            "or choose another cluster with --context or --kubeconfig",
        ),
        (
            Forbidden("GET /x: 401 Unauthorized", status=401, reason="Unauthorized"),
            "https://api.example does not know you (Unauthorized): log in anew, or choose another user with --context",
        ),
        (
            Forbidden("GET /x: 403 Forbidden: user x cannot", status=403, detail="user x cannot"),
            "user x cannot: ask an administrator for get on pbxaccounts, and list on interlinks and dialplanslices",
        ),
        (
            Unavailable("GET /x: 503 ServiceUnavailable", status=503),
            "https://api.example does not answer this question (GET /x: 503 ServiceUnavailable): "
            "see what `kubectl get pbxaccounts` says",
        ),
    ],
)
def test_a_failure_is_one_message_with_the_next_step(cluster: FakeCluster, failure: Exception, message: str) -> None:
    cluster.failure = failure
    result = pbx("amsterdam", "200")
    assert (result.exit_code, result.output) == (2, f"Error: {message}\n")


def test_an_object_of_another_version_is_named(cluster: FakeCluster) -> None:
    cluster.objects["dialplanslices"][0]["spec"]["rank"] = ""
    result = pbx("amsterdam", "200")
    assert result.exit_code == 2
    assert "DialPlanSlice amsterdam.own does not fit" in result.output


@pytest.mark.usefixtures("cluster")
def test_several_digits_are_one_table_and_one_exit_code() -> None:
    both = pbx("amsterdam", "200", "300")
    assert both.exit_code == 0
    assert both.output.count("DIALED") == 1
    assert pbx("amsterdam", "200", "999").exit_code == 1
    assert [a["outcome"] for a in json.loads(pbx("amsterdam", "200", "999", "-o", "json").output)] == ["Own", "NoMatch"]


def test_digits_are_required() -> None:
    result = pbx("amsterdam")
    assert result.exit_code == 2
    assert "DIGITS" in result.output
