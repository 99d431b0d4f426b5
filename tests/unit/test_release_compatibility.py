"""The definitions of the repository break nothing of the latest release, unless a reason is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crd_compatibility import Incompatibility, incompatibilities
from ruamel.yaml import YAML

from support import ROOT

RELEASES = ROOT / "tests" / "releases"
ACCEPTED = RELEASES / "accepted-changes.yaml"
Place = tuple[str, str, str, str]
"""Definition, version, path and rule."""


def definitions(folder: Path) -> list[dict[str, Any]]:
    return [YAML(typ="safe", pure=True).load(file) for file in sorted(folder.glob("*.yaml"))]


def latest_release() -> Path:
    """Return the folder of the highest version."""
    folders = [path.parent for path in RELEASES.glob("*/crds")]
    return max(folders, key=lambda path: [int(part) for part in path.name.split(".")])


def accepted() -> dict[Place, str]:
    """Return the reason of each change that is made nevertheless."""
    entries = YAML(typ="safe", pure=True).load(ACCEPTED)
    return {(e["definition"], e["version"], e["path"], e["rule"]): e["reason"] for e in entries}


def place(change: Incompatibility) -> Place:
    return change.definition, change.version, change.path, change.rule


@pytest.fixture(scope="module")
def changes() -> list[Incompatibility]:
    return incompatibilities(definitions(latest_release() / "crds"), definitions(ROOT / "crds"))


def test_every_incompatible_change_has_a_reason(changes: list[Incompatibility]) -> None:
    unexplained = [str(change) for change in changes if not accepted().get(place(change), "").strip()]
    assert unexplained == [], f"give a reason in {ACCEPTED.relative_to(ROOT)}, or keep what was valid valid"


def test_every_reason_is_about_a_change(changes: list[Incompatibility]) -> None:
    assert accepted().keys() - {place(change) for change in changes} == set()


def test_there_is_something_to_compare() -> None:
    assert definitions(latest_release() / "crds")
