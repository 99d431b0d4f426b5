"""Keys of links that come by Git: sealed and opened by sops and age themselves, as the pages tell.

Flux opens them with each entry of the Secret whose name ends with `.agekey`; here sops does, given that entry.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from go_program import go_program
from ruamel.yaml import YAML

from gitops.judges import JSON
from pbx_operator.sandbox import ControlPlane
from support import ROOT, ensure_namespace, kubectl

pytestmark = pytest.mark.timeout(900)  # the first run builds sops, with the clients of all clouds: 2 minutes of work

EXAMPLE = ROOT / "examples/gitops/flux"
KEYS = ("phones/oslo-key.yaml", "phones/turin-key.yaml")
INSTALLATION, GITOPS = (ROOT / "docs/install.md").read_text(), (ROOT / "docs/gitops.md").read_text()


def block(page: str, beginning: str) -> str:
    """Return the one block of commands of a page that begins so."""
    (found,) = re.findall(rf"^```sh\n({re.escape(beginning)}.*?)^```", page, re.DOTALL | re.MULTILINE)
    return str(found)


def parsed(text: str) -> JSON:
    document: JSON = YAML(typ="safe", pure=True).load(text)
    return document


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository of a cluster's Flux, and the one who works in it."""

    folder: Path
    environment: dict[str, str]

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run commands at the top of the repository."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
        )

    def follow(self, script: str) -> None:
        """Run commands that must succeed."""
        done = self.run(script)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def sealing() -> list[Path]:
    """Return the folders of sops and of age-keygen."""
    packages = ("github.com/getsops/sops/v3/cmd/sops", "filippo.io/age/cmd/age-keygen")
    return [go_program("sops", package).parent for package in packages]


@pytest.fixture
def repository(sealing: list[Path], control_plane: ControlPlane, tmp_path: Path) -> Repository:
    """Return a repository with the example's configuration of sops, and a home with nothing in it."""
    home, folder = tmp_path / "home", tmp_path / "repository"
    home.mkdir()
    (folder / "phones").mkdir(parents=True)
    shutil.copy(EXAMPLE / ".sops.yaml", folder)
    ours = control_plane.environment()
    path = os.pathsep.join([*map(str, sealing), str(Path(sys.executable).parent), ours["PATH"]])
    environment = {"HOME": str(home), "KUBECONFIG": ours["KUBECONFIG"], "PATH": path, "PYTHONPATH": str(ROOT / "src")}
    return Repository(folder, environment)


def test_a_key_is_sealed_in_git_and_open_in_the_cluster(repository: Repository, control_plane: ControlPlane) -> None:
    ensure_namespace(control_plane, "flux-system")
    repository.follow(block(INSTALLATION, "age-keygen"))
    make, seal = re.split(r"(?=^sops)", block(GITOPS, "pbx key new"), maxsplit=1, flags=re.MULTILINE)
    repository.follow(make)
    plain = {name: parsed((repository.folder / name).read_text()) for name in KEYS}
    repository.follow(seal)
    cluster_key = secret_of_flux(control_plane)
    for name, secret in plain.items():
        sealed = (repository.folder / name).read_text()
        assert parsed(sealed)["metadata"] == secret["metadata"], "what it is for stays readable"
        assert secret["data"]["key"] not in sealed
        assert repository.run(f"sops decrypt {name}").returncode != 0, "only the cluster has the key"
        opened = repository.run(f"sops decrypt {name}", SOPS_AGE_KEY=cluster_key)
        assert parsed(opened.stdout) == secret, opened.stderr
    assert [secret["metadata"]["namespace"] for secret in plain.values()] == ["oslo", "turin"]
    assert len({secret["data"]["key"] for secret in plain.values()}) == 1, "both ends have the same key"


def test_what_is_no_key_is_not_sealed_by_mistake(repository: Repository) -> None:
    (repository.folder / "phones/offices.yaml").write_text("kind: PBXAccount\n")
    refused = repository.run("sops encrypt --in-place phones/offices.yaml")
    assert refused.returncode != 0
    assert "no matching creation rules found" in refused.stderr


def secret_of_flux(control_plane: ControlPlane) -> str:
    """Return the private key that the example's Kustomization names, as Flux finds it."""
    phones = list(YAML(typ="safe", pure=True).load_all(EXAMPLE / "kustomizations.yaml"))[-1]
    named = phones["spec"]["decryption"]["secretRef"]["name"]
    text = kubectl(control_plane, "get", "secret", named, "-n", phones["metadata"]["namespace"], "--output=yaml")
    ((_, value),) = [entry for entry in parsed(text)["data"].items() if entry[0].endswith(".agekey")]
    return base64.b64decode(value).decode()
