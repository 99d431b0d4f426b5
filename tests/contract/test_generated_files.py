"""The committed files are what the models say, and the tool that writes them notices when they are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from support import ROOT

if TYPE_CHECKING:
    from types import ModuleType

CRD = "crds/pbx-operator.io_interlinks.yaml"


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Return the tool, at work in an empty tree."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    import generate

    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return generate


def run(tool: ModuleType, *arguments: str) -> Result:
    return CliRunner().invoke(tool.main, arguments)


def test_nothing_in_the_repository_is_stale() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_missing_files_are_stale_and_the_check_writes_nothing(generate: ModuleType, tmp_path: Path) -> None:
    checked = run(generate, "--check")
    assert checked.exit_code == 1
    assert "+kind: CustomResourceDefinition" in checked.output
    assert list(tmp_path.iterdir()) == []


def test_generated_files_are_fresh(generate: ModuleType, tmp_path: Path) -> None:
    assert run(generate).exit_code == 0
    assert run(generate, "--check").exit_code == 0
    assert (tmp_path / "docs/reference/fields.md").read_text().startswith("# Fields")


def test_an_edited_file_is_shown_as_a_diff(generate: ModuleType, tmp_path: Path) -> None:
    run(generate)
    edited = tmp_path / CRD
    edited.write_text(edited.read_text().replace("scope: Namespaced", "scope: Cluster"))
    checked = run(generate, "--check")
    assert checked.exit_code == 1
    assert "-  scope: Cluster\n+  scope: Namespaced\n" in checked.output


def test_the_file_of_a_kind_that_is_gone_is_removed(generate: ModuleType, tmp_path: Path) -> None:
    run(generate)
    gone = tmp_path / "crds/pbx-operator.io_gone.yaml"
    gone.write_text("kind: Gone\n")
    assert "-kind: Gone" in run(generate, "--check").output
    run(generate)
    assert not gone.exists()
