"""What the pages tell to give to Argo CD and Flux has only fields that their kinds have, and their commands work."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from ruamel.yaml import YAML

from contract.tenant import Tenant
from pbx_operator.sandbox import ControlPlane
from support import ROOT, ensure_namespace, kubectl

INSTALLATION = (ROOT / "docs/install.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "examples/gitops"
APPLICATION = ("patch", "application", "pbx-operator", "-n", "argocd", "--type=merge", "--patch")
DRY_RUN = ("apply", "--dry-run=server", "--validate=strict", "--output=json", "-f", "-")
Manifest = dict[str, Any]


def loaded(text: str) -> list[Manifest]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def shown(beginning: str) -> Manifest:
    """Return the one manifest, or part of one, that the page shows and that begins so."""
    (text,) = (each for each in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) if beginning in each)
    return loaded(text)[0]


def example(path: str, name: str) -> Manifest:
    """Return the manifest of a file that has this name."""
    (found,) = (each for each in loaded((EXAMPLES / path).read_text()) if each["metadata"]["name"] == name)
    return found


def merged(whole: Any, part: Any) -> Any:
    """Return a manifest with part of one written into it; lists are joined."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return {**whole, **{key: merged(whole.get(key), value) for key, value in part.items()}}
    return whole + part if isinstance(whole, list) else part


HEALTH_CHECKS = loaded((ROOT / "flux/health-checks.yaml").read_text())[0]
TOLD = {
    "the Kustomization of the page": shown("kind: Kustomization"),
    "health checks in that of the example": merged(example("flux/kustomizations.yaml", "phones"), HEALTH_CHECKS),
    "ignored differences in the Application": merged(example("argocd/phones.yaml", "phones"), shown("ignoreDiff")),
}


def judged(cluster: ControlPlane, manifest: Manifest) -> str:
    """Return what the API server would make of a manifest; an AssertionError names a field that it does not know."""
    ensure_namespace(cluster, manifest["metadata"]["namespace"])
    return kubectl(cluster, *DRY_RUN, stdin=json.dumps(manifest))


@pytest.mark.parametrize("manifest", TOLD.values(), ids=TOLD)
def test_their_kinds_have_every_field(manifest: Manifest, vendors_served: ControlPlane) -> None:
    assert json.loads(judged(vendors_served, manifest))["spec"].items() >= manifest["spec"].items()


@pytest.mark.parametrize("manifest", TOLD.values(), ids=TOLD)
def test_a_field_that_they_do_not_have_is_an_error(manifest: Manifest, vendors_served: ControlPlane) -> None:
    with pytest.raises(AssertionError, match=r'unknown field "spec\.colour"'):
        judged(vendors_served, merged(manifest, {"spec": {"colour": "red"}}))


def test_the_configuration_of_argo_cd_takes_the_patch_and_keeps_the_rest(tenant: Tenant) -> None:
    before = {"url": "https://argocd.example.com"}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": before}
    tenant.kubectl("create", "-f", "-", stdin=json.dumps(config))
    (options,) = re.findall(r"^kubectl patch configmap argocd-cm -n argocd (.*)", PAGE, re.MULTILINE)
    *flags, path = shlex.split(options)
    tenant.kubectl("patch", "configmap", "argocd-cm", *flags, str(ROOT / path))
    (patch,) = loaded((ROOT / path).read_text())
    assert tenant.get("configmap", "argocd-cm")["data"] == before | patch["data"]


def test_the_phones_wait_until_argo_cd_finds_the_operator_healthy(vendors_served: ControlPlane) -> None:
    ensure_namespace(vendors_served, "argocd")
    (block,) = re.findall(r"^```sh\n(kubectl apply -f examples/gitops/argocd.*?)^```", INSTALLATION, re.S | re.M)
    operator, wait, phones = (shlex.split(line)[1:] for line in block.splitlines())
    kubectl(vendors_served, *in_repository(operator))
    found = '{"status": {"health": {"status": "%s"}}}'
    kubectl(vendors_served, *APPLICATION, found % "Progressing")
    *rest, _ = wait
    with pytest.raises(AssertionError, match="condition not met"):
        kubectl(vendors_served, *rest, "--timeout=0")
    kubectl(vendors_served, *APPLICATION, found % "Healthy")
    kubectl(vendors_served, *wait)
    assert "application.argoproj.io/phones created" in kubectl(vendors_served, *in_repository(phones))


def test_the_operator_goes_with_its_application_if_argo_cd_is_told_so(vendors_served: ControlPlane) -> None:
    ensure_namespace(vendors_served, "argocd")
    kubectl(vendors_served, "apply", "-f", str(EXAMPLES / "argocd/operator.yaml"))
    (block,) = re.findall(r"^```sh\n(kubectl patch application pbx-operator.*?)^```", INSTALLATION, re.S | re.M)
    patch, delete = (shlex.split(line)[1:] for line in block.replace("\\\n", " ").splitlines())
    kubectl(vendors_served, *patch)
    kubectl(vendors_served, *delete, "--wait=false")
    going = json.loads(kubectl(vendors_served, "get", *delete[1:], "--output=json"))["metadata"]
    assert going["deletionTimestamp"]
    assert going["finalizers"] == example("argocd/phones.yaml", "phones")["metadata"]["finalizers"]
    kubectl(vendors_served, *APPLICATION, '{"metadata": {"finalizers": null}}')


def in_repository(words: list[str]) -> list[str]:
    """Return the words of a command with the path at their end from the top of the repository."""
    *rest, path = words
    return [*rest, str(ROOT / path)]
