"""What the page of the installation names is there, and what it gives to Argo CD and Flux fits together.

Whether these know every field is judged by their own definitions, in tests/contract/test_examples.py.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import Any

import pytest
from helm_chart.rendering import rendered
from ruamel.yaml import YAML

from support import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text()
GITOPS = ROOT / "examples" / "gitops"
SYNC_OPTIONS = {"CreateNamespace=true", "ServerSideApply=true", "PruneLast=true"}
"""Those that we use: Argo CD takes any text for one, and does nothing about what it does not know."""
HELM_OPTIONS = {
    "--create-namespace",
    "--namespace",
    "--reset-then-reuse-values",
    "--set",
    "--take-ownership",
    "--wait",
}
"""Those of Helm's commands that we use; no program of Helm is here to judge them."""
PAGES_WITH_HELM = ("README.md", "docs/image.md", "docs/install.md", "docs/operations.md")


def documents(path: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe", pure=True).load_all(GITOPS / path))


@pytest.mark.parametrize("name", ["operator", "phones"])
def test_argo_cd_knows_every_option(name: str) -> None:
    (application,) = documents(f"argocd/{name}.yaml")
    assert set(application["spec"]["syncPolicy"]["syncOptions"]) <= SYNC_OPTIONS


def test_both_take_the_chart_from_where_it_is() -> None:
    (application,), (repository, release) = documents("argocd/operator.yaml"), documents("flux/operator/release.yaml")
    assert application["spec"]["source"]["repoURL"] == repository["spec"]["url"]
    chart = release["spec"]["chart"]["spec"]
    assert chart["sourceRef"] == {"kind": repository["kind"], "name": repository["metadata"]["name"]}
    for path in (application["spec"]["source"]["path"], chart["chart"]):
        assert (ROOT / path / "Chart.yaml").is_file()


def test_both_take_the_release_of_this_version() -> None:
    """From a tag: what comes to a branch is not released, and both bring it to the cluster by themselves."""
    (application,), (repository, release) = documents("argocd/operator.yaml"), documents("flux/operator/release.yaml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert application["spec"]["source"]["targetRevision"] == f"v{project['version']}"
    assert repository["spec"]["ref"] == {"tag": f"v{project['version']}"}
    assert release["spec"]["chart"]["spec"]["reconcileStrategy"] == "Revision"


def test_flux_keeps_the_release_where_helm_looks_for_it() -> None:
    (_, release) = documents("flux/operator/release.yaml")
    assert release["spec"]["storageNamespace"] == release["spec"]["targetNamespace"]


def test_flux_finds_what_is_copied_into_its_repository() -> None:
    """Each Kustomization has the name of a directory that the page tells to copy."""
    section = PAGE.partition("\n## Flux\n")[2]
    for kustomization in documents("flux/kustomizations.yaml"):
        directory = kustomization["spec"]["path"].removeprefix("./")
        (linked,) = re.findall(rf"\[{directory}\b[^\]]*\]\(\.\./(examples/[^)]+)\)", section)
        assert (ROOT / linked).parent.name == directory


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
    for words in helm_commands():
        given["Helm"] += [nested(words[i + 1]) for i, word in enumerate(words) if word == "--set"]
    return given


def helm_commands() -> list[list[str]]:
    """Return the words of each command that the pages tell to type."""
    texts = [(ROOT / page).read_text().replace("\\\n", " ") for page in PAGES_WITH_HELM]
    return [shlex.split(command) for text in texts for command in re.findall(r"^helm .*", text, re.MULTILINE)]


def test_helm_knows_every_option() -> None:
    options = {word for words in helm_commands() for word in words if word.startswith("-")}
    assert options == HELM_OPTIONS


def test_what_is_pushed_is_what_was_built() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (built,) = re.findall(r"^IMAGE := (.*)$", makefile, re.MULTILINE)
    for page in ("README.md", "docs/image.md"):
        assert re.findall(r"oci-archive:(\S+)", (ROOT / page).read_text())[-1] == built


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
