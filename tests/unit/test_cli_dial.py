"""`pbx dial` against a cluster that holds what an account's plan publishes."""

from __future__ import annotations

import json
from typing import Any, Self

import pytest
from click.testing import CliRunner, Result

from builders import account, linked, number, settled, snapshot
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.cli.main import main
from pbx_operator.cluster import Cluster, CredentialsError, Forbidden, Gone, Listing, Unavailable


class FakeCluster:
    """Objects in memory; `failure` is raised by every call."""

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.failure: Exception | None = None

    async def __aenter__(self) -> Self:
        if isinstance(self.failure, CredentialsError):
            raise self.failure
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def get(self, resource: ResourceType, key: ObjectKey) -> dict[str, Any]:
        for item in (await self.list(resource, key.namespace)).items:
            if item["metadata"]["name"] == key.name:
                return item
        raise Gone(f"GET {key}: not found", status=404)

    async def list(self, resource: ResourceType, namespace: str) -> Listing:
        if self.failure is not None:
            raise self.failure
        items = self.objects.get(resource.plural, [])
        return Listing([i for i in items if i["metadata"]["namespace"] == namespace], "1")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    fake = FakeCluster()
    links = (
        linked("to-tim", "300=Tim", account="amsterdam"),
        linked("shut", "400", account="amsterdam", gate="Closed"),
    )
    now = settled(snapshot(account("amsterdam"), number("200", "amsterdam"), links=links))
    assert now.account is not None
    fake.objects = {
        "pbxaccounts": [now.account.to_json(), account("fresh").to_json()],
        "dialplanslices": [s.to_json() for s in now.slices],
        "interlinks": [link.interlink.to_json() for link in now.links],
    }
    monkeypatch.setattr(Cluster, "connect", lambda **_: fake)
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
    ("arguments", "next_step"),
    [
        (("rotterdam", "200"), "kubectl get pbxaccounts -n default"),
        (("amsterdam", "200", "-n", "other"), "kubectl get pbxaccounts -n other"),
        (("fresh", "200"), "kubectl describe pbxaccount fresh -n default"),
    ],
)
def test_without_account_or_plan(arguments: tuple[str, ...], next_step: str) -> None:
    result = pbx(*arguments)
    assert result.exit_code == 2
    assert next_step in result.output


@pytest.mark.parametrize(
    ("failure", "next_step"),
    [
        (CredentialsError("kubeconfig /none: no such file"), "Set KUBECONFIG"),
        (Forbidden("GET pbxaccounts: 403", status=403), "ask for get and list"),
        (Unavailable("GET pbxaccounts: refused"), "check with `kubectl get pbxaccounts`"),
    ],
)
def test_errors_end_with_the_next_step(cluster: FakeCluster, failure: Exception, next_step: str) -> None:
    cluster.failure = failure
    result = pbx("amsterdam", "200")
    assert result.exit_code == 2
    assert str(failure) in result.output
    assert next_step in result.output


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
