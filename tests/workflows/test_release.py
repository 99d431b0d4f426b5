"""A release publishes what the project and its chart name, after all tests, and says what the changelog says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helm_chart.rendering import CHART
from image import facts
from release_notes import CHANGELOG, ReleaseError, main, release_notes
from ruamel.yaml import YAML

from support import ROOT
from workflows.reading import WORKFLOWS, read

RELEASE = WORKFLOWS["release"]
JOBS = RELEASE["jobs"]
METADATA = read(f"{CHART.relative_to(ROOT)}/Chart.yaml")
WRITTEN = """\
# Changelog

## [Unreleased]

## [1.1.0] - 2027-02-03

### Added

- A thing.

## [1.0.0] - 2027-01-02

[Unreleased]: https://example.com
"""


def before(job: str) -> set[str]:
    """Return every job that must have passed before this one."""
    needs = JOBS[job].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(before(each) for each in direct))


def test_it_publishes_under_our_names() -> None:
    names = RELEASE["env"]
    assert names["IMAGE"] == facts.REPOSITORY
    assert names["NAME"] == METADATA["name"] == facts.project()["name"]
    chart = f"{names['CHARTS']}/{names['NAME']}"
    assert chart != names["IMAGE"]  # they have the same tags
    assert f"helm install {names['NAME']} oci://{chart} " in (CHART / "README.md").read_text(encoding="utf-8")
    assert JOBS["notes"]["if"] == f"github.repository == '{facts.SOURCE.removeprefix('https://github.com/')}'"


def test_every_name_of_the_image_has_the_version_of_the_project() -> None:
    folders = [ROOT / folder for folder in ("charts", "docs", "examples", "tests/e2e")]
    files = [ROOT / "Dockerfile", *(file for folder in folders for file in folder.rglob("*.*"))]
    named = {
        (str(file.relative_to(ROOT)), version)
        for file in files
        if file.suffix in ("", ".md", ".yaml")
        for version in re.findall(rf"{re.escape(facts.REPOSITORY)}:([\w.+-]+)", file.read_text(encoding="utf-8"))
    }
    assert ("Dockerfile", facts.project()["version"]) in named
    assert {version for _, version in named} == {facts.project()["version"]}, named


def test_its_platforms_are_those_that_the_chart_promises() -> None:
    (image,) = YAML(typ="safe").load(METADATA["annotations"]["artifacthub.io/images"])
    (built,) = (step["with"]["platforms"] for step in JOBS["image"]["steps"] if step.get("id") == "build")
    assert built.split(",") == image["platforms"]
    assert [f"linux/{each}" for each in JOBS["sbom"]["strategy"]["matrix"]["platform"]] == image["platforms"]


def test_nothing_is_published_before_the_tests_have_passed() -> None:
    publishing = {name for name, job in JOBS.items() if "write" in job["permissions"].values()}
    assert publishing == {"image", "sbom", "chart", "release"}
    for name in publishing:
        assert {"notes", "test", "e2e"} <= before(name), name
    assert {"sbom", "chart"} <= before("release")


def test_the_notes_are_the_section_of_the_version() -> None:
    assert release_notes("v1.1.0", "1.1.0", WRITTEN) == "### Added\n\n- A thing.\n"


@pytest.mark.parametrize(
    ("tag", "version", "said"),
    [
        ("v1.2.0", "1.1.0", r"tag 'v1\.2\.0' is not v1\.1\.0, by the version in pyproject\.toml: change one of them"),
        ("1.1.0", "1.1.0", r"tag '1\.1\.0' is not v1\.1\.0"),
        ("v1.2.0", "1.2.0", r"no section '## \[1\.2\.0\] - YYYY-MM-DD' with a text: make it of what is unreleased"),
        ("v1.0.0", "1.0.0", r"no section '## \[1\.0\.0\]"),
    ],
)
def test_a_release_that_cannot_be_is_refused(tag: str, version: str, said: str) -> None:
    with pytest.raises(ReleaseError, match=said):
        release_notes(tag, version, WRITTEN)


def test_the_command_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    version = facts.project()["version"]
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(WRITTEN.replace("1.1.0", version), encoding="utf-8")
    assert main([f"v{version}"], changelog) == 0
    assert capsys.readouterr() == ("### Added\n\n- A thing.\n", "")
    assert main(["v9.9.9"], changelog) == 1
    assert capsys.readouterr().err == (
        f"Error: tag 'v9.9.9' is not v{version}, by the version in pyproject.toml: change one of them\n"
    )


def test_the_changelog_has_the_form_that_is_read() -> None:
    headings = re.findall(r"^## (.*)$", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert [each for each in headings[1:] if not re.fullmatch(r"\[\d+\.\d+\.\d+\S*\] - \d{4}-\d\d-\d\d", each)] == []
