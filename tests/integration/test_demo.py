"""The demo: it shows what the README promises, fails when a step is not as it should be, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from integration.demo import IMPATIENT, copy_of_the_repository, lines_that_do_not_fit, promised_but_not_shown
from support import ROOT, Place, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

DEMO = "tools/demo.py"
GREY, GREEN = "⚪", "🟢"
SIGNALLED = 128


def start(place: Place, *arguments: str) -> subprocess.Popen[str]:
    return place.popen(str(ROOT / DEMO), *arguments)


def run(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return place.call(str(ROOT / DEMO), *arguments)


def run_a_copy(place: Place, edits: dict[str, tuple[str, str]]) -> subprocess.CompletedProcess[str]:
    return place.call(str(copy_of_the_repository(place.folder / "copy", DEMO, [], edits)))


def operators(place: Place) -> list[int]:
    return [pid for pid, command in place.processes().items() if "-m pbx_operator --kubeconfig" in command]


def test_it_tells_the_whole_story_and_leaves_nothing(place: Place) -> None:
    done = run(place)
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_that_do_not_fit(done.stdout) == []
    assert [done.stdout.count(circle) for circle in (GREY, GREEN)] == [2, 4 + 2]
    assert place.is_clean()
    assert promised_but_not_shown("demo", done.stdout) == []


def test_a_call_that_goes_elsewhere_is_a_failure(place: Place) -> None:
    private = {"examples/three-offices/1-offices.yaml": ("  displayName: Workshop\n", "  visibility: Private\n")}
    done = run_a_copy(place, {**private, **IMPATIENT})
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Error: what phones in Paris reach, after 10 s",
        "   expected: 300: Peer 300@rome.example.com",
        "   seen:     300: NoMatch",
    ]
    assert place.is_clean()


def test_a_command_that_is_refused_is_a_failure(place: Place) -> None:
    done = run_a_copy(place, {"examples/three-offices/1-offices.yaml": ('number: "300"', "number: 300")})
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

    for command, outcome in {get_all: "pbxaccount", dial: "400@bern.example.com", close_gate: "patched"}.items():
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
