"""`pbx dial` against a real API server: what is planned can be written there, read back and answered from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from builders import account, linked, number, planned, sharing, snapshot
from pbx_operator.api.v1alpha1 import Interlink, PBXAccount
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.shared import GateState
from pbx_operator.cli.main import main
from pbx_operator.domain.plan import WriteSlice
from support import kubectl

if TYPE_CHECKING:
    import pytest

    from pbx_operator.api.meta import Resource
    from pbx_operator.sandbox import ControlPlane

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
        (answer,) = json.loads(result.output)
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
