"""The lock file of the image: complete, and the versions that everything is tested with."""

from __future__ import annotations

import re
import tomllib

from support import ROOT


def pins(name: str) -> dict[str, str]:
    """Return package and version of each line of a lock file."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


def test_the_image_has_the_versions_that_are_tested() -> None:
    tested = pins("dev")
    for lock in ("runtime", "build"):
        unlike = {name: version for name, version in pins(lock).items() if tested.get(name, version) != version}
        assert unlike == {}, f"run `make lock`: requirements/{lock}.txt differs from requirements/dev.txt"
    assert pins("runtime").keys() <= tested.keys()


def test_everything_that_the_project_needs_is_in_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.split(r"[><=]", name)[0].replace(".", "-") for name in project["dependencies"]}
    assert needed <= pins("runtime").keys()


def test_tools_of_developers_are_not_in_it() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert pins("runtime").keys().isdisjoint(groups["dev"])
