"""No workflow has a mistake that actionlint knows, more rights than it needs, or a name that is not ours."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from go_program import go_program
from helm_chart.rendering import CHART

from support import ROOT
from workflows.reading import ACTIONS, FILES, JOBS, WORKFLOWS, legs, made, read, with_values

WITH_OTHER_LINTERS_OFF = ("-shellcheck=", "-pyflakes=")  # the same findings wherever it runs


@pytest.fixture(scope="session")
def actionlint() -> Path:
    return go_program("actionlint", "github.com/rhysd/actionlint/cmd/actionlint")


def findings(actionlint: Path, *arguments: str, text: str = "") -> str:
    done = subprocess.run(
        [actionlint, *WITH_OTHER_LINTERS_OFF, *arguments],
        cwd=ROOT, input=text, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_actionlint_finds_nothing(actionlint: Path) -> None:
    assert findings(actionlint, *map(str, FILES)) == ""


def test_actionlint_would_find_a_mistake(actionlint: Path) -> None:
    wrong = FILES[0].read_text(encoding="utf-8").replace("${{ matrix.", "${{ matirx.")
    assert 'undefined variable "matirx"' in findings(actionlint, "-", text=wrong)


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_rights_are_given_to_jobs_and_pipes_can_fail(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    assert WORKFLOWS[name]["defaults"] == {"run": {"shell": "bash"}}
    assert WORKFLOWS[name]["concurrency"]["group"] == f"{name}-${{{{ github.ref }}}}"


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_every_job_is_limited(name: str, job: dict[str, object]) -> None:
    assert job["permissions"], name
    assert "uses" in job or job["timeout-minutes"], name  # a job of another workflow has the limit there


def test_actions_are_pinned_by_commit() -> None:
    for file in [*FILES, *ACTIONS]:
        for used in re.findall(r"uses: (.+)", file.read_text(encoding="utf-8")):
            assert re.fullmatch(r"\./\.github/\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), f"{file}: {used}"


def test_one_action_has_one_version() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in [*FILES, *ACTIONS])
    pins = set(re.findall(r"uses: (\S+)@(\S+ # \S+)", text))
    assert len(pins) == len(dict(pins))


def test_what_is_made_can_be_made() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    wanted = {target for _, job in JOBS for target in made(job)}
    assert "e2e" in wanted
    assert wanted <= targets


def test_the_parts_of_the_test_are_all_of_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (whole,) = re.findall(r"^test: (.*) ##", makefile, re.MULTILINE)
    assert made(WORKFLOWS["test"]["jobs"]["test"]) == set(whole.split())


def test_go_is_new_enough_for_every_module() -> None:
    (file,) = (
        step["with"]["go-version-file"]
        for action in ACTIONS
        for step in read(str(action.relative_to(ROOT)))["runs"]["steps"]
        if "go-version-file" in step.get("with", {})
    )
    newest = max((ROOT / "tools").glob("*/go.mod"), key=go_version)
    assert go_version(ROOT / file) == go_version(newest)


def go_version(module: Path) -> tuple[int, ...]:
    (version,) = re.findall(r"^go (\S+)$", module.read_text(encoding="utf-8"), re.MULTILINE)
    return tuple(map(int, version.split(".")))


def test_programs_are_those_of_a_module() -> None:
    prepared = [
        with_values(step["with"]["programs"], leg)
        for _, job in JOBS
        for step in job.get("steps", [])
        if step.get("uses") == "./.github/actions/prepare"
        for leg in legs(job)
    ]
    assert prepared
    assert [folder for folder in prepared if not (ROOT / folder / "go.mod").is_file()] == []


def test_kubernetes_is_what_the_chart_supports_from_its_oldest() -> None:
    bound = re.fullmatch(r">=(\d+)\.(\d+)\.0-0", read(f"{CHART.relative_to(ROOT)}/Chart.yaml")["kubeVersion"])
    assert bound
    tested = [leg["kubernetes"].split(".") for leg in legs(WORKFLOWS["e2e"]["jobs"]["kind"])]
    minors = [(int(major), int(minor)) for major, minor, _ in tested]
    assert min(minors) == (int(bound[1]), int(bound[2]))
    assert len(set(minors)) == len(minors) > 2


def test_every_module_and_action_is_kept_up_to_date() -> None:
    updates = {each["package-ecosystem"]: each for each in read(".github/dependabot.yml")["updates"]}
    modules = {f"/{file.parent.relative_to(ROOT)}" for file in (ROOT / "tools").glob("*/go.mod")}
    assert set(updates["gomod"]["directories"]) == modules
    actions = {f"/{file.parent.relative_to(ROOT)}" for file in ACTIONS}
    assert set(updates["github-actions"]["directories"]) == {"/", *actions}
    assert {"pip", "docker"} <= updates.keys()
