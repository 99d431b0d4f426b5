"""`pbx translate` against a real API server: what is declared there is read and explained."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from pbx_operator.cli.main import main
from pbx_operator.sandbox import ControlPlane
from support import ROOT, kubectl

NAMESPACE = "translating"


@pytest.fixture(scope="module")
def server(crds_installed: ControlPlane) -> ControlPlane:
    """Return a cluster with the server of an example."""
    kubectl(crds_installed, "create", "namespace", NAMESPACE)
    documents = YAML(typ="safe").load_all((ROOT / "examples/comm-servers/stock.yaml").read_text())
    (manifest,) = [document for document in documents if document["kind"] == "CommServer"]
    manifest["metadata"]["namespace"] = NAMESPACE
    manifest["spec"].pop("accountRef", None)
    kubectl(crds_installed, "create", "-f", "-", stdin=json.dumps(manifest))
    return crds_installed


def translate(cluster: ControlPlane, *arguments: str, user: str | None = None) -> Result:
    kubeconfig = cluster.kubeconfig if user is None else cluster.kubeconfig_for(user)
    return CliRunner().invoke(main, ["translate", *arguments, "-n", NAMESPACE, "--kubeconfig", str(kubeconfig)])


def test_a_number_is_explained(server: ControlPlane) -> None:
    result = translate(server, "nice", "112", "-o", "json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["number"], told["called"], told["emergencyNumber"]) == ("112", "112", "112")
    assert told["steps"][-1]["effect"] == "Called"
    assert result.stderr.startswith("The provider has not got this spec yet: "), "no operator runs here"


def test_what_is_not_there_is_named(server: ControlPlane) -> None:
    result = translate(server, "nobody", "112")
    assert (result.exit_code, result.output) == (
        2,
        f"Error: CommServer {NAMESPACE}/nobody does not exist: see `kubectl get commservers -n {NAMESPACE}`, or choose"
        " another namespace with -n\n",
    )


def test_missing_rights_are_named(server: ControlPlane) -> None:
    result = translate(server, "nice", "112", user="stranger")
    assert result.exit_code == 2
    assert result.output.endswith("ask an administrator for get on commservers and pbxaccounts\n")
