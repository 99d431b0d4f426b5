"""The definitions of the repository break nothing of the latest release, unless a reason is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crd_compatibility import incompatibilities
from ruamel.yaml import YAML

from support import ROOT

RELEASES = ROOT / "tests" / "releases"
ACCEPTED = RELEASES / "accepted-changes.yaml"


def definitions(folder: Path) -> list[dict[str, Any]]:
    return [YAML(typ="safe", pure=True).load(file) for file in sorted(folder.glob("*.yaml"))]


def latest_release() -> Path:
    """Return the folder of the highest version."""
    folders = [path.parent for path in RELEASES.glob("*/crds")]
    return max(folders, key=lambda path: [int(part) for part in path.name.split(".")])


def accepted() -> dict[str, str]:
    """Return the reason of each change that is made nevertheless."""
    return {entry["change"]: entry["reason"].strip() for entry in YAML(typ="safe", pure=True).load(ACCEPTED)}


@pytest.fixture(scope="module")
def changes() -> set[str]:
    found = incompatibilities(definitions(latest_release() / "crds"), definitions(ROOT / "crds"))
    return {str(change) for change in found}


def test_every_incompatible_change_has_a_reason(changes: set[str]) -> None:
    unexplained = sorted(change for change in changes if not accepted().get(change))
    assert unexplained == [], f"give a reason in {ACCEPTED.relative_to(ROOT)}, or keep what was valid valid"


def test_every_reason_is_about_a_change(changes: set[str]) -> None:
    assert accepted().keys() - changes == set()


def test_there_is_something_to_compare() -> None:
    assert definitions(latest_release() / "crds")
