"""The kinds of other projects that the chart and the examples use, for an API server that judges these by them.

They come out of the Go modules that `tools/vendor_crds` pins.  Two projects publish definitions in a module: these are
taken as they are.  Of the others the module of the API is small, and that of the whole controller large, or not to be
had: their definitions are made by controller-gen of the API's types, as the projects make them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from go_program import TOOLS, go_program

MODULE = TOOLS / "vendor_crds"
PUBLISHED = {
    "github.com/argoproj/argo-cd/v3": "manifests/crds/application-crd.yaml",
    "sigs.k8s.io/gateway-api": "config/crd/standard/gateway.networking.k8s.io_tlsroutes.yaml",
}
"""Where in a module a definition is."""
PACKAGES = (
    "github.com/fluxcd/helm-controller/api/v2",
    "github.com/fluxcd/kustomize-controller/api/v1",
    "github.com/fluxcd/source-controller/api/v1",
    "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1",
)
GENERATED = (
    "helm.toolkit.fluxcd.io_helmreleases.yaml",
    "kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    "monitoring.coreos.com_podmonitors.yaml",
    "monitoring.coreos.com_prometheusrules.yaml",
    "monitoring.coreos.com_servicemonitors.yaml",
    "source.toolkit.fluxcd.io_gitrepositories.yaml",
)
"""What is taken of that which controller-gen makes of the packages."""
GO_ENVIRONMENT = {"GOTOOLCHAIN": "local", "GOWORK": "off"}


def write_definitions(folder: Path, scratch: Path) -> None:
    """Write a CustomResourceDefinition of each kind into a folder. Raises BuildError if there is no Go."""
    generator = go_program("vendor_crds", "sigs.k8s.io/controller-tools/cmd/controller-gen")
    paths = [f"paths={package}" for package in PACKAGES]
    _run(generator, "crd:maxDescLen=0", *paths, f"output:crd:dir={scratch}")
    for name in GENERATED:
        shutil.copy(scratch / name, folder)
    _run("go", "mod", "download", *PUBLISHED)
    for module, path in PUBLISHED.items():
        shutil.copy(Path(_run("go", "list", "-m", "-f", "{{.Dir}}", module).strip()) / path, folder)


def _run(*command: str | Path) -> str:
    done = subprocess.run(
        command, cwd=MODULE, env={**os.environ, **GO_ENVIRONMENT}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
