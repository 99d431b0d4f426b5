"""What the page of the installation names is there, and what it gives to Argo CD and Flux has fields that they know.

Neither of the two can run here, so their fields are written down by hand, from their own references.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

import jsonschema
import pytest
from helm_chart.rendering import rendered
from ruamel.yaml import YAML

from support import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text()
GITOPS = ROOT / "examples" / "gitops"
Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
TRUE: Schema = {"const": True}
DURATION: Schema = {"type": "string", "pattern": "^[0-9]+[hm]$"}


def fields(*optional: str, **known: Schema) -> Schema:
    """Return the schema of an object with these fields and no others; all but the optional ones are required."""
    required = [name for name in known if name not in optional]
    return {"type": "object", "properties": known, "required": required, "additionalProperties": False}


def one(*values: str) -> Schema:
    return {"enum": list(values)}


def kind(version: str, name: str, namespace: str, spec: Schema, **metadata: Schema) -> Schema:
    """Return the schema of a kind whose objects are in one namespace."""
    about = fields(name=TEXT, namespace=one(namespace), **metadata)
    return fields(apiVersion=one(version), kind=one(name), metadata=about, spec=spec)


WAVE = fields(**{"argocd.argoproj.io/sync-wave": one("0", "1")})
FINALIZERS: Schema = {"const": ["resources-finalizer.argocd.argoproj.io"]}
OPTIONS: Schema = {"type": "array", "items": one("CreateNamespace=true", "ServerSideApply=true", "PruneLast=true")}
POLICY = fields(automated=fields(prune=TRUE, selfHeal=TRUE), syncOptions=OPTIONS)
SERVER = one("https://kubernetes.default.svc")
CHART_IN_GIT = fields(
    repoURL=TEXT,
    targetRevision=TEXT,
    path=one("charts/pbx-operator"),
    helm=fields(releaseName=TEXT, valuesObject={"type": "object"}),
)
FLUX = "flux-system"
SOURCE = fields(kind=one("GitRepository"), name=one(FLUX, "pbx-operator"))
DECRYPTION = fields(provider=one("sops"), secretRef=fields(name=TEXT))
APPLIED = {"interval": DURATION, "sourceRef": SOURCE, "path": TEXT, "prune": TRUE, "wait": TRUE, "timeout": DURATION}
REMEDIATION = fields(retries={"type": "integer"})
RELEASE = fields(
    interval=DURATION,
    releaseName=one("pbx-operator"),
    targetNamespace=one("pbx-system"),
    chart=fields(spec=fields(chart=one("./charts/pbx-operator"), sourceRef=SOURCE)),
    install=fields(createNamespace=TRUE, remediation=REMEDIATION),
    upgrade=fields(remediation=REMEDIATION),
    values={"type": "object"},
)
EXPECTED: dict[str, list[Schema]] = {
    "argocd/operator.yaml": [
        kind(
            "argoproj.io/v1alpha1",
            "Application",
            "argocd",
            fields(
                project=one("default"),
                source=CHART_IN_GIT,
                destination=fields(server=SERVER, namespace=one("pbx-system")),
                syncPolicy=POLICY,
            ),
            annotations=WAVE,
        )
    ],
    "argocd/phones.yaml": [
        kind(
            "argoproj.io/v1alpha1",
            "Application",
            "argocd",
            fields(
                project=one("default"),
                source=fields(repoURL=TEXT, targetRevision=TEXT, path=TEXT),
                destination=fields(server=SERVER),
                syncPolicy=POLICY,
            ),
            annotations=WAVE,
            finalizers=FINALIZERS,
        )
    ],
    "flux/operator/release.yaml": [
        kind(
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            FLUX,
            fields(interval=DURATION, url=TEXT, ref=fields(branch=TEXT)),
        ),
        kind("helm.toolkit.fluxcd.io/v2", "HelmRelease", FLUX, RELEASE),
    ],
    "flux/kustomizations.yaml": [
        kind("kustomize.toolkit.fluxcd.io/v1", "Kustomization", FLUX, fields(**APPLIED)),
        kind(
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            FLUX,
            fields(
                dependsOn={"const": [{"name": "pbx-operator"}]},
                decryption=DECRYPTION,
                **APPLIED,
            ),
        ),
    ],
}


def documents(path: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe", pure=True).load_all(GITOPS / path))


@pytest.mark.parametrize("path", EXPECTED)
def test_argo_cd_and_flux_know_every_field(path: str) -> None:
    for document, schema in zip(documents(path), EXPECTED[path], strict=True):
        jsonschema.validate(document, schema)


def test_every_manifest_for_them_is_expected() -> None:
    found = {str(path.relative_to(GITOPS)) for tool in ("argocd", "flux") for path in (GITOPS / tool).rglob("*.yaml")}
    assert found - {"flux/.sops.yaml"} == EXPECTED.keys()


def test_the_operator_comes_before_the_phones() -> None:
    waves = [
        int(documents(f"argocd/{name}.yaml")[0]["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        for name in ("operator", "phones")
    ]
    assert waves == sorted(set(waves))
    first, second = documents("flux/kustomizations.yaml")
    assert second["spec"]["dependsOn"] == [{"name": first["metadata"]["name"]}]


def test_phones_come_in_the_order_in_which_they_need_each_other() -> None:
    by_kind: dict[str, set[int]] = {}
    for each in documents("phones/offices.yaml"):
        by_kind.setdefault(each["kind"], set()).add(
            int(each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        )
    assert by_kind == {"Namespace": {-2}, "PBXAccount": {-1}, "InternalNumber": {0}, "Interlink": {1}}


def values_given() -> dict[str, list[dict[str, Any]]]:
    """Return the values that the manifests and the page's commands give to the chart."""
    (application,), (_, release) = documents("argocd/operator.yaml"), documents("flux/operator/release.yaml")
    given = {
        "Argo CD": [application["spec"]["source"]["helm"]["valuesObject"]],
        "Flux": [release["spec"]["values"]],
        "Helm": [],
    }
    for command in re.findall(r"^helm .*", PAGE.replace("\\\n", " "), re.MULTILINE):
        words = shlex.split(command)
        given["Helm"] += [nested(words[i + 1]) for i, word in enumerate(words) if word == "--set"]
    return given


def nested(assignment: str) -> dict[str, Any]:
    """Return the values of `--set a.b=c`."""
    path, _, text = assignment.partition("=")
    value: Any = text == "true" if text in ("true", "false") else text
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


@pytest.mark.parametrize("tool", ["Argo CD", "Flux", "Helm"])
def test_the_chart_takes_the_values(tool: str) -> None:
    """Helm judges them: it refuses what the chart's schema does not know."""
    given = values_given()[tool]
    assert given
    for values in given:
        assert rendered(values)


def test_every_file_that_the_page_names_is_there() -> None:
    linked = re.findall(r"\]\((\.\./[^)#]+)", PAGE)
    typed = re.findall(r"\b(?:examples|charts|crds)/[\w./-]*", PAGE)
    assert linked
    missing = [path for path in linked if not (ROOT / "docs" / path).exists()]
    assert missing + [path for path in typed if not (ROOT / path).exists()] == []
