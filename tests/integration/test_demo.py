"""The demo: it shows what the README promises, fails when a step is not as it should be, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from support import ROOT, Place, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

DEMO = "tools/demo.py"
COLUMNS = 100
GREY, GREEN = "⚪", "🟢"
SIGNALLED = 128


def start(place: Place, *arguments: str, root: Path = ROOT) -> subprocess.Popen[str]:
    return place.popen(str(root / DEMO), *arguments)


def run(place: Place, *arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return place.call(str(root / DEMO), *arguments)


def copy_of_the_repository(place: Place, edit: dict[str, tuple[str, str]]) -> Path:
    """Copy what the demo uses, with one text replaced in each file that is named."""
    root = place.folder / "copy"
    for folder in ("crds", "examples", "tools/three_offices"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / DEMO, root / DEMO)
    for file, (old, new) in edit.items():
        text = (root / file).read_text()
        assert text.count(old) == 1, f"{file} has {old!r} once"
        (root / file).write_text(text.replace(old, new))
    return root


def operators(place: Place) -> list[int]:
    return [pid for pid, command in place.processes().items() if "-m pbx_operator --kubeconfig" in command]


def excerpt_in_the_readme() -> list[str]:
    """Return the lines of the demo that the README shows."""
    match = re.search(r"<!-- demo -->\n```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert match is not None, "README.md has a block of the demo's output"
    return match[1].splitlines()


def test_it_tells_the_whole_story_and_leaves_nothing(place: Place) -> None:
    done = run(place)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line for line in lines if cell_len(line) > COLUMNS or "\x1b" in line or line != line.rstrip()] == []
    assert [done.stdout.count(circle) for circle in (GREY, GREEN)] == [2, 4 + 2]
    assert place.is_clean()
    shown = iter(lines)
    assert [line for line in excerpt_in_the_readme() if line not in shown] == []


def test_a_call_that_goes_elsewhere_is_a_failure(place: Place) -> None:
    edits = {
        "examples/three-offices/1-offices.yaml": ("  displayName: Workshop\n", "  visibility: Private\n"),
        "tools/three_offices/stage.py": ("DEADLINE_SECONDS = 30.0", "DEADLINE_SECONDS = 10.0"),
    }
    done = run(place, root=copy_of_the_repository(place, edits))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Error: what phones in Paris reach, after 10 s",
        "   expected: 300: Peer 300@rome.example.com",
        "   seen:     300: NoMatch",
    ]
    assert place.is_clean()


def test_a_command_that_is_refused_is_a_failure(place: Place) -> None:
    root = copy_of_the_repository(place, {"examples/three-offices/1-offices.yaml": ('number: "300"', "number: 300")})
    done = run(place, root=root)
    assert done.returncode == 1
    assert "Error: $ kubectl apply -f examples/three-offices/1-offices.yaml\n   expected: exit code 0\n" in done.stderr
    assert "spec.number" in done.stderr
    assert place.is_clean()


def test_an_operator_that_ends_is_a_failure(place: Place) -> None:
    with start(place) as process:
        until(lambda: operators(place) != [], "the operator runs")
        for pid in operators(place):
            os.kill(pid, signal.SIGKILL)
        _, err = process.communicate()
    assert process.returncode == 1
    assert "the operator ended with code -9" in err
    assert place.is_clean()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_after_a_signal(place: Place, number: signal.Signals) -> None:
    with start(place) as process:
        until(lambda: operators(place) != [], "the operator runs")
        process.send_signal(number)
    assert process.returncode == SIGNALLED + number
    assert place.is_clean()


def test_nothing_is_left_of_a_killed_demo(place: Place) -> None:
    with start(place, "--keep") as process:
        until(lambda: operators(place) != [], "the operator runs")
        process.kill()
    until(place.is_clean, "operator, control plane and files are gone")


def test_what_is_kept_works_as_told_and_ends_as_told(place: Place) -> None:
    done = run(place, "--keep")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(operators(place)) == 1
    hints = [line.strip() for line in done.stdout.partition("Try:")[2].splitlines() if line.startswith("   ")]
    *commands, end = hints
    exports = [command for command in commands if command.startswith("export ")]
    get_all, dial, close_gate, dial_again, delete, get_links, log = commands[len(exports) :]

    def type_in(command: str) -> tuple[int, str]:
        script = "\n".join([*exports, command])
        typed = subprocess.run(
            script, shell=True, cwd=ROOT, env=place.environ, capture_output=True, text=True, check=False
        )
        return typed.returncode, typed.stdout + typed.stderr

    for command, outcome in {get_all: "linkrecord", dial: "400@bern.example.com", close_gate: "patched"}.items():
        code, output = type_in(command)
        assert (code, outcome in output) == (0, True), output
    until(lambda: "no match" in type_in(dial_again)[1], "calls do not pass a closed gate")
    for command, outcome in {delete: "deleted", get_links: "No resources found", log: '"ts"'}.items():
        code, output = type_in(command)
        assert (code, outcome in output) == (0, True), output

    again = run(place, "--keep")
    assert (again.returncode, again.stderr) == (1, f"Error: the demo is running already; to end it: {end}\n")
    assert type_in(end)[0] == 0
    until(place.is_clean, "operator, control plane and files are gone")
