"""`pbx dial` against a real API server: what is planned can be written there, read back and answered from."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from builders import account, linked, number, planned, sharing, snapshot
from pbx_operator.api.v1alpha1 import Interlink, PBXAccount
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.shared import GateState
from pbx_operator.cli.main import main
from pbx_operator.domain.plan import WriteSlice
from pbx_operator.sandbox import ControlPlane
from support import install_crds, kubectl

if TYPE_CHECKING:
    from pbx_operator.api.meta import Resource

NAMESPACE = "dialling"


def create(control_plane: ControlPlane, wanted: Resource) -> dict[str, Any]:
    """Create an object as its model writes it, and return what the API server made of it."""
    resource = type(wanted).resource
    body = wanted.to_json()
    metadata = {k: v for k, v in body["metadata"].items() if k in ("name", "namespace", "ownerReferences")}
    manifest = {"apiVersion": resource.api_version, "kind": resource.kind, **body, "metadata": metadata}
    made: dict[str, Any] = json.loads(
        kubectl(control_plane, "create", "-o", "json", "-f", "-", stdin=json.dumps(manifest))
    )
    return made


def test_dial(crds_installed: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = crds_installed
    kubectl(cluster, "create", "namespace", NAMESPACE)
    owner = PBXAccount.model_validate(create(cluster, account("amsterdam", NAMESPACE)))
    links = (
        linked("to-tim", "300=Tim", "200", account="amsterdam", namespace=NAMESPACE, dial_prefix="8"),
        linked("shut", "400", account="amsterdam", namespace=NAMESPACE, sharing=sharing("200-299")),
    )
    numbers = [number(f"{n}", "amsterdam", NAMESPACE) for n in (200, *range(1000, 1101))]
    for action in planned(snapshot(owner, *numbers, links=links)).actions:
        if isinstance(action, WriteSlice):
            create(cluster, action.slice)
    gates: tuple[GateState, ...] = ("Open", "Closed")
    for link, gate in zip(links, gates, strict=True):
        create(cluster, link.interlink)
        status = {"status": InterlinkStatus(gate=gate).to_json()}
        patch = ("patch", Interlink.resource.plural, link.interlink.metadata.name, "-n", NAMESPACE)
        kubectl(cluster, *patch, "--subresource=status", "--type=merge", "-p", json.dumps(status))

    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    answers = {}
    for digits in ("112", "200", "1100", "300", "8200", "400", "999"):
        result = CliRunner().invoke(main, ["dial", "amsterdam", digits, "-n", NAMESPACE, "-o", "json"])
        (answer,) = json.loads(result.stdout)
        assert "A change is under way" in result.stderr, "no operator runs here"
        answers[digits] = (answer["outcome"], answer.get("interlink"), result.exit_code)
    assert answers == {
        "112": ("Emergency", None, 0),
        "200": ("Own", None, 0),
        "1100": ("Own", None, 0),
        "300": ("Peer", "to-tim", 0),
        "8200": ("Peer", "to-tim", 0),
        "400": ("NoMatch", None, 1),
        "999": ("NoMatch", None, 1),
    }


def failure(*arguments: str) -> str:
    """Return the one line that `pbx dial` prints when the question could not be asked."""
    result = CliRunner().invoke(main, ["dial", *arguments])
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert (result.output.startswith("Error: "), result.output.count("\n")) == (True, 1), result.output
    return result.output.removeprefix("Error: ").rstrip()


def rewritten(control_plane: ControlPlane, folder: Path, **changes: dict[str, str]) -> str:
    """Return a kubeconfig like that of the administrator, with changes in its `cluster` and `context`."""
    config = json.loads(control_plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"] |= changes.get("cluster", {})
    config["contexts"][0]["context"] |= changes.get("context", {})
    path = folder / "config"
    path.write_text(json.dumps(config))
    return str(path)


def test_what_is_not_there_is_named(crds_installed: ControlPlane, tmp_path: Path) -> None:
    kubectl(crds_installed, "create", "namespace", "dialling-nobody")
    there = rewritten(crds_installed, tmp_path, context={"namespace": "dialling-nobody"})
    assert failure("paris", "200", "--kubeconfig", there).startswith("PBXAccount dialling-nobody/paris does not exist")
    elsewhere = failure("paris", "200", "--kubeconfig", there, "-n", "nowhere")
    assert elsewhere == "namespace nowhere does not exist: choose another one with -n"
    assert "has no context 'nope'" in failure("paris", "200", "--kubeconfig", there, "--context", "nope")


def test_missing_rights_are_named(crds_installed: ControlPlane) -> None:
    kubeconfig = str(crds_installed.kubeconfig_for("stranger"))
    assert failure("paris", "200", "--kubeconfig", kubeconfig) == (
        'pbxaccounts.pbx-operator.io "paris" is forbidden: User "stranger" cannot get resource "pbxaccounts" in API '
        'group "pbx-operator.io" in the namespace "default": '
        "ask an administrator for get on pbxaccounts, and list on interlinks and dialplanslices"
    )


def test_a_cluster_that_is_away_is_named(crds_installed: ControlPlane, tmp_path: Path) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{reserved.getsockname()[1]}"
        kubeconfig = rewritten(crds_installed, tmp_path, cluster={"server": server})
        message = failure("paris", "200", "--kubeconfig", kubeconfig)
    assert message.startswith(f"{server} cannot be reached (")
    assert message.count("Connect call failed") == 1


def test_a_cluster_without_our_kinds_is_named() -> None:
    with ControlPlane.start() as bare:
        message = failure("paris", "200", "--kubeconfig", str(bare.kubeconfig))
        install_crds(bare)
        assert "does not exist" in failure("paris", "200", "--kubeconfig", str(bare.kubeconfig))
    assert message.startswith(f"{bare.url} does not serve pbx-operator.io/v1alpha1, its CustomResourceDefinitions")
    assert "kubectl apply --server-side -f crds/" in message
